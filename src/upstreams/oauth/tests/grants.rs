//! Proving to be itself, and the grants that need no browser.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use portcullis_policies::kit::{
    credential::{Exchange, IdJag, SubjectToken},
    jwt::{Algorithm, KeySet, Rules, SigningKey, Token},
};
use secrecy::ExposeSecret;

use super::*;

const SECRET: &str = "a secret: +/&=ü";
const ISSUED: &str = "urn:ietf:params:oauth:token-type:id-jag";

fn with_client(method: ClientAuthMethod) -> OAuthUpstream {
    OAuthUpstream { client: Some(client(method)), scopes: vec!["read".into(), "write".into()], ..upstream() }
}

async fn for_itself(vendor: &Vendor, method: ClientAuthMethod) -> Result<TokenSet, GrantError> {
    let upstream = with_client(method);
    let server = vendor.oauth.discover(Flow::ClientCredentials, &upstream, &vendor.target(), None).await.unwrap();
    let registration = vendor.oauth.register(&server, &upstream, None, None, "Portcullis").await.unwrap();
    vendor.oauth.client_credentials(&server, &registration, &server.scopes).await
}

#[tokio::test]
async fn cl_12_the_gateway_proves_to_be_itself_by_header_or_form_or_not_at_all() {
    let vendor = Vendor::start().await;
    for_itself(&vendor, ClientAuthMethod::Basic(SECRET.into())).await.unwrap();
    let heard = vendor.server.last("/token");
    let basic = heard.header("authorization").and_then(|value| value.strip_prefix("Basic ")).unwrap();
    let pair = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    assert_eq!(pair, "a+client%3Aid:a+secret%3A+%2B%2F%26%3D%C3%BC", "form-encoded, each for itself");
    assert_eq!((heard.field("client_id"), heard.field("client_secret")), (None, None));

    for_itself(&vendor, ClientAuthMethod::Post(SECRET.into())).await.unwrap();
    let heard = vendor.server.last("/token");
    assert_eq!(heard.field("client_secret").as_deref(), Some(SECRET));
    assert_eq!((heard.field("client_id").as_deref(), heard.header("authorization")), (Some("a client:id"), None));

    for_itself(&vendor, ClientAuthMethod::None).await.unwrap();
    let heard = vendor.server.last("/token");
    assert_eq!((heard.field("client_secret"), heard.header("authorization")), (None, None));
    for (name, value) in [("grant_type", "client_credentials"), ("scope", "read write"), ("client_id", "a client:id")] {
        assert_eq!(heard.field(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(heard.field("resource"), Some(vendor.target().to_string()));
}

fn pem(key: &SigningKey) -> SecretString {
    let der = STANDARD.encode(key.to_pkcs8().expose_secret());
    let lines: Vec<_> = der.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")).into()
}

#[tokio::test]
async fn cl_12_an_assertion_is_signed_for_the_issuer_and_for_a_minute() {
    let vendor = Vendor::start().await;
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let method = ClientAuthMethod::PrivateKey {
            key: pem(&key),
            algorithm: algorithm.name().to_owned(),
            key_id: Some(key.kid().to_owned()),
        };
        for_itself(&vendor, method.clone()).await.unwrap();
        let heard = vendor.server.last("/token");
        let assertion = heard.field("client_assertion").unwrap();
        assert_eq!(
            heard.field("client_assertion_type").as_deref(),
            Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        );
        let keys = KeySet::read(json!({ "keys": [key.public_jwk()] }).to_string().as_bytes()).unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        let rules = Rules::id_token("a client:id", &*vendor.server.origin);
        let claims = Token::parse(&assertion).unwrap().verify(&keys, &rules, now).unwrap();
        let claims = claims.as_map().clone();
        assert_eq!((&claims["sub"], &claims["exp"]), (&json!("a client:id"), &json!(1_800_000_060)));
        for_itself(&vendor, method).await.unwrap();
        let second = vendor.server.last("/token").field("client_assertion").unwrap();
        let payload = |token: &str| URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_ne!(payload(&assertion), payload(&second), "each has an id of its own");
    }
    let not_a_key = ClientAuthMethod::PrivateKey { key: "canary".into(), algorithm: "ES256".to_owned(), key_id: None };
    let asked = vendor.server.heard().len();
    let failed = for_itself(&vendor, not_a_key).await.unwrap_err();
    assert!(matches!(&failed, GrantError::Unsendable(why) if !why.contains("canary")), "{failed}");
    assert_eq!(vendor.server.heard().len(), asked + 1, "only its metadata were asked for");
}

#[tokio::test]
async fn a_grant_for_itself_needs_a_client_that_an_operator_registered() {
    let vendor = Vendor::start().await;
    let server = vendor.oauth.discover(Flow::ClientCredentials, &upstream(), &vendor.target(), None).await.unwrap();
    let failed = vendor.oauth.register(&server, &upstream(), None, None, "Portcullis").await;
    assert_eq!(code_of(failed), "no_registration_endpoint");
}

#[tokio::test]
async fn what_somebody_signed_in_with_is_exchanged_for_a_token_of_the_upstream() {
    let vendor = Vendor::start().await;
    let mut exchange = Exchange {
        token_endpoint: vendor.server.url("/token"),
        client: client(ClientAuthMethod::Post("s".into())),
        audience: Some("notes".to_owned()),
        scopes: vec!["read".into(), "write".into()],
        subject_token: SubjectToken::IdToken,
        requested_token_type: None,
    };
    let tokens = vendor.oauth.exchange(&exchange, &"ada's token".into(), &vendor.target()).await.unwrap();
    assert_eq!(text(&tokens.access_token), "at-1");
    let heard = vendor.server.last("/token");
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "ada's token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("audience", "notes"),
        ("resource", vendor.target().as_str()),
        ("scope", "read write"),
        ("client_secret", "s"),
    ] {
        assert_eq!(heard.field(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(heard.field("requested_token_type"), None);
    exchange.subject_token = SubjectToken::Inbound;
    vendor.oauth.exchange(&exchange, &"ada's token".into(), &vendor.target()).await.unwrap();
    let token_type = vendor.server.last("/token").field("subject_token_type");
    assert_eq!(token_type.as_deref(), Some("urn:ietf:params:oauth:token-type:access_token"));
    vendor.server.json(
        "/token",
        200,
        &json!({ "access_token": "x", "token_type": "N_A", "issued_token_type": ISSUED }),
    );
    let none = vendor.oauth.exchange(&exchange, &"ada's token".into(), &vendor.target()).await;
    assert!(matches!(none, Err(GrantError::Nonsense(_))), "an assertion is no token for an upstream");
}

fn cross_app(idp: &Server, resource_server: &Server, send_scope: bool) -> IdJag {
    IdJag {
        idp_token_endpoint: idp.url("/token"),
        idp_client: ClientAuth {
            client_id: "at-the-idp".to_owned(),
            method: ClientAuthMethod::Post("idp-canary".into()),
        },
        audience: resource_server.origin.clone(),
        token_endpoint: resource_server.url("/token"),
        client: ClientAuth {
            client_id: "at-the-resource".to_owned(),
            method: ClientAuthMethod::Post("resource-canary".into()),
        },
        scopes: vec!["read".into(), "write".into()],
        scope_delimiter: " ".to_owned(),
        send_scope,
    }
}

#[tokio::test]
async fn an_identity_provider_asserts_who_somebody_is_to_the_upstreams_server() {
    let (idp, vendor) = (Server::start().await, Vendor::start().await);
    idp.json(
        "/token",
        200,
        &json!({ "access_token": "the assertion", "token_type": "N_A", "issued_token_type": ISSUED }),
    );
    let refused = vendor.oauth.id_jag(&cross_app(&idp, &vendor.server, true), &"id".into(), &vendor.target()).await;
    assert!(matches!(refused, Err(GrantError::Nonsense(_))), "no token has a space in it");
    idp.json(
        "/token",
        200,
        &json!({ "access_token": "jag", "token_type": "N_A", "issued_token_type": ISSUED, "scope": "read" }),
    );
    let config = cross_app(&idp, &vendor.server, true);
    let tokens = vendor.oauth.id_jag(&config, &"ada's id token".into(), &vendor.target()).await.unwrap();
    assert_eq!(text(&tokens.access_token), "at-1");
    let asked = idp.last("/token");
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", ISSUED),
        ("subject_token", "ada's id token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("audience", &*vendor.server.origin),
        ("resource", vendor.target().as_str()),
        ("scope", "read write"),
        ("client_id", "at-the-idp"),
        ("client_secret", "idp-canary"),
    ] {
        assert_eq!(asked.field(name).as_deref(), Some(value), "{name}");
    }
    let redeemed = vendor.server.last("/token");
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", "jag"),
        ("scope", "read"),
        ("client_id", "at-the-resource"),
        ("client_secret", "resource-canary"),
    ] {
        assert_eq!(redeemed.field(name).as_deref(), Some(value), "{name}");
    }
    let config = cross_app(&idp, &vendor.server, false);
    vendor.oauth.id_jag(&config, &"ada's id token".into(), &vendor.target()).await.unwrap();
    assert_eq!(vendor.server.last("/token").field("scope"), None, "some servers refuse a scope here");
    let everything = |server: &Server| server.heard().into_iter().map(|heard| heard.body).collect::<String>();
    assert!(!everything(&idp).contains("resource-canary") && !everything(&vendor.server).contains("idp-canary"));
    assert!(!everything(&vendor.server).contains("id+token"), "who signed in with what is the provider's business");
}

#[tokio::test]
async fn only_an_assertion_is_redeemed_as_one() {
    let (idp, vendor) = (Server::start().await, Vendor::start().await);
    for body in [
        json!({ "access_token": "at", "token_type": "Bearer", "issued_token_type": ISSUED }),
        json!({ "access_token": "at", "token_type": "N_A", "issued_token_type": ISSUED.replace("id-jag", "jwt") }),
        json!({ "access_token": "at", "token_type": "N_A" }),
    ] {
        idp.json("/token", 200, &body);
        let refused = vendor.oauth.id_jag(&cross_app(&idp, &vendor.server, true), &"id".into(), &vendor.target()).await;
        assert!(matches!(refused, Err(GrantError::Nonsense(_))), "{body}");
    }
    assert!(vendor.server.heard().is_empty());
}

#[tokio::test]
async fn oauth_95_the_refresh_token_is_revoked_and_where_there_is_none_the_access_token() {
    let vendor = Vendor::start().await;
    let journey = vendor.set_out().await;
    let mut tokens = vendor.redeem(&journey, &brought("c")).await.unwrap();
    vendor.oauth.revoke(&journey.server, &journey.registration, &tokens).await.unwrap();
    let heard = vendor.server.last("/revoke");
    assert_eq!(
        (heard.field("token").as_deref(), heard.field("token_type_hint").as_deref()),
        (Some("rt-1"), Some("refresh_token"))
    );
    tokens.refresh_token = None;
    vendor.server.says("/revoke", 200, &[], b"");
    vendor.oauth.revoke(&journey.server, &journey.registration, &tokens).await.unwrap();
    let heard = vendor.server.last("/revoke");
    assert_eq!(
        (heard.field("token").as_deref(), heard.field("client_id").as_deref()),
        (Some("at-1"), Some("client-1"))
    );
    vendor.server.json("/revoke", 400, &json!({ "error": "unsupported_token_type" }));
    assert!(vendor.oauth.revoke(&journey.server, &journey.registration, &tokens).await.is_err());
    let revokes_nothing = Discovered { revocation_endpoint: None, ..journey.server.clone() };
    vendor.oauth.revoke(&revokes_nothing, &journey.registration, &tokens).await.unwrap();
}
