//! What an upstream offers, and what of a configuration does not fit it.

use std::{path::Path, time::Duration};

use portcullis_policies::kit::{catalogue::Catalogue, policy::Problem, words};
use serde_json::Value;

use super::{Plan, Toolbox, upstream_only};
use crate::{
    config::{Link, PlannedRoute},
    upstreams::catalogue::{self, Eras},
};

/// How long an upstream may take to say what it offers.
const PATIENCE: Duration = Duration::from_secs(5);
const UNCOMPILED: &str = "the route cannot be compiled";

/// What an upstream answers.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which eras of MCP it speaks.
    pub eras: Eras,
    /// What it has, or why that could not be had.
    pub catalogue: Result<Catalogue, String>,
}

/// Asks the upstream of a route what it speaks and offers, past all policies but those that prepare requests for it.
pub async fn offer(plan: &Plan, route: &PlannedRoute, file: &Path, tools: &Toolbox) -> Result<Offer, String> {
    let edge = upstream_only(&plan.checked, route, file, tools).ok_or(UNCOMPILED)?;
    let looked = catalogue::look(&edge, PATIENCE).await.map(|(eras, catalogue)| Offer { eras, catalogue });
    looked.ok_or_else(silent)
}

/// Asks the upstream of a route in the same way what its tools are: their definitions, as it writes them.
pub async fn definitions(
    plan: &Plan,
    route: &PlannedRoute,
    file: &Path,
    tools: &Toolbox,
) -> Result<Vec<Value>, String> {
    let edge = upstream_only(&plan.checked, route, file, tools).ok_or(UNCOMPILED)?;
    catalogue::tools(&edge, PATIENCE).await.unwrap_or_else(|| Err(silent()))
}

fn silent() -> String {
    format!("it did not answer within {} s", PATIENCE.as_secs())
}

/// What of a route's policies does not fit what its upstream has.
pub fn misfits(plan: &Plan, route: &PlannedRoute, catalogue: &Catalogue) -> Vec<Problem> {
    plan.checked.links(route).flat_map(|(_, link)| review(link, catalogue)).collect()
}

fn review(link: &Link, catalogue: &Catalogue) -> Vec<Problem> {
    let Some(options) = &link.options else { return Vec::new() };
    let problems = link.kind.review(options, catalogue).into_iter();
    problems.map(|problem| problem.within(link.at.as_str())).collect()
}

/// What there is of each kind, in words.
pub fn counted(catalogue: &Catalogue) -> String {
    let count = |list: &Option<Vec<String>>, noun: &str| list.as_ref().map(|list| words::counted(list.len(), noun));
    let counts = [
        count(&catalogue.tools, "tool"),
        count(&catalogue.prompts, "prompt"),
        count(&catalogue.resources, "resource"),
        count(&catalogue.resource_templates, "resource template"),
    ];
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
