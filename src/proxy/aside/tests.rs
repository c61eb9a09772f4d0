//! Mailboxes, without a network.

use std::{future::poll_fn, sync::Arc, time::Duration};

use portcullis_policies::kit::{
    credential::UpstreamCredential,
    reply::{Event, EventSource},
};
use serde_json::{Value, json};
use tokio::time::{advance, timeout};

use super::{Asides, Injected, Mailbox, Place, speaks_aside};
use crate::proxy::session::Owner;

const IDLE: Duration = Duration::from_mins(5);

fn event(message: &Value) -> Event {
    Event::message(message.to_string().as_bytes())
}

fn news(number: usize) -> Event {
    event(&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "number": number } }))
}

/// A stream that never says anything itself.
struct Silent;

impl EventSource for Silent {
    fn poll_event(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Event>> {
        std::task::Poll::Pending
    }
}

fn stream(mailbox: &Arc<Mailbox>) -> Injected {
    Injected::new(Box::new(Silent), mailbox.inlet())
}

/// The next number that comes, if one comes.
async fn next(stream: &mut Injected) -> Option<u64> {
    let event = timeout(Duration::from_millis(1), poll_fn(|context| stream.poll_event(context))).await.ok()??;
    serde_json::from_slice::<Value>(event.data()?).ok()?["params"]["number"].as_u64()
}

#[tokio::test(start_paused = true)]
async fn tr_18_the_oldest_open_stream_takes_what_comes_and_the_next_one_after_it() {
    let mailbox = Arc::new(Mailbox::new(IDLE));
    let (mut first, mut second) = (stream(&mailbox), stream(&mailbox));
    mailbox.put(news(1));
    assert_eq!(next(&mut second).await, None);
    assert_eq!(next(&mut first).await, Some(1));
    drop(first);
    mailbox.put(news(2));
    assert_eq!(next(&mut second).await, Some(2));
    drop(second);
    mailbox.put(news(3));
    assert_eq!(next(&mut stream(&mailbox)).await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn tr_18_of_too_much_that_waits_the_oldest_goes_and_no_question_is_lost() {
    let mailbox = Arc::new(Mailbox::new(IDLE));
    let question = |id: usize| event(&json!({ "jsonrpc": "2.0", "id": id, "method": "roots/list" }));
    let asked = (0..20).filter(|id| mailbox.ask(question(*id), json!(id))).count();
    assert_eq!(asked, 16);
    (0..100).for_each(|number| mailbox.put(news(number)));
    assert!(mailbox.overdue().is_empty());
    advance(Duration::from_secs(10)).await;
    assert_eq!(mailbox.overdue().len(), 16, "each is told that nobody answers");
    assert!(!mailbox.was_asked("3"), "it reached no client");
    let mut stream = stream(&mailbox);
    assert_eq!(next(&mut stream).await, Some(100 - 48));
}

#[tokio::test(start_paused = true)]
async fn sb_05_a_mailbox_is_one_session_s_of_one_caller_on_one_route_and_is_given_up_when_idle() {
    let asides = Asides::default();
    let credential = |connection: &str| UpstreamCredential::new(connection, 1, Vec::new());
    let (one, other) = (credential("one"), credential("other"));
    let routes: [Arc<str>; 2] = ["/a".into(), "/b".into()];
    let mut seen = Vec::<Arc<Mailbox>>::new();
    for route in &routes {
        for credential in [&one, &other] {
            for subject in ["ada", "bob"] {
                for session in ["1", "2"] {
                    let place = Place { route, owner: Owner { credential: Some(credential), subject }, session };
                    let mailbox = asides.mailbox(place, IDLE).unwrap();
                    assert!(seen.iter().all(|earlier| !Arc::ptr_eq(earlier, &mailbox)));
                    assert!(Arc::ptr_eq(&mailbox, &asides.mailbox(place, IDLE).unwrap()));
                    seen.push(mailbox);
                }
            }
        }
    }
    let place = Place { route: &routes[0], owner: Owner { credential: Some(&one), subject: "ada" }, session: "1" };
    let same = |mailbox: &Arc<Mailbox>| Arc::ptr_eq(mailbox, &asides.mailbox(place, IDLE).unwrap());
    let first = Arc::downgrade(&seen[0]);
    advance(IDLE).await;
    asides.sweep();
    assert!(same(&seen[0]), "somebody uses it");
    seen.clear();
    asides.sweep();
    assert!(first.upgrade().is_none());
}

#[tokio::test]
async fn one_caller_has_so_many_mailboxes_and_the_oldest_makes_room() {
    let asides = Asides::default();
    let route: Arc<str> = "/a".into();
    let mailbox = |session: &str| {
        let owner = Owner { credential: None, subject: "ada" };
        asides.mailbox(Place { route: &route, owner, session }, IDLE).unwrap()
    };
    let first = Arc::downgrade(&mailbox("0"));
    for session in 1..=Asides::OF_ONE {
        mailbox(&session.to_string());
    }
    assert!(first.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn sb_05_callers_who_did_not_sign_in_take_no_place_of_those_who_did() {
    let asides = Asides::default();
    let routes: [Arc<str>; 2] = ["/open".into(), "/signed-in".into()];
    let shared = UpstreamCredential::new("everybody's", 1, Vec::new());
    let strangers = |credential, session: usize| {
        let owner = Owner { credential, subject: "" };
        asides.mailbox(Place { route: &routes[0], owner, session: &session.to_string() }, IDLE)
    };
    let held: Vec<_> = (0..Asides::OF_NOBODY).map(|session| strangers(None, session).unwrap()).collect();
    assert!(strangers(None, Asides::OF_NOBODY).is_none());
    assert!(strangers(Some(&shared), 0).is_none(), "a connection that all share tells nobody apart");
    let ada = Place { route: &routes[1], owner: Owner { credential: None, subject: "ada" }, session: "1" };
    assert!(asides.mailbox(ada, IDLE).is_some());
    drop(held);
    advance(IDLE).await;
    asides.sweep();
    assert!(strangers(None, Asides::OF_NOBODY).is_some(), "what was given up is free");
}

#[test]
fn whether_anything_may_come_is_told_by_both_sides_capabilities() {
    let speaks = |client: Value, server: Value| {
        speaks_aside(Some(&json!({ "capabilities": client }).to_string()), &json!({ "capabilities": server }))
    };
    assert!(!speaks(json!({}), json!({})));
    assert!(!speaks(json!({}), json!({ "tools": {}, "resources": { "subscribe": false } })));
    assert!(speaks(json!({}), json!({ "logging": {} })));
    assert!(speaks(json!({}), json!({ "tools": { "listChanged": true } })));
    assert!(speaks(json!({}), json!({ "resources": { "subscribe": true } })));
    assert!(speaks(json!({ "elicitation": {} }), json!({})));
}

#[tokio::test]
async fn fault_what_waits_is_bounded_in_bytes_too_and_the_newest_stays() {
    let mailbox = Arc::new(Mailbox::new(IDLE));
    let large = |number: usize| {
        let params = json!({ "number": number, "pad": "x".repeat(900 << 10) });
        event(&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": params }))
    };
    (0..5).for_each(|number| mailbox.put(large(number)));
    let mut stream = stream(&mailbox);
    assert_eq!([next(&mut stream).await, next(&mut stream).await, next(&mut stream).await], [Some(3), Some(4), None]);
    let question = |bytes: usize| mailbox.ask(event(&json!({ "pad": "x".repeat(bytes) })), json!(1));
    assert!(question(1 << 20) && question(900 << 10) && !question(900 << 10));
}

#[tokio::test]
async fn sec_a19_who_hears_of_changes_is_told_that_it_is_over() {
    let mailbox = Arc::new(Mailbox::new(IDLE));
    let changed = || event(&json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    mailbox.put(changed());
    assert!(mailbox.has_news(), "nobody hears of changes, so it waits for a call");
    let mut changes = mailbox.changes();
    mailbox.put(changed());
    assert!(changes.recv().await.is_ok());
    mailbox.close();
    assert!(changes.recv().await.is_err() && mailbox.is_gone());
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_once_for_a_stream_that_does_not_open() {
    let mailbox = Mailbox::new(IDLE);
    let began = tokio::time::Instant::now();
    mailbox.opened().await;
    let waited = began.elapsed();
    assert!(!waited.is_zero() && waited <= Duration::from_millis(501), "{waited:?}");
    mailbox.opened().await;
    assert_eq!(began.elapsed(), waited);
}
