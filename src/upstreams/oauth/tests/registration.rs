//! Becoming known to a server.

use super::*;

const DOCUMENT: &str = "https://gateway.example.com/.well-known/oauth-client/notes";

async fn with_document(vendor: &Vendor) -> Result<Registration, SetupError> {
    let server = vendor.discover().await.unwrap();
    let document = Url::parse(DOCUMENT).unwrap();
    vendor.oauth.register(&server, &upstream(), Some(&document), Some(&callback()), "Portcullis").await
}

#[tokio::test]
async fn cl_09_as_the_operator_registered_it_then_by_its_document_then_by_itself_then_not_at_all() {
    let vendor = Vendor::start().await;
    vendor.metadata_but(&json!({ "client_id_metadata_document_supported": true }));
    let server = vendor.discover().await.unwrap();
    let by_operator = OAuthUpstream { client: Some(client(ClientAuthMethod::None)), ..upstream() };
    let document = Url::parse(DOCUMENT).unwrap();
    let registered =
        vendor.oauth.register(&server, &by_operator, Some(&document), Some(&callback()), "Portcullis").await;
    let registered = registered.unwrap();
    assert_eq!((registered.kind, &*registered.client.client_id), (RegistrationKind::Configured, "a client:id"));

    let registered = with_document(&vendor).await.unwrap();
    assert_eq!((registered.kind, &*registered.client.client_id), (RegistrationKind::Document, DOCUMENT));
    assert!(matches!(registered.client.method, ClientAuthMethod::None));
    assert!(!vendor.server.paths().contains(&"/register".to_owned()));

    vendor.metadata_but(&json!({}));
    let registered = with_document(&vendor).await.unwrap();
    assert_eq!((registered.kind, &*registered.client.client_id), (RegistrationKind::Dynamic, "client-1"));

    vendor.metadata_but(&json!({ "registration_endpoint": null }));
    let failed = with_document(&vendor).await.unwrap_err();
    assert_eq!(failed.code.as_str(), "no_registration_endpoint");
    assert!(failed.words.contains(CALLBACK), "the operator is told what to register: {failed}");
}

#[tokio::test]
async fn cl_09_a_document_on_this_machine_is_for_servers_on_this_machine() {
    let vendor = Vendor::start().await;
    vendor.metadata_but(&json!({ "client_id_metadata_document_supported": true }));
    let mut server = vendor.discover().await.unwrap();
    let document = vendor.upstream.url("/.well-known/oauth-client/notes");
    let register = async |server: &Discovered| {
        let registration = vendor.oauth.register(server, &upstream(), Some(&document), Some(&callback()), "P").await;
        registration.unwrap().kind
    };
    assert_eq!(register(&server).await, RegistrationKind::Document);
    server.token_endpoint = Url::parse("https://as.example.com/token").unwrap();
    assert_eq!(register(&server).await, RegistrationKind::Dynamic);
}

#[tokio::test]
async fn cl_10_what_the_gateway_says_of_itself() {
    let vendor = Vendor::start().await;
    vendor.resource_but(&json!({ "scopes_supported": ["read", "write"] }));
    vendor.metadata_but(
        &json!({ "scopes_supported": ["offline_access"], "token_endpoint_auth_methods_supported": ["none"] }),
    );
    let server = vendor.discover_with(&upstream(), Some(r#"Bearer scope="read""#)).await.unwrap();
    vendor.register(&server).await.unwrap();
    let said = vendor.server.last("/register").json();
    assert_eq!(
        said,
        json!({
            "client_name": "Portcullis", "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"], "token_endpoint_auth_method": "none",
            "application_type": "web", "scope": "read write offline_access",
        })
    );
    let here = Url::parse("http://127.0.0.1:8080/connect/callback/notes").unwrap();
    vendor.oauth.register(&server, &upstream(), None, Some(&here), "Portcullis").await.unwrap();
    assert_eq!(vendor.server.last("/register").json()["application_type"], "native");
}

#[tokio::test]
async fn cl_10_cl_12_the_method_is_one_that_the_server_lists_and_what_it_gives_counts() {
    let cases = [
        (json!(["client_secret_post"]), json!({ "client_secret": "s" }), "client_secret_post", "post"),
        (
            json!(["client_secret_post", "client_secret_basic"]),
            json!({ "client_secret": "s" }),
            "client_secret_basic",
            "basic",
        ),
        (json!(null), json!({ "client_secret": "s" }), "client_secret_basic", "basic"),
        (json!(["none"]), json!({}), "none", "none"),
        (json!(["none"]), json!({ "client_secret": "s" }), "none", "basic"),
        (
            json!(["client_secret_basic"]),
            json!({ "client_secret": "s", "token_endpoint_auth_method": "client_secret_post" }),
            "client_secret_basic",
            "post",
        ),
        (
            json!(["client_secret_basic"]),
            json!({ "token_endpoint_auth_method": "none" }),
            "client_secret_basic",
            "none",
        ),
    ];
    let vendor = Vendor::start().await;
    for (listed, given, asked, used) in cases {
        vendor.metadata_but(&json!({ "token_endpoint_auth_methods_supported": listed }));
        vendor.server.json("/register", 201, &but(json!({ "client_id": "c" }), &given));
        let server = vendor.discover().await.unwrap();
        let registered = vendor.register(&server).await.unwrap();
        assert_eq!(vendor.server.last("/register").json()["token_endpoint_auth_method"], asked, "{listed}");
        let method = match registered.client.method {
            ClientAuthMethod::None => "none",
            ClientAuthMethod::Basic(_) => "basic",
            ClientAuthMethod::Post(_) => "post",
            ClientAuthMethod::PrivateKey { .. } => "private key",
        };
        assert_eq!(method, used, "{listed}, {given}");
    }
}

#[tokio::test]
async fn cl_10_a_rejection_is_told_in_the_vendors_words() {
    let vendor = Vendor::start().await;
    let server = vendor.discover().await.unwrap();
    let cases = [
        (
            403,
            json!({ "error": "access_denied", "error_description": "only partners\u{1b}[1m" }),
            "dynamic_registration_failed: access_denied: only partners [1m",
        ),
        (400, json!({ "error": "invalid_client_metadata" }), "dynamic_registration_failed: invalid_client_metadata"),
        (
            500,
            json!("down"),
            "dynamic_registration_failed: it has status 500 Internal Server Error, and does not say why",
        ),
        (404, json!({}), "dynamic_registration_failed: it has status 404 Not Found, and does not say why"),
        (201, json!({ "client_secret": "s" }), "dynamic_registration_failed: the answer is no registration"),
        (201, json!({ "client_id": "" }), "dynamic_registration_failed: the answer is no registration"),
        (
            201,
            json!({ "client_id": "c", "token_endpoint_auth_method": "tls_client_auth" }),
            "dynamic_registration_failed: the client has to prove itself in a way that the gateway does not know",
        ),
        (
            201,
            json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_basic" }),
            "dynamic_registration_failed: the client got no secret to prove itself with",
        ),
    ];
    for (status, body, expected) in cases {
        vendor.server.json("/register", status, &body);
        assert_eq!(vendor.register(&server).await.unwrap_err().to_string(), expected);
    }
    let elsewhere = [
        (400, json!({ "error": "invalid_redirect_uri", "error_description": "not on our list" })),
        (201, json!({ "client_id": "c", "redirect_uris": ["https://other.example.com/"] })),
    ];
    for (status, body) in elsewhere {
        vendor.server.json("/register", status, &body);
        let failed = vendor.register(&server).await.unwrap_err();
        assert_eq!(failed.code.as_str(), "redirect_uri_mismatch");
        assert!(failed.words.contains(CALLBACK));
        assert!(failed.transcript.to_string().contains("/register: "), "{}", failed.transcript);
    }
}

#[tokio::test]
async fn cl_11_oauth_88_a_registration_is_of_one_issuer_and_as_good_as_its_secret() {
    let vendor = Vendor::start().await;
    let expires_at = 1_800_000_060;
    let given = json!({ "client_id": "c", "client_secret": "canary", "client_secret_expires_at": expires_at });
    vendor.server.json("/register", 201, &given);
    let server = vendor.discover().await.unwrap();
    let registered = vendor.register(&server).await.unwrap();
    let kept = serde_json::to_vec(&registered).unwrap();
    let registered: Registration = serde_json::from_slice(&kept).unwrap();
    assert!(!format!("{registered:?}").contains("canary"));
    let now = vendor.oauth.clock.now();
    let here = callback();
    assert!(registered.is_good_for(&server, Some(&here), now));
    assert!(!registered.is_good_for(&server, Some(&here), Timestamp::from_seconds(expires_at)));
    assert!(!registered.is_good_for(&server, Some(&vendor.target()), now), "the gateway has moved");
    let moved = Discovered { issuer: "https://new.example.com".to_owned(), ..server.clone() };
    assert!(!registered.is_good_for(&moved, Some(&here), now), "the upstream trusts another server now");
    let reused = vendor.oauth.refresh(&moved, &registered, &"rt".into(), &[]).await;
    assert!(matches!(reused, Err(GrantError::Unsendable(_))));
    vendor.server.json("/register", 201, &json!({ "client_id": "c", "client_secret_expires_at": 0 }));
    assert_eq!(vendor.register(&server).await.unwrap().expires_at, None);
}

#[tokio::test]
async fn cl_15_the_redirect_uri_of_a_registration_is_the_one_that_comes_back() {
    let vendor = Vendor::start().await;
    let journey = vendor.set_out().await;
    vendor.redeem(&journey, &brought("c")).await.unwrap();
    let registered = vendor.server.last("/register").json()["redirect_uris"][0].clone();
    let redeemed = vendor.server.last("/token").field("redirect_uri");
    assert_eq!([registered.as_str(), redeemed.as_deref()], [Some(CALLBACK); 2]);
    assert_eq!(query(&journey.url)["redirect_uri"], CALLBACK);
}
