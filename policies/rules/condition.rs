//! Whether a rule is about a call.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    arguments::Place,
    expression::Expression,
    options::{Annotation, Match},
    time::Hours,
    truth::Truth,
};
use crate::kit::{
    clock::Timestamp,
    host::Caller,
    pattern::{Names, check_lists},
    policy::Problem,
};

/// A call, or a tool in a list: then its arguments are not known yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) route: &'a str,
    pub(super) upstream: &'a str,
    pub(super) tool: &'a str,
    pub(super) annotations: Annotations,
    pub(super) caller: Option<&'a Caller>,
    pub(super) arguments: Option<&'a Value>,
    pub(super) now: Timestamp,
}

/// What an upstream says about a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Annotations {
    /// The upstream could not be asked.
    #[default]
    Unknown,
    /// In the order of [`Annotation`].
    Said([bool; 4]),
}

impl Annotations {
    /// What a definition says, and the specification's word where it says nothing.
    pub(super) fn of(definition: &Value) -> Self {
        let said = |name: &str, unsaid| definition["annotations"][name].as_bool().unwrap_or(unsaid);
        Self::Said([
            said("readOnlyHint", false),
            said("destructiveHint", true),
            said("idempotentHint", false),
            said("openWorldHint", true),
        ])
    }

    /// A tool that only reads destroys nothing, whatever is said of that (2025-11-25, "`destructiveHint`").
    fn says(self, annotation: Annotation) -> Option<bool> {
        let Self::Said([reads, destroys, repeats, reaches_out]) = self else { return None };
        Some(match annotation {
            Annotation::ReadOnlyHint => reads,
            Annotation::DestructiveHint => destroys && !reads,
            Annotation::IdempotentHint => repeats || reads,
            Annotation::OpenWorldHint => reaches_out,
        })
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "readOnlyHint": self.says(Annotation::ReadOnlyHint),
            "destructiveHint": self.says(Annotation::DestructiveHint),
            "idempotentHint": self.says(Annotation::IdempotentHint),
            "openWorldHint": self.says(Annotation::OpenWorldHint),
        })
    }
}

/// Everything that must fit.
#[derive(Debug)]
pub(super) struct Condition {
    route: Option<Names>,
    upstream: Option<Names>,
    tool: Option<Names>,
    annotations: BTreeMap<Annotation, bool>,
    caller: Option<Who>,
    places: Vec<Place>,
    hours: Option<Hours>,
    expression: Option<Arc<Expression>>,
}

#[derive(Debug)]
struct Who {
    user: Option<Names>,
    email: Option<Names>,
    group: Option<Names>,
    role: Option<Names>,
    client: Option<Names>,
}

impl Condition {
    /// `at` is the pointer of `match`.
    pub(super) fn new(fits: &Match, at: &str, problems: &mut Vec<Problem>) -> Self {
        empty_lists(fits, at, problems);
        let names = |list: &Option<Vec<_>>| list.as_deref().map(Names::new);
        let who = || Who {
            user: names(&fits.users),
            email: fits.emails.as_deref().map(Names::in_any_case),
            group: names(&fits.groups),
            role: names(&fits.roles),
            client: names(&fits.clients),
        };
        let hours = fits.time.as_ref().and_then(|time| {
            let hours = Hours::new(time);
            hours.map_err(|(name, why)| problems.push(Problem::new(format!("{at}/time/{name}"), why))).ok()
        });
        let expression = fits.when.as_deref().and_then(|source| {
            let expression = Expression::new(source);
            expression.map_err(|why| problems.push(Problem::new(format!("{at}/when"), why))).ok()
        });
        Self {
            route: names(&fits.routes),
            upstream: names(&fits.upstreams),
            tool: names(&fits.tools),
            annotations: fits.annotations.clone().unwrap_or_default(),
            caller: fits.names_callers().then(who),
            places: places(fits, at, problems),
            hours,
            expression: expression.map(Arc::new),
        }
    }

    /// Does it ask what the upstream says about the tool?
    pub(super) fn asks_annotations(&self) -> bool {
        !self.annotations.is_empty() || self.expression.as_ref().is_some_and(|expression| expression.asks_annotations())
    }

    /// Does it look at the arguments?
    pub(super) fn asks_arguments(&self) -> bool {
        !self.places.is_empty() || self.expression.as_ref().is_some_and(|expression| expression.asks_arguments())
    }

    pub(super) fn fits(&self, call: &Call<'_>) -> Truth {
        let is = |names: &Option<Names>, name: &str| names.as_ref().is_none_or(|names| names.fit(name));
        if !(is(&self.route, call.route) && is(&self.upstream, call.upstream) && is(&self.tool, call.tool)) {
            return Truth::No;
        }
        let caller = match (&self.caller, call.caller) {
            (None, _) => Truth::Yes,
            (Some(who), Some(caller)) => who.fits(caller),
            (Some(_), None) => Truth::Undecided,
        };
        if !self.hours.as_ref().is_none_or(|hours| hours.hold(call.now)) {
            return Truth::No;
        }
        let annotations =
            self.annotations.iter().map(|(annotation, wanted)| match call.annotations.says(*annotation) {
                Some(said) => (said == *wanted).into(),
                None => Truth::Undecided,
            });
        let places = self.places.iter().map(|place| match call.arguments {
            Some(arguments) => place.fits(arguments),
            None => Truth::Depends,
        });
        let expression = self.expression.iter().map(|expression| expression.fits(call));
        Truth::all([caller].into_iter().chain(annotations).chain(places).chain(expression))
    }
}

impl Who {
    /// An address that is not verified and a client that is not named are not known. Nobody can tell no groups from groups
    /// that are not told.
    fn fits(&self, caller: &Caller) -> Truth {
        let is = |names: &Option<Names>, name: Option<&str>| match (names, name) {
            (None, _) => Truth::Yes,
            (Some(names), Some(name)) => names.fit(name).into(),
            (Some(_), None) => Truth::Undecided,
        };
        let any = |names: &Option<Names>, all: &[String]| {
            names.as_ref().is_none_or(|names| names.fit_any(all.iter().map(String::as_str))).into()
        };
        Truth::all([
            is(&self.user, Some(&caller.subject)),
            is(&self.email, caller.email.as_deref()),
            any(&self.group, &caller.groups),
            any(&self.role, &caller.roles),
            is(&self.client, caller.client.as_deref()),
        ])
    }
}

/// A list that nothing fits, and a pattern that is not marked as one, make a rule that never does anything.
fn empty_lists(fits: &Match, at: &str, problems: &mut Vec<Problem>) {
    check_lists(fits.lists(), at, problems);
    if fits.time.as_ref().is_some_and(|time| time.days.as_ref().is_some_and(Vec::is_empty)) {
        problems.push(Problem::new(format!("{at}/time/days"), "no day is in an empty list"));
    }
}

fn places(fits: &Match, at: &str, problems: &mut Vec<Problem>) -> Vec<Place> {
    let mut places = Vec::new();
    for (pointer, comparison) in fits.arguments.iter().flatten() {
        let escaped = pointer.replace('~', "~0").replace('/', "~1");
        let problem = |why: &str, hint: &str| Problem::new(format!("{at}/arguments/{escaped}"), why).hint(hint);
        match Place::new(pointer, comparison) {
            Some(place) if place.is_empty() => {
                problems.push(problem("no comparison is given", "write a value, or { \"exists\": true }"));
            }
            Some(place) => places.push(place),
            None => problems.push(problem("this is no JSON pointer", &format!("write \"/{pointer}\""))),
        }
    }
    places
}
