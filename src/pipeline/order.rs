//! The order of a chain, checked from what each policy needs, gives and must precede.

use portcullis_policies::{
    kit::policy::{Fact, PolicyKind, Problem},
    rules::McpRules,
};

use crate::config::{Checked, Link, PlannedRoute};

/// What is wrong with the order of one route's policies.
pub fn order_problems(checked: &Checked, route: &PlannedRoute, kinds: &[PolicyKind]) -> Vec<Problem> {
    let chain: Vec<_> = checked.links(route).map(|(at, link)| Placed { link, at: at.as_str() }).collect();
    let mut problems = Vec::new();
    for (index, placed) in chain.iter().enumerate() {
        let (before, after) = (&chain[..index], &chain[index + 1..]);
        problems.extend(placed.needs().iter().filter_map(|fact| missing(placed, *fact, before, after, kinds)));
        problems.extend(placed.link.kind.before.iter().filter_map(|fact| too_late(placed, *fact, before)));
        problems.extend(not_outermost(placed, before));
        problems.extend(second_sign_in(placed, before));
        problems.extend(second_credential(placed, before));
        problems.extend(second_hold(placed, before));
    }
    problems
}

struct Placed<'a> {
    link: &'a Link,
    at: &'a str,
}

impl Placed<'_> {
    fn needs(&self) -> Vec<Fact> {
        match &self.link.options {
            Some(options) => self.link.kind.needs_with(options),
            None => self.link.kind.needs.to_vec(),
        }
    }

    fn gives(&self, fact: Fact) -> bool {
        self.link.kind.gives.contains(&fact)
    }

    fn name(&self) -> &str {
        &self.link.name
    }
}

fn missing(
    placed: &Placed<'_>,
    fact: Fact,
    before: &[Placed<'_>],
    after: &[Placed<'_>],
    kinds: &[PolicyKind],
) -> Option<Problem> {
    if before.iter().any(|earlier| earlier.gives(fact)) {
        return None;
    }
    let name = placed.name();
    let why = format!("`{name}` needs {} ({}), which no earlier policy gives", fact.name, fact.meaning);
    let hint = if let Some(giver) = after.iter().find(|later| later.gives(fact)) {
        format!("`{}` gives it: move `{}` before `{name}`", giver.name(), giver.name())
    } else {
        let givers: Vec<_> = kinds.iter().filter(|kind| kind.gives.contains(&fact)).map(|kind| kind.name).collect();
        match givers.as_slice() {
            [] => "none of this program's policies gives it".to_owned(),
            givers => format!("put one of these before `{name}`: {}", givers.join(", ")),
        }
    };
    Some(Problem::new(placed.at, why).hint(hint))
}

fn too_late(placed: &Placed<'_>, fact: Fact, before: &[Placed<'_>]) -> Option<Problem> {
    let giver = before.iter().find(|earlier| earlier.gives(fact))?;
    let (name, other) = (placed.name(), giver.name());
    let why = format!("`{name}` must stand before `{other}`, which gives {} ({})", fact.name, fact.meaning);
    Some(Problem::new(placed.at, why).hint(format!("move `{name}` before `{other}`")))
}

fn not_outermost(placed: &Placed<'_>, before: &[Placed<'_>]) -> Option<Problem> {
    let outer = before.first().filter(|_| placed.link.kind.outermost)?;
    let name = placed.name();
    let why = format!("`{name}` does not see what `{}` refuses, because it stands behind it", outer.name());
    Some(Problem::new(placed.at, why).hint(format!("move `{name}` to the beginning of the chain")).warning())
}

/// A second sign-in policy would ask for a second credential in the same header, so nobody could pass both.
fn second_sign_in(placed: &Placed<'_>, before: &[Placed<'_>]) -> Option<Problem> {
    let first = before.iter().find(|earlier| placed.gives(Fact::CALLER) && earlier.gives(Fact::CALLER))?;
    let (name, other) = (placed.name(), first.name());
    let why = format!("`{name}` signs callers in, as `{other}` has done already; a request has only one credential");
    let extra = if name == other { "one of the two".to_owned() } else { format!("`{name}` or `{other}`") };
    let hint = format!("remove {extra}: a route has exactly one sign-in policy");
    Some(Problem::new(placed.at, why).hint(hint))
}

/// Two credentials for one upstream: nobody could say which of them it sees.
fn second_credential(placed: &Placed<'_>, before: &[Placed<'_>]) -> Option<Problem> {
    let gives = |placed: &Placed<'_>| placed.gives(Fact::UPSTREAM_CREDENTIAL);
    let first = before.iter().find(|earlier| gives(placed) && gives(earlier))?;
    let (name, other) = (placed.name(), first.name());
    let why = format!("`{name}` gives the credential for the upstream, as `{other}` has done already");
    let extra = if name == other { "one of the two".to_owned() } else { format!("`{name}` or `{other}`") };
    Some(Problem::new(placed.at, why).hint(format!("remove {extra}: an upstream sees exactly one credential")))
}

/// One call cannot wait for two approvals: each would be that of another call.
fn second_hold(placed: &Placed<'_>, before: &[Placed<'_>]) -> Option<Problem> {
    let holds = |placed: &Placed<'_>| placed.link.kind == PolicyKind::of::<McpRules>() && placed.link.needs_store();
    let first = before.iter().find(|earlier| holds(placed) && holds(earlier))?;
    let why = format!("`{}` holds calls until they are approved, as `{}` does already", placed.name(), first.name());
    Some(Problem::new(placed.at, why).hint("put all rules that require approval into one of them"))
}
