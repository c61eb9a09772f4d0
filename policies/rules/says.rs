//! What a call says: as an approval is bound to it, and as people are shown who decide.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{judge::Judgement, redact::redacted};
use crate::kit::{
    canonical::Fingerprint,
    chain::Request,
    credential::{Connectable, UpstreamCredential},
    message::Message,
    refusal::{Reason, Refusal},
    rewrite::REPEATS_ARGUMENT,
    round::to_connect,
};

/// What people can be shown, in bytes.
const LONGEST: usize = 256 << 10;
/// What `_meta` says of the client and not of the call.
const OF_THE_CLIENT: [&str; 8] = [
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    "traceparent",
    "tracestate",
    "baggage",
];

/// What a call says, in the words in which it says it.
pub(super) type Said = BTreeMap<String, Box<RawValue>>;

/// All that a call says: its arguments, and what else stands beside them and is not the client's own.
pub(super) fn said(request: &Request) -> Result<Said, Refusal> {
    let connected = connected(request);
    let params = connected.as_ref().or(request.body().message()).and_then(Message::params).unwrap_or("{}");
    let mut said: Said = serde_json::from_str(params).map_err(unreadable)?;
    said.remove("name");
    if let Some(meta) = said.remove("_meta") {
        let mut meta: Said = serde_json::from_str(meta.get()).map_err(unreadable)?;
        meta.retain(|name, _| !OF_THE_CLIENT.contains(&&**name));
        if !meta.is_empty() {
            said.insert("_meta".to_owned(), serde_json::value::to_raw_value(&meta).map_err(unreadable)?);
        }
    }
    Ok(said)
}

/// The call as the upstream will see it, if it says that its caller was shown where to connect: that is taken out on the way,
/// and it is the same call. Where the credential is there already, nobody takes it out any more.
fn connected(request: &Request) -> Option<Message> {
    let facts = request.extensions();
    let Connectable(auth) = facts.get().filter(|_| facts.get::<UpstreamCredential>().is_none())?;
    to_connect(&auth.id).round(request.body().message()?).map(|round| round.message)
}

/// Of what a call says, in its message and in the headers that repeat arguments.
pub(super) fn fingerprint(request: &Request, said: &Said) -> Result<Fingerprint, Refusal> {
    let repeated = request.headers().iter().filter(|(name, _)| name.as_str().starts_with(REPEATS_ARGUMENT));
    let repeated = repeated.map(|(name, value)| (name.as_str(), value.as_bytes().escape_ascii().to_string()));
    let mut headers: Vec<_> = repeated.collect();
    headers.sort();
    let text = serde_json::to_string(&(said, headers)).map_err(unreadable)?;
    Fingerprint::of(&text).map_err(unreadable)
}

/// For people: the arguments, or everything where there is more than those; without what rules take out.
pub(super) fn shown(said: &Said, judgement: &Judgement<'_>) -> Result<String, Refusal> {
    let text = serde_json::to_string(said).map_err(unreadable)?;
    let redactions: Vec<_> = judgement.arguments.iter().map(|redaction| redaction.below(&["arguments"])).collect();
    let text = redacted(&text, &redactions).map_err(unreadable)?.text.unwrap_or(text);
    if text.len() > LONGEST {
        let why = format!("The call must be approved, and nobody can read more than {LONGEST} bytes of arguments.");
        return Err(Refusal::new(Reason::DeniedByRule, why).with_remedy("Make calls with shorter arguments."));
    }
    let mut said: Said = serde_json::from_str(&text).map_err(unreadable)?;
    match said.remove("arguments") {
        Some(arguments) if said.is_empty() => Ok(arguments.get().to_owned()),
        None if said.is_empty() => Ok("{}".to_owned()),
        _ => Ok(text),
    }
}

fn unreadable<E>(_: E) -> Refusal {
    Refusal::new(Reason::MessageTooComplex, "The arguments cannot be shown to whoever would approve the call.")
}
