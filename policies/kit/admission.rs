//! The door of a route: a credential becomes a [`Caller`], or the request is refused.
//!
//! There is no third way. Only an [`Access`] holds a caller, and only a judge that was satisfied gives one, so an error
//! of whatever kind cannot turn into somebody.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::kit::{
    audit::enter,
    chain::{Answer, Arrival, Request, RouteLayer, RouteService, answered, direct, refuse},
    host::Caller,
    refusal::Refusal,
    sign_in::{Access, Denied, Judging},
};

/// What a sign-in policy knows about its door.
pub trait Door: Send + Sync + 'static {
    /// Finds the request's credential and has it judged. Called again where the judgement has to be waited for, so a
    /// judge does its work in what it returns as [`Judging::Pending`].
    fn judge<'a>(&'a self, request: &'a Request) -> Result<Judging<'a>, Refusal>;

    /// Decides whether this access is enough for this request.
    fn suffices(&self, request: &Request, access: &Access) -> Result<(), Refusal>;

    /// Says no to a credential that gives nothing.
    fn deny(&self, request: &Request, denied: Denied) -> Refusal;
}

/// The layer of a door. A judgement that is there at once costs no allocation but the fact's own.
pub fn admission(door: impl Door) -> RouteLayer {
    let door = Arc::new(door);
    direct(move |request, inner| match at_once(&*door, &request) {
        Some(verdict) => proceed(request, verdict, inner),
        None => {
            let (door, inner) = (Arc::clone(&door), inner.clone());
            Box::pin(async move {
                let verdict = in_time(&*door, &request).await;
                proceed(request, verdict, &inner).await
            })
        }
    })
}

/// The path of the request's route.
pub fn route(request: &Request) -> &str {
    request.extensions().get::<Arrival>().map_or("", |arrival| &arrival.route)
}

type Verdict = Result<Caller, Refusal>;

fn at_once(door: &impl Door, request: &Request) -> Option<Verdict> {
    match door.judge(request) {
        Ok(Judging::Ready(judgement)) => Some(weigh(door, request, judgement)),
        Ok(Judging::Pending(_)) => None,
        Err(refusal) => Some(Err(refusal)),
    }
}

async fn in_time(door: &impl Door, request: &Request) -> Verdict {
    let judgement = match door.judge(request)? {
        Judging::Ready(judgement) => judgement,
        Judging::Pending(judgement) => judgement.await,
    };
    weigh(door, request, judgement)
}

fn weigh(door: &impl Door, request: &Request, judgement: Result<Access, Denied>) -> Verdict {
    let access = judgement.map_err(|denied| door.deny(request, denied))?;
    door.suffices(request, &access)?;
    Ok(access.caller)
}

fn proceed(mut request: Request, verdict: Verdict, inner: &RouteService) -> Answer {
    match verdict {
        Ok(caller) => {
            enter(&mut request, caller);
            inner.run(request)
        }
        Err(refusal) => answered(refuse(&request, refusal)),
    }
}
