//! The first minutes with a gateway.

use rmcp::{ServiceExt, model::CallToolRequestParams, transport::StreamableHttpClientTransport};
use serde_json::{Value, json};

use crate::harness::{
    Gateway, Reply, Request, Route, Setup, Upstream, call, initialize, list_tools, modern, notification, run, soon,
};

async fn demo() -> Gateway {
    Gateway::with(Route::demo()).await
}

#[tokio::test]
async fn the_demo_server_s_tools_can_be_listed_and_called() {
    let gateway = demo().await;
    let mut client = gateway.client().await;

    let hello = client.ask(&Request::post("/mcp", &initialize(1))).await;
    assert_eq!(hello.json()["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(client.ask(&Request::post("/mcp", &notification("notifications/initialized"))).await.status, 202);

    let tools = client.ask(&Request::post("/mcp", &list_tools(2))).await.json();
    let names: Vec<_> = tools["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert!(names.contains(&&Value::from("echo")), "{names:?}");
    assert_eq!(client.ask(&Request::post("/mcp", &call(3, "echo", &json!({ "text": "hello" })))).await.said(), "hello");
}

#[tokio::test]
async fn a_tool_that_takes_its_time_reports_progress_as_it_goes() {
    let gateway = demo().await;
    let mut message = call(3, "count_slowly", &json!({ "to": 3, "delay_ms": 10 }));
    message["params"]["_meta"] = json!({ "progressToken": "t" });

    let stream = gateway.client().await.start(&Request::post("/mcp", &message)).await;
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    let messages = stream.rest().await;
    let steps: Vec<_> = messages.iter().filter_map(|message| message["params"]["progress"].as_u64()).collect();
    assert_eq!(steps, [1, 2, 3]);
    assert_eq!(messages.last().unwrap()["id"], 3);
}

#[tokio::test]
async fn a_client_of_2026_07_28_needs_no_session() {
    let gateway = demo().await;
    let reply = gateway.ask(&modern("/mcp", 1, "list_notes")).await;
    assert_eq!((reply.status, reply.json()["id"].clone()), (200, 1.into()));
    assert!(reply.json()["result"].is_object(), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_rust_client_lists_and_calls_through_the_gateway() {
    let gateway = Setup::new()
        .route("/mcp", Route::demo().policy("mcp-capability-filter", &json!({ "tools": ["echo", "count_slowly"] })))
        .start()
        .await;
    let transport = StreamableHttpClientTransport::from_uri(format!("http://{}/mcp", gateway.address));
    let client = soon("initialize", ().serve(transport)).await.unwrap();

    let tools = soon("tools/list", client.list_all_tools()).await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    assert_eq!(names, ["count_slowly", "echo"]);

    let arguments = json!({ "text": "hello" }).as_object().unwrap().clone();
    let answer = client.call_tool(CallToolRequestParams::new("echo").with_arguments(arguments));
    let answer = serde_json::to_value(soon("tools/call", answer).await.unwrap()).unwrap();
    assert_eq!(answer["content"][0]["text"], "hello");

    let hidden = soon("a hidden tool", client.call_tool(CallToolRequestParams::new("delete_all_notes"))).await;
    assert!(hidden.unwrap_err().to_string().contains("exposes no tool"));
    soon("the client ends", client.cancel()).await.unwrap();
}

#[tokio::test]
async fn the_start_says_what_is_served_and_where() {
    let upstream = Upstream::saying("hi").await;
    let route = Route::to(&upstream)
        .policy("rate-limit", &json!({ "rateLimitBy": "ip", "requestsAllowed": 60, "timeWindowMinutes": 1 }))
        .policy("mcp-capability-filter", &json!({ "tools": ["a"] }));
    let gateway = Setup::new().route("/mcp/one", route).route("/mcp/two", Route::demo()).spawn();
    let address = gateway.address().await;

    gateway.says(&format!("http://{address}/mcp/one")).await;
    gateway.says(&format!("rate-limit → mcp-capability-filter → {}", upstream.url())).await;
    gateway.says(&format!("http://{address}/mcp/two")).await;
    assert!(gateway.lines()[0].starts_with("Portcullis "), "{:?}", gateway.lines());
}

#[tokio::test]
async fn a_configuration_that_is_not_there_is_said_with_a_remedy() {
    let output = run(&["serve", "--config", "/nonexistent/routes.json"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/nonexistent/routes.json") && said.contains("--config"), "{said}");
}

#[tokio::test]
async fn a_configuration_with_mistakes_serves_nothing_and_exits_with_1() {
    let folder = Setup::new().route("/mcp", Route::demo().policy("no-such-policy", &json!({}))).into_folder();
    let file = folder.path().join("routes.json");
    for command in ["serve", "check"] {
        let output = run(&[command, "--config", file.to_str().unwrap()], &[]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains("no-such-policy"), "{command}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let gateway = demo().await;
    let good = gateway.post(&list_tools(1)).await;
    let bad = gateway.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "no/such" })).await;
    let none = gateway.ask(&Request::get("/mcp")).await;
    let id = |reply: &Reply| reply.header("x-request-id").unwrap().to_owned();
    assert_eq!(id(&good).len(), 20);
    assert!(id(&good) != id(&bad) && id(&bad) != id(&none));
    assert_eq!(bad.json()["error"]["data"]["requestId"], id(&bad));
    assert_eq!(none.json()["error"]["data"]["requestId"], id(&none));
}

#[tokio::test]
async fn health_readiness_and_metrics_are_there() {
    let gateway = demo().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.ask(&Request::get(path)).await.status, 200, "{path}");
    }
    for _ in 0..3 {
        gateway.call("list_notes").await;
    }
    gateway.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "no/such" })).await;

    let metrics = gateway.ask(&Request::get("/metrics")).await;
    assert_eq!(metrics.status, 200);
    let counter = |name: &str, labels: &[&str]| {
        let line =
            metrics.text().lines().find(|line| line.starts_with(name) && labels.iter().all(|l| line.contains(l)));
        line.unwrap_or_else(|| panic!("no {name} {labels:?}:\n{}", metrics.text()))
            .rsplit(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(counter("portcullis_request_duration_seconds_count", &["tools/call", "\"/mcp\"", "\"200\""]), "3");
    assert_eq!(counter("portcullis_request_duration_seconds_count", &["tools/call"]), "3");
    assert_eq!(counter("portcullis_refusals_total", &["unknown_method"]), "1");
}

#[tokio::test]
async fn a_path_without_a_route_says_which_one_is_near() {
    let gateway = Setup::new().route("/mcp/linear", Route::demo()).route("/mcp/github", Route::demo()).start().await;
    let reply = gateway.ask(&Request::post("/mcp/liner", &list_tools(1))).await;
    assert_eq!((reply.status, reply.reason().as_str()), (404, "route_not_found"));
    assert!(reply.text().contains("/mcp/linear"), "{}", reply.text());
    assert!(!reply.text().contains("github"));

    let reply = gateway.ask(&Request::get("/wholly/elsewhere?x=1")).await;
    assert_eq!((reply.status, reply.reason().as_str()), (404, "route_not_found"));
}
