use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::*;
use crate::{
    kit::{
        audit::{self, Decision, Entry, Fault, Keeping, Kept, NotKept, Origin, before_upstream, enter},
        bench::{Bench, body, result, slow_stream, stream},
        chain::{gate, stack},
        decision::{Decided, LateDecisions, Undecided},
        host::{Caller, Identity},
        message::Message,
        policy::PolicyKind,
        refusal::Reason,
    },
    rules::McpRules,
    secret_guard::SecretGuard,
};

/// A log in memory, which keeps rows or does not.
#[derive(Debug, Default)]
struct Book {
    rows: Mutex<Vec<Entry>>,
    is_broken: AtomicBool,
}

impl audit::AuditLog for Book {
    fn note(&self, entry: Entry) {
        self.rows.lock().unwrap().push(entry);
    }

    fn keep(&self, entry: Entry) -> Keeping {
        let is_broken = self.is_broken.load(Ordering::SeqCst);
        if !is_broken {
            self.rows.lock().unwrap().push(entry);
        }
        Box::pin(async move { if is_broken { Err(NotKept) } else { Ok(()) } })
    }
}

impl Book {
    fn rows(&self) -> Vec<Entry> {
        self.rows.lock().unwrap().clone()
    }

    /// The one row that there is.
    fn row(&self) -> Entry {
        let rows = self.rows();
        assert_eq!(rows.len(), 1, "{rows:#?}");
        rows[0].clone()
    }
}

fn ada() -> Caller {
    let (subject, email) = ("dev|ada".into(), Some("ada@example.com".to_owned()));
    Identity { subject, email, client: Some("editor".to_owned()), ..Identity::default() }.into()
}

fn layer<P: Policy>(options: &Value) -> RouteLayer {
    PolicyKind::of::<P>().layer(options, &Host::default()).unwrap()
}

/// `audit-log`, a sign-in that lets Ada in, and these policies.
fn bench_of(options: &Value, policies: Vec<RouteLayer>) -> (Arc<Book>, Bench) {
    let book = Arc::new(Book::default());
    let host = Host { audit: Some(Arc::clone(&book) as Arc<dyn audit::AuditLog>), ..Host::default() };
    let first = PolicyKind::of::<AuditLog>().layer(options, &host).unwrap();
    let sign_in = gate(|request| {
        enter(request, ada());
        Ok(())
    });
    let layers = [vec![first, sign_in], policies, vec![before_upstream()]].concat();
    (book, Bench::with(stack(layers)))
}

fn bench(options: &Value) -> (Arc<Book>, Bench) {
    bench_of(options, Vec::new())
}

fn echo(text: &str) -> Value {
    json!({ "name": "echo", "arguments": { "text": text } })
}

#[tokio::test]
async fn a_call_is_one_row_that_says_who_what_and_how_it_went() {
    let (book, bench) = bench(&json!({}));
    let outcome = bench.call("tools/call", echo("hello")).send().await;
    let row = book.row();
    assert_eq!(row.caller.unwrap(), ada());
    assert_eq!((row.subject.route.as_deref(), row.subject.method.as_deref()), (Some("/mcp"), Some("tools/call")));
    assert_eq!(row.subject.target.as_ref().map(|(_, name)| &**name), Some("echo"));
    assert!(row.subject.bytes > 80 && row.arguments.is_none(), "arguments are off");
    let end = row.end.unwrap();
    assert_eq!((end.decision, end.fault, end.status, end.sent), (Decision::Allowed, None, Some(200), 1));
    assert_eq!((end.bytes, end.events), (outcome.body.len() as u64, None));
    assert!(end.upstream.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_row_says_how_long_the_upstream_took() {
    let (book, bench) = bench(&json!({}));
    let bench = bench.slow_upstream(Duration::from_millis(300), |message| result(message, &json!({})));
    bench.call("tools/call", echo("hello")).send().await;
    let end = book.row().end.unwrap();
    assert_eq!((end.took.as_millis(), end.upstream.unwrap().as_millis()), (300, 300));
}

#[tokio::test]
async fn a_refused_call_is_a_row_with_the_policy_the_rule_and_the_reason() {
    let rules = json!({ "rules": [{ "name": "no echo", "match": { "tools": ["echo"] }, "action": "deny" }] });
    let (book, bench) = bench_of(&json!({}), vec![layer::<McpRules>(&rules)]);
    let outcome = bench.call("tools/call", echo("hello")).send().await;
    assert!(!outcome.got_through());
    let end = book.row().end.unwrap();
    assert_eq!((end.decision, end.sent, end.upstream), (Decision::Denied, 0, None));
    let fault = end.fault.unwrap();
    assert_eq!((fault.origin, fault.policy), (Origin::Policy, Some("mcp-rules")));
    assert_eq!(fault.reason, Some("denied_by_rule"));
    assert_eq!(
        (end.decided[0].policy, &*end.decided[0].rule, end.decided[0].outcome),
        ("mcp-rules", "no echo", "denied")
    );
}

#[tokio::test]
async fn what_could_not_be_read_is_a_row_too() {
    let (book, bench) = bench(&json!({}));
    bench.refused(Reason::MalformedJson).send().await;
    let row = book.row();
    assert_eq!(row.subject.method, None);
    let end = row.end.unwrap();
    assert_eq!((end.decision, end.status), (Decision::Denied, Some(400)));
    assert_eq!(end.fault.unwrap().origin, Origin::Client);
}

#[tokio::test]
async fn errors_of_the_upstream_are_told_from_those_of_the_gateway() {
    let (book, bench) = bench(&json!({}));
    for (answer, class) in [
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#, "json_rpc_error"),
        (r#"{"jsonrpc":"2.0","id":1,"\u0065rror":{"code":-32602,"message":"no"}}"#, "json_rpc_error"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#, "tool_error"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"is\u0045rror":true}}"#, "tool_error"),
    ] {
        let bench = Bench::with(stack(vec![
            PolicyKind::of::<AuditLog>()
                .layer(&json!({}), &Host { audit: Some(book.clone()), ..Host::default() })
                .unwrap(),
            before_upstream(),
        ]))
        .upstream(move |_| body(answer));
        bench.call("tools/call", echo("hello")).send().await;
        let end = book.rows.lock().unwrap().pop().unwrap().end.unwrap();
        let fault = end.fault.unwrap();
        assert_eq!((end.decision, fault.origin, fault.class), (Decision::Allowed, Origin::Upstream, class));
    }
    drop(bench);
}

#[tokio::test]
async fn without_a_row_there_is_no_call_where_the_route_fails_closed() {
    let (book, bench) = bench(&json!({ "promise": "fail-closed" }));
    book.is_broken.store(true, Ordering::SeqCst);
    let outcome = bench.call("tools/call", echo("hello")).send().await;
    assert!(!outcome.got_through());
    assert_eq!((outcome.status.as_u16(), outcome.reason()), (503, Some("audit_unavailable")));
    assert!(outcome.header("retry-after").is_some());
    let end = book.row().end.unwrap();
    assert_eq!((end.decision, end.sent), (Decision::Denied, 0));
}

#[tokio::test]
async fn the_row_of_a_call_that_is_about_to_be_made_is_there_before_the_upstream_gets_it() {
    let (book, bench) = bench(&json!({ "promise": "fail-closed", "arguments": "full" }));
    let seen = Arc::clone(&book);
    let bench = bench.upstream(move |message| {
        let row = seen.row();
        assert!(row.end.is_none());
        assert_eq!(row.caller, Some(ada()));
        assert_eq!(row.arguments.unwrap().kept, Kept::Json(r#"{"text":"hello"}"#.into()));
        result(message, &json!({}))
    });
    assert!(bench.call("tools/call", echo("hello")).send().await.got_through());
    assert_eq!(book.rows().iter().map(|row| row.end.is_some()).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_counted_route_waits_for_nothing() {
    let (book, bench) = bench(&json!({ "promise": "counted" }));
    book.is_broken.store(true, Ordering::SeqCst);
    assert!(bench.call("tools/call", echo("hello")).send().await.got_through());
}

#[tokio::test]
async fn the_row_of_a_stream_is_written_at_its_end_with_the_answer_in_it() {
    let (book, bench) = bench(&json!({ "results": "full" }));
    let bench = bench.upstream(|_| {
        stream([r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, r#"{"jsonrpc":"2.0","id":1,"result":{"n":1}}"#])
    });
    let outcome = bench.call("tools/call", echo("hello")).send().await;
    let end = book.row().end.unwrap();
    assert_eq!((end.events, end.bytes), (Some(2), outcome.body.len() as u64));
    assert_eq!((end.fault, end.result.unwrap().kept), (None, Kept::Json(r#"{"n":1}"#.into())));
}

#[tokio::test]
async fn a_stream_that_ends_without_the_answer_is_the_upstreams_error() {
    let (book, bench) = bench(&json!({}));
    let bench = bench.upstream(|_| stream([r#"{"jsonrpc":"2.0","method":"notifications/x"}"#]));
    bench.call("tools/call", echo("hello")).send().await;
    let fault = book.row().end.unwrap().fault.unwrap();
    assert_eq!((fault.origin, fault.class), (Origin::Upstream, "no_answer"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_has_its_row_all_the_same() {
    let (book, bench) = bench(&json!({}));
    let late = Duration::from_mins(1);
    let waiting = bench.slow_upstream(late, |message| result(message, &json!({})));
    let call = waiting.call("tools/call", echo("hello")).send();
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let end = book.rows.lock().unwrap().pop().unwrap().end.unwrap();
    assert_eq!((end.decision, end.status, end.sent), (Decision::Allowed, None, 1));
    assert_eq!(end.fault.unwrap().class, "client_gone");

    let streaming = waiting.upstream(move |_| {
        slow_stream([
            (Duration::ZERO, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#),
            (late, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        ])
    });
    let call = streaming.call("tools/call", echo("hello")).send();
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let end = book.row().end.unwrap();
    assert_eq!((end.status, end.events, end.fault.unwrap().class), (Some(200), Some(1), "client_gone"));
}

#[tokio::test]
async fn sec_a_secret_that_was_stopped_is_not_kept_instead() {
    let guard = layer::<SecretGuard>(&json!({ "arguments": "block" }));
    let (book, bench) = bench_of(&json!({ "arguments": "full" }), vec![guard]);
    let secret = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let outcome = bench.call("tools/call", echo(&secret)).send().await;
    assert_eq!(outcome.reason(), Some("secret_in_request"));
    let row = format!("{:?}", book.row());
    assert!(!row.contains(&secret) && row.contains(r#"{\"text\":\"string\"}"#), "{row}");
}

#[tokio::test]
async fn what_is_decided_about_events_is_in_the_row_and_others_still_hear_it() {
    let late = |response: &mut crate::kit::chain::Response| {
        let undecided = Undecided::default();
        undecided.note(Decided { policy: "one", rule: "a rule".into(), outcome: "masked" });
        LateDecisions::add(response, undecided);
    };
    let (book, bench) = bench(&json!({}));
    let bench = bench.upstream(move |message: &Message| {
        let mut response = result(message, &json!({}));
        late(&mut response);
        response
    });
    let outcome = bench.call("tools/call", echo("hello")).send().await;
    assert_eq!(book.row().end.unwrap().decided[0].outcome, "masked");
    let LateDecisions(others) = outcome.facts.get::<LateDecisions>().unwrap();
    assert_eq!(others[0].take()[0].outcome, "masked");
}

#[test]
fn every_policy_that_is_blamed_for_a_reason_is_one_that_there_is() {
    let blamed: Vec<_> = Reason::ALL.iter().filter_map(|reason| Fault::refusal(*reason, None).policy).collect();
    assert!(blamed.len() > 10);
    for policy in blamed {
        assert!(crate::STANDARD.iter().any(|kind| kind.name == policy), "{policy}");
    }
}
