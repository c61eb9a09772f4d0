//! The demo server behind a sign-in of its own.

use std::sync::Arc;

use portcullis::upstreams::demo::{Counts, OAuthOptions};
use portcullis_policies::kit::clock::SystemClock;
use serde_json::json;

use crate::harness::{
    CHALLENGE, Notebook, Process, Reachable, Request, Tokens, VERIFIER, call, form, list_tools, parameters, run,
};

#[tokio::test]
async fn a_client_finds_everything_from_the_address_alone_and_calls_as_a_person() {
    let notebook = Notebook::new(Arc::new(SystemClock), |options| options).await;
    let place = notebook.place();
    let refused = place.ask(&Request::post("/mcp", &list_tools(1))).await;
    let challenge = refused.header("www-authenticate").unwrap();
    let metadata = challenge.split('"').nth(1).unwrap().strip_prefix(&place.origin).unwrap();
    let resource = place.ask(&Request::get(metadata)).await.json();
    assert_eq!(resource["resource"], notebook.url());
    let server = resource["authorization_servers"][0].as_str().unwrap();
    let server = server.strip_prefix(&place.origin).unwrap().to_owned() + "/.well-known/oauth-authorization-server";
    let server = place.ask(&Request::get(&server)).await.json();
    let path = |name: &str| server[name].as_str().unwrap().strip_prefix(&place.origin).unwrap().to_owned();

    let back = "http://127.0.0.1:1/back";
    let client = json!({ "redirect_uris": [back], "token_endpoint_auth_method": "none" });
    let client = place.ask(&Request::post(&path("registration_endpoint"), &client)).await.json();
    let client = client["client_id"].as_str().unwrap();
    let asking =
        format!("{}?response_type=code&client_id={client}&redirect_uri={back}", path("authorization_endpoint"));
    let asking = format!("{}{asking}&code_challenge={CHALLENGE}&code_challenge_method=S256", place.origin);
    let code = parameters(&notebook.says_yes(&asking, "Ada").await).remove("code").unwrap();
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", back)];
    let fields = [&fields[..], &[("code_verifier", VERIFIER), ("client_id", client)]].concat();
    let tokens = Tokens::of(&place.ask(&form(&path("token_endpoint"), &fields)).await);

    let whoami = Request::post("/mcp", &call(2, "whoami", &json!({}))).bearer(&tokens.access);
    assert_eq!(place.ask(&whoami).await.json()["result"]["structuredContent"]["name"], "Ada");
    let expected = Counts { registrations: 1, codes: 1, admitted: 1, refused: 1, ..Counts::default() };
    assert_eq!(notebook.demo.counts(), expected);
    assert_eq!(notebook.demo.end("Ada"), 1);
    assert_eq!(place.ask(&whoami).await.status, 401);
}

#[tokio::test]
async fn where_scopes_matter_it_says_which_one_a_caller_needs_first() {
    let scopes = |options| OAuthOptions { scopes: true, ..options };
    let notebook = Notebook::new(Arc::new(SystemClock), scopes).await;
    let refused = notebook.place().ask(&Request::post("/mcp", &list_tools(1))).await;
    assert!(refused.header("www-authenticate").unwrap().ends_with("scope=\"notes:read\""));
}

#[tokio::test]
async fn the_program_serves_it_on_loopback_only_and_says_where() {
    let demo = Process::run_on(&["demo-server", "--oauth", "--listen", "127.0.0.1:0"]);
    let address = demo.address().await;
    demo.says(&format!("http://{address}/mcp")).await;
    assert_eq!(demo.ask(&Request::post("/mcp", &list_tools(1))).await.status, 401);
    assert!(demo.ask(&Request::get("/")).await.text().contains("Nobody is connected."));
    demo.signal("TERM");
    assert!(demo.ended().await.0.success());

    let refused = run(&["demo-server", "--oauth", "--listen", "0.0.0.0:0"], &[]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("for loopback only"));
}
