use std::sync::Mutex;

use http::StatusCode;

use super::*;
use crate::kit::{bench::Bench, refusal::Reason};

type Log = Arc<Mutex<Vec<&'static str>>>;

/// Writes down when it is passed.
fn passing(log: &Log, name: &'static str) -> RouteLayer {
    let log = Arc::clone(log);
    gate(move |_| {
        log.lock().unwrap().push(name);
        Ok(())
    })
}

fn refusing() -> RouteLayer {
    gate(|_| Err(Reason::IpNotAllowed.into()))
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"echo"}}"#;

#[tokio::test]
async fn layers_are_passed_in_the_order_in_which_they_are_written() {
    let log = Log::default();
    let bench = Bench::with(stack(vec![passing(&log, "a"), passing(&log, "b"), passing(&log, "c")]));
    assert!(bench.post(CALL).send().await.got_through());
    assert_eq!(*log.lock().unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_stack_of_nothing_changes_nothing() {
    assert!(Bench::with(stack(Vec::new())).post(CALL).send().await.got_through());
}

#[tokio::test]
async fn a_gate_that_refuses_is_the_end() {
    let log = Log::default();
    let bench = Bench::with(stack(vec![passing(&log, "a"), refusing(), passing(&log, "c")]));
    let outcome = bench.post(CALL).send().await;
    assert_eq!((outcome.status, outcome.reason()), (StatusCode::FORBIDDEN, Some("ip_not_allowed")));
    assert_eq!(outcome.message()["id"], "x");
    assert_eq!(outcome.message()["error"]["data"]["requestId"], "00000000000000000001");
    assert!(!outcome.got_through());
    assert_eq!(*log.lock().unwrap(), ["a"]);
}

#[tokio::test]
async fn a_gate_may_leave_a_fact_for_those_behind_it() {
    #[derive(Clone, Debug, PartialEq)]
    struct Found(u8);
    let bench = Bench::with(gate(|request| {
        request.extensions_mut().insert(Found(7));
        Ok(())
    }));
    let outcome = bench.post(CALL).send().await;
    assert_eq!(outcome.reached[0].facts.get(), Some(&Found(7)));
}

#[tokio::test]
async fn around_may_call_the_rest_again() {
    let bench = Bench::with(around(|request: Request, next: RouteService| async move {
        let Ok(first) = next.run(request.clone()).await;
        drop(first);
        let Ok(second) = next.run(request).await;
        second
    }));
    assert_eq!(bench.post(CALL).send().await.reached.len(), 2);
}

#[tokio::test]
async fn around_may_answer_by_itself() {
    let bench = Bench::with(around(|request, _| async move { refuse(&request, Reason::Overloaded.into()) }));
    let outcome = bench.post(CALL).send().await;
    assert_eq!((outcome.reason(), outcome.got_through()), (Some("overloaded"), false));
}

#[tokio::test]
async fn edit_answers_edits_only_what_it_asked_for() {
    let edit = || {
        edit_answers(|request: &mut Request| match request.body().message().and_then(Message::tool) {
            Some("secret") => Err(Reason::NotExposed.into()),
            Some("edited") => Ok(Some(|mut response: Response| {
                *response.status_mut() = StatusCode::IM_A_TEAPOT;
                response
            })),
            _ => Ok(None),
        })
    };
    let bench = Bench::with(edit());
    let call = |tool: &'static str| bench.call("tools/call", serde_json::json!({ "name": tool })).send();
    assert_eq!(call("edited").await.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(call("plain").await.status, StatusCode::OK);
    assert_eq!(call("secret").await.reason(), Some("not_exposed"));
}

#[tokio::test]
async fn a_ready_made_tower_layer_stands_in_a_chain_as_it_is() {
    let layer = tower::util::MapResponseLayer::new(|mut response: Response| {
        *response.status_mut() = StatusCode::CREATED;
        response
    });
    assert_eq!(Bench::with(lift(layer)).post(CALL).send().await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_chain_is_a_tower_service_and_cheap_to_clone() {
    let mut service = RouteService::from_fn(|request| answered(refuse(&request, Reason::Internal.into())));
    let mut clone = service.clone();
    let request = || Request::new(Inbound::Refused(Reason::BatchNotSupported.into()));
    for service in [&mut service, &mut clone] {
        let response = service.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(size_of::<RouteService>(), 2 * size_of::<usize>());
}

#[tokio::test]
async fn a_request_that_could_not_be_read_passes_all_gates_and_is_refused_at_the_end() {
    let log = Log::default();
    let bench = Bench::with(stack(vec![passing(&log, "a"), passing(&log, "b")]));
    let outcome = bench.refused(Reason::BatchNotSupported).send().await;
    assert_eq!((outcome.reason(), outcome.got_through()), (Some("batch_not_supported"), false));
    assert_eq!(*log.lock().unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_layer_serves_many_calls_at_once() {
    let bench = Bench::with(around(|request: Request, next: RouteService| async move {
        tokio::task::yield_now().await;
        let Ok(response) = next.run(request).await;
        response
    }));
    let (a, b) = tokio::join!(bench.post(CALL).send(), bench.post(CALL).send());
    assert_eq!((a.reached.len(), b.reached.len()), (1, 1));
}

#[test]
fn a_request_id_tells_processes_and_requests_apart() {
    assert_eq!(RequestId::new(0, 0).as_str(), "00000000000000000000");
    assert_eq!(RequestId::new(0xdead_beef, 0x1234).to_string(), "deadbeef000000001234");
    assert_eq!(RequestId::new(1, u64::MAX).as_str(), "00000001ffffffffffff");
    assert_eq!(format!("{:?}", RequestId::new(1, 2)), "00000001000000000002");
}
