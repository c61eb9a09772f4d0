//! Several gateways on one store, each with a crowd, and a vendor that ends a connection whose refresh token is shown twice.

use std::{sync::Arc, time::Duration};

use portcullis_policies::kit::clock::SystemClock;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::{Caller, assert_own, busy, connected};
use crate::harness::{Process, Setup, Vendor, pause};

/// How many gateways there are, how many callers wait at each, and how often their token ends.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) nodes: usize,
    pub(super) callers: usize,
    pub(super) rounds: usize,
}

pub(super) const SMALL: Size = Size { nodes: 3, callers: 20, rounds: 10 };
pub(super) const FULL: Size = Size { nodes: 3, callers: 500, rounds: 100 };

/// One round in so many, the token ends by itself, after so many seconds; in the others the vendor ends it.
const BY_ITSELF: usize = 10;
const LIFE: u64 = 3;

/// Several gateways under one public address.
pub(super) fn shared(vendor: &Vendor) -> Setup {
    busy(vendor).gateway("publicUrl", json!("http://localhost:9"))
}

/// Round after round the token of all is over, and everybody calls at once at every node.
pub(super) async fn everybody_calls(vendor: &Vendor, first: Process, size: Size) {
    let mut nodes = vec![first];
    while nodes.len() < size.nodes {
        nodes.push(nodes[0].again());
    }
    let place = nodes[0].place().await;
    let ada = connected(&place, vendor, "ada").await;
    let mut callers = Vec::new();
    for node in &nodes {
        let place = node.place().await;
        for _ in 0..size.callers {
            callers.push(Caller::at(&place, &ada).await);
        }
    }
    let mut slowest = Duration::ZERO;
    for round in 1..=size.rounds {
        let dies_by_itself = round % BY_ITSELF == 0;
        if dies_by_itself {
            pause(LIFE * 1000).await;
        } else {
            vendor.expires_tokens();
        }
        let is_next_mortal = (round + 1) % BY_ITSELF == 0;
        vendor.gives_tokens_for(if is_next_mortal { i64::try_from(LIFE).unwrap() } else { 300 });
        let began = Instant::now();
        callers = call_at_once(callers, round).await;
        slowest = slowest.max(began.elapsed());
        let counts = vendor.counts();
        assert_eq!((counts.refreshes, counts.reuses), (round, 0), "after round {round}: {counts:?}");
        assert_eq!(vendor.takes_calls().len(), callers.len(), "round {round}: each call was done, and once");
    }
    println!("{} rounds of {} calls at {} nodes; the slowest took {slowest:?}", size.rounds, callers.len(), size.nodes);
}

async fn call_at_once(callers: Vec<Caller>, round: usize) -> Vec<Caller> {
    let mut crowd = JoinSet::new();
    for (number, mut caller) in callers.into_iter().enumerate() {
        crowd.spawn(async move {
            let nonce = format!("{round}-{number}");
            assert_own(&caller.call(1, &nonce).await, 1, &nonce, "ada");
            caller
        });
    }
    crowd.join_all().await
}

async fn on_one_file(size: Size) {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let first = shared(&vendor).spawn();
    everybody_calls(&vendor, first, size).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_two_nodes_refresh_cl_14_three_on_one_file_redeem_each_token_once() {
    on_one_file(SMALL).await;
}

#[ignore = "takes a minute or two; .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn heavy_fault_two_nodes_refresh_cl_14_three_on_one_file_500_waiters_each_100_times() {
    on_one_file(FULL).await;
}
