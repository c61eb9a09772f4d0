//! What a rule says about the approvals that it asks for.

use std::{sync::Arc, time::Duration};

use super::options::{Action, Rule};
use crate::kit::{approval::Approver, policy::Problem};

const AN_HOUR: u32 = 60 * 60;
const A_WEEK: u32 = 7 * 24 * AN_HOUR;
/// Clients wait a minute for an answer, many of them.
const USUAL_WAIT: u32 = 30;
const LONGEST_WAIT: u32 = 5 * 60;

/// Whose approval a rule asks for.
#[derive(Debug)]
pub(super) struct Approval {
    pub(super) approvers: Arc<[Approver]>,
    pub(super) own_calls: bool,
    pub(super) expires_after: Duration,
    /// For how long an answer is held open.
    pub(super) wait: Duration,
}

impl Approval {
    /// None for rules that ask for none.
    pub(super) fn of(rule: &Rule, at: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if rule.action != Action::RequireApproval {
            superfluous(rule, at, problems);
            return None;
        }
        check_approvers(rule, at, problems);
        let seconds = rule.expires_after_seconds.unwrap_or(AN_HOUR);
        if !(1..=A_WEEK).contains(&seconds) {
            let problem = Problem::new(format!("{at}/expiresAfterSeconds"), "a call waits from a second to a week");
            problems.push(problem.hint(format!("write a number from 1 to {A_WEEK}")));
        }
        let wait = rule.wait_seconds.unwrap_or(USUAL_WAIT);
        if wait > LONGEST_WAIT {
            let problem = Problem::new(format!("{at}/waitSeconds"), "no answer is held open for so long");
            problems.push(problem.hint(format!("write a number up to {LONGEST_WAIT}")));
        }
        Some(Self {
            approvers: rule.approvers.as_slice().into(),
            own_calls: rule.own_calls,
            expires_after: Duration::from_secs(seconds.into()),
            wait: Duration::from_secs(wait.into()),
        })
    }
}

fn check_approvers(rule: &Rule, at: &str, problems: &mut Vec<Problem>) {
    if rule.approvers.is_empty() {
        let problem = Problem::new(at, "it is not said who may approve");
        problems.push(problem.hint("name them: \"approvers\": [{ \"groups\": [\"ops\"] }]"));
    }
    Approver::check(&rule.approvers, &format!("{at}/approvers"), problems);
}

/// Whoever says who approves means that somebody is asked.
fn superfluous(rule: &Rule, at: &str, problems: &mut Vec<Problem>) {
    let said = [
        ("approvers", !rule.approvers.is_empty()),
        ("expiresAfterSeconds", rule.expires_after_seconds.is_some()),
        ("waitSeconds", rule.wait_seconds.is_some()),
        ("ownCalls", rule.own_calls),
    ];
    for (name, _) in said.into_iter().filter(|(_, is_said)| *is_said) {
        let problem = Problem::new(format!("{at}/{name}"), "nobody is asked by this rule");
        problems.push(problem.hint("set `action` to `require_approval`"));
    }
}
