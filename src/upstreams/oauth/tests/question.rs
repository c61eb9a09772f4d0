//! What an upstream wants to see, asked before anybody has something to show.

use super::*;

const CHALLENGE: &str = r#"Bearer scope="notes:read", error="invalid_token""#;

#[tokio::test]
async fn cl_01_cl_07_an_upstream_is_asked_what_it_wants_to_see_before_anybody_has_something_to_show() {
    let vendor = Vendor::start().await;
    vendor.resource_but(&json!({ "scopes_supported": ["everything"] }));
    vendor.upstream.says("/mcp", 401, &[("www-authenticate", CHALLENGE)], b"");
    let challenge = vendor.oauth.challenge(&vendor.target()).await;
    let asked = vendor.upstream.last("/mcp");
    assert_eq!(asked.json()["method"], "tools/list", "some answer `initialize` without a token");
    assert_eq!((asked.header("authorization"), asked.header("mcp-protocol-version")), (None, None));
    let found = vendor.oauth.discover(Flow::Code, &upstream(), &vendor.target(), challenge.as_ref()).await.unwrap();
    assert_eq!(names(&found.scopes), ["notes:read"], "and not all that there are");
}

#[tokio::test]
async fn cl_01_a_server_that_looks_at_the_revision_first_is_asked_in_a_way_that_it_understands() {
    let vendor = Vendor::start().await;
    vendor.upstream.json(
        "/mcp",
        400,
        &json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32020, "message": "" } }),
    );
    assert!(vendor.oauth.challenge(&vendor.target()).await.is_none());
    let [plain, modern] = &vendor.upstream.heard()[..] else { panic!("{:?}", vendor.upstream.paths()) };
    assert!(plain.json().get("params").is_none());
    assert_eq!(
        (modern.header("mcp-protocol-version"), modern.header("mcp-method")),
        (Some("2026-07-28"), Some("tools/list"))
    );
    assert_eq!(modern.json()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
}

#[tokio::test]
async fn cl_01_an_upstream_that_lets_everybody_in_or_is_not_there_has_no_challenge() {
    let vendor = Vendor::start().await;
    vendor.upstream.json("/mcp", 200, &json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [] } }));
    assert!(vendor.oauth.challenge(&vendor.target()).await.is_none());
    let heard = vendor.upstream.heard().len();
    let nobody = Url::parse("http://127.0.0.1:9/mcp").unwrap();
    assert!(oauth(true).challenge(&nobody).await.is_none());
    assert!(oauth(false).challenge(&vendor.target()).await.is_none());
    assert_eq!(vendor.upstream.heard().len(), heard, "sec_c1: an address inside is not asked");
}
