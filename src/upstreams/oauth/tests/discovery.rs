//! Finding the authorization server.

use serde::Deserialize;

use super::*;

#[tokio::test]
async fn cl_01_oauth_82_metadata_are_looked_for_at_the_path_and_then_at_the_root() {
    let vendor = Vendor::start().await;
    vendor.upstream.forgets(PRM);
    vendor.upstream.json(
        ROOT_PRM,
        200,
        &json!({ "resource": vendor.upstream.origin, "authorization_servers": [vendor.server.origin] }),
    );
    let found = vendor.discover().await.unwrap();
    assert_eq!(vendor.upstream.paths(), [PRM, ROOT_PRM]);
    assert_eq!(found.issuer, vendor.server.origin);
    assert_eq!(
        found.resource.as_deref(),
        Some(&*vendor.upstream.origin),
        "tokens are asked for by the name that it has for itself"
    );
}

#[tokio::test]
async fn cl_01_the_challenge_says_where_the_metadata_are_and_nowhere_else_is_looked() {
    let vendor = Vendor::start().await;
    vendor.upstream.json("/custom/location.json", 200, &vendor.resource());
    let challenge = format!(r#"Bearer resource_metadata="{}""#, vendor.upstream.url("/custom/location.json"));
    vendor.discover_with(&upstream(), Some(&challenge)).await.unwrap();
    assert_eq!(vendor.upstream.paths(), ["/custom/location.json"]);
    vendor.upstream.forgets("/custom/location.json");
    let missing = vendor.discover_with(&upstream(), Some(&challenge)).await;
    assert_eq!(code_of(missing), "no_protected_resource_metadata");
}

#[tokio::test]
async fn cl_01_the_configuration_says_where_the_metadata_are_before_the_challenge_does() {
    let vendor = Vendor::start().await;
    let at_root = json!({ "resource": vendor.upstream.origin, "authorization_servers": [vendor.server.origin] });
    vendor.upstream.json("/elsewhere", 200, &at_root);
    let configured =
        OAuthUpstream { protected_resource_metadata: Some(vendor.upstream.url("/elsewhere")), ..upstream() };
    let challenge = format!(r#"Bearer resource_metadata="{}""#, vendor.upstream.url("/other"));
    vendor.discover_with(&configured, Some(&challenge)).await.unwrap();
    assert_eq!(vendor.upstream.paths(), ["/elsewhere"]);
}

#[derive(Deserialize)]
struct Vector {
    story: String,
    place: String,
    resource: String,
    believed: bool,
}

#[tokio::test]
async fn cl_02_oauth_83_sec_a15_metadata_are_believed_about_the_upstream_and_about_nobody_else() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("resources.json")).unwrap();
    let vendor = Vendor::start().await;
    vendor.upstream.forgets(PRM);
    let (origin, host) = (vendor.upstream.origin.as_str(), &vendor.upstream.origin["http://".len()..]);
    for Vector { story, place, resource, believed } in vectors {
        let resource = resource.replace("{up}", origin).replace("{host}", host);
        vendor.upstream.json(
            &place,
            200,
            &json!({ "resource": resource, "authorization_servers": [vendor.server.origin] }),
        );
        let asked_before = vendor.server.heard().len();
        let outcome = vendor.discover().await;
        if believed {
            assert_eq!(outcome.unwrap().resource, Some(resource), "{story}");
        } else {
            assert_eq!(code_of(outcome), "resource_mismatch", "{story}");
            assert_eq!(vendor.server.heard().len(), asked_before, "{story}: its authorization server was asked");
        }
        vendor.upstream.forgets(&place);
    }
}

#[tokio::test]
async fn cl_02_the_operator_may_choose_among_the_servers_that_the_upstream_trusts() {
    let vendor = Vendor::start().await;
    vendor.resource_but(&json!({ "authorization_servers": ["https://first.example.com", vendor.server.origin] }));
    let chosen = OAuthUpstream { issuer: Some(vendor.server.origin.clone()), ..upstream() };
    assert_eq!(vendor.discover_with(&chosen, None).await.unwrap().issuer, vendor.server.origin);
    let other = OAuthUpstream { issuer: Some("https://third.example.com".to_owned()), ..upstream() };
    assert_eq!(code_of(vendor.discover_with(&other, None).await), "issuer_not_trusted");
    vendor.resource_but(&json!({ "authorization_servers": null }));
    assert_eq!(code_of(vendor.discover().await), "no_authorization_server");
}

#[tokio::test]
async fn cl_03_metadata_of_a_server_are_looked_for_in_the_order_of_the_specification() {
    let vendor = Vendor::start().await;
    let places = [format!("{METADATA}/t1"), format!("{OPENID}/t1"), format!("/t1{OPENID}")];
    let issuer = vendor.server.url("/t1");
    vendor.resource_but(&json!({ "authorization_servers": [issuer] }));
    vendor.server.json(&places[2], 200, &but(vendor.metadata(), &json!({ "issuer": issuer })));
    vendor.discover().await.unwrap();
    assert_eq!(vendor.server.paths(), places);
    let vendor = Vendor::start().await;
    vendor.server.forgets(METADATA);
    assert_eq!(code_of(vendor.discover().await), "no_authorization_server_metadata");
    assert_eq!(vendor.server.paths(), [METADATA, OPENID]);
}

#[tokio::test]
async fn cl_03_oauth_84_metadata_of_another_issuer_are_discarded() {
    let vendor = Vendor::start().await;
    for issuer in [
        "https://evil.example.com".to_owned(),
        format!("{}/", vendor.server.origin),
        format!("{}/t1", vendor.server.origin),
    ] {
        vendor.metadata_but(&json!({ "issuer": issuer }));
        assert_eq!(code_of(vendor.discover().await), "issuer_mismatch", "{issuer}");
    }
    vendor.server.json(OPENID, 200, &vendor.metadata());
    assert_eq!(vendor.discover().await.unwrap().issuer, vendor.server.origin, "the next place has the right one");
}

#[tokio::test]
async fn cl_04_oauth_85_a_server_that_does_not_list_s256_is_refused() {
    let vendor = Vendor::start().await;
    for methods in [json!(null), json!([]), json!(["plain"]), json!(["s256"])] {
        vendor.metadata_but(&json!({ "code_challenge_methods_supported": methods }));
        assert_eq!(code_of(vendor.discover().await), "no_pkce_support", "{methods}");
    }
    let for_itself = vendor.oauth.discover(Flow::ClientCredentials, &upstream(), &vendor.target(), None).await;
    assert!(for_itself.is_ok(), "there is no code that could be stolen");
    vendor.metadata_but(&json!({ "authorization_endpoint": null }));
    assert_eq!(code_of(vendor.discover().await), "no_authorization_endpoint");
}

#[tokio::test]
async fn cl_16_oauth_90_no_address_is_used_that_is_not_https_or_on_this_machine() {
    let vendor = Vendor::start().await;
    let addresses = [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://as.example.com/",
        "//as.example.com/x",
        "http://as.example.com/authorize",
        "http://127.0.0.1.example.com/",
        "https://user@as.example.com/",
        "vscode://x/y",
        "https://user:secret@as.example.com/",
        "https://as.example.com/#x",
        " javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "",
        "https://",
    ];
    for endpoint in ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"] {
        for address in addresses {
            vendor.metadata_but(&json!({ endpoint: address }));
            assert_eq!(code_of(vendor.discover().await), "insecure_endpoint", "{endpoint}: {address}");
        }
    }
    vendor.resource_but(&json!({ "authorization_servers": ["http://as.example.com"] }));
    assert_eq!(code_of(vendor.discover().await), "insecure_endpoint");
}

#[test]
fn cl_16_http_is_for_upstreams_on_this_machine() {
    let url = |text: &str| Url::parse(text).unwrap();
    let (here, there) = (url("http://127.0.0.1:9000/mcp"), url("https://mcp.example.com/mcp"));
    assert!(places::is_secure(&url("http://localhost:9001/authorize"), &here));
    assert!(
        !places::is_secure(&url("http://localhost:9001/authorize"), &there),
        "it is not the vendor's machine that a browser asks"
    );
    assert!(places::is_secure(&url("https://as.example.com/authorize"), &there));
}

#[tokio::test]
async fn cl_01_a_server_of_2025_03_26_has_its_metadata_at_its_origin_or_default_endpoints() {
    let vendor = Vendor::start().await;
    vendor.upstream.forgets(PRM);
    let found = vendor.discover().await.unwrap();
    assert_eq!(found.authorization_endpoint, Some(vendor.upstream.url("/authorize")));
    assert_eq!(found.token_endpoint, vendor.upstream.url("/token"));
    assert!(found.pkce && found.is_guess);
    assert_eq!(found.resource.as_deref(), Some(vendor.target().as_str()));
    let nobody = vendor.register(&found).await.unwrap_err();
    assert_eq!(nobody.code, SetupCode::NoProtectedResourceMetadata, "there is nothing at all");
    vendor.upstream.json(
        METADATA,
        200,
        &but(vendor.metadata(), &json!({ "issuer": format!("{}/", vendor.upstream.origin) })),
    );
    let found = vendor.discover().await.unwrap();
    assert_eq!((found.token_endpoint, found.is_guess), (vendor.server.url("/token"), false));
}

#[tokio::test]
async fn cl_07_scopes_come_from_the_configuration_or_the_challenge_or_the_metadata_or_nowhere() {
    let vendor = Vendor::start().await;
    let challenge = Some(r#"Bearer scope="from-challenge""#);
    let configured = OAuthUpstream { scopes: vec!["configured".into()], ..upstream() };
    vendor.resource_but(&json!({ "scopes_supported": ["a", "b", "offline_access"] }));
    assert_eq!(names(&vendor.discover_with(&configured, challenge).await.unwrap().scopes), ["configured"]);
    assert_eq!(names(&vendor.discover_with(&upstream(), challenge).await.unwrap().scopes), ["from-challenge"]);
    assert_eq!(
        names(&vendor.discover().await.unwrap().scopes),
        ["a", "b"],
        "offline_access is not the resource's to give"
    );
    vendor.resource_but(&json!({}));
    assert_eq!(names(&vendor.discover().await.unwrap().scopes), [""; 0]);
}

#[tokio::test]
async fn a_page_in_the_place_of_a_document_is_none_and_a_failing_server_ends_the_set_up() {
    let vendor = Vendor::start().await;
    vendor.upstream.says(PRM, 200, &[("content-type", "text/html")], b"<html>a shop</html>");
    vendor.upstream.json(ROOT_PRM, 200, &vendor.resource());
    assert_eq!(vendor.discover().await.unwrap().issuer, vendor.server.origin);
    vendor.upstream.says(PRM, 503, &[], b"");
    assert_eq!(code_of(vendor.discover().await), "authorization_server_unreachable");
}

#[tokio::test]
async fn a_vendor_that_publishes_nothing_is_described_by_hand_and_never_asked() {
    let vendor = Vendor::start().await;
    let by_hand = OAuthUpstream { classic: Some(classic(&vendor.server)), scopes: vec!["repo".into()], ..upstream() };
    let found = vendor.discover_with(&by_hand, Some(r#"Bearer scope="other""#)).await.unwrap();
    assert!(vendor.upstream.heard().is_empty() && vendor.server.heard().is_empty());
    assert_eq!((found.issuer, found.is_issuer_known, found.resource), (vendor.server.origin.clone(), false, None));
    assert_eq!(names(&found.scopes), ["repo"]);
    let endpoint = Url::parse("http://vendor.example.com/token").unwrap();
    let insecure = ClassicOAuth { token_endpoint: endpoint, ..classic(&vendor.server) };
    let insecure = vendor.discover_with(&OAuthUpstream { classic: Some(insecure), ..upstream() }, None).await;
    assert_eq!(code_of(insecure), "insecure_endpoint");
}

#[tokio::test]
async fn the_transcript_tells_what_was_asked_and_what_came() {
    let vendor = Vendor::start().await;
    vendor.metadata_but(&json!({ "code_challenge_methods_supported": ["plain"] }));
    let place = format!("{}?key=canary", vendor.upstream.url("/prm"));
    vendor.upstream.json("/prm", 200, &vendor.resource());
    let configured = OAuthUpstream { protected_resource_metadata: Some(Url::parse(&place).unwrap()), ..upstream() };
    let failed = vendor.discover_with(&configured, None).await.unwrap_err();
    let (up, server) = (&vendor.upstream.origin, &vendor.server.origin);
    let expected = format!(
        "protected-resource metadata at {up}/prm: found\n\
         resource: {up}/mcp\n\
         authorization server metadata at {server}{METADATA}: found\n\
         ended: no_pkce_support"
    );
    assert_eq!(failed.transcript.to_string(), expected);
}

#[tokio::test]
async fn what_a_vendor_writes_is_told_short_and_plain() {
    let vendor = Vendor::start().await;
    let sly = format!("https://evil.example.com/\u{202e}\u{1b}[2J{}", "x".repeat(100_000));
    vendor.resource_but(&json!({ "resource": sly }));
    let failed = vendor.discover().await.unwrap_err();
    let told = format!("{failed}\n{}", failed.transcript);
    assert!(told.contains("evil.example.com") && told.len() < 2_000, "{}", told.len());
    assert!(!told.chars().any(|c| c == '\u{202e}' || (c.is_control() && c != '\n')), "{told:?}");
}
