//! Plays an MCP server: cheap, always the same, and it answers what the request's method and tool name ask for.

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

use crate::call::{BURST_EVENTS, DOWN, STREAM_PACE};
use crate::events::Events;
use crate::{process, tools};

/// Where it gives tokens, good for a day, to whoever asks.
pub(crate) const TOKEN: &str = "/token";
const TOKENS: &str = r#"{"access_token":"a-token-of-the-upstream","token_type":"Bearer","expires_in":86400}"#;

type Body = Either<Full<Bytes>, Events>;

/// Longer than any run.
const SILENT: Duration = Duration::from_hours(24);
/// What keeps the end of `first` away from its first event, so that a proxy that waits for the end shows it.
const AFTER_FIRST: Duration = Duration::from_millis(4);

/// The parts of a JSON-RPC request that decide the answer.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow, default)]
    params: Params<'a>,
}

#[derive(Deserialize, Default)]
struct Params<'a> {
    #[serde(default)]
    name: &'a str,
    #[serde(borrow, default)]
    arguments: Arguments<'a>,
}

#[derive(Deserialize, Default)]
struct Arguments<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(default)]
    events: u32,
}

pub(crate) fn serve(port: u16) -> Result<()> {
    process::end_with_parent();
    crate::single_threaded()?.block_on(listen(port))
}

async fn listen(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(connection(socket));
    }
}

async fn connection(socket: TcpStream) {
    // An error here is a proxy that went away.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    if request.uri().path() == TOKEN {
        return Ok(respond("application/json", Either::Left(Full::from(TOKENS))));
    }
    let body = request.into_body().collect().await?.to_bytes();
    Ok(match serde_json::from_slice::<Message<'_>>(&body) {
        Ok(message) => message.answer(),
        Err(why) => refuse(&why),
    })
}

impl Message<'_> {
    fn answer(&self) -> Response<Body> {
        match (self.method, self.params.name) {
            ("tools/list", _) => self.result(tools::list()),
            ("tools/call", "up64k") => self.text(&format!("received {}", self.params.arguments.text.len())),
            ("tools/call", "down64k") => self.text(&DOWN),
            ("tools/call", "burst") => self.events(BURST_EVENTS, None),
            ("tools/call", "stream") => self.events(self.params.arguments.events, Some(STREAM_PACE)),
            ("tools/call", "first") => self.events(1, Some(AFTER_FIRST)),
            ("tools/call", "idle") => self.events(1, Some(SILENT)),
            _ => self.text(&self.params.arguments.text),
        }
    }

    /// The text must need no escaping.
    fn text(&self, text: &str) -> Response<Body> {
        self.result(&text_result(text))
    }

    fn result(&self, result: &str) -> Response<Body> {
        respond("application/json", Either::Left(Full::from(self.response(result))))
    }

    fn events(&self, count: u32, pace: Option<Duration>) -> Response<Body> {
        let last = self.response(&text_result("done"));
        respond("text/event-stream", Either::Right(Events::new(count, pace, &last)))
    }

    fn response(&self, result: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.id)
    }
}

fn text_result(text: &str) -> String {
    format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#)
}

fn respond(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

fn refuse(why: &serde_json::Error) -> Response<Body> {
    let mut response = respond("text/plain", Either::Left(Full::from(why.to_string())));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
