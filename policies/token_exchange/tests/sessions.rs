//! Clients of revisions with sessions whose person is not connected.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use super::desk::{Desk, LINK, bench, challenge, of, of_alice, retrying, tokens};
use crate::kit::{
    bench::{Bench, Call, Outcome, body, result},
    message::{Message, Method},
};

const SESSION: &str = "mcp-session-id";

async fn initialize(bench: &Bench, version: &str, capabilities: Value) -> Outcome {
    let client = json!({ "name": "claude", "version": "1.0" });
    let params = json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": client });
    of_alice(bench.call("initialize", params)).send().await
}

async fn session(bench: &Bench, capabilities: Value) -> String {
    initialize(bench, "2025-11-25", capabilities).await.header(SESSION).unwrap().to_owned()
}

fn in_session<'a>(id: Option<&str>, call: Call<'a>) -> Call<'a> {
    match id {
        Some(id) => of_alice(call).header(SESSION, id),
        None => of_alice(call),
    }
}

fn id_of(count: usize) -> http::HeaderValue {
    format!("0a0b-upstream-{count}").parse().unwrap()
}

/// An upstream with sessions: it greets, and forgets when it is told to.
fn upstream(bench: Bench, sessions: &Arc<Mutex<usize>>) -> Bench {
    let sessions = Arc::clone(sessions);
    bench.upstream(move |message: &Message| match message.method() {
        Some(Method::Initialize) => {
            let mut count = sessions.lock().unwrap();
            *count += 1;
            let mut response = result(message, &json!({ "protocolVersion": "2025-06-18", "capabilities": {} }));
            response.headers_mut().insert(SESSION, id_of(*count));
            response
        }
        _ => result(message, &json!({ "tools": [{ "name": "send" }] })),
    })
}

#[tokio::test]
async fn tr_31_initialize_is_answered_and_the_session_served_while_nobody_is_connected() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk).upstream(|_| challenge(401, "Bearer"));
    for (asked, agreed) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2025-11-25"),
    ] {
        let greeting = initialize(&bench, asked, json!({})).await;
        let greeted = &greeting.message()["result"];
        assert_eq!((&greeted["protocolVersion"], &greeted["serverInfo"]["name"]), (&json!(agreed), &json!("Linear")));
        assert_eq!(greeted["capabilities"]["tools"]["listChanged"], true);
        let id = greeting.header(SESSION).unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
        let send = async |message: &str| of_alice(bench.post(message.to_owned())).header(SESSION, id).send().await;
        let done = send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        assert_eq!((done.status.as_u16(), done.body.len()), (202, 0));
        assert_eq!(send(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await.message()["result"], json!({}));
        let tools = send(r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#).await;
        assert_eq!(tools.message()["result"]["tools"][0]["name"], "connect_linear");
        assert!(tools.message()["result"].get("ttlMs").is_none() && !tools.got_through());
    }
}

#[tokio::test]
async fn tr_31_a_client_that_declared_url_elicitation_gets_the_error_that_it_knows() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let id = session(&bench, json!({ "elicitation": { "url": {} } })).await;
    let outcome = of_alice(bench.call("tools/call", json!({ "name": "send" }))).header(SESSION, &id).send().await;
    let error = &outcome.message()["error"];
    assert_eq!((outcome.status.as_u16(), error["code"].as_i64()), (200, Some(-32042)));
    let elicitation = json!({
        "mode": "url", "url": LINK, "elicitationId": "elicitation-7", "message": "Linear wants to know that it is you.",
    });
    assert_eq!(error["data"]["elicitations"], json!([elicitation]));
    assert_eq!(error["data"]["connectRequired"], json!({ "state": "authenticating", "authUrl": LINK }));
}

#[tokio::test]
async fn tr_31_all_other_clients_get_the_link_in_words() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let form = session(&bench, json!({ "elicitation": { "form": {} } })).await;
    let older = initialize(&bench, "2025-06-18", json!({ "elicitation": { "url": {} } })).await;
    for id in [Some(form.as_str()), older.header(SESSION), None] {
        let outcome = in_session(id, bench.call("tools/call", json!({ "name": "send" }))).send().await;
        assert_eq!(outcome.message()["result"]["isError"], true, "{id:?}");
        assert!(outcome.message()["result"]["content"][0]["text"].as_str().unwrap().contains(LINK));
        let outcome = in_session(id, bench.call("prompts/get", json!({ "name": "a" }))).send().await;
        assert_eq!(outcome.message()["error"]["code"], -32603);
        assert!(outcome.message()["error"]["message"].as_str().unwrap().contains(LINK));
    }
}

#[tokio::test]
async fn tr_11_once_the_person_is_connected_the_session_goes_on_with_the_upstream() {
    let desk = Desk::where_nobody_is_connected();
    let sessions = Arc::default();
    let bench = upstream(bench(&desk), &sessions);
    let id = session(&bench, json!({ "elicitation": { "url": {} }, "roots": {} })).await;
    desk.connect();
    let list = || {
        of_alice(bench.call("tools/list", json!({}))).header(SESSION, &id).header("mcp-protocol-version", "2025-11-25")
    };
    let first = list().send().await;
    let methods: Vec<_> =
        first.reached.iter().map(|reached| reached.message.method().unwrap().name().to_owned()).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "tools/list"]);
    let said: Value = serde_json::from_str(first.reached[0].message.params().unwrap()).unwrap();
    assert_eq!(said["clientInfo"]["name"], "claude");
    assert_eq!((&said["capabilities"]["roots"], &said["protocolVersion"]), (&json!({}), &json!("2025-11-25")));
    assert!(first.reached[0].headers.keys().all(|name| !name.as_str().starts_with("mcp-")));
    assert_eq!(tokens(&first), ["Bearer token-of-alice-1"; 3]);
    let list_headers = &first.reached[2].headers;
    assert_eq!(
        (&list_headers[SESSION], &list_headers["mcp-protocol-version"]),
        (&id_of(1), &"2025-06-18".parse().unwrap())
    );
    assert_eq!(first.message()["result"]["tools"][0]["name"], "send");
    assert_eq!(first.header(SESSION), None, "the client goes on with the id that it has");
    let second = list().send().await;
    assert_eq!(second.reached.len(), 1, "the session is open");
    assert_eq!(second.reached[0].headers[SESSION], "0a0b-upstream-1");
}

#[tokio::test(start_paused = true)]
async fn tr_11_two_first_requests_at_once_open_one_session() {
    let desk = Desk::where_nobody_is_connected();
    let opened = Arc::new(Mutex::new(0));
    let count = Arc::clone(&opened);
    let bench = bench(&desk).slow_upstream(Duration::from_millis(50), move |message: &Message| {
        let mut response = result(message, &json!({ "protocolVersion": "2025-11-25" }));
        if message.method() == Some(&Method::Initialize) {
            let mut count = count.lock().unwrap();
            *count += 1;
            response.headers_mut().insert(SESSION, id_of(*count));
        }
        response
    });
    let id = session(&bench, json!({})).await;
    desk.connect();
    let list = async || of_alice(bench.call("tools/list", json!({}))).header(SESSION, &id).send().await;
    let (one, other) = tokio::join!(list(), list());
    assert_eq!(*opened.lock().unwrap(), 1);
    for outcome in [one, other] {
        assert_eq!(outcome.reached.last().unwrap().headers[SESSION], "0a0b-upstream-1");
    }
}

#[tokio::test]
async fn a_node_that_has_not_seen_the_session_opens_another_one() {
    let desk = Desk::where_nobody_is_connected();
    let sessions = Arc::default();
    let (one, other) = (upstream(bench(&desk), &sessions), upstream(bench(&desk), &sessions));
    let id = session(&one, json!({})).await;
    desk.connect();
    for (node, reached) in [(&one, 3), (&other, 3), (&one, 1), (&other, 1)] {
        let outcome = of_alice(node.call("tools/call", json!({ "name": "send" }))).header(SESSION, &id).send().await;
        assert_eq!(outcome.reached.len(), reached);
    }
}

#[tokio::test]
async fn sb_05_tr_11_a_session_is_only_good_for_its_caller_and_route() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let id = session(&bench, json!({})).await;
    let list = || bench.call("tools/list", json!({}));
    assert_eq!(of("mallory", list()).header(SESSION, &id).send().await.status.as_u16(), 404);
    let elsewhere = crate::kit::chain::Arrival {
        route: "/mcp/other".into(),
        upstream: "demo".into(),
        upstream_key: "demo".into(),
        client: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        request_id: crate::kit::chain::RequestId::new(0, 2),
    };
    assert_eq!(of_alice(list()).fact(elsewhere).header(SESSION, &id).send().await.status.as_u16(), 404);
    let mut ids = vec![
        format!("{id}x"),
        id[..id.len() - 1].to_owned(),
        format!("{id}.x"),
        "portcullis.".into(),
        "portcullis...".into(),
    ];
    ids.push(id.replacen(".e", ".f", 1));
    for broken in ids {
        let outcome = of_alice(list()).header(SESSION, &broken).send().await;
        assert_eq!((outcome.status.as_u16(), outcome.reason()), (404, Some("unknown_session")), "{broken}");
    }
    assert_eq!(of_alice(list()).header(SESSION, &id).send().await.status.as_u16(), 200);
    assert_ne!(session(&bench, json!({})).await, id);
}

#[tokio::test]
async fn tr_12_a_session_that_the_upstream_forgot_is_opened_once_more_except_for_a_tool_call() {
    let desk = Desk::where_nobody_is_connected();
    let forgotten = Arc::new(Mutex::new(false));
    let forgets = Arc::clone(&forgotten);
    let bench = bench(&desk).upstream(move |message: &Message| {
        if message.method() == Some(&Method::Initialize) {
            *forgets.lock().unwrap() = false;
            let mut response = result(message, &json!({ "protocolVersion": "2025-11-25" }));
            response.headers_mut().insert(SESSION, "0a0b-x".parse().unwrap());
            return response;
        }
        let mut response = result(message, &json!({}));
        if *forgets.lock().unwrap() {
            *response.status_mut() = http::StatusCode::NOT_FOUND;
        }
        response
    });
    let id = session(&bench, json!({})).await;
    desk.connect();
    let send =
        async |method: &str| of_alice(bench.call(method, json!({ "name": "send" }))).header(SESSION, &id).send().await;
    assert_eq!(send("tools/list").await.status.as_u16(), 200);
    *forgotten.lock().unwrap() = true;
    let outcome = send("tools/list").await;
    assert_eq!((outcome.status.as_u16(), outcome.reached.len()), (200, 4));
    *forgotten.lock().unwrap() = true;
    let outcome = send("tools/call").await;
    assert_eq!((outcome.status.as_u16(), outcome.reached.len()), (404, 1));
    assert_eq!(send("tools/call").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_session_whose_token_is_refused_at_its_opening_is_opened_with_a_newer_one() {
    let desk = Desk::where_nobody_is_connected();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let bench = retrying(&desk).upstream(move |message: &Message| {
        let mut calls = counted.lock().unwrap();
        *calls += 1;
        if *calls == 1 {
            challenge(401, "Bearer")
        } else {
            result(message, &json!({ "protocolVersion": "2025-11-25" }))
        }
    });
    let id = session(&bench, json!({})).await;
    desk.connect();
    let outcome = of_alice(bench.call("tools/call", json!({ "name": "send" }))).header(SESSION, &id).send().await;
    let versions: Vec<_> = tokens(&outcome).iter().map(|token| token.chars().next_back().unwrap()).collect();
    assert_eq!(versions, ['1', '2', '2', '2']);
    assert_eq!(outcome.status.as_u16(), 200);
}

#[tokio::test]
async fn an_upstream_that_opens_no_session_is_said_to_be_wrong() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk)
        .upstream(|_| body(r#"{"jsonrpc":"2.0","id":"portcullis-open","error":{"code":-32022,"message":"no"}}"#));
    let id = session(&bench, json!({})).await;
    desk.connect();
    let outcome = of_alice(bench.call("tools/call", json!({ "name": "send" }))).header(SESSION, &id).send().await;
    assert_eq!((outcome.reason(), outcome.message()["id"].as_u64()), (Some("upstream_invalid"), Some(1)));
    assert!(outcome.message()["error"]["message"].as_str().unwrap().contains("-32022"));
}

#[tokio::test]
async fn the_tool_that_connects_tells_an_older_client_that_its_lists_are_old() {
    let desk = Desk::where_alice_is_connected();
    let outcome = of_alice(bench(&desk).call("tools/call", json!({ "name": "connect_linear" }))).send().await;
    assert!(outcome.streamed && !outcome.got_through());
    let methods: Vec<_> = outcome.messages.iter().filter_map(|message| message["method"].as_str()).collect();
    assert_eq!(
        methods,
        [
            "notifications/tools/list_changed",
            "notifications/prompts/list_changed",
            "notifications/resources/list_changed"
        ]
    );
    assert_eq!(outcome.message()["result"]["isError"], false);
}

#[tokio::test]
async fn an_id_stays_short_however_much_a_client_says_about_itself() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let long = "x".repeat(5000);
    let capabilities =
        json!({ "elicitation": { "url": {} }, "experimental": { &long: {} }, "sampling": { "context": long } });
    let id = session(&bench, capabilities).await;
    assert!(id.len() < 2048, "{} bytes", id.len());
    let outcome = of_alice(bench.call("tools/call", json!({ "name": "send" }))).header(SESSION, &id).send().await;
    assert_eq!(outcome.message()["error"]["code"], -32042, "what matters is kept");
}
