//! What clients find out by themselves.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{
    ProtectedDemo,
    scope::{READ, WRITE},
};

/// How a client may prove to be itself.
pub(super) const AUTH_METHODS: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

/// RFC 9728.
pub(super) async fn protected_resource(State(demo): State<ProtectedDemo>) -> Json<Value> {
    Json(json!({
        "resource": demo.mcp_url(),
        "resource_name": "Portcullis demo notebook",
        "authorization_servers": [demo.origin()],
        "scopes_supported": [READ, WRITE],
        "bearer_methods_supported": ["header"],
    }))
}

/// RFC 8414.
pub(super) async fn authorization_server(State(demo): State<ProtectedDemo>) -> Json<Value> {
    let origin = demo.origin();
    Json(json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "revocation_endpoint": format!("{origin}/revoke"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "authorization_response_iss_parameter_supported": true,
        "scopes_supported": [READ, WRITE],
    }))
}
