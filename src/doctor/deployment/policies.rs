//! What each policy says itself of where it runs.

use portcullis_policies::kit::policy::{self, Problem, Severity};

use super::{
    super::{check::Running, finding::Finding},
    address::behind_proxy,
    case::Deployment,
};
use crate::{config::Report, fault::Fault};

pub(super) fn work(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let gateway = case.gateway();
        let hides_addresses = behind_proxy(gateway) && gateway.trusted_proxies.is_empty();
        let deployment = policy::Deployment { host: &case.tools.host, hides_addresses };
        let links = case.links();
        let mut findings = Vec::new();
        for (_, link) in &links {
            let Some(options) = &link.options else { continue };
            for problem in link.kind.examine(options, &deployment).await {
                findings.push(finding(case, problem.within(link.at.as_str())));
            }
        }
        if findings.is_empty() {
            findings.push(Finding::ok(match links.len() {
                0 => "no route has a policy",
                1 => "1 policy finds nothing in its way",
                _ => "the policies find nothing in their way",
            }));
        }
        findings
    })
}

fn finding(case: &Deployment, problem: Problem) -> Finding {
    let fault = match problem.severity {
        Severity::Error => Fault::PolicyFails,
        Severity::Warning => Fault::PolicyWarns,
    };
    let report = Report::new(&case.plan.document, &[problem]);
    let Some(located) = report.problems().next() else { return Finding::of(fault, "") };
    case.finding(fault, located, located.hint())
}
