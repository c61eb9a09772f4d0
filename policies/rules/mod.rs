#![doc = include_str!("README.md")]

mod approval;
mod arguments;
mod condition;
mod expression;
mod hold;
mod judge;
mod options;
mod page;
mod redact;
mod says;
mod spelling;
#[cfg(test)]
mod tests;
mod time;
mod truth;
mod wait;
mod words;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::Value;

pub use self::options::{
    Action, Annotation, Comparison, Day, Default, Match, Mode, Rule, RulesOptions, Scalar, Tests, Time,
};
use self::{
    condition::{Annotations, Call},
    judge::{Judgement, Rules},
    redact::{Redacted, Redaction, redacted},
    wait::CallName,
};
use crate::kit::{
    answers::{Edit, EditResult, Verdict, edited},
    approval::{Approvals, Ticket},
    call::{called, connects},
    canonical::Fingerprint,
    chain::{Answer as Answered, Arrival, Request, RouteLayer, RouteService, answered, direct, refuse, then},
    clock::Clock,
    decision::{Decided, Decisions, Undecided},
    definitions::{Asker, Definitions},
    host::Host,
    json::{Flaw, FlawKind},
    listing::{self, ListKind, Shown},
    message::{Message, Method},
    policy::{Fact, Policy, Problem},
    refusal::{Reason, Refusal},
    rehearsal::Rehearsal,
    reply::Answer,
    rewrite::rewrite,
    round::Marker,
    unjudged::ChainEnd,
};
pub use crate::kit::{
    approval::Approver,
    pattern::{Glob, Pattern},
};

/// Decides about calls of tools by named rules.
#[derive(Debug)]
pub struct McpRules;

impl Policy for McpRules {
    const NAME: &'static str = "mcp-rules";
    const ALIASES: &'static [&'static str] = &["mcp-rules-inbound"];
    const SUMMARY: &'static str =
        "allows, denies, holds for approval, redacts or logs calls of tools by named rules; lists what they allow";
    const GIVES: &'static [Fact] = &[Fact::JUDGED_ARGUMENTS];
    const BEFORE: &'static [Fact] = &[Fact::RENAMED_TARGET, Fact::VALIDATED_CALL];
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = RulesOptions;

    fn needs(options: &Self::Options) -> Vec<Fact> {
        let asks = |rule: &Rule| rule.fits.needs_caller() || rule.action == Action::RequireApproval;
        if options.rules.iter().any(asks) { vec![Fact::CALLER] } else { Vec::new() }
    }

    fn needs_store(options: &Self::Options) -> bool {
        options.rules.iter().any(Rule::holds_calls)
    }

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let rules = Rules::new(&options)?;
        let holds = rules.hold_calls();
        let judge = Arc::new(Judge {
            rules,
            clock: Arc::clone(&host.clock),
            known: Definitions::new(move |definition| Known::of(definition, holds)),
            approvals: if holds { Some(approvals(&options, host)?) } else { None },
            version: version(&options),
            waiting: Mutex::default(),
            marker: page::marker(),
            chain_end: host.chain_end,
        });
        Ok(direct(move |request, inner| judge.answer(request, inner)))
    }
}

/// Where calls wait that the rules hold.
fn approvals(options: &RulesOptions, host: &Host) -> Result<Arc<dyn Approvals>, Vec<Problem>> {
    let holding = options.rules.iter().position(Rule::holds_calls).unwrap_or_default();
    let problem = || Problem::new(format!("/rules/{holding}/action"), "this program keeps no calls that wait");
    host.approvals.clone().ok_or_else(|| vec![problem()])
}

/// Of all the rules: what was approved under others does not count.
fn version(options: &RulesOptions) -> Fingerprint {
    Fingerprint::of_bytes(&serde_json::to_vec(options).unwrap_or_default())
}

struct Judge {
    rules: Rules,
    clock: Arc<dyn Clock>,
    /// What upstreams say about their tools.
    known: Definitions<Known>,
    /// Where calls wait; none where no rule holds any.
    approvals: Option<Arc<dyn Approvals>>,
    /// Of the rules.
    version: Fingerprint,
    /// Calls whose answers are held open.
    waiting: Mutex<HashMap<CallName, Ticket>>,
    /// How it is known that a client was asked to open a page.
    marker: Marker,
    chain_end: ChainEnd,
}

/// What is remembered of a tool's definition.
#[derive(Clone, Copy, Debug, std::default::Default)]
struct Known {
    annotations: Annotations,
    /// Of the whole, where approvals are bound to it.
    definition: Option<Fingerprint>,
}

impl Known {
    fn of(definition: &Value, whole: bool) -> Self {
        let fingerprint = || Fingerprint::of(&definition.to_string()).ok();
        Self { annotations: Annotations::of(definition), definition: whole.then(fingerprint).flatten() }
    }
}

impl Judge {
    fn answer(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        let method = request.body().message().and_then(Message::method);
        match method {
            Some(Method::ListTools) => self.list(request, inner),
            Some(Method::CallTool) if !connects(&request) => self.call(request, inner),
            Some(Method::TaskResult) => self.task(request, inner, &[]),
            Some(Method::Cancelled) => {
                self.cancelled(&request);
                inner.run(request)
            }
            Some(Method::GetTask) => self.task(request, inner, &["result"]),
            _ => inner.run(request),
        }
    }

    /// The list is judged by the rules that judge calls, so that the two never disagree.
    fn list(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        let lister = Lister { judge: Arc::clone(self), asker: Asker::of(&request) };
        let edit = Edit::of(&request, |_| Some(lister));
        edited(request, inner, edit, Vec::new())
    }

    /// Nobody knows any more which call a task began with, so what any rule takes out of results is taken out of its.
    fn task(&self, request: Request, inner: &RouteService, below: &[&str]) -> Answered {
        let redactions = self.rules.of_results().map(|redaction| redaction.below(below)).collect();
        redacting(request, inner, redactions, Vec::new())
    }

    fn call(self: &Arc<Self>, mut request: Request, inner: &RouteService) -> Answered {
        if self.approvals.is_some() {
            self.take_back(&mut request);
        }
        let known = self.known.of(&request, called(&request));
        if known.is_some() || !self.rules.asks_annotations() {
            return self.decide(request, known, inner);
        }
        let (this, inner) = (Arc::clone(self), inner.clone());
        Box::pin(async move {
            let known = this.known.ask(&request, &inner, called(&request)).await;
            this.decide(request, known, &inner).await
        })
    }

    fn about<'a>(
        &self,
        asker: &'a Asker,
        tool: &'a str,
        annotations: Annotations,
        arguments: Option<&'a Value>,
    ) -> Call<'a> {
        let Asker { route, upstream, caller } = asker;
        Call { route, upstream, tool, annotations, caller: caller.as_ref(), arguments, now: self.clock.now() }
    }

    fn about_call<'a>(&self, request: &'a Request, annotations: Annotations, arguments: &'a Value) -> Call<'a> {
        let (arrival, caller) = (request.extensions().get::<Arrival>(), request.extensions().get());
        let (route, upstream) = arrival.map_or(("", ""), |arrival| (&*arrival.route, &*arrival.upstream));
        let (tool, now) = (called(request), self.clock.now());
        Call { route, upstream, tool, annotations, caller, arguments: Some(arguments), now }
    }

    fn decide(self: &Arc<Self>, request: Request, known: Option<Known>, inner: &RouteService) -> Answered {
        let arguments = match self.rules.asks_arguments().then(|| arguments(&request)).transpose() {
            Ok(arguments) => arguments.unwrap_or_default(),
            Err(refusal) => return answered(refuse(&request, refusal)),
        };
        let annotations = known.unwrap_or_default().annotations;
        let judgement = self.rules.judge(&self.about_call(&request, annotations, &arguments));
        if !judgement.is_allowed && judgement.is_in_doubt && known.is_none() && judgement.approval.is_none() {
            // Whoever is not connected yet cannot be told what the tool does, and must be able to connect.
            let refusal = denied(called(&request), &judgement);
            return self.chain_end.refuse_last(request, refusal, decisions(&judgement), inner);
        }
        if judgement.approval.is_some() {
            let (this, inner) = (Arc::clone(self), inner.clone());
            return Box::pin(async move { this.hold(request, &inner).await });
        }
        act(request, &judgement, inner)
    }
}

/// Does what the rules say of a call that waits for nobody.
fn act(request: Request, judgement: &Judgement<'_>, inner: &RouteService) -> Answered {
    let decisions = decisions(judgement);
    if judgement.is_allowed {
        return pass(request, judgement, inner, decisions);
    }
    let mut response = refuse(&request, denied(called(&request), judgement));
    Decisions::add(&mut response, decisions);
    answered(response)
}

/// Passes a call on that may be made, without what rules take out of it and of its result.
fn pass(mut request: Request, judgement: &Judgement<'_>, inner: &RouteService, decisions: Vec<Decided>) -> Answered {
    let mut decided = match redact_arguments(&mut request, &judgement.arguments) {
        Ok(decided) => decided,
        Err(refusal) => return answered(refuse(&request, refusal)),
    };
    decided.extend(decisions);
    let redactions = judgement.result.iter().map(|redaction| (*redaction).clone()).collect();
    redacting(request, inner, redactions, decided)
}

/// Passes a request on, and takes out of the result what rules say.
fn redacting(request: Request, inner: &RouteService, redactions: Vec<Redaction>, decisions: Vec<Decided>) -> Answered {
    if redactions.is_empty() {
        return edited::<Redactor>(request, inner, None, decisions);
    }
    let decided = Undecided::default();
    let edit = Edit::of(&request, |_| Some(Redactor { redactions, decided: decided.clone() }));
    then(edited(request, inner, edit, decisions), |mut response| {
        decided.join(&mut response);
        response
    })
}

/// What a list becomes.
struct Lister {
    judge: Arc<Judge>,
    asker: Asker,
}

impl EditResult for Lister {
    const POLICY: &'static str = McpRules::NAME;

    fn result(&self, body: &[u8], answer: &Answer, _id: &str) -> Verdict {
        let shown = |name: &str, definition: &[u8]| {
            let definition = serde_json::from_slice(definition).unwrap_or_default();
            let known = self.judge.known.learn(&self.asker, &definition);
            let call = self.judge.about(&self.asker, name, known.annotations, None);
            if self.judge.rules.list(&call) { Shown::AsItIs } else { Shown::Not }
        };
        let rewritten = listing::list(body, answer, ListKind::Tools, shown);
        Verdict::with_result(body, answer, rewritten.map(|rewritten| rewritten.result))
    }
}

/// What a result becomes.
struct Redactor {
    redactions: Vec<Redaction>,
    /// In streams, what was taken out is known late.
    decided: Undecided,
}

impl EditResult for Redactor {
    const POLICY: &'static str = McpRules::NAME;

    fn only_looks(&self) -> bool {
        self.redactions.iter().all(|redaction| redaction.is_tried_out)
    }

    fn result(&self, body: &[u8], answer: &Answer, _id: &str) -> Verdict {
        let result = answer.payload().map(|span| span.of(body)).unwrap_or_default();
        let text = std::str::from_utf8(result).map_err(|_| Flaw { kind: FlawKind::NotUtf8, at: 0 });
        match text.and_then(|text| redacted(text, &self.redactions)) {
            Ok(redacted) => {
                OF_RESULT.decisions(&redacted).into_iter().for_each(|decided| self.decided.note(decided));
                redacted.text.map_or(Verdict::Keep, |text| Verdict::with_result(body, answer, Ok(text.into_bytes())))
            }
            Err(flaw) => Verdict::Refuse(flaw.to_string()),
        }
    }
}

/// What it is called that something was taken out, or would have been.
struct TakenOut {
    was: &'static str,
    would_be: &'static str,
}

const OF_ARGUMENTS: TakenOut = TakenOut { was: "redacted_arguments", would_be: "would_redact_arguments" };
const OF_RESULT: TakenOut = TakenOut { was: "redacted_result", would_be: "would_redact_result" };

impl TakenOut {
    fn decisions(&self, redacted: &Redacted) -> Vec<Decided> {
        let was = redacted.by.iter().map(|rule| decided(rule, self.was));
        was.chain(redacted.tried_out.iter().map(|rule| decided(rule, self.would_be))).collect()
    }
}

/// The arguments of a call. The message has been read strictly, so there is one reading of them.
fn arguments(request: &Request) -> Result<Value, Refusal> {
    let params = request.body().message().and_then(Message::params).unwrap_or("{}");
    let mut params: Value = serde_json::from_str(params)
        .map_err(|_| Refusal::new(Reason::MessageTooComplex, "The arguments are nested too deeply to be judged."))?;
    Ok(params["arguments"].take())
}

/// The message without the arguments that rules take out, and who took some. Headers that would repeat them go too.
fn redact_arguments(request: &mut Request, redactions: &[&Redaction]) -> Result<Vec<Decided>, Refusal> {
    let Some(message) = request.body().message().filter(|_| !redactions.is_empty()) else { return Ok(Vec::new()) };
    let below: Vec<_> = redactions.iter().map(|redaction| redaction.below(&["params", "arguments"])).collect();
    let text = std::str::from_utf8(message.bytes()).unwrap_or_default();
    let unjudged = || Refusal::new(Reason::MessageTooComplex, "The arguments cannot be judged.");
    let redacted = redacted(text, &below).map_err(|_| unjudged())?;
    let decided = OF_ARGUMENTS.decisions(&redacted);
    if let Some(text) = redacted.text {
        rewrite(request, text).map_err(|_| unjudged())?;
    }
    Ok(decided)
}

fn decisions(judgement: &Judgement<'_>) -> Vec<Decided> {
    with_last(judgement, if judgement.is_allowed { "allowed" } else { "denied" })
}

/// What the rules decided, of which the last decision came to this.
fn with_last(judgement: &Judgement<'_>, last: &'static str) -> Vec<Decided> {
    let tried_out = judgement.tried_out.iter().map(|(rule, would)| decided(rule, would));
    let noted = judgement.noted.iter().map(|rule| decided(rule, "logged"));
    let last = judgement.rule.or(judgement.default).map(|rule| decided(rule, last));
    tried_out.chain(noted).chain(last).collect()
}

/// A decision, which the log has too unless it is the usual one.
fn decided(rule: &Arc<str>, outcome: &'static str) -> Decided {
    if outcome != "allowed" {
        tracing::info!(rule = &**rule, outcome, "mcp-rules");
    }
    Decided { policy: McpRules::NAME, rule: Arc::clone(rule), outcome }
}

fn denied(tool: &str, judgement: &Judgement<'_>) -> Refusal {
    let Some(rule) = judgement.rule else {
        let why = format!("No rule of this route allows this call of {tool:?}.");
        return Refusal::new(Reason::DeniedByRule, why);
    };
    let refusal = Refusal::new(Reason::DeniedByRule, format!("The rule {rule:?} denies this call of {tool:?}."))
        .with_data("rule", &**rule);
    match judgement.remedy {
        Some(remedy) => refusal.with_remedy(remedy.to_string()),
        None => refusal,
    }
}
