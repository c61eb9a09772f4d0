//! Clients: registering them (RFC 7591), and believing that they are who they say.

use axum::{Json, extract::State, response::IntoResponse};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use portcullis_policies::kit::{fetch::is_loopback, random};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{KnownClient, ProtectedDemo, denied::Denied, form::Form, same::is_same};

/// Somebody who may ask for tokens.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) name: String,
    /// None: a public client.
    pub(super) secret: Option<SecretString>,
    pub(super) redirect_uris: Vec<String>,
}

impl From<&KnownClient> for Client {
    fn from(known: &KnownClient) -> Self {
        let KnownClient { id, secret, redirect_uris } = known.clone();
        Self { name: id.clone(), id, secret: Some(secret), redirect_uris }
    }
}

#[derive(Deserialize)]
struct Registration {
    #[serde(default)]
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    token_endpoint_auth_method: Option<String>,
    #[serde(default = "by_code")]
    grant_types: Vec<String>,
}

/// What `grant_types` is where it is left out (RFC 7591 §2).
fn by_code() -> Vec<String> {
    vec!["authorization_code".to_owned()]
}

const LONGEST_NAME: usize = 100;
const MOST_REDIRECT_URIS: usize = 10;

/// Registers whoever asks.
pub(super) async fn register(State(demo): State<ProtectedDemo>, body: Bytes) -> Result<impl IntoResponse, Denied> {
    let asked: Registration =
        serde_json::from_slice(&body).map_err(|_| Denied::metadata("the body is no client metadata"))?;
    asked.judge()?;
    let method = asked.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
    let secret = if method == "none" { None } else { Some(random::secret()) };
    let client = Client {
        id: format!("demo-{}", random::id()),
        name: asked.client_name.unwrap_or_else(|| "a client without a name".to_owned()),
        secret: secret.clone().map(SecretString::from),
        redirect_uris: asked.redirect_uris,
    };
    let mut told = json!({
        "client_id": client.id,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": asked.grant_types,
        "token_endpoint_auth_method": method,
    });
    if let Some(secret) = secret {
        told["client_secret"] = secret.into();
        told["client_secret_expires_at"] = 0.into();
    }
    demo.book().register(client)?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(told)))
}

impl Registration {
    fn judge(&self) -> Result<(), Denied> {
        if self.client_name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return Err(Denied::metadata("client_name is too long"));
        }
        let method = self.token_endpoint_auth_method.as_deref();
        if method.is_some_and(|method| !super::metadata::AUTH_METHODS.contains(&method)) {
            return Err(Denied::metadata("token_endpoint_auth_method must be one that the metadata name"));
        }
        if self.redirect_uris.is_empty() && self.grant_types.iter().any(|grant| grant == "authorization_code") {
            return Err(Denied::redirect_uri("redirect_uris must not be empty"));
        }
        if self.redirect_uris.len() > MOST_REDIRECT_URIS || !self.redirect_uris.iter().all(|uri| is_fit(uri)) {
            return Err(Denied::redirect_uri("redirect_uris must be a few addresses with https, or http on loopback"));
        }
        Ok(())
    }
}

fn is_fit(redirect_uri: &str) -> bool {
    Url::parse(redirect_uri).is_ok_and(|url| {
        url.fragment().is_none() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
    })
}

/// The client that sent a request to the token endpoint, by the header or by the form, never by both (RFC 6749 §2.3.1).
pub(super) fn authenticate(demo: &ProtectedDemo, headers: &HeaderMap, form: &Form) -> Result<Client, Denied> {
    let in_header = headers.get(header::AUTHORIZATION).is_some();
    let (id, secret) = match (basic(headers), form.get("client_secret")) {
        (None, _) if in_header => return Err(Denied::client("the Authorization header is not Basic")),
        (Some(_), Some(_)) => return Err(Denied::request("the client shows a secret twice")),
        (Some((id, secret)), None) => (id, Some(secret)),
        (None, secret) => (form.require("client_id", "client_id is missing")?.to_owned(), secret.map(str::to_owned)),
    };
    let client = demo.book().client(&id).ok_or(Denied::client("no client has this id"))?;
    match (&client.secret, secret) {
        (None, None) => Ok(client),
        (Some(expected), Some(shown)) if is_same(&shown, expected.expose_secret()) => Ok(client),
        _ => Err(Denied::client("the client's secret is wrong, missing, or one too many")),
    }
}

/// Id and secret of a Basic header, each form-encoded within it.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}
