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

#[cfg(test)]
mod tests {
    use portcullis_policies::kit::{
        clock::{Clock, SystemClock},
        jwt::{Algorithm, KeySet, Rules, SigningKey, Token},
    };
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://idp.example.com";

    /// Claims exist only of tokens that were verified.
    fn verified(person: &Value) -> Claims {
        let (key, now) = (SigningKey::generate(Algorithm::Es256).unwrap(), SystemClock.now());
        let mut claims = json!({
            "iss": ISSUER, "sub": "ada", "aud": "portcullis", "iat": now.as_seconds(), "exp": now.as_seconds() + 60,
            "nonce": "n", "sid": "s", "at_hash": "h",
        });
        claims.as_object_mut().unwrap().extend(person.as_object().unwrap().clone());
        let keys = KeySet::read(json!({ "keys": [key.public_jwk()] }).to_string().as_bytes()).unwrap();
        let token = key.sign("JWT", &claims).unwrap();
        Token::parse(&token).unwrap().verify(&keys, &Rules::id_token(ISSUER, "portcullis"), now).unwrap()
    }

    #[test]
    fn roles_groups_and_the_tenant_come_from_where_the_configuration_says() {
        let claims = verified(&json!({
            "roles": ["reader"], "groups": "staff", "realm_access": { "roles": ["writer", "reader"] },
            "https://acme.example/teams": ["tools", 7], "org_id": "acme",
        }));
        let names = ClaimNames {
            roles: vec!["realm_access.roles".to_owned()],
            groups: vec!["*/teams".to_owned()],
            tenant: Some("org_id".to_owned()),
        };
        let ada = identity(ISSUER, &claims, &names);
        assert_eq!(&*ada.subject, "https://idp.example.com|ada");
        assert_eq!((ada.roles, ada.groups), (texts(&["reader", "writer"]), texts(&["staff", "tools"])));
        assert_eq!(ada.tenant.as_deref(), Some("acme"));
        let ada = identity(ISSUER, &claims, &ClaimNames::default());
        assert_eq!((ada.roles, ada.groups, ada.tenant), (texts(&["reader"]), texts(&["staff"]), None));
    }

    #[test]
    fn what_is_said_about_the_token_is_not_said_about_the_person() {
        let ada = identity(ISSUER, &verified(&json!({ "name": "Ada", "level": 3 })), &ClaimNames::default());
        assert_eq!(Value::Object(ada.claims), json!({ "sub": "ada", "name": "Ada", "level": 3 }));
    }

    #[test]
    fn an_email_address_that_is_not_verified_is_none() {
        for (verification, counts) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("yes"), false),
            (json!(1), false),
        ] {
            let claims = verified(&json!({ "email": "ada@example.com", "email_verified": verification }));
            assert_eq!(identity(ISSUER, &claims, &ClaimNames::default()).email.is_some(), counts, "{verification}");
        }
        let silent = verified(&json!({ "email": "ada@example.com" }));
        assert_eq!(identity(ISSUER, &silent, &ClaimNames::default()).email, None);
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}
