#![doc = include_str!("README.md")]

mod check;
mod escapes;
#[cfg(test)]
mod examples;
mod look;
mod options;
mod patterns;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod tests;
mod verdict;

use std::sync::{Arc, Mutex, PoisonError};

pub use self::options::{Action, Allowed, Kind, Like, OwnPattern, SecretGuardOptions};
use self::{
    look::{Find, look, masked},
    patterns::Patterns,
    verdict::{Direction, Ruling},
};
use crate::kit::{
    answers::{Edit, EditResult, Verdict},
    chain::{Answer as Answered, Request, Response, RouteLayer, RouteService, answered, direct, refuse, then},
    decision::{Decided, Decisions, Undecided},
    host::Host,
    json::{Flaw, FlawKind},
    message::{Kind as MessageKind, Message, header_text},
    policy::{Deployment, Examining, Fact, Policy, Problem},
    refusal::{Reason, Refusal},
    rehearsal::Rehearsal,
    reply::{Answer, Reply},
    rewrite::{REPEATS_ARGUMENT, rewrite},
};

/// Finds secrets in what is sent and in what comes back.
#[derive(Debug)]
pub struct SecretGuard;

impl Policy for SecretGuard {
    const NAME: &'static str = "secret-guard";
    const SUMMARY: &'static str = "masks, blocks or logs tokens, keys and personal data in calls and in answers";
    const BEFORE: &'static [Fact] = &[Fact::JUDGED_ARGUMENTS, Fact::VALIDATED_CALL];
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = SecretGuardOptions;

    fn layer(options: Self::Options, _: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let patterns = Patterns::new(&options)?;
        let guard = Arc::new(Guard { patterns, arguments: options.arguments, results: options.results });
        Ok(direct(move |request, inner| guard.answer(request, inner)))
    }

    fn examine<'a>(_: &'a Self::Options, deployment: &'a Deployment<'a>) -> Examining<'a> {
        let old = verdict::outdated(patterns::date(), deployment.host.clock.now());
        Box::pin(std::future::ready(old.into_iter().collect()))
    }
}

#[derive(Debug)]
struct Guard {
    patterns: Patterns,
    arguments: Action,
    results: Action,
}

impl Guard {
    fn answer(self: &Arc<Self>, mut request: Request, inner: &RouteService) -> Answered {
        let decided = match self.judge(&mut request) {
            Ok(decided) => decided,
            Err((refusal, decided)) => {
                let mut response = refuse(&request, refusal);
                Decisions::add(&mut response, decided);
                return answered(response);
            }
        };
        if self.results == Action::Off && decided.is_empty() {
            return inner.run(request);
        }
        let edit = (self.results != Action::Off).then(|| self.edit(&request));
        then(inner.run(request), |mut response| {
            if let Some(edit) = edit {
                response = edit.response(response);
            }
            Decisions::add(&mut response, decided);
            response
        })
    }

    /// Judges a message of the client, and masks what is to be masked.
    fn judge(&self, request: &mut Request) -> Result<Vec<Decided>, (Refusal, Vec<Decided>)> {
        let Some(message) = request.body().message().filter(|_| self.arguments != Action::Off) else {
            return Ok(Vec::new());
        };
        let message = message.clone();
        // No error answers a notification or a response: there the part that is secret goes, and the rest stays.
        let ruling = Ruling::of(self.arguments, matches!(message.kind(), MessageKind::Request(_)));
        let mut decided = self.judge_headers(request, ruling)?;
        if self.patterns.rule_out(message.bytes()) {
            return Ok(decided);
        }
        let finds = self.look(message.bytes(), None).map_err(|_| (unjudged(), Vec::new()))?;
        let Some(first) = finds.first() else { return Ok(decided) };
        let is_done = match ruling {
            Ruling::Log => true,
            Ruling::Mask => mask(request, &message, &finds),
            Ruling::Block => false,
        };
        let ruling = if is_done { ruling } else { Ruling::Block };
        decided.extend(ruling.note(Direction::Sent, &finds));
        if is_done { Ok(decided) } else { Err((verdict::refusal(Reason::SecretInRequest, first), decided)) }
    }

    /// Headers that repeat arguments, and those of traces, reach the upstream too.
    fn judge_headers(&self, request: &mut Request, ruling: Ruling) -> Result<Vec<Decided>, (Refusal, Vec<Decided>)> {
        let mut decided = Vec::new();
        let names = request.headers().keys().filter(|name| carries_text(name.as_str()));
        for name in names.cloned().collect::<Vec<_>>() {
            let mut texts = request.headers().get_all(&name).iter().filter_map(header_text);
            let Some(find) = texts.find_map(|text| self.in_header(&text, name.as_str())) else { continue };
            let finds = [find];
            decided.extend(ruling.note(Direction::Sent, &finds));
            match ruling {
                Ruling::Log => {}
                Ruling::Mask => drop(request.headers_mut().remove(&name)),
                Ruling::Block => return Err((verdict::refusal(Reason::SecretInRequest, &finds[0]), decided)),
            }
        }
        Ok(decided)
    }

    fn in_header(&self, text: &str, name: &str) -> Option<Find> {
        let mut found = None;
        self.patterns.find(text, |_, pattern| found = Some(Arc::clone(pattern)));
        found.map(|pattern| Find::in_header(pattern, name))
    }

    fn look(&self, document: &[u8], but: Option<&str>) -> Result<Vec<Find>, Flaw> {
        let text = std::str::from_utf8(document).map_err(|_| Flaw { kind: FlawKind::NotUtf8, at: 0 })?;
        look(text, &self.patterns, but)
    }

    fn edit(self: &Arc<Self>, request: &Request) -> AnswerEdit {
        let decided = Undecided::default();
        let editor = Editor { guard: Arc::clone(self), decided: decided.clone(), blocked: Mutex::default() };
        let edit = Edit::of(request, |_| Some(editor));
        AnswerEdit { guard: Arc::clone(self), edit, decided }
    }
}

/// Does a header of this name say something that the client chose?
fn carries_text(name: &str) -> bool {
    name.starts_with(REPEATS_ARGUMENT) || matches!(name, "baggage" | "tracestate")
}

/// Masks in the message what was found; not if it were another message then.
fn mask(request: &mut Request, before: &Message, finds: &[Find]) -> bool {
    let text = std::str::from_utf8(before.bytes()).unwrap_or_default();
    let is_same = |after: &Message| {
        (after.kind(), after.id(), after.target(), after.version())
            == (before.kind(), before.id(), before.target(), before.version())
    };
    rewrite(request, masked(text, finds)).is_ok() && request.body().message().is_some_and(is_same)
}

fn unjudged() -> Refusal {
    Refusal::new(Reason::MessageTooComplex, "The message is nested too deeply to be judged.")
}

/// What becomes of the answer to one request.
struct AnswerEdit {
    guard: Arc<Guard>,
    /// None where no answer is awaited.
    edit: Option<Edit<Editor>>,
    decided: Undecided,
}

impl AnswerEdit {
    fn response(self, response: Response) -> Response {
        let Some(edit) = self.edit else { return self.guard.silence(response) };
        let mut response = edit.response(response);
        self.decided.join(&mut response);
        response
    }
}

impl Guard {
    /// What comes where no answer is awaited has nothing to say: only what is clean passes.
    fn silence(self: Arc<Self>, response: Response) -> Response {
        if self.results == Action::Log {
            return response;
        }
        let is_clean = move |body: &[u8]| {
            self.patterns.rule_out(body) || self.look(body, None).is_ok_and(|finds| finds.is_empty())
        };
        response.map(|reply| match reply {
            Reply::Full(body) if !is_clean(&body) => Reply::Empty,
            reply => reply.map_events(move |event| Some(event).filter(|event| event.data().is_none_or(&is_clean))),
        })
    }
}

struct Editor {
    guard: Arc<Guard>,
    decided: Undecided,
    /// What the answer was blocked for.
    blocked: Mutex<Option<Refusal>>,
}

impl EditResult for Editor {
    const POLICY: &'static str = SecretGuard::NAME;

    fn passes(&self, body: &[u8]) -> bool {
        self.guard.patterns.rule_out(body)
    }

    fn result(&self, body: &[u8], answer: &Answer, _id: &str) -> Verdict {
        self.other(body, answer)
    }

    fn other(&self, body: &[u8], answer: &Answer) -> Verdict {
        // The id is the client's own, or the one under which it answers.
        let finds = match self.guard.look(body, Some("id")) {
            Ok(finds) if finds.is_empty() => return Verdict::Keep,
            Ok(finds) => finds,
            Err(flaw) => return Verdict::Refuse(flaw.to_string()),
        };
        let ruling = Ruling::of(self.guard.results, answer.is_response());
        ruling.note(Direction::Received, &finds).into_iter().for_each(|decided| self.decided.note(decided));
        match ruling {
            Ruling::Log => Verdict::Keep,
            Ruling::Mask => Verdict::Replace(masked(std::str::from_utf8(body).unwrap_or_default(), &finds).into()),
            Ruling::Block => {
                let refusal = verdict::refusal(Reason::SecretInAnswer, &finds[0]);
                *self.blocked.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                Verdict::Refuse(format!("it holds {}", finds[0].pattern.name))
            }
        }
    }

    fn refusal(&self) -> Refusal {
        let blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner).take();
        blocked.unwrap_or_else(|| Refusal::new(Reason::UpstreamInvalid, "The upstream's answer cannot be judged."))
    }
}
