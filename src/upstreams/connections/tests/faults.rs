//! What goes wrong in the middle of a refresh.

use sqlx::AssertSqlSafe;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn fault_two_nodes_that_refresh_at_once_redeem_once_and_the_loser_reads_the_winners() {
    let (town, one) = Town::with_ada().await;
    let two = town.node().await;
    town.vendor.script().delay = Duration::from_millis(30);
    for round in 1..=10 {
        town.later(3601);
        let (a, b) = tokio::join!(one.obtain("ada"), two.obtain("ada"));
        assert_eq!(shown(&a.unwrap()), shown(&b.unwrap()));
        let script = town.vendor.script();
        assert_eq!((script.refreshes, script.reused), (round, 0));
    }
}

#[tokio::test]
async fn fault_a_grant_that_was_ended_upstream_is_marked_and_never_deleted() {
    let (town, node) = Town::with_ada().await;
    town.vendor.end_all();
    town.later(3601);
    assert_eq!(connect_required(node.obtain("ada").await).0, "reconsent_required");
    let row = node.row("ada").await.unwrap();
    assert_eq!(row.because, "the upstream's sign-in ended it");
}

#[tokio::test]
async fn fault_a_vendor_that_is_down_is_not_stormed_and_the_token_goes_on_while_it_lives() {
    let (town, node) = Town::with_ada().await;
    node.obtain("ada").await.unwrap();
    town.vendor.script().down = true;
    town.later(3600 - 30);
    for _ in 0..5 {
        assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-1");
    }
    town.later(31);
    let begun = Instant::now();
    for _ in 0..5 {
        let NoCredential::Refused(refusal) = node.obtain("ada").await.unwrap_err() else { panic!("must not connect") };
        assert_eq!(refusal.reason().code(), "credential_unavailable");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "callers are told at once");
    let asked = town.vendor.script().heard.matches("refresh_token").count();
    assert!(asked <= 4 * 2, "asked {asked} times");
    town.vendor.script().down = false;
    soon("it comes back by itself", async || node.obtain("ada").await.is_ok()).await;
    assert_eq!(town.vendor.script().reused, 0);
}

#[tokio::test]
async fn fault_an_answer_that_was_lost_costs_one_more_try_and_then_the_person_connects_once_more() {
    let (town, node) = Town::with_ada().await;
    town.vendor.script().loses_answers = true;
    town.later(3601);
    assert_eq!(reason(node.obtain("ada").await), "credential_unavailable");
    town.vendor.script().loses_answers = false;
    let must_connect = async || matches!(node.obtain("ada").await, Err(NoCredential::Connect(_)));
    soon("the old token is tried, and then it is over", must_connect).await;
    assert!(node.row("ada").await.is_some());
    assert_eq!(town.vendor.script().reused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_leader_that_was_paused_past_its_lease_writes_nothing() {
    let (town, one) = Town::with_ada().await;
    let two = town.node().await;
    town.vendor.script().delay = Duration::from_millis(400);
    town.later(3601);
    let one = Arc::new(one);
    let leader = tokio::spawn({
        let one = Arc::clone(&one);
        async move { one.obtain("ada").await.is_ok() }
    });
    soon("the leader redeems", async || town.vendor.script().refreshes == 1).await;
    town.later(120);
    let told = connect_required(two.obtain("ada").await);
    assert_eq!(told.0, "reconsent_required", "a strict vendor ends what is redeemed twice");
    assert!(!leader.await.unwrap(), "what the leader got is not used");
    let row = one.row("ada").await.unwrap();
    assert_eq!(row.because, "an earlier refresh was interrupted, and the upstream takes its token no more");
}

#[tokio::test]
async fn fault_what_was_redeemed_survives_a_store_that_does_not_take_it_and_a_restart() {
    let (town, node) = Town::with_ada().await;
    let mut beside = town.database().await;
    let full =
        "CREATE TRIGGER full BEFORE UPDATE OF secrets ON connections BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    sqlx::raw_sql(AssertSqlSafe(full)).execute(&mut beside).await.unwrap();
    town.later(3601);
    let renewed = node.obtain("ada").await.unwrap();
    assert_eq!(shown(&renewed), "Bearer at-2");
    assert!(node.is_ready("ada").await);
    let journal = || {
        let files = std::fs::read_dir(town.journal()).unwrap().flatten().map(|file| file.path());
        files.filter(|path| path.extension().is_some_and(|ending| ending == "refreshed")).collect::<Vec<_>>()
    };
    let [file] = &journal()[..] else { panic!("{:?}", journal()) };
    let sealed = std::fs::read(file).unwrap();
    for secret in ["at-2", "rt-2"] {
        assert!(!sealed.windows(4).any(|bytes| bytes == secret.as_bytes()), "{secret} is in the journal");
    }

    drop(node);
    sqlx::raw_sql(AssertSqlSafe("DROP TRIGGER full")).execute(&mut beside).await.unwrap();
    let node = town.node().await;
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-2");
    assert!(journal().is_empty());
    town.later(3601);
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-3");
    assert_eq!(town.vendor.script().reused, 0);
}

#[tokio::test]
async fn fault_a_store_that_takes_nothing_is_noticed_before_anything_is_redeemed() {
    let (town, node) = Town::with_ada().await;
    let mut beside = town.database().await;
    let full = "CREATE TRIGGER full BEFORE UPDATE ON connections BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    sqlx::raw_sql(AssertSqlSafe(full)).execute(&mut beside).await.unwrap();
    town.later(3601);
    assert_eq!(reason(node.obtain("ada").await), "credential_unavailable");
    assert_eq!(town.vendor.script().refreshes, 0);
    sqlx::raw_sql(AssertSqlSafe("DROP TRIGGER full")).execute(&mut beside).await.unwrap();
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-2");
}
