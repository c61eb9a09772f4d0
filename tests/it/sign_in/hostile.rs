//! Tokens that this gateway did not give out, or did not give out like this.
//!
//! The forger of these stories has what no forger should have, the private key, so that each token is refused for what it
//! says. What it may say is in the list of the policies' own tests.

use std::sync::Arc;

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use portcullis::store::{GrantRecord, KeyState, Location, MasterKey, Store, Tenant};
use portcullis_policies::kit::clock::{Clock, ManualClock, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{public, setup};
use crate::harness::{Gateway, OAuthClient, Reply, Request, list_tools};

const ORIGIN: &str = "https://mcp.example.com";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// One line of the list: what is changed in an honest token. What is signed is signed after the change, unless `sign`
/// says otherwise.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    what: String,
    header: Map<String, Value>,
    drop_header: Vec<String>,
    header_text: Option<String>,
    claims: Map<String, Value>,
    drop_claims: Vec<String>,
    claims_text: Option<String>,
    encode: String,
    sign: String,
    edit: String,
}

/// The list, with this gateway's names in it; without what is about the wrapping alone.
fn kinds() -> Vec<Kind> {
    let list = include_str!("../../../policies/kit/jwt/tests/hostile.json");
    let mut list = list.to_owned();
    for (theirs, ours) in [
        ("as.example", "mcp.example.com"),
        ("AS.EXAMPLE", "MCP.EXAMPLE.COM"),
        ("gw.example", "mcp.example.com"),
        ("GW.example", "MCP.example.com"),
    ] {
        list = list.replace(theirs, ours);
    }
    let kinds: Vec<Kind> = serde_json::from_str(&list).unwrap();
    kinds.into_iter().filter(|kind| kind.encode.is_empty() && kind.edit.is_empty()).collect()
}

struct Forger {
    gateway: Gateway,
    key: Ed25519KeyPair,
    stranger: Ed25519KeyPair,
    jwk: Value,
}

impl Forger {
    async fn begin() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let gateway = public().clock(Arc::clone(&clock)).start().await;
        let (master, _) = MasterKey::load_or_create(&gateway.folder().join("portcullis.key")).unwrap();
        let location = Location::parse("sqlite:portcullis.db", gateway.folder()).unwrap();
        let store = Store::open(&location, master, clock).await.unwrap();
        let mut work = store.begin(&Tenant::DEFAULT).await.unwrap();
        work.insert_grant(&grant()).await.unwrap();
        work.commit().await.unwrap();
        let records = store.signing_keys(&Tenant::DEFAULT).await.unwrap();
        let active = records.iter().find(|record| record.state == KeyState::Active).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(&active.private).unwrap();
        let jwk = serde_json::from_str(&active.public_jwk).unwrap();
        Self { gateway, key, stranger: Ed25519KeyPair::generate().unwrap(), jwk }
    }

    fn forged(&self, kind: &Kind) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.jwk["kid"] });
        let header = changed(header, &kind.header, &kind.drop_header, |value| self.words(value));
        let claims = changed(claims(), &kind.claims, &kind.drop_claims, Value::clone);
        let header = text(kind.header_text.as_deref(), &header, "$HEADER");
        let claims = text(kind.claims_text.as_deref(), &claims, "$CLAIMS");
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = match kind.sign.as_str() {
            "" => self.key.sign(signed.as_bytes()).as_ref().to_vec(),
            "nothing" => Vec::new(),
            "stranger" => self.stranger.sign(signed.as_bytes()).as_ref().to_vec(),
            secret => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &self.public_form(secret));
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What some words of the list stand for.
    fn words(&self, value: &Value) -> Value {
        let kid = self.jwk["kid"].as_str().unwrap();
        match value {
            Value::Array(list) => list.iter().map(|item| self.words(item)).collect(),
            Value::String(word) => match word.as_str() {
                "$alg in small letters" => "eddsa".into(),
                "$sibling" => "Ed448".into(),
                "$stranger" => "RS256".into(),
                "$other" => "the key of another gateway".into(),
                "$stranger's jwk" => {
                    json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(self.stranger.public_key()) })
                }
                word => word.replace("$KID", &kid.to_uppercase()).replace("$kid", kid).into(),
            },
            other => other.clone(),
        }
    }

    /// The public key as a forger might use it for a shared secret.
    fn public_form(&self, form: &str) -> Vec<u8> {
        let raw = self.key.public_key().as_ref().to_vec();
        // The head of every Ed25519 key (RFC 8410 §4).
        let der = [&[0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0][..], &raw].concat();
        match form {
            "hmac raw" => raw,
            "hmac der" => der,
            "hmac pem" => {
                format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der)).into_bytes()
            }
            "hmac jwk" => self.jwk.to_string().into_bytes(),
            "hmac empty" => Vec::new(),
            other => panic!("sign {other:?} is not known"),
        }
    }

    async fn show(&self, token: &str) -> Reply {
        self.gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(token)).await
    }
}

fn grant() -> GrantRecord {
    GrantRecord {
        id: "grant".to_owned(),
        provider: "client".to_owned(), // of a program, which signs in by itself
        subject: "https://idp.example.com|ada".to_owned(),
        client_id: "app".to_owned(),
        resource: format!("{ORIGIN}/mcp"),
        scope: "mcp:tools".to_owned(),
        identity: b"{}".to_vec(),
        created_at: NOW,
        refreshed_at: NOW,
        expires_at: Timestamp::from_seconds(1_900_000_000),
        revoked_at: None,
    }
}

fn claims() -> Value {
    let now = NOW.as_seconds();
    json!({ "iss": ORIGIN, "aud": format!("{ORIGIN}/mcp"), "sub": grant().subject, "client_id": "app", "jti": "1",
        "sid": "grant", "scope": "mcp:tools", "iat": now - 10, "nbf": now - 10, "exp": now + 900 })
}

fn changed(
    object: Value,
    set: &Map<String, Value>,
    without: &[String],
    words: impl Fn(&Value) -> Value,
) -> Map<String, Value> {
    let Value::Object(mut map) = object else { panic!("{object} is not an object") };
    map.retain(|name, _| !without.contains(name));
    map.extend(set.iter().map(|(name, value)| (name.clone(), words(value))));
    map
}

/// `$HEADER` and `$CLAIMS` stand for the members, `$OBJECT` for all of it.
fn text(template: Option<&str>, map: &Map<String, Value>, members: &str) -> String {
    let object = Value::Object(map.clone()).to_string();
    let inner = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap();
    template.map_or(object.clone(), |template| template.replace("$OBJECT", &object).replace(members, inner))
}

#[tokio::test]
async fn sec_a17_oauth_78_no_hostile_token_opens_a_route_of_a_running_gateway() {
    let forger = Forger::begin().await;
    assert_eq!(forger.show(&forger.forged(&Kind::default())).await.status, 200, "the forger can make honest ones");
    let kinds = kinds();
    assert!(kinds.len() >= 180, "{}", kinds.len());
    for kind in &kinds {
        let reply = forger.show(&forger.forged(kind)).await;
        // A token may be too long for a header before it is looked at.
        let too_long = reply.status == 431 && kind.what.contains("16 KiB");
        assert!(reply.status == 401 || too_long, "{}: {reply:?}", kind.what);
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        assert!(too_long || challenge.contains("error=\"invalid_token\""), "{}: {reply:?}", kind.what);
    }
}

#[tokio::test]
async fn sec_a17_no_change_of_a_real_token_goes_unnoticed() {
    let gateway = super::gateway().await;
    let token = OAuthClient::register(&gateway).await.sign_in(&gateway, "/mcp", "ada").await.access;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "at+jwt" }).to_string());
    let mut changed = vec![
        format!("{signed}."),
        signed.to_owned(),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{signed}.{}", "A".repeat(signature.len())),
        format!("{token}.{signature}"),
        format!("{token}=="),
        format!("{header}.{signature}.{claims}"),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        token.replace('.', "%2E"),
        token.to_lowercase(),
        token.chars().rev().collect(),
    ];
    for at in (0..token.len()).step_by(7).filter(|at| token.as_bytes()[*at] != b'.') {
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        changed.push(format!("{}{other}{}", &token[..at], &token[at + 1..]));
        changed.push(token[..at].to_owned());
    }
    assert!(changed.len() > 100, "{}", changed.len());
    for wrong in changed.iter().filter(|wrong| !wrong.is_empty()) {
        let reply = gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(wrong)).await;
        // What cannot be a token at all is a malformed request (RFC 6750 §3.1).
        let expected = if wrong.contains('%') { 400 } else { 401 };
        assert_eq!(reply.status, expected, "{wrong}");
    }
    assert_eq!(gateway.ask(&Request::post("/mcp", &list_tools(1)).bearer(&token)).await.status, 200);
}

#[tokio::test]
async fn sec_a17_oauth_77_another_gateway_with_the_same_name_and_another_key_is_nobody() {
    let named = || setup().gateway("publicUrl", json!("http://localhost:9")).spawn();
    let (ours, theirs) = (named(), named());
    let (ours, theirs) = (ours.place().await, theirs.place().await);
    let token = OAuthClient::register(&theirs).await.sign_in(&theirs, "/mcp", "ada").await.access;
    let call = Request::post("/mcp", &list_tools(1)).bearer(&token);
    assert_eq!(theirs.ask(&call).await.status, 200);
    let reply = ours.ask(&call).await;
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn oauth_77_a_route_that_is_gone_takes_its_tokens_along() {
    let gateway = super::gateway().await;
    let client = OAuthClient::register(&gateway).await;
    let tokens = client.sign_in(&gateway, "/other", "ada").await;
    let at = |route: &str| Request::post(route, &list_tools(1)).bearer(&tokens.access);
    assert_eq!(gateway.ask(&at("/other")).await.status, 200);
    let mut without: Value = serde_json::from_str(&setup().text()).unwrap();
    without["routes"].as_object_mut().unwrap().remove("/other");
    gateway.write(&without.to_string());
    gateway.reload().await;
    assert_eq!(gateway.ask(&at("/other")).await.status, 404);
    assert_eq!(gateway.ask(&at("/mcp")).await.status, 401, "and is no good at the route that stays");
    let refreshed = client.refresh(&gateway, &tokens.refresh).await;
    assert_eq!((refreshed.status, refreshed.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert!(refreshed.text().contains("the route of this grant is gone"), "{}", refreshed.text());
}
