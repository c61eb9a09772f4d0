//! From a provider's claims to what is known of a caller.

use portcullis_policies::kit::{host::Identity, jwt::Claims, sign_in::ClaimNames};
use serde_json::Value;

/// Claims about the token and not about the person.
const OF_THE_TOKEN: &[&str] =
    &["iss", "aud", "exp", "iat", "nbf", "nonce", "azp", "at_hash", "c_hash", "s_hash", "jti", "sid", "auth_time"];

/// Who the claims of an ID token are about.
pub(super) fn identity(issuer: &str, claims: &Claims, names: &ClaimNames) -> Identity {
    let map = claims.as_map();
    let text = |name: &str| claims.text(name).map(ToOwned::to_owned);
    let verified = match map.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(verified)) => verified == "true",
        _ => false,
    };
    Identity {
        subject: format!("{issuer}|{}", claims.text("sub").unwrap_or_default()).into(),
        email: text("email").filter(|_| verified),
        name: text("name").or_else(|| text("preferred_username")),
        groups: names.groups_in(map),
        roles: names.roles_in(map),
        client: None,
        tenant: names.tenant_in(map),
        claims: map.iter().filter(|(name, _)| !OF_THE_TOKEN.contains(&name.as_str())).map(pair).collect(),
    }
}

fn pair((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}
