//! What `explain` says about the eras of a route.

use serde_json::{Value, json};

use super::{alone, error, introduction, method, welcome, within};
use crate::harness::{Answer, Gateway, Received, Request, Route, Setup, Upstream, call, initialize, notification, run};

/// What `explain` says of a route to this upstream, in words and as JSON.
async fn explained(route: Route, arguments: &[&str]) -> (String, Value) {
    let folder = Setup::new().route("/mcp", route).into_folder();
    let file = folder.path().join("routes.json").to_str().unwrap().to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let explaining = tokio::task::spawn_blocking(move || {
        let mut all = vec!["explain", "/mcp", "--config", &file];
        all.extend(arguments.iter().map(String::as_str));
        let words = run(&all, &[]);
        assert!(words.status.success(), "{words:?}");
        all.push("--json");
        (words.stdout, run(&all, &[]).stdout)
    });
    let (words, json) = explaining.await.unwrap();
    (String::from_utf8(words).unwrap(), serde_json::from_slice::<Value>(&json).unwrap()[0].take())
}

fn listed(request: &Received) -> Answer {
    let empty = json!({ "tools": [], "prompts": [], "resources": [], "resourceTemplates": [] });
    Answer::json(&request.result(&empty))
}

#[tokio::test]
async fn tr_25_explain_says_what_the_upstream_speaks_and_what_cannot_be_translated() {
    let with_sessions = Upstream::new(|request| match (method(request).as_str(), request.header("mcp-session-id")) {
        ("initialize", _) => Answer::json(&welcome(request)).header("Mcp-Session-Id", "upstream-session-1"),
        (_, Some(_)) => listed(request),
        _ => Answer::body(400, "application/json", error(request, -32000).to_string()),
    })
    .await;
    let (words, json) = explained(Route::to(&with_sessions), &[]).await;
    assert_eq!(json["upstreamEras"], json!(["legacy"]), "{words}");
    assert_eq!(json["era"], "both");
    assert!(json["notTranslated"]["modernClients"].is_array() && json["notTranslated"]["legacyClients"].is_null());
    for said in
        ["speaks MCP up to 2025-11-25, with sessions\n", "clients of 2026-07-28 are translated for", "- tasks: "]
    {
        assert!(words.contains(said), "{said}: {words}");
    }
    let (_, json) = explained(Route::to(&with_sessions).era("upstream"), &[]).await;
    assert_eq!((&json["era"], &json["notTranslated"]), (&json!("upstream"), &json!({})), "nothing is translated");

    let without = Upstream::new(|request| match method(request).as_str() {
        "initialize" => Answer::body(400, "application/json", error(request, -32601).to_string()),
        "server/discover" => Answer::json(&introduction(request, &["2026-07-28"])),
        _ => listed(request),
    })
    .await;
    let (words, json) = explained(Route::to(&without), &[]).await;
    assert_eq!(json["upstreamEras"], json!(["modern"]), "{words}");
    assert!(json["notTranslated"]["legacyClients"].is_array() && json["notTranslated"]["modernClients"].is_null());

    let (words, json) = explained(Route::demo(), &[]).await;
    assert_eq!((&json["upstreamEras"], &json["notTranslated"]), (&json!(["legacy", "modern"]), &json!({})), "{words}");
}

#[tokio::test]
async fn tr_25_explain_without_asking_the_upstream_lists_both_ways() {
    let (words, json) = explained(Route::url("http://127.0.0.1:9/mcp"), &["--offline"]).await;
    assert_eq!((&json["upstreamEras"], words.contains("    speaks ")), (&Value::Null, false));
    assert_eq!(json["notTranslated"].as_object().unwrap().len(), 2);
    let (_, json) = explained(Route::url("http://127.0.0.1:9/mcp").era("modern"), &["--offline"]).await;
    assert!(json["notTranslated"]["legacyClients"].is_null(), "they are not served");
}

/// What is said to be lost, each with the words by which its proof knows it: no entry without a proof, no proof without an
/// entry.
fn assert_lost(json: &Value, direction: &str, proven: &[&str]) {
    let lost: Vec<_> = json["notTranslated"][direction].as_array().unwrap().iter().collect();
    for entry in &lost {
        let entry = entry.as_str().unwrap();
        assert_eq!(proven.iter().filter(|words| entry.contains(**words)).count(), 1, "{entry}");
    }
    assert_eq!(lost.len(), proven.len());
}

fn list_of_tools() -> Value {
    let tool = |name: &str, kind: &str, output: &str| {
        let parameter = json!({ "type": kind, "x-mcp-header": "Region" });
        let schema = json!({ "type": "object", "properties": { "region": parameter } });
        json!({ "name": name, "inputSchema": schema, "outputSchema": { "type": output } })
    };
    json!([tool("kept", "string", "object"), tool("hidden", "number", "object"), tool("array", "string", "array")])
}

#[tokio::test]
async fn tr_25_explain_says_for_clients_with_sessions_what_is_lost() {
    let upstream = Upstream::new(|request| match method(request).as_str() {
        "initialize" => Answer::body(400, "application/json", error(request, -32022).to_string()),
        "server/discover" => {
            let extensions = json!({ "io.modelcontextprotocol/ui": {}, "io.modelcontextprotocol/tasks": {} });
            let said = json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "extensions": extensions } });
            Answer::json(&request.result(&said))
        }
        "tools/list" => Answer::json(&request.result(&json!({ "resultType": "complete", "tools": list_of_tools() }))),
        _ if request.message()["params"]["name"] == "refuses" => {
            Answer::body(400, "application/json", error(request, -32050).to_string())
        }
        _ if request.message()["params"]["name"] == "asks" => {
            let asked = json!({ "resultType": "input_required", "inputRequests": { "q": { "method": "roots/list" } } });
            Answer::json(&request.result(&asked))
        }
        _ => {
            let result = json!({ "resultType": "complete", "content": [], "structuredContent": [1] });
            Answer::json(&request.result(&result))
        }
    })
    .await;
    let (_, json) = explained(Route::to(&upstream), &[]).await;
    // What another process does not know: `sb_05_another_gateway_goes_on_with_a_session_and_what_only_one_knew_is_gone`.
    // What waits for the next call: `tr_18_a_resource_that_was_subscribed_to_is_heard_of_on_the_sessions_calls`.
    let elsewhere =
        ["the log level and subscriptions", "`notifications/cancelled`", "while no call of the session is open"];
    let here = ["tasks: ", "if the client did not declare", "beyond 1 KiB", "`notifications/roots/list_changed`"];
    let more = ["`x-mcp-header`", "`outputSchema` and `structuredContent`", "from -32020 to -32099"];
    assert_lost(&json, "legacyClients", &[&elsewhere[..], &here, &more].concat());

    let gateway = Gateway::before(&upstream).await;
    let begin_as = async |capabilities: &Value| {
        let mut hello = initialize("hello");
        hello["params"]["capabilities"] = capabilities.clone();
        let reply = gateway.post(&hello).await;
        (reply.header("mcp-session-id").unwrap().to_owned(), reply.json()["result"]["capabilities"].take())
    };
    let told = async |session: &str, message: &Value| {
        upstream.forget();
        let answer = gateway.ask(&within(session, message)).await.messages().pop().unwrap();
        (answer, upstream.requests().pop().map(|request| request.message()["params"].take()))
    };
    let capability = "io.modelcontextprotocol/clientCapabilities";
    let extensions = json!({ "io.modelcontextprotocol/ui": {}, "io.modelcontextprotocol/tasks": {} });
    let carried = json!({ "extensions": { "io.modelcontextprotocol/ui": {} } });
    let (session, offered) = begin_as(&json!({ "tasks": {}, "extensions": extensions })).await;
    assert_eq!(offered, carried, "of extensions, only tasks are lost");

    let mut task = call(1, "look", &json!({}));
    task["params"]["task"] = json!({ "ttl": 1 });
    let (answer, params) = told(&session, &task).await;
    let params = params.unwrap();
    assert_eq!((params.get("task"), &params["_meta"][capability]), (None, &carried));
    assert_eq!(answer["result"], json!({ "content": [] }), "no `structuredContent`");
    let (refused, params) = told(&session, &json!({ "jsonrpc": "2.0", "id": 2, "method": "tasks/list" })).await;
    assert_eq!((&refused["error"]["data"]["reason"], params), (&json!("not_bridged"), None));

    let (listed, _) = told(&session, &json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" })).await;
    let mut tools = list_of_tools();
    tools.as_array_mut().unwrap().remove(1);
    tools[1].as_object_mut().unwrap().remove("outputSchema");
    assert_eq!(listed["result"]["tools"], tools);
    let (asks, _) = told(&session, &call(4, "asks", &json!({}))).await;
    assert_eq!(asks["result"]["isError"], true, "{asks}");
    let (refused, _) = told(&session, &call(5, "refuses", &json!({}))).await;
    assert_eq!(refused["error"]["data"]["upstreamError"]["code"], -32050);

    upstream.forget();
    let changed = gateway.ask(&within(&session, &notification("notifications/roots/list_changed"))).await;
    assert_eq!((changed.status, upstream.count()), (202, 0));
    let much =
        json!({ "roots": {}, "experimental": { "much": { "text": "a".repeat(1 << 10) } }, "extensions": extensions });
    let (session, _) = begin_as(&much).await;
    let (_, params) = told(&session, &call(6, "look", &json!({}))).await;
    assert_eq!(params.unwrap()["_meta"][capability], json!({ "roots": {} }));
}

#[tokio::test]
async fn tr_25_explain_says_for_clients_of_2026_07_28_what_is_lost() {
    let upstream = Upstream::new(|request| match (method(request).as_str(), request.header("mcp-session-id")) {
        ("initialize", _) => Answer::json(&welcome(request)).header("Mcp-Session-Id", "upstream-session-1"),
        ("tools/call", Some(_)) => {
            Answer::events().event(&notification("notifications/elicitation/complete")).event(&request.says("done"))
        }
        (_, Some(_)) => listed(request),
        _ => Answer::body(400, "application/json", error(request, -32000).to_string()),
    })
    .await;
    let (_, json) = explained(Route::to(&upstream), &[]).await;
    // Tasks: `tr_25_what_cannot_be_translated_is_refused_by_its_name`. A call that waits:
    // `sb_04_another_process_says_that_the_call_must_be_begun_again`. Upstreams without sessions:
    // `tr_25_nobody_is_asked_for_an_upstream_that_keeps_no_session_to_be_answered_in`.
    let elsewhere = ["tasks: ", "a call that waits for its person", "an upstream that keeps no sessions"];
    let here = ["`notifications/elicitation/complete`", "revisions after 2026-07-28"];
    assert_lost(&json, "modernClients", &[&elsewhere[..], &here].concat());

    let gateway = Gateway::before(&upstream).await;
    let later = gateway.ask(&alone("2027-01-01", "tools/list")).await;
    assert_eq!(later.reason(), "unsupported_version");
    assert!(later.json()["error"]["data"]["supported"].is_array(), "{later:?}");
    let mut message = call(7, "look", &json!({}));
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
    });
    let look = Request::post("/mcp", &message).header("Mcp-Protocol-Version", "2026-07-28");
    let told = gateway.ask(&look.header("Mcp-Method", "tools/call").header("Mcp-Name", "look")).await.messages();
    assert_eq!((told.len(), &told[0]["id"]), (1, &json!(7)), "{told:?}");
}
