//! Which headers cross the gateway, and which never do.

use serde_json::json;

use crate::harness::{
    Answer, Gateway, Received, Reply, Request, Route, Setup, Upstream, call, initialize, modern, notification,
};

fn request() -> Request {
    Request::post("/mcp", &call(1, "f", &json!({})))
}

/// What the upstream gets when a client sends this.
async fn forwarded(request: &Request) -> Received {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.ask(request).await.said(), "fine");
    upstream.only_request()
}

/// What the client gets when an upstream answers with these headers.
async fn answered(headers: &'static [(&str, &str)]) -> Reply {
    let upstream = Upstream::new(move |request| {
        let answer = Answer::json(&request.says("fine"));
        headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    })
    .await;
    let reply = Gateway::before(&upstream).await.ask(&request()).await;
    assert_eq!(reply.said(), "fine");
    reply
}

#[tokio::test]
async fn tr_05_tr_22_the_upstream_gets_the_message_untouched_and_little_else() {
    let message = "{ \"method\":\"tools/call\" ,\"id\": 123456789012345678901234567890,\n\"params\":{\"name\":\"f\",\"x\":1.0e0},\"jsonrpc\":\"2.0\"}";
    let got = forwarded(&request().body(message)).await;
    assert_eq!(String::from_utf8(got.body.clone()).unwrap(), message);
    assert_eq!(got.head.lines().next(), Some("POST /mcp HTTP/1.1"));
    let mut names = got.header_names();
    names.sort();
    assert_eq!(names, ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"]);
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(got.header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn trap_5_the_upstream_gets_its_own_host() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    gateway.ask(&request()).await;
    assert_eq!(upstream.only_request().header("host"), Some(upstream.address().to_string().as_str()));
}

#[tokio::test]
async fn sec_a8_no_credential_of_the_client_reaches_the_upstream() {
    let got = forwarded(
        &request()
            .header("Authorization", "Bearer for-the-gateway")
            .header("AUTHORIZATION", "Basic again")
            .header("Cookie", "session=1")
            .header("Cookie2", "x")
            .header("Proxy-Authorization", "Basic x")
            .header("X-Api-Key", "k"),
    )
    .await;
    for name in ["authorization", "cookie", "cookie2", "proxy-authorization", "x-api-key"] {
        assert_eq!(got.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn rule_1_hop_by_hop_headers_stay_on_their_hop() {
    let names = ["Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Connection", "Proxy-Authenticate", "HTTP2-Settings"];
    let request = names.iter().fold(request(), |request, name| request.header(name, "x"));
    let got = forwarded(&request.header("Connection", "keep-alive")).await;
    for name in names.iter().copied().chain(["Connection", "Transfer-Encoding"]) {
        assert_eq!(got.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn rule_1_what_connection_names_stays_on_its_hop() {
    let got = forwarded(
        &request()
            .header("Connection", "Traceparent, Mcp-Param-Secret")
            .header("Connection", "baggage")
            .header("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .header("Mcp-Param-Secret", "1")
            .header("Baggage", "a=1")
            .header("Tracestate", "a=1"),
    )
    .await;
    for name in ["connection", "traceparent", "mcp-param-secret", "baggage"] {
        assert_eq!(got.header(name), None, "{name}");
    }
    assert_eq!(got.header("tracestate"), Some("a=1"));
}

#[tokio::test]
async fn rule_1_a_client_cannot_name_away_what_the_gateway_sets() {
    let upstream = Upstream::saying("fine").await;
    let route = Route::to(&upstream)
        .policy("set-headers", &json!({ "headers": [{ "name": "Authorization", "value": "Bearer of-the-gateway" }] }));
    let gateway = Gateway::with(route).await;

    let sent = request().header("Connection", "authorization, content-type, host, accept").header("Authorization", "x");
    assert_eq!(gateway.ask(&sent).await.said(), "fine");
    let got = upstream.only_request();
    assert_eq!(got.all("authorization"), ["Bearer of-the-gateway"]);
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert!(got.header("host").is_some() && got.header("accept").is_some());
}

#[tokio::test]
async fn rule_5_nobody_believes_what_a_client_says_of_its_way_here() {
    let names = [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "Via",
        "X_Forwarded_For",
    ];
    let got = forwarded(&names.iter().fold(request(), |request, name| request.header(name, "10.0.0.1"))).await;
    for name in names {
        assert_eq!(got.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn rule_2_tr_08_what_belongs_to_mcp_and_to_the_trace_crosses() {
    let sent = modern("/mcp", 1, "f")
        .header("Mcp-Param-Region", "eu")
        .header("mcp-something-new", "7")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "a=1")
        .header("tracestate", "b=2")
        .header("baggage", "user=alice")
        .header("Accept-Encoding", "gzip, br")
        .header("Accept-Language", "de")
        .header("Last-Event-ID", "41")
        .header("User-Agent", "browser")
        .header("Referer", "http://elsewhere.example/");
    let got = forwarded(&sent).await;
    assert_eq!(got.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!(got.header("mcp-method"), Some("tools/call"));
    assert_eq!(got.header("mcp-name"), Some("f"));
    assert_eq!(got.header("mcp-param-region"), Some("eu"));
    assert_eq!(got.header("mcp-something-new"), Some("7"));
    assert_eq!(got.header("traceparent"), Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert_eq!(got.all("tracestate"), ["a=1", "b=2"]);
    assert_eq!(got.header("baggage"), Some("user=alice"));
    assert_eq!(got.header("accept-encoding"), Some("identity"));
    for name in ["accept-language", "last-event-id", "referer"] {
        assert_eq!(got.header(name), None, "{name}");
    }
    assert!(got.header("user-agent").unwrap().starts_with("portcullis/"));
}

#[tokio::test]
async fn set_headers_gives_the_upstream_its_credential() {
    let upstream = Upstream::saying("fine").await;
    let headers = json!([
        { "name": "Authorization", "value": "Bearer of-the-gateway" },
        { "name": "X-Tenant", "value": "blue" },
    ]);
    let gateway = Gateway::with(Route::to(&upstream).policy("set-headers", &json!({ "headers": headers }))).await;

    let sent = request().header("Authorization", "Bearer of-the-client").header("X-Tenant", "red");
    assert_eq!(gateway.ask(&sent).await.said(), "fine");
    let got = upstream.only_request();
    assert_eq!(got.all("authorization"), ["Bearer of-the-gateway"]);
    assert_eq!(got.all("x-tenant"), ["blue"]);
}

#[tokio::test]
async fn rule_2_what_an_upstream_may_not_say_in_our_name_never_reaches_the_client() {
    let headers = &[
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Server", "nginx"),
        ("WWW-Authenticate", "Bearer resource_metadata=\"http://evil.example/\""),
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "x"),
        ("Clear-Site-Data", "\"*\""),
        ("Strict-Transport-Security", "max-age=1"),
        ("Alt-Svc", "h3=\":443\""),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Trailer", "x"),
        ("Upgrade", "websocket"),
        ("X-Request-Id", "of-the-upstream"),
    ];
    let reply = answered(headers).await;
    for (name, _) in headers {
        let name = name.to_ascii_lowercase();
        assert!(reply.all(&name).is_empty() || name == "x-request-id", "{name}: {reply:?}");
    }
    assert_ne!(reply.header("x-request-id"), Some("of-the-upstream"));
}

#[tokio::test]
async fn rule_1_what_an_upstream_s_connection_names_stays_on_its_hop() {
    let reply = answered(&[("Connection", "x-inner"), ("X-Inner", "1"), ("X-Outer", "2")]).await;
    assert_eq!((reply.header("x-inner"), reply.header("x-outer")), (None, Some("2")));
}

#[tokio::test]
async fn everything_else_that_an_upstream_says_reaches_the_client_also_what_it_says_twice() {
    let reply = answered(&[
        ("X-One", "1"),
        ("Link", "<a>; rel=x"),
        ("X-Two", "2"),
        ("Link", "<b>; rel=y"),
        ("Mcp-Protocol-Version", "2025-11-25"),
        ("Retry-After", "3"),
        ("Cache-Control", "private"),
    ])
    .await;
    assert_eq!(reply.all("link"), ["<a>; rel=x", "<b>; rel=y"]);
    assert_eq!((reply.header("x-one"), reply.header("x-two")), (Some("1"), Some("2")));
    assert_eq!(reply.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(reply.header("retry-after"), Some("3"));
    assert_eq!(reply.header("cache-control"), Some("private"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn rule_3_trailers_are_dropped_both_ways() {
    let upstream = Upstream::new(|request| {
        let said = request.says("fine").to_string();
        Answer::raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: x-late\r\n\r\n\
             {:x}\r\n{said}\r\n0\r\nX-Late: 1\r\nSet-Cookie: late=1\r\n\r\n",
            said.len()
        ))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    let message = call(1, "f", &json!({})).to_string();
    let mut client = gateway.client().await;
    let chunked =
        request().without("Content-Length").header("Transfer-Encoding", "chunked").header("Trailer", "x-late");
    let head = String::from_utf8(chunked.bytes(gateway.address)).unwrap();
    let head = head.strip_suffix(&message).unwrap();
    let body = format!("{:x}\r\n{message}\r\n0\r\nX-Late: 1\r\nMcp-Name: late\r\n\r\n", message.len());
    client.write(format!("{head}{body}").as_bytes()).await;

    let reply = client.reply().await.unwrap();
    assert_eq!(reply.said(), "fine");
    assert_eq!((reply.header("x-late"), reply.header("trailer")), (None, None));
    let got = upstream.only_request();
    assert_eq!(got.message(), call(1, "f", &json!({})));
    assert!(got.header("x-late").is_none() && got.header("mcp-name").is_none() && got.header("trailer").is_none());
    assert_eq!(client.ask(&request()).await.said(), "fine", "the connection is as good as before");
}

#[tokio::test]
async fn rule_3_interim_answers_of_the_upstream_are_dropped() {
    let upstream = Upstream::new(|request| {
        let said = request.says("fine").to_string();
        Answer::raw(format!(
            "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{said}",
            said.len()
        ))
    })
    .await;
    let gateway = Gateway::before(&upstream).await;

    let mut client = gateway.client().await;
    client.send(&request()).await;
    let reply = client.reply().await.unwrap();
    assert_eq!((reply.status, reply.said().as_str(), reply.header("link")), (200, "fine", None));
}

#[tokio::test]
async fn rule_3_an_expectation_that_nobody_knows_is_refused() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    assert_eq!(gateway.ask(&request().header("Expect", "a-miracle")).await.status, 417);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;

    let request = request().header("Expect", "100-continue");
    let bytes = request.bytes(gateway.address);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let mut client = gateway.client().await;
    client.write(&bytes[..end]).await;
    assert_eq!(client.interim().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write(&bytes[end..]).await;
    assert_eq!(client.reply().await.unwrap().said(), "fine");
    assert_eq!(upstream.only_request().header("expect"), None);
}

#[tokio::test]
async fn an_upgrade_is_not_passed_on() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    let reply = gateway.ask(&request().header("Connection", "upgrade").header("Upgrade", "websocket")).await;
    assert_eq!(reply.said(), "fine");
    assert_eq!(upstream.only_request().header("upgrade"), None);
}

#[tokio::test]
async fn sec_b3_a_session_is_good_on_its_own_route_only() {
    let upstream = Upstream::new(|request| match request.header("mcp-session-id") {
        None => Answer::json(&request.says("new")).header("Mcp-Session-Id", "upstream-session-1"),
        Some(id) => Answer::json(&request.says(id)),
    })
    .await;
    let gateway = Setup::new().route("/a", Route::to(&upstream)).route("/b", Route::to(&upstream)).start().await;

    let first = gateway.ask(&Request::post("/a", &initialize(1))).await;
    let session = first.header("mcp-session-id").unwrap().to_owned();
    assert_ne!(session, "upstream-session-1");

    let with_session =
        |path: &str, id: &str| Request::post(path, &call(2, "f", &json!({}))).header("Mcp-Session-Id", id);
    assert_eq!(gateway.ask(&with_session("/a", &session)).await.said(), "upstream-session-1");
    let requests = upstream.count();
    for (path, id) in [("/b", session.as_str()), ("/a", "upstream-session-1"), ("/a", "made-up"), ("/a", "")] {
        let reply = gateway.ask(&with_session(path, id)).await;
        assert_eq!((reply.status, reply.reason().as_str()), (404, "unknown_session"), "{path} {id}");
        assert_eq!(reply.json()["id"], 2);
    }
    assert_eq!(upstream.count(), requests, "nothing of it reached the upstream");
}

#[tokio::test]
async fn two_session_ids_in_one_request_are_refused() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    let reply = gateway.ask(&request().header("Mcp-Session-Id", "a").header("Mcp-Session-Id", "b")).await;
    assert_eq!((reply.status, upstream.count()), (400, 0));
}

#[tokio::test]
async fn tr_23_a_notification_is_accepted_without_a_body() {
    let upstream = Upstream::new(|_| Answer::status(202)).await;
    let gateway = Gateway::before(&upstream).await;
    let reply = gateway.post(&notification("notifications/initialized")).await;
    assert_eq!((reply.status, reply.body.len()), (202, 0));
    assert_eq!(upstream.count(), 1);
}
