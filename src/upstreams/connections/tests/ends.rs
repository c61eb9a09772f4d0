//! Connections that end.

use super::*;

#[tokio::test]
async fn oauth_95_disconnecting_revokes_upstream_and_leaves_nothing_to_be_used() {
    let (town, node) = Town::with_ada().await;
    let credential = node.obtain("ada").await.unwrap();
    assert!(node.book.disconnect("ada", "notes", "the person ended it").await.unwrap());
    assert!(credential.is_over());
    assert!(node.row("ada").await.is_none());
    assert_eq!(connect_required(node.obtain("ada").await).0, "authenticating");
    soon("the vendor hears of it", async || town.vendor.script().revoked.contains(&"rt-1".to_owned())).await;
    assert!(!node.book.disconnect("ada", "notes", "once more").await.unwrap());
    let history = node.history("ada").await;
    assert!(history.contains(&"connected → none".to_owned()), "{history:?}");
}

#[tokio::test]
async fn sec_b4_what_ends_on_one_node_ends_on_the_other_within_a_second() {
    let (town, node) = Town::with_ada().await;
    let other = town.node().await;
    let house = tokio::spawn(other.book.clone().keep_house());
    let credential = other.obtain("ada").await.unwrap();
    assert!(other.is_ready("ada").await);
    let began = Instant::now();
    node.book.disconnect("ada", "notes", "the person ended it").await.unwrap();
    soon("the other node hears of it", async || credential.is_over()).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(!other.is_ready("ada").await);
    house.abort();
}

#[tokio::test]
async fn sec_b4_what_is_told_to_have_ended_is_not_used_here_whoever_ended_it() {
    let (town, node) = Town::with_ada().await;
    let other = town.node().await;
    let credential = other.obtain("ada").await.unwrap();
    node.book.disconnect("ada", "notes", "the person ended it").await.unwrap();
    // The other node keeps no house, so it hears nothing by itself.
    assert!(other.is_ready("ada").await);
    assert!(!other.book.disconnect("ada", "notes", "the person ended it").await.unwrap());
    assert!(credential.is_over());
    assert!(!other.is_ready("ada").await);
}

#[tokio::test]
async fn fault_a_store_that_cannot_say_whether_a_connection_has_ended_does_not_keep_it_in_use() {
    let (town, node) = Town::with_ada().await;
    let credential = node.obtain("ada").await.unwrap();
    let mut database = town.database().await;
    // Every statement is done, and the whole is refused.
    for statement in [
        "CREATE TABLE nobody (id INTEGER PRIMARY KEY)",
        "CREATE TABLE debts (id INTEGER REFERENCES nobody (id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER indebt AFTER INSERT ON connection_events BEGIN INSERT INTO debts VALUES (1); END",
    ] {
        sqlx::query(statement).execute(&mut database).await.unwrap();
    }
    node.book.disconnect("ada", "notes", "the person ended it").await.unwrap_err();
    assert!(credential.is_over());
    assert!(!node.is_ready("ada").await);
    soon("the vendor hears of it", async || town.vendor.script().revoked.contains(&"rt-1".to_owned())).await;
    assert!(node.row("ada").await.is_some());
    sqlx::query("DROP TRIGGER indebt").execute(&mut database).await.unwrap();
    assert!(node.book.disconnect("ada", "notes", "once more").await.unwrap());
    assert!(node.row("ada").await.is_none());
}

#[tokio::test]
async fn sb_01_a_credential_is_good_for_the_address_that_it_was_given_for() {
    let (town, node) = Town::with_ada().await;
    node.obtain("ada").await.unwrap();
    town.routes.put(user_oauth(), "http://127.0.0.1:9/elsewhere");
    assert_eq!(connect_required(node.obtain("ada").await).0, "authenticating");
    town.routes.put(user_oauth(), &town.vendor.target());
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-1");
}

#[tokio::test]
async fn sec_b2_sb_04_each_of_a_hundred_people_is_given_their_own() {
    let town = Town::new().await;
    let node = town.node().await;
    let mut own = Vec::new();
    for number in 0..100 {
        let subject = format!("person-{number}");
        node.connect(&subject).await.unwrap();
        own.push((shown(&node.obtain(&subject).await.unwrap()).to_owned(), subject));
    }
    let other = town.node().await;
    for (token, subject) in &own {
        assert_eq!(shown(&node.obtain(subject).await.unwrap()), token);
        assert_eq!(shown(&other.obtain(subject).await.unwrap()), token);
    }
    let distinct: std::collections::HashSet<_> = own.iter().map(|(token, _)| token).collect();
    assert_eq!(distinct.len(), 100);
}

#[tokio::test]
async fn a_refused_connection_that_was_made_anew_meanwhile_is_not_hurt() {
    let (_town, node) = Town::with_ada().await;
    let first = node.obtain("ada").await.unwrap();
    node.connect("ada").await.unwrap();
    match node.give_up("ada", &refused(&first)).await {
        NoCredential::Refused(refusal) => assert_eq!(refusal.reason().code(), "credential_unavailable"),
        NoCredential::Connect(required) => panic!("{required:?}"),
    }
    assert_eq!(shown(&node.obtain("ada").await.unwrap()), "Bearer at-2");
}
