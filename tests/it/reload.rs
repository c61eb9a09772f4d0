//! A new configuration takes the place of the old one between two requests.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use portcullis::pipeline::Reloaded;
use serde_json::json;

use crate::harness::{Answer, Gate, Gateway, Received, Request, Route, Setup, Upstream, call, pause, soon, until};

/// A route on which everything says which generation of the configuration it comes from.
fn generation(upstream: &Upstream, number: u64) -> Setup {
    let gen_header = json!({ "headers": [{ "name": "X-Gen", "value": number.to_string() }] });
    let route = Route::to(upstream)
        .policy("mcp-capability-filter", &json!({ "tools": [format!("gen-{number}")] }))
        .policy("set-headers", &gen_header);
    Setup::new().route("/mcp", route)
}

/// Says which generation the headers were of.
fn echo(request: &Received) -> Answer {
    Answer::json(&request.says(request.header("x-gen").unwrap_or("none")))
}

fn tool(number: u64) -> serde_json::Value {
    call(number, &format!("gen-{number}"), &json!({}))
}

#[tokio::test]
async fn a_changed_file_is_in_force_for_the_next_request() {
    let upstream = Upstream::new(echo).await;
    let gateway = generation(&upstream, 1).with_background().start().await;
    assert_eq!(gateway.post(&tool(1)).await.said(), "1");
    assert_eq!(gateway.post(&tool(2)).await.reason(), "not_exposed");

    gateway.write(&generation(&upstream, 2).text());
    soon("the new chain is in force", async {
        while gateway.post(&tool(2)).await.status != 200 || gateway.post(&tool(1)).await.json().get("result").is_some()
        {
            pause(20).await;
        }
    })
    .await;
    assert_eq!(gateway.post(&tool(2)).await.said(), "2");
}

#[tokio::test]
async fn a_request_ends_on_the_generation_on_which_it_began() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| match request.number {
        0 => Answer::events()
            .event(&json!({ "jsonrpc": "2.0", "method": "notifications/progress" }))
            .wait(&script)
            .event(&request.says(request.header("x-gen").unwrap())),
        _ => echo(request),
    })
    .await;
    let gateway = generation(&upstream, 1).start().await;
    let mut stream = gateway.client().await.start(&Request::post("/mcp", &tool(1))).await;
    assert!(stream.message().await.is_some());

    gateway.write(&generation(&upstream, 2).text());
    assert!(matches!(gateway.reload().await, Reloaded::Swapped(_)));
    assert_eq!(gateway.post(&tool(2)).await.said(), "2");
    gate.open();
    let last = stream.message().await.unwrap();
    assert_eq!(last["result"]["content"][0]["text"], "1");
}

#[tokio::test]
async fn a_route_that_is_gone_ends_for_new_requests_only() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::new(move |request| {
        Answer::events().write(": began\n\n").wait(&script).event(&request.says("the end"))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    let mut stream = gateway.client().await.start(&Request::post("/mcp", &tool(1))).await;
    assert_eq!(stream.event().await.as_deref(), Some(": began"));

    gateway.write(&Setup::new().route("/other", Route::demo()).text());
    assert!(matches!(gateway.reload().await, Reloaded::Swapped(_)));
    assert_eq!(gateway.post(&tool(1)).await.reason(), "route_not_found");
    gate.open();
    assert_eq!(stream.message().await.unwrap()["result"]["content"][0]["text"], "the end");
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let upstream = Upstream::new(echo).await;
    let gateway = generation(&upstream, 1).start().await;
    let broken = [
        "{",
        "",
        "null",
        "[]",
        r#"{ "compatibilityDate": "2026-11-20", "routes": {} }"#,
        r#"{ "compatibilityDate": "2026-11-20", "rotues": {}, "routes": { "/mcp": { "upstream": { "demo": true }, "policies": [] } } }"#,
        r#"{ "compatibilityDate": "2026-11-20", "routes": { "/mcp": { "upstream": { "demo": true }, "policies": ["no-such-policy"] } } }"#,
        r#"{ "compatibilityDate": "2026-11-20", "routes": { "/mcp": { "upstream": { "url": "$env(PORTCULLIS_NOT_SET)" }, "policies": [] } } }"#,
        r#"{ "compatibilityDate": "2026-11-20", "routes": { "/mcp": { "upstream": { "url": "https://x.example/", "tls": { "roots": ["missing.pem"] } }, "policies": [] } } }"#,
    ];
    for text in broken {
        gateway.write(text);
        let Reloaded::Kept(report) = gateway.reload().await else { panic!("accepted: {text}") };
        assert!(report.has_errors());
        assert_eq!(gateway.post(&tool(1)).await.said(), "1", "{text}");
    }
}

#[tokio::test]
async fn the_program_reads_its_file_again_on_change_and_on_sighup() {
    let upstream = Upstream::new(echo).await;
    let gateway = generation(&upstream, 1).spawn();
    assert_eq!(gateway.post(&tool(1)).await.said(), "1");

    gateway.write("{ \"routes\": {} }");
    let report = gateway.says("stays").await;
    assert!(report.contains("compatibilityDate"), "the log says what is wrong: {report}");
    assert_eq!(gateway.post(&tool(1)).await.said(), "1");

    gateway.write(&generation(&upstream, 2).text());
    gateway.says("configuration reloaded").await;
    assert_eq!(gateway.post(&tool(2)).await.said(), "2");

    let before = reloads(&gateway);
    gateway.signal("HUP");
    until("the file is read again", || reloads(&gateway) > before).await;
    assert_eq!(gateway.post(&tool(2)).await.said(), "2");
    let metrics = gateway.ask(&Request::get("/metrics")).await.text().to_owned();
    assert!(metrics.contains("outcome=\"kept\"") && metrics.contains("outcome=\"swapped\""), "{metrics}");
}

fn reloads(gateway: &crate::harness::Process) -> usize {
    gateway.lines().iter().filter(|line| line.contains("configuration reloaded")).count()
}

#[tokio::test]
async fn a_change_that_needs_a_restart_is_said_and_the_rest_is_in_force() {
    let upstream = Upstream::new(echo).await;
    let gateway = generation(&upstream, 1).spawn();
    assert_eq!(gateway.post(&tool(1)).await.said(), "1");

    gateway.write(&generation(&upstream, 2).listener_limit("connections", 7).text());
    gateway.says("after a restart").await;
    gateway.says("configuration reloaded").await;
    assert_eq!(gateway.post(&tool(2)).await.said(), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_100_reloads_under_load() {
    const RELOADS: u64 = 100;
    const CALLERS: usize = 4;
    let upstream = Upstream::new(echo).await;
    let gateway = Arc::new(generation(&upstream, 0).start().await);
    let in_force = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (gateway, in_force) = (Arc::clone(&gateway), Arc::clone(&in_force));
            tokio::spawn(async move { calls_until(&gateway, &in_force, RELOADS).await })
        })
        .collect();

    for number in 1..=RELOADS {
        gateway.write(&generation(&upstream, number).text());
        assert!(matches!(gateway.reload().await, Reloaded::Swapped(_)));
        in_force.store(number, Ordering::SeqCst);
        pause(3).await;
    }
    in_force.store(RELOADS + 1, Ordering::SeqCst);
    let mut answered = 0;
    for caller in callers {
        answered += soon("a caller ends", caller).await.unwrap();
    }
    assert!(answered > RELOADS, "only {answered} calls met a generation that exposes their tool");
    assert_eq!(gateway.post(&tool(RELOADS)).await.said(), RELOADS.to_string());
}

/// Calls the tool of the generation in force, again and again; each answer must be all of one generation. Returns how
/// many calls a tool answered.
async fn calls_until(gateway: &Gateway, in_force: &AtomicU64, last: u64) -> u64 {
    let mut client = gateway.client().await;
    let mut answered = 0;
    loop {
        let number = in_force.load(Ordering::SeqCst);
        if number > last {
            return answered;
        }
        let reply = client.ask(&Request::post("/mcp", &tool(number))).await;
        assert_eq!((reply.status, reply.json()["id"].clone()), (200, number.into()), "a request failed: {reply:?}");
        if reply.json().get("error").is_some() {
            assert_eq!(reply.reason(), "not_exposed", "another generation came between");
        } else {
            assert_eq!(reply.said(), number.to_string(), "the filter of one generation, the headers of another");
            answered += 1;
        }
    }
}
