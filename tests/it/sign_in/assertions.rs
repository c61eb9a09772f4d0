//! Clients with documents that prove themselves with a key of their own (`private_key_jwt`, RFC 7523).

use std::{collections::BTreeMap, time::Duration};

use portcullis_policies::kit::{
    clock::{Clock, SystemClock},
    jwt::{Algorithm, SigningKey},
};
use serde_json::{Value, json};

use super::setup;
use crate::harness::{
    Answer, Browser, DocumentHost, Gateway, OAuthClient, Reply, Request, Tokens, VERIFIER, forge, form, hs256,
    list_tools, sign,
};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion in the making.
pub(super) struct Assertion {
    key: SigningKey,
    claims: Value,
}

/// What a client should show, signed with a new key.
pub(super) fn good(gateway: &Gateway, id: &str) -> Assertion {
    let now = SystemClock.now().as_seconds();
    let claims = json!({
        "iss": id, "sub": id, "aud": format!("http://{}", gateway.address), "iat": now, "exp": now + 60, "jti": "first",
    });
    Assertion { key: new_key(), claims }
}

impl Assertion {
    pub(super) fn sign(&self) -> String {
        sign(&self.key, &self.claims)
    }

    /// With these claims in place of its own; `null` takes one out.
    fn with(&self, changes: &Value) -> String {
        let mut claims = self.claims.clone();
        let all = claims.as_object_mut().unwrap();
        all.extend(changes.as_object().unwrap().clone());
        all.retain(|_, value| !value.is_null());
        sign(&self.key, &claims)
    }
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

fn jwks(key: &SigningKey) -> Value {
    json!({ "keys": [key.public_jwk()] })
}

/// Redeems a code with an assertion.
pub(super) async fn redeem(gateway: &Gateway, client: &OAuthClient, code: &str, jwt: &str) -> Reply {
    let fields = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
    let shown = [("client_id", client.id.as_str()), ("client_assertion_type", TYPE), ("client_assertion", jwt)];
    gateway.ask(&form("/oauth/token", &[&fields[..], &shown[..]].concat())).await
}

async fn both() -> (DocumentHost, Gateway) {
    let host = DocumentHost::new().await;
    let gateway = host.trusted_by(setup()).start().await;
    (host, gateway)
}

/// Publishes a document with an assertion's key in it.
fn publish(host: &DocumentHost, gateway: &Gateway) -> (OAuthClient, Assertion) {
    let assertion = good(gateway, &host.url("/desk.json"));
    let keys = json!({ "jwks": jwks(&assertion.key), "token_endpoint_auth_method": "private_key_jwt" });
    let id = host.publish("/desk.json", &keys);
    (OAuthClient::known(gateway, &id, DocumentHost::REDIRECT), assertion)
}

#[tokio::test]
async fn oauth_38_as_14_a_key_in_the_document_proves_the_client() {
    let (host, gateway) = both().await;
    let (client, assertion) = publish(&host, &gateway);
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    let tokens = Tokens::of(&redeem(&gateway, &client, &code, &assertion.sign()).await);
    let call = Request::post("/mcp", &list_tools(1)).bearer(&tokens.access);
    assert_eq!(gateway.ask(&call).await.status, 200);
    // Refreshing takes proof too.
    let fields = |jwt: &str| {
        let refresh =
            [("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh), ("client_id", &*client.id)];
        let shown = [("client_assertion_type", TYPE), ("client_assertion", jwt)];
        form("/oauth/token", &if jwt.is_empty() { refresh.to_vec() } else { [&refresh[..], &shown[..]].concat() })
    };
    assert_eq!(gateway.ask(&fields("")).await.json()["error"], "invalid_client");
    assert_eq!(gateway.ask(&fields(&assertion.with(&json!({ "jti": "second" })))).await.status, 200);
}

#[tokio::test]
async fn oauth_38_a_key_behind_a_url_proves_the_client_and_may_be_replaced() {
    let (host, gateway) = both().await;
    let first = good(&gateway, &host.url("/desk.json"));
    host.serve("/keys", Answer::json(&jwks(&first.key)));
    let keys = json!({ "jwks_uri": host.url("/keys"), "token_endpoint_auth_method": "private_key_jwt" });
    let client = OAuthClient::known(&gateway, &host.publish("/desk.json", &keys), DocumentHost::REDIRECT);
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    Tokens::of(&redeem(&gateway, &client, &code, &first.sign()).await);
    assert_eq!(host.asked("/keys"), 1);
    let second = Assertion { key: new_key(), claims: first.claims.clone() };
    host.serve("/keys", Answer::json(&jwks(&second.key)));
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    Tokens::of(&redeem(&gateway, &client, &code, &second.with(&json!({ "jti": "second" }))).await);
    assert_eq!(host.asked("/keys"), 2, "a key that is not known makes for one look");
    // The old one is worth nothing any more, and nobody looks again so soon.
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    assert_eq!(redeem(&gateway, &client, &code, &first.with(&json!({ "jti": "third" }))).await.status, 401);
    assert_eq!(host.asked("/keys"), 2);
}

#[tokio::test]
async fn oauth_38_sec_a17_an_assertion_that_proves_nothing_gives_nothing() {
    let (host, gateway) = both().await;
    let (client, assertion) = publish(&host, &gateway);
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    let now = SystemClock.now();
    let later = |duration: Duration| now.plus(duration).as_seconds();
    let long_ago = now.minus(Duration::from_mins(5)).as_seconds();
    let stranger = Assertion { key: new_key(), claims: assertion.claims.clone() };
    let kid = assertion.key.kid();
    let public = assertion.key.public_jwk()["x"].as_str().unwrap();
    let hmac = json!({ "alg": "HS256", "typ": "JWT", "kid": kid });
    let none = json!({ "alg": "none", "typ": "JWT", "kid": kid });
    let other_alg = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
    let hostile = BTreeMap::from([
        ("another audience", assertion.with(&json!({ "aud": "https://elsewhere.example" }))),
        ("the route as audience", assertion.with(&json!({ "aud": format!("http://{}/mcp", gateway.address) }))),
        ("no audience", assertion.with(&json!({ "aud": null }))),
        ("good for an hour", assertion.with(&json!({ "exp": later(Duration::from_hours(1)) }))),
        ("expired", assertion.with(&json!({ "exp": long_ago, "iat": long_ago - 60 }))),
        ("never expires", assertion.with(&json!({ "exp": null }))),
        ("not yet", assertion.with(&json!({ "nbf": later(Duration::from_mins(5)) }))),
        ("no jti", assertion.with(&json!({ "jti": null }))),
        ("another issuer", assertion.with(&json!({ "iss": "https://elsewhere.example/c.json" }))),
        ("another subject", assertion.with(&json!({ "sub": "ada" }))),
        ("another key", stranger.sign()),
        ("no signature", forge(&none, &assertion.claims, |_| Vec::new())),
        ("the public key as a secret", forge(&hmac, &assertion.claims, hs256(public.as_bytes()))),
        ("another algorithm than the key's", forge(&other_alg, &assertion.claims, |_| vec![1; 64])),
        ("a zero signature", forge(&json!({ "alg": "EdDSA", "kid": kid }), &assertion.claims, |_| vec![0; 64])),
        ("nonsense", "a.b.c".to_owned()),
    ]);
    for (what, jwt) in &hostile {
        let reply = redeem(&gateway, &client, &code, jwt).await;
        assert_eq!((reply.status, &reply.json()["error"]), (401, &json!("invalid_client")), "{what}");
    }
    // Nothing of that has spent the code.
    Tokens::of(&redeem(&gateway, &client, &code, &assertion.sign()).await);
}

#[tokio::test]
async fn oauth_38_an_assertion_is_good_once() {
    let (host, gateway) = both().await;
    let (client, assertion) = publish(&host, &gateway);
    let shown = assertion.sign();
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    Tokens::of(&redeem(&gateway, &client, &code, &shown).await);
    let code = client.code(&mut Browser::at(&gateway), "/mcp", "ada").await;
    for jwt in [&shown, &assertion.with(&json!({ "exp": SystemClock.now().as_seconds() + 90 }))] {
        let reply = redeem(&gateway, &client, &code, jwt).await;
        assert_eq!((reply.status, &reply.json()["error"]), (401, &json!("invalid_client")));
    }
    Tokens::of(&redeem(&gateway, &client, &code, &assertion.with(&json!({ "jti": "second" }))).await);
}
