//! Clients with sessions that can send people to a page: what they are told of a call that waits.

use serde_json::{Value, json};

use crate::{
    approvals::{Caller, is_pending, said},
    audit::rows,
    harness::{Answer, Place, Process, Received, Reply, Request, Route, Setup, Upstream, call, initialize, until},
};

fn rules(wait: u64) -> Value {
    json!({ "rules": [
        { "name": "deletes", "match": { "tools": ["delete_note"] }, "action": "require_approval",
          "approvers": [{ "users": ["dev|grace"] }], "waitSeconds": wait },
        { "name": "the rest", "action": "allow" },
    ] })
}

fn tools() -> Value {
    json!([{ "name": "delete_note", "inputSchema": { "type": "object" } }])
}

/// Keeps sessions.
async fn older() -> Upstream {
    Upstream::new(|request| {
        let message = request.message();
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": { "tools": {} }, "serverInfo": { "name": "older", "version": "1" },
            }),
            "tools/list" => json!({ "tools": tools() }),
            "tools/call" => json!({ "content": [{ "type": "text", "text": "deleted" }] }),
            _ => return Answer::status(202),
        };
        Answer::json(&request.result(&result)).header("Mcp-Session-Id", "session-1")
    })
    .await
}

/// Knows no sessions.
async fn newer() -> Upstream {
    Upstream::new(|request| {
        let message = request.message();
        if message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] != "2026-07-28" {
            let error = json!({ "code": -32022, "message": "no" });
            let body = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }).to_string();
            return Answer::body(400, "application/json", body);
        }
        let mut result = match message["method"].as_str().unwrap_or_default() {
            "server/discover" => json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } }),
            "tools/list" => json!({ "tools": tools(), "ttlMs": 0, "cacheScope": "private" }),
            _ => json!({ "content": [{ "type": "text", "text": "deleted" }] }),
        };
        result["resultType"] = "complete".into();
        Answer::json(&request.result(&result))
    })
    .await
}

fn deleted(request: &Received) -> bool {
    !request.body.is_empty() && request.message()["method"] == "tools/call"
}

/// Somebody with a client that has begun a session.
struct Client {
    caller: Caller,
    session: String,
}

impl Client {
    /// One that says this about itself.
    async fn begin(place: &Place, revision: &str, capabilities: &Value) -> Self {
        let caller = Caller::of(place, "ada").await;
        let mut hello = initialize(1);
        hello["params"]["capabilities"] = capabilities.clone();
        hello["params"]["protocolVersion"] = revision.into();
        let reply = caller.ask(Request::post("/mcp", &hello)).await;
        let session = reply.header("mcp-session-id").unwrap_or_else(|| panic!("{reply:?}")).to_owned();
        Self { caller, session }
    }

    async fn opens_pages(place: &Place) -> Self {
        Self::begin(place, "2025-11-25", &json!({ "elicitation": { "form": {}, "url": {} } })).await
    }

    async fn delete(&self, id: &str) -> Reply {
        let request = Request::post("/mcp", &call(7, "delete_note", &json!({ "id": id })));
        self.caller.ask(request.header("Mcp-Session-Id", &self.session)).await
    }
}

fn gateway(upstream: &Upstream, wait: u64) -> Process {
    let route = Route::to(upstream).policy("audit-log", &json!({})).policy("dev-login", &json!({}));
    Setup::new().route("/mcp", route.policy("mcp-rules", &rules(wait))).spawn()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tr_31_a_client_with_a_session_is_sent_to_the_page_once_and_then_waits_like_others() {
    for upstream in [older().await, newer().await] {
        let gateway = gateway(&upstream, 0);
        let place = gateway.place().await;
        let ada = Client::opens_pages(&place).await;
        let asked = ada.delete("1").await;
        let (answer, url) = (asked.json(), format!("{}/approvals/1", place.origin));
        assert_eq!((asked.status, &answer["id"], &answer["error"]["code"]), (200, &json!(7), &json!(-32042)));
        let page = &answer["error"]["data"]["elicitations"][0];
        assert_eq!((&page["mode"], &page["url"]), (&json!("url"), &json!(url)), "{answer}");
        let words = page["message"].as_str().unwrap();
        for part in ["delete_note", "approval #1", "\"deletes\"", "users dev|grace", "not by whoever calls"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert_eq!(answer["error"]["data"]["approval"], 1);
        let metrics = place.ask(&Request::get("/metrics")).await;
        assert!(metrics.text().contains(r#"outcome="held",policy="mcp-rules""#), "{}", metrics.text());
        assert!(!metrics.text().contains("approval_required"), "nobody was refused: {}", metrics.text());
        for _ in 0..2 {
            assert!(is_pending(&ada.delete("1").await), "whoever repeats without an end does so in no circle");
        }
        said(&gateway, &["approve", "1"]);
        assert_eq!(ada.delete("1").await.said(), "deleted");
        assert_eq!(upstream.requests().iter().filter(|request| deleted(request)).count(), 1);
        let rows = rows(&gateway, &["--approval", "1"], 5).await;
        let told = |at: usize, name: &str| rows[at][name].as_str().unwrap_or_default().to_owned();
        let decisions: Vec<_> = (0..rows.len()).map(|at| told(at, "decision")).collect();
        assert_eq!(decisions.iter().filter(|decision| *decision == "held").count(), 3, "{rows:#?}");
        assert!(decisions.iter().all(|decision| decision != "denied"), "{rows:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tr_31_a_client_with_a_session_that_knows_no_pages_is_told_in_words() {
    for upstream in [older().await, newer().await] {
        let gateway = gateway(&upstream, 0);
        let place = gateway.place().await;
        let pages = json!({ "elicitation": { "url": {} } });
        for (number, (revision, capabilities)) in
            [("2025-11-25", json!({})), ("2025-11-25", json!({ "elicitation": {} })), ("2025-06-18", pages)]
                .into_iter()
                .enumerate()
        {
            let ada = Client::begin(&place, revision, &capabilities).await;
            let told = ada.delete(&number.to_string()).await;
            assert!(is_pending(&told) && told.text().contains("/approvals/"), "{}", told.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tr_31_a_client_that_was_sent_to_the_page_holds_its_next_call_open_and_hears_when_the_page_is_done_with() {
    let upstream = older().await;
    let gateway = gateway(&upstream, 60);
    let place = gateway.place().await;
    let ada = Client::opens_pages(&place).await;
    let asked = ada.delete("1").await.json();
    assert_eq!(asked["error"]["code"], -32042);
    let waiting = tokio::spawn(async move { ada.delete("1").await });
    until("it is asked about", || said(&gateway, &["list"]).contains("#1  waits")).await;
    said(&gateway, &["approve", "1"]);
    let told = waiting.await.unwrap();
    let messages = told.messages();
    let [done, result] = &messages[..] else { panic!("{}", told.text()) };
    assert_eq!(done["method"], "notifications/elicitation/complete");
    let page = &asked["error"]["data"]["elicitations"][0];
    assert!(page["elicitationId"].is_string() && done["params"]["elicitationId"] == page["elicitationId"]);
    assert_eq!((&result["id"], result["result"]["content"][0]["text"].as_str()), (&json!(7), Some("deleted")));
}
