//! What a token says by itself.

use std::time::Duration;

use portcullis_policies::kit::{
    clock::Timestamp,
    jwt::{self, JwtError},
};

use super::{
    super::{
        check::{Case, Running},
        finding::Finding,
    },
    case::{Fact, Token},
    said::{Said, read_as},
};
use crate::{api_keys, fault::Fault};

/// The claims by which a token is judged.
const CLAIMS: [&str; 7] = ["iss", "aud", "sub", "client_id", "azp", "scope", "scp"];
const TIMES: [&str; 3] = ["iat", "nbf", "exp"];
/// By how much clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);

pub(super) fn form(case: &mut Token) -> Running<'_> {
    Box::pin(async move {
        if api_keys::is_key(&case.text) {
            return vec![Finding::skipped("it is an API key, and no token: `portcullis keys list` knows it")];
        }
        case.said = Said::read(&case.text);
        vec![match &case.said {
            None => of_no_jwt(case),
            Some(said) => {
                let header = header(said);
                match jwt::Token::parse(&case.text) {
                    Ok(_) => {
                        case.is_jwt = true;
                        Finding::ok(&header)
                    }
                    Err(JwtError::Algorithm) => Finding::of(Fault::TokenAlgorithm, &header),
                    Err(error) => Finding::of(Fault::TokenIsNoJwt, &format!("{header}; but {error}")),
                }
            }
        }]
    })
}

/// Somebody else's server may take such tokens.
fn of_no_jwt(case: &Token) -> Finding {
    let what = match case.text.split('.').count() {
        5 => "it is encrypted (JWE), so only the server that it is for can read it".to_owned(),
        _ => format!("it is {} characters without the three parts of a JWT (opaque)", case.text.chars().count()),
    };
    if case.has(Fact::Routes) {
        Finding::of(Fault::TokenIsNoJwt, &what)
    } else {
        Finding::skipped(&format!("{what}: only its issuer can say what it is worth"))
    }
}

fn header(said: &Said) -> String {
    let members = ["alg", "typ", "kid"].into_iter().filter_map(|name| Some((name, said.header.get(name)?)));
    members.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn claims(case: &mut Token) -> Running<'_> {
    Box::pin(async move {
        let Some(said) = &case.said else { return Vec::new() };
        let known: Vec<_> = CLAIMS.into_iter().chain(TIMES).collect();
        let mut lines = vec![said.shown(&CLAIMS), said.groups(), said.others(&known)];
        lines.retain(|line| !line.is_empty());
        lines.iter().map(|line| Finding::ok(line)).collect()
    })
}

pub(super) fn times(case: &mut Token) -> Running<'_> {
    Box::pin(async move {
        let Some(said) = &case.said else { return Vec::new() };
        let evidence = moments(said, case.now);
        let untimely = untimely(said, case.now).map(|fault| Finding::of(fault, &evidence));
        let endless = said.moment("exp").is_none().then(|| {
            let exp = said.shown(&["exp"]);
            let what = if exp.is_empty() { "there is no exp".to_owned() } else { format!("{exp} is no moment") };
            Finding::of(Fault::TokenWithoutEnd, &format!("{what}; {evidence}"))
        });
        let found: Vec<_> = untimely.into_iter().chain(endless).collect();
        if found.is_empty() { vec![Finding::ok(&evidence)] } else { found }
    })
}

/// Those of its moments that there are, and the present one.
pub(super) fn moments(said: &Said, now: Timestamp) -> String {
    let given = TIMES.into_iter().filter_map(|name| Some((name, said.moment(name)?)));
    let given: Vec<_> = given.map(|(name, at)| format!("{name} {}", read_as(at))).collect();
    let now = format!("now it is {}", read_as(now));
    if given.is_empty() { now } else { format!("{}; {now}", given.join(", ")) }
}

/// What is wrong with its moments, also where clocks differ a little. A route may forgive less.
pub(super) fn untimely(said: &Said, now: Timestamp) -> Option<Fault> {
    let is_past = |name| said.moment(name).is_some_and(|at| at <= now.minus(LEEWAY));
    let is_to_come = |name| said.moment(name).is_some_and(|at| at > now.plus(LEEWAY));
    match () {
        () if is_past("exp") => Some(Fault::TokenExpired),
        () if is_to_come("nbf") || is_to_come("iat") => Some(Fault::TokenNotYetValid),
        () => None,
    }
}

/// What says for which sign-in it is, by which it is an ID token (OpenID Connect Core §2): an access token never does.
pub(super) fn of_sign_in(said: &Said) -> Option<&'static str> {
    let claims = ["nonce", "at_hash", "c_hash", "s_hash"];
    claims.into_iter().find(|name| !is_access_token(said) && said.claims.contains_key(*name))
}

fn is_access_token(said: &Said) -> bool {
    let typ = said.header.get("typ").and_then(|typ| typ.as_str()).unwrap_or_default().to_ascii_lowercase();
    typ.trim_start_matches("application/") == "at+jwt"
}

pub(super) fn kind(case: &mut Token) -> Running<'_> {
    Box::pin(async move {
        let Some(said) = &case.said else { return Vec::new() };
        let mut findings = vec![match of_sign_in(said) {
            Some(name) => Finding::of(Fault::TokenIsAnIdToken, &format!("it has {name}")),
            None if is_access_token(said) => Finding::ok("typ says so"),
            None => Finding::ok("nothing says otherwise"),
        }];
        if said.claims.contains_key("cnf") {
            findings.push(Finding::of(Fault::TokenBound, "it has cnf"));
        }
        findings
    })
}
