//! What goes wrong around a refresh: a vendor's sign-in that fails or is slow, a gateway that is stopped in the middle, and a
//! store that takes nothing.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::{Clock, ManualClock, SystemClock};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::task::JoinSet;

use super::{Caller, busy, connected, link_in, nodes::shared, store_of};
use crate::{
    connect::Person,
    harness::{Answer, Gate, Gateway, Process, Reply, VENDOR_TOKEN, Vendor, soon, until},
};

const CROWD: usize = 50;
/// How long the vendor's tokens live, in seconds.
const LIFE: u64 = 300;

/// The ways in which a sign-in fails that say nothing about a connection.
fn failures() -> [Answer; 6] {
    [
        Answer::hang_up(),
        Answer::status(500),
        Answer::body(503, "text/html", "<h1>Back soon</h1>"),
        Answer::body(429, "text/plain", "slow down").header("Retry-After", "1"),
        Answer::body(200, "text/html", "<h1>Welcome</h1>"),
        Answer::body(200, "application/json", "{\"access_token\":"),
    ]
}

struct Story {
    clock: Arc<ManualClock>,
    vendor: Vendor,
    _gateway: Gateway,
    ada: Person,
}

impl Story {
    async fn begin() -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let vendor = Vendor::new(Arc::clone(&clock) as Arc<dyn Clock>).await;
        let gateway = busy(&vendor).clock(Arc::clone(&clock) as Arc<dyn Clock>).start().await;
        let ada = connected(&gateway, &vendor, "ada").await;
        assert_eq!(ada.call().await.said(), "ada");
        Self { clock, vendor, _gateway: gateway, ada }
    }

    async fn crowd(&self) -> Vec<Reply> {
        let mut crowd = JoinSet::new();
        for _ in 0..CROWD {
            let mut caller = Caller::of(&self.ada).await;
            crowd.spawn(async move { caller.call(1, "n").await });
        }
        crowd.join_all().await
    }

    fn asked(&self) -> usize {
        self.vendor.asked(VENDOR_TOKEN)
    }
}

async fn survives(failure: Answer) {
    let story = Story::begin().await;
    story.vendor.answers(VENDOR_TOKEN, Some(failure));
    // Nearly over: it is to be renewed, which fails, and goes on.
    story.clock.advance(Duration::from_secs(LIFE - 10));
    let before = story.asked();
    assert!(story.crowd().await.iter().all(|reply| reply.said() == "ada"));
    until("a renewal was tried", || story.asked() > before).await;
    // Over: everybody is told to come back, nobody to connect.
    story.clock.advance(Duration::from_secs(11));
    for reply in story.crowd().await {
        assert_eq!((reply.status, reply.reason().as_str()), (503, "credential_unavailable"), "{reply:?}");
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
    let asked = story.asked() - before;
    assert!(asked <= 4, "{asked} requests for a hundred calls");
    story.vendor.answers(VENDOR_TOKEN, None);
    soon("it comes back by itself", async { while story.ada.call().await.status != 200 {} }).await;
    let counts = story.vendor.counts();
    assert_eq!((counts.refreshes, counts.reuses, counts.codes), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_authorization_server_down_500_html_429_the_token_goes_on_while_it_lives_and_nobody_storms() {
    let mut all = JoinSet::new();
    for failure in failures() {
        all.spawn(survives(failure));
    }
    all.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_authorization_server_slow_nobody_waits_for_it_while_the_token_lives() {
    let (story, gate) = (Story::begin().await, Gate::new());
    story.vendor.holds(VENDOR_TOKEN, Some(&gate));
    story.clock.advance(Duration::from_secs(LIFE - 10));
    let old = story.vendor.calls().pop().unwrap().token;
    assert!(story.crowd().await.iter().all(|reply| reply.said() == "ada"));
    until("one asks", || story.vendor.counts().refreshes == 1).await;
    assert!(story.vendor.calls().iter().all(|call| call.token == old), "they went with the old token");
    gate.open();
    soon("the new one is used", async {
        while story.vendor.calls().last().unwrap().token == old {
            story.ada.call().await;
        }
    })
    .await;
    assert_eq!((story.vendor.counts().refreshes, story.vendor.counts().reuses), (1, 0));
}

/// A gateway that is in the middle of a refresh: the vendor has given a new token, and its answer is on the way.
struct Middle {
    vendor: Vendor,
    gate: Gate,
    node: Process,
    ada: Person,
    store: SqliteConnection,
    calling: tokio::task::JoinHandle<Option<Reply>>,
}

impl Middle {
    async fn of_a_refresh() -> Self {
        let vendor = Vendor::new(Arc::new(SystemClock)).await;
        let node = shared(&vendor).spawn();
        let ada = connected(&node.place().await, &vendor, "ada").await;
        assert_eq!(ada.call().await.said(), "ada");
        let (gate, store) = (Gate::new(), store_of(node.folder()).await);
        vendor.holds(VENDOR_TOKEN, Some(&gate));
        vendor.expires_tokens();
        let mut caller = Caller::of(&ada).await;
        let calling = tokio::spawn(async move { caller.try_call(1, "middle").await.ok() });
        until("the vendor gives a new token", || vendor.counts().refreshes == 1).await;
        Self { vendor, gate, node, ada, store, calling }
    }

    /// Now the answer comes.
    fn goes_on(&self) {
        self.vendor.holds(VENDOR_TOKEN, None);
        self.gate.open();
    }

    async fn sql(&mut self, sql: &'static str) {
        self.store.execute(sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_paused_leader_sigstop_past_its_lease_its_late_write_is_stopped() {
    let mut middle = Middle::of_a_refresh().await;
    middle.node.stop().await;
    middle.goes_on();
    // A minute later the other node takes over, and learns that the refresh token is spent.
    middle.sql("UPDATE connections SET claimed_until = 1").await;
    let other = middle.node.again();
    let place = other.place().await;
    let told = Caller::at(&place, &middle.ada).await.call(1, "other").await;
    assert!(told.text().contains("an earlier refresh was interrupted"), "{told:?}");
    assert_eq!(middle.vendor.counts().reuses, 1, "which ends it all, at this vendor");
    // The first one wakes up with tokens in its hands. They are of no use to anybody, and it knows.
    middle.node.signal("CONT");
    let late = soon("the first one answers", &mut middle.calling).await.unwrap().unwrap();
    assert_eq!(link_in(&late).len(), link_in(&told).len(), "{late:?}");
    let row = "SELECT state || ' ' || because FROM connections";
    let row: String = sqlx::query_scalar(row).fetch_one(&mut middle.store).await.unwrap();
    let reason = "an earlier refresh was interrupted, and the upstream takes its token no more";
    assert_eq!(row, format!("reconsent_required {reason}"));
    middle.ada.connect(&middle.vendor, "ada").await;
    assert_eq!(middle.ada.call().await.said(), "ada");
    soon("the other node hears of it", async {
        let mut caller = Caller::at(&place, &middle.ada).await;
        while caller.call(1, "again").await.status != 200 {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_store_takes_nothing_after_the_redemption_and_kill_9_the_token_is_kept() {
    let mut middle = Middle::of_a_refresh().await;
    middle.sql("BEGIN IMMEDIATE").await;
    middle.goes_on();
    let reply = soon("the call goes through with the new token", &mut middle.calling).await.unwrap().unwrap();
    assert_eq!(reply.said(), "ada");
    middle.node.kill();
    middle.sql("ROLLBACK").await;
    let next = middle.node.again();
    let place = next.place().await;
    let mut caller = Caller::at(&place, &middle.ada).await;
    assert_eq!(caller.call(1, "next").await.said(), "ada");
    middle.vendor.expires_tokens();
    assert_eq!(caller.call(2, "next").await.said(), "ada", "and the new refresh token too");
    assert_eq!((middle.vendor.counts().refreshes, middle.vendor.counts().reuses), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_store_takes_nothing_before_the_redemption_nothing_is_redeemed() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let gateway = busy(&vendor).start().await;
    let ada = connected(&gateway, &vendor, "ada").await;
    assert_eq!(ada.call().await.said(), "ada");
    let mut store = store_of(gateway.folder()).await;
    store.execute("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(ada.call().await.said(), "ada", "what is at hand goes on");
    vendor.expires_tokens();
    let refused = ada.call().await;
    assert_eq!((refused.status, refused.reason().as_str()), (503, "credential_unavailable"), "{refused:?}");
    assert_eq!(vendor.counts().refreshes, 0);
    store.execute("ROLLBACK").await.unwrap();
    store.close().await.unwrap();
    soon("it comes back by itself", async { while ada.call().await.status != 200 {} }).await;
    assert_eq!((vendor.counts().refreshes, vendor.counts().reuses), (1, 0));
}
