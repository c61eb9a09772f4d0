//! From checked values to running chains.
//!
//! [`plan`] is what `portcullis check` runs: it reads, checks, orders and compiles, and reports everything that is wrong.
//! What it gives is a whole [`Generation`] that only needs to be put in the place of the one before.

mod compile;
mod generation;
mod order;
mod reload;


mod trust;

use portcullis_policies::kit::policy::{PolicyKind, Problem};

pub use self::{
    generation::{Generation, Route},
    order::order_problems,
    reload::{Live, Reloaded, Watcher, plan_file, watch},
};
use crate::{
    config::{self, Checked, Document, Report, Surroundings},
    proxy::LocalServer,
};

/// What a configuration is compiled with: everything that is not in the file.
#[derive(Clone)]
pub struct Toolbox {
    /// The policies that the file may name.
    pub kinds: Vec<PolicyKind>,
    /// The server behind `"upstream": { "demo": true }`.
    pub demo: Option<LocalServer>,
}

impl std::fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Toolbox").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

/// A configuration that can run, or the report why not.
#[derive(Debug)]
pub struct Plan {
    /// What the document says.
    pub checked: Checked,
    /// The chains, ready to run; none if there are errors.
    pub generation: Option<Generation>,
    /// Errors and warnings.
    pub report: Report,
}

/// Reads, checks and compiles a configuration. Touches no network and starts nothing.
pub fn plan(name: &str, text: &str, surroundings: &Surroundings<'_>, tools: &Toolbox) -> Plan {
    let (document, mut problems) = Document::parse(name, text, surroundings);
    let (checked, found) = config::check(&document, &tools.kinds);
    problems.extend(found);
    problems.extend(checked.routes.iter().flat_map(|route| order_problems(route, &checked.policies, &tools.kinds)));
    let compiled = compile::compile(&checked, surroundings, tools);
    let generation = match compiled {
        Ok(generation) => Some(generation),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let report = Report::new(&document, &without_echoes(problems));
    Plan { checked, generation: generation.filter(|_| !report.has_errors()), report }
}

/// The same mistake seen twice is reported once.
fn without_echoes(problems: Vec<Problem>) -> Vec<Problem> {
    let mut distinct: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in problems {
        if !distinct.contains(&problem) {
            distinct.push(problem);
        }
    }
    distinct
}
