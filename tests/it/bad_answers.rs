//! Upstreams that answer what MCP does not allow.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Gateway, Received, Reply, Request, Route, Upstream, call, list_tools, notification, result,
};

/// What a client gets when an upstream answers its call like this.
async fn answered(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Reply {
    let upstream = Upstream::new(script).await;
    let reply = Gateway::before(&upstream).await.call("f").await;
    assert_eq!(upstream.count(), 1);
    reply
}

fn is_refused(reply: &Reply, status: u16, reason: &str) {
    assert_eq!((reply.status, reply.reason().as_str()), (status, reason), "{reply:?}");
    assert_eq!(reply.json()["id"], 1);
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn vec_14_an_encoded_answer_is_refused() {
    for coding in ["gzip", "br", "identity, gzip"] {
        let reply = answered(move |request| Answer::json(&request.says("x")).header("Content-Encoding", coding)).await;
        is_refused(&reply, 502, "upstream_invalid");
        assert_eq!((reply.header("content-encoding"), reply.outcome()), (None, "unknown".into()));
        let reply =
            answered(move |request| Answer::events().header("Content-Encoding", coding).event(&request.says("x")))
                .await;
        is_refused(&reply, 502, "upstream_invalid");
    }
}

#[tokio::test]
async fn vec_15_the_media_type_is_compared_exactly() {
    for kind in ["text/event-stream-extra", "text/html", "application/json-patch+json", "text/plain", "json", ""] {
        let reply = answered(move |request| Answer::body(200, kind, request.says("x").to_string())).await;
        is_refused(&reply, 502, "upstream_invalid");
    }
    for kind in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;x=text/html"]
    {
        let reply = answered(move |request| Answer::body(200, kind, request.says("x").to_string())).await;
        assert_eq!(reply.said(), "x", "{kind}");
    }
    let reply = answered(|request| {
        Answer::body(200, "Text/Event-Stream; charset=utf-8", format!("data: {}\n\n", request.says("x")))
    })
    .await;
    assert!(reply.text().contains("\"result\""));
}

#[tokio::test]
async fn vec_15_two_content_types_are_two_opinions() {
    for (first, second) in [
        ("application/json", "text/event-stream"),
        ("text/event-stream", "application/json"),
        ("application/json", "application/json"),
    ] {
        let reply = answered(move |request| {
            Answer::body(200, first, request.says("x").to_string()).header("Content-Type", second)
        })
        .await;
        is_refused(&reply, 502, "upstream_invalid");
    }
}

#[tokio::test]
async fn an_answer_without_a_content_type_is_refused() {
    let reply = answered(|request| Answer::status(200).write(request.says("x").to_string())).await;
    is_refused(&reply, 502, "upstream_invalid");
    is_refused(&answered(|_| Answer::status(200)).await, 502, "upstream_invalid");
}

#[tokio::test]
async fn vec_16_json_under_the_name_of_events_is_no_answer() {
    let reply = answered(|request| Answer::body(200, "text/event-stream", request.says("x").to_string())).await;
    assert_eq!(reply.reason(), "upstream_truncated");
    assert_eq!((reply.messages().len(), reply.outcome()), (1, "unknown".into()));
}

#[tokio::test]
async fn vec_16_events_under_the_name_of_json_are_no_answer() {
    let reply =
        answered(|request| Answer::body(200, "application/json", format!("data: {}\n\n", request.says("x")))).await;
    is_refused(&reply, 502, "upstream_invalid");
}

#[tokio::test]
async fn a_page_a_list_and_half_a_message_under_the_name_of_json_are_no_answer() {
    for body in [
        "<html></html>",
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]",
        "{\"jsonrpc\":\"2.0\",\"id\":1,",
        "null",
        "{",
    ] {
        let reply = answered(move |_| Answer::body(200, "application/json", body)).await;
        is_refused(&reply, 502, "upstream_invalid");
    }
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_credential_does_not_ask_the_client() {
    let challenge = "Bearer resource_metadata=\"https://upstream.example/.well-known\"";
    for status in [401, 403] {
        let reply = answered(move |_| Answer::status(status).header("WWW-Authenticate", challenge)).await;
        is_refused(&reply, 502, "upstream_unauthorized");
        assert_eq!(reply.header("www-authenticate"), None);
        assert!(!reply.text().contains("upstream.example"));
    }
    is_refused(&answered(|_| Answer::body(401, "application/json", "{}")).await, 502, "upstream_unauthorized");
}

#[tokio::test]
async fn an_upstream_that_forbids_without_a_challenge_says_so_itself() {
    is_refused(&answered(|_| Answer::body(403, "text/plain", "no")).await, 403, "upstream_status");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Upstream::saying("you should not be here").await;
    for status in [301, 302, 303, 307, 308] {
        let url = elsewhere.url();
        let reply = answered(move |_| Answer::status(status).header("Location", &url)).await;
        is_refused(&reply, 502, "upstream_invalid");
        assert_eq!(reply.header("location"), None);
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn errors_with_a_message_pass_with_their_status() {
    for status in [400, 404, 409, 422, 429, 500, 503] {
        let error = json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32001, "message": "of the upstream" } });
        let body = error.to_string();
        let reply = answered(move |_| Answer::body(status, "application/json", body.clone())).await;
        assert_eq!((reply.status, reply.json()), (status, error));
    }
}

#[tokio::test]
async fn errors_without_a_message_get_one_and_keep_their_status() {
    for status in [400, 404, 405, 429, 500, 503] {
        let reply = answered(move |_| Answer::body(status, "text/html", "<h1>nginx</h1>")).await;
        is_refused(&reply, status, "upstream_status");
        assert!(!reply.text().contains("nginx"));
    }
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    for bytes in
        ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 two hundred\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
    {
        let reply = answered(move |_| Answer::raw(bytes).then_close()).await;
        assert_eq!((reply.status, reply.json()["id"].clone()), (502, 1.into()), "{bytes:?}");
        assert_eq!(reply.outcome(), "unknown");
    }
}

#[tokio::test]
async fn two_lengths_are_no_length() {
    let reply = answered(|_| {
        Answer::raw(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
        )
        .then_close()
    })
    .await;
    assert_eq!((reply.status, reply.outcome()), (502, "unknown".into()));
}

#[tokio::test]
async fn bytes_after_an_answer_do_not_become_the_next_one() {
    let upstream = Upstream::new(|request| {
        let (said, forged) = (request.says("mine").to_string(), request.says("forged").to_string());
        let answer = |text: &str| {
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}", text.len())
        };
        Answer::raw(format!("{}{}", answer(&said), answer(&forged)))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;
    for _ in 0..20 {
        assert_eq!(gateway.call("f").await.said(), "mine");
    }
}

#[tokio::test]
async fn tr_23_a_notification_needs_no_answer() {
    for answer in [Answer::status(202), Answer::status(200), Answer::status(204), Answer::body(202, "text/plain", "ok")]
    {
        let script = answer.clone();
        let upstream = Upstream::new(move |_| script.clone()).await;
        let reply = Gateway::before(&upstream).await.post(&notification("notifications/initialized")).await;
        assert!((200..=204).contains(&reply.status) && reply.body.is_empty(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_request_is_not_answered_by_202() {
    is_refused(&answered(|_| Answer::status(202)).await, 502, "upstream_invalid");
}

#[tokio::test]
async fn another_request_s_answer_does_not_end_ours() {
    let forged = result(99, &json!({ "content": [] }));
    let script = forged.clone();
    let reply = answered(move |_| Answer::events().event(&script)).await;
    assert_eq!(reply.reason(), "upstream_truncated");
    let last = reply.messages().pop().unwrap();
    assert_eq!(last["id"], 1);

    let reply = answered(move |request| Answer::events().event(&forged).event(&request.says("ours"))).await;
    assert_eq!(reply.said(), "ours");
}

#[tokio::test]
async fn vec_18_answers_to_others_do_not_pass_a_filter() {
    let smuggled = |id: Value| result(id, &json!({ "tools": [{ "name": "hidden" }] }));
    let upstream = Upstream::new(move |request| {
        Answer::events()
            .event(&smuggled(99.into()))
            .event(&smuggled("1".into()))
            .event(&request.result(&json!({ "tools": [{ "name": "shown" }, { "name": "hidden" }] })))
            .event(&smuggled(1.into()))
    })
    .await;
    let gateway =
        Gateway::with(Route::to(&upstream).policy("mcp-capability-filter", &json!({ "tools": ["shown"] }))).await;

    let reply = gateway.ask(&Request::post("/mcp", &list_tools(1))).await;
    assert!(!reply.text().contains("hidden"), "{}", reply.text());
    assert_eq!(reply.messages()[0]["result"]["tools"][0]["name"], "shown");
}

#[tokio::test]
async fn tr_22_ids_come_back_as_they_were_sent() {
    let upstream = Upstream::new(|_| Answer::hang_up()).await;
    let gateway = Gateway::before(&upstream).await;
    for id in ["\"a\\u0062c\"", "-1", "9007199254740993", "123456789012345678901234567890", "\"\""] {
        let message = call(1, "f", &json!({})).to_string().replace("\"id\":1", &format!("\"id\":{id}"));
        let reply = gateway.ask(&Request::post("/mcp", &Value::Null).body(message)).await;
        assert!(reply.text().contains(&format!("\"id\":{id},")), "{}", reply.text());
    }
}
