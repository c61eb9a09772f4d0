use std::{path::Path, sync::Arc, time::Duration};

use portcullis_policies::kit::{
    audit::{AuditLog, Decision, End, Entry, Subject},
    chain::RequestId,
    clock::{ManualClock, Timestamp},
};
use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;

use super::*;
use crate::store::{AuditRow, Location, MasterKey, Store, Tenant};

const T: Tenant = Tenant::DEFAULT;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const KEY: &str = "b1f0c97a62d3e8445f0e9d7a3c21886bd4e7f1095a6c3b82e9470d15fca8632e";

struct Bench {
    store: Store,
    handle: Handle,
    folder: Arc<TempDir>,
}

impl Bench {
    async fn new() -> Self {
        Self::of(Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// A process with the store in this folder.
    async fn of(folder: Arc<TempDir>) -> Self {
        Self::with(folder, Vec::new()).await
    }

    async fn with(folder: Arc<TempDir>, sinks: Vec<Sink>) -> Self {
        let location = Location::parse("sqlite:store.db", folder.path()).unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let store = Store::open(&location, MasterKey::parse(KEY).unwrap(), clock.clone()).await.unwrap();
        let handle = Handle::default();
        let keep = Duration::from_hours(24);
        open(Foundation { store: store.clone(), tenant: T, clock, sinks, keep }, &handle).await.unwrap();
        Self { store, handle, folder }
    }

    fn note(&self, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| self.handle.note(entry(number)));
    }

    /// All rows, after everything was written.
    async fn rows(&self) -> Vec<AuditRow> {
        self.handle.close().await;
        self.store.audit_rows(&T, ("", 0), 10_000).await.unwrap()
    }

    async fn keys(&self) -> Vec<PublicKey> {
        PublicKey::of_store(&self.store, &T).await.unwrap()
    }

    /// A statement of somebody who has the database.
    async fn sql(&self, sql: &str) {
        run(self.folder.path(), sql).await;
    }

    async fn until(&self, what: impl Fn(&Counts) -> bool) {
        for _ in 0..1000 {
            if what(self.handle.counts()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.handle.counts());
    }
}

async fn run(folder: &Path, sql: &str) {
    let url = format!("sqlite:{}", folder.join("store.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

/// From now on the store takes no rows, as where the disk is full.
const STOP: &str = "CREATE TRIGGER stop BEFORE INSERT ON audit_rows BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
const GO_ON: &str = "DROP TRIGGER stop";

fn entry(number: u64) -> Entry {
    let subject =
        Subject { request_id: Some(RequestId::new(7, number)), route: Some("/mcp".into()), ..Subject::default() };
    let end = End {
        decision: Decision::Allowed,
        decided: Vec::new(),
        fault: None,
        status: Some(200),
        took: Duration::from_millis(3),
        upstream: Some(Duration::from_millis(2)),
        sent: 1,
        bytes: 10,
        events: None,
        result: None,
    };
    Entry { at: START, subject, caller: None, arguments: None, approval: None, end: Some(end) }
}

fn verdict(keys: &[PublicKey], rows: &[AuditRow]) -> Verdict {
    let mut verifier = Verifier::new(keys.to_vec());
    for row in rows {
        verifier.row(row);
    }
    verifier.finish()
}

fn first(keys: &[PublicKey], rows: &[AuditRow]) -> (Kind, i64) {
    let found = verdict(keys, rows).findings;
    found.first().map(|found| (found.kind, found.number)).expect("something was found")
}

/// With another word in it, and hashed anew if that is asked for.
fn edited(row: &AuditRow, hashes: bool) -> AuditRow {
    let line = row.line.replacen("\"at\":\"2027", "\"at\":\"2026", 1);
    let (body, _) = chain::taken_apart(&line).unwrap();
    let sum = crate::store::Digest::of(body.as_bytes());
    let line = if hashes { format!("{body},\"hash\":\"{sum}\"}}") } else { line };
    let at = if hashes { row.at.minus(Duration::from_hours(365 * 24)) } else { row.at };
    AuditRow { at, line, ..row.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_written_in_their_order_and_nothing_is_found_in_them() {
    let bench = Bench::new().await;
    bench.note(0..300);
    bench.handle.keep(entry(300)).await.unwrap();
    let rows = bench.rows().await;
    let calls: Vec<_> = rows.iter().filter(|row| row.line.contains("\"kind\":\"call\"")).collect();
    assert_eq!(calls.len(), 301);
    for (number, row) in calls.iter().enumerate() {
        assert!(row.line.contains(RequestId::new(7, number as u64).as_str()), "{}", row.line);
    }
    let verdict = verdict(&bench.keys().await, &rows);
    assert_eq!((verdict.findings, verdict.notes, verdict.chains), (vec![], Vec::<String>::new(), 1));
    assert_eq!((bench.handle.counts().written(), bench.handle.counts().lost()), (301, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_where_nobody_audits() {
    let bench = Bench::new().await;
    assert_eq!(bench.rows().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_each_row_that_is_edited_deleted_or_moved_is_found_and_named_first() {
    let bench = Bench::new().await;
    bench.note(0..20);
    let (rows, keys) = (bench.rows().await, bench.keys().await);
    let last = rows.len() - 1;
    for at in 0..=last {
        let number = rows[at].number;
        let with = |change: &dyn Fn(&mut Vec<AuditRow>)| {
            let mut changed = rows.clone();
            change(&mut changed);
            changed
        };
        let edit = with(&|rows| rows[at] = edited(&rows[at], false));
        assert_eq!(first(&keys, &edit), (Kind::Edited, number));
        if at < last {
            let hashed = with(&|rows| rows[at] = edited(&rows[at], true));
            assert_eq!(first(&keys, &hashed).1, number, "hashed anew");
            let swapped = with(&|rows| {
                let (a, b) = (rows[at].line.clone(), rows[at + 1].line.clone());
                (rows[at].line, rows[at + 1].line) = (b, a);
            });
            assert_eq!(first(&keys, &swapped), (Kind::Reordered, number));
        }
        if at > 0 && at < last {
            let deleted = with(&|rows| drop(rows.remove(at)));
            assert_eq!(first(&keys, &deleted), (Kind::Deleted, number));
        }
    }
    let cut = &rows[..last];
    assert!(verdict(&keys, cut).findings.is_empty(), "the end cannot be proved");
    assert!(verdict(&keys, cut).notes.iter().any(|note| note.contains("cannot be proved")));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_log_that_is_hashed_anew_from_an_edit_on_fails_at_its_checkpoint() {
    let bench = Bench::new().await;
    bench.note(0..20);
    let (rows, keys) = (bench.rows().await, bench.keys().await);
    let mut chain = chain::Chain::new(rows[0].chain.clone());
    let forged: Vec<_> = rows
        .iter()
        .filter(|row| row.number != 9)
        .map(|row| {
            let value: serde_json::Value = serde_json::from_str(&row.line).unwrap();
            let mut rest = value.as_object().unwrap().clone();
            for of_place in ["chain", "number", "previous", "at", "kind", "hash"] {
                rest.remove(of_place);
            }
            let rest = serde_json::Value::Object(rest).to_string();
            chain.link(row.at, value["kind"].as_str().unwrap(), &rest)
        })
        .collect();
    assert_eq!(first(&keys, &forged).0, Kind::Forged);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_rows_signed_with_a_key_of_somebody_else_are_not_believed() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    bench.note(0..3);
    let rows = bench.rows().await;
    assert_eq!(first(&other.keys().await, &rows).0, Kind::Forged);
    let mut believing = Verifier::new(Vec::new());
    rows.iter().zip(1..).for_each(|(row, number)| believing.line(&row.line, number));
    let verdict = believing.finish();
    assert_eq!(verdict.findings, []);
    assert!(verdict.notes.iter().any(|note| note.contains("--key")), "{:?}", verdict.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_the_end_of_a_chain_that_was_cut_off_shows_in_the_next_one() {
    let bench = Bench::new().await;
    bench.note(0..20);
    let before = bench.rows().await.len();
    let next = Bench::of(Arc::clone(&bench.folder)).await;
    next.note(20..22);
    let (mut rows, keys) = (next.rows().await, next.keys().await);
    assert_eq!(verdict(&keys, &rows).findings, []);
    let old = bench.store.audit_heads(&T, 9).await.unwrap();
    let old = old.iter().find(|head| head.number == i64::try_from(before).unwrap()).unwrap();
    rows.retain(|row| row.chain != old.chain || row.number < old.number - 2);
    assert_eq!(first(&keys, &rows), (Kind::Deleted, old.number - 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_while_the_store_takes_no_rows_none_is_kept_and_none_that_waits_is_lost() {
    let bench = Bench::new().await;
    bench.handle.keep(entry(0)).await.unwrap();
    bench.sql(STOP).await;
    bench.note(1..101);
    assert!(bench.handle.keep(entry(101)).await.is_err());
    assert!(bench.handle.keep(entry(102)).await.is_err(), "at once, while that is known");
    bench.sql(GO_ON).await;
    bench.until(|counts| counts.written() == 101).await;
    let rows = bench.rows().await;
    assert_eq!(bench.handle.counts().lost(), 0);
    let has = |number| rows.iter().any(|row| row.line.contains(RequestId::new(7, number).as_str()));
    assert!((0..101).all(has) && !has(101) && !has(102), "no row of what was not kept");
    assert_eq!(verdict(&bench.keys().await, &rows).findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_rows_that_are_lost_are_counted_and_the_log_says_how_many_are_missing() {
    let bench = Bench::new().await;
    bench.handle.keep(entry(0)).await.unwrap();
    bench.sql(STOP).await;
    let sent = 1 + 10_000;
    bench.note(1..sent);
    let lost = bench.handle.counts().lost();
    assert!(lost > 0, "the queue is bounded");
    bench.sql(GO_ON).await;
    bench.until(|counts| counts.written() + counts.lost() == sent).await;
    let rows = bench.rows().await;
    let gaps = rows.iter().filter(|row| row.line.contains("\"kind\":\"gap\""));
    let told: u64 =
        gaps.map(|row| serde_json::from_str::<serde_json::Value>(&row.line).unwrap()["lost"].as_u64().unwrap()).sum();
    let calls = rows.iter().filter(|row| row.line.contains("\"kind\":\"call\"")).count() as u64;
    assert_eq!((told, calls + told), (lost, sent), "what is missing is what was counted");
    assert_eq!(verdict(&bench.keys().await, &rows).findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_gets_every_row_of_the_store_also_after_it_was_moved_away() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let file = folder.path().join("audit.ndjson");
    let bench = Bench::with(Arc::clone(&folder), vec![Sink::File(file.clone())]).await;
    bench.note(0..10);
    bench.until(|counts| counts.written() == 10).await;
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::rename(&file, folder.path().join("audit.1")).unwrap();
    bench.note(10..20);
    let rows: String = bench.rows().await.iter().flat_map(|row| [row.line.as_str(), "\n"]).collect();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("audit.1") + &read("audit.ndjson"), rows);
    assert_eq!(bench.handle.counts().missed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_file_that_cannot_be_written_is_counted_and_nothing_waits_for_it() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let bench = Bench::with(Arc::clone(&folder), vec![Sink::File(folder.path().join("no such folder/file"))]).await;
    bench.handle.keep(entry(0)).await.unwrap();
    let rows = bench.rows().await.len() as u64;
    assert_eq!(bench.handle.counts().missed(), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_time_is_over_go_from_the_beginning_and_the_rest_is_still_proved() {
    let bench = Bench::new().await;
    let day = Duration::from_hours(24);
    for number in 0..10_u32 {
        bench.handle.keep(Entry { at: START.plus(day / 2 * number), ..entry(number.into()) }).await.unwrap();
    }
    let all = bench.rows().await;
    let swept = bench.store.sweep_audit(&T, START.plus(day), 500).await.unwrap();
    let left = bench.store.audit_rows(&T, ("", 0), 1000).await.unwrap();
    assert_eq!((all.len() - left.len()) as u64, swept);
    assert!(swept >= 2 && !left.is_empty());
    let verdict = verdict(&bench.keys().await, &left);
    assert_eq!(verdict.findings, []);
    assert!(verdict.notes.iter().any(|note| note.contains("begins with row")), "{:?}", verdict.notes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever bytes a file holds, looking at it ends.
    #[test]
    fn sec_no_file_makes_the_verifier_fall_over(lines in proptest::collection::vec(".{0,80}", 0..20)) {
        let mut verifier = Verifier::new(Vec::new());
        lines.iter().zip(1..).for_each(|(line, number)| verifier.line(line, number));
        let found = verifier.finish().findings;
        prop_assert!(lines.is_empty() || !found.is_empty());
    }
}
