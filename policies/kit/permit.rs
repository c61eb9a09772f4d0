//! Approvals that are used up where a call leaves for the upstream, and not before.
//!
//! Layers between the policy that holds calls and the upstream may have an answer of their own: whoever is not connected is told
//! to connect. Then nothing was made, and the approval stays. So the policy only puts a [`Permit`] into the request, and
//! [`use_permits`] stands at the end of the chain.

use std::{fmt, sync::Arc};

use tokio::sync::OnceCell;

use crate::kit::{
    approval::{Approvals, Bindings, Taken, Ticket},
    audit::NotSent,
    chain::{Request, RouteLayer, direct, refuse},
    message::{Message, Method},
    refusal::{Reason, Refusal},
};

/// An approval that one request may use. All clones are the same.
#[derive(Clone)]
pub struct Permit(Arc<Inner>);

struct Inner {
    approvals: Arc<dyn Approvals>,
    ticket: Ticket,
    bound: Bindings,
    outcome: OnceCell<Result<Taken, Refusal>>,
}

/// A fact: the call may be made with these, one of each policy that holds it.
#[derive(Clone, Default)]
struct Permits(Vec<Permit>);

impl Permit {
    /// To use this approval for exactly these bindings.
    pub fn new(approvals: Arc<dyn Approvals>, ticket: Ticket, bound: Bindings) -> Self {
        Self(Arc::new(Inner { approvals, ticket, bound, outcome: OnceCell::new() }))
    }

    /// Lets a request use it.
    pub fn put_into(self, request: &mut Request) {
        request.extensions_mut().get_or_insert_default::<Permits>().0.push(self);
    }

    /// What came of using it; none if the request never got to the end of the chain.
    pub fn outcome(&self) -> Option<&Result<Taken, Refusal>> {
        self.0.outcome.get()
    }

    /// Uses it, once: a request that is sent a second time, with a newer credential, is the same call.
    async fn take(&self) -> Result<(), Refusal> {
        let Inner { approvals, ticket, bound, outcome } = &*self.0;
        match outcome.get_or_init(|| approvals.take(ticket, bound)).await {
            Ok(Taken::Yes) => Ok(()),
            Ok(Taken::ByAnother) => Err(Reason::ApprovalUsed.into()),
            Ok(Taken::No) => Err(Reason::ApprovalChanged.into()),
            Err(refusal) => Err(refusal.clone()),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.0.ticket.number).finish()
    }
}

/// The layer next to the upstream: a call with permits goes on if it gets each of them.
pub fn use_permits() -> RouteLayer {
    direct(|request, inner| {
        // What layers ask on the call's behalf, such as for the list, is not the call.
        let is_call = request.body().message().and_then(Message::method) == Some(&Method::CallTool);
        match request.extensions().get::<Permits>().filter(|_| is_call).cloned() {
            None => inner.run(request),
            Some(Permits(permits)) => {
                let inner = inner.clone();
                Box::pin(async move {
                    for permit in &permits {
                        if let Err(refusal) = permit.take().await {
                            let mut response = refuse(&request, refusal);
                            response.extensions_mut().insert(NotSent);
                            return Ok(response);
                        }
                    }
                    inner.run(request).await
                })
            }
        }
    })
}
