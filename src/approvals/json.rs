//! Calls that wait, as programs read them: on the command line, and by the REST API.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ApprovalView, Asked};
use crate::{store::ApprovalRecord, wire::date};

/// A call that waits for a decision, or waited for one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Approval")]
pub struct ApprovalJson {
    /// Its number.
    number: i64,
    /// `proposed`, `approved`, `denied`, `executed`, `expired`, `withdrawn` or `changed`.
    state: &'static str,
    /// Who calls.
    subject: String,
    /// The path of the route.
    route: String,
    /// Where the call goes.
    upstream: String,
    /// The tool.
    tool: String,
    /// The rule that holds it.
    rule: String,
    /// The request that came first.
    request_id: Option<String>,
    /// When it came (RFC 3339).
    created_at: String,
    /// When it is too late.
    expires_at: String,
    /// Who decided.
    decided_by: Option<String>,
    /// When.
    decided_at: Option<String>,
    /// Why, in their own words.
    reason: Option<String>,
}

/// The same with what it says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HeldCall")]
pub struct HeldJson {
    #[serde(flatten)]
    call: ApprovalJson,
    /// The arguments as JSON text, without what rules take out.
    arguments: String,
    /// What the caller is called.
    name: Option<String>,
    /// Their e-mail address.
    email: Option<String>,
    /// The program through which they call.
    client: Option<String>,
    /// May whoever asks decide about it, as it stands now?
    may_decide: bool,
}

impl From<&ApprovalRecord> for ApprovalJson {
    fn from(record: &ApprovalRecord) -> Self {
        Self {
            number: record.number,
            state: record.state.name(),
            subject: record.subject.clone(),
            route: record.route.clone(),
            upstream: record.upstream.clone(),
            tool: record.tool.clone(),
            rule: record.rule.clone(),
            request_id: record.request_id.clone(),
            created_at: date(record.created_at),
            expires_at: date(record.expires_at),
            decided_by: record.decided_by.clone(),
            decided_at: record.decided_at.map(date),
            reason: record.reason.clone(),
        }
    }
}

impl From<ApprovalView> for HeldJson {
    fn from(view: ApprovalView) -> Self {
        let Asked { arguments, name, email, client } = view.asked;
        let (call, may_decide) = (ApprovalJson::from(&view.record), view.may_decide);
        Self { call, arguments, name, email, client, may_decide }
    }
}
