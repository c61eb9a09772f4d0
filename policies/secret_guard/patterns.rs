//! What secrets look like.

use std::{
    ops::Range,
    sync::{Arc, LazyLock, OnceLock},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

use super::{
    check::Check,
    options::{Allowed, Kind, OwnPattern, SecretGuardOptions},
};
use crate::kit::{catalogue::nearest, policy::Problem};

/// The patterns that come with the program. What each finds, and lets pass, stands there with it.
pub(super) const FILE: &str = include_str!("patterns.json");

/// How large an expression of the configuration may become, in bytes.
const COMPILED: usize = 256 << 10;
/// The escapes behind which a letter of a literal can hide. Others mean characters that no literal has.
const HIDING: [&str; 2] = [r"\u", r"\/"];
/// The group that is the secret, where that is not all that an expression fits.
const GROUP: &str = "secret";

#[derive(Deserialize)]
struct File {
    /// When the patterns were last compared with what those say who give the secrets out.
    date: String,
    patterns: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: Arc<str>,
    what: Box<str>,
    set: Kind,
    pattern: String,
    /// One of these is in everything that the pattern fits. None: nothing is.
    literals: Vec<Box<str>>,
    check: Option<Check>,
    #[serde(default)]
    state: bool,
}

/// One pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) name: Arc<str>,
    /// What it finds, with an article.
    pub(super) what: Box<str>,
    set: Option<Kind>,
    regex: Regex,
    /// The group that is the secret.
    group: usize,
    literals: Vec<Box<str>>,
    check: Option<Check>,
    /// Do servers keep their own state in such text, which clients give back to them?
    pub(super) state: bool,
}

/// The patterns of the file, compiled once for all routes.
static STANDARD: LazyLock<(String, Vec<Arc<Pattern>>)> = LazyLock::new(|| {
    let file: File = serde_json::from_str(FILE).expect("a test reads the file");
    (file.date, file.patterns.into_iter().map(|entry| Arc::new(Pattern::from(entry))).collect())
});

/// When the patterns that come with the program were last looked through, as `2026-11-21`.
pub(super) fn date() -> &'static str {
    &STANDARD.0
}

impl From<Entry> for Pattern {
    fn from(entry: Entry) -> Self {
        let Entry { name, what, set, pattern, literals, check, state } = entry;
        let regex = Regex::new(&pattern).expect("a test compiles every pattern");
        Self { name, what, set: Some(set), group: group(&regex), regex, literals, check, state }
    }
}

fn group(regex: &Regex) -> usize {
    regex.capture_names().position(|name| name == Some(GROUP)).unwrap_or(0)
}

impl Pattern {
    /// What comes in the place of what it finds.
    pub(super) fn mask(&self) -> String {
        format!("[masked: {}]", self.name)
    }

    /// The secret in what was fitted.
    fn secret(&self, fitted: &Captures<'_>) -> Option<Range<usize>> {
        let secret = fitted.get(self.group).filter(|secret| !secret.is_empty())?;
        let length = self.check.map_or(Some(secret.len()), |check| check.accepts(secret.as_str()))?;
        Some(secret.start()..secret.start() + length)
    }
}

/// Tells which patterns of the file a text can hold, without trying each.
#[derive(Debug)]
struct Search {
    /// Is one of the literals there, or an escape that may hide one? As fast as it can be told.
    any: AhoCorasick,
    /// Which of them are there?
    each: AhoCorasick,
    /// The pattern of each literal.
    of_literal: Vec<Arc<Pattern>>,
}

impl Search {
    /// The one for these kinds: one for all routes, for it is large.
    fn of(kinds: &[Kind]) -> &'static Self {
        static SEARCHES: [OnceLock<Search>; 8] = [const { OnceLock::new() }; 8];
        let place = kinds.iter().fold(0, |place, kind| place | 1 << *kind as usize);
        SEARCHES[place].get_or_init(|| Self::new(kinds))
    }

    fn new(kinds: &[Kind]) -> Self {
        let of_kind = standard(kinds);
        let literals =
            of_kind.iter().flat_map(|pattern| pattern.literals.iter().map(move |literal| (pattern, literal)));
        let texts = || literals.clone().map(|(_, literal)| &**literal);
        let mut builder = AhoCorasick::builder();
        let each = builder.match_kind(MatchKind::Standard).build(texts());
        let fast = builder.match_kind(MatchKind::LeftmostFirst).kind(Some(AhoCorasickKind::DFA));
        Self {
            any: fast.build(texts().chain(HIDING)).expect("a test builds it"),
            each: each.expect("a test builds it"),
            of_literal: literals.clone().map(|(pattern, _)| Arc::clone(pattern)).collect(),
        }
    }

    /// The patterns of which a literal is there.
    fn candidates(&self, text: &str) -> Vec<&Arc<Pattern>> {
        let mut candidates: Vec<&Arc<Pattern>> = Vec::new();
        if self.any.is_match(text) {
            let found = self.each.find_overlapping_iter(text).map(|found| &self.of_literal[found.pattern().as_usize()]);
            for pattern in found {
                if !candidates.iter().any(|known| Arc::ptr_eq(known, pattern)) {
                    candidates.push(pattern);
                }
            }
        }
        candidates
    }
}

/// The patterns of the file that are of these kinds.
fn standard(kinds: &[Kind]) -> Vec<Arc<Pattern>> {
    let is_chosen = |pattern: &&Arc<Pattern>| pattern.set.is_some_and(|set| kinds.contains(&set));
    STANDARD.1.iter().filter(is_chosen).cloned().collect()
}

/// The patterns of one policy.
#[derive(Debug)]
pub(super) struct Patterns {
    search: &'static Search,
    /// Those that the search can find, as far as they are not allowed.
    searched: Vec<Arc<Pattern>>,
    /// Those that have no literals, so that only they themselves can tell.
    always: Vec<Arc<Pattern>>,
    allowed: RegexSet,
}

impl Patterns {
    /// Reports every problem of the options.
    pub(super) fn new(options: &SecretGuardOptions) -> Result<Self, Vec<Problem>> {
        let (mut all, mut problems) = (standard(&options.detect), Vec::new());
        for (index, own) in options.patterns.iter().enumerate() {
            match compile(own, &all) {
                Ok(pattern) => all.push(Arc::new(pattern)),
                Err(problem) => problems.push(problem.within(&format!("/patterns/{index}"))),
            }
        }
        let allowed = allow(&options.allow, &mut all, &mut problems);
        let (always, searched) = all.into_iter().partition(|pattern| pattern.literals.is_empty());
        let patterns = Self { search: Search::of(&options.detect), searched, always, allowed };
        if problems.is_empty() { Ok(patterns) } else { Err(problems) }
    }

    /// Is there nothing in a document, as it is written? Then it need not be taken apart, and most need not.
    pub(super) fn rule_out(&self, document: &[u8]) -> bool {
        // What is no UTF-8 could be read as something else.
        self.always.is_empty() && !self.search.any.is_match(document) && std::str::from_utf8(document).is_ok()
    }

    /// Every secret in a text, pattern by pattern.
    pub(super) fn find<'a>(&'a self, text: &str, mut each: impl FnMut(Range<usize>, &'a Arc<Pattern>)) {
        let mut candidates = self.search.candidates(text);
        candidates.retain(|candidate| self.searched.iter().any(|pattern| Arc::ptr_eq(pattern, candidate)));
        for pattern in candidates.into_iter().chain(&self.always) {
            for fitted in pattern.regex.captures_iter(text) {
                if let Some(secret) = pattern.secret(&fitted).filter(|secret| !self.is_allowed(&text[secret.clone()])) {
                    each(secret, pattern);
                }
            }
        }
    }

    fn is_allowed(&self, secret: &str) -> bool {
        !self.allowed.is_empty() && self.allowed.is_match(secret)
    }

    /// A text without what is secret in it, for people.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut found = Vec::new();
        self.find(text, |range, pattern| found.push((range, pattern.mask())));
        found.sort_by_key(|(range, _)| std::cmp::Reverse(range.end));
        let (mut masked, mut until) = (text.to_owned(), text.len());
        for (range, mask) in found {
            let end = range.end.min(until);
            if range.start < end {
                masked.replace_range(range.start..end, &mask);
                until = range.start;
            }
        }
        masked
    }
}

fn compile(own: &OwnPattern, others: &[Arc<Pattern>]) -> Result<Pattern, Problem> {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let name = &own.name;
    if name.is_empty() || !name.chars().all(is_plain) {
        let why = format!("{name:?} is no name of a pattern");
        return Err(Problem::new("/name", why).hint("use lower-case letters, digits and hyphens: \"customer-number\""));
    }
    if STANDARD.1.iter().chain(others).any(|other| *other.name == **name) {
        let why = format!("there is another pattern of the name {name:?}");
        return Err(Problem::new("/name", why).hint("give each pattern a name of its own"));
    }
    let built = RegexBuilder::new(&own.pattern).size_limit(COMPILED).build();
    let regex = built.map_err(|error| unfit("/pattern", &error))?;
    if regex.is_match("") {
        let why = "this pattern fits where nothing is, so it would be found everywhere";
        return Err(Problem::new("/pattern", why).hint("let it demand at least one character"));
    }
    Ok(Pattern {
        name: name.as_str().into(),
        what: format!("what the pattern `{name}` describes").into(),
        set: None,
        group: group(&regex),
        regex,
        literals: Vec::new(),
        check: None,
        state: false,
    })
}

/// Takes away the patterns whose finds may pass; gives what others may look like.
fn allow(allowed: &[Allowed], all: &mut Vec<Arc<Pattern>>, problems: &mut Vec<Problem>) -> RegexSet {
    let (known, mut like) = (all.clone(), Vec::new());
    for (index, allowed) in allowed.iter().enumerate() {
        match allowed {
            Allowed::Named(name) => {
                all.retain(|pattern| *pattern.name != **name);
                let is_known = known.iter().any(|pattern| *pattern.name == **name);
                problems.extend((!is_known).then(|| unknown(name, index, &known)));
            }
            Allowed::Like(expression) => {
                // By itself first, so that it cannot end the group around it.
                match limited([&expression.matches]) {
                    Ok(_) => like.push(format!("^(?:{})$", expression.matches)),
                    Err(error) => problems.push(unfit(&format!("/allow/{index}/matches"), &error)),
                }
            }
        }
    }
    limited(&like).unwrap_or_else(|error| {
        problems.push(unfit("/allow", &error));
        RegexSet::empty()
    })
}

fn limited<T: AsRef<str>>(expressions: impl IntoIterator<Item = T>) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(expressions).size_limit(COMPILED).build()
}

fn unknown(name: &str, index: usize, known: &[Arc<Pattern>]) -> Problem {
    let problem =
        Problem::new(format!("/allow/{index}"), format!("no pattern that is looked for has the name {name:?}"));
    let hint = match nearest(name, known.iter().map(|pattern| &*pattern.name)) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "the page of `secret-guard` lists the names; for a value, write { \"matches\": \"…\" }".to_owned(),
    };
    problem.hint(hint)
}

fn unfit(at: &str, error: &regex::Error) -> Problem {
    match error {
        regex::Error::CompiledTooBig(_) => Problem::new(at, "this expression becomes too large")
            .hint("use smaller numbers in its repetitions, and ASCII classes such as [0-9] in the place of \\d"),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            Problem::new(at, format!("this is no regular expression: {}", last.trim_start_matches("error: ")))
                .hint("the syntax is that of https://docs.rs/regex; look-around and back-references are not in it")
        }
    }
}
