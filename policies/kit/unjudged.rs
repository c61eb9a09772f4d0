//! Calls that a policy cannot judge because nothing says what they call.
//!
//! The upstream may say nothing because the caller must connect to it first, which a layer further in tells whoever calls. So
//! such a call goes on, with its refusal, and the end of the chain turns it away: it never reaches the upstream.

use crate::kit::{
    chain::{Answer, Request, RouteService, answered, refuse, then},
    decision::{Decided, Decisions},
    refusal::Refusal,
};

/// What becomes of such calls at the end of chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChainEnd {
    /// They would pass, so they are refused where they cannot be judged.
    #[default]
    Open,
    /// [`turn_away`] stands there, and [`use_permits`](crate::kit::permit::use_permits) behind it.
    Guarded,
}

/// In the extensions of a request: it must not reach the upstream, for this reason.
#[derive(Clone, Debug)]
struct Unjudged(Refusal);

impl ChainEnd {
    /// Answers a call that could not be judged with `refusal`, which `decided` says, unless a layer further in has an answer
    /// of its own.
    pub fn refuse_last(
        self,
        mut request: Request,
        refusal: Refusal,
        decided: Vec<Decided>,
        inner: &RouteService,
    ) -> Answer {
        let reason = refusal.reason();
        let answer = match self {
            Self::Open => answered(refuse(&request, refusal)),
            Self::Guarded => {
                request.extensions_mut().insert(Unjudged(refusal));
                inner.run(request)
            }
        };
        then(answer, move |mut response| {
            if response.extensions().get() == Some(&reason) {
                Decisions::add(&mut response, decided);
            }
            response
        })
    }
}

/// Refuses what could not be judged. Next to the upstream, nothing else may answer in its place.
pub fn turn_away(request: &Request) -> Result<(), Refusal> {
    unjudged(request).map_or(Ok(()), |refusal| Err(refusal.clone()))
}

/// Why it must not reach the upstream, if so.
pub fn unjudged(request: &Request) -> Option<&Refusal> {
    request.extensions().get().map(|Unjudged(refusal)| refusal)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tower::Layer;

    use super::*;
    use crate::kit::{
        chain::{Inbound, Response, gate},
        json::Limits,
        message::Message,
        refusal::Reason,
        reply::Reply,
    };

    /// What comes of a call that cannot be judged, before a chain that ends in these ways.
    async fn refused_last(end: ChainEnd, inner: &RouteService) -> (Option<Reason>, usize) {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"one"}}"#;
        let request = Request::new(Inbound::Message(Message::read(Bytes::from(call), &Limits::MESSAGE).unwrap()));
        let decided = vec![Decided { policy: "some", rule: "unknown".into(), outcome: "blocked" }];
        let Ok(response) = end.refuse_last(request, Reason::ToolUnapproved.into(), decided, inner).await;
        let decisions = response.extensions().get().map_or(0, |Decisions(decided)| decided.len());
        (response.extensions().get().copied(), decisions)
    }

    fn upstream() -> RouteService {
        RouteService::from_fn(|_| answered(Response::new(Reply::Empty)))
    }

    #[tokio::test]
    async fn sec_a_call_that_could_not_be_judged_never_reaches_the_upstream() {
        let refused = (Some(Reason::ToolUnapproved), 1);
        assert_eq!(refused_last(ChainEnd::Open, &upstream()).await, refused);
        let guarded = gate(|request| turn_away(request)).layer(upstream());
        assert_eq!(refused_last(ChainEnd::Guarded, &guarded).await, refused);
    }

    #[tokio::test]
    async fn whoever_must_connect_first_is_told_so_and_nothing_was_decided() {
        let connects = gate(|_| Err(Reason::ConnectRequired.into())).layer(upstream());
        assert_eq!(refused_last(ChainEnd::Guarded, &connects).await, (Some(Reason::ConnectRequired), 0));
    }
}
