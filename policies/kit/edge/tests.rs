//! What reaches the end of a chain is what the message says, whoever reads it.

mod batches;
mod eras;
mod mutations;
mod parsers;
mod vectors;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use http::{HeaderName, StatusCode, header::WWW_AUTHENTICATE};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::Layer;

use super::*;
use crate::kit::{
    chain::{RequestId, RouteLayer, gate, refuse},
    reply::Reply,
};

const CALL: &str = r#"{"jsonrpc":"2.0","id":"c-1","method":"tools/call","params":{"name":"echo"}}"#;

/// An edge in front of an end that logs what it executes.
struct Gateway {
    edge: Edge,
    log: Arc<Mutex<Vec<Message>>>,
}

/// What became of a request.
struct Outcome {
    response: http::response::Parts,
    body: Value,
    executed: Option<Message>,
    handled: Option<Message>,
}

impl Gateway {
    fn new(limits: EdgeLimits) -> Self {
        Self::behind(&gate(|_| Ok(())), limits)
    }

    fn behind(layer: &RouteLayer, limits: EdgeLimits) -> Self {
        let log: Arc<Mutex<Vec<Message>>> = Arc::default();
        let end = Arc::clone(&log);
        let end = RouteService::from_fn(move |request| {
            let response = match request.body() {
                Inbound::Refused(refusal) => refuse(&request, refusal.clone()),
                Inbound::Message(message) => {
                    end.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
                    http::Response::new(Reply::from(Bytes::from_static(b"{}")))
                }
            };
            crate::kit::chain::answered(response)
        });
        Self { edge: Edge::new(layer.layer(end), limits), log }
    }

    async fn take<B: Body<Data = Bytes>>(&self, request: http::Request<B>) -> Outcome {
        let Handled { response, message } = self.edge.handle(request).await;
        let (response, reply) = response.into_parts();
        let body = reply.collect().await.unwrap().to_bytes();
        let executed = self.log.lock().unwrap().pop();
        Outcome { response, body: serde_json::from_slice(&body).unwrap_or_default(), executed, handled: message }
    }
}

impl Outcome {
    fn reason(&self) -> Option<&str> {
        self.body.pointer("/error/data/reason")?.as_str()
    }
}

fn post<B>(body: B) -> http::Request<B> {
    http::Request::post("/mcp")
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .extension(Arrival {
            route: "/mcp".into(),
            upstream: "demo".into(),
            upstream_key: "demo".into(),
            client: [127, 0, 0, 1].into(),
            request_id: RequestId::new(7, 42),
        })
        .body(body)
        .unwrap()
}

fn text(body: &str) -> Full<Bytes> {
    Full::new(Bytes::copy_from_slice(body.as_bytes()))
}

/// A body that comes piece by piece; what `Err` stands for breaks it off.
struct Pieces(VecDeque<(Duration, Result<Frame<Bytes>, ()>)>, Option<Pin<Box<Sleep>>>);

impl Pieces {
    fn new(pieces: impl IntoIterator<Item = (Duration, Result<&'static str, ()>)>) -> Self {
        let frame = |piece: &'static str| Frame::data(Bytes::from_static(piece.as_bytes()));
        Self(pieces.into_iter().map(|(wait, piece)| (wait, piece.map(frame))).collect(), None)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = ();

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
        let Some((wait, _)) = self.0.front() else { return Poll::Ready(None) };
        let wait = *wait;
        if !wait.is_zero() {
            let timer = self.1.get_or_insert_with(|| Box::pin(sleep(wait)));
            std::task::ready!(timer.as_mut().poll(context));
            self.1 = None;
        }
        Poll::Ready(self.0.pop_front().map(|(_, piece)| piece))
    }
}

#[tokio::test]
async fn a_message_reaches_the_end_of_the_chain_byte_for_byte() {
    let odd =
        " {\t\"jsonrpc\" : \"2.0\",\n\"id\":\"\\u0061\",\"method\":\"tools\\/call\",\"params\":{\"name\":\"echo\"} } ";
    let outcome = Gateway::new(EdgeLimits::default()).take(post(text(odd))).await;
    assert_eq!(outcome.executed.unwrap().bytes(), odd);
    assert_eq!(outcome.handled.unwrap().id(), Some(r#""\u0061""#));
}

#[tokio::test]
async fn a_body_in_many_pieces_is_one_message() {
    let pieces = CALL.as_bytes().chunks(7).map(|piece| {
        (Duration::ZERO, Ok::<_, ()>(std::str::from_utf8(piece).unwrap().to_owned().leak() as &'static str))
    });
    let outcome = Gateway::new(EdgeLimits::default()).take(post(Pieces::new(pieces))).await;
    assert_eq!(outcome.executed.unwrap().bytes(), CALL);
}

#[tokio::test]
async fn trailers_and_empty_pieces_are_no_part_of_the_message() {
    let mut body = Pieces::new([(Duration::ZERO, Ok("")), (Duration::ZERO, Ok(CALL)), (Duration::ZERO, Ok(""))]);
    let mut trailers = HeaderMap::new();
    trailers.insert("mcp-method", HeaderValue::from_static("tools/list"));
    body.0.push_back((Duration::ZERO, Ok(Frame::trailers(trailers))));
    let outcome = Gateway::new(EdgeLimits::default()).take(post(body)).await;
    assert_eq!(outcome.executed.unwrap().bytes(), CALL);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_executed() {
    let body = Pieces::new([(Duration::ZERO, Ok(CALL)), (Duration::ZERO, Err(()))]);
    let outcome = Gateway::new(EdgeLimits::default()).take(post(body)).await;
    assert_eq!((outcome.reason(), outcome.executed.is_some()), (Some("bad_request"), false));
    assert_eq!(outcome.response.headers["connection"], "close");
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_before_it_is_read() {
    let limits = EdgeLimits { request_bytes: 100, ..EdgeLimits::default() };
    let mut request = post(Pieces::new([(Duration::from_hours(1), Ok(CALL))]));
    request.headers_mut().insert(CONTENT_LENGTH, 101.into());
    let outcome = Gateway::new(limits).take(request).await;
    assert_eq!(outcome.reason(), Some("body_too_large"));
    assert_eq!(outcome.response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(outcome.response.headers["connection"], "close");
}

#[tokio::test]
async fn a_body_that_grows_too_large_unannounced_is_refused_as_soon_as_it_does() {
    let limits = EdgeLimits { request_bytes: CALL.len() + 5, ..EdgeLimits::default() };
    let endless = std::iter::repeat_n((Duration::ZERO, Ok("      ")), 1_000);
    let body = Pieces::new(std::iter::once((Duration::ZERO, Ok(CALL))).chain(endless));
    let outcome = Gateway::new(limits.clone()).take(post(body)).await;
    assert_eq!((outcome.reason(), outcome.executed.is_some()), (Some("body_too_large"), false));

    let fits = Pieces::new([(Duration::ZERO, Ok(CALL)), (Duration::ZERO, Ok("     "))]);
    assert!(Gateway::new(limits).take(post(fits)).await.executed.is_some());
}

#[tokio::test]
async fn a_lie_about_the_length_does_not_reserve_memory_or_pass() {
    let limits = EdgeLimits { request_bytes: 100, ..EdgeLimits::default() };
    let mut request = post(text(&format!("{CALL}{}", " ".repeat(50))));
    request.headers_mut().insert(CONTENT_LENGTH, 1.into());
    assert_eq!(Gateway::new(limits).take(request).await.reason(), Some("body_too_large"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_cut_off_after_its_grace() {
    let started = Instant::now();
    let trickle = std::iter::repeat_n((Duration::from_secs(1), Ok(" ")), 600);
    let outcome = Gateway::new(EdgeLimits::default()).take(post(Pieces::new(trickle))).await;
    assert_eq!(outcome.reason(), Some("body_too_slow"));
    assert_eq!(outcome.response.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(outcome.response.headers["connection"], "close");
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_cut_off_too() {
    let started = Instant::now();
    let body = Pieces::new([(Duration::ZERO, Ok("{")), (Duration::from_hours(24), Ok("}"))]);
    assert_eq!(Gateway::new(EdgeLimits::default()).take(post(body)).await.reason(), Some("body_too_slow"));
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_that_keeps_the_least_speed_is_read() {
    let limits = EdgeLimits { body_rate: 4, ..EdgeLimits::default() };
    let slowly = CALL.as_bytes().chunks(5).map(|piece| {
        (Duration::from_secs(1), Ok::<_, ()>(std::str::from_utf8(piece).unwrap().to_owned().leak() as &'static str))
    });
    let outcome = Gateway::new(limits).take(post(Pieces::new(slowly))).await;
    assert_eq!(outcome.executed.unwrap().bytes(), CALL);
}

/// A sign-in policy, as far as this matters.
fn sign_in() -> RouteLayer {
    gate(|request| match request.headers().get("authorization") {
        Some(_) => Ok(()),
        None => Err(Refusal::new(Reason::BadRequest, "Sign in first.")
            .with_status(StatusCode::UNAUTHORIZED)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
    })
}

#[tokio::test]
async fn whoever_has_not_signed_in_learns_that_first_whatever_they_sent() {
    let gateway = Gateway::behind(&sign_in(), EdgeLimits::default());
    let unknown = r#"{"jsonrpc":"2.0","id":1,"method":"x/y"}"#;
    for body in ["", "[]", "{", CALL, unknown, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#] {
        let stranger = gateway.take(post(text(body))).await;
        assert_eq!(stranger.response.status, StatusCode::UNAUTHORIZED, "{body}");
        assert_eq!(stranger.response.headers["www-authenticate"], "Bearer", "{body}");
        assert!(stranger.executed.is_none(), "{body}");
    }
    for (body, status) in [("[]", 400), ("{", 400), (unknown, 200), (CALL, 200)] {
        let mut request = post(text(body));
        request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer x"));
        assert_eq!(gateway.take(request).await.response.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_get_of_a_stranger_is_a_401_and_of_a_friend_a_405() {
    let gateway = Gateway::behind(&sign_in(), EdgeLimits::default());
    let mut request = post(text(""));
    *request.method_mut() = HttpMethod::GET;
    assert_eq!(gateway.take(request.clone()).await.response.status, StatusCode::UNAUTHORIZED);
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer x"));
    let friend = gateway.take(request).await;
    assert_eq!(friend.response.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(friend.response.headers["allow"], "POST");
}

#[tokio::test]
async fn a_refusal_carries_the_callers_id_wherever_one_could_be_read() {
    let call = |body: &'static str| async move {
        let outcome = Gateway::new(EdgeLimits::default()).take(post(text(body))).await;
        assert!(outcome.executed.is_none());
        outcome.body
    };
    let unknown = call(r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"x/y"}"#).await;
    assert_eq!(unknown["error"]["code"], -32601);
    assert_eq!(
        unknown["id"].to_string(),
        serde_json::from_str::<Value>("123456789012345678901234567890").unwrap().to_string()
    );
    assert_eq!(unknown["error"]["data"]["requestId"], "0000000700000000002a");

    let params = call(r#"{"jsonrpc":"2.0","id":"\u0061","method":"tools/call","params":{}}"#).await;
    assert_eq!((&params["id"], &params["error"]["code"]), (&"a".into(), &(-32602).into()));

    for unreadable in ["{", "[]", r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"x"}"#, r#"{"id":null}"#] {
        let body = call(unreadable).await;
        assert!(body.get("id").is_none(), "an id that was not read is left out, never null: {body}");
    }
}

#[tokio::test]
async fn the_id_in_a_refusal_is_the_text_that_was_sent() {
    let gateway = Gateway::new(EdgeLimits::default());
    let id = r#""\u0022,\"error\":{\\""#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x/y"}}"#);
    let Handled { response, .. } = gateway.edge.handle(post(text(&body))).await;
    let raw = response.into_body().collect().await.unwrap().to_bytes();
    assert!(raw.starts_with(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":"#).as_bytes()), "{raw:?}");
}

#[tokio::test]
async fn tr_06_to_older_clients_an_unknown_method_is_not_an_ended_session() {
    let gateway = Gateway::new(EdgeLimits::default());
    let old = gateway.take(post(text(r#"{"jsonrpc":"2.0","id":1,"method":"x/y"}"#))).await;
    assert_eq!((old.response.status, old.reason()), (StatusCode::OK, Some("unknown_method")));

    let modern = r#"{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let mut request = post(text(modern));
    for (name, value) in [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "x/y")] {
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let modern = gateway.take(request).await;
    assert_eq!((modern.response.status, modern.reason()), (StatusCode::NOT_FOUND, Some("unknown_method")));
}

#[tokio::test]
async fn tr_25_what_2026_07_28_removed_is_not_there_and_a_revision_that_nobody_knows_is_no_mismatch() {
    let gateway = Gateway::new(EdgeLimits::default());
    for (version, method, reason) in [
        ("2026-07-28", "initialize", Some("unknown_method")),
        ("2026-07-28", "ping", Some("unknown_method")),
        ("2026-07-28", "logging/setLevel", Some("unknown_method")),
        ("2026-07-28", "resources/subscribe", Some("unknown_method")),
        ("2026-07-28", "resources/unsubscribe", Some("unknown_method")),
        ("v999.0.0", "tools/list", None),
    ] {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {},
        });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { "_meta": meta } }).to_string();
        let mut request = post(text(&message));
        for (name, value) in [("mcp-protocol-version", version), ("mcp-method", method)] {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let taken = gateway.take(request).await;
        assert_eq!(taken.reason(), reason, "{method}");
        assert_eq!(taken.response.status == StatusCode::NOT_FOUND, reason.is_some(), "{method}");
    }
}

#[tokio::test]
async fn refusals_before_the_body_was_read_close_the_connection() {
    let gateway = Gateway::new(EdgeLimits::default());
    for (name, value) in [("content-type", "text/plain"), ("content-encoding", "gzip"), ("accept", "text/html")] {
        let mut request = post(text(CALL));
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        assert_eq!(gateway.take(request).await.response.headers["connection"], "close", "{name}");
    }
    let read = gateway.take(post(text("[]"))).await;
    assert!(!read.response.headers.contains_key("connection"));
}
