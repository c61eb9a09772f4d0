//! How clients come to a client id, and what they may do with it.

use serde_json::{Value, json};

use super::{examine, examine_with, vendor};
use crate::harness::{AUTHORIZE, REGISTER, SERVER_METADATA};

#[tokio::test]
async fn as_04_cl_09_the_ways_to_a_client_id_are_told_with_the_clients_that_go_them() {
    let vendor = vendor().await;
    let seen = examine(&vendor.url()).await;
    let (state, evidence) = seen.check("registration");
    assert_eq!(state, "ok");
    assert!(evidence.contains("dynamic registration (inspector, mcp-remote, vscode"), "{evidence}");

    vendor.lets_documents_in();
    vendor.says(SERVER_METADATA, json!({ "registration_endpoint": null }));
    let seen = examine(&vendor.url()).await;
    seen.is_healthy();
    assert!(seen.check("registration").1.contains("client-id documents (vscode, "), "{}", seen.printed);
    examine_with(&[&vendor.url(), "--client", "claude-code"], &[]).await.is_healthy();
    let seen = examine_with(&[&vendor.url(), "--client", "mcp-remote"], &[]).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["registration_not_possible"], Some(6)), "{}", seen.printed);
    let fix = seen.report["diagnosis"][0]["fix"].as_str().unwrap();
    assert!(fix.contains("--static-oauth-client-info") && fix.contains("/oauth/callback"), "{fix}");
}

#[tokio::test]
async fn as_04_a_server_that_lets_nobody_register_is_a_warning_to_all_and_a_failure_to_a_client() {
    let vendor = vendor().await;
    vendor.says(SERVER_METADATA, json!({ "registration_endpoint": null }));
    let seen = examine(&vendor.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["registration_by_hand"], Some(0)), "{}", seen.printed);
    let seen = examine_with(&[&vendor.url(), "--client", "claude-code"], &[]).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["registration_not_possible"], Some(6)), "{}", seen.printed);
    assert!(seen.printed.contains("Incompatible auth server: does not support dynamic client registration"));
}

/// What an authorization server may say of itself, with what that is called.
fn offers() -> Vec<(&'static str, Value, &'static [&'static str])> {
    vec![
        ("as_14", json!({ "token_endpoint_auth_methods_supported": ["client_secret_basic"] }), &["no_public_clients"]),
        // Absent lists mean the defaults of RFC 8414, and say nothing against anybody.
        ("as_14", json!({ "token_endpoint_auth_methods_supported": null }), &[]),
        ("as_01", json!({ "grant_types_supported": null }), &[]),
        ("as_01", json!({ "grant_types_supported": ["implicit", "refresh_token"] }), &["no_code_flow"]),
        ("as_01", json!({ "response_types_supported": ["token"] }), &["no_code_flow"]),
        ("as_01", json!({ "response_types_supported": null }), &["response_types_missing"]),
        ("as_11", json!({ "grant_types_supported": ["authorization_code"] }), &["no_refresh_tokens"]),
        ("as_09", json!({ "protected_resources": ["https://elsewhere.example/mcp"] }), &["resource_not_listed"]),
        ("as_06", json!({ "registration_endpoint": "http://idp.example/register" }), &["insecure_endpoint"]),
        ("as_04", json!({ "client_id_metadata_document_supported": "true" }), &["metadata_flag_is_text"]),
        // Its answers need not say who it is, and scopes need not be listed.
        ("as_03", json!({ "authorization_response_iss_parameter_supported": null }), &[]),
    ]
}

#[tokio::test]
async fn as_01_as_14_what_an_authorization_server_does_not_offer_has_a_code_each() {
    let vendor = vendor().await;
    for (id, members, codes) in offers() {
        vendor.says(SERVER_METADATA, members.clone());
        let seen = examine(&vendor.url()).await;
        assert_eq!(seen.codes(), codes, "{id} {members}: {}", seen.printed);
    }
    vendor.says(
        SERVER_METADATA,
        json!({ "protected_resources": [vendor.url()], "scopes_supported": ["openid", "email"] }),
    );
    let seen = examine(&vendor.url()).await;
    seen.is_healthy();
    assert!(seen.check("registration").1.ends_with("so clients do not ask for it"), "{}", seen.printed);
    assert_eq!((vendor.asked(REGISTER), vendor.asked(AUTHORIZE)), (0, 0), "it only looks");
}
