mod audited;
mod names;

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::{
    approval::{Approvals, Approver, Bindings, Held, Standing, Taken, Ticket},
    canonical::Fingerprint,
    clock::{Clock, ManualClock, Timestamp},
    host::{Caller, Identity},
};
use serde_json::json;
use tempfile::TempDir;

use super::{ApprovalDesk, Handle, NotDecided, Verdict, Who};
use crate::store::{ApprovalState, Location, MasterKey, Store, Tenant};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const KEY: &str = "b1f0c97a62d3e8445f0e9d7a3c21886bd4e7f1095a6c3b82e9470d15fca8632e";

struct Story {
    desk: ApprovalDesk,
    handle: Handle,
    clock: Arc<ManualClock>,
    folder: TempDir,
}

async fn store(folder: &TempDir, clock: &Arc<ManualClock>) -> Store {
    store_with(folder, clock, KEY).await
}

async fn store_with(folder: &TempDir, clock: &Arc<ManualClock>, keys: &str) -> Store {
    let location = Location::parse("sqlite:store.db", folder.path()).unwrap();
    Store::open(&location, MasterKey::parse(keys).unwrap(), Arc::clone(clock) as Arc<dyn Clock>).await.unwrap()
}

impl Story {
    async fn begin() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::new(START)));
        Self::on(folder, clock).await
    }

    async fn on(folder: TempDir, clock: Arc<ManualClock>) -> Self {
        Self::on_key(folder, clock, KEY).await
    }

    async fn on_key(folder: TempDir, clock: Arc<ManualClock>, keys: &str) -> Self {
        let store = store_with(&folder, &clock, keys).await;
        let origin = Some("https://gw.example".to_owned());
        let desk = ApprovalDesk::new(store, Tenant::DEFAULT, Arc::clone(&clock) as Arc<dyn Clock>, origin);
        let handle = Handle::default();
        handle.open(desk.clone());
        Self { desk, handle, clock, folder }
    }

    async fn propose(&self, held: &Held) -> Ticket {
        self.handle.propose(held).await.unwrap()
    }

    async fn takes(&self, ticket: &Ticket, bound: &Bindings) -> bool {
        self.handle.take(ticket, bound).await.unwrap() == Taken::Yes
    }

    async fn approve(&self, number: i64, who: &Identity) -> Result<ApprovalState, NotDecided> {
        let decided = self.desk.decide(number, Who::Person(who), Verdict::Approve, Some(" looks fine ")).await;
        decided.map(|record| record.state)
    }
}

fn person(name: &str) -> Identity {
    Identity { subject: format!("dev|{name}").as_str().into(), name: Some(name.to_owned()), ..Identity::default() }
}

/// A call of ada's, which grace and ada may approve.
fn held() -> Held {
    let approvers: Vec<Approver> = serde_json::from_value(json!([{ "users": ["dev|grace", "dev|ada"] }])).unwrap();
    let of = |text: &str| Fingerprint::of_bytes(text.as_bytes());
    Held {
        bound: Bindings {
            subject: "dev|ada".into(),
            route: "/mcp".into(),
            upstream: "https://notes.example/mcp".into(),
            tool: "delete_note".into(),
            arguments: of("arguments"),
            policy: of("policy"),
            definition: of("definition"),
        },
        rule: "deletes".into(),
        approvers: approvers.into(),
        own_calls: false,
        expires_after: Duration::from_mins(10),
        shown: r#"{"id":7}"#.to_owned(),
        caller: Caller::from(person("ada")),
        request_id: None,
        is_audited: true,
        asked: None,
    }
}

/// Changes what an approval counts for.
type Change = fn(&mut Bindings);

fn is_unknown(outcome: &Result<ApprovalState, NotDecided>) -> bool {
    matches!(outcome, Err(NotDecided::Unknown))
}

#[tokio::test]
async fn a_call_is_asked_about_once_decided_once_and_made_once() {
    let story = Story::begin().await;
    let held = held();
    let ticket = story.propose(&held).await;
    assert_eq!((ticket.number, ticket.url.as_deref()), (1, Some("https://gw.example/approvals/1")));
    assert!(ticket.is_new);
    let again = Ticket { is_new: false, ..ticket.clone() };
    assert_eq!(story.propose(&held).await, again, "repeating asks nobody twice");
    assert!(!story.takes(&ticket, &held.bound).await, "nobody has approved it");
    assert_eq!(story.approve(1, &person("grace")).await.unwrap(), ApprovalState::Approved);
    let second = story.desk.decide(1, Who::Operator("an operator"), Verdict::Deny, None).await;
    let Err(NotDecided::Settled(settled)) = second else { panic!("{second:?}") };
    assert_eq!(settled.decided_by.as_deref(), Some("grace (dev|grace)"), "the other is told who was first");
    assert_eq!(story.propose(&held).await.standing, Standing::Approved);
    assert!(story.takes(&ticket, &held.bound).await);
    assert!(!story.takes(&ticket, &held.bound).await);
    assert_eq!(story.propose(&held).await.standing, Standing::Proposed, "the next one is asked about anew");
}

#[tokio::test]
async fn sec_each_binding_that_changes_while_a_call_waits_keeps_it_from_being_made() {
    let changes: [(&str, Change); 7] = [
        ("another call", |bound| bound.subject = "dev|bob".into()),
        ("another call", |bound| bound.route = "/other".into()),
        ("another call", |bound| bound.tool = "delete_all".into()),
        ("another call", |bound| bound.arguments = Fingerprint::of_bytes(b"others")),
        ("upstream", |bound| bound.upstream = "https://evil.example/mcp".into()),
        ("policy", |bound| bound.policy = Fingerprint::of_bytes(b"others")),
        ("definition", |bound| bound.definition = Fingerprint::of_bytes(b"another")),
    ];
    for (what, change) in changes {
        let story = Story::begin().await;
        let ticket = story.propose(&held()).await;
        story.approve(1, &person("grace")).await.unwrap();
        let mut other = held();
        change(&mut other.bound);
        assert!(!story.takes(&ticket, &other.bound).await, "{what}");
        let told = story.propose(&other).await.standing;
        match what {
            "another call" => assert_eq!(told, Standing::Proposed),
            what => {
                assert_eq!(told, Standing::Changed(what));
                assert!(!story.takes(&ticket, &held().bound).await, "nor for what it was before");
                assert_eq!(story.propose(&other).await.standing, Standing::Proposed, "it may be asked for anew");
            }
        }
    }
}

#[tokio::test]
async fn sec_only_approvers_decide_and_nobody_about_their_own_call() {
    let story = Story::begin().await;
    story.propose(&held()).await;
    assert!(is_unknown(&story.approve(1, &person("bob")).await), "bob is no approver, and learns nothing");
    assert!(is_unknown(&story.approve(1, &person("ada")).await), "ada is one, but not for herself");
    assert!(is_unknown(&story.approve(2, &person("grace")).await));
    assert_eq!(story.desk.waiting_for(Who::Person(&person("grace"))).await.unwrap().len(), 1);
    for nobody in ["ada", "bob"] {
        assert!(story.desk.waiting_for(Who::Person(&person(nobody))).await.unwrap().is_empty());
    }
    assert!(story.desk.view(1, Who::Person(&person("bob"))).await.unwrap().is_none());
    let own = story.desk.view(1, Who::Person(&person("ada"))).await.unwrap().unwrap();
    assert!(own.is_own && !own.may_decide && own.asked.arguments == r#"{"id":7}"#);
    let story = Story::begin().await;
    story.propose(&Held { own_calls: true, ..held() }).await;
    assert_eq!(story.approve(1, &person("ada")).await.unwrap(), ApprovalState::Approved, "where the rule says so");
}

#[tokio::test]
async fn a_call_is_taken_back_by_whoever_made_it_and_by_nobody_else() {
    let story = Story::begin().await;
    let ticket = story.propose(&held()).await;
    let withdraw = async |who: &Identity| story.desk.decide(1, Who::Person(who), Verdict::Withdraw, None).await;
    assert!(withdraw(&person("grace")).await.is_err());
    assert_eq!(withdraw(&person("ada")).await.unwrap().state, ApprovalState::Withdrawn);
    let late = story.approve(1, &person("grace")).await;
    assert!(matches!(late, Err(NotDecided::Settled(_))), "{late:?}");
    assert!(!story.takes(&ticket, &held().bound).await);
}

#[tokio::test]
async fn a_no_is_told_until_it_expires_and_a_time_out_is_told_once() {
    let story = Story::begin().await;
    story.propose(&held()).await;
    let who = person("grace");
    story.desk.decide(1, Who::Person(&who), Verdict::Deny, Some("not today")).await.unwrap();
    for _ in 0..2 {
        let Standing::Denied(decision) = story.propose(&held()).await.standing else { panic!() };
        assert_eq!(decision.reason.as_deref(), Some("not today"));
    }
    story.clock.advance(Duration::from_mins(10));
    let second = story.propose(&held()).await;
    assert_eq!((second.number, &second.standing), (2, &Standing::Proposed), "later it may be asked for anew");
    story.clock.advance(Duration::from_mins(10));
    let late = story.approve(2, &who).await;
    assert!(matches!(late, Err(NotDecided::Settled(record)) if record.state == ApprovalState::Expired));
    assert_eq!(story.propose(&held()).await.standing, Standing::Expired);
    assert_eq!(story.propose(&held()).await.standing, Standing::Proposed);
}

#[tokio::test]
async fn a_call_whose_client_was_asked_to_look_at_its_page_is_told_of_that_one_and_of_no_other() {
    let story = Story::begin().await;
    story.propose(&held()).await;
    let returning = Held { asked: Some(1), ..held() };
    assert_eq!(story.propose(&returning).await.standing, Standing::Proposed);
    let withdraw = story.desk.decide(1, Who::Person(&person("ada")), Verdict::Withdraw, None).await;
    assert_eq!(withdraw.unwrap().state, ApprovalState::Withdrawn);
    let over = story.propose(&returning).await;
    assert_eq!((over.number, over.standing), (1, Standing::Withdrawn), "nobody is asked anew");
    let mut other = returning.clone();
    other.bound.subject = "dev|bob".into();
    let other = story.propose(&other).await;
    assert_eq!(
        (other.number, other.standing),
        (2, Standing::Proposed),
        "who names an approval of others learns nothing"
    );
    assert_eq!(story.propose(&held()).await.number, 3, "without the state it is a call like any other");
}

#[tokio::test]
async fn what_waits_survives_a_restart() {
    let story = Story::begin().await;
    let ticket = story.propose(&held()).await;
    let Story { desk, handle, clock, folder } = story;
    desk.0.store.close().await;
    drop(handle);
    let story = Story::on(folder, clock).await;
    assert_eq!(story.propose(&held()).await, Ticket { is_new: false, ..ticket.clone() });
    story.approve(1, &person("grace")).await.unwrap();
    assert!(story.takes(&ticket, &held().bound).await);
}

#[tokio::test]
async fn fault_nobody_is_asked_before_the_store_is_open() {
    let refused = Handle::default().propose(&held()).await.unwrap_err();
    assert_eq!(refused.reason().code(), "approval_unavailable");
}
