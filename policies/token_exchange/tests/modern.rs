//! Clients of 2026-07-28 whose person is not connected.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::desk::{Desk, LINK, bench, challenge, modern, of_alice, retrying, tokens};
use crate::kit::{
    bench::{body, result},
    chain::{Response, ServedEras},
    message::Message,
    refusal::{Addressee, Reason, Refusal},
};

fn opens_pages() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} } })
}

#[tokio::test]
async fn tr_31_a_client_that_opens_pages_is_asked_to_open_one() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    for (method, params) in [
        ("tools/call", json!({ "name": "send" })),
        ("prompts/get", json!({ "name": "hello" })),
        ("resources/read", json!({ "uri": "file:///a" })),
    ] {
        let outcome = of_alice(bench.call(method, modern(&opens_pages(), params))).send().await;
        let answer = &outcome.message()["result"];
        assert_eq!(answer["resultType"], "input_required", "{method}");
        let question = &answer["inputRequests"]["connect"];
        assert_eq!(question["method"], "elicitation/create");
        let params = json!({ "mode": "url", "url": LINK, "message": "Linear wants to know that it is you." });
        assert_eq!(question["params"], params);
        assert!(answer["requestState"].is_string() && !outcome.got_through());
    }
}

#[tokio::test]
async fn tr_31_what_the_client_did_not_declare_it_is_not_asked() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    for capabilities in [json!({}), json!({ "elicitation": {} }), json!({ "elicitation": { "form": {} } })] {
        let outcome = of_alice(bench.call("tools/call", modern(&capabilities, json!({ "name": "send" })))).send().await;
        let answer = &outcome.message()["result"];
        assert_eq!((&answer["resultType"], &answer["isError"]), (&json!("complete"), &json!(true)), "{capabilities}");
        assert!(answer["content"][0]["text"].as_str().unwrap().contains(LINK));
        let connect = json!({ "state": "authenticating", "authUrl": LINK });
        assert_eq!(answer["_meta"]["portcullis/connectRequired"], connect);
        assert!(answer.get("structuredContent").is_none(), "clients check it against the tool's schema");
    }
}

#[tokio::test]
async fn tr_31_other_methods_fail_with_the_link_in_words_and_never_with_401_or_the_old_code() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    for (method, params) in [
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "a" }, "argument": {} })),
        ("subscriptions/listen", json!({})),
        ("tasks/get", json!({ "taskId": "1" })),
    ] {
        let outcome = of_alice(bench.call(method, modern(&opens_pages(), params))).send().await;
        let error = &outcome.message()["error"];
        assert_eq!((outcome.status.as_u16(), error["code"].as_i64()), (200, Some(-32603)), "{method}");
        assert!(error["message"].as_str().unwrap().contains(LINK));
        assert_eq!(error["data"]["connectRequired"]["authUrl"], LINK);
        assert!(!outcome.got_through());
    }
}

#[tokio::test]
async fn tr_31_the_repeated_call_reaches_the_upstream_as_it_was_first() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let first = r#"{ "jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"s\u0065nd" , "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}},"arguments":{"n":1.50e1}},"x":[1 ,2]}"#;
    let asked = of_alice(bench.post(first)).send().await;
    let state = asked.message()["result"]["requestState"].clone();
    desk.connect();
    let own = format!(r#""requestState":{state},"inputResponses":{{"connect":{{"action":"accept"}}}},"#);
    let again = first.replace(r#""id":1"#, r#""id":2"#).replace(r#""params":{"#, &format!(r#""params":{{{own}"#));
    let outcome = of_alice(bench.post(again)).send().await;
    let expected = first.replace(r#""id":1"#, r#""id":2"#).replace(r#"" , "_meta"#, r#"","_meta"#);
    assert_eq!(std::str::from_utf8(outcome.reached[0].message.bytes()).unwrap(), expected);
    assert_eq!(tokens(&outcome), ["Bearer token-of-alice-1"]);
}

#[tokio::test]
async fn tr_31_what_the_upstream_itself_had_asked_is_not_lost_meanwhile() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let theirs =
        json!({ "name": "send", "requestState": "theirs", "inputResponses": { "name": { "action": "accept" } } });
    let asked = of_alice(bench.call("tools/call", modern(&opens_pages(), theirs.clone()))).send().await;
    let state = &asked.message()["result"]["requestState"];
    desk.connect();
    let ours =
        json!({ "name": "send", "requestState": state, "inputResponses": { "connect": { "action": "accept" } } });
    let outcome = of_alice(bench.call("tools/call", modern(&opens_pages(), ours))).send().await;
    let params: Value = serde_json::from_str(outcome.reached[0].message.params().unwrap()).unwrap();
    assert_eq!(params, modern(&opens_pages(), theirs));
}

#[tokio::test]
async fn sb_04_a_state_that_is_not_ours_goes_where_it_belongs() {
    let desk = Desk::where_alice_is_connected();
    let bench = bench(&desk);
    for state in
        ["theirs", "portcullis-connect.linear.", "portcullis-connect.linear.%%%", "portcullis-connect.other.e30"]
    {
        let params = modern(&opens_pages(), json!({ "name": "send", "requestState": state }));
        let outcome = of_alice(bench.call("tools/call", params.clone())).send().await;
        let reached: Value = serde_json::from_str(outcome.reached[0].message.params().unwrap()).unwrap();
        assert_eq!(reached, params);
    }
}

#[tokio::test]
async fn sb_13_a_person_who_declines_is_not_asked_again() {
    for action in ["decline", "cancel"] {
        let desk = Desk::where_nobody_is_connected();
        let bench = bench(&desk);
        let params = |extra: Value| {
            let mut params = json!({ "name": "send" });
            params.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            modern(&opens_pages(), params)
        };
        let asked = of_alice(bench.call("tools/call", params(json!({})))).send().await;
        let state = &asked.message()["result"]["requestState"];
        let answer = json!({ "requestState": state, "inputResponses": { "connect": { "action": action } } });
        let outcome = of_alice(bench.call("tools/call", params(answer))).send().await;
        let result = &outcome.message()["result"];
        assert_eq!(result["isError"], true);
        assert!(!result.to_string().contains(LINK) && !outcome.got_through());
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_call_waits_for_the_person_who_is_on_the_page() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let asked = of_alice(bench.call("tools/call", modern(&opens_pages(), json!({ "name": "send" })))).send().await;
    let state = asked.message()["result"]["requestState"].clone();
    let again = || {
        let answer =
            json!({ "name": "send", "requestState": state, "inputResponses": { "connect": { "action": "accept" } } });
        of_alice(bench.call("tools/call", modern(&opens_pages(), answer)))
    };
    let begun = tokio::time::Instant::now();
    let outcome = again().send().await;
    assert_eq!(outcome.message()["result"]["resultType"], "input_required", "nobody has opened the page");
    assert_eq!(begun.elapsed().as_secs(), 15);
    desk.connect_at(3);
    assert_eq!(tokens(&again().send().await), ["Bearer token-of-alice-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_refuses_is_asked_at_once_although_the_person_has_just_agreed_to_something() {
    let desk = Desk::where_nobody_is_connected();
    let ending = Arc::clone(&desk);
    let bench = retrying(&desk).upstream(move |_| {
        ending.disconnect();
        challenge(401, "Bearer")
    });
    let asked = of_alice(bench.call("tools/call", modern(&opens_pages(), json!({ "name": "send" })))).send().await;
    let state = asked.message()["result"]["requestState"].clone();
    desk.connect();
    let answer =
        json!({ "name": "send", "requestState": state, "inputResponses": { "connect": { "action": "accept" } } });
    let begun = tokio::time::Instant::now();
    let outcome = of_alice(bench.call("tools/call", modern(&opens_pages(), answer))).send().await;
    assert_eq!(outcome.message()["result"]["resultType"], "input_required");
    assert_eq!(begun.elapsed().as_secs(), 0, "nobody is on a page for this");
}

#[tokio::test]
async fn tr_31_discovery_and_lists_are_served_meanwhile() {
    let desk = Desk::where_alice_is_connected();
    let calls = AtomicUsize::new(0);
    let bench = bench(&desk).upstream(move |message: &Message| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => result(message, &json!({ "supportedVersions": ["2026-07-28"] })),
        _ => challenge(401, "Bearer"),
    });
    let send = async |method: &str| of_alice(bench.call(method, modern(&json!({}), json!({})))).send().await;
    assert!(send("server/discover").await.got_through(), "so the upstream is known to be a modern one");
    desk.disconnect();
    let found = send("server/discover").await;
    assert_eq!(tokens(&found), [""], "the upstream was asked without any credential");
    let found = found.message()["result"].clone();
    assert_eq!(found["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "Linear");
    assert!(found["instructions"].as_str().unwrap().contains("connect_linear"));
    let lists = [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ];
    for (method, member) in lists {
        let outcome = send(method).await;
        assert!(!outcome.got_through(), "the upstream has just said that it shows nothing to strangers");
        let list = &outcome.message()["result"];
        assert_eq!(list[member].as_array().unwrap().len(), usize::from(member == "tools"), "{method}");
        assert_eq!(
            (&list["cacheScope"], &list["ttlMs"], &list["resultType"]),
            (&json!("private"), &json!(0), &json!("complete"))
        );
    }
    let tools = send("tools/list").await.message()["result"]["tools"].clone();
    assert_eq!((&tools[0]["name"], &tools[0]["annotations"]["readOnlyHint"]), (&json!("connect_linear"), &json!(true)));
    assert_eq!(tools[0]["inputSchema"]["type"], "object");
}

#[tokio::test]
async fn tr_31_what_the_upstream_shows_to_everybody_is_shown() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk).upstream(|message: &Message| result(message, &json!({ "tools": [{ "name": "send" }] })));
    let outcome = of_alice(bench.call("tools/list", modern(&json!({}), json!({})))).send().await;
    assert_eq!(outcome.message()["result"]["tools"][0]["name"], "send");
    assert_eq!(tokens(&outcome), [""]);
    let outcome = of_alice(bench.call("tools/call", modern(&json!({}), json!({ "name": "send" })))).send().await;
    assert_eq!((&outcome.message()["result"]["isError"], outcome.got_through()), (&json!(true), false));
}

#[tokio::test]
async fn tr_24_of_an_upstream_that_may_have_sessions_only_no_other_server_is_shown() {
    let desk = Desk::where_nobody_is_connected();
    let stranger = bench(&desk).upstream(|_| challenge(401, "Bearer"));
    let outcome = of_alice(stranger.call("server/discover", modern(&json!({}), json!({})))).send().await;
    assert_eq!((outcome.status.as_u16(), outcome.message()["error"]["code"].as_i64()), (400, Some(-32600)));
    let desk = Desk::where_alice_is_connected();
    let calls = AtomicUsize::new(0);
    let bench = bench(&desk).upstream(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => {
            let mut response = body(r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"not initialized"}}"#);
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            response
        }
        _ => challenge(401, "Bearer"),
    });
    let discover = || of_alice(bench.call("server/discover", modern(&json!({}), json!({}))));
    assert_eq!(discover().send().await.status.as_u16(), 400);
    desk.disconnect();
    let outcome = discover().send().await;
    assert_eq!((outcome.status.as_u16(), outcome.message()["error"]["code"].as_i64()), (400, Some(-32600)));
}

#[tokio::test]
async fn tr_24_tr_31_where_both_eras_are_served_discovery_is_answered_whatever_the_upstream_speaks() {
    let desk = Desk::where_nobody_is_connected();
    let refusals: [fn() -> Response; 3] = [
        || challenge(401, "Bearer"),
        || {
            let mut response = body(r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"not initialized"}}"#);
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            response
        },
        || Refusal::from(Reason::UpstreamUnreachable).answer(Addressee::default()),
    ];
    for upstream in refusals {
        let bench = bench(&desk).upstream(move |_| upstream());
        let call = of_alice(bench.call("server/discover", modern(&json!({}), json!({}))));
        let outcome = call.fact(ServedEras { legacy: true, modern: true }).send().await;
        assert_eq!(outcome.status.as_u16(), 200);
        assert_eq!(outcome.message()["result"]["supportedVersions"], json!(["2026-07-28"]));
        assert!(outcome.message()["result"]["instructions"].as_str().unwrap().contains("connect_linear"));
    }
}

#[tokio::test]
async fn tr_24_a_client_whom_the_route_does_not_serve_is_told_so_by_the_end_of_the_chain() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let legacy = ServedEras { legacy: true, modern: false };
    let found = of_alice(bench.call("server/discover", modern(&json!({}), json!({}))));
    assert_eq!(tokens(&found.fact(legacy).send().await), [""], "it goes on, without a credential");
    let greeting = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} });
    for (served, goes_on) in [(legacy, false), (ServedEras { legacy: false, modern: true }, true)] {
        let outcome = of_alice(bench.call("initialize", greeting.clone())).fact(served).send().await;
        assert_eq!((outcome.got_through(), outcome.header("mcp-session-id").is_some()), (goes_on, !goes_on));
    }
}

#[tokio::test]
async fn tr_11_a_session_means_nothing_in_2026_07_28() {
    let desk = Desk::where_alice_is_connected();
    let bench = bench(&desk);
    let call = of_alice(bench.call("tools/list", modern(&json!({}), json!({}))));
    let outcome = call.header("mcp-session-id", "portcullis.of.no.session").send().await;
    assert_eq!((outcome.status.as_u16(), tokens(&outcome)), (200, vec!["Bearer token-of-alice-1".to_owned()]));
}

#[tokio::test]
async fn the_tool_that_connects_gives_the_link_and_later_says_that_it_is_done() {
    let desk = Desk::where_nobody_is_connected();
    let bench = bench(&desk);
    let connect = || of_alice(bench.call("tools/call", modern(&json!({}), json!({ "name": "connect_linear" }))));
    let result = connect().send().await.message()["result"].clone();
    assert_eq!(result["isError"], false);
    assert!(result["content"][0]["text"].as_str().unwrap().contains(LINK));
    desk.connect();
    let outcome = connect().send().await;
    assert!(outcome.message()["result"]["content"][0]["text"].as_str().unwrap().contains("is connected"));
    assert!(!outcome.got_through());
}
