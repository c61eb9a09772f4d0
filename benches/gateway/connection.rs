//! A keep-alive HTTP/1.1 connection, by hand: the load must cost as little as it can beside what it measures.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BytesMut};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const READ: usize = 16 * 1024;

pub(crate) struct Connection {
    socket: TcpStream,
    inbox: BytesMut,
}

/// An answer as a whole, whatever it says.
pub(crate) struct Answered {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// How much of a body is still to come.
enum Framing {
    Length(usize),
    Chunked,
}

/// The body of one answer, while it is being read.
pub(crate) struct Incoming<'a> {
    connection: &'a mut Connection,
    framing: Framing,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, inbox: BytesMut::new() })
    }

    /// Sends a request and reads the head of its answer, which must be a success.
    pub(crate) async fn request(&mut self, bytes: &[u8]) -> Result<Incoming<'_>> {
        let end = self.send(bytes).await?;
        let head = std::str::from_utf8(&self.inbox[..end])?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "not a success: {head}");
        let framing = framing(head)?;
        self.inbox.advance(end + 4);
        Ok(Incoming { connection: self, framing })
    }

    /// Sends a request and reads all of its answer, a success or not.
    pub(crate) async fn ask(&mut self, bytes: &[u8]) -> Result<Answered> {
        let end = self.send(bytes).await?;
        let head = std::str::from_utf8(&self.inbox[..end])?.to_owned();
        let framing = framing(&head)?;
        self.inbox.advance(end + 4);
        let mut body = Vec::new();
        Incoming { connection: self, framing }.rest(&mut body).await?;
        Ok(Answered { head, body: String::from_utf8(body)? })
    }

    /// Sends a request and reads until the end of its answer's head, which it returns.
    async fn send(&mut self, bytes: &[u8]) -> Result<usize> {
        self.socket.write_all(bytes).await?;
        self.find(b"\r\n\r\n").await
    }

    /// Nothing to read and not closed.
    pub(crate) fn is_silent(&self) -> bool {
        let nothing = self.socket.try_read(&mut [0]);
        self.inbox.is_empty() && nothing.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock)
    }

    async fn find(&mut self, mark: &[u8]) -> Result<usize> {
        loop {
            if let Some(at) = self.inbox.windows(mark.len()).position(|bytes| bytes == mark) {
                return Ok(at);
            }
            self.fill().await?;
        }
    }

    async fn fill_to(&mut self, length: usize) -> Result<()> {
        while self.inbox.len() < length {
            self.fill().await?;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.inbox.reserve(READ);
        let count = self.socket.read_buf(&mut self.inbox).await?;
        ensure!(count > 0, "the connection was closed in the middle of an answer");
        Ok(())
    }

    fn take(&mut self, length: usize, body: &mut Vec<u8>) {
        body.extend_from_slice(&self.inbox[..length]);
        self.inbox.advance(length);
    }
}

impl Answered {
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        headers(&self.head, name)
    }
}

impl Incoming<'_> {
    pub(crate) async fn rest(&mut self, body: &mut Vec<u8>) -> Result<()> {
        while self.more(body).await? {}
        Ok(())
    }

    /// Appends what comes until a first event is complete.
    pub(crate) async fn first_event(&mut self, body: &mut Vec<u8>) -> Result<()> {
        while !body.windows(2).any(|two| two == b"\n\n") {
            ensure!(self.more(body).await?, "an answer without an event");
        }
        Ok(())
    }

    /// Appends what comes next; false at the end.
    pub(crate) async fn more(&mut self, body: &mut Vec<u8>) -> Result<bool> {
        match self.framing {
            Framing::Length(0) => Ok(false),
            Framing::Length(left) => self.part(left, body).await,
            Framing::Chunked => self.chunk(body).await,
        }
    }

    async fn part(&mut self, left: usize, body: &mut Vec<u8>) -> Result<bool> {
        self.connection.fill_to(1).await?;
        let length = left.min(self.connection.inbox.len());
        self.connection.take(length, body);
        self.framing = Framing::Length(left - length);
        Ok(true)
    }

    async fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool> {
        let end = self.connection.find(b"\r\n").await?;
        let size = std::str::from_utf8(&self.connection.inbox[..end])?;
        let size = usize::from_str_radix(size, 16).context("not a chunk size")?;
        self.connection.fill_to(end + 2 + size + 2).await?;
        self.connection.inbox.advance(end + 2);
        self.connection.take(size, body);
        ensure!(self.connection.inbox.starts_with(b"\r\n"), "a chunk that is longer than it says");
        self.connection.inbox.advance(2);
        if size == 0 {
            self.framing = Framing::Length(0);
        }
        Ok(size > 0)
    }
}

fn framing(head: &str) -> Result<Framing> {
    if let Some(length) = headers(head, "content-length").next() {
        return Ok(Framing::Length(length.parse()?));
    }
    match headers(head, "transfer-encoding").next() {
        Some("chunked") => Ok(Framing::Chunked),
        _ => bail!("an answer that does not say how long it is: {head}"),
    }
}

fn headers<'a>(head: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
