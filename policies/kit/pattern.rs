//! Names, and patterns of names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::kit::policy::Problem;

/// A name as it is, or a pattern that is marked as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Pattern {
    /// Exactly this.
    Exact(String),
    /// With `*` for any letters and `?` for one.
    Glob(Glob),
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Glob {
    /// With `*` for any letters and `?` for one.
    pub glob: String,
}

impl Pattern {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(name) => name,
            Self::Glob(glob) => &glob.glob,
        }
    }
}

/// What one of several names must be like.
#[derive(Debug)]
pub struct Names {
    exact: Vec<String>,
    globs: Vec<WildMatch>,
    any_case: bool,
}

impl Names {
    /// Names as they are written.
    pub fn new(patterns: &[Pattern]) -> Self {
        let mut names = Self { exact: Vec::new(), globs: Vec::new(), any_case: false };
        for pattern in patterns {
            match pattern {
                Pattern::Exact(name) => names.exact.push(name.clone()),
                Pattern::Glob(glob) => names.globs.push(WildMatch::new(&glob.glob)),
            }
        }
        names
    }

    /// The same for names in which case does not matter.
    pub fn in_any_case(patterns: &[Pattern]) -> Self {
        let lower = |pattern: &Pattern| match pattern {
            Pattern::Exact(name) => Pattern::Exact(name.to_ascii_lowercase()),
            Pattern::Glob(glob) => Pattern::Glob(Glob { glob: glob.glob.to_ascii_lowercase() }),
        };
        Self { any_case: true, ..Self::new(&patterns.iter().map(lower).collect::<Vec<_>>()) }
    }

    /// Does one of them fit this name?
    pub fn fit(&self, name: &str) -> bool {
        if self.any_case {
            return self.fits(&name.to_ascii_lowercase());
        }
        self.fits(name)
    }

    /// Do they fit one of these names?
    pub fn fit_any<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        names.into_iter().any(|name| self.fit(name))
    }

    fn fits(&self, name: &str) -> bool {
        self.exact.iter().any(|exact| exact == name) || self.globs.iter().any(|glob| glob.matches(name))
    }
}

/// Reports lists of names below `at` that nothing fits.
pub fn check_lists<'a>(
    lists: impl IntoIterator<Item = (&'static str, &'a [Pattern])>,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    for (name, list) in lists {
        if list.is_empty() {
            let problem = Problem::new(format!("{at}/{name}"), "nothing fits an empty list");
            problems.push(problem.hint("leave it out to mean every one"));
        }
        for (index, pattern) in list.iter().enumerate() {
            if let Pattern::Exact(exact) = pattern
                && exact.contains('*')
            {
                let why = format!("{exact:?} is taken literally, and no name has an asterisk in it");
                let problem = Problem::new(format!("{at}/{name}/{index}"), why);
                problems.push(problem.hint(format!("write {{ \"glob\": {exact:?} }} for a pattern")));
            }
        }
    }
}
