//! Where a token and what a route expects differ.

use portcullis_policies::kit::{
    jwt::{self, JwtError, Rules},
    sign_in::OutsideIssuer,
};

use super::{
    super::{check::Running, finding::Finding},
    case::Token,
    expected::Expected,
    said::Said,
    text::{moments, of_sign_in, untimely},
};
use crate::fault::Fault;

pub(super) fn fits(case: &mut Token) -> Running<'_> {
    Box::pin(async move {
        let (Some(expectations), Some(said)) = (&case.expectations, &case.said) else { return Vec::new() };
        let compared: Vec<_> = expectations.compared().map(|route| (route, compare(case, said, route))).collect();
        let fitting: Vec<_> = compared.iter().filter(|(_, differences)| differences.is_empty()).collect();
        if !fitting.is_empty() {
            return fitting.iter().map(|(route, _)| Finding::ok(&fit(route))).collect();
        }
        // It is meant for one route at most: what it lacks for the others says nothing.
        let nearest = compared.into_iter().min_by_key(|(_, differences)| distance(differences));
        nearest.map(|(_, differences)| differences).unwrap_or_default()
    })
}

fn fit(Expected { path, more_scopes, .. }: &Expected) -> String {
    let more =
        if more_scopes.is_empty() { String::new() } else { format!("; some calls need {} too", more_scopes.join(" ")) };
    format!("{path}: it is what the route expects{more}")
}

/// Of another issuer is further than anything that the right issuer could have said otherwise.
fn distance(differences: &[Finding]) -> usize {
    let weight = |finding: &Finding| match finding.fault {
        Some(Fault::TokenWrongIssuer) => 10,
        Some(Fault::TokenWrongAudience) => 3,
        _ => 1,
    };
    differences.iter().map(weight).sum()
}

fn compare(case: &Token, said: &Said, route: &Expected) -> Vec<Finding> {
    let Ok(token) = jwt::Token::parse(&case.text) else { return Vec::new() };
    let Some(issuer) = issuer_of(&token, route) else {
        return vec![of_issuer(token.issuer().unwrap_or_default(), route)];
    };
    let faults = token.faults(&issuer.rules, case.now).into_iter();
    let own = faults.filter_map(|error| of_error(case, said, route, issuer, error));
    own.chain(of_scopes(said, route, issuer)).collect()
}

/// The issuer of the route that the token says it is from.
pub(super) fn issuer_of<'a>(token: &jwt::Token<'_>, route: &'a Expected) -> Option<&'a OutsideIssuer> {
    route.issuers.iter().find(|issuer| token.issuer() == Some(&*issuer.rules.issuer))
}

/// Who takes the tokens of one more issuer trusts it: that is only advised where it is the same one.
fn of_issuer(issuer: &str, route: &Expected) -> Finding {
    let known: Vec<_> = route.issuers.iter().map(|one| &*one.rules.issuer).collect();
    let evidence = format!("{}: iss is {issuer:?}, and the route takes tokens of {}", route.path, known.join(", "));
    let bare = |issuer: &str| issuer.trim_end_matches('/').to_ascii_lowercase();
    let fix = match () {
        () if route.is_own => format!(
            "The route takes only tokens of the gateway itself. Add {} to the client, and sign in at the gateway.",
            route.resource
        ),
        () if known.iter().any(|one| bare(one) == bare(issuer)) => {
            format!("It is the same issuer in another spelling: write {issuer:?} in the route, letter by letter.")
        }
        () => format!("Get a token of {}.", known.join(" or ")),
    };
    Finding::of(Fault::TokenWrongIssuer, &evidence).with_fix(fix)
}

fn of_error(case: &Token, said: &Said, route: &Expected, issuer: &OutsideIssuer, error: JwtError) -> Option<Finding> {
    if is_told_elsewhere(case, said, error) {
        return None;
    }
    let (path, rules) = (&route.path, &issuer.rules);
    let (fault, evidence) = match error {
        JwtError::Audience => return Some(of_audience(case, said, route, issuer)),
        JwtError::Algorithm => {
            (Fault::TokenAlgorithm, format!("alg is {}, and it takes {}", said.header["alg"], taken(rules)))
        }
        JwtError::Type => {
            (Fault::TokenType, format!("{}, and it takes {}", typ(said), rules.types.join(" ").trim_end()))
        }
        JwtError::Expired => (Fault::TokenExpired, by_the_second(case, said, rules, error)),
        JwtError::NotYetValid | JwtError::IssuedInFuture => {
            (Fault::TokenNotYetValid, by_the_second(case, said, rules, error))
        }
        JwtError::TooOld => (Fault::TokenExpired, error.to_string()),
        JwtError::Issuer => (Fault::TokenWrongIssuer, error.to_string()),
        _ => (Fault::TokenClaimMissing, error.to_string()),
    };
    Some(Finding::of(fault, &format!("{path}: {evidence}")))
}

/// What another check has found is not told once more.
fn is_told_elsewhere(case: &Token, said: &Said, error: JwtError) -> bool {
    match error {
        JwtError::Bound => true,
        JwtError::Type => of_sign_in(said).is_some(),
        // A token that never ends has not ended.
        JwtError::Expired if said.moment("exp").is_none() => true,
        JwtError::Expired | JwtError::NotYetValid | JwtError::IssuedInFuture => untimely(said, case.now).is_some(),
        _ => false,
    }
}

fn by_the_second(case: &Token, said: &Said, rules: &Rules, error: JwtError) -> String {
    format!("{error}, and clocks may differ by {} s; {}", rules.leeway.as_secs(), moments(said, case.now))
}

fn taken(rules: &Rules) -> String {
    let names = rules.algorithms.iter().flatten().map(|algorithm| algorithm.name());
    let names: Vec<_> = names.collect();
    if names.is_empty() { "those of the issuer's keys".to_owned() } else { names.join(" ") }
}

fn typ(said: &Said) -> String {
    said.header.get("typ").map_or_else(|| "there is no typ".to_owned(), |typ| format!("typ is {typ}"))
}

fn of_audience(case: &Token, said: &Said, route: &Expected, issuer: &OutsideIssuer) -> Finding {
    let (path, expected) = (&route.path, &issuer.rules.audiences);
    let finding = Finding::of(
        Fault::TokenWrongAudience,
        &format!("{path}: {}, and the route expects {}", said.shown(&["aud"]), expected.join(" or ")),
    );
    let given = said.scopes(&["aud".to_owned()]);
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    if given.iter().any(|one| expected.iter().any(|wanted| bare(one) == bare(wanted))) {
        let wanted = expected.first().map_or("", |wanted| &**wanted);
        return finding.with_fix(format!("Only the slash at the end differs: ask for a token for exactly {wanted}."));
    }
    let others = case.expectations.iter().flat_map(|expectations| &expectations.routes);
    match others.into_iter().find(|other| given.contains(&&*other.resource)) {
        Some(other) => finding.with_fix(format!(
            "The token is for {}. Get one for {}, which is another route.",
            other.path, route.resource
        )),
        None => finding,
    }
}

fn of_scopes(said: &Said, route: &Expected, issuer: &OutsideIssuer) -> Option<Finding> {
    let given = said.scopes(&issuer.scope_claims);
    let missing: Vec<_> =
        route.scopes.iter().filter(|scope| !given.contains(&&***scope)).map(|scope| &**scope).collect();
    let has = if given.is_empty() { "none".to_owned() } else { given.join(" ") };
    let evidence = || format!("{}: it lacks {}, and has {has}", route.path, missing.join(" "));
    (!missing.is_empty()).then(|| Finding::of(Fault::TokenScopeMissing, &evidence()))
}
