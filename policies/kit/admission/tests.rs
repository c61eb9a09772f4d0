use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::kit::{bench::Bench, refusal::Reason};

/// Lets in whoever shows nothing at all, at once or after a while.
struct Open {
    waits: bool,
    judged: Arc<AtomicUsize>,
}

impl Door for Open {
    fn judge<'a>(&'a self, _: &'a Request) -> Result<Judging<'a>, Refusal> {
        let access = || Ok(Access { caller: Caller::new("ada"), scopes: [].into() });
        if !self.waits {
            self.judged.fetch_add(1, Ordering::Relaxed);
            return Ok(Judging::Ready(access()));
        }
        Ok(Judging::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            self.judged.fetch_add(1, Ordering::Relaxed);
            access()
        })))
    }

    fn suffices(&self, request: &Request, _: &Access) -> Result<(), Refusal> {
        let tool = request.body().message().and_then(|message| message.tool());
        if tool == Some("secret") { Err(Reason::IpNotAllowed.into()) } else { Ok(()) }
    }

    fn deny(&self, _: &Request, _: Denied) -> Refusal {
        Reason::Internal.into()
    }
}

#[tokio::test]
async fn a_judgement_is_made_once_whether_it_is_there_or_to_come() {
    for waits in [false, true] {
        let judged = Arc::new(AtomicUsize::new(0));
        let bench = Bench::with(admission(Open { waits, judged: Arc::clone(&judged) }));
        let outcome = bench.call("tools/call", json!({ "name": "echo" })).fact(Caller::new("mallory")).send().await;
        assert_eq!(&*outcome.reached[0].facts.get::<Caller>().unwrap().subject, "ada");
        let secret = bench.call("tools/call", json!({ "name": "secret" })).send().await;
        assert_eq!((secret.reason(), secret.got_through()), (Some("ip_not_allowed"), false));
        assert_eq!(judged.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_refusal_carries_the_callers_id() {
    let bench = Bench::with(admission(Open { waits: true, judged: Arc::default() }));
    let outcome =
        bench.post(r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"secret"}}"#).send().await;
    assert_eq!(outcome.message()["id"], "x");
}
