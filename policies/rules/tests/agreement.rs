//! List and call: a tool is listed if and only if there is a call of it that the same rules do not refuse.

use std::time::Duration;

use proptest::{prelude::*, sample::select};
use serde_json::Map;
use tokio::runtime::Builder;

use super::*;

/// What must be in the arguments, at a place that only this rule looks at; what certainly fits, and what certainly does not.
/// Nothing stands for an argument that is not there.
type Condition = (Value, Option<Value>, Option<Value>);

fn comparisons() -> Vec<Condition> {
    let some = |value: Value| Some(value);
    vec![
        (json!({ "atMost": 5 }), some(json!(4)), some(json!(6))),
        (json!({ "greaterThan": 5 }), some(json!(6)), some(json!(4))),
        (json!(5), some(json!(5.0)), some(json!("6"))),
        (json!({ "exists": true }), some(json!(null)), None),
        (json!({ "exists": false }), None, some(json!({}))),
        (json!({ "oneOf": ["x", true] }), some(json!("x")), some(json!(null))),
        (json!({ "matches": "a*" }), some(json!("ab")), some(json!("b"))),
        (json!({ "notEquals": "prod", "exists": true }), some(json!("dev")), some(json!("prod"))),
    ]
}

/// Expressions in which `ARG` stands for a place of their own. Some do not look at arguments at all, and of some the rest says
/// for many tools or callers whether they fit, whatever the arguments are. Not here: one that looks at arguments and fails
/// whatever they are, which nobody can know before there are some.
fn expressions() -> Vec<Condition> {
    let (four, two) = (Some(json!(4)), Some(json!(2)));
    let all = [
        "ARG > 3",
        "tool == 'odd' && ARG > 3",
        "tool == 'odd' || ARG > 3",
        "annotations.readOnlyHint || ARG > 3",
        "caller.groups.exists(group, group == 'ops') && ARG > 3",
        "ARG > 3 && tool == 'odd'",
        "!has(ARG) || annotations.idempotentHint",
        "tool == 'odd'",
        "annotations.destructiveHint",
        "caller.email.size() > 3",
        "caller.nothing",
        "upstream == 'demo' && route != '/mcp'",
    ];
    let fitting = |source: &str| if source.contains("!has") { None } else { four.clone() };
    all.into_iter().map(|source| (source.into(), fitting(source), two.clone())).collect()
}

fn lists() -> impl Strategy<Value = Value> {
    let all = json!([
        { "tools": ["odd"] }, { "tools": ["get_note", "write_note"] }, { "tools": [{ "glob": "*_note" }] },
        { "tools": [{ "glob": "*" }] }, { "routes": ["/mcp"] }, { "routes": [{ "glob": "/other*" }] }, { "upstreams": ["demo"] },
        { "users": ["ada"] }, { "users": [{ "glob": "*b*" }] }, { "emails": [{ "glob": "ADA@*" }] }, { "groups": ["ops"] },
        { "roles": [{ "glob": "adm*" }] }, { "clients": ["cli"] }, { "time": { "from": "08:00", "to": "18:00" } },
        { "time": { "from": "18:00", "to": "08:00", "zone": "Europe/Berlin" } }, { "time": { "days": ["sat", "sun"] } },
        { "annotations": { "readOnlyHint": true } }, { "annotations": { "destructiveHint": true, "openWorldHint": true } },
        { "annotations": { "idempotentHint": false } },
    ]);
    let part = select(all.as_array().unwrap().clone());
    prop::collection::vec(part, 0..3).prop_map(|parts| {
        let members = parts.iter().flat_map(|part| part.as_object().unwrap().clone());
        Value::Object(members.collect())
    })
}

fn actions() -> impl Strategy<Value = Value> {
    let deny = json!({ "action": "deny" });
    let remedied = json!({ "action": "deny", "remedy": "Ask." });
    let asks = json!({ "action": "require_approval", "approvers": [{ "groups": ["ops"] }], "waitSeconds": 0 });
    prop_oneof![
        3 => Just(json!({ "action": "allow" })),
        2 => Just(deny),
        1 => Just(remedied),
        1 => Just(asks),
        1 => Just(json!({ "action": "redact_arguments", "redact": ["/x"] })),
        1 => Just(json!({ "action": "redact_result", "redact": ["/x"] })),
        1 => Just(json!({ "action": "log" })),
    ]
}

/// Rules, and for each what its conditions on arguments need.
#[derive(Clone, Debug)]
struct RuleSet {
    options: Value,
    /// By rule: the arguments that fit, and those that do not.
    arguments: Vec<[Map<String, Value>; 2]>,
}

fn rule_sets() -> impl Strategy<Value = RuleSet> {
    // To read an expression takes as long as all the rest of a rule set.
    let when = prop::option::weighted(0.1, select(expressions()));
    let compared = prop::option::weighted(0.3, select(comparisons()));
    let mode = prop_oneof![4 => Just("enforce"), 1 => Just("shadow")];
    let rule = (lists(), actions(), mode, compared, when);
    (prop::collection::vec(rule, 0..6), select(vec!["allow", "deny"])).prop_map(|(rules, default)| {
        let mut all = RuleSet { options: json!({ "rules": [], "default": default }), arguments: Vec::new() };
        for (at, (mut fits, mut rule, mode, compared, when)) in rules.into_iter().enumerate() {
            let mut arguments = [Map::new(), Map::new()];
            let mut note = |name: String, fitting: Option<Value>, other: Option<Value>| {
                for (arguments, value) in arguments.iter_mut().zip([fitting, other]) {
                    arguments.extend(value.map(|value| (name.clone(), value)));
                }
            };
            if let Some((comparison, fitting, other)) = compared {
                fits["arguments"] = json!({ format!("/place{at}"): comparison });
                note(format!("place{at}"), fitting, other);
            }
            if let Some((source, fitting, other)) = when {
                fits["when"] = source.as_str().unwrap().replace("ARG", &format!("arguments.when{at}")).into();
                note(format!("when{at}"), fitting, other);
            }
            rule["name"] = format!("rule {at}").into();
            rule["match"] = fits;
            rule["mode"] = mode.into();
            all.options["rules"].as_array_mut().unwrap().push(rule);
            all.arguments.push(arguments);
        }
        all
    })
}

impl RuleSet {
    /// If any arguments are let through, some of these are: those that fit one rule and no other, and those that fit none.
    fn candidates(&self) -> Vec<Value> {
        let of = |fitting: Option<usize>| {
            let all = self.arguments.iter().enumerate();
            let chosen = all.flat_map(|(at, [fits, other])| if fitting == Some(at) { fits } else { other });
            Value::Object(chosen.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        (0..self.arguments.len()).map(Some).chain([None]).map(of).collect()
    }

    /// What is no answer to what the rules ask.
    fn odd_arguments() -> [Value; 3] {
        [json!({}), json!([1]), json!({ "place0": [], "Place1": 5, "when2": "x", "when3": {} })]
    }
}

fn callers() -> Vec<Option<Caller>> {
    let admin = Identity { roles: vec!["admin".to_owned()], ..(*caller("ada")).clone() };
    let unknown = Identity { subject: "eve".into(), ..Identity::default() };
    vec![Some(admin.into()), Some(caller("bob")), Some(unknown.into()), None]
}

/// A Friday at noon, and the night after it.
fn times() -> Vec<Timestamp> {
    let noon = Timestamp::from_seconds(1_795_176_000);
    vec![noon, noon.plus(Duration::from_hours(11))]
}

/// Held calls are not refused.
fn passes(judgement: &Judgement<'_>) -> bool {
    judgement.is_allowed || judgement.approval.is_some()
}

/// The rules themselves, about every tool, also where the upstream could not be asked.
fn judge(set: &RuleSet, caller: Option<&Caller>, now: Timestamp) -> Result<(), TestCaseError> {
    let parsed: RulesOptions = serde_json::from_value(set.options.clone()).unwrap();
    let rules = Rules::new(&parsed).unwrap();
    let candidates = set.candidates();
    for tool in tools().as_array().unwrap() {
        for annotations in [Annotations::of(tool), Annotations::Unknown] {
            let name = tool["name"].as_str().unwrap();
            let (route, upstream) = ("/mcp", "demo");
            let call = Call { route, upstream, tool: name, annotations, caller, arguments: None, now };
            let is_listed = rules.list(&call);
            let passes = |arguments: &Value| passes(&rules.judge(&Call { arguments: Some(arguments), ..call }));
            let good = candidates.iter().find(|arguments| passes(arguments));
            prop_assert_eq!(is_listed, good.is_some(), "{} for {:?}: {:?}", name, caller, good);
            let bad = RuleSet::odd_arguments().into_iter().find(|arguments| passes(arguments));
            prop_assert!(is_listed || bad.is_none(), "{} is not listed, and {:?} passes", name, bad);
        }
    }
    Ok(())
}

/// The same by the layer, through which a client lists and calls.
async fn ask(set: &RuleSet, who: Option<Caller>, now: Timestamp) -> Result<(), TestCaseError> {
    let clock = Arc::new(ManualClock::new(now));
    let desk = approvals::Desk::new(&clock);
    let host = Host { clock, approvals: Some(Arc::new(desk)), ..Host::default() };
    let bench =
        Bench::with(PolicyKind::of::<McpRules>().layer(&set.options, &host).unwrap()).upstream(|message| match message
            .method()
        {
            Some(Method::ListTools) => result(message, &json!({ "tools": tools() })),
            _ => result(message, &json!({})),
        });
    let call = |method: &str, params: Value| {
        let call = bench.call(method, params);
        match &who {
            Some(who) => call.fact(who.clone()).send(),
            None => call.send(),
        }
    };
    let outcome = call("tools/list", json!({})).await;
    let listed = outcome.message()["result"]["tools"].as_array().cloned().unwrap_or_default();
    for tool in tools().as_array().unwrap().iter().map(|tool| &tool["name"]) {
        let is_listed = listed.iter().any(|listed| listed["name"] == *tool);
        let mut passed = false;
        for arguments in set.candidates() {
            let outcome = call("tools/call", json!({ "name": tool, "arguments": arguments })).await;
            let is_refused = outcome.reason() == Some("denied_by_rule");
            passed |= !is_refused;
            if is_refused {
                let error = &outcome.message()["error"];
                let is_named = match error["data"]["rule"].as_str() {
                    Some(rule) => error["message"].as_str().unwrap().contains(&format!("{rule:?}")),
                    None => error["message"].as_str().unwrap().starts_with("No rule of this route allows"),
                };
                prop_assert!(is_named, "{}", error);
            }
            if passed {
                break;
            }
        }
        prop_assert_eq!(is_listed, passed, "{} for {:?}", tool, &who);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tool_is_listed_if_and_only_if_some_call_of_it_is_not_refused(
        set in rule_sets(),
        who in select(callers()),
        now in select(times()),
        also_asks in prop::bool::weighted(0.2),
    ) {
        judge(&set, who.as_ref(), now)?;
        // The layer costs many times as much as the rules in it.
        if also_asks {
            Builder::new_current_thread().enable_time().build().unwrap().block_on(ask(&set, who, now))?;
        }
    }
}
