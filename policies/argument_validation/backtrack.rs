//! Patterns with look-around and back-references, which no engine applies in time that grows with the text alone.
//!
//! The engine that does goes back and tries again, and can be told how often at most. Each time it may read all of the text
//! again, so what is paid for is both at once. Most patterns go back a few times only: they are tried with little first. The
//! validator tries again what was decided here, and no more than that.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

use fancy_regex::{Regex, RegexBuilder};

use super::{misfit::clipped, pattern::steps, schema::Unusable};

/// What the engine may make of one regular expression.
pub(super) const PROGRAM_BYTES: usize = 2 << 20;
pub(super) const CACHE_BYTES: usize = 256 << 10;
/// How often the engine may go back, from the first try to the last.
const TRIES: [usize; 3] = [64, 1024, LAST_TRY];
pub(super) const LAST_TRY: usize = 16 << 10;
/// To go back so often costs one step for each byte of text.
const OF_STEP: u64 = 16;

/// All patterns of a schema that has such ones: its validator applies all of them with the same engine, which hands those that
/// it can to the other. None of a schema without.
#[derive(Debug, Default)]
pub(super) struct Backtracking(BTreeMap<String, Pattern>);

#[derive(Debug)]
struct Pattern {
    translated: String,
    is_linear: bool,
    tries: [OnceLock<Option<Regex>>; TRIES.len()],
}

impl Backtracking {
    pub(super) fn of(patterns: impl IntoIterator<Item = String>) -> Self {
        let read = |pattern: String| Some((pattern.clone(), Pattern::new(&pattern)?));
        let patterns: BTreeMap<_, _> = patterns.into_iter().filter_map(read).collect();
        if patterns.values().all(|pattern| pattern.is_linear) { Self::default() } else { Self(patterns) }
    }

    pub(super) fn is_needed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Pays for `pattern` with `spend`, before it is applied to `text`.
    pub(super) fn pay(
        &self,
        pattern: &str,
        text: &str,
        mut spend: impl FnMut(u64) -> Result<(), Unusable>,
    ) -> Result<(), Unusable> {
        let once = steps(pattern, text);
        let Some(read) = self.0.get(pattern) else { return spend(once) };
        for (number, limit) in TRIES.into_iter().enumerate() {
            let again = if read.is_linear && number == 0 { 1 } else { limit as u64 / OF_STEP };
            spend(once.saturating_mul(again))?;
            if read.is_decided(number, text) {
                return Ok(());
            }
        }
        Err(Unusable::Undecided(clipped(pattern)))
    }
}

impl Pattern {
    /// None where no engine reads it, which the validator will say.
    fn new(pattern: &str) -> Option<Self> {
        let translated = jsonschema_regex::to_rust_regex(pattern).ok()?.into_owned();
        let is_linear = regex::RegexBuilder::new(&translated).size_limit(PROGRAM_BYTES).build().is_ok();
        Some(Self { translated, is_linear, tries: Default::default() })
    }

    /// Does the engine come to an end within this try? It is known to panic on some patterns
    /// (<https://github.com/rust-lang/regex/issues/1344>).
    fn is_decided(&self, number: usize, text: &str) -> bool {
        let regex = self.tries[number].get_or_init(|| self.compile(TRIES[number]));
        let ends = |regex: &Regex| catch_unwind(AssertUnwindSafe(|| regex.is_match(text).is_ok())).unwrap_or(false);
        regex.as_ref().is_some_and(ends)
    }

    fn compile(&self, limit: usize) -> Option<Regex> {
        let mut builder = RegexBuilder::new(&self.translated);
        builder.backtrack_limit(limit).delegate_size_limit(PROGRAM_BYTES).delegate_dfa_size_limit(CACHE_BYTES);
        builder.build().ok()
    }
}
