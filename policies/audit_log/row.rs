//! The row of one request, until it is written: when its answer has ended, or nobody waits for one any more.

use http::StatusCode;
use tokio::time::Instant;

use super::{
    answer::{Said, said},
    follow::Followed,
};
use crate::kit::{
    audit::{Audited, Capture, Captured, Decision, Detail, End, Fault, Origin, Seen},
    chain::{Request, Response},
    credential::UpstreamAttempts,
    decision::{Decided, Decisions, LateDecisions, Undecided},
    message::{Kind, Message},
    refusal::{Cause, Reason},
    reply::Reply,
};

/// What is known so far.
pub(super) struct Row {
    audited: Audited,
    started: Instant,
    /// What the client sent, where its arguments are kept.
    message: Option<Message>,
    /// The id of a request that awaits an answer.
    id: Option<Box<str>>,
    status: Option<StatusCode>,
    refused: Option<(Reason, Option<Cause>)>,
    decided: Vec<Decided>,
    /// What is decided about events.
    late: Vec<Undecided>,
    attempts: u8,
    bytes: u64,
    events: Option<u64>,
    /// What the answer says, once it is there.
    said: Option<Said>,
    /// Has its stream come to its end?
    is_over: bool,
    is_written: bool,
}

impl Row {
    pub(super) fn new(audited: Audited, request: &Request) -> Self {
        let message = request.body().message();
        let awaits = message.filter(|message| matches!(message.kind(), Kind::Request(_)));
        let keeps = audited.audit().arguments.detail != Detail::Off;
        Self {
            started: Instant::now(),
            id: awaits.and_then(Message::id).map(Into::into),
            message: message.filter(|_| keeps).cloned(),
            audited,
            status: None,
            refused: None,
            decided: Vec::new(),
            late: Vec::new(),
            attempts: 0,
            bytes: 0,
            events: None,
            said: None,
            is_over: false,
            is_written: false,
        }
    }

    /// Notes the answer. Its row is written at once, or at the end of its stream.
    pub(super) fn answered(mut self, mut response: Response) -> Response {
        let facts = response.extensions();
        self.status = Some(response.status());
        self.refused = facts.get::<Reason>().map(|reason| (*reason, facts.get::<Cause>().copied()));
        self.decided = facts.get::<Decisions>().map(|Decisions(decided)| decided.clone()).unwrap_or_default();
        self.attempts = facts.get::<UpstreamAttempts>().map_or(0, |UpstreamAttempts(sent)| *sent);
        self.overhear(&mut response);
        let (head, reply) = response.into_parts();
        let reply = match reply {
            Reply::Events(source) => {
                self.events = Some(0);
                Reply::Events(Box::new(Followed::new(source, self)))
            }
            reply => {
                if let Reply::Full(body) = &reply {
                    self.bytes = body.len() as u64;
                    self.hear(body);
                }
                self.write();
                reply
            }
        };
        Response::from_parts(head, reply)
    }

    /// Others listen to what is decided later too, so they hear it from here.
    fn overhear(&mut self, response: &mut Response) {
        let Some(LateDecisions(late)) = response.extensions_mut().get_mut() else { return };
        for undecided in late {
            let (kept, others) = (Undecided::default(), Undecided::default());
            let original = std::mem::replace(undecided, others.clone());
            self.late.push(kept.clone());
            original.listen(move |decided| {
                kept.note(decided.clone());
                others.note(decided);
            });
        }
    }

    /// One more event, as long as this.
    pub(super) fn event(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.events = self.events.map(|events| events + 1);
    }

    /// The message that answers the request.
    pub(super) fn hear(&mut self, message: &[u8]) {
        self.said = Some(said(message, self.audited.subject().request_id, self.audited.audit().results));
    }

    /// The stream has ended by itself.
    pub(super) fn over(mut self) {
        self.is_over = true;
    }

    /// The request that awaits an answer.
    pub(super) fn awaits(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.said.is_none())
    }

    fn write(&mut self) {
        if std::mem::replace(&mut self.is_written, true) {
            return;
        }
        let mut seen = self.audited.seen().clone();
        let end = self.end(&seen);
        if seen.sent == 0 {
            seen.arguments = self.unsent_arguments();
        }
        self.audited.audit().log.note(self.audited.entry(seen, Some(end)));
    }

    fn end(&mut self, seen: &Seen) -> End {
        let mut decided = std::mem::take(&mut self.decided);
        decided.extend(self.late.iter().flat_map(Undecided::take));
        let fault = self.fault(seen);
        let decision = self.decision(seen, fault.as_ref(), &decided);
        End {
            decision,
            decided,
            // What a held call is told reads like an error of the tool.
            fault: fault.filter(|_| decision != Decision::Held),
            status: self.status.map(|status| status.as_u16()),
            took: self.started.elapsed(),
            upstream: (seen.sent > 0).then_some(seen.upstream),
            sent: seen.sent.max(self.attempts),
            bytes: self.bytes,
            events: self.events,
            result: self.said.take().and_then(|said| said.result),
        }
    }

    fn decision(&self, seen: &Seen, fault: Option<&Fault>, decided: &[Decided]) -> Decision {
        let is_held = || seen.sent == 0 && decided.iter().any(|decided| decided.outcome == "held");
        match (self.status, fault) {
            (None, _) if seen.sent > 0 => Decision::Allowed,
            (None, _) => Decision::Undecided,
            (Some(_), Some(fault)) if fault.class == "refusal" && fault.origin != Origin::Upstream => Decision::Denied,
            _ if is_held() => Decision::Held,
            _ => Decision::Allowed,
        }
    }

    fn fault(&self, seen: &Seen) -> Option<Fault> {
        if let Some((reason, cause)) = self.refused {
            return Some(Fault::refusal(reason, cause.map(|cause| cause.code)));
        }
        let origin = if seen.sent > 0 { Origin::Upstream } else { Origin::Gateway };
        match (self.status, &self.said) {
            (None, _) => Some(Fault::other(Origin::Client, "client_gone")),
            (_, Some(said)) if said.class.is_some() => {
                let fault = Fault::other(origin, said.class.unwrap_or_default());
                Some(match said.reason {
                    Some(reason) => Fault { policy: None, ..Fault::refusal(reason, None) },
                    None => fault,
                })
            }
            (Some(status), _) if status.is_client_error() || status.is_server_error() => {
                Some(Fault::other(origin, "http_error"))
            }
            (_, None) if self.events.is_some() && !self.is_over => Some(Fault::other(Origin::Client, "client_gone")),
            (_, None) if self.events.is_some() && self.id.is_some() => Some(Fault::other(origin, "no_answer")),
            _ => None,
        }
    }

    /// What was asked for and went nowhere. A secret that was stopped is not kept here instead.
    fn unsent_arguments(&self) -> Option<Captured> {
        let message = self.message.clone()?;
        let capture = self.audited.audit().arguments;
        let stopped = self.refused.is_some_and(|(reason, _)| reason == Reason::SecretInRequest);
        let detail = if stopped && capture.detail == Detail::Full { Detail::Redacted } else { capture.detail };
        let request = Request::new(crate::kit::chain::Inbound::Message(message));
        Capture { detail, ..capture }.of_arguments(&request)
    }
}

/// A client that went away before its answer had ended still has had its request.
impl Drop for Row {
    fn drop(&mut self) {
        self.write();
    }
}
