//! No way to the server, or something else at the end of it.

use std::net::SocketAddr;

use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};

use super::{examine, examine_with, url};
use crate::harness::{Answer, Gateway, Request, Route, Upstream};

#[tokio::test]
async fn a_port_on_which_nothing_listens_is_told_from_a_name_that_has_no_address() {
    let upstream = Upstream::saying("gone soon").await;
    let url = upstream.url();
    drop(upstream);
    let seen = examine(&url).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["connection_refused"], Some(3)), "{}", seen.printed);
    assert_eq!(seen.check("answer"), ("skipped", "there is no connection"));
    // An empty label: no resolver has to be asked to know that there is none.
    let seen = examine("http://nobody..invalid/mcp").await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["no_address"], Some(3)), "{}", seen.printed);
    assert_eq!(seen.check("connection"), ("skipped", "the host has no address"));
}

#[tokio::test]
async fn a_port_that_never_answers_is_told_from_an_address_to_which_there_is_no_way() {
    // A queue that is full: what else knocks gets no answer, as behind a firewall that drops it.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _waiting = TcpStream::connect(address).await.unwrap();
    let seen = examine(&format!("http://{address}/mcp")).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["connection_timed_out"], Some(3)), "{}", seen.printed);
    // The broadcast address: the system refuses before anything is sent.
    let seen = examine("http://255.255.255.255/mcp").await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["connection_failed"], Some(3)), "{}", seen.printed);
}

#[tokio::test]
async fn what_is_sent_without_tls_to_more_than_this_machine_is_a_warning() {
    let gateway = Gateway::with(Route::demo()).await;
    // By this address a connection comes to the same machine, but the address does not say so.
    let seen = examine(&url(&gateway).replace("127.0.0.1", "0.0.0.0")).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["not_encrypted"], Some(0)), "{}", seen.printed);
}

#[tokio::test]
async fn a_token_is_not_sent_without_tls_to_more_than_this_machine() {
    let upstream = Upstream::new(|_| Answer::status(401)).await;
    let seen = examine_with(&[&upstream.url().replace("127.0.0.1", "0.0.0.0"), "--token", "canary"], &[]).await;
    assert!(seen.check("tls").1.ends_with("the token that was given is not sent"), "{}", seen.printed);
    assert_eq!(seen.check("revisions").0, "skipped", "{}", seen.printed);
    let requests = upstream.requests();
    assert!(!requests.is_empty() && requests.iter().all(|one| one.header("authorization").is_none()), "{requests:#?}");
}

#[tokio::test]
async fn the_query_of_the_url_is_not_shown_whoever_repeats_it() {
    let upstream = Upstream::new(|request| {
        let error = json!({ "code": -32000, "message": format!("{} is too much", request.path()) });
        let error = json!({ "jsonrpc": "2.0", "id": 1, "error": error });
        Answer::body(401, "application/json", error.to_string())
            .header("WWW-Authenticate", &format!("Bearer realm=\"{}\"", request.path()))
    })
    .await;
    let url = format!("{}?key=canary%2Dkey", upstream.url());
    for arguments in [&[&*url][..], &[&url, "--token", "a-token"]] {
        let seen = examine_with(arguments, &[]).await;
        assert!(seen.printed.contains("realm=") && !seen.printed.contains("canary"), "{}", seen.printed);
    }
}

#[tokio::test]
async fn a_gateway_that_does_not_know_the_host_by_which_a_proxy_asks_it_says_so_and_doctor_too() {
    let gateway = Gateway::with(Route::demo()).await;
    // As nginx sends it on, where nobody told it to pass the host on.
    let refused = gateway.ask(&Request::post("/mcp", &json!({})).with("Host", "backend")).await;
    assert_eq!((refused.status, &*refused.reason()), (421, "host_not_allowed"));
    let answer = Answer::body(refused.status, "application/json", refused.body);
    let proxy = Upstream::new(move |_| answer.clone()).await;
    let seen = examine(&proxy.url()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["host_refused"], Some(5)), "{}", seen.printed);
    assert!(seen.report["diagnosis"][0]["fix"].as_str().unwrap().contains("proxy_set_header Host"), "{}", seen.printed);
}

/// What is no MCP server, by its answer to everything.
fn impostors() -> Vec<(Answer, &'static str, i32)> {
    let page = || Answer::body(200, "text/html; charset=utf-8", "<!doctype html><title>Welcome</title>");
    vec![
        (page(), "answers_html", 5),
        (Answer::status(308).header("Location", "https://elsewhere.example/mcp?key=canary"), "redirects", 5),
        (Answer::body(404, "text/html", "<h1>Not Found</h1>"), "not_found", 5),
        (Answer::status(405).header("Allow", "GET"), "post_not_allowed", 5),
        (Answer::status(403), "forbidden", 5),
        (Answer::body(403, "text/plain", "Invalid Host header"), "host_refused", 5),
        (Answer::body(421, "text/plain", "Invalid Host header"), "host_refused", 5),
        (Answer::status(429).header("Retry-After", "30"), "too_many_requests", 0),
        (Answer::status(407), "proxy_asks_for_sign_in", 5),
        (Answer::status(415), "json_not_taken", 5),
        (Answer::status(500), "server_error", 5),
        (Answer::body(501, "text/html", "<h1>Unsupported method ('POST')</h1>"), "post_not_allowed", 5),
        (Answer::status(501).header("Server", "SimpleHTTP/0.6"), "post_not_allowed", 5),
        (Answer::status(502).header("Server", "nginx/1.27.1"), "bad_gateway", 5),
        (Answer::status(503), "server_error", 5),
        (Answer::status(503).header("Via", "1.1 Caddy"), "bad_gateway", 5),
        (Answer::status(504), "gateway_timeout", 5),
        (Answer::json(&json!({ "status": "fine" })), "not_mcp", 5),
        (Answer::raw("SSH-2.0-OpenSSH_9.6\r\n").then_close(), "not_http", 5),
        (Answer::hang_up(), "no_answer", 5),
    ]
}

#[tokio::test]
async fn what_is_no_mcp_server_is_told_apart_by_what_it_answers() {
    for (answer, code, exit_code) in impostors() {
        let upstream = Upstream::new(move |_| answer.clone()).await;
        let seen = examine(&upstream.url()).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(exit_code)), "{}", seen.printed);
        assert_eq!(seen.check("tools").0, "skipped");
        assert!(!seen.printed.contains("canary"), "{}", seen.printed);
    }
}

#[tokio::test]
async fn who_takes_no_more_requests_is_told_with_how_long_to_wait_and_no_other_path_is_asked() {
    let upstream = Upstream::new(|_| Answer::status(429).header("Retry-After", "30")).await;
    let seen = examine(&upstream.url()).await;
    assert!(seen.check("answer").1.ends_with("Retry-After: 30"), "{}", seen.printed);
    assert!(upstream.requests().iter().all(|one| one.path() == "/mcp"), "{:#?}", upstream.requests());
}

#[tokio::test]
async fn what_serves_only_files_here_may_serve_mcp_beside_that() {
    let upstream = Upstream::new(|request| match (request.path(), request.head.split(' ').next()) {
        ("/mcp/v1", Some("POST")) => Answer::json(&request.result(&json!({ "tools": [{ "name": "a" }] }))),
        (_, Some("POST")) => Answer::body(501, "text/html", "<h1>Unsupported method ('POST')</h1>"),
        _ => Answer::status(404),
    })
    .await;
    let seen = examine(&upstream.url()).await;
    let fix = seen.report["diagnosis"][0]["fix"].as_str().unwrap();
    assert!(fix.contains(&format!("{}/v1", upstream.url())), "{fix}");
}

#[tokio::test]
async fn a_path_that_a_gateway_does_not_have_is_told_from_a_server_that_does_not_know_initialize() {
    let gateway = Gateway::with(Route::demo()).await;
    let seen = examine(&format!("{}x", url(&gateway))).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["not_found"], Some(5)), "{}", seen.printed);

    let upstream = Upstream::new(|request| {
        if !request.head.starts_with("POST ") {
            return Answer::status(405);
        }
        let message = request.message();
        if message["method"] == "initialize" {
            let error = json!({ "code": -32601, "message": "unknown" });
            let message = json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
            return Answer::body(404, "application/json", message.to_string());
        }
        Answer::json(&request.result(&json!({ "supportedVersions": ["2026-07-28"], "tools": [{ "name": "a" }] })))
    })
    .await;
    let seen = examine(&upstream.url()).await;
    seen.is_healthy();
    assert_eq!(seen.check("revisions"), ("ok", "server/discover: 2026-07-28"));
}

#[tokio::test]
async fn a_redirect_is_named_with_where_it_leads_and_not_followed() {
    let elsewhere = Upstream::saying("the token would have gone here").await;
    let to = elsewhere.url();
    let upstream = Upstream::new(move |_| Answer::status(307).header("Location", &to)).await;
    let seen = examine_with(&[&upstream.url(), "--token", "canary"], &[]).await;
    assert_eq!(seen.codes(), ["redirects"]);
    assert!(seen.check("answer").1.contains(&elsewhere.url()), "{}", seen.printed);
    assert_eq!(elsewhere.count(), 0);
}
