//! The bytes of a request, built once; only the id is written anew for each call, and the access token
//! where each call shows another one.

use anyhow::{Result, ensure};
use std::ops::Range;

use crate::call::Call;
use crate::target::Target;

/// All ids have as many digits as this one, so that nothing else in the request changes.
const FIRST_ID: u64 = 100_000_000;
/// How many ids each connection has for itself.
const IDS: u64 = 1_000_000;
const PROTOCOL_VERSION: &str = "2025-11-25";

pub(crate) struct Request {
    bytes: Vec<u8>,
    id_at: usize,
    /// Where the access token is, and how long; nothing if none is shown.
    token: Range<usize>,
    id: u64,
}

impl Request {
    /// `connection` numbers the connections of one load, so that no two of them use the same id.
    pub(crate) fn new(target: &Target, call: Call, connection: u32) -> Self {
        let id = FIRST_ID + u64::from(connection) * IDS;
        let body = call.message(id);
        let token = target.token(connection).unwrap_or_default();
        let head = head(target, token, body.len());
        let token_at = head.find(token).unwrap_or_default();
        let id_at = head.len() + body.find(&id.to_string()).unwrap_or_default();
        Self { bytes: (head + &body).into_bytes(), id_at, token: token_at..token_at + token.len(), id }
    }

    /// Shows another access token from now on.
    pub(crate) fn show(&mut self, token: &str) -> Result<()> {
        ensure!(token.len() == self.token.len(), "a token of another length than the one before it: {token}");
        self.bytes[self.token.clone()].copy_from_slice(token.as_bytes());
        Ok(())
    }

    /// The next request and its id.
    pub(crate) fn next(&mut self) -> (u64, &[u8]) {
        self.id += 1;
        let digits = self.id.to_string();
        self.bytes[self.id_at..][..digits.len()].copy_from_slice(digits.as_bytes());
        (self.id, &self.bytes)
    }
}

fn head(target: &Target, token: &str, length: usize) -> String {
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nMCP-Protocol-Version: {PROTOCOL_VERSION}\r\n{authorization}Content-Length: {length}\r\n\r\n",
        target.path, target.address,
    )
}
