//! A message from the upstream, as far as policies need to see it.

use crate::kit::json::{Flaw, FlawKind, Limits, Reader, Span};

/// The keys by which a message is told from others.
const KEYS: [&str; 4] = ["id", "result", "error", "method"];

/// What an upstream sent: the answer to a request, or something of its own.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    kind: AnswerKind,
    id: Option<Span>,
    payload: Option<Span>,
}

/// Which JSON-RPC message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// A response with a result.
    Result,
    /// A response with an error.
    Error,
    /// A request to the client (revisions up to 2025-11-25).
    Request,
    /// A notification.
    Notification,
}

impl Answer {
    /// Reads one message as strictly as those of clients: what a policy edits must not be open to two readings either.
    pub fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| Flaw { kind: FlawKind::NotUtf8, at: error.valid_up_to() })?;
        let mut reader = Reader::new(text, &Limits::ANSWER);
        let (mut id, mut result, mut error, mut method) = (None, None, None, false);
        reader.object(|reader, key| {
            let slot = match &*key.text(reader.document()) {
                "id" => &mut id,
                "result" => &mut result,
                "error" => &mut error,
                "method" => {
                    method = true;
                    return reader.value().map(drop);
                }
                "jsonrpc" => return reader.value().map(drop),
                _ => {
                    reader.unambiguous(key, &KEYS)?;
                    return reader.value().map(drop);
                }
            };
            *slot = Some(reader.value()?);
            Ok(())
        })?;
        reader.end()?;
        let kind = match (method, result, error) {
            (true, None, None) if id.is_some() => AnswerKind::Request,
            (true, None, None) => AnswerKind::Notification,
            (false, Some(_), None) => AnswerKind::Result,
            (false, None, Some(_)) => AnswerKind::Error,
            _ => return Err(reader.flaw(FlawKind::Syntax("one JSON-RPC message"))),
        };
        Ok(Self { kind, id, payload: result.or(error) })
    }

    /// Which JSON-RPC message it is.
    pub fn kind(&self) -> AnswerKind {
        self.kind
    }

    /// Is it a response, so that it ends the call that it answers?
    pub fn is_response(&self) -> bool {
        matches!(self.kind, AnswerKind::Result | AnswerKind::Error)
    }

    /// Where the id stands.
    pub fn id(&self) -> Option<Span> {
        self.id
    }

    /// Where `result` or `error` stands.
    pub fn payload(&self) -> Option<Span> {
        self.payload
    }

    /// Does it answer the request with this id (JSON text, as the client wrote it)?
    ///
    /// Servers parse and print ids, so `"a"` may come back as `"\u0061"`; strings are compared decoded.
    pub fn answers(&self, bytes: &[u8], id: &str) -> bool {
        self.is_response()
            && self.id.is_some_and(|span| {
                let found = span.of(bytes);
                found == id.as_bytes() || same_string(found, id.as_bytes())
            })
    }
}

fn same_string(a: &[u8], b: &[u8]) -> bool {
    let decoded = |json| serde_json::from_slice::<String>(json).ok();
    let strings = a.first() == Some(&b'"') && b.first() == Some(&b'"');
    strings && (a.contains(&b'\\') || b.contains(&b'\\')) && decoded(a) == decoded(b)
}
