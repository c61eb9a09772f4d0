//! The bytes of a request, built once; only the id is written anew for each call.

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
    id: u64,
}

impl Request {
    /// `connection` numbers the connections of one load, so that no two of them use the same id.
    pub(crate) fn new(target: &Target, call: Call, connection: u32) -> Self {
        let id = FIRST_ID + u64::from(connection) * IDS;
        let body = call.message(id);
        let head = head(target, body.len());
        let id_at = head.len() + body.find(&id.to_string()).unwrap_or_default();
        Self { bytes: (head + &body).into_bytes(), id_at, id }
    }

    /// The next request and its id.
    pub(crate) fn next(&mut self) -> (u64, &[u8]) {
        self.id += 1;
        let digits = self.id.to_string();
        self.bytes[self.id_at..][..digits.len()].copy_from_slice(digits.as_bytes());
        (self.id, &self.bytes)
    }
}

fn head(target: &Target, length: usize) -> String {
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, \
         text/event-stream\r\nMCP-Protocol-Version: {PROTOCOL_VERSION}\r\nContent-Length: {length}\r\n\r\n",
        target.path, target.address,
    )
}
