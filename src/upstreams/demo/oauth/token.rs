//! The token endpoint (OAuth 2.1 §3.2), and taking tokens back (RFC 7009).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::{
    ProtectedDemo,
    book::Tokens,
    client::{Client, authenticate},
    denied::Denied,
    form::Form,
};

/// Redeems what a client has.
pub(super) async fn token(
    State(demo): State<ProtectedDemo>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Denied> {
    let form = Form::parse(&body)?;
    let client = authenticate(&demo, &headers, &form)?;
    form.check_resource(&demo.mcp_url())?;
    let tokens = match form.require("grant_type", "grant_type is missing")? {
        "authorization_code" => by_code(&demo, &client, &form)?,
        "refresh_token" => by_refresh_token(&demo, &client, &form)?,
        "client_credentials" => by_credentials(&demo, &client, &form)?,
        _ => return Err(Denied::grant_type()),
    };
    Ok(demo.show(tokens))
}

fn by_code(demo: &ProtectedDemo, client: &Client, form: &Form) -> Result<Tokens, Denied> {
    let code = form.require("code", "code is missing")?;
    let redirect_uri = form.require("redirect_uri", "redirect_uri is missing")?;
    let verifier = form.require("code_verifier", "code_verifier is missing")?;
    let (now, life) = (demo.now(), demo.0.options.token_life);
    demo.book().redeem(code, &client.id, redirect_uri, verifier, now, life)
}

fn by_refresh_token(demo: &ProtectedDemo, client: &Client, form: &Form) -> Result<Tokens, Denied> {
    let token = form.require("refresh_token", "refresh_token is missing")?;
    let (now, life) = (demo.now(), demo.0.options.token_life);
    demo.book().refresh(token, &client.id, form.get("scope"), now, life)
}

fn by_credentials(demo: &ProtectedDemo, client: &Client, form: &Form) -> Result<Tokens, Denied> {
    if client.secret.is_none() {
        return Err(Denied::unauthorized_client("a client without a secret cannot vouch for itself"));
    }
    let (now, life) = (demo.now(), demo.0.options.token_life);
    demo.book().credentials(&client.id, demo.scope(form.get("scope")), now, life)
}

impl ProtectedDemo {
    fn show(&self, tokens: Tokens) -> Response {
        let mut told = json!({
            "access_token": tokens.access,
            "token_type": "Bearer",
            "expires_in": self.0.options.token_life.as_secs(),
            "scope": tokens.scope.to_string(),
        });
        if let Some(refresh) = tokens.refresh {
            told["refresh_token"] = refresh.into();
        }
        ([(header::CACHE_CONTROL, "no-store")], Json(told)).into_response()
    }
}

/// Takes a token back. A token that nobody knows is as good as taken back (RFC 7009 §2.2).
pub(super) async fn revoke(
    State(demo): State<ProtectedDemo>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Denied> {
    let form = Form::parse(&body)?;
    let client = authenticate(&demo, &headers, &form)?;
    demo.book().revoke(form.require("token", "token is missing")?, &client.id);
    Ok(StatusCode::OK)
}
