//! Where an issuer says that its keys are.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::object;
use crate::kit::{
    fetch::{Fetch, Wanted},
    json::Limits,
};

/// Finds the `jwks_uri` of `issuer`: OpenID Connect Discovery §4, else RFC 8414 §3.
///
/// # Errors
///
/// What each of the two places answered, for the log.
pub(super) async fn jwks_uri(issuer: &str, fetch: &dyn Fetch, patience: Duration) -> Result<Url, String> {
    let mut failed = Vec::new();
    for url in places(issuer)? {
        match fetch.fetch(Wanted { url: url.clone(), max_bytes: super::keys::LARGEST, patience }).await {
            // A document that is there and names another issuer is a reason to stop, not to look elsewhere.
            Ok(fetched) => return read(issuer, &fetched.body).map_err(|why| format!("{url}: {why}")),
            Err(error) => failed.push(format!("{url}: {error}")),
        }
    }
    Err(failed.join("; "))
}

fn places(issuer: &str) -> Result<[Url; 2], String> {
    let issuer = Url::parse(issuer).map_err(|error| format!("the issuer is not a URL: {error}"))?;
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        url
    };
    Ok([
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
    ])
}

fn read(issuer: &str, document: &[u8]) -> Result<Url, String> {
    let text = std::str::from_utf8(document).map_err(|error| error.to_string())?;
    let document = object(text, &Limits::MESSAGE).map_err(|flaw| format!("not good JSON: {flaw}"))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    match text("issuer") {
        Some(named) if named == issuer => {}
        // RFC 8414 §3.3: otherwise one issuer could speak for another.
        named => return Err(format!("its `issuer` is {named:?} and not {issuer:?}")),
    }
    let uri = text("jwks_uri").ok_or("it has no `jwks_uri`")?;
    let uri = Url::parse(uri).map_err(|error| format!("its `jwks_uri` is not a URL: {error}"))?;
    match uri.scheme() {
        "https" => Ok(uri),
        "http" if issuer.starts_with("http:") => Ok(uri),
        _ => Err("its `jwks_uri` is not https".to_owned()),
    }
}
