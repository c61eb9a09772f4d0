//! A crowd whose token the upstream refuses all at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portcullis_policies::kit::clock::SystemClock;
use tokio::task::JoinSet;

use super::{Caller, assert_own, busy, connected, link_in};
use crate::{
    connect::Person,
    harness::{Answer, Gateway, MCP, Reply, VENDOR_TOKEN, Vendor, soon},
};

const CROWD: usize = 500;

struct Story {
    vendor: Vendor,
    _gateway: Gateway,
    ada: Person,
}

impl Story {
    /// Ada is connected, and has called once.
    async fn begin() -> Self {
        let vendor = Vendor::new(Arc::new(SystemClock)).await;
        let gateway = busy(&vendor).start().await;
        let ada = connected(&gateway, &vendor, "ada").await;
        assert_eq!(ada.call().await.said(), "ada");
        vendor.forgets_calls();
        Self { vendor, _gateway: gateway, ada }
    }

    /// Everybody calls at once, each with a nonce of their own.
    async fn all_call(&self) -> BTreeMap<String, Reply> {
        let mut callers = Vec::new();
        for _ in 0..CROWD {
            callers.push(Caller::of(&self.ada).await);
        }
        let mut crowd = JoinSet::new();
        for (number, mut caller) in callers.into_iter().enumerate() {
            crowd.spawn(async move {
                let nonce = format!("call-{number}");
                let reply = caller.call(1, &nonce).await;
                (nonce, reply)
            });
        }
        soon("everybody is answered", crowd.join_all()).await.into_iter().collect()
    }

    /// How often each call reached the upstream, with a good token or not.
    fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        for request in self.vendor.received(MCP) {
            let nonce = request.message()["params"]["arguments"]["nonce"].as_str().unwrap().to_owned();
            *sent.entry(nonce).or_default() += 1;
        }
        sent
    }

    /// Everybody is asked to connect once more, on one link.
    fn assert_reconsent(replies: &BTreeMap<String, Reply>) {
        let links: BTreeSet<_> = replies.values().map(link_in).collect();
        assert_eq!((replies.len(), links.len()), (CROWD, 1), "{links:?}");
        for reply in replies.values() {
            assert!(reply.text().contains("once more"), "{reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_upstream_401_storm_one_refresh_and_each_tool_call_is_sent_twice_at_most_and_done_once() {
    let story = Story::begin().await;
    story.vendor.expires_tokens();
    let replies = story.all_call().await;
    for (nonce, reply) in &replies {
        assert_own(reply, 1, nonce, "ada");
    }
    let (counts, sent) = (story.vendor.counts(), story.sent());
    assert_eq!((replies.len(), counts.refreshes, counts.reuses), (CROWD, 1, 0));
    assert!(counts.turned_away > 0 && sent.values().all(|&times| times <= 2), "{sent:?}");
    let done: BTreeSet<_> = story.vendor.calls().iter().map(|call| call.message["params"].to_string()).collect();
    assert_eq!((done.len(), story.vendor.calls().len()), (CROWD, CROWD), "each was done, and once");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_upstream_401_storm_without_a_refresh_all_are_told_once_and_nothing_is_sent_again() {
    let story = Story::begin().await;
    story.vendor.revokes("ada");
    Story::assert_reconsent(&story.all_call().await);
    let (asked, sent) = (story.vendor.asked(VENDOR_TOKEN), story.sent());
    assert_eq!((asked, story.vendor.counts().reuses), (1, 0), "one asks whether it really is over");
    assert!(sent.values().all(|&times| times == 1), "{sent:?}");
    // From now on nothing is sent at all.
    Story::assert_reconsent(&story.all_call().await);
    assert_eq!((story.sent(), story.vendor.asked(VENDOR_TOKEN)), (sent, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_upstream_401_storm_that_a_new_token_does_not_end_sends_nothing_a_third_time() {
    let story = Story::begin().await;
    story.vendor.answers(MCP, Some(Answer::status(401).header("WWW-Authenticate", "Bearer error=\"invalid_token\"")));
    Story::assert_reconsent(&story.all_call().await);
    let (counts, sent) = (story.vendor.counts(), story.sent());
    assert_eq!((counts.refreshes, counts.reuses), (1, 0));
    assert!(!sent.is_empty() && sent.values().all(|&times| times <= 2), "{sent:?}");
    Story::assert_reconsent(&story.all_call().await);
    assert_eq!(story.sent(), sent);
}
