//! What connections, links, flows and registrations promise.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{
    bench::{Bench, START, T, hex, in_minutes, write},
    samples::{
        REDIRECT, connect_flow, connect_link, connection, connection_event, connection_key, digest, upstream_client,
    },
};
use crate::store::{
    ConnectLink, ConnectionChange, ConnectionRecord, ConnectionState, StoreError, Tenant, Unsealable, sql::values,
};

/// The secrets of a record, as text.
pub(super) fn secrets(record: &ConnectionRecord) -> Option<String> {
    record.secrets.as_ref().map(|secrets| String::from_utf8(secrets.expose_secret().to_vec()).unwrap())
}

pub(super) async fn cl_14_a_connection_comes_back_as_it_was_and_a_new_one_takes_its_place(bench: Bench) {
    let key = connection_key("linear", "ada");
    assert!(bench.store.connection(&T, &key).await.unwrap().is_none());
    let first = bench.write(async |work| work.put_connection(&connection("ada", "first")).await).await;
    let found = bench.store.connection(&T, &key).await.unwrap().unwrap();
    assert_eq!((found.version, secrets(&found).as_deref()), (first, Some("first")));
    assert_eq!(format!("{found:?}"), format!("{:?}", connection("ada", "first")));
    let second = bench.write(async |work| work.put_connection(&connection("ada", "second")).await).await;
    let found = bench.store.connection(&T, &key).await.unwrap().unwrap();
    assert_eq!((found.version, secrets(&found).as_deref()), (second, Some("second")));
    assert!(second > first && found.id == connection("ada", "second").id, "{found:?}");
}

pub(super) async fn connections_are_listed_by_person_and_page_by_page(bench: Bench) {
    for (upstream, subject) in [("b", "ada"), ("a", "bob"), ("a", "ada"), ("b", ""), ("c", "eve")] {
        let mut record = connection(subject, upstream);
        record.summary.key = connection_key(upstream, subject);
        bench.write(async |work| work.put_connection(&record).await).await;
    }
    bench.write(async |work| work.delete_connection(&connection_key("c", "eve")).await).await;
    let of_ada = bench.store.connections_of(&T, "ada").await.unwrap();
    assert_eq!(of_ada.iter().map(|summary| summary.key.upstream.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = bench.store.connections(&T, after.as_ref(), 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        seen.extend(page.into_iter().map(|summary| (summary.key.upstream, summary.key.subject)));
    }
    let expected = [("a", "ada"), ("a", "bob"), ("b", ""), ("b", "ada")];
    assert_eq!(seen, expected.map(|(upstream, subject)| (upstream.to_owned(), subject.to_owned())));
}

pub(super) async fn a_connection_is_marked_only_as_it_was_seen(bench: Bench) {
    let key = connection_key("linear", "ada");
    let version = bench.write(async |work| work.put_connection(&connection("ada", "token")).await).await;
    let mark = async |version| {
        let state = ConnectionState::ReconsentRequired;
        bench.write(async |work| work.mark_connection(&key, version, state, "invalid_grant").await).await
    };
    assert!(!mark(version + 1).await && !mark(version - 1).await);
    assert!(mark(version).await);
    assert!(!mark(version).await, "it has changed since");
    let found = bench.store.connection(&T, &key).await.unwrap().unwrap();
    assert_eq!((found.state, found.version), (ConnectionState::ReconsentRequired, version + 1));
    assert_eq!((found.because.as_str(), secrets(&found).as_deref()), ("invalid_grant", Some("token")));
}

pub(super) async fn cl_18_a_connection_that_ends_is_gone_for_all_and_every_node_hears_of_it(bench: Bench) {
    let key = connection_key("linear", "ada");
    let other = bench.node().await;
    let version = bench.write(async |work| work.put_connection(&connection("ada", "token")).await).await;
    let ended = bench.write(async |work| work.delete_connection(&key).await).await.unwrap();
    assert_eq!(secrets(&ended).as_deref(), Some("token"), "it can still be revoked upstream");
    assert!(bench.write(async |work| work.delete_connection(&key).await).await.is_none());
    assert!(other.connection(&T, &key).await.unwrap().is_none());
    assert!(other.connections_of(&T, "ada").await.unwrap().is_empty());
    let heard = other.changed_connections(&T, START).await.unwrap();
    assert_eq!(heard, [ConnectionChange { key: key.clone(), version: version + 1 }]);
    let next = bench.write(async |work| work.put_connection(&connection("ada", "next")).await).await;
    assert!(next > version + 1, "no version comes twice");
    let heard = other.changed_connections(&T, START).await.unwrap();
    assert_eq!(heard, [ConnectionChange { key: key.clone(), version: next }]);
    bench.write(async |work| work.delete_connection(&key).await).await;
    let rows = async || bench.sql("UPDATE connections SET target = target WHERE tenant = $1", &[]).await;
    bench.store.sweep(&T, START.plus(Duration::from_hours(23))).await.unwrap();
    assert_eq!(rows().await, 1, "other nodes have a day to hear of it");
    bench.store.sweep(&T, START.plus(Duration::from_hours(25))).await.unwrap();
    assert_eq!(rows().await, 0);
}

pub(super) async fn fault_a_connection_whose_secrets_do_not_open_can_still_be_ended(bench: Bench) {
    const SPOIL: &str = "UPDATE connections SET secrets = $2 WHERE tenant = $1";
    let key = connection_key("linear", "ada");
    bench.write(async |work| work.put_connection(&connection("ada", "token")).await).await;
    bench.sql(SPOIL, values![vec![7_u8; 40]]).await;
    let unreadable = bench.store.connection(&T, &key).await.unwrap_err();
    assert!(unreadable.to_string().contains("connections.secrets"), "{unreadable}");
    let ended = bench.write(async |work| work.delete_connection(&key).await).await.unwrap();
    assert!(ended.secrets.is_none());
    assert!(bench.store.connection(&T, &key).await.unwrap().is_none());
}

pub(super) async fn how_connections_came_about_is_kept_for_ninety_days(bench: Bench) {
    for (subject, minute) in [("ada", 1), ("bob", 2), ("ada", 3)] {
        bench.write(async |work| work.insert_connection_event(&connection_event(subject, minute)).await).await;
    }
    let (ada, key) = (connection_event("ada", 3), connection_key("linear", "ada"));
    let of_ada = bench.store.connection_events(&T, Some(&key), 10).await.unwrap();
    assert_eq!(of_ada, [ada.clone(), connection_event("ada", 1)]);
    let latest = bench.store.connection_events(&T, None, 2).await.unwrap();
    assert_eq!(latest, [ada, connection_event("bob", 2)]);
    bench.store.sweep(&T, START.plus(Duration::from_hours(90 * 24 - 1))).await.unwrap();
    assert_eq!(bench.store.connection_events(&T, None, 10).await.unwrap().len(), 3);
    bench.store.sweep(&T, START.plus(Duration::from_hours(90 * 24 + 1))).await.unwrap();
    assert_eq!(bench.store.connection_events(&T, None, 10).await.unwrap(), []);
}

pub(super) async fn a_link_is_good_once_and_not_for_long(bench: Bench) {
    bench.write(async |work| work.insert_connect_link(&connect_link("token", "ada")).await).await;
    let (shown, soon) = (digest("token"), in_minutes(5));
    for _ in 0..2 {
        let found = bench.store.connect_link(&T, &shown).await.unwrap();
        assert_eq!(found, Some(connect_link("token", "ada")), "looking does not use it up");
    }
    let late = bench.write(async |work| work.use_connect_link(&shown, in_minutes(10)).await).await;
    assert_eq!(late, None);
    let used = ConnectLink { used_at: Some(soon), ..connect_link("token", "ada") };
    let first = bench.write(async |work| work.use_connect_link(&shown, soon).await).await;
    assert_eq!(first.as_ref(), Some(&used));
    assert_eq!(bench.write(async |work| work.use_connect_link(&shown, soon).await).await, None);
    assert_eq!(bench.store.connect_link(&T, &shown).await.unwrap(), Some(used), "it can be told that it was used");
    bench.store.sweep(&T, in_minutes(11)).await.unwrap();
    assert_eq!(bench.store.connect_link(&T, &shown).await.unwrap(), None);
}

pub(super) async fn cl_05_a_state_is_taken_up_once(bench: Bench) {
    bench.write(async |work| work.insert_connect_flow(&connect_flow("state")).await).await;
    bench.write(async |work| work.insert_connect_flow(&connect_flow("forgotten")).await).await;
    let take = async |state| bench.write(async |work| work.take_connect_flow(&digest(state)).await).await;
    assert_eq!(take("other").await, None);
    assert_eq!(take("state").await, Some(connect_flow("state")));
    assert_eq!(take("state").await, None);
    bench.store.sweep(&T, in_minutes(11)).await.unwrap();
    assert_eq!(take("forgotten").await, None);
}

pub(super) async fn cl_11_a_registration_is_for_one_issuer_and_two_nodes_end_with_the_same(bench: Bench) {
    let read = async |issuer| {
        let found = bench.store.upstream_client(&T, issuer, REDIRECT).await.unwrap();
        found.map(|client| (client.client_id, String::from_utf8(client.secrets.expose_secret().to_vec()).unwrap()))
    };
    let put = async |client_id, seen| {
        let client = upstream_client("https://a.example", client_id);
        bench.write(async |work| work.put_upstream_client(&client, seen).await).await
    };
    assert!(put("one", None).await);
    assert!(!put("two", None).await, "another node was first");
    let one = ("one".to_owned(), "client secret of one".to_owned());
    assert_eq!(read("https://a.example").await, Some(one));
    assert_eq!(read("https://b.example").await, None, "no other issuer ever sees it");
    assert!(bench.store.upstream_client(&T, "https://a.example", "https://x").await.unwrap().is_none());
    assert!(!put("three", Some("two")).await && put("three", Some("one")).await);
    assert_eq!(read("https://a.example").await.unwrap().1, "client secret of three");
    let delete = async |client_id| {
        bench.write(async |work| work.delete_upstream_client("https://a.example", REDIRECT, client_id).await).await
    };
    assert!(!delete("one").await && delete("three").await && !delete("three").await);
}

/// Puts the sealed columns of one row into another; what is then in the way of reading it.
pub(super) async fn oauth_96_secrets_of_a_connection_open_nowhere_else(bench: Bench) {
    let of = |upstream: &str, subject: &str, secrets: &str| {
        let mut record = connection(subject, secrets);
        record.summary.key = connection_key(upstream, subject);
        record
    };
    let (mine, theirs) = (connection_key("linear", "ada"), connection_key("linear", "bob"));
    let elsewhere = connection_key("notion", "ada");
    // The same id for all, as if somebody had copied that too.
    for (record, tenant) in [
        (of("linear", "ada", "token"), &T),
        (of("linear", "bob", "token"), &T),
        (of("notion", "ada", "token"), &T),
        (of("linear", "ada", "token"), &Tenant::new("other")),
    ] {
        write(&bench.store, tenant, async |work| work.put_connection(&record).await).await;
    }
    let everybody = "tenant = 'default' AND upstream = 'linear' AND subject = 'ada'";
    for from in [
        "tenant = 'default' AND upstream = 'linear' AND subject = 'bob'",
        "tenant = 'default' AND upstream = 'notion' AND subject = 'ada'",
        "tenant = 'other' AND upstream = 'linear' AND subject = 'ada'",
    ] {
        for columns in [&["sealed_data_key", "secrets"][..], &["secrets"], &["sealed_data_key"]] {
            bench.write(async |work| work.put_connection(&of("linear", "ada", "token")).await).await;
            for column in columns {
                let other =
                    format!("(SELECT c.{column} FROM connections c WHERE {})", from.replace("tenant", "c.tenant"));
                bench.raw(format!("UPDATE connections SET {column} = {other} WHERE {everybody}")).await;
            }
            let refused = bench.store.connection(&T, &mine).await.unwrap_err();
            let forged = matches!(refused, StoreError::Unsealable { why: Unsealable::Forged, .. });
            assert!(forged, "{columns:?} of {from}: {refused}");
        }
    }
    for other in [&theirs, &elsewhere] {
        assert!(bench.store.connection(&T, other).await.unwrap().is_some(), "nobody else is harmed");
    }
}

pub(super) async fn oauth_96_what_was_replaced_does_not_open_again(bench: Bench) {
    let key = connection_key("linear", "ada");
    bench.write(async |work| work.put_connection(&connection("ada", "before")).await).await;
    bench.raw("CREATE TABLE kept AS SELECT sealed_data_key, secrets FROM connections".to_owned()).await;
    bench.write(async |work| work.put_connection(&connection("ada", "after")).await).await;
    let back = "UPDATE connections SET sealed_data_key = (SELECT sealed_data_key FROM kept), \
                secrets = (SELECT secrets FROM kept)";
    bench.raw(back.to_owned()).await;
    bench.store.connection(&T, &key).await.unwrap_err();
    // Nor in another column.
    bench.write(async |work| work.put_connection(&connection("ada", "again")).await).await;
    bench.raw("UPDATE connections SET secrets = sealed_data_key".to_owned()).await;
    bench.store.connection(&T, &key).await.unwrap_err();
}

pub(super) async fn oauth_31_of_a_connection_that_ended_no_byte_stays(bench: Bench) {
    for subject in ["ada", "bob"] {
        bench.write(async |work| work.put_connection(&connection(subject, &"token ".repeat(20))).await).await;
    }
    let sealed = bench.sealed_of("ada").await;
    let found = bench.everything().await;
    assert!(sealed.iter().all(|bytes| bytes.len() > 40 && found.contains(&hex(bytes))), "we look at the right place");
    bench.write(async |work| work.delete_connection(&connection_key("linear", "ada")).await).await;
    bench.store.sweep(&T, START).await.unwrap();
    let found = bench.everything().await;
    for bytes in sealed {
        for part in bytes.chunks_exact(12) {
            assert!(!found.contains(&hex(part)), "the ciphertext or its key");
        }
    }
    let others = bench.sealed_of("bob").await;
    assert!(others.iter().all(|bytes| found.contains(&hex(bytes))), "others are as they were");
}
