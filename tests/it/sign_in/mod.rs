//! Stories about signing in, from the first 401 to the last refresh.

mod api_keys;
mod assertions;
mod authorize;
mod boot;
mod code;
mod consent;
mod document_hosts;
mod documents;
mod faults;
mod flow;
mod hostile;
mod limits;
mod metadata;
mod nodes;
pub(crate) mod postgres;
mod provider;
mod provider_faults;
mod provider_refresh;
mod refresh;
mod register;
mod resource;
mod revoke;
mod rotation;
mod taken_back;
mod vault;

use serde_json::json;

use crate::harness::{Gateway, Route, Setup};

/// A gateway with two routes that ask for the sign-in by name alone.
fn setup() -> Setup {
    let route = || Route::demo().policy("dev-login", &json!({}));
    Setup::new().route("/mcp", route()).route("/other", route())
}

/// A gateway that the world knows as `https://mcp.example.com`, with a provider that nobody has to reach.
fn public() -> Setup {
    let provider = json!({
        "oidc": { "issuer": "https://idp.example.com" },
        "browserLogin": { "clientId": "gateway", "clientSecret": "secret", "scope": "openid" },
    });
    let setup = Setup::new().route("/mcp", Route::demo().policy("mcp-oauth-inbound", &provider));
    setup.gateway("publicUrl", json!("https://mcp.example.com"))
}

async fn gateway() -> Gateway {
    setup().start().await
}
