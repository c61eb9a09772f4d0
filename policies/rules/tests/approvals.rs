//! Calls that wait for a person, with a program that keeps them in memory.

mod pages;
mod permits;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{super::*, caller};
use crate::kit::{
    approval::{Answering, Approvals, Bindings, Decision, Held, Standing, Taken, Ticket},
    bench::{Bench, Outcome, result},
    clock::{Clock, ManualClock, Timestamp},
    credential::UpstreamTarget,
    decision::{LateDecisions, Undecided},
    host::Host,
    policy::PolicyKind,
    unjudged::ChainEnd,
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Keeps one call for each that somebody makes, as a program would.
#[derive(Debug)]
pub(super) struct Desk {
    clock: Arc<ManualClock>,
    calls: Mutex<Vec<(Held, Ticket, bool)>>,
    broken: AtomicBool,
    configuration: AtomicU64,
}

impl Desk {
    pub(super) fn new(clock: &Arc<ManualClock>) -> Self {
        let (broken, configuration) = (AtomicBool::new(false), AtomicU64::new(1));
        Self { clock: Arc::clone(clock), calls: Mutex::default(), broken, configuration }
    }

    fn decide(&self, standing: Standing) {
        self.calls.lock().unwrap().last_mut().expect("a call that waits").1.standing = standing;
    }

    fn held(&self) -> Vec<Held> {
        self.calls.lock().unwrap().iter().map(|(held, ..)| held.clone()).collect()
    }
}

fn is_same_call(one: &Bindings, other: &Bindings) -> bool {
    (&one.subject, &one.route, &one.tool, one.arguments) == (&other.subject, &other.route, &other.tool, other.arguments)
}

impl Approvals for Desk {
    fn propose<'a>(&'a self, held: &'a Held) -> Answering<'a, Ticket> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(Reason::ApprovalUnavailable.into());
            }
            let mut calls = self.calls.lock().unwrap();
            let number = i64::try_from(calls.len()).unwrap() + 1;
            let known = calls.iter().position(|(known, _, used)| !used && is_same_call(&known.bound, &held.bound));
            if let Some(index) = known {
                let (known, ticket, _) = &calls[index];
                let mut ticket = ticket.clone();
                let ours = (&known.bound.upstream, known.bound.policy, known.bound.definition);
                let theirs = (&held.bound.upstream, held.bound.policy, held.bound.definition);
                let is_over = ticket.expires_at <= self.clock.now();
                if is_over || ours != theirs {
                    ticket.standing = if is_over { Standing::Expired } else { Standing::Changed("definition") };
                    calls.remove(index);
                }
                return Ok(ticket);
            }
            let expires_at = self.clock.now().plus(held.expires_after);
            let ticket = Ticket {
                number,
                id: number.to_string().into(),
                url: Some(format!("https://gw.example/approvals/{number}")),
                standing: Standing::Proposed,
                expires_at,
                is_new: false,
            };
            calls.push((held.clone(), ticket.clone(), false));
            Ok(Ticket { is_new: true, ..ticket })
        })
    }

    fn take<'a>(&'a self, ticket: &'a Ticket, bound: &'a Bindings) -> Answering<'a, Taken> {
        Box::pin(async move {
            let mut calls = self.calls.lock().unwrap();
            let fits = |(held, known, used): &&mut (Held, Ticket, bool)| {
                known.id == ticket.id && !*used && known.standing == Standing::Approved && held.bound == *bound
            };
            Ok(calls.iter_mut().find(fits).map_or(Taken::No, |(_, _, used)| {
                *used = true;
                Taken::Yes
            }))
        })
    }

    fn settled<'a>(&'a self, ticket: &'a Ticket) -> Answering<'a, Ticket> {
        Box::pin(async move {
            loop {
                let now = self.calls.lock().unwrap().iter().find(|(_, known, _)| known.id == ticket.id).cloned();
                match now {
                    Some((_, now, _)) if now.standing == Standing::Proposed => sleep(Duration::from_millis(100)).await,
                    Some((_, now, _)) => return Ok(now),
                    None => return Ok(Ticket { standing: Standing::Expired, ..ticket.clone() }),
                }
            }
        })
    }

    fn withdraw(&self, ticket: &Ticket, subject: &str) {
        let mut calls = self.calls.lock().unwrap();
        let own =
            |(held, known, _): &&mut (Held, Ticket, bool)| known.id == ticket.id && &*held.bound.subject == subject;
        if let Some((_, known, _)) = calls.iter_mut().find(own) {
            known.standing = Standing::Withdrawn;
        }
    }

    fn configuration(&self) -> u64 {
        self.configuration.load(Ordering::SeqCst)
    }
}

struct Story {
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    description: Arc<Mutex<&'static str>>,
    made: Arc<AtomicUsize>,
    bench: Bench,
}

impl Story {
    fn new(rules: &Value) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let (desk, description) = (Arc::new(Desk::new(&clock)), Arc::new(Mutex::new("Deletes a note.")));
        let made = Arc::new(AtomicUsize::new(0));
        let bench = bench(rules, &desk, &clock, &description, &made);
        Self { desk, clock, description, made, bench }
    }

    /// The same program with other rules, as after a reload.
    fn with_rules(&self, rules: &Value) -> Bench {
        bench(rules, &self.desk, &self.clock, &self.description, &self.made)
    }

    async fn call(&self, who: &str, arguments: &str) -> Outcome {
        call(&self.bench, who, arguments).await
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }
}

fn bench(
    rules: &Value,
    desk: &Arc<Desk>,
    clock: &Arc<ManualClock>,
    description: &Arc<Mutex<&'static str>>,
    made: &Arc<AtomicUsize>,
) -> Bench {
    behind(layer(rules, desk, clock, ChainEnd::Open), description, made)
}

fn layer(rules: &Value, desk: &Arc<Desk>, clock: &Arc<ManualClock>, chain_end: ChainEnd) -> RouteLayer {
    let host = Host {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        approvals: Some(Arc::clone(desk) as Arc<dyn Approvals>),
        chain_end,
        ..Host::default()
    };
    PolicyKind::of::<McpRules>().layer(rules, &host).unwrap()
}

/// An upstream with a tool that deletes.
fn behind(layer: RouteLayer, description: &Arc<Mutex<&'static str>>, made: &Arc<AtomicUsize>) -> Bench {
    let (description, made) = (Arc::clone(description), Arc::clone(made));
    Bench::with(layer).upstream(move |message| match message.method() {
        Some(Method::ListTools) => {
            let described = *description.lock().unwrap();
            let tools =
                json!([{ "name": "delete_note", "description": described, "inputSchema": { "type": "object" } }]);
            result(message, &json!({ "tools": tools }))
        }
        Some(Method::CallTool) => {
            made.fetch_add(1, Ordering::SeqCst);
            result(message, &json!({ "content": [], "structuredContent": { "done": true } }))
        }
        _ => result(message, &json!({})),
    })
}

async fn call(bench: &Bench, who: &str, arguments: &str) -> Outcome {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"delete_note","arguments":{arguments}}}}}"#
    );
    bench.post(text).fact(caller(who)).send().await
}

fn rules() -> Value {
    json!({ "rules": [
        { "name": "deletes", "match": { "tools": [{ "glob": "delete_*" }] }, "action": "require_approval",
          "approvers": [{ "groups": ["ops"] }], "expiresAfterSeconds": 600, "waitSeconds": 0 },
        { "name": "rest", "action": "allow" },
    ] })
}

fn is_pending(outcome: &Outcome) -> bool {
    let result = &outcome.message()["result"];
    let pending = result["_meta"]["portcullis/approval"]["state"] == "pending";
    assert_eq!(pending, result["isError"] == true);
    pending
}

fn outcomes(outcome: &Outcome) -> Vec<&'static str> {
    outcome.facts.get::<Decisions>().unwrap().0.iter().map(|decided| decided.outcome).collect()
}

#[tokio::test]
async fn a_call_waits_is_approved_and_is_made_once() {
    let story = Story::new(&rules());
    let first = story.call("bob", r#"{"id":7}"#).await;
    assert!(is_pending(&first), "{first:?}");
    let text = first.message()["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("approval #1") && text.contains("https://gw.example/approvals/1"), "{text}");
    assert_eq!(outcomes(&first), ["held"]);
    assert!(is_pending(&story.call("bob", r#"{"id":7}"#).await));
    assert_eq!((story.desk.held().len(), story.made()), (1, 0), "repeating asks nobody twice");
    story.desk.decide(Standing::Approved);
    let done = story.call("bob", r#"{ "id": 7.0 }"#).await;
    assert_eq!(done.message()["result"]["structuredContent"]["done"], true);
    assert_eq!(outcomes(&done), ["approved"]);
    assert!(is_pending(&story.call("bob", r#"{"id":7}"#).await), "the approval is used up");
    assert_eq!(story.made(), 1);
}

#[tokio::test]
async fn a_call_that_was_denied_says_who_and_why() {
    let story = Story::new(&rules());
    story.call("bob", "{}").await;
    let decision = Decision { by: "grace".to_owned(), at: START, reason: Some("that is the only copy".to_owned()) };
    story.desk.decide(Standing::Denied(decision));
    let denied = story.call("bob", "{}").await;
    assert_eq!(denied.reason(), Some("approval_denied"));
    let message = denied.message()["error"]["message"].as_str().unwrap();
    assert!(["grace", "only copy", "2027-01-15T08:00:00Z"].iter().all(|part| message.contains(part)), "{message}");
    assert_eq!((outcomes(&denied), story.made()), (vec!["refused"], 0));
}

#[tokio::test]
async fn a_call_that_nobody_decides_in_time_is_told_so_and_may_be_asked_for_again() {
    let story = Story::new(&rules());
    story.call("bob", "{}").await;
    story.clock.advance(Duration::from_mins(10));
    story.desk.decide(Standing::Approved);
    assert_eq!(story.call("bob", "{}").await.reason(), Some("approval_expired"), "also if it was approved");
    assert!(is_pending(&story.call("bob", "{}").await));
    assert_eq!(story.made(), 0);
}

/// Approves a call of bob's, and makes this one.
async fn after_approval(story: &Story, make: impl AsyncFnOnce(&Story) -> Outcome) -> Outcome {
    assert!(is_pending(&story.call("bob", r#"{"id":7}"#).await));
    story.desk.decide(Standing::Approved);
    let outcome = make(story).await;
    assert_eq!(story.made(), 0, "{outcome:?}");
    outcome
}

#[tokio::test]
async fn sec_an_approval_does_not_count_for_another_caller() {
    let story = Story::new(&rules());
    assert!(is_pending(&after_approval(&story, async |story| story.call("ada", r#"{"id":7}"#).await).await));
}

#[tokio::test]
async fn sec_an_approval_does_not_count_for_other_arguments() {
    for arguments in [r#"{"id":8}"#, r#"{"id":"7"}"#, r#"{"id":7,"force":true}"#, r#"{"id":7.0000000000000000001}"#] {
        let story = Story::new(&rules());
        assert!(is_pending(&after_approval(&story, async |story| story.call("bob", arguments).await).await));
    }
}

#[tokio::test]
async fn sec_an_approval_does_not_count_with_something_beside_the_arguments() {
    for beside in [
        json!({ "_meta": { "vendor/force": true } }),
        json!({ "task": {} }),
        json!({ "inputResponses": { "sure": { "action": "accept" } }, "requestState": "s" }),
    ] {
        let story = Story::new(&rules());
        let outcome = after_approval(&story, async |story| {
            let mut params = json!({ "name": "delete_note", "arguments": { "id": 7 } });
            params.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
            story.bench.call("tools/call", params).fact(caller("bob")).send().await
        });
        assert!(is_pending(&outcome.await), "{beside}");
        assert!(story.desk.held().last().unwrap().shown.contains(r#""id":7"#));
    }
    let story = Story::new(&rules());
    let outcome = after_approval(&story, async |story| {
        let call = story.bench.call("tools/call", json!({ "name": "delete_note", "arguments": { "id": 7 } }));
        call.fact(caller("bob")).header("mcp-param-force", "true").send().await
    });
    assert!(is_pending(&outcome.await), "a header that repeats an argument");
}

#[tokio::test]
async fn what_clients_say_of_themselves_is_no_part_of_a_call() {
    let story = Story::new(&rules());
    assert!(is_pending(&story.call("bob", r#"{"id":7}"#).await));
    story.desk.decide(Standing::Approved);
    let meta = json!({ "progressToken": 3, "io.modelcontextprotocol/clientInfo": { "name": "c", "version": "2" } });
    let params = json!({ "name": "delete_note", "arguments": { "id": 7 }, "_meta": meta });
    let outcome = story.bench.call("tools/call", params).fact(caller("bob")).send().await;
    assert_eq!(outcome.message()["result"]["structuredContent"]["done"], true);
}

#[tokio::test]
async fn sec_an_approval_does_not_count_on_another_route_or_at_another_upstream() {
    let story = Story::new(&rules());
    let params = || json!({ "name": "delete_note", "arguments": { "id": 7 } });
    let outcome = after_approval(&story, async |story| {
        let elsewhere = UpstreamTarget("https://other.example/mcp".into());
        story.bench.call("tools/call", params()).fact(caller("bob")).fact(elsewhere).send().await
    });
    assert_eq!(outcome.await.reason(), Some("approval_changed"));
    let story = Story::new(&rules());
    let outcome = after_approval(&story, async |story| {
        let mut arrival = story.bench.call("ping", json!({})).send().await.reached.remove(0).facts;
        let mut arrival = arrival.remove::<crate::kit::chain::Arrival>().unwrap();
        arrival.route = "/other".into();
        story.bench.call("tools/call", params()).fact(caller("bob")).fact(arrival).send().await
    });
    assert!(is_pending(&outcome.await));
}

#[tokio::test]
async fn sec_an_approval_does_not_count_once_the_rules_are_others() {
    let mut other = rules();
    other["rules"][1]["name"] = "everything else".into();
    let story = Story::new(&rules());
    let outcome = after_approval(&story, async |story| call(&story.with_rules(&other), "bob", r#"{"id":7}"#).await);
    assert_eq!(outcome.await.reason(), Some("approval_changed"));
    let denying = json!({ "rules": [{ "name": "no", "action": "deny" }] });
    let story = Story::new(&rules());
    let outcome = after_approval(&story, async |story| call(&story.with_rules(&denying), "bob", r#"{"id":7}"#).await);
    assert_eq!(outcome.await.reason(), Some("denied_by_rule"));
}

#[tokio::test]
async fn sec_an_approval_does_not_count_once_the_tool_is_another_however_short_ago_it_was_listed() {
    let story = Story::new(&rules());
    let outcome = after_approval(&story, async |story| {
        *story.description.lock().unwrap() = "Deletes all notes.";
        story.call("bob", r#"{"id":7}"#).await
    });
    let outcome = outcome.await;
    assert_eq!(outcome.reason(), Some("approval_changed"));
    assert_eq!(outcome.message()["error"]["data"]["changed"], "definition");
    assert!(is_pending(&story.call("bob", r#"{"id":7}"#).await), "it may be asked for once more");
}

#[tokio::test]
async fn of_many_repetitions_one_is_made() {
    let story = Story::new(&rules());
    story.call("bob", "{}").await;
    story.desk.decide(Standing::Approved);
    let calls: Vec<_> = (0..32).map(|_| story.call("bob", "{}")).collect();
    let mut done = 0;
    for call in calls {
        done += usize::from(!is_pending(&call.await));
    }
    assert_eq!((done, story.made()), (1, 1));
}

#[tokio::test]
async fn whoever_decides_sees_what_would_be_sent_without_what_rules_take_out() {
    let mut rules = rules();
    let redact = json!({ "name": "keys", "action": "redact_arguments", "redact": ["/key"] });
    rules["rules"].as_array_mut().unwrap().insert(0, redact);
    let story = Story::new(&rules);
    story.call("bob", r#"{"id":12345678901234567890123,"key":"s3cret"}"#).await;
    assert_eq!(story.desk.held()[0].shown, r#"{"id":12345678901234567890123,"key":"[redacted]"}"#);
    assert!(!format!("{:?}", story.desk.held()).contains("123456789"), "printing it shows no arguments");
    story.desk.decide(Standing::Approved);
    let other = story.call("bob", r#"{"id":12345678901234567890123,"key":"an0ther"}"#).await;
    assert!(is_pending(&other), "what is not shown is bound all the same");
    let made = story.call("bob", r#"{"id":12345678901234567890123,"key":"s3cret"}"#).await;
    let sent = made.reached.last().unwrap().message.params().unwrap();
    assert!(sent.contains(r#""key":"[redacted]""#) && story.made() == 1, "{sent}");
}

#[tokio::test]
async fn fault_a_call_that_nobody_can_be_asked_about_is_not_made() {
    let story = Story::new(&rules());
    story.desk.broken.store(true, Ordering::SeqCst);
    assert_eq!(story.call("bob", "{}").await.reason(), Some("approval_unavailable"));
    let story = Story::new(&rules());
    let long = format!(r#"{{"text":"{}"}}"#, "a".repeat(300 << 10));
    assert_eq!(story.call("bob", &long).await.reason(), Some("denied_by_rule"));
    let story = Story::new(&rules());
    let params = json!({ "name": "delete_everything", "arguments": {} });
    let unknown = story.bench.call("tools/call", params).fact(caller("bob")).send().await;
    assert_eq!(unknown.reason(), Some("approval_unavailable"), "the upstream lists no such tool");
    assert_eq!(story.made(), 0);
}

#[tokio::test]
async fn a_tool_whose_calls_wait_is_listed_and_a_rule_that_is_tried_out_holds_nothing() {
    let story = Story::new(&rules());
    let listed = story.bench.call("tools/list", json!({})).fact(caller("bob")).send().await;
    assert_eq!(listed.message()["result"]["tools"][0]["name"], "delete_note");
    let mut tried = rules();
    tried["rules"][0]["mode"] = "shadow".into();
    let story = Story::new(&tried);
    let outcome = story.call("bob", "{}").await;
    assert_eq!((outcomes(&outcome), story.made()), (vec!["would_hold", "allowed"], 1));
}

#[test]
fn nobody_approves_by_accident() {
    let problems = |rule: Value| {
        let host = Host { approvals: None, ..Host::default() };
        let options = json!({ "rules": [rule] });
        let problems = PolicyKind::of::<McpRules>().layer(&options, &host).unwrap_err();
        problems.into_iter().map(|problem| (problem.at, problem.why)).collect::<BTreeMap<_, _>>()
    };
    let found = problems(json!({ "name": "a", "action": "require_approval" }));
    assert_eq!(found["/rules/0"], "it is not said who may approve");
    let rule = json!({ "name": "a", "action": "require_approval", "approvers": [{}, { "groups": [] }, { "users": ["a*"] }],
                       "expiresAfterSeconds": 0 });
    let found = problems(rule);
    assert!(
        [
            "/rules/0/approvers/0",
            "/rules/0/approvers/1/groups",
            "/rules/0/approvers/2/users/0",
            "/rules/0/expiresAfterSeconds"
        ]
        .iter()
        .all(|at| found.contains_key(*at)),
        "{found:#?}"
    );
    let found =
        problems(json!({ "name": "a", "action": "deny", "approvers": [{ "groups": ["ops"] }], "ownCalls": true }));
    assert!(found.contains_key("/rules/0/approvers") && found.contains_key("/rules/0/ownCalls"));
    let rule = json!({ "name": "a", "action": "require_approval", "approvers": [{ "groups": ["ops"] }] });
    assert_eq!(problems(rule)["/rules/0/action"], "this program keeps no calls that wait");
}

/// Rules whose answers are held open for a minute.
fn patient() -> Value {
    let mut rules = rules();
    rules["rules"][0]["waitSeconds"] = 60.into();
    rules
}

fn with_progress() -> Value {
    json!({ "name": "delete_note", "arguments": { "id": 7 }, "_meta": { "progressToken": "p" } })
}

/// What a stream told of its progress.
fn progress(outcome: &Outcome) -> Vec<&Value> {
    outcome.messages.iter().filter(|message| message["method"] == "notifications/progress").collect()
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_held_open_says_what_it_waits_for_and_comes_once_somebody_approved() {
    let story = Story::new(&patient());
    let call = story.bench.call("tools/call", with_progress()).fact(caller("bob")).send();
    let approve = async {
        sleep(Duration::from_secs(25)).await;
        story.desk.decide(Standing::Approved);
    };
    let began = Instant::now();
    let (outcome, ()) = tokio::join!(call, approve);
    assert!(outcome.streamed && began.elapsed() < Duration::from_secs(26), "at once");
    assert_eq!(outcome.message()["result"]["structuredContent"]["done"], true);
    let told = progress(&outcome);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0]["params"]["progressToken"], "p");
    assert_eq!(told[0]["params"]["message"], "waiting for approval #1: https://gw.example/approvals/1");
    assert_eq!(outcomes(&outcome), ["held"]);
    let late: Vec<_> = outcome.facts.get::<LateDecisions>().unwrap().0.iter().flat_map(Undecided::take).collect();
    assert_eq!(late.iter().map(|decided| decided.outcome).collect::<Vec<_>>(), ["approved"]);
    assert_eq!(story.made(), 1);
}

/// What was decided after the stream began.
fn later(outcome: &Outcome) -> Vec<&'static str> {
    let LateDecisions(late) = outcome.facts.get().unwrap();
    late.iter().flat_map(Undecided::take).map(|decided| decided.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn what_becomes_of_a_call_whose_answer_is_held_open_is_counted_once() {
    let mut rules = patient();
    let tried_out = json!({ "name": "tried out", "mode": "shadow", "action": "deny" });
    rules["rules"].as_array_mut().unwrap().insert(0, tried_out);
    let story = Story::new(&rules);
    let call = story.bench.call("tools/call", with_progress()).fact(caller("bob")).send();
    let (denied, ()) = tokio::join!(call, async {
        sleep(Duration::from_secs(5)).await;
        story.desk.decide(Standing::Denied(Decision { by: "grace".to_owned(), at: START, reason: None }));
    });
    assert_eq!((outcomes(&denied), later(&denied)), (vec!["held"], vec!["would_deny", "refused"]));
    let story = Story::new(&rules);
    let in_vain = story.bench.call("tools/call", with_progress()).fact(caller("bob")).send().await;
    assert_eq!((outcomes(&in_vain), later(&in_vain)), (vec!["held"], vec!["would_deny"]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_held_open_in_vain_says_to_repeat_the_call() {
    let story = Story::new(&patient());
    let outcome = story.bench.call("tools/call", with_progress()).fact(caller("bob")).send().await;
    assert!(outcome.streamed && is_pending(&outcome), "{outcome:?}");
    let quiet = story.call("bob", r#"{"id":7}"#).await;
    assert!(is_pending(&quiet) && progress(&quiet).is_empty(), "who asked for no progress is told none");
    assert_eq!((story.desk.held().len(), story.made()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn sec_while_an_answer_is_held_open_a_change_keeps_the_call_from_being_made() {
    let during = async |change: fn(&Story)| {
        let story = Story::new(&patient());
        let change = async {
            sleep(Duration::from_secs(5)).await;
            change(&story);
        };
        let (outcome, ()) = tokio::join!(story.call("bob", "{}"), change);
        assert_eq!(story.made(), 0, "{outcome:?}");
        outcome
    };
    let outcome = during(|story| {
        *story.description.lock().unwrap() = "Deletes all notes.";
        story.desk.decide(Standing::Approved);
    });
    assert_eq!(outcome.await.reason(), Some("approval_changed"));
    let outcome = during(|story| {
        story.desk.configuration.store(2, Ordering::SeqCst);
        story.desk.decide(Standing::Approved);
    });
    assert!(is_pending(&outcome.await), "rules that are no longer in force make no call");
    let outcome = during(|story| {
        story.desk.decide(Standing::Denied(Decision { by: "grace".to_owned(), at: START, reason: None }));
    });
    assert_eq!(outcome.await.reason(), Some("approval_denied"));
    assert_eq!(during(|story| story.desk.decide(Standing::Used)).await.reason(), Some("approval_used"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cancels_takes_its_call_back() {
    let story = Story::new(&patient());
    let cancel = async {
        sleep(Duration::from_secs(5)).await;
        let cancelled = |id: u32| {
            let params = json!({ "requestId": id });
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string()
        };
        story.bench.post(cancelled(2)).fact(caller("bob")).send().await;
        story.bench.post(cancelled(1)).fact(caller("eve")).send().await;
        assert_eq!(story.desk.calls.lock().unwrap()[0].1.standing, Standing::Proposed, "of others, or by others");
        story.bench.post(cancelled(1)).fact(caller("bob")).send().await;
    };
    let (outcome, ()) = tokio::join!(story.call("bob", "{}"), cancel);
    assert_eq!((outcome.reason(), story.made()), (Some("approval_withdrawn"), 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_2026_07_28_that_goes_away_takes_its_call_back_and_an_older_one_does_not() {
    for (meta, standing) in [
        (json!({}), Standing::Proposed),
        (
            json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {} }),
            Standing::Withdrawn,
        ),
    ] {
        let story = Story::new(&patient());
        let params = json!({ "name": "delete_note", "arguments": {}, "_meta": meta });
        let call = story.bench.call("tools/call", params).fact(caller("bob")).send();
        tokio::time::timeout(Duration::from_secs(5), call).await.unwrap_err();
        assert_eq!(story.desk.calls.lock().unwrap()[0].1.standing, standing, "{meta}");
    }
}
