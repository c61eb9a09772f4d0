//! The file itself.

use portcullis_policies::kit::words::counted;

use super::{
    super::{check::Running, finding::Finding},
    case::{Deployment, Fact},
};
use crate::{config::Located, fault::Fault};

/// What `portcullis check` says of it.
pub(super) fn problems(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let needs_store = case.generation().map(|generation| generation.needs_store());
        if let Some(needs_store) = needs_store {
            case.found(Fact::Plan);
            if needs_store {
                case.found(Fact::NeedOfStore);
            }
        }
        let findings: Vec<_> = case.plan.report.problems().map(|problem| finding(case, problem)).collect();
        if findings.is_empty() {
            let date = case.plan.document.value["compatibilityDate"].as_str().unwrap_or_default().to_owned();
            let routes = case.plan.checked.routes.len();
            return vec![Finding::ok(&format!("{}, no problems, compatibilityDate {date}", counted(routes, "route")))];
        }
        findings
    })
}

fn finding(case: &Deployment, problem: &Located) -> Finding {
    let fault = if problem.is_error() { Fault::ConfigurationErrors } else { Fault::ConfigurationWarnings };
    case.finding(fault, problem, problem.hint())
}
