//! How clients find out where to sign in, and what their token is worth.

use serde_json::{Value, json};

use super::{examine, examine_with, typed, vendor};
use crate::harness::{Answer, Client, MCP, RESOURCE_METADATA, Request, SERVER_METADATA, Upstream, Vendor};

/// Where else an authorization server may have its metadata.
const OPENID: &str = "/.well-known/openid-configuration";

/// Defects of a vendor's documents: the requirement, who says what, and what that is called.
fn defects(vendor: &Vendor) -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let (url, issuer) = (vendor.url(), vendor.issuer());
    let parent = url.trim_end_matches(MCP);
    let named = |issuer: &str| json!({ "authorization_servers": [issuer] });
    vec![
        ("pr_02", RESOURCE_METADATA, json!({ "resource": format!("{parent}/other") }), "resource_mismatch"),
        ("pr_02", RESOURCE_METADATA, json!({ "resource": null }), "resource_mismatch"),
        ("pr_02", RESOURCE_METADATA, json!({ "resource": "mcp" }), "resource_mismatch"),
        ("pr_02", RESOURCE_METADATA, json!({ "resource": format!("{url}#part") }), "resource_mismatch"),
        ("cl_02", RESOURCE_METADATA, json!({ "resource": "http://10.1.2.3:8080/mcp" }), "resource_mismatch"),
        ("pr_02", RESOURCE_METADATA, json!({ "resource": format!("{url}/") }), "resource_spelled_differently"),
        ("pr_02", RESOURCE_METADATA, json!({ "resource": parent }), "resource_is_parent"),
        ("pr_02", RESOURCE_METADATA, json!({ "resource": format!("{url}?v=1") }), "resource_query_differs"),
        ("pr_01", RESOURCE_METADATA, json!({ "bearer_methods_supported": ["body"] }), "bearer_header_not_listed"),
        ("pr_01", RESOURCE_METADATA, json!({ "bearer_methods_supported": ["body", "header"] }), ""),
        ("pr_01", RESOURCE_METADATA, json!({ "authorization_servers": [] }), "no_authorization_server"),
        ("pr_01", RESOURCE_METADATA, json!({ "authorization_servers": null }), "no_authorization_server"),
        ("pr_01", RESOURCE_METADATA, json!({ "authorization_servers": issuer }), "no_authorization_server"),
        (
            "pr_01",
            RESOURCE_METADATA,
            json!({ "authorization_servers": [{ "issuer": issuer }] }),
            "no_authorization_server",
        ),
        ("cl_16", RESOURCE_METADATA, named("http://idp.example"), "insecure_endpoint"),
        ("cl_16", RESOURCE_METADATA, named("idp.example"), "insecure_endpoint"),
        ("cl_16", RESOURCE_METADATA, named("https://10.11.12.13"), "address_not_asked"),
        ("cl_03", RESOURCE_METADATA, named(&format!("{issuer}/tenant")), "no_authorization_server_metadata"),
        ("as_02", RESOURCE_METADATA, named(&url), "no_authorization_server_metadata"),
        ("as_02", RESOURCE_METADATA, named(&format!("{issuer}/")), "issuer_mismatch"),
        ("as_02", SERVER_METADATA, json!({ "issuer": format!("{issuer}/") }), "issuer_mismatch"),
        ("cl_03", SERVER_METADATA, json!({ "issuer": "https://idp.example" }), "issuer_mismatch"),
        ("as_02", SERVER_METADATA, json!({ "issuer": null }), "issuer_mismatch"),
        ("as_02", SERVER_METADATA, json!({ "token_endpoint": null }), "endpoints_missing"),
        ("as_02", SERVER_METADATA, json!({ "authorization_endpoint": null }), "endpoints_missing"),
        ("as_12", SERVER_METADATA, json!({ "authorization_endpoint": "http://idp.example/a" }), "insecure_endpoint"),
        ("as_12", SERVER_METADATA, json!({ "token_endpoint": "/token" }), "insecure_endpoint"),
        ("cl_04", SERVER_METADATA, json!({ "code_challenge_methods_supported": ["plain"] }), "no_pkce_support"),
        ("cl_04", SERVER_METADATA, json!({ "code_challenge_methods_supported": null }), "no_pkce_support"),
        (
            "as_02",
            SERVER_METADATA,
            json!({ "authorization_endpoint": null, "token_endpoint": "http://evil.example/t",
                    "code_challenge_methods_supported": [] }),
            "endpoints_missinginsecure_endpointno_pkce_support",
        ),
        // The keys are between the two servers, and no client's matter.
        ("cl_03", SERVER_METADATA, json!({ "jwks_uri": "http://nowhere.invalid/keys" }), ""),
    ]
}

#[tokio::test]
async fn pr_01_pr_02_as_02_cl_03_cl_04_each_defect_of_the_metadata_has_a_code_of_its_own() {
    let vendor = vendor().await;
    for (id, document, members, code) in defects(&vendor) {
        vendor.says(document, members.clone());
        let seen = examine(&vendor.url()).await;
        vendor.says(document, json!({}));
        assert_eq!(seen.codes().concat(), code, "{id} {document} {members}: {}", seen.printed);
        let is_failure = seen.report["diagnosis"][0]["state"] == "failed";
        assert_eq!(seen.exit_code, Some(if is_failure { 6 } else { 0 }), "{}", seen.printed);
    }
    examine(&vendor.url()).await.is_healthy();
}

/// What may be in the place of a document, and what that is called: for the resource's, and for the authorization server's.
fn instead() -> Vec<(&'static str, Answer, &'static str, &'static str)> {
    let [no_resource, no_server] = ["no_protected_resource_metadata", "no_authorization_server_metadata"];
    let unreadable = "protected_resource_metadata_unreadable";
    let page = |body: &str| Answer::body(200, "text/html", body);
    let endless = json!({ "resource": "x".repeat(2 << 20) });
    vec![
        ("pr_01", Answer::status(404), no_resource, no_server),
        ("pr_01", Answer::status(500), no_resource, no_server),
        ("pr_10", Answer::status(401), "metadata_guarded", "metadata_guarded"),
        ("pr_10", Answer::status(403), "metadata_guarded", "metadata_guarded"),
        ("cl_16", Answer::status(301).header("Location", "/elsewhere"), "metadata_redirect", "metadata_redirect"),
        ("pr_10", page("<title>Our app</title>"), unreadable, no_server),
        ("pr_10", Answer::json(&json!(["https://idp.example"])), unreadable, no_server),
        ("cl_16", Answer::json(&endless), unreadable, no_server),
        ("pr_10", Answer::hang_up(), no_resource, "authorization_server_unreachable"),
    ]
}

#[tokio::test]
async fn pr_10_cl_16_what_is_in_the_place_of_metadata_is_told_apart() {
    let vendor = vendor().await;
    for (id, answer, of_resource, of_server) in instead() {
        for (document, code) in [(RESOURCE_METADATA, of_resource), (SERVER_METADATA, of_server)] {
            vendor.answers(document, Some(answer.clone()));
            let seen = examine(&vendor.url()).await;
            vendor.answers(document, None);
            assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(6)), "{id} {document}: {}", seen.printed);
            let verify = seen.report["diagnosis"][0]["verify"].to_string();
            assert!(verify.contains(document), "{verify}");
            assert_eq!(seen.check("registration").0, "skipped");
        }
    }
}

/// The documents as they are, so that they can be served elsewhere or otherwise.
async fn documents(vendor: &Vendor) -> [Value; 2] {
    let resource = vendor.url().replace(MCP, RESOURCE_METADATA);
    let mut documents = [Value::Null, Value::Null];
    for (document, url) in documents.iter_mut().zip([resource, vendor.endpoint(SERVER_METADATA)]) {
        let address = url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
        let path = url.splitn(4, '/').nth(3).unwrap();
        *document = Client::to(address).await.ask(&Request::get(&format!("/{path}"))).await.json();
    }
    documents
}

#[tokio::test]
async fn pr_10_metadata_that_are_not_called_json_are_a_warning() {
    let vendor = vendor().await;
    for (path, document) in [RESOURCE_METADATA, SERVER_METADATA].into_iter().zip(documents(&vendor).await) {
        for (content_type, codes) in
            [("text/plain", &["metadata_content_type"][..]), ("application/json; charset=utf-8", &[])]
        {
            vendor.answers(path, Some(Answer::body(200, content_type, document.to_string())));
            let seen = examine(&vendor.url()).await;
            vendor.answers(path, None);
            assert_eq!((&*seen.codes(), seen.exit_code), (codes, Some(0)), "{path}: {}", seen.printed);
        }
    }
}

#[tokio::test]
async fn as_02_cl_03_metadata_in_one_of_the_places_are_told_with_the_clients_that_find_them() {
    let vendor = vendor().await;
    let [_, document] = documents(&vendor).await;
    // Whoever has found them looks no further.
    vendor.answers(OPENID, Some(Answer::hang_up()));
    let seen = examine(&vendor.url()).await;
    seen.is_healthy();
    assert!(seen.check("issuer").1.ends_with("found by clients of 2025-06-18 and later"), "{}", seen.printed);

    // The MCP server has the same document on its own origin, where the oldest clients look.
    vendor.answers(SERVER_METADATA, Some(Answer::json(&document)));
    let seen = examine(&vendor.url()).await;
    seen.is_healthy();
    assert!(seen.check("issuer").1.ends_with("found by clients of 2025-03-26 and later"), "{}", seen.printed);

    vendor.answers(SERVER_METADATA, Some(Answer::status(404)));
    vendor.answers(OPENID, Some(Answer::json(&document)));
    let seen = examine(&vendor.url()).await;
    seen.is_healthy();
    assert!(seen.check("issuer").1.ends_with("found by clients of 2025-11-25 and later"), "{}", seen.printed);
}

#[tokio::test]
async fn cl_01_a_server_that_only_the_oldest_clients_can_sign_in_to_is_told_from_one_that_nobody_can() {
    let vendor = vendor().await;
    let [_, document] = documents(&vendor).await;
    vendor.challenges("Bearer");
    vendor.answers(RESOURCE_METADATA, Some(Answer::status(404)));
    let seen = examine(&vendor.url()).await;
    let codes = vec!["challenge_without_metadata", "no_protected_resource_metadata"];
    assert_eq!((seen.codes(), seen.exit_code), (codes, Some(6)), "{}", seen.printed);

    vendor.answers(SERVER_METADATA, Some(Answer::json(&document)));
    let seen = examine(&vendor.url()).await;
    let codes = vec!["challenge_without_metadata", "only_oldest_discovery"];
    assert_eq!((seen.codes(), seen.exit_code), (codes, Some(0)), "{}", seen.printed);
    assert_eq!((seen.check("issuer").0, seen.check("registration").0), ("ok", "ok"), "{}", seen.printed);
}

#[tokio::test]
async fn cl_03_the_places_of_an_issuer_with_a_path_are_all_looked_at() {
    let vendor = vendor().await;
    let [_, mut document] = documents(&vendor).await;
    document["issuer"] = format!("{}/t1", vendor.issuer()).into();
    vendor.says(RESOURCE_METADATA, json!({ "authorization_servers": [document["issuer"]] }));
    for (place, since) in [
        ("/.well-known/oauth-authorization-server/t1", "2025-06-18"),
        ("/.well-known/openid-configuration/t1", "2025-11-25"),
        ("/t1/.well-known/openid-configuration", "2025-11-25"),
    ] {
        vendor.answers(place, Some(Answer::json(&document)));
        let seen = examine(&vendor.url()).await;
        vendor.answers(place, None);
        seen.is_healthy();
        let evidence = seen.check("issuer").1;
        assert!(evidence.contains(place) && evidence.contains(since), "{evidence}");
    }
}

#[tokio::test]
async fn pr_02_cl_03_the_fix_is_about_what_was_seen() {
    let vendor = vendor().await;
    for (document, members, words) in [
        (RESOURCE_METADATA, json!({ "resource": "http://10.1.2.3:8080/mcp" }), "proxy_set_header Host"),
        (RESOURCE_METADATA, json!({ "authorization_servers": [vendor.url()] }), "names the MCP server itself"),
        (SERVER_METADATA, json!({ "issuer": format!("{}/", vendor.issuer()) }), "the slash at the end"),
        (SERVER_METADATA, json!({ "issuer": "http://10.1.2.3:8080" }), "public URL"),
    ] {
        vendor.says(document, members);
        let seen = examine(&vendor.url()).await;
        vendor.says(document, json!({}));
        let fix = seen.report["diagnosis"][0]["fix"].as_str().unwrap();
        assert!(fix.contains(words), "{words}: {fix}");
    }
}

#[tokio::test]
async fn pr_03_pr_09_each_defect_of_the_challenge_has_a_code_of_its_own() {
    let vendor = vendor().await;
    for (challenge, code) in [
        ("", "challenge_missing"),
        ("Basic realm=\"x\"", "challenge_not_bearer"),
        ("Bearer realm=\"x\"", "challenge_without_metadata"),
        (
            "Bearer resource_metadata=\"https://a.example/\", resource_metadata=\"https://a.example/\"",
            "challenge_without_metadata",
        ),
        ("Bearer resource_metadata=\"https://a.example/", "challenge_without_metadata"),
        ("Bearer resource_metadata=\"/metadata\"", "challenge_bad_address"),
        ("Bearer resource_metadata=\"http://elsewhere.example/x\"", "challenge_bad_address"),
    ] {
        vendor.challenges(challenge);
        let seen = examine(&vendor.url()).await;
        // The well-known places still have the metadata, and that is said too.
        assert_eq!(seen.codes(), [code], "{challenge}: {}", seen.printed);
        assert_eq!(seen.check("resource").0, "ok", "{}", seen.printed);
    }
    // Each of several defects is named, and of letters only those that clients trip over.
    let place = vendor.url().replace(MCP, RESOURCE_METADATA);
    for (challenge, codes) in [
        ("Basic resource_metadata=\"/metadata\"".to_owned(), &["challenge_not_bearer", "challenge_bad_address"][..]),
        (format!("Bearer realm=\"Zürich\", resource_metadata=\"{place}\""), &["challenge_letters"]),
        (format!("Bearer error_description=\"a \\\\ b\", resource_metadata=\"{place}\""), &["challenge_letters"]),
        ("Bearer scope=\"Zürich\"".to_owned(), &["challenge_without_metadata", "challenge_letters"]),
    ] {
        vendor.challenges(&challenge);
        let seen = examine(&vendor.url()).await;
        assert_eq!(seen.codes(), codes, "{challenge}: {}", seen.printed);
    }
    // Who reads the challenge looks nowhere else, so what it names has to be there.
    let elsewhere = format!("Bearer resource_metadata=\"{}/nowhere\"", vendor.issuer());
    vendor.challenges(&elsewhere);
    let seen = examine(&vendor.url()).await;
    assert_eq!(seen.codes(), ["no_protected_resource_metadata"], "{}", seen.printed);
    // A server does not make its examiner look around in a network that is not the server's.
    vendor.challenges("Bearer resource_metadata=\"https://10.11.12.13/x\"");
    let seen = examine(&vendor.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["address_not_asked"], Some(0)), "{}", seen.printed);
}

#[tokio::test]
async fn cl_01_challenges_that_are_right_are_read_however_they_are_written() {
    let vendor = vendor().await;
    let place = vendor.url().replace(MCP, RESOURCE_METADATA);
    for challenge in [
        format!("Basic realm=\"a, b\", Bearer resource_metadata=\"{place}\""),
        format!("Negotiate YII=, bearer scope=\"a b\" , Resource_Metadata = \"{place}\""),
        format!("Bearer realm=\"\\\"quoted\\\"\", resource_metadata=\"{}\"", place.replace('/', "\\/")),
        format!("Bearer resource_metadata=\"{place}\", Bearer realm=\"x\""),
        format!("Bearer error=\"invalid_token\", resource_metadata={place}"),
    ] {
        vendor.challenges(&challenge);
        let seen = examine(&vendor.url()).await;
        assert_eq!(seen.codes(), [""; 0], "{challenge}: {}", seen.printed);
    }
}

#[tokio::test]
async fn a_server_leads_its_examiner_nowhere_by_a_redirect_of_its_documents() {
    let (vendor, inside) = (vendor().await, Upstream::saying("a secret of the inside").await);
    for document in [RESOURCE_METADATA, SERVER_METADATA] {
        vendor.answers(document, Some(Answer::status(302).header("Location", &inside.url())));
        assert_eq!(examine(&vendor.url()).await.exit_code, Some(6));
        vendor.answers(document, None);
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn an_authorization_server_that_is_not_there_is_told_from_one_without_metadata() {
    let (vendor, gone) = (vendor().await, Upstream::saying("gone soon").await);
    let issuer = format!("http://{}", gone.address());
    drop(gone);
    vendor.says(RESOURCE_METADATA, json!({ "authorization_servers": [issuer, vendor.issuer()] }));
    let seen = examine(&vendor.url()).await;
    assert_eq!(seen.codes(), ["authorization_server_unreachable"], "{}", seen.printed);
    assert!(seen.check("issuer").1.contains(&issuer), "{}", seen.printed);
    // The other one was looked at all the same.
    let lines = seen.report["checks"].as_array().unwrap();
    assert_eq!(lines.iter().filter(|line| line["check"] == "issuer" && line["state"] == "ok").count(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_good_is_told_from_one_with_too_little_and_never_shown() {
    let vendor = vendor().await;
    let seen = examine_with(&[&vendor.url(), "--token", "canary-token"], &[]).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["token_refused"], Some(6)), "{}", seen.printed);

    // A server that repeats what it was sent.
    let upstream = Upstream::new(|request| {
        let shown = request.header("authorization").unwrap_or_default().to_owned();
        if shown.is_empty() {
            return Answer::status(401).header("WWW-Authenticate", "Bearer");
        }
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"notes\", error_description=\"{shown}\"");
        let error = json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32000, "message": shown } });
        Answer::body(403, "application/json", error.to_string()).header("WWW-Authenticate", &challenge)
    })
    .await;
    let arguments = [&*upstream.url(), "--token", "canary-token"];
    let seen = examine_with(&arguments, &[]).await;
    assert!(seen.codes().contains(&"scope_missing"), "{}", seen.printed);
    // Which authorization server would give them, the 403 does not say.
    assert!(seen.printed.contains("Let the server say in its 403"), "{}", seen.printed);
    let people = typed(&arguments, &[]).await;
    let people = String::from_utf8([people.stdout, people.stderr].concat()).unwrap();
    assert!(people.contains("scope_missing") && people.contains("scope=\"notes\""), "{people}");
    assert!(!people.contains("canary-token") && !seen.printed.contains("canary-token"), "{people}");
}
