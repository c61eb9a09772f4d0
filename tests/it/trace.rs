//! Traces and metrics leave the gateway, and the upstream's part belongs to the caller's trace.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::{Answer, Gateway, Request, Route, Setup, Upstream, call};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traced() -> Request {
    Request::post("/mcp", &call(1, "f", &json!({})))
        .header("traceparent", &format!("00-{TRACE}-{PARENT}-01"))
        .header("tracestate", "vendor=1")
}

#[tokio::test]
async fn without_telemetry_the_caller_s_trace_passes_as_it_is() {
    let upstream = Upstream::saying("fine").await;
    Gateway::before(&upstream).await.ask(&traced()).await;
    let got = upstream.only_request();
    assert_eq!(got.header("traceparent"), Some(format!("00-{TRACE}-{PARENT}-01").as_str()));
    assert_eq!(got.header("tracestate"), Some("vendor=1"));
}

/// A collector that keeps the bodies that it gets, by path.
async fn collector() -> (Upstream, Arc<Mutex<Vec<(String, Vec<u8>)>>>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let collector = Upstream::new(move |request| {
        let path = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
        kept.lock().unwrap().push((path, request.body.clone()));
        Answer::body(200, "application/x-protobuf", "")
    })
    .await;
    (collector, bodies)
}

fn contains(body: &[u8], needle: &[u8]) -> bool {
    body.windows(needle.len()).any(|window| window == needle)
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[tokio::test]
async fn spans_and_metrics_arrive_at_the_collector_and_the_upstream_s_span_is_of_the_caller_s_trace() {
    let upstream = Upstream::saying("fine").await;
    let (collector, bodies) = collector().await;
    let otlp = json!({
        "otlp": format!("http://{}", collector.address()),
        "serviceName": "front-door",
        "headers": { "X-Collector-Key": "k" },
    });
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).gateway("telemetry", otlp).spawn();
    assert_eq!(gateway.ask(&traced()).await.said(), "fine");
    assert_eq!(gateway.ask(&traced().without("traceparent")).await.said(), "fine");

    let requests = upstream.requests();
    let parts: Vec<_> = requests[0].header("traceparent").unwrap().split('-').collect();
    assert_eq!((parts[1], parts[3]), (TRACE, "01"));
    assert_ne!(parts[2], PARENT, "the upstream's parent is the gateway's span");
    assert_eq!(requests[0].header("tracestate"), Some("vendor=1"));
    let fresh: Vec<_> = requests[1].header("traceparent").unwrap().split('-').collect();
    assert_ne!(fresh[1], TRACE);

    // The last ones are sent when the gateway ends.
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await.0.code(), Some(0));
    let bodies = bodies.lock().unwrap().clone();
    let sent = |path: &str| -> Vec<u8> {
        bodies.iter().filter(|(to, _)| to == path).flat_map(|(_, body)| body.clone()).collect()
    };
    let (spans, metrics) = (sent("/v1/traces"), sent("/v1/metrics"));
    assert!(contains(&spans, &bytes_of(TRACE)), "the span of the caller's trace did not arrive");
    assert!(contains(&spans, &bytes_of(parts[2])), "the upstream's parent was never sent");
    assert!(contains(&spans, &bytes_of(PARENT)), "the span does not know its parent");
    assert!(contains(&spans, b"POST /mcp") && contains(&spans, b"front-door") && contains(&spans, b"tools/call"));
    assert!(contains(&metrics, b"portcullis.request.duration") && contains(&metrics, b"front-door"));
    assert!(collector.requests().iter().all(|request| request.header("x-collector-key") == Some("k")));
}

#[tokio::test]
async fn a_collector_that_is_not_there_costs_nobody_a_call_and_the_gateway_still_ends() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let otlp = json!({ "otlp": format!("http://{nobody}") });
    let gateway = Setup::new().route("/mcp", Route::demo()).gateway("telemetry", otlp).spawn();
    assert_eq!(gateway.post(&call(1, "list_notes", &json!({}))).await.status, 200);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}
