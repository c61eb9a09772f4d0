//! Rehearsals: what a chain would do with a request, without doing it (`portcullis explain --as`).
//!
//! The chain is the route's own, built once more on a [`Stage`], with an [`end`] in the place of the upstream. Nothing on the
//! stage writes anything. Each policy declares how it takes part ([`Rehearsal`]); one that does not stands aside, and is
//! reported as not judged, so that what a policy keeps is never touched because somebody forgot to say so.

#[cfg(test)]
mod tests;
mod trace;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

pub use self::trace::{Said, Step, Trace, Verdict};
use crate::kit::{
    audit::enter,
    chain::{Inbound, Request, Response, RouteLayer, RouteService, answered, gate},
    challenge::Challenge,
    credential::OwnAnswer,
    host::{Caller, Host},
    message::{Message, Method},
    policy::Problem,
    refusal::{Addressee, CustomReason, Reason, Refusal, code},
    reply::Reply,
    scopes::ScopeRules,
    sign_in::Access,
};

/// The id of the request that is rehearsed, as JSON: what policies ask themselves on its way has another one.
pub const ID: &str = r#""rehearsal""#;

/// How a policy takes part in rehearsals.
pub enum Rehearsal<O> {
    /// Not at all: the request passes it by, and the report says that it was not judged.
    Aside,
    /// With its own layer. It keeps nothing but by its [`Host`], and asks nobody else; what it remembers by itself is gone
    /// with the chain.
    AsItIs,
    /// With another layer in its place.
    Instead(fn(O, &Stage) -> Result<RouteLayer, Vec<Problem>>),
}

impl<O> fmt::Debug for Rehearsal<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aside => "Aside",
            Self::AsItIs => "AsItIs",
            Self::Instead(_) => "Instead",
        })
    }
}

/// What stands in the chain of a rehearsal for a policy; nothing where it stands aside.
pub type Rehearsing = Result<Option<RouteLayer>, Vec<Problem>>;

/// What the chain of a rehearsal is built with.
#[derive(Clone, Debug)]
pub struct Stage {
    /// As for any layer, but that it reads what is kept and writes nothing.
    pub host: Host,
    /// Who is taken to call; nobody for a request without a credential.
    pub visitor: Option<Visitor>,
    /// What is seen of the rehearsal.
    pub trace: Trace,
}

/// Who is taken to call. No credential is shown or judged.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Who.
    pub caller: Caller,
    /// What the credential is taken to be given for; none for whatever is asked for.
    pub scopes: Option<Arc<[Box<str>]>>,
}

impl Stage {
    /// In the place of a sign-in policy that demands these scopes: lets the visitor in.
    pub fn admission(&self, rules: ScopeRules) -> RouteLayer {
        let Self { visitor, trace, .. } = self.clone();
        gate(move |request| {
            let Some(visitor) = &visitor else { return Err(Reason::SignInRequired.into()) };
            trace.note(visitor.to_string());
            visitor.check(request, &rules, &trace)?;
            enter(request, visitor.caller.clone());
            Ok(())
        })
    }
}

impl Visitor {
    fn check(&self, request: &Request, rules: &ScopeRules, trace: &Trace) -> Result<(), Refusal> {
        let missing = |scopes: &Arc<[Box<str>]>| {
            let access = Access { caller: self.caller.clone(), scopes: Arc::clone(scopes) };
            rules.missing(request.body().message(), &access)
        };
        match &self.scopes {
            None => {
                if let Some(demanded) = missing(&Arc::default()) {
                    trace.note(format!("demands the scopes {}, taken as given", demanded.join(" ")));
                }
                Ok(())
            }
            Some(scopes) => match missing(scopes) {
                None => Ok(()),
                Some(needed) => {
                    let remedy = format!("Ask for a token with these scopes: {}.", needed.join(" "));
                    let challenge = Challenge { resource_metadata: None, scopes: &needed };
                    Err(challenge.insufficient_scope().with_remedy(remedy))
                }
            },
        }
    }
}

/// As whom.
impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is taken for {}", self.caller.subject)?;
        let lists = [("groups", &self.caller.groups), ("roles", &self.caller.roles)];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            write!(f, ", {name} {}", list.join(" "))?;
        }
        self.caller.email.iter().try_for_each(|email| write!(f, ", {email}"))?;
        self.caller.client.iter().try_for_each(|client| write!(f, ", through {client}"))
    }
}

/// Why a rehearsed call is not sent which would wait for a person. Only rehearsals know it.
pub const WOULD_WAIT: Reason = Reason::Custom(&CustomReason {
    code: "would_wait_for_approval",
    status: 200,
    json_rpc_code: code::INVALID_REQUEST,
    meaning: "The call would wait until somebody approves it.",
    remedy: "Make the call, and have it approved.",
});

/// Stands in the place of the upstream. What it is asked about tools it knows from `definitions`; that there are none, and why, is
/// held against nobody: what could not be judged without them is reported so.
pub fn end(trace: Trace, definitions: Result<Vec<Value>, String>) -> RouteService {
    RouteService::from_fn(move |request| {
        let message = match request.body() {
            Inbound::Message(message) => message,
            Inbound::Refused(refusal) => return answered(refusal.clone().answer(Addressee::default())),
        };
        trace.arrive(&request);
        answered(match (message.method(), &definitions) {
            (Some(Method::ListTools), Ok(tools)) => says(message, &json!({ "result": { "tools": tools } })),
            (Some(Method::ListTools), Err(why)) => {
                trace.ask_in_vain(why);
                says(message, &json!({ "error": { "code": code::INTERNAL_ERROR, "message": why } }))
            }
            _ => silence(),
        })
    })
}

fn says(message: &Message, answer: &Value) -> Response {
    let mut answer = answer.clone();
    answer["jsonrpc"] = "2.0".into();
    answer["id"] = serde_json::from_str(message.id().unwrap_or("null")).unwrap_or_default();
    let mut response = Response::new(Reply::Full(Bytes::from(answer.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Nobody knows what a call would be answered, so nothing is said that a layer could judge.
fn silence() -> Response {
    let mut response = Response::new(Reply::Empty);
    *response.status_mut() = StatusCode::ACCEPTED;
    response.extensions_mut().insert(OwnAnswer);
    response
}
