//! The vendor of other stories does what it says: a double that is lax would let them pass for the wrong reason.

use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;
use serde_json::{Value, json};

use crate::harness::{
    AUTHORIZE, Answer, CHALLENGE, Client, Gate, MCP, REGISTER, RESOURCE_METADATA, REVOKE, Reply, Request,
    SERVER_METADATA, Tokens, VENDOR_TOKEN, VERIFIER, Vendor, VendorCall, VendorCounts, call, form, initialize,
    parameters, soon,
};

const BACK: &str = "http://127.0.0.1:1/back";

async fn vendor() -> Vendor {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    vendor.knows_client("gateway", Some("canary-known-secret"));
    vendor
}

/// Sends a request to one of its two ports.
async fn ask(origin: &str, request: &Request) -> Reply {
    let address = origin.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
    Client::to(address).await.ask(request).await
}

async fn token(vendor: &Vendor, fields: &[(&str, &str)]) -> Reply {
    let client = [("client_id", "gateway"), ("client_secret", "canary-known-secret")];
    ask(&vendor.issuer(), &form(VENDOR_TOKEN, &[fields, &client].concat())).await
}

async fn redeem(vendor: &Vendor, code: &str) -> Reply {
    let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", BACK)];
    token(vendor, &[&fields[..], &[("code_verifier", VERIFIER)]].concat()).await
}

async fn refresh(vendor: &Vendor, refresh_token: &str) -> Reply {
    token(vendor, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

fn asking(vendor: &Vendor) -> String {
    let rest = format!("redirect_uri={BACK}&state=s&scope=a&code_challenge={CHALLENGE}&code_challenge_method=S256");
    format!("{}?response_type=code&client_id=gateway&{rest}", vendor.endpoint(AUTHORIZE))
}

async fn connect(vendor: &Vendor, person: &str) -> Tokens {
    let back = parameters(&vendor.says_yes(&asking(vendor), person));
    assert_eq!((back["state"].as_str(), back["iss"].as_str()), ("s", vendor.issuer().as_str()));
    Tokens::of(&redeem(vendor, &back["code"]).await)
}

async fn use_tool(vendor: &Vendor, token: &str, tool: &str) -> Reply {
    ask(&vendor.url(), &Request::post(MCP, &call(1, tool, &json!({}))).bearer(token)).await
}

#[tokio::test]
async fn a_call_is_answered_in_the_name_of_the_person_whose_token_it_carries() {
    let vendor = vendor().await;
    let (ada, bob) = (connect(&vendor, "ada").await, connect(&vendor, "bob").await);
    assert_eq!(use_tool(&vendor, &ada.access, "whoami").await.said(), "ada");
    assert_eq!(use_tool(&vendor, &bob.access, "whoami").await.said(), "bob");
    let VendorCall { person, token, message, received } = vendor.calls().pop().unwrap();
    assert_eq!((person.as_str(), &token, &message["method"]), ("bob", &bob.access, &Value::from("tools/call")));
    assert_eq!(received.header("authorization"), Some(format!("Bearer {token}").as_str()));
    assert_eq!((vendor.asked(MCP), vendor.connected()), (2, vec!["ada".to_owned(), "bob".to_owned()]));
    assert!(vendor.secrets().contains(&bob.refresh));
    vendor.forgets_calls();
    assert_eq!((vendor.asked(MCP), vendor.calls().len()), (0, 0));
}

#[tokio::test]
async fn what_is_spent_revoked_or_too_old_is_good_for_nothing() {
    let vendor = vendor().await;
    let first = connect(&vendor, "ada").await;
    let second = Tokens::of(&refresh(&vendor, &first.refresh).await);
    assert_eq!(refresh(&vendor, &first.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(refresh(&vendor, &second.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(use_tool(&vendor, &second.access, "whoami").await.status, 401);

    vendor.keeps_refresh_tokens();
    let bob = connect(&vendor, "bob").await;
    vendor.expires_tokens();
    assert_eq!(use_tool(&vendor, &bob.access, "whoami").await.status, 401);
    let again = refresh(&vendor, &bob.refresh).await;
    assert!(again.json().get("refresh_token").is_none());
    assert_eq!(refresh(&vendor, &bob.refresh).await.status, 200);
    vendor.revokes("bob");
    assert_eq!(refresh(&vendor, &bob.refresh).await.status, 400);

    vendor.gives_tokens_for(0);
    let cleo = connect(&vendor, "cleo").await;
    assert_eq!(use_tool(&vendor, &cleo.access, "whoami").await.status, 401);
    let client = [("client_id", "gateway"), ("client_secret", "canary-known-secret"), ("token", &*cleo.access)];
    assert_eq!(ask(&vendor.issuer(), &form(REVOKE, &client)).await.status, 200);
    assert!(vendor.connected().is_empty());
    let seen = VendorCounts { codes: 3, refreshes: 3, reuses: 1, revocations: 1, turned_away: 3, ..vendor.counts() };
    assert_eq!(vendor.counts(), seen);
}

#[tokio::test]
async fn its_documents_challenges_and_answers_are_what_the_story_tells() {
    let vendor = vendor().await;
    vendor.asks_for("a b");
    let told = use_tool(&vendor, "x", "whoami").await;
    let metadata = vendor.url().replace(MCP, RESOURCE_METADATA);
    let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"a b\"");
    assert_eq!(told.header("www-authenticate"), Some(challenge.as_str()));
    vendor.challenges("");
    assert_eq!(use_tool(&vendor, "x", "whoami").await.header("www-authenticate"), None);

    vendor.says(RESOURCE_METADATA, json!({ "resource": "https://evil.example/", "authorization_servers": null }));
    let document = ask(&vendor.url(), &Request::get(RESOURCE_METADATA)).await.json();
    assert_eq!(document, json!({ "resource": "https://evil.example/" }));
    vendor.lets_documents_in();
    let document = ask(&vendor.issuer(), &Request::get(SERVER_METADATA)).await.json();
    assert_eq!(document["client_id_metadata_document_supported"], true);
    vendor.answers(SERVER_METADATA, Some(Answer::status(500)));
    assert_eq!(ask(&vendor.issuer(), &Request::get(SERVER_METADATA)).await.status, 500);
    vendor.answers(SERVER_METADATA, None);
    assert_eq!(ask(&vendor.issuer(), &Request::get(SERVER_METADATA)).await.status, 200);
    assert!(vendor.says_no(&asking(&vendor)).contains("error=access_denied"));
}

#[tokio::test]
async fn it_keeps_an_answer_back_until_it_is_told_to_go_on() {
    let vendor = vendor().await;
    let ada = connect(&vendor, "ada").await;
    let gate = Gate::new();
    vendor.holds(VENDOR_TOKEN, Some(&gate));
    let waiting = refresh(&vendor, &ada.refresh);
    let opened = async {
        crate::harness::until("the refresh token is spent", || vendor.counts().refreshes == 1).await;
        gate.open();
    };
    let (reply, ()) = soon("the answer comes", async { tokio::join!(waiting, opened) }).await;
    assert_eq!(reply.status, 200);
    vendor.holds(VENDOR_TOKEN, None);
    assert_eq!(vendor.last_form(VENDOR_TOKEN)["refresh_token"], ada.refresh);
    assert_eq!(vendor.received(VENDOR_TOKEN).len(), 2);
}

#[tokio::test]
async fn a_tool_may_need_a_scope_and_a_session_belongs_to_one_person() {
    let vendor = vendor().await;
    let (ada, bob) = (connect(&vendor, "ada").await, connect(&vendor, "bob").await);
    vendor.demands("write", "b");
    let refused = use_tool(&vendor, &ada.access, "write").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"insufficient_scope\", scope=\"b\""));

    vendor.keeps_sessions();
    let hello = ask(&vendor.url(), &Request::post(MCP, &initialize(1)).bearer(&ada.access)).await;
    let session = hello.header("mcp-session-id").unwrap();
    let list = Request::post(MCP, &crate::harness::list_tools(2)).header("Mcp-Session-Id", session);
    assert_eq!(ask(&vendor.url(), &list.clone().bearer(&bob.access)).await.status, 404);
    assert_eq!(ask(&vendor.url(), &list.bearer(&ada.access)).await.status, 200);
}

#[tokio::test]
async fn tokens_without_a_browser_are_those_of_whom_the_client_names() {
    let vendor = vendor().await;
    let jag = "urn:ietf:params:oauth:token-type:id-jag";
    let exchange = [("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", "ada")];
    let assertion = token(&vendor, &[&exchange[..], &[("requested_token_type", jag)]].concat()).await.json();
    assert_eq!(assertion["issued_token_type"], jag);
    let assertion = assertion["access_token"].as_str().unwrap();
    let bearer = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
    for fields in [&exchange, &bearer] {
        let ada = Tokens::of(&token(&vendor, fields).await);
        assert_eq!(use_tool(&vendor, &ada.access, "whoami").await.said(), "ada");
    }
    let own = Tokens::of(&token(&vendor, &[("grant_type", "client_credentials")]).await);
    assert_eq!(use_tool(&vendor, &own.access, "whoami").await.said(), "gateway");
    assert_eq!(vendor.counts().direct, 3);

    let registered = Request::post(REGISTER, &json!({ "token_endpoint_auth_method": "none" }));
    assert_eq!(ask(&vendor.issuer(), &registered).await.status, 201);
    vendor.forgets_clients();
    assert_eq!(token(&vendor, &bearer).await.json()["error"], "invalid_client");
}
