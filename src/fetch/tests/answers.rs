//! Answers that are too long, too slow, elsewhere, or packed.

use std::time::Duration;

use http::{Request, StatusCode};
use tokio::time::Instant;

use super::{
    server::{Server, Then},
    *,
};

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_document_arrives_and_nothing_is_sent_that_nobody_gave() {
    let server = Server::plain(answer("200 OK", "etag: \"1\"\r\n", "{}"), Then::Close).await;
    let fetched = get(&on_loopback(), &server.url("/client.json?v=1")).await.unwrap();
    assert_eq!((&fetched.body[..], fetched.headers["etag"].to_str().unwrap()), (&b"{}"[..], "\"1\""));
    let heard = server.heard().remove(0).to_ascii_lowercase();
    assert!(heard.starts_with("get /client.json?v=1 http/1.1\r\n"), "{heard}");
    assert!(heard.contains(&format!("\r\nhost: {}\r\n", server.address)), "{heard}");
    assert!(heard.contains("\r\naccept-encoding: identity\r\n"), "{heard}");
    assert!(!heard.contains("cookie") && !heard.contains("authorization"), "{heard}");
}

#[tokio::test]
async fn a_post_gets_any_answer_and_keeps_its_own_headers() {
    let server = Server::plain(answer("400 Bad Request", "", r#"{"error":"invalid_grant"}"#), Then::Close).await;
    let request = Request::post(server.url("/token"))
        .header("authorization", "Basic YTpi")
        .header("host", "elsewhere.example")
        .header("transfer-encoding", "chunked")
        .body("grant_type=refresh_token")
        .unwrap();
    let answer = on_loopback().send(request, BUDGET).await.unwrap();
    assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::BAD_REQUEST, &br#"{"error":"invalid_grant"}"#[..]));
    let heard = server.heard().remove(0);
    assert!(heard.contains("authorization: Basic YTpi") && heard.ends_with("grant_type=refresh_token"), "{heard}");
    assert!(heard.contains("content-length: 24") && !heard.contains("transfer-encoding"), "{heard}");
    assert!(heard.contains(&format!("host: {}\r\n", server.address)), "{heard}");
}

#[tokio::test]
async fn sec_c3_oauth_63_a_redirect_is_an_error_and_its_target_hears_nothing() {
    let inside = Server::plain(answer("200 OK", "", "secret"), Then::Close).await;
    for status in 300..=308_u16 {
        let location = format!("location: {}\r\n", inside.url("/admin"));
        let server = Server::plain(answer(&format!("{status} Moved"), &location, ""), Then::Close).await;
        let status = FetchError::Status(StatusCode::from_u16(status).unwrap());
        assert_eq!(get(&on_loopback(), &server.url("/")).await.unwrap_err(), status);
        let request = Request::post(server.url("/token")).body("code=1&code_verifier=2").unwrap();
        assert_eq!(on_loopback().send(request, BUDGET).await.unwrap_err(), status);
        assert_eq!(server.connections(), 2);
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn oauth_63_only_a_200_gives_a_document() {
    for status in ["201 Created", "204 No Content", "206 Partial Content", "404 Not Found", "500 Oops"] {
        let server = Server::plain(answer(status, "", ""), Then::Close).await;
        let code = StatusCode::from_bytes(&status.as_bytes()[..3]).unwrap();
        assert_eq!(get(&on_loopback(), &server.url("/")).await.unwrap_err(), FetchError::Status(code));
    }
}

#[tokio::test]
async fn sec_c5_oauth_63_5_000_bytes_are_read_and_5_001_are_not() {
    let most = Server::plain(answer("200 OK", "", &"a".repeat(5_000)), Then::Close).await;
    assert_eq!(get(&on_loopback(), &most.url("/")).await.unwrap().body.len(), 5_000);
    let body = "a".repeat(5_001);
    let announced = answer("200 OK", "", &body);
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1389\r\n{body}\r\n0\r\n\r\n");
    let until_closed = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    for longer in [announced, chunked, until_closed] {
        let server = Server::plain(longer, Then::Close).await;
        assert_eq!(get(&on_loopback(), &server.url("/")).await.unwrap_err(), FetchError::TooLarge);
    }
}

#[tokio::test]
async fn sec_c5_an_endless_body_ends_at_the_limit() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let server = Server::plain(head, Then::Repeat(&[b'a'; 1_000], Duration::ZERO)).await;
    assert_eq!(get(&on_loopback(), &server.url("/")).await.unwrap_err(), FetchError::TooLarge);
}

#[tokio::test]
async fn a_length_that_lies_cuts_the_answer_or_breaks_it() {
    let more = Server::plain("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}{\"x\":1}", Then::Close).await;
    assert_eq!(&get(&on_loopback(), &more.url("/")).await.unwrap().body[..], b"{}");
    let fewer = Server::plain("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}", Then::Close).await;
    assert!(is_unreachable(&get(&on_loopback(), &fewer.url("/")).await));
    let huge = Server::plain("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{}", Then::Silence).await;
    assert_eq!(get(&on_loopback(), &huge.url("/")).await.unwrap_err(), FetchError::TooLarge);
}

#[tokio::test]
async fn an_answer_that_must_be_unpacked_is_refused() {
    for coding in [
        "content-encoding: gzip\r\n",
        "content-encoding: identity, br\r\n",
        "content-encoding: identity\r\ncontent-encoding: zstd\r\n",
    ] {
        let server = Server::plain(answer("200 OK", coding, "xx"), Then::Close).await;
        assert!(is_unreachable(&get(&on_loopback(), &server.url("/")).await), "{coding}");
    }
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n";
    let server = Server::plain(chunked, Then::Close).await;
    assert!(is_unreachable(&get(&on_loopback(), &server.url("/")).await));
    let server = Server::plain(answer("200 OK", "content-encoding: Identity\r\n", "{}"), Then::Close).await;
    assert!(get(&on_loopback(), &server.url("/")).await.is_ok());
}

#[tokio::test]
async fn headers_are_limited_in_bytes_and_in_number() {
    let long = Server::plain(answer("200 OK", &format!("x: {}\r\n", "a".repeat(16 << 10)), "{}"), Then::Close).await;
    assert_eq!(get(&on_loopback(), &long.url("/")).await.unwrap_err(), FetchError::TooLarge);
    let many = Server::plain(answer("200 OK", &"x: y\r\n".repeat(64), "{}"), Then::Close).await;
    assert_eq!(get(&on_loopback(), &many.url("/")).await.unwrap_err(), FetchError::TooLarge);
    let head = "HTTP/1.1 200 OK\r\n";
    let endless = Server::plain(head, Then::Repeat(b"x: aaaaaaaaaaaaaaaaaaaaaaaa\r\n", Duration::ZERO)).await;
    assert_eq!(get(&on_loopback(), &endless.url("/")).await.unwrap_err(), FetchError::TooLarge);
}

#[tokio::test]
async fn fault_a_host_that_dribbles_or_says_nothing_is_left_in_time() {
    let pause = Duration::from_millis(20);
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let begun = Instant::now();
    for (first, then) in
        [("", Then::Silence), ("HTTP/1.1 200 OK\r\nx: ", Then::Repeat(b"a", pause)), (head, Then::Repeat(b"a", pause))]
    {
        let server = Server::plain(first, then).await;
        let wanted =
            Wanted { url: server.url("/").parse().unwrap(), max_bytes: 5_000, patience: Duration::from_millis(200) };
        assert_eq!(on_loopback().fetch(wanted).await.unwrap_err(), FetchError::TimedOut);
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn fault_an_answer_that_is_no_http_or_none_at_all_is_said_to_be() {
    for nonsense in ["", "<html>", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 99999 x\r\n\r\n"] {
        let server = Server::plain(nonsense, Then::Close).await;
        assert!(is_unreachable(&get(&on_loopback(), &server.url("/")).await), "{nonsense}");
    }
    let gone = Server::plain("", Then::Close).await.url("/");
    assert!(is_unreachable(&get(&on_loopback(), &gone).await));
}

#[tokio::test]
async fn fault_a_slow_host_holds_four_places_and_no_more_and_others_are_served() {
    let slow = Server::plain("", Then::Silence).await;
    let quick = Server::start("127.0.0.2:0", None, answer("200 OK", "", "{}").into(), Then::Close).await;
    let (client, mut asking) = (on_loopback(), tokio::task::JoinSet::new());
    for _ in 0..70 {
        let (client, url) = (client.clone(), slow.url("/"));
        asking.spawn(async move { get(&client, &url).await.unwrap_err() });
    }
    let full = async {
        while slow.connections() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BUDGET.patience, full).await.unwrap();
    assert!(get(&client, &quick.url("/")).await.is_ok());
    assert_eq!(slow.connections(), 4);
    while let Some(error) = asking.join_next().await {
        assert_eq!(error.unwrap(), FetchError::TimedOut);
    }
}
