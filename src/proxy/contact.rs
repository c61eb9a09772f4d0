//! First contact: what an upstream's answers say about the era that it speaks (MCP 2026-07-28, "Streamable HTTP",
//! "Backward Compatibility").
//!
//! A message is sent as it is. Only a refusal that no server of its era would write makes the gateway ask: once, and what
//! it learns is kept. That an upstream lacks an era is never learnt from a client's own message, which may be at fault.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use portcullis_policies::kit::{
    chain::Request,
    message::{FIRST_MODERN, Kind, Message},
    refusal::{Reason, Refusal, code},
    reply::Reply,
};
use serde_json::{Value, json};

use super::{
    Forward,
    answer::answer_to,
    ended,
    eras::Era,
    headers::{self, METHOD, SESSION, VERSION},
    session::{NEWEST_WITH_SESSIONS, revision_with_sessions},
    upstream::{Behalf, Failure, Received, Sending},
};

/// The id of the gateway's own `server/discover`, as JSON text.
const PROBE: &str = r#""portcullis-probe""#;
/// How a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// Of the JSON-RPC error, if there was one.
    pub(super) code: Option<i64>,
    /// Does it name revisions that the upstream speaks, and are all of them of before 2026-07-28?
    names_older: bool,
}

impl Refused {
    /// With the JSON-RPC error that stands in the answer, or null.
    pub(super) fn with(status: StatusCode, error: &Value) -> Self {
        let named = error.pointer("/data/supported").and_then(Value::as_array);
        let is_older = |version: &Value| version.as_str().is_some_and(|version| version < FIRST_MODERN);
        let names_older = named.is_some_and(|named| !named.is_empty() && named.iter().all(is_older));
        Self { status, code: error["code"].as_i64(), names_older }
    }

    /// None if there is an answer, or if nothing came from the upstream at all.
    pub(super) fn by(outcome: &Result<Received, Failure>) -> Option<Self> {
        match outcome {
            Ok(Received { status, reply, .. }) => {
                let refused = Self::with(*status, &error_in(reply));
                (refused.code.is_some() || !status.is_success()).then_some(refused)
            }
            Err(Failure { refusal, .. }) if refusal.reason() == Reason::UpstreamStatus => {
                Some(Self::with(refusal.status(), &Value::Null))
            }
            Err(_) => None,
        }
    }

    /// Is it an error that only servers of 2026-07-28 and later write?
    fn is_modern(self) -> bool {
        const MODERN: std::ops::RangeInclusive<i64> = -32022..=-32020;
        let unknown_method = self.status == StatusCode::NOT_FOUND && self.code == Some(code::METHOD_NOT_FOUND.into());
        // Some servers of before know its errors, and say with one that they do not speak it.
        unknown_method || self.code.is_some_and(|code| MODERN.contains(&code)) && !self.names_older
    }

    /// Is it how servers refuse what they do not understand? Neither who may call nor trouble says anything about that.
    pub(super) fn is_about_the_message(self) -> bool {
        match self.status.as_u16() {
            200..=299 => self.code != Some(code::INTERNAL_ERROR.into()),
            status => matches!(status, 400 | 404 | 405 | 406 | 415 | 422),
        }
    }
}

/// The JSON-RPC error that a body holds, or null.
pub(super) fn error_in(reply: &Reply) -> Value {
    let Reply::Full(body) = reply else { return Value::Null };
    let mut message: Value = serde_json::from_slice(body).unwrap_or_default();
    message.get_mut("error").map(Value::take).unwrap_or_default()
}

/// Was a message of 2026-07-28 refused because the upstream speaks only revisions of before?
pub(super) async fn is_of_older_era(
    forward: &Forward,
    request: &Request,
    message: &Message,
    refused: Option<Refused>,
) -> bool {
    let (Some(refused), Kind::Request(_)) = (refused, message.kind()) else { return false };
    if refused.is_modern() {
        forward.eras().learn(Era::Modern, true);
        return false;
    }
    if !forward.0.serves.translates() || !refused.is_about_the_message() {
        return false;
    }
    // Others may have asked in the meantime.
    let is_known = forward.eras().speaks(Era::Modern) == Some(false);
    if is_known || !forward.eras().is_in_doubt(Era::Modern) {
        return is_known;
    }
    // Whatever the client asked, and be it the same: its message may be at fault.
    matches!(forward.probe(request).await, Ok(None)) && forward.eras().speaks(Era::Modern) == Some(false)
}

impl Forward {
    /// Asks the upstream what it is (`server/discover`), with the caller's credential, and learns from it whether it speaks
    /// 2026-07-28. Gives the result, or nothing if it does not.
    ///
    /// Nothing of the message is a client's, so what is learnt holds for all.
    ///
    /// # Errors
    /// If there was no answer that says anything: no connection, no permission (401, 403), or trouble (5xx).
    pub(super) async fn probe(&self, request: &Request) -> Result<Option<Value>, Failure> {
        let outcome = self.upstream().post(self.probing(request)).await;
        let refused = match Refused::by(&outcome) {
            Some(refused) => refused,
            None => match discovered(outcome?.reply).await {
                Ok(result) => {
                    self.eras().learn(Era::Modern, true);
                    return Ok(Some(result));
                }
                Err(error) => Refused::with(StatusCode::OK, &error),
            },
        };
        if refused.is_modern() {
            self.eras().learn(Era::Modern, true);
            return Ok(None);
        }
        if refused.is_about_the_message() {
            // Some upstreams say to callers without rights that there is nothing here. Against what others have been answered,
            // one caller's refusal counts only if the upstream begins a session with them.
            if self.eras().speaks(Era::Modern) != Some(true) {
                self.eras().learn(Era::Modern, false);
            } else if self.begins_session(request).await {
                self.eras().learn(Era::Modern, false);
                self.eras().learn(Era::Legacy, true);
            }
            return Ok(None);
        }
        Err(match refused.status {
            status if status.is_success() => Reason::UpstreamInvalid.into(),
            status => Refusal::from(Reason::UpstreamStatus).with_status(status).into(),
        })
    }

    /// Begins a session with the caller's credential, to see whether the upstream has them, and ends it.
    async fn begins_session(&self, request: &Request) -> bool {
        let message = json!({
            "jsonrpc": "2.0",
            "id": "portcullis-probe",
            "method": "initialize",
            "params": { "protocolVersion": NEWEST_WITH_SESSIONS, "capabilities": {}, "clientInfo": gateway() },
        });
        let (upstream, behalf) = (self.upstream(), Behalf::of(request));
        let headers = |mcp: &[_]| headers::own(upstream.endpoint.template(), request, mcp);
        let message = Bytes::from(message.to_string());
        let sending = Sending { headers: headers(&[]), message, awaiting: Some(PROBE), behalf };
        let Ok(Received { headers: said, reply, .. }) = upstream.post(sending).await else { return false };
        let answer = answer_to(PROBE, reply).await.unwrap_or_default();
        if let Some(id) = said.get(SESSION) {
            ended::end(upstream, headers(&[(SESSION, id.clone())]), behalf.credential).await;
        }
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let version = answer.pointer("/result/protocolVersion").and_then(Value::as_str);
        version.and_then(revision_with_sessions).is_some()
    }

    fn probing<'a>(&self, request: &'a Request) -> Sending<'a> {
        let message = json!({
            "jsonrpc": "2.0",
            "id": "portcullis-probe",
            "method": "server/discover",
            "params": { "_meta": {
                "io.modelcontextprotocol/protocolVersion": FIRST_MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": gateway(),
            } },
        });
        let mcp =
            [(VERSION, HeaderValue::from_static(FIRST_MODERN)), (METHOD, HeaderValue::from_static("server/discover"))];
        Sending {
            headers: headers::own(self.upstream().endpoint.template(), request, &mcp),
            message: Bytes::from(message.to_string()),
            awaiting: Some(PROBE),
            behalf: Behalf::of(request),
        }
    }
}

/// The gateway, where it speaks for itself.
pub(super) fn gateway() -> Value {
    json!({ "name": "portcullis", "version": env!("CARGO_PKG_VERSION") })
}

/// The result, or the error that stands in its place. Something else than what `server/discover` is answered with
/// says that the server answers everything.
async fn discovered(reply: Reply) -> Result<Value, Value> {
    let answer = answer_to(PROBE, reply).await.unwrap_or_default();
    let mut message: Value = serde_json::from_slice(&answer).unwrap_or_default();
    match message.get_mut("result") {
        Some(result) if result["supportedVersions"].is_array() => Ok(result.take()),
        _ => Err(message["error"].take()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: Option<i64>) -> Refused {
        Refused::with(StatusCode::from_u16(status).unwrap(), &json!({ "code": code }))
    }

    #[test]
    fn tr_25_a_server_that_names_only_revisions_of_before_is_one_of_before() {
        let refused = |supported: Value| {
            let error = json!({ "code": -32022, "message": "no", "data": { "supported": supported } });
            Refused::with(StatusCode::BAD_REQUEST, &error)
        };
        let before = refused(json!(["2025-11-25", "2025-06-18"]));
        assert!(!before.is_modern() && before.is_about_the_message());
        for others in [json!(["2026-07-28"]), json!(["2025-11-25", "2027-01-01"]), json!([]), json!([1]), json!("x")] {
            assert!(refused(others.clone()).is_modern(), "{others}");
        }
    }

    #[test]
    fn tr_25_only_errors_of_2026_07_28_are_taken_for_its_own() {
        for (status, code) in [(400, -32020), (400, -32021), (400, -32022), (404, -32601)] {
            assert!(refused(status, Some(code)).is_modern(), "{status} {code}");
        }
        for (status, code) in [(400, -32000), (400, -32601), (200, -32601), (404, -32001), (400, -32602)] {
            assert!(!refused(status, Some(code)).is_modern(), "{status} {code}");
        }
        assert!(!refused(404, None).is_modern());
    }

    #[test]
    fn tr_25_who_may_call_and_trouble_say_nothing_about_the_message() {
        for (status, code) in [(400, None), (404, None), (405, None), (406, None), (415, None), (422, None)] {
            assert!(refused(status, code).is_about_the_message(), "{status}");
        }
        assert!(refused(200, Some(-32601)).is_about_the_message());
        for (status, code) in [(200, Some(-32603)), (401, None), (403, None), (429, None), (500, None), (503, None)] {
            assert!(!refused(status, code).is_about_the_message(), "{status}");
        }
    }
}
