//! Calls that wait until a person approves them.

use std::time::Duration;

use super::{
    bench::{Bench, T, in_minutes},
    nodes::{CALLERS, at_once},
    samples::{approval, digest},
};
use crate::store::{ApprovalDetails, ApprovalMessage, ApprovalRecord, ApprovalState, ApprovalTurn, Decider, Store};

const GRACE: Decider<'static> = Decider { name: Some("grace"), subject: None };

async fn propose(bench: &Bench, call: &ApprovalDetails) -> Option<i64> {
    bench.write(async |work| work.insert_approval(call).await).await
}

async fn decide(bench: &Bench, number: i64, approved: bool, minute: u64) -> bool {
    bench.write(async |work| work.decide_approval(number, approved, (GRACE, None), in_minutes(minute)).await).await
}

async fn take(store: &Store, wanted: &ApprovalRecord, minute: u64) -> bool {
    super::bench::write(store, &T, async |work| work.take_approval(wanted, in_minutes(minute)).await).await
}

async fn state(bench: &Bench, number: i64) -> ApprovalState {
    bench.store.approval(&T, number).await.unwrap().unwrap().record.state
}

pub(super) async fn a_call_waits_once_is_decided_once_and_is_taken_once(bench: Bench) {
    let call = approval("a", "ada");
    assert_eq!(propose(&bench, &call).await, Some(1));
    assert_eq!(bench.store.approval(&T, 1).await.unwrap(), Some(call.clone()), "it comes back as it was");
    let again =
        ApprovalDetails { record: ApprovalRecord { id: "other".to_owned(), ..call.record.clone() }, ..call.clone() };
    assert_eq!(propose(&bench, &again).await, None, "one like it waits already");
    assert!(!take(&bench.store, &call.record, 1).await, "nobody has approved it");
    assert!(decide(&bench, 1, true, 1).await);
    assert!(!decide(&bench, 1, false, 2).await, "the first decision stands");
    assert!(take(&bench.store, &call.record, 2).await);
    assert!(!take(&bench.store, &call.record, 2).await);
    let taken = bench.store.approval(&T, 1).await.unwrap().unwrap().record;
    assert_eq!((taken.state, taken.is_open), (ApprovalState::Executed, false));
    assert_eq!((taken.decided_by.as_deref(), taken.decided_at), (Some("grace"), Some(in_minutes(1))));
    let next = propose(&bench, &again).await.expect("it may be asked for anew");
    assert!(next > 1, "no number is given twice");
}

pub(super) async fn sec_of_64_that_take_an_approval_at_once_one_gets_it(bench: Bench) {
    for round in 0..5 {
        let call = approval(&format!("round {round}"), "ada");
        let number = propose(&bench, &call).await.unwrap();
        assert!(decide(&bench, number, true, 1).await);
        let wanted = call.record.clone();
        let taken = at_once(&bench, move |store, _| {
            let wanted = wanted.clone();
            async move { take(&store, &wanted, 2).await }
        });
        assert_eq!(taken.await.into_iter().filter(|taken| *taken).count(), 1, "{CALLERS} asked");
    }
}

pub(super) async fn sec_of_64_that_decide_at_once_one_does(bench: Bench) {
    let number = propose(&bench, &approval("a", "ada")).await.unwrap();
    let decided = at_once(&bench, move |store, caller| async move {
        let who = format!("approver {caller}");
        let decide = async |work: &mut crate::store::Work| {
            let by = Decider { name: Some(&who), subject: None };
            work.decide_approval(number, caller % 2 == 0, (by, Some("because")), in_minutes(1)).await
        };
        super::bench::write(&store, &T, decide).await.then_some(who)
    });
    let decided: Vec<_> = decided.await.into_iter().flatten().collect();
    let found = bench.store.approval(&T, number).await.unwrap().unwrap().record;
    assert_eq!(decided, [found.decided_by.unwrap()], "and it is this one's decision that stands");
}

pub(super) async fn sec_an_approval_is_not_taken_for_anything_else_than_it_was_given_for(bench: Bench) {
    let call = approval("a", "ada").record;
    propose(&bench, &approval("a", "ada")).await.unwrap();
    assert!(decide(&bench, 1, true, 1).await);
    let text = || "other".to_owned();
    let others: [fn(&mut ApprovalRecord, String); 8] = [
        |call, text| call.subject = text,
        |call, text| call.route = text,
        |call, text| call.upstream = text,
        |call, text| call.tool = text,
        |call, text| call.call = digest(&text),
        |call, text| call.policy = digest(&text),
        |call, text| call.definition = digest(&text),
        |call, text| call.id = text,
    ];
    for (number, change) in others.into_iter().enumerate() {
        let mut other = call.clone();
        change(&mut other, text());
        assert!(!take(&bench.store, &other, 2).await, "{number}");
    }
    assert!(!take(&bench.store, &call, 10).await, "it is too late");
    assert!(take(&bench.store, &call, 9).await);
}

pub(super) async fn what_is_too_late_or_taken_back_is_neither_decided_nor_taken(bench: Bench) {
    let calls = ["late", "withdrawn", "closed", "denied"].map(|name| approval(name, "ada"));
    for call in &calls {
        propose(&bench, call).await.unwrap();
    }
    assert!(!decide(&bench, 1, true, 10).await);
    let withdraw = async |subject| bench.write(async |w| w.withdraw_approval(2, subject, in_minutes(1)).await).await;
    assert!(!withdraw("bob").await && withdraw("ada").await && !withdraw("ada").await);
    let close = async |number| {
        bench.write(async |work| work.close_approval(number, ApprovalState::Changed, in_minutes(1)).await).await
    };
    assert!(close(3).await && !close(3).await);
    assert!(decide(&bench, 4, false, 1).await && close(4).await);
    assert_eq!(state(&bench, 4).await, ApprovalState::Denied, "what was denied stays so");
    for (call, number) in calls.iter().zip(1..) {
        assert!(!take(&bench.store, &call.record, 2).await && (number == 1 || !decide(&bench, number, true, 2).await));
    }
    let waiting = bench.store.approvals_to_decide(&T, (0, in_minutes(2)), 10).await.unwrap();
    assert_eq!(waiting.iter().map(|call| call.number).collect::<Vec<_>>(), [1]);
    assert_eq!(bench.store.approvals_to_decide(&T, (0, in_minutes(10)), 10).await.unwrap(), []);
}

pub(super) async fn ten_thousand_calls_that_wait_survive_a_restart(bench: Bench) {
    const CALLS: i64 = 10_000;
    let mut work = bench.store.begin(&T).await.unwrap();
    for number in 0..CALLS {
        let call = approval(&number.to_string(), &format!("person {}", number % 100));
        work.insert_approval(&call).await.unwrap().unwrap();
    }
    work.commit().await.unwrap();
    let restarted = bench.node().await;
    bench.store.close().await;
    let (mut after, mut found) = (0, 0);
    loop {
        let page = restarted.approvals_to_decide(&T, (after, in_minutes(1)), 500).await.unwrap();
        let Some(last) = page.last() else { break };
        (after, found) = (last.number, found + page.len());
    }
    assert_eq!((after, found), (CALLS, 10_000));
    let last = approval(&(CALLS - 1).to_string(), "person 99");
    assert_eq!(restarted.approval(&T, CALLS).await.unwrap().unwrap().call, last.call);
    let approve =
        async |work: &mut crate::store::Work| work.decide_approval(CALLS, true, (GRACE, None), in_minutes(1)).await;
    assert!(super::bench::write(&restarted, &T, approve).await);
    assert!(take(&restarted, &last.record, 2).await);
}

pub(super) async fn who_approved_what_is_kept_for_ninety_days(bench: Bench) {
    propose(&bench, &approval("a", "ada")).await.unwrap();
    let days = |days: u64| in_minutes(10).plus(Duration::from_hours(24 * days));
    bench.store.sweep(&T, days(90)).await.unwrap();
    assert!(bench.store.approval(&T, 1).await.unwrap().is_some());
    bench.store.sweep(&T, days(91)).await.unwrap();
    assert!(bench.store.approval(&T, 1).await.unwrap().is_none());
    assert_eq!(propose(&bench, &approval("a", "ada")).await, Some(2), "no number is given twice");
}

async fn turns(bench: &Bench) -> Vec<ApprovalTurn> {
    bench.write(async |work| work.take_unaudited_approvals(10).await).await
}

pub(super) async fn each_turn_of_a_call_is_handed_out_once_for_the_audit_log(bench: Bench) {
    let (audited, mut other) = (approval("a", "ada"), approval("b", "ada"));
    other.record.told.audit = false;
    propose(&bench, &audited).await.unwrap();
    propose(&bench, &other).await.unwrap();
    let by = Decider { name: Some("grace"), subject: Some("7") };
    bench.write(async |work| work.decide_approval(1, true, (by, Some("old")), in_minutes(1)).await).await;
    assert!(decide(&bench, 2, true, 1).await);
    let mut abandoned = bench.store.begin(&T).await.unwrap();
    assert_eq!(abandoned.take_unaudited_approvals(10).await.unwrap().len(), 1);
    drop(abandoned);
    assert!(bench.store.has_unaudited_approvals(&T).await.unwrap(), "what was not committed never was");
    let found = turns(&bench).await;
    let told: Vec<_> = found.iter().map(|turn| (turn.number, turn.state, turn.by_subject.as_deref())).collect();
    assert_eq!(told, [(1, ApprovalState::Approved, Some("7"))]);
    assert_eq!((found[0].reason.as_deref(), &*found[0].tool), (Some("old"), "delete_note"));
    for _ in 0..2 {
        bench.store.expire_approvals(&T, in_minutes(10), 10).await.unwrap();
    }
    let late: Vec<_> = turns(&bench).await.into_iter().map(|turn| (turn.number, turn.state)).collect();
    assert_eq!(late, [(1, ApprovalState::Expired)], "it was approved, and made by nobody");
    let close =
        async |work: &mut crate::store::Work| work.close_approval(1, ApprovalState::Expired, in_minutes(11)).await;
    assert!(bench.write(close).await);
    assert!(turns(&bench).await.is_empty() && !bench.store.has_unaudited_approvals(&T).await.unwrap());
}

pub(super) async fn fault_of_64_that_look_at_once_each_turn_is_handed_to_one(bench: Bench) {
    for number in 1..=20 {
        propose(&bench, &approval(&number.to_string(), "ada")).await.unwrap();
        assert!(decide(&bench, number, true, 1).await);
    }
    let taken = at_once(&bench, |store, _| async move {
        super::bench::write(&store, &T, async |work| work.take_unaudited_approvals(3).await).await
    });
    let mut numbers: Vec<_> = taken.await.into_iter().flatten().map(|turn| turn.number).collect();
    numbers.extend(turns(&bench).await.into_iter().map(|turn| turn.number));
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}

/// A call of which somebody gets messages.
async fn propose_telling(bench: &Bench, name: &str) -> i64 {
    let mut call = approval(name, "ada");
    call.record.told.webhook = true;
    propose(bench, &call).await.unwrap()
}

async fn messages(store: &Store, minute: u64, limit: u32) -> Vec<ApprovalMessage> {
    let (now, until) = (in_minutes(minute), in_minutes(minute + 1));
    super::bench::write(store, &T, async |work| work.take_approval_messages(now, until, limit).await).await
}

pub(super) async fn a_message_is_handed_out_until_it_has_arrived_and_not_before_it_is_due(bench: Bench) {
    propose_telling(&bench, "told").await;
    propose(&bench, &approval("not told", "ada")).await.unwrap();
    assert!(decide(&bench, 1, true, 1).await && decide(&bench, 2, true, 1).await);
    let due = async |minute| bench.store.has_approval_messages(&T, in_minutes(minute)).await.unwrap();
    assert!(due(0).await);
    let first = messages(&bench.store, 1, 10).await;
    let mut told: Vec<_> =
        first.iter().map(|message| (message.turn.number, message.turn.state, message.tries)).collect();
    told.sort_by_key(|(_, state, _)| state.name());
    assert_eq!(told, [(1, ApprovalState::Approved, 1), (1, ApprovalState::Proposed, 1)]);
    assert!(messages(&bench.store, 1, 10).await.is_empty() && !due(1).await, "somebody has them");
    let find = |state| &first.iter().find(|message| message.turn.state == state).unwrap().turn;
    let (approved, proposed) = (find(ApprovalState::Approved), find(ApprovalState::Proposed));
    bench.write(async |work| work.forget_approval_message(proposed).await).await;
    bench.write(async |work| work.delay_approval_message(approved, in_minutes(5)).await).await;
    assert!(messages(&bench.store, 4, 10).await.is_empty(), "it is not due yet");
    let again = messages(&bench.store, 5, 10).await;
    assert_eq!((again.len(), again[0].tries, &again[0].turn), (1, 2, approved));
    let after_death = messages(&bench.store, 6, 10).await;
    assert_eq!(after_death[0].tries, 3, "whoever had it did not say what became of it");
    bench.write(async |work| work.forget_approval_message(approved).await).await;
    assert!(messages(&bench.store, 9, 10).await.is_empty() && !due(9).await);
    assert_eq!(turns(&bench).await.len(), 2, "what the audit log is to hear of is another thing");
}

pub(super) async fn fault_of_64_that_look_at_once_each_message_is_handed_to_one(bench: Bench) {
    for number in 1..=20 {
        propose_telling(&bench, &number.to_string()).await;
    }
    let taken = at_once(&bench, |store, _| async move { messages(&store, 1, 3).await });
    let mut taken: Vec<_> = taken.await.into_iter().flatten().collect();
    taken.extend(messages(&bench.store, 1, 20).await);
    assert!(taken.iter().all(|message| message.tries == 1), "nobody gets what another one has");
    let mut numbers: Vec<_> = taken.iter().map(|message| message.turn.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}
