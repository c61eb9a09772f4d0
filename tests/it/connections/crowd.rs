//! Very many people at once through one gateway: everybody gets their own answers, under their own name.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use portcullis_policies::kit::clock::SystemClock;
use tokio::{task::JoinSet, time::Instant};

use super::{Caller, assert_own, connected, link_in, nodes::shared};
use crate::{
    connect::{Person, decide},
    harness::{Dice, Landed, Page, Place, Reply, Vendor, pause},
};

/// People, and calls of each.
#[derive(Clone, Copy)]
struct Size {
    people: usize,
    calls: usize,
}

const SMALL: Size = Size { people: 50, calls: 100 };
const FULL: Size = Size { people: 1000, calls: 1000 };

/// Ids that everybody uses, so that they collide all the time.
const IDS: u64 = 4;
/// One call in so many, the vendor ends the token of whoever calls, so that it is replaced.
const ROTATES: u64 = 400;
/// One call in so many, whoever calls disconnects, and connects once more.
const DISCONNECTS: u64 = 1000;

/// Seconds that the vendor's tokens are good for: longer than any run, so that what ends is what the story ends.
const TOKENS_LAST: i64 = 24 * 60 * 60;

/// How often somebody tries again later.
const ATTEMPTS: usize = 30;

/// What the vendor saw: whose token each call carried, and which tokens each person had, one after the other.
#[derive(Default)]
struct Seen {
    calls: usize,
    tokens: HashMap<String, Vec<String>>,
    nonces: HashSet<String>,
}

impl Seen {
    /// Every call carried the token of the person who made it, was done once, and none carried one that was replaced.
    fn check(&mut self, vendor: &Vendor) {
        for call in vendor.takes_calls() {
            let nonce = call.message["params"]["arguments"]["nonce"].as_str().unwrap().to_owned();
            let (caller, _) = nonce.split_once('/').unwrap();
            assert_eq!(call.person, caller, "a call of {caller} was made under the name of {}", call.person);
            let tokens = self.tokens.entry(call.person).or_default();
            if tokens.last() != Some(&call.token) {
                assert!(!tokens.contains(&call.token), "{caller} is back at a token that was replaced");
                tokens.push(call.token);
            }
            assert!(self.nonces.insert(nonce.clone()), "{nonce} was done twice");
            self.calls += 1;
        }
    }

    fn assert_complete(&self, size: Size, changes: Changes) {
        assert_eq!((self.calls, self.tokens.len()), (size.people * size.calls, size.people));
        // Who changes credentials n times has n + 1 of them, or fewer: two changes may come between two calls.
        let (tokens, changed) =
            (self.tokens.values().map(Vec::len).sum::<usize>(), changes.rotated + changes.reconnected);
        assert!(changes.rotated > 0 && changes.reconnected > 0, "{changes:?}");
        assert!(tokens > size.people && tokens <= size.people + changed, "{tokens} tokens, {changes:?}");
    }
}

/// How often credentials were changed.
#[derive(Clone, Copy, Debug, Default)]
struct Changes {
    rotated: usize,
    reconnected: usize,
    /// How often the gateway was not up to it: a disk that stands still for seconds, as under a build, is no wrong answer.
    put_off: usize,
}

impl Changes {
    /// Somebody tries again later.
    async fn wait(&mut self) {
        self.put_off += 1;
        assert!(self.put_off <= ATTEMPTS, "the gateway is never up to it");
        pause(1000).await;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            rotated: self.rotated + other.rotated,
            reconnected: self.reconnected + other.reconnected,
            put_off: self.put_off + other.put_off,
        }
    }
}

/// Somebody who calls again and again, and whose credential changes now and then.
async fn somebody(vendor: Arc<Vendor>, mut person: Person, name: String, calls: usize, seed: u64) -> Changes {
    let (mut dice, mut changes) = (Dice::new(0x00C0_FFEE ^ seed << 20), Changes::default());
    let mut caller = Caller::of(&person).await;
    for number in 0..calls {
        if dice.below(ROTATES) == 0 {
            vendor.expires_tokens_of(&name);
            changes.rotated += 1;
        }
        if dice.below(DISCONNECTS) == 0 {
            while person.reconnect(&vendor, &name).await.is_none() {
                changes.wait().await;
            }
            // Meanwhile the gateway may have closed a connection on which nobody asked for anything.
            caller = Caller::of(&person).await;
            changes.reconnected += 1;
        }
        let (id, nonce) = (dice.below(IDS), format!("{name}/{number}"));
        let reply = loop {
            match served(caller.call(id, &nonce).await) {
                Some(reply) => break reply,
                None => changes.wait().await,
            }
        };
        assert_own(&reply, id, &nonce, &name);
    }
    changes
}

async fn everybody(size: Size) {
    let vendor = Arc::new(Vendor::new(Arc::new(SystemClock)).await);
    vendor.gives_tokens_for(TOKENS_LAST);
    let gateway = shared(&vendor).spawn();
    let people = connect_all(&gateway.place().await, &vendor, size.people).await;
    vendor.forgets_calls();
    let turned_away = vendor.counts().turned_away;
    let (mut seen, done, began) = (Seen::default(), Arc::new(AtomicBool::new(false)), Instant::now());
    let calling = {
        let (vendor, done) = (Arc::clone(&vendor), Arc::clone(&done));
        tokio::spawn(async move {
            let mut crowd = JoinSet::new();
            for (number, (name, person)) in (1..).zip(people) {
                crowd.spawn(somebody(Arc::clone(&vendor), person, name, size.calls, number));
            }
            let changes = crowd.join_all().await;
            done.store(true, Ordering::SeqCst);
            changes
        })
    };
    while !done.load(Ordering::SeqCst) && !calling.is_finished() {
        pause(50).await;
        seen.check(&vendor);
    }
    let changes = calling.await.unwrap().into_iter().fold(Changes::default(), Changes::plus);
    seen.check(&vendor);
    seen.assert_complete(size, changes);
    // What was disconnected is never shown again; what was rotated is shown once for each attempt to replace it, and nobody
    // else's credential suffers.
    let turned_away = vendor.counts().turned_away - turned_away;
    assert!(turned_away <= changes.rotated + changes.put_off, "{turned_away} calls turned away, {changes:?}");
    assert_eq!(vendor.counts().reuses, 0);
    println!("{} people × {} calls, {changes:?}: {:?}", size.people, size.calls, began.elapsed());
}

/// Everybody is connected, and has called once.
async fn connect_all(gateway: &Place, vendor: &Vendor, people: usize) -> Vec<(String, Person)> {
    let mut all = Vec::new();
    for number in 0..people {
        let name = format!("person-{number}");
        let person = connected(gateway, vendor, &name).await;
        assert_eq!(person.call().await.said(), name);
        all.push((name, person));
    }
    all
}

impl Person {
    /// Ends the connection, on the page of one's own connections, and connects anew. `None`, if the gateway was not up to it.
    async fn reconnect(&mut self, vendor: &Vendor, account: &str) -> Option<()> {
        let seal = shown(self.browser.open("/connections").await)?.field("form");
        let fields = [("form", seal.as_str()), ("upstream", "vendor"), ("decision", "disconnect")];
        shown(self.browser.submit("/connections", &fields).await)?;
        let link = link_in(&served(self.call().await)?);
        let page = shown(self.browser.open(&link).await)?;
        let asked = match decide(&mut self.browser, &page, "connect").await {
            Landed::Elsewhere(url) => url,
            Landed::Page(page) => {
                assert_eq!(page.reply.status, 503, "the browser stays at {}:\n{}", page.at, page.text());
                return None;
            }
        };
        shown(self.browser.open(&vendor.says_yes(&asked, account)).await).map(drop)
    }
}

/// An answer, unless it is to try again later.
fn served(reply: Reply) -> Option<Reply> {
    let later = reply.status == 503 && reply.header("retry-after").is_some();
    (!later).then_some(reply)
}

/// A page, unless it is to try again later.
fn shown(landed: Landed) -> Option<Page> {
    let page = landed.page();
    (page.reply.status != 503).then_some(page)
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_b2_sec_b4_fifty_people_with_colliding_ids_get_their_own_answers_under_their_own_names() {
    everybody(SMALL).await;
}

#[ignore = "takes minutes; .ci/run runs it, optimized"]
#[tokio::test(flavor = "multi_thread")]
async fn heavy_sec_b2_sec_b4_a_thousand_people_and_a_million_calls_with_colliding_ids() {
    everybody(FULL).await;
}
