//! A route's chain with nothing behind it, for requests that are only rehearsed.

use portcullis_policies::kit::{
    policy::Problem,
    rehearsal::{Stage, end},
};
use serde_json::Value;

use super::{Plan, Route, compile};
use crate::config::PlannedRoute;

/// What a policy is reported as that does not say how it takes part.
const NO_PART: &str = "the policy does not say how it is rehearsed";

/// A route as it is served, but on `stage`, and with an end that knows these definitions of tools, or why there are none. Nothing
/// is written, and nobody is asked anything.
pub fn rehearse(
    plan: &Plan,
    route: &PlannedRoute,
    stage: &Stage,
    definitions: Result<Vec<Value>, String>,
) -> Result<Route, Vec<Problem>> {
    let mut layers = Vec::new();
    for (_, link) in plan.checked.links(route) {
        let Some(options) = &link.options else { continue };
        match link.kind.rehearse(options, stage)? {
            None => stage.trace.aside(NO_PART),
            Some(layer) => layers.push(stage.trace.watch(layer)),
        }
    }
    let last = stage.trace.watch(compile::last(&plan.checked, route));
    Ok(compile::assemble(&plan.checked, route, layers, last, end(stage.trace.clone(), definitions)))
}
