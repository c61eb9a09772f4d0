//! The upstreams, asked as the gateway asks them.

use portcullis_policies::kit::{catalogue::Catalogue, credential::UpstreamAuth};
use url::Url;

use super::{
    super::{
        check::Running,
        finding::{Finding, State},
        server::{AskedBy, examined},
    },
    case::{Deployment, Fact},
    sign_in,
};
use crate::{
    config::PlannedRoute,
    fault::Fault,
    pipeline::{counted, offer},
};

pub(super) fn answer(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let (mut findings, mut offers) = (Vec::new(), Vec::new());
        for (index, route) in case.routes() {
            match auth(case, route) {
                Some(auth) => findings.extend(protected(case, route, &auth).await),
                None => match offered(case, route).await {
                    Ok(catalogue) => {
                        findings.push(told(route, &catalogue, case));
                        offers.push((index, catalogue));
                    }
                    Err(found) => findings.extend(found),
                },
            }
        }
        let more = case.plan.checked.routes.len().saturating_sub(case.routes().count());
        if more > 0 {
            findings.push(Finding::skipped(&format!("{more} more routes are not looked at")));
        }
        if !offers.is_empty() {
            case.found(Fact::Offers);
        }
        case.offers = offers;
        findings
    })
}

fn auth(case: &Deployment, route: &PlannedRoute) -> Option<UpstreamAuth> {
    case.plan.checked.links(route).find_map(|(_, link)| link.upstream_auth())
}

fn told(route: &PlannedRoute, catalogue: &Catalogue, case: &Deployment) -> Finding {
    let upstream = case.plan.document.secrets.mask(&route.upstream.to_string());
    let evidence = format!("{}: {upstream} offers {}", route.path, counted(catalogue));
    let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if is_empty(&catalogue.tools) && is_empty(&catalogue.prompts) && is_empty(&catalogue.resources) {
        let finding = Finding::of(Fault::NoTools, &evidence);
        // The demo server has no address.
        return match address(route) {
            Some(url) => finding.of_server(&url),
            None => finding,
        };
    }
    Finding::ok(&evidence)
}

fn address(route: &PlannedRoute) -> Option<Url> {
    Url::parse(route.upstream.url.as_deref()?).ok()
}

/// What the upstream has. If that cannot be had, the examination of a server says why.
async fn offered(case: &Deployment, route: &PlannedRoute) -> Result<Catalogue, Vec<Finding>> {
    let why = match offer(&case.plan, route, &case.file, &case.tools).await.and_then(|offer| offer.catalogue) {
        Ok(catalogue) => return Ok(catalogue),
        Err(why) => format!("{}: {why}", route.path),
    };
    let Some(url) = address(route) else {
        return Err(vec![Finding::of(Fault::UpstreamFails, &why)]);
    };
    let seen = examined(&url, case.roots(&route.upstream), AskedBy::Gateway).await;
    let faults = faults_of_the_way(seen.faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let prepares = case.plan.checked.links(route).any(|(_, link)| link.prepares_upstream());
    let fault = match (seen.server.asks_for_token(), prepares) {
        (true, true) => Fault::UpstreamRefuses,
        (true, false) => Fault::UpstreamAsksForToken,
        (false, _) => Fault::UpstreamFails,
    };
    Err(vec![Finding::of(fault, &why).of_server(&url)])
}

/// What keeps the gateway from it.
fn faults_of_the_way(faults: Vec<Finding>) -> Vec<Finding> {
    faults.into_iter().filter(|finding| finding.state == State::Failed).collect()
}

/// One that asks for a token: is it there, and can the gateway get one?
async fn protected(case: &Deployment, route: &PlannedRoute, auth: &UpstreamAuth) -> Vec<Finding> {
    if let Some(url) = address(route) {
        let faults = faults_of_the_way(examined(&url, case.roots(&route.upstream), AskedBy::Gateway).await.faults);
        if !faults.is_empty() {
            return faults;
        }
    }
    sign_in::possible(case, route, auth).await
}
