//! Changing the master key while everything goes on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use secrecy::ExposeSecret;

use super::{
    bench::{Bench, KEY, START, T, master, write},
    connections::secrets,
    samples::{
        REDIRECT, account, approval, audit_key, connect_flow, connection, connection_key, digest, grant, login,
        session, signing_key, upstream_client,
    },
    sealed::OTHER_KEY,
};
use crate::store::{
    KeyRole, KeyState, MasterKey, OpenError, Resealed, Store, Tenant, Work, sealed_columns::COLUMNS, sql::values,
};

/// The other key, with the first one behind it.
pub(super) fn both() -> MasterKey {
    MasterKey::parse(&format!("{OTHER_KEY} {KEY}")).unwrap()
}

pub(super) fn other() -> MasterKey {
    MasterKey::parse(OTHER_KEY).unwrap()
}

/// Values by key: the current one's, the earlier ones', and those of keys that are not at hand.
pub(super) async fn shares(store: &Store) -> [u64; 3] {
    let uses = store.key_uses().await.unwrap();
    [KeyRole::Current, KeyRole::Earlier, KeyRole::Missing]
        .map(|role| uses.iter().filter(|key| key.role == role).map(|key| key.values).sum())
}

/// One of everything that is sealed, and so many connections.
pub(super) async fn fill(work: &mut Work, connections: usize) {
    work.insert_login(&login("s")).await.unwrap();
    work.insert_session(&session("c", "ada")).await.unwrap();
    work.put_account(&account("ada")).await.unwrap();
    work.insert_grant(&grant("g", "ada")).await.unwrap();
    work.insert_signing_key(&signing_key("kid", KeyState::Active)).await.unwrap();
    work.insert_connect_flow(&connect_flow("f")).await.unwrap();
    work.put_upstream_client(&upstream_client("https://a.example", "client"), None).await.unwrap();
    work.insert_approval(&approval("a", "ada")).await.unwrap();
    work.insert_audit_key(&audit_key("kid")).await.unwrap();
    for number in 0..connections {
        work.put_connection(&connection(&number.to_string(), &format!("token {number}"))).await.unwrap();
    }
}

/// What [`fill`] keeps of other kinds than connections: accounts have three.
pub(super) const OTHERS: u64 = 11;

/// Everything is there, and opens.
pub(super) async fn reads(store: &Store, tenant: &Tenant, connections: usize) {
    assert_eq!(store.session(tenant, &digest("c")).await.unwrap(), Some(session("c", "ada")));
    assert_eq!(store.account(tenant, "https://id.example", "ada").await.unwrap(), Some(account("ada")));
    assert_eq!(store.grant(tenant, "g").await.unwrap(), Some(grant("g", "ada")));
    assert_eq!(store.audit_keys(tenant).await.unwrap(), [audit_key("kid")]);
    assert_eq!(store.signing_keys(tenant).await.unwrap(), [signing_key("kid", KeyState::Active)]);
    let client = store.upstream_client(tenant, "https://a.example", REDIRECT).await.unwrap().unwrap();
    assert_eq!(client.secrets.expose_secret(), b"client secret of client");
    assert_eq!(store.approval(tenant, 1).await.unwrap().unwrap().call, approval("a", "ada").call);
    for number in 0..connections {
        let key = connection_key("linear", &number.to_string());
        let found = store.connection(tenant, &key).await.unwrap().unwrap();
        assert_eq!(secrets(&found), Some(format!("token {number}")));
    }
    let mut work = store.begin(tenant).await.unwrap();
    assert_eq!(work.take_login(&digest("s")).await.unwrap(), Some(login("s")));
    assert_eq!(work.take_connect_flow(&digest("f")).await.unwrap(), Some(connect_flow("f")));
    // Dropped, so both stay.
}

pub(super) async fn fault_kek_rotated_everything_opens_with_the_new_key_alone(bench: Bench) {
    const CONNECTIONS: usize = 230;
    let tenants = [T, Tenant::new("another")];
    for tenant in &tenants {
        let mut work = bench.store.begin(tenant).await.unwrap();
        fill(&mut work, CONNECTIONS).await;
        work.commit().await.unwrap();
    }
    let all = 2 * (OTHERS + CONNECTIONS as u64);
    assert_eq!(shares(&bench.store).await, [all, 0, 0]);
    let rotating = bench.open(both()).await.unwrap();
    assert_eq!(shares(&rotating).await, [0, all, 0]);
    let mut told = Vec::new();
    let done = rotating.reseal(|so_far| told.push(so_far.values)).await.unwrap();
    assert_eq!(done, Resealed { values: all, unreadable: 0 });
    assert!(told.len() > 10 && told.is_sorted() && told.last() == Some(&all), "{told:?}");
    assert_eq!(shares(&rotating).await, [all, 0, 0]);
    assert_eq!(rotating.reseal(|_| {}).await.unwrap(), Resealed::default(), "there is nothing left to do");
    let alone = bench.open(other()).await.unwrap();
    for tenant in &tenants {
        reads(&alone, tenant, CONNECTIONS).await;
    }
    assert!(matches!(bench.open(master()).await.unwrap_err(), OpenError::WrongKey));
    assert_eq!(shares(&bench.store).await, [0, 0, all], "and the earlier key opens nothing any more");
}

pub(super) async fn fault_kek_rotation_lets_whoever_writes_meanwhile_win(bench: Bench) {
    const CONNECTIONS: usize = 300;
    let mut work = bench.store.begin(&T).await.unwrap();
    fill(&mut work, CONNECTIONS).await;
    work.commit().await.unwrap();
    let nodes = [bench.open(both()).await.unwrap(), bench.open(both()).await.unwrap()];
    let (ended, writer) = (Arc::new(AtomicBool::new(false)), nodes[0].clone());
    let writing = tokio::spawn({
        let ended = Arc::clone(&ended);
        async move {
            let mut written = 0;
            while !ended.load(Ordering::Relaxed) && written < 2_000 {
                let number = (written * 37) % CONNECTIONS;
                let record = connection(&number.to_string(), &format!("token {number}"));
                write(&writer, &T, async |work| work.put_connection(&record).await).await;
                written += 1;
            }
            written
        }
    });
    let (one, two) = tokio::join!(nodes[0].reseal(|_| {}), nodes[1].reseal(|_| {}));
    ended.store(true, Ordering::Relaxed);
    let (one, two, written) = (one.unwrap(), two.unwrap(), writing.await.unwrap());
    assert_eq!((one.unreadable, two.unreadable), (0, 0));
    assert!(written > 0 && one.values + two.values > 0, "{written} {one:?} {two:?}");
    assert!(one.values + two.values <= OTHERS + CONNECTIONS as u64, "no value was sealed anew twice");
    assert_eq!(shares(&nodes[1]).await, [OTHERS + CONNECTIONS as u64, 0, 0]);
    reads(&bench.open(other()).await.unwrap(), &T, CONNECTIONS).await;
}

pub(super) async fn fault_kek_rotation_leaves_what_does_not_open_and_goes_on(bench: Bench) {
    const CONNECTIONS: usize = 250;
    const SPOIL: &str = "UPDATE connections SET sealed_data_key = (SELECT c.sealed_data_key FROM connections c \
                         WHERE c.tenant = $1 AND c.subject = '0') WHERE tenant = $1 AND CAST(subject AS INTEGER) < $2";
    let mut work = bench.store.begin(&T).await.unwrap();
    fill(&mut work, CONNECTIONS).await;
    work.commit().await.unwrap();
    // More than one step's, one of which is in its own place.
    bench.sql(SPOIL, values![121_i64]).await;
    let rotating = bench.open(both()).await.unwrap();
    let done = rotating.reseal(|_| {}).await.unwrap();
    assert_eq!(done, Resealed { values: OTHERS + CONNECTIONS as u64 - 120, unreadable: 120 });
    assert_eq!(shares(&rotating).await[1], 120, "it is not said that the earlier key may go");
    for readable in [0, 121, 249] {
        let key = connection_key("linear", &readable.to_string());
        assert!(rotating.connection(&T, &key).await.unwrap().is_some());
    }
    assert!(rotating.connection(&T, &connection_key("linear", "7")).await.is_err());
    assert_eq!(rotating.connections_of(&T, "7").await.unwrap()[0].created_at, START, "and nothing else is lost");
}

/// The names of all columns that are called sealed_…, by the statements that make them.
#[test]
fn all_that_is_sealed_takes_part_in_rotation() {
    let made = [
        include_str!("../migrations/sqlite/0001_sign_in.sql"),
        include_str!("../migrations/sqlite/0002_connections.sql"),
        include_str!("../migrations/sqlite/0003_audit.sql"),
        include_str!("../migrations/sqlite/0004_pins.sql"),
        include_str!("../migrations/sqlite/0005_approvals.sql"),
        include_str!("../migrations/sqlite/0006_approval_turns.sql"),
    ];
    let (mut table, mut sealed) = ("", Vec::new());
    for line in made.iter().flat_map(|text| text.lines()).map(str::trim) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["CREATE", "TABLE", name, "("] => table = name,
            ["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..] if column.starts_with("sealed_") => {
                sealed.push(format!("{name}.{column}"));
            }
            [column, "BLOB" | "BLOB,", ..] if column.starts_with("sealed_") => sealed.push(format!("{table}.{column}")),
            _ => {}
        }
    }
    sealed.retain(|column| column != "master_key.sealed_check");
    let mut listed: Vec<_> = COLUMNS.iter().map(|column| column.name.to_owned()).collect();
    sealed.sort();
    listed.sort();
    assert!(sealed.len() > 8);
    assert_eq!(listed, sealed);
}
