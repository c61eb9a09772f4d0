//! Calls that wait until a person approves them.
//!
//! A policy proposes a [`Held`] call to the program's [`Approvals`]. What it is told, a [`Ticket`], says what became of it. Once
//! somebody has approved it, the policy takes it: of many callers on any node one gets it, and the call is made once. An
//! approval counts for its [`Bindings`] and for nothing else.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kit::{
    canonical::Fingerprint,
    chain::RequestId,
    clock::Timestamp,
    host::{Caller, Identity},
    pattern::{Names, Pattern, check_lists},
    policy::Problem,
    refusal::Refusal,
};

/// So many names of a list are shown to callers who wait for one of them.
const NAMED: usize = 5;

/// Who it is, such as whoever may approve. Everything that is given must fit; of a list, one of its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approver {
    /// Subjects of people, or patterns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<Pattern>>,
    /// Verified e-mail addresses, or patterns. Case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emails: Option<Vec<Pattern>>,
    /// Groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Pattern>>,
    /// Roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Pattern>>,
}

impl Approver {
    /// The lists that are given.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &[Pattern])> {
        let lists =
            [("users", &self.users), ("emails", &self.emails), ("groups", &self.groups), ("roles", &self.roles)];
        lists.into_iter().filter_map(|(name, list)| Some((name, list.as_deref()?)))
    }

    /// Reports entries below `at` that name nobody.
    pub fn check(all: &[Self], at: &str, problems: &mut Vec<Problem>) {
        for (index, approver) in all.iter().enumerate() {
            let at = format!("{at}/{index}");
            if approver.lists().next().is_none() {
                let problem = Problem::new(&at, "this names nobody");
                problems.push(problem.hint("name `users`, `emails`, `groups` or `roles`"));
            }
            check_lists(approver.lists(), &at, problems);
        }
    }

    fn named(&self) -> String {
        let lists = self.lists().map(|(name, list)| {
            let names = list.iter().take(NAMED).map(Pattern::as_str).collect::<Vec<_>>().join(" ");
            let others = list.len().saturating_sub(NAMED);
            if others == 0 { format!("{name} {names}") } else { format!("{name} {names} and {others} more") }
        });
        lists.collect::<Vec<_>>().join(" with ")
    }

    /// Is it this person? What is not known of them does not fit.
    pub fn is(&self, person: &Identity) -> bool {
        let any = |list: &Option<Vec<Pattern>>, all: &[String]| {
            list.as_deref().is_none_or(|list| Names::new(list).fit_any(all.iter().map(String::as_str)))
        };
        let user = self.users.as_deref().is_none_or(|list| Names::new(list).fit(&person.subject));
        let email = self
            .emails
            .as_deref()
            .is_none_or(|list| person.email.as_deref().is_some_and(|email| Names::in_any_case(list).fit(email)));
        let says_something = self.lists().next().is_some();
        says_something && user && email && any(&self.groups, &person.groups) && any(&self.roles, &person.roles)
    }
}

/// Who these are, for people to read.
pub fn named(approvers: &[Approver]) -> String {
    approvers.iter().map(Approver::named).collect::<Vec<_>>().join(", or ")
}

/// May this person decide about a call of `subject`?
pub fn may_decide(approvers: &[Approver], own_calls: bool, subject: &str, person: &Identity) -> bool {
    let is_own = *person.subject == *subject;
    (own_calls || !is_own) && approvers.iter().any(|approver| approver.is(person))
}

/// What an approval counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    /// Who calls.
    pub subject: Arc<str>,
    /// The path of the route.
    pub route: Arc<str>,
    /// Where the call goes.
    pub upstream: Arc<str>,
    /// The tool.
    pub tool: Arc<str>,
    /// What the call says.
    pub arguments: Fingerprint,
    /// The policy that held it, with all of its options.
    pub policy: Fingerprint,
    /// The tool's definition.
    pub definition: Fingerprint,
}

/// A call that waits for a person. Printing it does not show its arguments.
#[derive(Clone)]
pub struct Held {
    /// What an approval of it counts for.
    pub bound: Bindings,
    /// The rule that asks for the approval.
    pub rule: Arc<str>,
    /// Who may decide.
    pub approvers: Arc<[Approver]>,
    /// May they decide about calls of their own?
    pub own_calls: bool,
    /// How long it may wait, and then be made.
    pub expires_after: Duration,
    /// For the people who decide: the arguments as JSON text, without what rules take out.
    pub shown: String,
    /// Who calls.
    pub caller: Caller,
    /// The request that came first.
    pub request_id: Option<RequestId>,
    /// Is the request audited, so that what becomes of the call is too?
    pub is_audited: bool,
    /// The approval about which the caller was asked to open its page, as their client says. If it was for this call and is over,
    /// the call is told so, and nobody is asked anew.
    pub asked: Option<i64>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bound", &self.bound).field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// What became of a call that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its number, for people.
    pub number: i64,
    /// Names it among others.
    pub id: Arc<str>,
    /// The page about it.
    pub url: Option<String>,
    /// Where it stands.
    pub standing: Standing,
    /// When it is too late.
    pub expires_at: Timestamp,
    /// Did it begin to wait just now?
    pub is_new: bool,
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has decided yet.
    Proposed,
    /// It may be made, once.
    Approved,
    /// It may not be made.
    Denied(Decision),
    /// Nobody decided in time, or it was not made in time.
    Expired,
    /// It was approved, and made.
    Used,
    /// Whoever made it took it back.
    Withdrawn,
    /// It was for something else: what has changed since, such as `policy` or `definition`.
    Changed(&'static str),
}

/// What came of using an approval up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The call may be made.
    Yes,
    /// Somebody was faster.
    ByAnother,
    /// It was not given for this, or is over.
    No,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who, for people to read.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in their own words.
    pub reason: Option<String>,
}

/// An answer of the program, to come.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// Keeps calls that wait, and what was decided about them.
pub trait Approvals: fmt::Debug + Send + Sync {
    /// What became of this call. One of which nothing is known is kept, to be decided.
    fn propose<'a>(&'a self, held: &'a Held) -> Answering<'a, Ticket>;

    /// Uses an approval up, in one step: of many who ask, on any node, one is told yes. It must have been given for exactly
    /// these bindings.
    fn take<'a>(&'a self, ticket: &'a Ticket, bound: &'a Bindings) -> Answering<'a, Taken>;

    /// Waits until the call no longer waits for a decision, and says how it stands then.
    fn settled<'a>(&'a self, ticket: &'a Ticket) -> Answering<'a, Ticket>;

    /// Takes a call of this caller's own back, if it still waits. It is done later.
    fn withdraw(&self, ticket: &Ticket, subject: &str);

    /// Another number for each configuration that is in force.
    fn configuration(&self) -> u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approvers(json: serde_json::Value) -> Vec<Approver> {
        serde_json::from_value(json).unwrap()
    }

    fn person(subject: &str, groups: &[&str], email: Option<&str>) -> Identity {
        let groups = groups.iter().map(ToString::to_string).collect();
        Identity { subject: subject.into(), groups, email: email.map(Into::into), ..Identity::default() }
    }

    #[test]
    fn one_entry_must_fit_and_in_it_everything() {
        let list = approvers(serde_json::json!([
            { "groups": ["ops"], "emails": [{ "glob": "*@example.com" }] },
            { "users": ["dev|grace"] },
        ]));
        let may = |person: &Identity| may_decide(&list, false, "dev|ada", person);
        assert!(may(&person("dev|bob", &["ops"], Some("Bob@Example.com"))));
        assert!(!may(&person("dev|bob", &["ops"], None)), "the address is not known");
        assert!(!may(&person("dev|bob", &[], Some("bob@example.com"))));
        assert!(may(&person("dev|grace", &[], None)));
    }

    #[test]
    fn sec_nobody_approves_their_own_call_unless_the_rule_says_so() {
        let list = approvers(serde_json::json!([{ "groups": ["ops"] }]));
        let ada = person("dev|ada", &["ops"], None);
        assert!(!may_decide(&list, false, "dev|ada", &ada));
        assert!(may_decide(&list, true, "dev|ada", &ada));
        assert!(!may_decide(&list, true, "dev|bob", &person("dev|bob", &[], None)), "only approvers approve their own");
        assert!(!may_decide(&approvers(serde_json::json!([{}])), true, "dev|ada", &ada), "an entry that says nothing");
    }
}
