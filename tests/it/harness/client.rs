//! An HTTP/1.1 client that sends exactly what it is told and shows exactly what came back.

use std::{fmt, net::SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{soon, upstream::Io};

/// A request, header by header.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// What any MCP client sends.
    pub(crate) fn post(path: &str, message: &Value) -> Self {
        Self::new("POST", path)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .body(message.to_string())
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// With nothing but a `Host`, which the client fills in.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![("Host".to_owned(), String::new())],
            body: Vec::new(),
        }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// What stands in the request line.
    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// The path and the query.
    pub(crate) fn path(&self) -> &str {
        &self.target
    }

    /// One more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    /// In place of one that is there.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.with("Content-Length", &length)
    }

    pub(crate) fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.target)];
        lines.extend(self.headers.iter().map(|(name, value)| match value.as_str() {
            "" if name == "Host" => format!("Host: {host}"),
            value => format!("{name}: {value}"),
        }));
        let head = format!("{}\r\n\r\n", lines.join("\r\n"));
        [head.as_bytes(), &self.body].concat()
    }
}

/// One connection to the gateway.
pub(crate) struct Client {
    stream: Box<dyn Io>,
    buffer: Vec<u8>,
    host: SocketAddr,
}

/// The connection ended, or broke the rules, in the middle of an answer.
#[derive(Debug)]
pub(crate) struct Broken;

impl Client {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(Box::new(stream), address)
    }

    pub(super) fn over(stream: Box<dyn Io>, host: SocketAddr) -> Self {
        Self { stream, buffer: Vec::new(), host }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).await.unwrap();
    }

    pub(crate) async fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        soon("the request is written", async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    pub(crate) async fn send(&mut self, request: &Request) {
        self.write(&request.bytes(self.host)).await;
    }

    /// Sends to somebody who may be gone.
    pub(crate) async fn try_send(&mut self, request: &Request) -> Result<(), Broken> {
        self.try_write(&request.bytes(self.host)).await.map_err(|_| Broken)
    }

    /// Sends, and waits for the head of the answer.
    pub(crate) async fn start(mut self, request: &Request) -> Answering {
        self.send(request).await;
        let head = self.head().await.unwrap();
        let left = head.length();
        Answering { client: self, head, left, text: String::new() }
    }

    /// Sends, and waits for the whole answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Reply {
        self.send(request).await;
        self.reply().await.unwrap()
    }

    /// The next answer on this connection, interim ones left out.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Broken> {
        let mut reply = self.head().await?;
        let mut left = reply.length();
        while let Some(piece) = self.piece(&mut left).await? {
            reply.body.extend(piece);
        }
        Ok(reply)
    }

    /// The next head, interim or not, as it stands on the wire.
    pub(crate) async fn interim(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
            }
            self.more().await.unwrap();
        }
    }

    /// Has the gateway closed the connection, with nothing more to say?
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && matches!(self.read().await, Ok(0) | Err(_))
    }

    /// Closes with a reset, as a client does that is killed.
    pub(crate) fn reset(self) {
        self.stream.reset_on_close();
    }

    async fn read(&mut self) -> std::io::Result<usize> {
        soon("the gateway says something", self.stream.read_buf(&mut self.buffer)).await
    }

    async fn more(&mut self) -> Result<(), Broken> {
        match self.read().await {
            Ok(0) | Err(_) => Err(Broken),
            Ok(_) => Ok(()),
        }
    }

    async fn head(&mut self) -> Result<Reply, Broken> {
        loop {
            while let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let reply = Reply::parse(&self.buffer[..end]).ok_or(Broken)?;
                self.buffer.drain(..end + 4);
                if reply.status >= 200 {
                    return Ok(reply);
                }
            }
            self.more().await?;
        }
    }

    /// The next piece of a body; none at its end.
    async fn piece(&mut self, left: &mut Left) -> Result<Option<Vec<u8>>, Broken> {
        match left {
            Left::Bytes(0) => Ok(None),
            Left::Bytes(bytes) => {
                if self.buffer.is_empty() {
                    self.more().await?;
                }
                let piece: Vec<u8> = self.buffer.drain(..self.buffer.len().min(*bytes)).collect();
                *bytes -= piece.len();
                Ok(Some(piece))
            }
            Left::Chunks => {
                let chunk = self.chunk().await?;
                if chunk.is_empty() {
                    *left = Left::Bytes(0);
                    return Ok(None);
                }
                Ok(Some(chunk))
            }
            Left::UntilClose => match self.read().await {
                Ok(0) if self.buffer.is_empty() => Ok(None),
                Err(_) => Err(Broken),
                Ok(_) => Ok(Some(std::mem::take(&mut self.buffer))),
            },
        }
    }

    async fn chunk(&mut self) -> Result<Vec<u8>, Broken> {
        let size = self.line().await?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).map_err(|_| Broken)?;
        while self.buffer.len() < size {
            self.more().await?;
        }
        let chunk = self.buffer.drain(..size).collect();
        if self.line().await?.is_empty() { Ok(chunk) } else { Err(Broken) }
    }

    async fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| Broken);
            }
            self.more().await?;
        }
    }
}

/// What of a body is still to come.
enum Left {
    Bytes(usize),
    Chunks,
    UntilClose,
}

/// An answer whose head is there.
pub(crate) struct Answering {
    client: Client,
    pub(crate) head: Reply,
    left: Left,
    text: String,
}

impl Answering {
    /// The next event, without its blank line; none at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event = self.text.drain(..end + 2).take(end).collect();
                return Some(event);
            }
            let piece = self.client.piece(&mut self.left).await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The message in the next event that has one.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = message_of(&self.event().await?) {
                return Some(message);
            }
        }
    }

    /// Everything that is still to come.
    pub(crate) async fn rest(mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await {
            messages.push(message);
        }
        messages
    }

    pub(crate) fn hang_up(self) {
        drop(self.client);
    }

    pub(crate) fn reset(self) {
        self.client.reset();
    }
}

/// An answer.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn parse(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.map(|line| line.split_once(':'));
        let headers =
            headers.map(|line| line.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())));
        Some(Self { status, headers: headers.collect::<Option<_>>()?, body: Vec::new() })
    }

    fn length(&self) -> Left {
        if self.header("transfer-encoding") == Some("chunked") {
            return Left::Chunks;
        }
        match self.header("content-length") {
            Some(length) => Left::Bytes(length.parse().unwrap()),
            None if self.status == 204 => Left::Bytes(0),
            None => Left::UntilClose,
        }
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times", all.len());
        all.first().copied()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(json) => json,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    /// The messages in it, whichever way they came.
    pub(crate) fn messages(&self) -> Vec<Value> {
        if self.header("content-type") == Some("text/event-stream") {
            self.text().split("\n\n").filter_map(message_of).collect()
        } else if self.body.is_empty() {
            Vec::new()
        } else {
            vec![self.json()]
        }
    }

    /// The text that a tool said.
    pub(crate) fn said(&self) -> String {
        let message = self.messages().pop().unwrap_or_default();
        let text = message["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no tool said anything: {} {message}", self.status)).to_owned()
    }

    /// Why the gateway refused.
    pub(crate) fn reason(&self) -> String {
        let message = self.messages().pop().unwrap_or_default();
        let reason = message["error"]["data"]["reason"].as_str();
        reason.unwrap_or_else(|| panic!("not refused by the gateway: {} {message}", self.status)).to_owned()
    }

    /// What the gateway says of the effect of a call that failed.
    pub(crate) fn outcome(&self) -> Value {
        self.messages().pop().unwrap_or_default()["error"]["data"]["outcome"].clone()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "HTTP/1.1 {}", self.status)?;
        self.headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))?;
        write!(f, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

fn message_of(event: &str) -> Option<Value> {
    let data: Vec<_> = event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
    if data.is_empty() { None } else { Some(serde_json::from_str(&data.join("\n")).unwrap()) }
}
