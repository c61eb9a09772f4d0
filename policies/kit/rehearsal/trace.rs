//! What is seen of a rehearsal: how far the request came, and what each layer made of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use serde_json::Value;
use tower::Layer;

use super::{ID, WOULD_WAIT};
use crate::kit::{
    chain::{Request, Response, RouteLayer, RouteService, UpstreamHeaders, lift},
    decision::{Decided, Decisions},
    message::Message,
    refusal::{Reason, Refusal},
    reply::Reply,
    unjudged::unjudged,
};

/// Sees what becomes of a request. Clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    steps: Vec<Step>,
    /// The layer where the request is.
    at: usize,
    /// How many questions of layers are on their way: what is said meanwhile is not about the request.
    asking: usize,
    decided: usize,
    sent: Option<Message>,
    headers: HeaderMap,
}

/// One layer.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// What it made of the request.
    pub verdict: Verdict,
    /// What else it says.
    pub notes: Vec<String>,
    /// What its rules decided.
    pub decided: Vec<Decided>,
    /// The places in the parameters of the request that it changed, as JSON pointers, and the headers that it set.
    pub changes: Vec<String>,
    /// The tools that are in the list which it passes back.
    pub listed: Option<Vec<String>>,
    before: Option<Before>,
    in_vain: Option<String>,
}

/// The request before a layer.
#[derive(Clone, Debug)]
struct Before {
    params: Value,
    headers: HeaderMap,
    unjudged: bool,
}

/// What a layer made of a request.
#[derive(Clone, Debug, Default)]
pub enum Verdict {
    /// The request did not come so far.
    #[default]
    NotReached,
    /// The request passes.
    Passed,
    /// It is refused.
    Refused(Said),
    /// It passes, and does not reach the upstream: unless a layer further in answers it, it is refused.
    RefusedLast(Said),
    /// It would wait for a person.
    Held(Said),
    /// The layer has an answer of its own.
    Answered(Said),
    /// It cannot be said what the layer would do, and why. Taken as passed.
    NotJudged(String),
}

/// What the caller would be told.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The code of the reason.
    pub reason: Option<&'static str>,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
}

impl Trace {
    /// The same layer, watched: the next step, so the outermost comes first.
    pub fn watch(&self, layer: RouteLayer) -> RouteLayer {
        let index = self.next();
        lift(Watched { trace: self.clone(), index, layer })
    }

    /// In the place of a layer that takes no part.
    pub fn aside(&self, why: &str) {
        let index = self.next();
        self.state().steps[index].verdict = Verdict::NotJudged(why.to_owned());
    }

    /// Says something about the layer where the request is.
    pub fn note(&self, note: impl Into<String>) {
        let mut state = self.state();
        let at = state.at;
        if state.asking == 0
            && let Some(step) = state.steps.get_mut(at)
        {
            step.notes.push(note.into());
        }
    }

    /// All steps.
    pub fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    /// What would be sent to the upstream: the message, and the headers that policies set.
    pub fn sent(&self) -> Option<(Message, HeaderMap)> {
        let state = self.state();
        state.sent.clone().map(|message| (message, state.headers.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> usize {
        let mut state = self.state();
        state.steps.push(Step::default());
        state.steps.len() - 1
    }

    /// The request is before this layer.
    fn enter(&self, index: usize, request: &Request) {
        let mut state = self.state();
        state.pass(index, request);
        state.at = index;
        state.sent = None;
        state.steps[index] = Step { before: Some(Before::of(request)), ..Step::default() };
    }

    /// Something came to the end of the chain.
    pub(super) fn arrive(&self, request: &Request) {
        if !is_rehearsed(request) {
            return;
        }
        let mut state = self.state();
        let end = state.steps.len();
        state.pass(end, request);
        state.sent = request.body().message().cloned();
        state.headers = own_headers(request);
    }

    /// The layer where the request is asked what nobody can say.
    pub(super) fn ask_in_vain(&self, why: &str) {
        let mut state = self.state();
        let at = state.at;
        if let Some(step) = state.steps.get_mut(at) {
            step.in_vain = Some(why.to_owned());
        }
    }

    /// Was the layer refused an answer, and did it not let the request go on as it would have?
    fn must_be_passed_by(&self, index: usize) -> bool {
        let step = &self.state().steps[index];
        step.in_vain.is_some() && !matches!(step.verdict, Verdict::Passed)
    }

    fn leave(&self, index: usize, response: &Response) {
        let mut state = self.state();
        let decided = response.extensions().get().map_or(&[][..], |Decisions(decided)| decided);
        let own = decided.get(state.decided..).unwrap_or_default().to_vec();
        state.decided = decided.len();
        let step = &mut state.steps[index];
        step.decided = own;
        step.listed = listed(response);
        if let Some(why) = &step.in_vain {
            step.verdict = Verdict::NotJudged(why.clone());
        } else if let Verdict::NotReached = step.verdict {
            step.verdict = Verdict::of(response);
        }
    }

    fn asks(&self, more: bool) {
        let mut state = self.state();
        state.asking = if more { state.asking + 1 } else { state.asking.saturating_sub(1) };
    }
}

impl State {
    /// The layer before this one, of those that are watched, has let the request through.
    fn pass(&mut self, index: usize, request: &Request) {
        let Some(step) = self.steps[..index].iter_mut().rev().find(|step| step.before.is_some()) else { return };
        let Some(before) = &step.before else { return };
        let after = Before::of(request);
        step.changes = before.changes(&after);
        step.verdict = match unjudged(request) {
            Some(refusal) if !before.unjudged => Verdict::RefusedLast(Said::by(refusal)),
            _ => Verdict::Passed,
        };
    }
}

struct Watched {
    trace: Trace,
    index: usize,
    layer: RouteLayer,
}

impl Layer<RouteService> for Watched {
    type Service = RouteService;

    fn layer(&self, inner: RouteService) -> RouteService {
        let (trace, index, watched) = (self.trace.clone(), self.index, self.layer.layer(inner.clone()));
        RouteService::from_fn(move |request| {
            let (trace, watched, inner) = (trace.clone(), watched.clone(), inner.clone());
            Box::pin(async move {
                if !is_rehearsed(&request) {
                    trace.asks(true);
                    let answer = watched.run(request).await;
                    trace.asks(false);
                    return answer;
                }
                trace.enter(index, &request);
                let again = request.clone();
                let Ok(mut response) = watched.run(request).await;
                if trace.must_be_passed_by(index) {
                    Ok(response) = inner.run(again).await;
                }
                trace.leave(index, &response);
                Ok(response)
            })
        })
    }
}

fn is_rehearsed(request: &Request) -> bool {
    request.body().message().and_then(Message::id) == Some(ID)
}

fn own_headers(request: &Request) -> HeaderMap {
    request.extensions().get().map(|UpstreamHeaders(own)| own.clone()).unwrap_or_default()
}

impl Before {
    fn of(request: &Request) -> Self {
        let params = request.body().message().and_then(Message::params).unwrap_or("null");
        Self {
            params: serde_json::from_str(params).unwrap_or_default(),
            headers: own_headers(request),
            unjudged: unjudged(request).is_some(),
        }
    }

    fn changes(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        differing(&self.params, &after.params, "", &mut changes);
        let set = after.headers.keys().filter(|name| self.headers.get(*name) != after.headers.get(*name));
        let gone = self.headers.keys().filter(|name| !after.headers.contains_key(*name));
        changes.extend(set.chain(gone).map(|name| format!("header {name}")));
        changes
    }
}

/// The places where two values differ, as deep down as can be said. The reader of messages bounds how deep this goes.
fn differing(one: &Value, other: &Value, at: &str, found: &mut Vec<String>) {
    let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (name, value) in one {
                differing(value, other.get(name).unwrap_or(&Value::Null), &below(name), found);
            }
            found.extend(other.keys().filter(|name| !one.contains_key(*name)).map(|name| below(name)));
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differing(one, other, &below(&index.to_string()), found);
            }
        }
        _ if one == other => {}
        _ => found.push(at.to_owned()),
    }
}

/// The names in an answer that is a list of tools.
fn listed(response: &Response) -> Option<Vec<String>> {
    let answer = body(response)?;
    let tools = answer["result"]["tools"].as_array()?.iter();
    Some(tools.filter_map(|tool| tool["name"].as_str().map(ToOwned::to_owned)).collect())
}

fn body(response: &Response) -> Option<Value> {
    match response.body() {
        Reply::Full(bytes) => serde_json::from_slice(bytes).ok(),
        _ => None,
    }
}

impl Verdict {
    /// What the caller would be told, if the layer has something to say.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Self::Refused(said) | Self::RefusedLast(said) | Self::Held(said) | Self::Answered(said) => Some(said),
            Self::NotReached | Self::Passed | Self::NotJudged(_) => None,
        }
    }

    fn of(response: &Response) -> Self {
        let said = Said::of(response);
        match response.extensions().get::<Reason>() {
            Some(reason) if *reason == WOULD_WAIT => Self::Held(said),
            Some(_) => Self::Refused(said),
            None => Self::Answered(said),
        }
    }
}

impl Said {
    /// What an answer says to its caller.
    pub fn of(response: &Response) -> Self {
        let reason = response.extensions().get::<Reason>().map(|reason| reason.code());
        let body = body(response).unwrap_or_default();
        let text = |at: &str| body.pointer(at).and_then(Value::as_str).map(ToOwned::to_owned);
        let message = text("/error/message").or_else(|| text("/result/content/0/text"));
        Self {
            reason,
            message: message.unwrap_or_default(),
            remedy: text("/error/data/remedy"),
            rule: text("/error/data/rule"),
        }
    }

    fn by(refusal: &Refusal) -> Self {
        Self::of(&refusal.clone().answer(crate::kit::refusal::Addressee::default()))
    }
}
