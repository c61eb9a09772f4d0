//! Who may ask, and how: methods, hosts, web pages, and what is not one clear request.

use serde_json::json;

use crate::harness::{Gateway, Http2, Reply, Request, Route, Setup, Upstream, call, list_tools, until};

fn request() -> Request {
    Request::post("/mcp", &call(1, "f", &json!({})))
}

#[tokio::test]
async fn tr_01_everything_but_post_is_405_and_says_why() {
    let upstream = Upstream::saying("never").await;
    let gateway = Gateway::before(&upstream).await;
    for method in ["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "QUERY", "post"] {
        let reply = gateway.ask(&Request::new(method, "/mcp").header("Accept", "text/event-stream")).await;
        assert_eq!((reply.status, reply.reason().as_str()), (405, "method_not_allowed"), "{method}");
        assert_eq!(reply.header("allow"), Some("POST"));
        assert!(reply.text().contains("POST"), "{}", reply.text());
        let with_body = gateway.ask(&request().method(method)).await;
        assert_eq!(with_body.status, 405, "{method}");
    }
    assert_eq!(upstream.count(), 0);
}

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/mcp")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version,mcp-param-x")
}

fn of_cors(reply: &Reply) -> Vec<&String> {
    let headers = reply.headers.iter().map(|(name, _)| name);
    headers.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn tr_04_a_page_may_call_a_route_whose_cors_policy_names_it() {
    let upstream = Upstream::saying("hello, page").await;
    let page = "https://inspector.example.com";
    let route = Route::to(&upstream).policy("cors", &json!({ "allowedOrigins": [page] }));
    let gateway = Gateway::with(route).await;

    let reply = gateway.ask(&preflight(page)).await;
    assert!(matches!(reply.status, 200 | 204), "{reply:?}");
    assert_eq!(reply.header("access-control-allow-origin"), Some(page));
    assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
    let granted = reply.header("access-control-allow-headers").unwrap();
    for name in ["authorization", "content-type", "mcp-protocol-version", "mcp-param-x"] {
        assert!(granted.contains(name), "{granted}");
    }

    let reply = gateway.ask(&request().header("Origin", page)).await;
    assert_eq!((reply.said().as_str(), reply.header("access-control-allow-origin")), ("hello, page", Some(page)));
    let exposed = reply.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("mcp-session-id") && exposed.contains("www-authenticate"), "{exposed}");

    let refused = gateway.ask(&request().header("Origin", page).without("Content-Type")).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some(page), "a page must be able to read its refusal");
}

#[test]
fn tr_03_a_gateway_that_is_told_nothing_else_listens_on_this_machine_only() {
    let listen: std::net::SocketAddr = portcullis::config::Gateway::default().listen.parse().unwrap();
    assert!(listen.ip().is_loopback(), "{listen}");
}

#[tokio::test]
async fn tr_02_a_page_of_another_origin_is_refused() {
    let upstream = Upstream::saying("fine").await;
    let cors = Route::to(&upstream).policy("cors", &json!({ "allowedOrigins": ["https://good.example"] }));
    let gateway = Setup::new().route("/mcp", Route::to(&upstream)).route("/cors", cors).start().await;
    for origin in
        ["http://evil.example", "null", "https://good.example.evil.example", "http://good.example", "file://", ""]
    {
        for path in ["/mcp", "/cors"] {
            let reply = gateway.ask(&Request::post(path, &list_tools(1)).header("Origin", origin)).await;
            assert_eq!((reply.status, reply.reason().as_str()), (403, "origin_not_allowed"), "{path} {origin}");
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
    let two = request().header("Origin", "https://good.example").header("Origin", "http://evil.example");
    assert_eq!(gateway.ask(&two.clone().target("/cors")).await.status, 403);
    assert_eq!(gateway.ask(&two).await.status, 403);
    assert_eq!(upstream.count(), 0);

    let reply = gateway.ask(&preflight("https://good.example")).await;
    assert!(matches!(reply.status, 403 | 405) && of_cors(&reply).is_empty(), "{reply:?}");
}

#[tokio::test]
async fn tr_02_our_own_pages_and_programs_may_ask() {
    let upstream = Upstream::saying("fine").await;
    let setup = Setup::new().route("/mcp", Route::to(&upstream));
    let gateway = setup.gateway("publicUrl", "https://mcp.example.com".into()).start().await;
    let local = format!("http://{}", gateway.address);
    for origin in [local.as_str(), "https://mcp.example.com"] {
        assert_eq!(gateway.ask(&request().header("Origin", origin)).await.said(), "fine", "{origin}");
    }
    assert_eq!(gateway.ask(&request()).await.said(), "fine");
}

#[tokio::test]
async fn sec_d1_a_name_that_anybody_could_own_is_misdirected() {
    let upstream = Upstream::saying("never").await;
    let gateway = Gateway::before(&upstream).await;
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "example.com/health?x="] {
        for path in ["/mcp", "/metrics", "/nowhere"] {
            let reply = gateway.ask(&request().target(path).with("Host", host)).await;
            assert!(matches!(reply.status, 421 | 400), "{host} {path}: {reply:?}");
        }
    }
    let reply = gateway.ask(&request().with("Host", "evil.example")).await;
    assert_eq!((reply.status, reply.reason().as_str()), (421, "host_not_allowed"));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn tr_02_a_request_names_one_host() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    let own = gateway.address.to_string();
    let ambiguous = [
        request().without("Host"),
        request().header("Host", &own),
        request().header("Host", "evil.example"),
        request().with("Host", " "),
        request().target("http://evil.example/mcp"),
        request().target(&format!("http://{own}/mcp")).with("Host", "localhost"),
    ];
    for request in ambiguous {
        let reply = gateway.ask(&request).await;
        assert_eq!(reply.status, 400, "{request:?}: {reply:?}");
    }
    assert_eq!(upstream.count(), 0);

    assert_eq!(gateway.ask(&request().target(&format!("http://{own}/mcp"))).await.said(), "fine");
    assert_eq!(
        gateway.ask(&request().with("Host", &format!("localhost:{}", gateway.address.port()))).await.said(),
        "fine"
    );
}

#[tokio::test]
async fn tr_02_hosts_are_named_in_the_configuration() {
    let setup = Setup::new().route("/mcp", Route::demo()).gateway("publicUrl", "https://mcp.example.com".into());
    let gateway = setup.gateway("allowedHosts", json!(["gateway.internal:8080"])).start().await;
    for (host, status) in [
        ("mcp.example.com", 200),
        ("MCP.Example.Com", 200),
        ("gateway.internal:8080", 200),
        ("gateway.internal", 421),
        ("mcp.example.com.evil.example", 421),
    ] {
        let request = Request::post("/mcp", &list_tools(1)).with("Host", host);
        assert_eq!(gateway.ask(&request).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn tr_02_over_http_2_the_authority_is_the_host() {
    let gateway = Gateway::with(Route::demo()).await;
    let mut http2 = Http2::to(gateway.address).await;
    let good = http2.post("/mcp", list_tools(1).to_string());
    assert_eq!(http2.ask(good).await.status, 200);
    let mut evil = http2.post("/mcp", list_tools(1).to_string());
    *evil.uri_mut() = "http://evil.example/mcp".parse().unwrap();
    assert_eq!(http2.ask(evil).await.reason(), "host_not_allowed");
}

#[tokio::test]
async fn probes_are_asked_under_whatever_name() {
    let gateway = Gateway::with(Route::demo()).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(gateway.ask(&Request::get(path).with("Host", "pod-7.cluster.local")).await.status, 200);
    }
}

#[tokio::test]
async fn rule_4_a_path_is_matched_as_it_is_written() {
    let upstream = Upstream::saying("never").await;
    let gateway = Gateway::before(&upstream).await;
    for path in
        ["//mcp", "/mcp/", "/./mcp", "/x/../mcp", "/mcp%2f", "/%6dcp", "/mcp;x", "/MCP", "/mcp%00", "/mcp\\", "*"]
    {
        let reply = gateway.ask(&request().target(path)).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn vec_12_tr_05_a_body_that_is_not_plain_json_is_415() {
    let upstream = Upstream::saying("never").await;
    let gateway = Gateway::before(&upstream).await;
    for kind in [
        "text/plain",
        "application/json; charset=utf-16",
        "application/json-patch+json",
        "application/x-www-form-urlencoded",
        "",
    ] {
        assert_eq!(gateway.ask(&request().with("Content-Type", kind)).await.status, 415, "{kind}");
    }
    assert_eq!(gateway.ask(&request().without("Content-Type")).await.status, 415);
    assert_eq!(gateway.ask(&request().header("Content-Type", "application/json")).await.status, 415);
    for coding in ["gzip", "identity, gzip", "identity"] {
        assert_eq!(gateway.ask(&request().header("Content-Encoding", coding)).await.status, 415, "{coding}");
    }
    assert_eq!(gateway.ask(&request().with("Accept", "application/json")).await.status, 406);
    assert_eq!(upstream.count(), 0);
}

/// Requests of which two servers could make different things, after `POST /mcp HTTP/1.1` and a `Host`.
#[tokio::test]
async fn one_request_never_becomes_two() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Gateway::before(&upstream).await;
    let message = call(1, "f", &json!({})).to_string();
    let hidden = String::from_utf8(request().bytes(gateway.address)).unwrap();
    let chunked = format!("{:x}\r\n{message}\r\n0\r\n\r\n{hidden}", message.len());
    let plain = format!("{message}{hidden}");
    let framings = [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", &chunked),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4", &chunked),
        ("Transfer-Encoding: gzip, chunked", &chunked),
        ("Transfer-Encoding: chunked, identity", &chunked),
        ("Transfer-Encoding: xchunked", &chunked),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", &chunked),
        ("Transfer-Encoding : chunked", &chunked),
        ("Content-Length: 10\r\nContent-Length: 20", &plain),
        ("Content-Length: +10", &plain),
        ("Content-Length: 10, 10", &plain),
        ("Content-Length: 0x10", &plain),
        ("Content-Length: 10\r\n folded: x", &plain),
    ];
    for (framing, body) in framings {
        let before = upstream.count();
        let mut client = gateway.client().await;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n",
            gateway.address
        );
        client.write(format!("{head}{body}").as_bytes()).await;
        let first = client.reply().await.unwrap();
        assert!(matches!(first.status, 200 | 400 | 501), "{framing}: {first:?}");
        assert!(client.is_closed().await, "{framing}: the rest was taken for a request");
        assert!(upstream.count() - before <= 1, "{framing}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_reaches_nobody() {
    let upstream = Upstream::saying("never").await;
    let gateway = Gateway::before(&upstream).await;
    let bytes = request().bytes(gateway.address);
    for cut in (1..bytes.len()).step_by(7) {
        let mut client = gateway.client().await;
        client.write(&bytes[..cut]).await;
        drop(client);
    }
    let mut bad_chunk = gateway.client().await;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        gateway.address
    );
    bad_chunk.write(format!("{head}5\r\n{{\"jsoXX0\r\n\r\n").as_bytes()).await;
    assert_eq!(bad_chunk.reply().await.unwrap().status, 400);
    until("everything is over", || upstream.open() == 0).await;
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_client_behind_a_proxy_is_never_taken_for_the_proxy() {
    let upstream = Upstream::saying("fine").await;
    let inside = serde_json::json!({ "allowedIpAddresses": ["127.0.0.0/8", "198.51.100.7"] });
    let setup = Setup::new().route("/mcp", Route::to(&upstream).policy("ip-restriction", &inside));
    let gateway = setup.gateway("trustedProxies", serde_json::json!(["127.0.0.1"])).start().await;
    let from = |hops: &str| request().header("X-Forwarded-For", hops);
    assert_eq!(gateway.ask(&from("203.0.113.9, 198.51.100.7")).await.said(), "fine");
    for outside in ["203.0.113.9", "unreadable", "198.51.100.7, 203.0.113.9", "\u{ff}, 203.0.113.9", ""] {
        assert_eq!(gateway.ask(&from(outside)).await.reason(), "ip_not_allowed", "{outside}");
    }
}
