//! Approvals are used up where calls leave for the upstream.

use super::*;
use crate::kit::{
    chain::{around, gate, stack},
    permit::use_permits,
};

/// A story with another layer between the rules and the end of the chain.
fn with_layer(between: RouteLayer) -> Story {
    let clock = Arc::new(ManualClock::new(START));
    let (desk, description) = (Arc::new(Desk::new(&clock)), Arc::new(Mutex::new("Deletes a note.")));
    let made = Arc::new(AtomicUsize::new(0));
    let chain = stack(vec![layer(&rules(), &desk, &clock, ChainEnd::Guarded), between, use_permits()]);
    let bench = behind(chain, &description, &made);
    Story { desk, clock, description, made, bench }
}

/// Answers calls by itself until it is told not to, as for somebody who is not connected.
fn connects(connected: &Arc<AtomicBool>) -> RouteLayer {
    let connected = Arc::clone(connected);
    gate(move |request| {
        let is_call = request.body().message().and_then(Message::tool).is_some();
        if is_call && !connected.load(Ordering::SeqCst) { Err(Reason::ConnectRequired.into()) } else { Ok(()) }
    })
}

#[tokio::test]
async fn an_approval_stays_where_a_layer_on_the_way_answers_and_is_used_by_the_call_that_is_made() {
    let connected = Arc::new(AtomicBool::new(false));
    let story = with_layer(connects(&connected));
    assert!(is_pending(&story.call("bob", "{}").await));
    story.desk.decide(Standing::Approved);
    for _ in 0..2 {
        let told = story.call("bob", "{}").await;
        assert_eq!((told.reason(), outcomes(&told), story.made()), (Some("connect_required"), vec!["held"], 0));
    }
    connected.store(true, Ordering::SeqCst);
    let done = story.call("bob", "{}").await;
    assert_eq!(done.message()["result"]["structuredContent"]["done"], true);
    assert_eq!(outcomes(&done), ["approved"]);
    assert!(is_pending(&story.call("bob", "{}").await), "it is used up");
    assert_eq!(story.made(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sec_of_many_calls_on_their_way_at_once_with_one_approval_one_is_made() {
    for _ in 0..20 {
        let meet = Arc::new(tokio::sync::Barrier::new(16));
        let between = around(move |request: Request, inner| {
            let meet = Arc::clone(&meet);
            async move {
                // All are judged and have their permits before the first one goes on.
                if request.body().message().and_then(Message::tool).is_some() {
                    meet.wait().await;
                }
                let Ok(response) = inner.run(request).await;
                response
            }
        });
        let story = Arc::new(with_layer(between));
        assert!(is_pending(&story.call("bob", "{}").await));
        story.desk.decide(Standing::Approved);
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let story = Arc::clone(&story);
                tokio::spawn(async move { story.call("bob", "{}").await })
            })
            .collect();
        let mut done = 0;
        for call in calls {
            done += usize::from(outcomes(&call.await.unwrap()) == ["approved"]);
        }
        assert_eq!((done, story.made()), (1, 1));
    }
}

#[tokio::test]
async fn a_call_that_is_sent_once_more_with_a_newer_credential_is_the_same_call() {
    let again = around(|request: Request, inner| async move {
        let Ok(_) = inner.run(request.clone()).await;
        let Ok(response) = inner.run(request).await;
        response
    });
    let story = with_layer(again);
    story.call("bob", "{}").await;
    story.desk.decide(Standing::Approved);
    assert_eq!(outcomes(&story.call("bob", "{}").await), ["approved"]);
    assert_eq!(story.made(), 2, "as often as the layer sent it");
}
