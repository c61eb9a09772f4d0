//! What is exposed.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use wildmatch::WildMatch;

use super::{
    options::{CapabilityFilterOptions, Entry, Projection},
    template::Template,
};
use crate::kit::{
    catalogue::{Catalogue, nearest},
    listing::{ListKind, Shown},
    names::NameMap,
    policy::Problem,
};

/// Everything that is exposed.
#[derive(Debug)]
pub(super) struct Allowed {
    tools: Option<AllowList>,
    prompts: Option<AllowList>,
    resources: Option<AllowList>,
    templates: Option<AllowList>,
    /// The exposed templates, as patterns of URIs.
    patterns: Vec<Template>,
    /// The capabilities of which nothing is exposed.
    withheld: Vec<&'static str>,
}

impl Allowed {
    pub(super) fn new(options: CapabilityFilterOptions) -> Result<Self, Vec<Problem>> {
        let CapabilityFilterOptions { tools, prompts, resources, resource_templates } = options;
        let mut problems = Vec::new();
        let tools = AllowList::new(ListKind::Tools, tools, &mut problems);
        let prompts = AllowList::new(ListKind::Prompts, prompts, &mut problems);
        let resources = AllowList::new(ListKind::Resources, resources, &mut problems);
        let templates = AllowList::new(ListKind::Templates, resource_templates, &mut problems);
        let patterns =
            templates.iter().flat_map(|list| list.exact.keys()).map(|template| Template::new(template)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let empty = |list: &Option<AllowList>| list.as_ref().is_some_and(AllowList::is_empty);
        // Without a template that is exposed by name, no URI can be read that is not in `resources`.
        let kinds = [
            ("tools", empty(&tools)),
            ("prompts", empty(&prompts)),
            ("resources", empty(&resources) && templates.as_ref().is_none_or(AllowList::is_empty)),
        ];
        let withheld = kinds.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| name).collect();
        Ok(Self { tools, prompts, resources, templates, patterns, withheld })
    }

    /// The capabilities (`tools`, `prompts`, `resources`) of which nothing is exposed.
    pub(super) fn withheld(&self) -> &[&'static str] {
        &self.withheld
    }

    pub(super) fn list(&self, kind: ListKind) -> Option<&AllowList> {
        match kind {
            ListKind::Tools => self.tools.as_ref(),
            ListKind::Prompts => self.prompts.as_ref(),
            ListKind::Resources => self.resources.as_ref(),
            ListKind::Templates => self.templates.as_ref(),
        }
    }

    pub(super) fn tool(&self, name: &str) -> bool {
        self.tools.as_ref().is_none_or(|list| list.allows(name))
    }

    pub(super) fn prompt(&self, name: &str) -> bool {
        self.prompts.as_ref().is_none_or(|list| list.allows(name))
    }

    /// May this URI be read? If `resources` is given it decides, together with the templates that are exposed. A
    /// completion's reference may also be a template itself.
    ///
    /// A URI that climbs (`..`) leads elsewhere than it looks, so no pattern speaks for it.
    pub(super) fn uri(&self, uri: &str, may_be_template: bool) -> bool {
        if may_be_template && uri.contains('{') {
            return self.templates.as_ref().is_none_or(|list| list.allows(uri));
        }
        let Some(resources) = &self.resources else { return true };
        let by_pattern = || resources.allows(uri) || self.patterns.iter().any(|pattern| pattern.matches(uri));
        resources.names(uri) || (!climbs(uri) && by_pattern())
    }

    /// The entries that name nothing the upstream has.
    pub(super) fn unmatched(&self, upstream: &Catalogue) -> Vec<Problem> {
        let pairs = [
            (ListKind::Tools, &upstream.tools),
            (ListKind::Prompts, &upstream.prompts),
            (ListKind::Resources, &upstream.resources),
            (ListKind::Templates, &upstream.resource_templates),
        ];
        let known = pairs.iter().filter_map(|(kind, names)| Some((*kind, self.list(*kind)?, names.as_ref()?)));
        known
            .flat_map(|(kind, list, names)| list.unmatched(kind, &names.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect()
    }
}

/// Has it a segment `..`, however it is escaped?
fn climbs(uri: &str) -> bool {
    let plain = percent_encoding::percent_decode_str(uri).decode_utf8_lossy();
    let plain = percent_encoding::percent_decode_str(&plain).decode_utf8_lossy();
    plain.split(['/', '\\', '?', '#']).any(|segment| segment == "..")
}

/// The exposed names or URIs of one kind.
#[derive(Debug)]
pub(super) struct AllowList {
    /// With what replaces the upstream's words, where something does.
    exact: NameMap<Box<str>, Exact>,
    globs: Vec<(usize, WildMatch)>,
    reported: AtomicBool,
}

#[derive(Debug)]
struct Exact {
    index: usize,
    overrides: Map<String, Value>,
}

impl AllowList {
    fn new<P: Projection>(kind: ListKind, entries: Option<Vec<Entry<P>>>, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut list = Self { exact: NameMap::default(), globs: Vec::new(), reported: AtomicBool::new(false) };
        for (index, entry) in entries?.into_iter().enumerate() {
            let (key, overrides) = match &entry {
                Entry::Glob(glob) => {
                    list.globs.push((index, WildMatch::new(&glob.glob)));
                    continue;
                }
                Entry::Exact(key) => (key.as_str(), Map::new()),
                Entry::Projection(projection) => (projection.key(), projection.overrides()),
            };
            let problem = |why: String, hint: &str| Problem::new(format!("/{}/{index}", kind.member()), why).hint(hint);
            if kind != ListKind::Templates && key.contains('*') && matches!(entry, Entry::Exact(_)) {
                problems.push(problem(
                    format!("{key:?} is taken literally, and no name has an asterisk in it"),
                    &format!("write {{ \"glob\": {key:?} }} for a pattern"),
                ));
            }
            if list.exact.insert(key.into(), Exact { index, overrides }).is_some() {
                problems.push(problem(format!("{key:?} is here twice"), "remove one of the two"));
            }
        }
        Some(list)
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.globs.is_empty()
    }

    pub(super) fn names(&self, name: &str) -> bool {
        self.exact.contains_key(name)
    }

    pub(super) fn allows(&self, name: &str) -> bool {
        self.names(name) || self.globs.iter().any(|(_, glob)| glob.matches(name))
    }

    /// What becomes of `name` in a list.
    pub(super) fn shows(&self, name: &str) -> Shown<'_> {
        match self.exact.get(name) {
            Some(exact) if !exact.overrides.is_empty() => Shown::With(&exact.overrides),
            _ if self.allows(name) => Shown::AsItIs,
            _ => Shown::Not,
        }
    }

    /// Has somebody been told already? From now on, yes.
    pub(super) fn reported(&self) -> bool {
        self.reported.swap(true, Ordering::Relaxed)
    }

    /// The entries that match none of `names`.
    pub(super) fn unmatched(&self, kind: ListKind, names: &[&str]) -> Vec<Problem> {
        let problem = |index: usize, what: String| {
            Problem::new(format!("/{}/{index}", kind.member()), format!("{what} matches nothing that the upstream has"))
                .warning()
        };
        let exact = self.exact.iter().filter(|(name, _)| !names.contains(&&***name)).map(|(name, exact)| {
            let problem = problem(exact.index, format!("{name:?}"));
            match nearest(name, names.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean {near:?}?")),
                None => problem.hint(format!("the upstream has {}", listed(names))),
            }
        });
        let globs =
            self.globs.iter().filter(|(_, glob)| !names.iter().any(|name| glob.matches(name))).map(|(index, glob)| {
                problem(*index, format!("the pattern {:?}", glob.to_string()))
                    .hint(format!("the upstream has {}", listed(names)))
            });
        let mut problems: Vec<_> = exact.chain(globs).collect();
        problems.sort_by(|a, b| a.at.cmp(&b.at));
        problems
    }
}

fn listed(names: &[&str]) -> String {
    const MOST: usize = 10;
    match names {
        [] => "none".to_owned(),
        names if names.len() <= MOST => names.join(", "),
        names => format!("{} and {} more", names[..MOST].join(", "), names.len() - MOST),
    }
}
