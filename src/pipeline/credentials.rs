//! What the credential of an upstream demands of the rest of a configuration.

use std::collections::BTreeMap;

use portcullis_policies::{
    kit::{
        credential::{AuthMode, UpstreamAuth},
        fetch::is_loopback,
        policy::{Fact, PolicyKind, Problem},
    },
    upstream_auth_retry::UpstreamAuthRetry,
};

use url::Url;

use crate::config::{Checked, Link, PlannedRoute, Pointer};

/// A policy that shows the upstream of one route a credential which the gateway holds.
struct Use<'a> {
    route: &'a PlannedRoute,
    at: &'a Pointer,
    link: &'a Link,
    auth: UpstreamAuth,
}

/// What is wrong about the policies that show upstreams a credential.
pub(super) fn credential_problems(checked: &Checked) -> Vec<Problem> {
    let routes = checked.routes.iter();
    let uses: Vec<_> =
        routes.flat_map(|route| checked.links(route).filter_map(move |link| used(route, link))).collect();
    let mut problems = ids_that_mean_two_things(&uses);
    problems.extend(checked.routes.iter().filter_map(|route| in_the_clear(checked, route)));
    for one in &uses {
        problems.extend(nobody_can_connect(checked, one));
        problems.extend(without_retry(checked, one));
        problems.extend(without_sign_in(one));
    }
    problems
}

fn used<'a>(route: &'a PlannedRoute, (at, link): (&'a Pointer, &'a Link)) -> Option<Use<'a>> {
    Some(Use { route, at, link, auth: link.upstream_auth()? })
}

/// Connections are kept under the id: one id for two upstreams would show the token of one to the other.
fn ids_that_mean_two_things(uses: &[Use<'_>]) -> Vec<Problem> {
    let mut first = BTreeMap::<&str, &Use<'_>>::new();
    let mut problems = Vec::new();
    for one in uses {
        let id = &*one.auth.id;
        let known = *first.entry(id).or_insert(one);
        let (path, other) = (&one.route.path, &known.route.path);
        if known.route.upstream.to_string() != one.route.upstream.to_string() {
            let why = format!("the id {id:?} means another upstream here than on {other}");
            let hint = format!("give the upstream of {path} an id of its own: tokens are kept under it");
            problems.push(Problem::new(one.at.as_str(), why).hint(hint));
        } else if known.link.options != one.link.options {
            let why = format!("the id {id:?} is set up otherwise here than on {other}");
            let hint = "name the policy once under `policies`, and use that name on both routes";
            problems.push(Problem::new(one.at.as_str(), why).hint(hint));
        }
    }
    problems
}

/// A person who signs in with a key or a token of others has no page here on which to connect.
fn nobody_can_connect(checked: &Checked, one: &Use<'_>) -> Option<Problem> {
    if !one.auth.mode.is_connected_by_people() {
        return None;
    }
    let links = || checked.links(one.route).map(|(_, link)| link);
    let door = links().find(|link| link.kind.gives.contains(&Fact::CALLER))?;
    // Options that cannot be read have been reported.
    if door.options.is_none() || door.sign_in().is_some() {
        return None;
    }
    let (name, mode) = (&door.name, one.auth.mode.name());
    let why = format!("nobody can connect: {mode:?} needs a page where people sign in, and `{name}` has none");
    let hint = format!("sign people in with `mcp-oauth-inbound` instead of `{name}`, or choose another `authMode`");
    Some(Problem::new(one.at.as_str(), why).hint(hint))
}

/// The server inside this program takes whatever it is shown: there is nobody who could give a token for it.
fn without_sign_in(one: &Use<'_>) -> Option<Problem> {
    let (AuthMode::UserOAuth(oauth) | AuthMode::SharedOAuth(oauth) | AuthMode::ClientCredentials(oauth)) =
        &one.auth.mode
    else {
        return None;
    };
    if !one.route.upstream.demo || oauth.classic.is_some() {
        return None;
    }
    let name = &one.link.name;
    let why = format!("the built-in demo server has no sign-in, so `{name}` cannot get a token for it");
    let hint = "run `portcullis demo-server --oauth`, and give its address as the route's `upstream.url`";
    Some(Problem::new(one.at.as_str(), why).hint(hint))
}

/// Whoever sits between here and there reads the credentials.
fn in_the_clear(checked: &Checked, route: &PlannedRoute) -> Option<Problem> {
    let url = Url::parse(route.upstream.url.as_deref()?).ok()?;
    if url.scheme() != "http" || is_loopback(&url) {
        return None;
    }
    let shows = |link: &Link| link.kind.gives.contains(&Fact::UPSTREAM_CREDENTIAL);
    let (_, link) = checked.links(route).find(|(_, link)| shows(link))?;
    let why = format!("`{}` shows credentials to an upstream without TLS: whoever is between reads them", link.name);
    let at = route.at.join("upstream").join("url");
    Some(Problem::new(at, why).hint("use https, unless nobody can be between").warning())
}

/// Tokens end before their time: whoever calls next would get an error that one more try mends.
fn without_retry(checked: &Checked, one: &Use<'_>) -> Option<Problem> {
    let retry = PolicyKind::of::<UpstreamAuthRetry>();
    if checked.links(one.route).any(|(_, link)| link.kind == retry) {
        return None;
    }
    let name = &one.link.name;
    let why =
        format!("when the upstream refuses a credential of `{name}`, the call fails although a newer one would do");
    Some(Problem::new(one.at.as_str(), why).hint(format!("put \"{}\" before `{name}`", retry.name)).warning())
}
