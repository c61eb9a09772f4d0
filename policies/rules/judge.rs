//! The rules, in their order.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    approval::Approval,
    condition::{Call, Condition},
    options::{Action, Default, Mode, Rule, RulesOptions},
    redact::{Path, Redaction},
    truth::Truth,
};
use crate::kit::policy::Problem;

/// What decided about a call that no rule decides: no rule can have this name.
pub(super) const DEFAULT: &str = "(default)";

/// Rules that can be applied.
#[derive(Debug)]
pub(super) struct Rules {
    in_order: Vec<Compiled>,
    default: Default,
    /// What the default is called where rules are named.
    default_name: Arc<str>,
}

#[derive(Debug)]
struct Compiled {
    name: Arc<str>,
    condition: Condition,
    action: Action,
    mode: Mode,
    redaction: Redaction,
    remedy: Option<Arc<str>>,
    /// For rules that require one.
    approval: Option<Approval>,
}

/// What came of a call.
#[derive(Debug, std::default::Default)]
pub(super) struct Judgement<'a> {
    /// Who decided; none if no rule did.
    pub(super) rule: Option<&'a Arc<str>>,
    /// What the default is called; none if it did not decide.
    pub(super) default: Option<&'a Arc<str>>,
    /// May it be made?
    pub(super) is_allowed: bool,
    /// Was there a rule of which it cannot be told whether it fits?
    pub(super) is_in_doubt: bool,
    /// What the caller can do instead.
    pub(super) remedy: Option<&'a Arc<str>>,
    /// What it must wait for, before it is made.
    pub(super) approval: Option<&'a Approval>,
    /// What does not reach the upstream.
    pub(super) arguments: Vec<&'a Redaction>,
    /// What does not reach the client.
    pub(super) result: Vec<&'a Redaction>,
    /// Rules that are tried out, and what they would have done.
    pub(super) tried_out: Vec<(&'a Arc<str>, &'static str)>,
    /// Rules that only log.
    pub(super) noted: Vec<&'a Arc<str>>,
}

impl Rules {
    pub(super) fn new(options: &RulesOptions) -> Result<Self, Vec<Problem>> {
        let (mut problems, mut names) = (Vec::new(), BTreeSet::new());
        let rules = options.rules.iter().enumerate();
        let rules: Vec<_> = rules
            .map(|(index, rule)| {
                let at = format!("/rules/{index}");
                if !names.insert(&rule.name) {
                    let problem = Problem::new(format!("{at}/name"), format!("there are two rules {:?}", rule.name));
                    problems.push(problem.hint("give each a name of its own: refusals and metrics tell them by it"));
                }
                if rule.name == DEFAULT {
                    let problem = Problem::new(format!("{at}/name"), format!("no rule can be called {DEFAULT:?}"));
                    problems.push(problem.hint("metrics and the audit call so what `default` decides"));
                }
                Compiled::new(rule, &at, &mut problems)
            })
            .collect();
        let default_name = DEFAULT.into();
        if problems.is_empty() {
            Ok(Self { in_order: rules, default: options.default, default_name })
        } else {
            Err(problems)
        }
    }

    /// Does some rule ask what the upstream says about tools?
    pub(super) fn asks_annotations(&self) -> bool {
        self.in_order.iter().any(|rule| rule.condition.asks_annotations())
    }

    /// Does some rule look at arguments?
    pub(super) fn asks_arguments(&self) -> bool {
        self.in_order.iter().any(|rule| rule.condition.asks_arguments())
    }

    /// Does some rule ask for approvals?
    pub(super) fn hold_calls(&self) -> bool {
        self.in_order.iter().any(|rule| rule.mode == Mode::Enforce && rule.approval.is_some())
    }

    /// Everything that some rule in force takes out of results.
    pub(super) fn of_results(&self) -> impl Iterator<Item = &Redaction> {
        let redact = |rule: &&Compiled| rule.mode == Mode::Enforce && rule.action == Action::RedactResult;
        self.in_order.iter().filter(redact).map(|rule| &rule.redaction)
    }

    /// What the rules say of a call.
    pub(super) fn judge(&self, call: &Call<'_>) -> Judgement<'_> {
        let mut judgement = Judgement::default();
        for rule in &self.in_order {
            let fits = rule.condition.fits(call);
            judgement.is_in_doubt |= fits == Truth::Undecided;
            if !rule.applies(fits) {
                continue;
            }
            match (rule.mode, rule.action) {
                // Whether there is something to take out is seen when it would be.
                (_, Action::RedactArguments) => judgement.arguments.push(&rule.redaction),
                (_, Action::RedactResult) => judgement.result.push(&rule.redaction),
                (Mode::Shadow, Action::Allow) => judgement.tried_out.push((&rule.name, "would_allow")),
                (Mode::Shadow, Action::Deny) => judgement.tried_out.push((&rule.name, "would_deny")),
                (Mode::Shadow, Action::RequireApproval) => judgement.tried_out.push((&rule.name, "would_hold")),
                (Mode::Shadow, Action::Log) => judgement.tried_out.push((&rule.name, "would_log")),
                (Mode::Enforce, Action::Allow | Action::Deny | Action::RequireApproval) => {
                    judgement.is_allowed = rule.action == Action::Allow;
                    judgement.approval = rule.approval.as_ref();
                    judgement.rule = Some(&rule.name);
                    judgement.remedy = rule.remedy.as_ref();
                    return judgement;
                }
                (Mode::Enforce, Action::Log) => judgement.noted.push(&rule.name),
            }
        }
        judgement.default = Some(&self.default_name);
        judgement.is_allowed = self.default == Default::Allow;
        judgement
    }

    /// Is a tool listed? `call` has no arguments. It is unless the same rules refuse every call of it.
    pub(super) fn list(&self, call: &Call<'_>) -> bool {
        for rule in self.in_order.iter().filter(|rule| rule.mode == Mode::Enforce) {
            match (rule.action, rule.condition.fits(call)) {
                (Action::Allow | Action::RequireApproval, Truth::Yes | Truth::Depends)
                | (Action::RequireApproval, Truth::Undecided | Truth::Doubtful) => return true,
                (Action::Deny, Truth::Yes | Truth::Undecided) => return false,
                _ => {}
            }
        }
        self.default == Default::Allow
    }
}

impl Compiled {
    fn new(rule: &Rule, at: &str, problems: &mut Vec<Problem>) -> Self {
        let redacts = matches!(rule.action, Action::RedactArguments | Action::RedactResult);
        let place = format!("{at}/redact");
        if redacts && rule.redact.is_empty() {
            let why = "it is not said what to take out";
            problems.push(Problem::new(at, why).hint("name the places: \"redact\": [\"/password\"]"));
        } else if !redacts && !rule.redact.is_empty() {
            let why = "this rule takes nothing out";
            problems.push(Problem::new(&place, why).hint("set `action` to `redact_arguments` or `redact_result`"));
        }
        if rule.remedy.is_some() && rule.action != Action::Deny {
            let why = "only a rule that denies says what to do instead";
            problems.push(Problem::new(format!("{at}/remedy"), why).warning());
        }
        let approval = Approval::of(rule, at, problems);
        let mut redact = Vec::new();
        for (index, pointer) in rule.redact.iter().enumerate() {
            match Path::new(pointer) {
                Some(path) => redact.push(path),
                None => problems.push(
                    Problem::new(format!("{place}/{index}"), format!("{pointer:?} is no JSON pointer to a part"))
                        .hint(format!("write \"/{}\"", pointer.trim_start_matches('/'))),
                ),
            }
        }
        let name: Arc<str> = rule.name.as_str().into();
        Self {
            redaction: Redaction { rule: Arc::clone(&name), paths: redact, is_tried_out: rule.mode == Mode::Shadow },
            name,
            condition: Condition::new(&rule.fits, &format!("{at}/match"), problems),
            action: rule.action,
            mode: rule.mode,
            remedy: rule.remedy.as_deref().map(Into::into),
            approval,
        }
    }

    /// Where it cannot be told whether it fits, a rule that allows does not, and any other does.
    fn applies(&self, fits: Truth) -> bool {
        match fits {
            Truth::Yes => true,
            Truth::Undecided => self.action != Action::Allow,
            Truth::No | Truth::Depends | Truth::Doubtful => false,
        }
    }
}
