//! Calls that wait for a person.
//!
//! A held call is answered with its number, and repeated to get its result. When it is approved, everything is judged anew as it
//! is then, and only what was approved is taken and made, once.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp as Moment;
use serde_json::{Value, json, value::RawValue};

use super::{Judge, Known, act, arguments, judge::Judgement, page::Returned, redact::redacted, with_last};
use crate::kit::{
    approval::{Approvals, Bindings, Decision, Held, Standing, Taken, Ticket},
    audit::{self, Audited},
    call::tool,
    canonical::Fingerprint,
    chain::{Arrival, Request, Response, RouteService, refuse},
    clock::Timestamp,
    credential::{OwnAnswer, UpstreamTarget},
    decision::Decisions,
    definitions::Asker,
    message::Message,
    refusal::{Reason, Refusal},
    reply::Reply,
    rewrite::REPEATS_ARGUMENT,
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
/// Under what the pending result says the same for programs.
const META: &str = "portcullis/approval";

/// What a call says, in the words in which it says it.
pub(super) type Said = BTreeMap<String, Box<RawValue>>;

impl Judge {
    /// Answers a call that some rule holds.
    pub(super) async fn hold(self: &Arc<Self>, request: Request, inner: &RouteService) -> Result<Response, Infallible> {
        let tool = tool(&request);
        let known = self.known.ask(&request, inner, &tool).await.unwrap_or_default();
        if known.definition.is_none() {
            return self.chain_end.refuse_last(request, no_definition(), Vec::new(), inner).await;
        }
        match self.ask(&request, &tool, known).await {
            Ok(Asked::Ticket(ticket)) if ticket.standing == Standing::Proposed => {
                if let Some(response) = self.show(&request, &ticket, &tool, known) {
                    return Ok(response);
                }
                match self.patience(&request, &tool, known) {
                    Some(patience) => Ok(self.wait(request, ticket, patience, inner)),
                    None => self.settle(request, &tool, known, Asked::Ticket(ticket), inner).await,
                }
            }
            asked => self.go_on(request, &tool, known, asked, inner).await,
        }
    }

    /// The same without waiting.
    pub(super) async fn answer_now(
        &self,
        request: Request,
        tool: &str,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        let known = self.known.ask(&request, inner, tool).await.unwrap_or_default();
        let asked = self.ask(&request, tool, known).await;
        self.go_on(request, tool, known, asked, inner).await
    }

    async fn go_on(
        &self,
        request: Request,
        tool: &str,
        known: Known,
        asked: Result<Asked, Refusal>,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        match asked {
            Ok(Asked::Ticket(ticket)) if ticket.standing == Standing::Approved => {
                self.dispatch(request, tool, &ticket, inner).await
            }
            Ok(asked) => self.settle(request, tool, known, asked, inner).await,
            Err(refusal) => Ok(refuse(&request, refusal)),
        }
    }

    /// For how long the answer is held open, and by which rule.
    fn patience(&self, request: &Request, tool: &str, known: Known) -> Option<(Arc<str>, Duration)> {
        if request.extensions().get::<Returned>().is_some_and(|returned| returned.was_declined) {
            return None;
        }
        let asker = Asker::of(request);
        let arguments = arguments(request).ok()?;
        let judgement = self.rules.judge(&self.about(&asker, tool, known.annotations, Some(&arguments)));
        let wait = judgement.approval?.wait;
        (!wait.is_zero()).then_some((Arc::clone(judgement.rule?), wait))
    }

    /// Makes a call that was approved, if it still is what was approved.
    pub(super) async fn dispatch(
        &self,
        request: Request,
        tool: &str,
        ticket: &Ticket,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        let known = self.known.ask_anew(&request, inner, tool).await.unwrap_or_default();
        match self.take(&request, tool, known, ticket).await {
            Ok(Taken::Yes) => {
                let asker = Asker::of(&request);
                let arguments = arguments(&request).unwrap_or_default();
                let mut judgement = self.rules.judge(&self.about(&asker, tool, known.annotations, Some(&arguments)));
                judgement.is_allowed |= judgement.approval.is_some();
                act(request, &judgement, inner).await
            }
            Ok(Taken::ByAnother) => {
                let ticket = Ticket { standing: Standing::Used, ..ticket.clone() };
                self.settle(request, tool, known, Asked::Ticket(ticket), inner).await
            }
            // It is not what was approved: what is the case now?
            Ok(Taken::No) => match self.ask(&request, tool, known).await {
                Ok(asked) => self.settle(request, tool, known, asked, inner).await,
                Err(refusal) => Ok(refuse(&request, refusal)),
            },
            Err(refusal) => Ok(refuse(&request, refusal)),
        }
    }

    /// Proposes the call, or learns what became of it.
    async fn ask(&self, request: &Request, tool: &str, known: Known) -> Result<Asked, Refusal> {
        let Some(held) = self.held(request, tool, known)? else { return Ok(Asked::NotNeeded) };
        let ticket = self.approvals()?.propose(&held).await?;
        audit::held(request, ticket.number);
        Ok(Asked::Ticket(ticket))
    }

    async fn take(&self, request: &Request, tool: &str, known: Known, ticket: &Ticket) -> Result<Taken, Refusal> {
        let Some(held) = self.held(request, tool, known)? else { return Ok(Taken::No) };
        self.approvals()?.take(ticket, &held.bound).await
    }

    fn approvals(&self) -> Result<&Arc<dyn Approvals>, Refusal> {
        self.approvals.as_ref().ok_or_else(|| Reason::ApprovalUnavailable.into())
    }

    /// Tells the caller what became of the call.
    async fn settle(
        &self,
        request: Request,
        tool: &str,
        known: Known,
        asked: Asked,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        let asker = Asker::of(&request);
        let arguments = arguments(&request).unwrap_or_default();
        let judgement = self.rules.judge(&self.about(&asker, tool, known.annotations, Some(&arguments)));
        let (mut response, decided) = match asked {
            // Other rules decide by now, since annotations or the time are other ones.
            Asked::NotNeeded if judgement.approval.is_none() => {
                return act(request, &judgement, inner).await;
            }
            Asked::NotNeeded => (refuse(&request, Reason::ApprovalChanged.into()), "refused"),
            Asked::Ticket(ticket) => match refusal(&ticket, tool) {
                Some(refusal) => (refuse(&request, refusal), "refused"),
                None => (pending(&request, &ticket, tool, self.clock.now()), "held"),
            },
        };
        Decisions::add(&mut response, with_last(&judgement, decided));
        Ok(response)
    }

    /// The call with everything that an approval is bound to; none if no rule holds it any more.
    fn held(&self, request: &Request, tool: &str, known: Known) -> Result<Option<Held>, Refusal> {
        let asker = Asker::of(request);
        let arguments = arguments(request)?;
        let judgement = self.rules.judge(&self.about(&asker, tool, known.annotations, Some(&arguments)));
        let (Some(approval), Some(rule)) = (judgement.approval, judgement.rule) else { return Ok(None) };
        let caller = asker.caller.clone().ok_or(Reason::ApprovalUnavailable)?;
        let definition = known.definition.ok_or_else(no_definition)?;
        let said = said(request)?;
        let target = request.extensions().get::<UpstreamTarget>().map(|target| Arc::clone(&target.0));
        let bound = Bindings {
            subject: Arc::clone(&caller.subject),
            route: asker.route,
            upstream: target.unwrap_or(asker.upstream),
            tool: tool.into(),
            arguments: fingerprint(request, &said)?,
            policy: self.version,
            definition,
        };
        Ok(Some(Held {
            bound,
            rule: Arc::clone(rule),
            approvers: Arc::clone(&approval.approvers),
            own_calls: approval.own_calls,
            expires_after: approval.expires_after,
            shown: shown(&said, &judgement)?,
            caller,
            request_id: request.extensions().get::<Arrival>().map(|arrival| arrival.request_id),
            is_audited: request.extensions().get::<Audited>().is_some(),
            asked: request.extensions().get::<Returned>().and_then(|returned| returned.approval),
        }))
    }
}

/// What came of asking.
enum Asked {
    /// It waits, or was decided.
    Ticket(Ticket),
    /// No rule holds it any more.
    NotNeeded,
}

fn unreadable<E>(_: E) -> Refusal {
    Refusal::new(Reason::MessageTooComplex, "The arguments cannot be shown to whoever would approve the call.")
}

fn no_definition() -> Refusal {
    let why = "The upstream does not say what this tool is, so nobody can approve a call of it. Nothing was done.";
    Refusal::new(Reason::ApprovalUnavailable, why)
}

/// All that a call says: its arguments, and what else stands beside them and is not the client's own.
fn said(request: &Request) -> Result<Said, Refusal> {
    let params = request.body().message().and_then(Message::params).unwrap_or("{}");
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

/// Of what a call says, in its message and in the headers that repeat arguments.
fn fingerprint(request: &Request, said: &Said) -> Result<Fingerprint, Refusal> {
    let repeated = request.headers().iter().filter(|(name, _)| name.as_str().starts_with(REPEATS_ARGUMENT));
    let repeated = repeated.map(|(name, value)| (name.as_str(), value.as_bytes().escape_ascii().to_string()));
    let mut headers: Vec<_> = repeated.collect();
    headers.sort();
    let text = serde_json::to_string(&(said, headers)).map_err(unreadable)?;
    Fingerprint::of(&text).map_err(unreadable)
}

/// For people: the arguments, or everything where there is more than those; without what rules take out.
fn shown(said: &Said, judgement: &Judgement<'_>) -> Result<String, Refusal> {
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

/// Why a call will not be made, if that is so.
pub(super) fn refusal(ticket: &Ticket, tool: &str) -> Option<Refusal> {
    let number = ticket.number;
    let refusal = match &ticket.standing {
        Standing::Proposed | Standing::Approved => return None,
        Standing::Denied(Decision { by, at, reason }) => {
            let reason = reason.as_ref().map(|reason| format!(": {reason:?}")).unwrap_or_default();
            let why = format!("{by} denied this call of {tool:?} (approval #{number}) at {}{reason}.", date(*at));
            Refusal::new(Reason::ApprovalDenied, why)
        }
        Standing::Expired => {
            let why = format!("Nobody approved this call of {tool:?} (approval #{number}) in time. Nothing was done.");
            Refusal::new(Reason::ApprovalExpired, why)
        }
        Standing::Used => {
            let why = format!("Another repetition of this call of {tool:?} was made with the approval #{number}.");
            Refusal::new(Reason::ApprovalUsed, why)
        }
        Standing::Withdrawn => {
            let why = format!("This call of {tool:?} (approval #{number}) was taken back. Nothing was done.");
            Refusal::new(Reason::ApprovalWithdrawn, why)
        }
        Standing::Changed(what) => {
            let why = format!(
                "The approval #{number} was asked for before the {what} changed, so it does not count for this call of \
                 {tool:?}. Nothing was done."
            );
            Refusal::new(Reason::ApprovalChanged, why).with_data("changed", *what)
        }
    };
    Some(refusal.with_data("approval", number))
}

/// The result of a call that waits: an error of the tool, which models read and hosts show.
pub(super) fn pending(request: &Request, ticket: &Ticket, tool: &str, now: Timestamp) -> Response {
    let Ticket { number, url, expires_at, .. } = ticket;
    let page = url.as_ref().map(|url| format!(" It is decided at {url}.")).unwrap_or_default();
    let text = format!(
        "This call of {tool:?} waits for approval #{number}. Nothing was done yet.{page} Once it is approved, \
         repeat the same call with the same arguments to get its result. It waits until {}.",
        date(*expires_at)
    );
    let seconds = expires_at.since(now).as_secs();
    let meta = json!({ "number": number, "state": "pending", "url": url, "expiresInSeconds": seconds });
    let mut result = json!({
        "content": [{ "type": "text", "text": text }],
        "isError": true,
        "_meta": { META: meta },
    });
    let message = request.body().message();
    if message.is_some_and(Message::is_modern) {
        result["resultType"] = "complete".into();
    }
    own_answer(message.and_then(Message::id).unwrap_or("null"), &result)
}

pub(super) fn own_answer(id: &str, result: &Value) -> Response {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let mut response = Response::new(Reply::Full(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(OwnAnswer);
    response
}

pub(super) fn date(at: Timestamp) -> String {
    Moment::from_second(at.as_seconds()).map(|moment| moment.to_string()).unwrap_or_default()
}
