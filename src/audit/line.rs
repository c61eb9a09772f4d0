//! A row as JSON.

use std::time::Duration;

use portcullis_policies::kit::{
    audit::{Captured, End, Entry, Fault, Kept, Subject},
    decision::Decided,
    host::Caller,
    message::TargetKind,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::store::ApprovalTurn;
pub(super) use crate::wire::exact_date as date;

/// What stands in the row of a person's decision besides its place, or of a call that nobody decided about in time.
pub(super) fn of_decision(turn: &ApprovalTurn) -> String {
    let ApprovalTurn { by_name, by_subject, request_id, route, upstream, subject, tool, rule, reason, .. } = turn;
    let has_decider = by_name.is_some() || by_subject.is_some();
    let row = DecisionRow {
        approval: turn.number,
        decision: turn.state.name(),
        person: has_decider.then_some(Person { name: by_name.as_deref(), subject: by_subject.as_deref() }),
        reason: reason.as_deref(),
        decided_at: date(turn.at),
        decided_by: By { policy: "mcp-rules", rule: Some(rule) },
        request_id: request_id.as_deref(),
        route,
        upstream,
        caller: Who { subject, email: None, client: None },
        target: Target { kind: kind_name(TargetKind::Tool), name: tool },
    };
    serde_json::to_string(&row).unwrap_or_else(|_| "{}".to_owned())
}

/// What stands in the row of an entry besides its place.
pub(super) fn of(entry: &Entry) -> String {
    serde_json::to_string(&Call::of(entry)).unwrap_or_else(|_| "{}".to_owned())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a> {
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<Who<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target<'a>>,
    request_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Value<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<i64>,
    #[serde(flatten)]
    end: Option<Outcome<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DecisionRow<'a> {
    approval: i64,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<Person<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    decided_at: String,
    decided_by: By<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    route: &'a str,
    upstream: &'a str,
    caller: Who<'a>,
    target: Target<'a>,
}

/// Who decided.
#[derive(Serialize)]
struct Person<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
}

#[derive(Serialize)]
struct Who<'a> {
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
}

#[derive(Serialize)]
struct Target<'a> {
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<By<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Wrong>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    milliseconds: Milliseconds,
    sent: u8,
    answer_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value<'a>>,
}

#[derive(Serialize)]
struct By<'a> {
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
}

#[derive(Serialize)]
struct Rule<'a> {
    policy: &'a str,
    #[serde(rename = "rule")]
    name: &'a str,
    outcome: &'a str,
}

#[derive(Serialize)]
struct Wrong {
    origin: &'static str,
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
}

#[derive(Serialize)]
struct Milliseconds {
    total: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<f64>,
}

/// What was kept of arguments or a result.
struct Value<'a>(&'a Captured);

impl<'a> Call<'a> {
    fn of(entry: &'a Entry) -> Self {
        let Subject { request_id, route, path, upstream, address, method, target, bytes } = &entry.subject;
        Self {
            stage: if entry.end.is_some() { "ended" } else { "proposed" },
            request_id: request_id.as_ref().map(|id| id.as_str()),
            route: route.as_deref(),
            path: path.as_deref(),
            upstream: upstream.as_deref(),
            address: *address,
            caller: entry.caller.as_ref().map(Who::of),
            method: method.as_deref(),
            target: target.as_ref().map(|(kind, name)| Target { kind: kind_name(*kind), name }),
            request_bytes: *bytes,
            arguments: entry.arguments.as_ref().map(Value),
            approval: entry.approval,
            end: entry.end.as_ref().map(Outcome::of),
        }
    }
}

impl<'a> Who<'a> {
    fn of(caller: &'a Caller) -> Self {
        Self { subject: &caller.subject, email: caller.email.as_deref(), client: caller.client.as_deref() }
    }
}

impl<'a> Outcome<'a> {
    fn of(end: &'a End) -> Self {
        let rule =
            |decided: &'a Decided| Rule { policy: decided.policy, name: &decided.rule, outcome: decided.outcome };
        Self {
            decision: end.decision.name(),
            decided_by: decided_by(end),
            rules: end.decided.iter().map(rule).collect(),
            error: end.fault.as_ref().map(|fault| Wrong {
                origin: fault.origin.name(),
                class: fault.class,
                reason: fault.reason,
                cause: fault.cause,
            }),
            status: end.status,
            milliseconds: Milliseconds { total: milliseconds(end.took), upstream: end.upstream.map(milliseconds) },
            sent: end.sent,
            answer_bytes: end.bytes,
            events: end.events,
            result: end.result.as_ref().map(Value),
        }
    }
}

/// The policy that decided, and its rule: the outermost one that did.
fn decided_by(end: &End) -> Option<By<'_>> {
    let final_one = |decided: &&Decided| {
        matches!(decided.outcome, "allowed" | "approved" | "denied" | "blocked" | "held" | "refused")
    };
    let policy = end.fault.as_ref().and_then(|fault: &Fault| fault.policy);
    let of_policy = |decided: &&Decided| policy.is_none_or(|policy| policy == decided.policy);
    match end.decided.iter().rev().filter(final_one).find(of_policy) {
        Some(decided) => Some(By { policy: decided.policy, rule: Some(&decided.rule) }),
        None => policy.map(|policy| By { policy, rule: None }),
    }
}

fn kind_name(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Tool => "tool",
        TargetKind::Prompt => "prompt",
        TargetKind::Resource => "resource",
        TargetKind::Task => "task",
    }
}

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1000.0
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("bytes", &self.0.bytes)?;
        match &self.0.kept {
            Kept::Digest(sum) => map.serialize_entry("sha256", &sum.to_string())?,
            Kept::Json(text) => match serde_json::from_str::<&RawValue>(text) {
                Ok(json) => map.serialize_entry("json", json)?,
                Err(_) => map.serialize_entry("text", text)?,
            },
            Kept::Cut(text) => {
                map.serialize_entry("cut", &true)?;
                map.serialize_entry("text", text)?;
            }
        }
        map.end()
    }
}
