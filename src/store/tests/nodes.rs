//! Several nodes, or many requests, at once.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::{
    bench::{Bench, START, T, write},
    samples::{client, code, digest, grant, refresh, signing_key},
};
use crate::store::{CodeUse, KeyState, Rotation, Store};

pub(super) const CALLERS: usize = 64;

/// What `CALLERS` get that ask two nodes at the same time.
pub(super) async fn at_once<R: Send + 'static, F: Future<Output = R> + Send>(
    bench: &Bench,
    ask: impl Fn(Store, usize) -> F + Clone + Send + 'static,
) -> Vec<R> {
    let nodes = [bench.store.clone(), bench.node().await];
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let (store, ask) = (nodes[number % 2].clone(), ask.clone());
        callers.spawn(async move { ask(store, number).await });
    }
    callers.join_all().await
}

pub(super) async fn oauth_25_of_64_that_show_a_code_at_once_one_finds_it_fresh(bench: Bench) {
    bench.write(async |work| work.insert_grant(&grant("g", "ada")).await).await;
    for round in 0..5 {
        let name = format!("code {round}");
        bench.write(async |work| work.insert_code(&code(&name, "g")).await).await;
        let shown = digest(&name);
        let uses = at_once(&bench, move |store, _| async move {
            write(&store, &T, async |work| work.use_code(&shown, START).await).await
        });
        let uses = uses.await;
        assert_eq!(uses.iter().filter(|found| matches!(found, CodeUse::Fresh(_))).count(), 1);
        assert_eq!(uses.iter().filter(|found| matches!(found, CodeUse::Used(_))).count(), CALLERS - 1);
    }
}

pub(super) async fn sec_a18_of_64_that_use_a_refresh_token_at_once_one_is_first(bench: Bench) {
    bench.write(async |work| work.insert_grant(&grant("g", "ada")).await).await;
    for round in 0..5 {
        let name = format!("token {round}");
        bench.write(async |work| work.insert_refresh(&refresh(&name, "g")).await).await;
        let (shown, next) = (digest(&name), format!("after {name}"));
        let rotations = at_once(&bench, move |store, _| {
            let next = next.clone();
            async move {
                write(&store, &T, async |work| {
                    let rotation = work.rotate_refresh(&shown, START).await?;
                    if let Rotation::First(_) = &rotation {
                        work.insert_refresh(&refresh(&next, "g")).await?;
                    }
                    Ok(rotation)
                })
                .await
            }
        });
        let rotations = rotations.await;
        assert_eq!(rotations.iter().filter(|rotation| matches!(rotation, Rotation::First(_))).count(), 1);
        let again = rotations
            .iter()
            .filter(|rotation| matches!(rotation, Rotation::Again(record) if record.rotated_at == Some(START)));
        assert_eq!(again.count(), CALLERS - 1);
        assert!(bench.store.refresh_token(&T, &digest(&format!("after {name}"))).await.unwrap().is_some());
    }
}

pub(super) async fn two_nodes_that_start_at_once_sign_with_one_key(bench: Bench) {
    let seen = at_once(&bench, |store, number| async move {
        let key = signing_key(&format!("key {number}"), KeyState::Active);
        write(&store, &T, async |work| work.insert_signing_key(&key).await).await;
        let keys = store.signing_keys(&T).await.unwrap();
        keys.into_iter().map(|key| key.kid).collect::<Vec<_>>()
    });
    let seen: BTreeSet<_> = seen.await.into_iter().collect();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen.first().unwrap().len(), 1, "{seen:?}");
}

pub(super) async fn two_nodes_see_each_others_commits(bench: Bench) {
    let other = bench.node().await;
    for number in 0..20 {
        let (writer, reader) = if number % 2 == 0 { (&bench.store, &other) } else { (&other, &bench.store) };
        let id = number.to_string();
        write(writer, &T, async |work| work.insert_client(&client(&id)).await).await;
        assert_eq!(reader.client(&T, &id).await.unwrap(), Some(client(&id)), "committed means there for all");
    }
}

pub(super) async fn nodes_that_start_at_once_make_the_tables_once(bench: Bench) {
    for table in TABLES {
        bench.raw(format!("DROP TABLE {table}")).await;
    }
    let nodes = tokio::join!(bench.node(), bench.node(), bench.node());
    for node in [nodes.0, nodes.1, nodes.2] {
        assert_eq!(node.clients_count(&T).await.unwrap(), 0);
    }
}

/// In an order in which they can be dropped.
const TABLES: &[&str] = &[
    "_sqlx_migrations",
    "master_key",
    "clients",
    "logins",
    "sessions",
    "accounts",
    "consents",
    "codes",
    "refresh_tokens",
    "grants",
    "signing_keys",
    "api_keys",
    "assertions",
    "connections",
    "connection_events",
    "connect_links",
    "connect_flows",
    "pinned_upstreams",
    "tool_pins",
    "upstream_clients",
    "approval_turns",
    "approvals",
    "approval_numbers",
    "audit_rows",
    "audit_chains",
    "audit_keys",
];
