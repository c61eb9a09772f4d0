//! Refreshing a connection: one at a time, and nothing late.

use std::time::Duration;

use super::{
    bench::{Bench, T, in_minutes, write},
    connections::secrets,
    nodes::{CALLERS, at_once},
    samples::{connection, connection_key},
};
use crate::store::{Claim, ConnectionRecord, ConnectionState};

/// Ada's connection is claimed at `now`, for ten minutes.
async fn claim(bench: &Bench, version: i64, now: u64) -> Option<Claim> {
    let key = connection_key("linear", "ada");
    bench.write(async |work| work.claim_connection(&key, version, in_minutes(now), in_minutes(now + 10)).await).await
}

async fn finish(bench: &Bench, claim: &Claim, fresh: &str) -> bool {
    let record = ConnectionRecord { secrets: Some(fresh.as_bytes().to_vec().into()), ..claim.record.clone() };
    bench.write(async |work| work.finish_refresh(&record, claim.fence).await).await
}

async fn connect(bench: &Bench, secrets: &str) -> i64 {
    bench.write(async |work| work.put_connection(&connection("ada", secrets)).await).await
}

async fn held(bench: &Bench) -> (Option<String>, i64) {
    let found = bench.store.connection(&T, &connection_key("linear", "ada")).await.unwrap().unwrap();
    (secrets(&found), found.version)
}

pub(super) async fn cl_14_of_64_that_would_refresh_at_once_one_does(bench: Bench) {
    let mut version = connect(&bench, "token").await;
    for round in 0..5 {
        let claims = at_once(&bench, move |store, _| async move {
            let key = connection_key("linear", "ada");
            let claim = async |work: &mut crate::store::Work| {
                work.claim_connection(&key, version, in_minutes(round), in_minutes(round + 1)).await
            };
            write(&store, &T, claim).await
        });
        let mut claims: Vec<_> = claims.await.into_iter().flatten().collect();
        assert_eq!(claims.len(), 1, "{CALLERS} asked");
        let only = claims.remove(0);
        assert!(!only.unfinished);
        assert!(finish(&bench, &only, &format!("token {round}")).await);
        assert!(claim(&bench, version, round).await.is_none(), "that version is over");
        version += 1;
        assert_eq!(held(&bench).await, (Some(format!("token {round}")), version));
    }
}

pub(super) async fn fault_a_refresh_that_wakes_up_after_another_began_keeps_nothing(bench: Bench) {
    let version = connect(&bench, "token").await;
    let slow = claim(&bench, version, 0).await.unwrap();
    assert!(claim(&bench, version, 9).await.is_none(), "it is claimed");
    let second = claim(&bench, version, 10).await.unwrap();
    assert!(second.fence > slow.fence && !slow.unfinished);
    assert!(second.unfinished, "whoever takes over knows that the first may have redeemed");
    assert!(!finish(&bench, &slow, "late").await);
    let key = connection_key("linear", "ada");
    assert!(!bench.write(async |work| work.release_claim(&key, slow.fence).await).await);
    assert_eq!(held(&bench).await, (Some("token".to_owned()), version));
    assert!(finish(&bench, &second, "fresh").await);
    assert!(!finish(&bench, &slow, "later").await && !finish(&bench, &second, "twice").await);
    assert_eq!(held(&bench).await, (Some("fresh".to_owned()), version + 1));
}

pub(super) async fn fault_a_slow_refresh_that_nobody_took_over_is_not_lost(bench: Bench) {
    let version = connect(&bench, "token").await;
    let slow = claim(&bench, version, 0).await.unwrap();
    bench.clock.advance(Duration::from_hours(1));
    assert!(finish(&bench, &slow, "slow").await);
    assert_eq!(held(&bench).await, (Some("slow".to_owned()), version + 1));
}

pub(super) async fn fault_a_refresh_that_never_ended_stays_known_until_one_does(bench: Bench) {
    let version = connect(&bench, "token").await;
    let key = connection_key("linear", "ada");
    let release =
        async |fence| assert!(bench.write(async |work| work.release_claim(&key, fence).await).await, "{fence}");
    let unreachable = claim(&bench, version, 0).await.unwrap();
    release(unreachable.fence).await;
    let given_back = claim(&bench, version, 0).await.unwrap();
    assert!(!given_back.unfinished, "a claim that was given back redeemed nothing");
    let after_lapse = claim(&bench, version, 20).await.unwrap();
    assert!(after_lapse.unfinished);
    release(after_lapse.fence).await;
    let third = claim(&bench, version, 20).await.unwrap();
    assert!(third.unfinished, "the one that never ended is not forgotten because a later one was given back");
    assert!(finish(&bench, &third, "fresh").await);
    assert!(!claim(&bench, version + 1, 20).await.unwrap().unfinished);
}

pub(super) async fn a_refresh_comes_to_nothing_if_the_connection_changes_meanwhile(bench: Bench) {
    let key = connection_key("linear", "ada");
    let reconnected = connect(&bench, "token").await;
    let before = claim(&bench, reconnected, 0).await.unwrap();
    let version = connect(&bench, "connected anew").await;
    assert!(!finish(&bench, &before, "of the earlier connection").await);
    assert_eq!(held(&bench).await, (Some("connected anew".to_owned()), version));
    let before = claim(&bench, version, 0).await.unwrap();
    let state = ConnectionState::ReconsentRequired;
    assert!(bench.write(async |work| work.mark_connection(&key, version, state, "revoked").await).await);
    assert!(!finish(&bench, &before, "of a revoked one").await);
    assert!(claim(&bench, version + 1, 0).await.is_none(), "there is nothing to refresh");
    let version = connect(&bench, "third").await;
    let before = claim(&bench, version, 0).await.unwrap();
    bench.write(async |work| work.delete_connection(&key).await).await;
    assert!(!finish(&bench, &before, "of one that has ended").await);
    assert!(bench.store.connection(&T, &key).await.unwrap().is_none());
}
