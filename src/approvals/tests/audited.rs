//! What became of calls that wait, in the audit log.

use serde_json::Value;
use sqlx::{Connection, SqliteConnection};
use tokio::time::sleep;

use super::*;
use crate::{
    audit::{self, PublicKey, Verifier},
    store::AuditRow,
};

const T: Tenant = Tenant::DEFAULT;

/// A process that writes an audit log.
struct Node {
    store: Store,
    audit: audit::Handle,
}

impl Node {
    async fn of(story: &Story) -> Self {
        let (store, audit) = (store(&story.folder, &story.clock).await, audit::Handle::default());
        let foundation = audit::Foundation {
            store: store.clone(),
            tenant: T,
            clock: Arc::clone(&story.clock) as Arc<dyn Clock>,
            sinks: Vec::new(),
            keep: Duration::from_hours(24),
        };
        audit::open(foundation, &audit).await.unwrap();
        Self { store, audit }
    }

    async fn rows(&self) -> Vec<AuditRow> {
        self.store.audit_rows(&T, ("", 0), 10_000).await.unwrap()
    }

    /// The rows of decisions, once there are so many.
    async fn decisions(&self, count: usize) -> Vec<Value> {
        for _ in 0..500 {
            let rows = self.rows().await;
            let values = rows.iter().map(|row| serde_json::from_str::<Value>(&row.line).unwrap());
            let decisions: Vec<_> = values.filter(|row| row["kind"] == "decision").collect();
            if decisions.len() >= count {
                return decisions;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{:#?}", self.rows().await);
    }
}

fn held_of(tool: &str) -> Held {
    let mut held = held();
    held.bound.tool = tool.into();
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_a_call_that_waits_is_a_row_that_says_who_what_and_why() {
    let story = Story::begin().await;
    for tool in ["approved", "denied", "withdrawn", "expired"] {
        story.propose(&held_of(tool)).await;
    }
    story.propose(&Held { is_audited: false, ..held_of("of a route without an audit") }).await;
    let (grace, ada) = (person("grace"), person("ada"));
    for (number, who, verdict, reason) in [
        (1, Who::Person(&grace), Verdict::Approve, Some("it is old")),
        (2, Who::Operator("an operator"), Verdict::Deny, None),
        (3, Who::Person(&ada), Verdict::Withdraw, None),
        (5, Who::Person(&grace), Verdict::Approve, None),
    ] {
        story.desk.decide(number, who, verdict, reason).await.unwrap();
    }
    let node = Node::of(&story).await;
    node.decisions(3).await;
    story.clock.advance(Duration::from_mins(10));
    story.desk.expire().await.unwrap();
    story.desk.expire().await.unwrap();
    assert_eq!(story.propose(&held_of("expired")).await.standing, Standing::Expired, "who made it is still told once");
    let rows = node.decisions(5).await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["approval"].as_i64().unwrap(), row["decision"].as_str().unwrap(), row["person"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (1, "approved", json!({ "name": "grace", "subject": "dev|grace" })),
            (2, "denied", json!({ "name": "an operator" })),
            (3, "withdrawn", json!({ "subject": "dev|ada" })),
            (1, "expired", Value::Null),
            (4, "expired", Value::Null),
        ]
    );
    let first = &rows[0];
    assert_eq!((&first["reason"], &first["decidedBy"]["rule"]), (&json!("it is old"), &json!("deletes")));
    assert_eq!((&first["caller"]["subject"], &first["target"]["name"]), (&json!("dev|ada"), &json!("approved")));
    assert_eq!((&first["route"], &first["decidedAt"]), (&json!("/mcp"), &json!("2027-01-15T08:00:00Z")));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(node.decisions(5).await.len(), 5, "and once");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_of_several_nodes_that_look_at_once_one_writes_the_row() {
    const CALLS: usize = 60;
    let story = Story::begin().await;
    let nodes = [Node::of(&story).await, Node::of(&story).await, Node::of(&story).await];
    for number in 1..=CALLS {
        story.propose(&held_of(&format!("tool {number}"))).await;
        story.approve(i64::try_from(number).unwrap(), &person("grace")).await.unwrap();
        for node in &nodes {
            node.audit.look();
        }
    }
    nodes[0].decisions(CALLS).await;
    for node in &nodes {
        node.audit.close().await;
    }
    let mut numbers: Vec<_> =
        nodes[0].decisions(CALLS).await.iter().map(|row| row["approval"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=CALLS as u64).collect::<Vec<_>>());
    let mut verifier = Verifier::new(PublicKey::of_store(&nodes[0].store, &T).await.unwrap());
    nodes[0].rows().await.iter().for_each(|row| verifier.row(row));
    assert_eq!(verifier.finish().findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a_decision_waits_for_its_row_while_the_log_takes_none() {
    let story = Story::begin().await;
    let node = Node::of(&story).await;
    let url = format!("sqlite:{}", story.folder.path().join("store.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let stop = "CREATE TRIGGER stop BEFORE INSERT ON audit_rows BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    sqlx::raw_sql(stop).execute(&mut database).await.unwrap();
    story.propose(&held()).await;
    story.approve(1, &person("grace")).await.unwrap();
    node.audit.look();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(node.rows().await, [], "nothing can be written");
    assert!(node.store.has_unaudited_approvals(&T).await.unwrap(), "and nothing is taken for written");
    sqlx::raw_sql("DROP TRIGGER stop").execute(&mut database).await.unwrap();
    assert_eq!(node.decisions(1).await.len(), 1);
    assert!(!node.store.has_unaudited_approvals(&T).await.unwrap());
}
