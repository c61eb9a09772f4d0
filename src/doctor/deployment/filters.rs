//! Filters against what their upstreams really have.

use super::{
    super::{check::Running, finding::Finding},
    case::Deployment,
};
use crate::{
    config::{Located, Report},
    fault::Fault,
    pipeline::misfits,
};

/// What `portcullis explain` says of them.
pub(super) fn fit(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let routes = &case.plan.checked.routes;
        let all = case.offers.iter().filter_map(|(index, catalogue)| Some((routes.get(*index)?, catalogue)));
        let problems: Vec<_> = all.flat_map(|(route, catalogue)| misfits(&case.plan, route, catalogue)).collect();
        let report = Report::new(&case.plan.document, &problems);
        let finding = |problem: &Located| {
            case.finding(Fault::FilterMatchesNothing, problem, problem.hint().or(Some("take it out")))
        };
        let findings: Vec<_> = report.problems().map(finding).collect();
        if findings.is_empty() { vec![Finding::ok("each names something that is there")] } else { findings }
    })
}
