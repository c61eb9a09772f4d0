//! The pages of the audit log.

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use crate::{
    approvals::pretty,
    audit::{DECISIONS, Found},
    oauth::{
        Parameters, SEAL,
        pages::{plain, show},
    },
    store,
};

/// The newest rows that fit.
#[derive(Template)]
#[template(path = "audit.html", config = "src/console/pages/askama.toml")]
pub(in crate::console) struct Audit {
    pub(in crate::console) host: String,
    pub(in crate::console) account: String,
    /// The route by whose sign-in they are signed in.
    pub(in crate::console) way: String,
    pub(in crate::console) sealed: String,
    pub(in crate::console) filter: Filter,
    pub(in crate::console) rows: Vec<AuditEntry>,
    /// Where older ones are.
    pub(in crate::console) next: Option<String>,
    pub(in crate::console) notice: Option<String>,
}

/// Which rows are looked for, as it was typed in.
#[derive(Default)]
pub(in crate::console) struct Filter {
    pub(in crate::console) user: String,
    pub(in crate::console) route: String,
    pub(in crate::console) tool: String,
    pub(in crate::console) decision: String,
    pub(in crate::console) reason: String,
    pub(in crate::console) since: String,
}

/// One row, in short.
pub(in crate::console) struct AuditEntry {
    /// Where all of it is.
    path: String,
    at: String,
    who: String,
    what: String,
    route: String,
    outcome: String,
    /// It was let through, or somebody approved it.
    is_well: bool,
}

impl Filter {
    pub(in crate::console) fn of(parameters: &Parameters) -> Self {
        let text = |name| parameters.get(name).unwrap_or_default().trim().to_owned();
        Self {
            user: text("user"),
            route: text("route"),
            tool: text("tool"),
            decision: text("decision"),
            reason: text("reason"),
            since: text("since"),
        }
    }

    pub(in crate::console) fn pairs(&self) -> [(&'static str, &str); 6] {
        let Self { user, route, tool, decision, reason, since } = self;
        [("user", user), ("route", route), ("tool", tool), ("decision", decision), ("reason", reason), ("since", since)]
    }

    fn decisions(&self) -> impl Iterator<Item = (&'static str, bool)> {
        DECISIONS.into_iter().map(|decision| (decision, decision == self.decision))
    }
}

impl Audit {
    pub(in crate::console) fn show(&self, target: Option<String>) -> Response {
        show(if self.notice.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, self, target)
    }
}

impl AuditEntry {
    pub(in crate::console) fn of(found: &Found) -> Self {
        let row = &found.row;
        let text = |place: &str| row.pointer(place).and_then(Value::as_str).map(plain);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "\u{2013}".to_owned());
        let what = [text("/method"), text("/target/name")].into_iter().flatten().collect::<Vec<_>>().join(" ");
        Self {
            path: format!("/audit/{}/{}", text("/chain").unwrap_or_default(), row["number"]),
            at: or_dash(text("/at")),
            who: or_dash(text("/caller/email").or_else(|| text("/caller/subject"))),
            what: if row["kind"] == "gap" {
                format!("{} rows are missing here: they were lost", row["lost"])
            } else {
                or_dash(Some(what).filter(|what| !what.is_empty()))
            },
            route: or_dash(text("/route").or_else(|| text("/path"))),
            is_well: row["decision"] == "allowed" || row["decision"] == "approved",
            outcome: outcome(found, &text),
        }
    }
}

/// What was decided, by whom, and why.
fn outcome(found: &Found, text: &impl Fn(&str) -> Option<String>) -> String {
    if found.end_unknown {
        return "end unknown".to_owned();
    }
    let person = text("/person/name").or_else(|| text("/person/subject"));
    let policy = text("/decidedBy/policy").map(|policy| {
        let rule = text("/decidedBy/rule").map(|rule| format!(" {rule}")).unwrap_or_default();
        format!("{policy}{rule}")
    });
    let by = person.or(policy).map(|by| format!("by {by}"));
    let why = text("/error/reason").or_else(|| text("/error/class")).or_else(|| text("/reason"));
    [text("/decision"), by, why].into_iter().flatten().collect::<Vec<_>>().join(" \u{b7} ")
}

/// All of one row.
#[derive(Template)]
#[template(path = "audit_row.html", config = "src/console/pages/askama.toml")]
pub(in crate::console) struct AuditRow {
    host: String,
    account: String,
    chain: String,
    number: i64,
    content: String,
}

impl AuditRow {
    pub(in crate::console) fn new(host: String, account: String, row: &store::AuditRow) -> Self {
        let store::AuditRow { chain, number, line, .. } = row;
        Self { host, account, chain: plain(chain), number: *number, content: pretty(line) }
    }

    pub(in crate::console) fn show(&self) -> Response {
        show(StatusCode::OK, self, None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(row: Value) -> AuditEntry {
        AuditEntry::of(&Found { row, end_unknown: false })
    }

    #[test]
    fn a_row_says_who_decided_a_person_before_a_rule() {
        let decided_by = json!({ "policy": "mcp-rules", "rule": "deletions" });
        let held = entry(json!({ "kind": "call", "decision": "held", "decidedBy": decided_by }));
        assert_eq!((&*held.outcome, held.is_well), ("held \u{b7} by mcp-rules deletions", false));
        let person = json!({ "name": "grace", "subject": "dev|grace" });
        let approved = entry(json!({
            "kind": "decision", "decision": "approved", "decidedBy": decided_by, "person": person,
            "reason": "it is old", "caller": { "subject": "dev|ada" }, "target": { "name": "delete_note" },
        }));
        assert_eq!((&*approved.outcome, approved.is_well), ("approved \u{b7} by grace \u{b7} it is old", true));
        assert_eq!((&*approved.who, &*approved.what), ("dev|ada", "delete_note"));
    }

    #[test]
    fn a_request_without_a_message_is_shown_without_a_method() {
        assert_eq!(entry(json!({ "kind": "call", "decision": "denied" })).what, "\u{2013}");
    }
}
