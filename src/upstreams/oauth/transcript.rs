//! What was asked during a set-up, and what came of it.

use std::fmt;

use portcullis_policies::kit::words;
use url::{Position, Url};

/// The steps of a set-up, for the log and for whoever has to find out why it failed. There is no secret, no token and
/// no code in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript(Vec<Step>);

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was looked for.
    pub what: String,
    /// Where: a URL without its query, which may hold secrets.
    pub at: Option<String>,
    /// What came of it.
    pub verdict: String,
}

/// Steps at most. A set-up has fewer; this bounds what is kept whatever an upstream thinks of.
const MOST: usize = 40;

impl Transcript {
    /// The steps, in their order.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(super) fn asked(&mut self, what: &str, at: &Url, verdict: impl fmt::Display) {
        self.push(what, Some(bare(at).to_owned()), &verdict);
    }

    pub(super) fn decided(&mut self, what: &str, verdict: impl fmt::Display) {
        self.push(what, None, &verdict);
    }

    fn push(&mut self, what: &str, at: Option<String>, verdict: &dyn fmt::Display) {
        if self.0.len() < MOST {
            self.0.push(Step { what: what.to_owned(), at, verdict: plain(&verdict.to_string()) });
        }
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, step)| {
            let gap = if at == 0 { "" } else { "\n" };
            match &step.at {
                Some(url) => write!(f, "{gap}{} at {url}: {}", step.what, step.verdict),
                None => write!(f, "{gap}{}: {}", step.what, step.verdict),
            }
        })
    }
}

/// Letters of a verdict, and of somebody else's words, at most.
const LONGEST: usize = 300;

/// Words of somebody else, made short and plain enough to stand in a log and on a page.
pub(super) fn plain(text: &str) -> String {
    words::plain(text, LONGEST)
}

/// An address without its query, which may hold secrets.
pub(super) fn bare(url: &Url) -> &str {
    &url[..Position::AfterPath]
}
