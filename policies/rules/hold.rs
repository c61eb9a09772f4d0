//! Calls that wait for a person.
//!
//! A held call is answered with its number, and repeated to get its result. When it is approved, everything is judged anew as it
//! is then, and only what was approved is taken and made, once.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tower::Layer;

use super::{
    Judge, Known, act,
    approval::Approval,
    arguments,
    judge::Judgement,
    page::Returned,
    pass,
    says::{fingerprint, said, shown},
    with_last,
    words::{no_definition, pending, refusal},
};
use crate::kit::{
    approval::{Approvals, Bindings, Held, Standing, Taken, Ticket},
    audit::{self, Audited},
    call::tool,
    chain::{Arrival, Request, Response, RouteService, refuse},
    credential::UpstreamTarget,
    decision::Decisions,
    definitions::Asker,
    permit::{Permit, use_permits},
    refusal::{Reason, Refusal},
    unjudged::ChainEnd,
};

/// A call that some rule holds, as it is judged at one moment.
pub(super) struct Case<'a> {
    pub(super) tool: String,
    pub(super) judgement: Judgement<'a>,
    pub(super) approval: &'a Approval,
    /// The call, with everything that an approval is bound to.
    pub(super) held: Held,
}

/// What rules say of a call that was held before.
enum Judged<'a> {
    /// It must be approved.
    Waits(Box<Case<'a>>),
    /// Other rules decide by now, since annotations or the time are other ones.
    Decided(Judgement<'a>),
}

/// What came of asking.
enum Asked<'a> {
    /// It waits, or was decided.
    Ticket(Box<Case<'a>>, Ticket),
    /// No rule holds it any more.
    NotNeeded(Judgement<'a>),
}

impl Judge {
    /// Answers a call that some rule holds.
    pub(super) async fn hold(self: &Arc<Self>, request: Request, inner: &RouteService) -> Result<Response, Infallible> {
        let tool = tool(&request);
        let known = self.known.ask(&request, inner, &tool).await.unwrap_or_default();
        if known.definition.is_none() {
            return self.chain_end.refuse_last(request, no_definition(), Vec::new(), inner).await;
        }
        match self.ask(&request, &tool, known).await {
            Ok(Asked::Ticket(case, ticket)) if ticket.standing == Standing::Proposed => {
                if let Some(response) = self.show(&request, &case, &ticket) {
                    return Ok(response);
                }
                match patience(&request, &case) {
                    Some(patience) => Ok(self.wait(request, &case, ticket, patience, inner)),
                    None => Ok(self.settle(&request, &case, &ticket)),
                }
            }
            asked => self.go_on(request, &tool, asked, inner).await,
        }
    }

    /// The same without waiting.
    pub(super) async fn answer_now(
        &self,
        request: Request,
        tool: &str,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        let known = self.known.ask(&request, inner, tool).await.unwrap_or_default();
        let asked = self.ask(&request, tool, known).await;
        self.go_on(request, tool, asked, inner).await
    }

    async fn go_on(
        &self,
        request: Request,
        tool: &str,
        asked: Result<Asked<'_>, Refusal>,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        match asked {
            Ok(Asked::Ticket(_, ticket)) if ticket.standing == Standing::Approved => {
                self.dispatch(request, tool, &ticket, inner).await
            }
            Ok(Asked::Ticket(case, ticket)) => Ok(self.settle(&request, &case, &ticket)),
            Ok(Asked::NotNeeded(judgement)) => act(request, &judgement, inner).await,
            Err(refusal) => Ok(refuse(&request, refusal)),
        }
    }

    /// Makes a call that was approved, if it still is what was approved.
    pub(super) async fn dispatch(
        &self,
        request: Request,
        tool: &str,
        ticket: &Ticket,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        let known = self.known.ask_anew(&request, inner, tool).await.unwrap_or_default();
        if known.definition.is_none() {
            // Whoever has to connect first is told so, and the approval stays.
            return self.chain_end.refuse_last(request, no_definition(), Vec::new(), inner).await;
        }
        match self.judged(&request, tool, known) {
            Ok(Judged::Waits(case)) => self.make(request, &case, ticket, inner).await,
            Ok(Judged::Decided(judgement)) => act(request, &judgement, inner).await,
            Err(refusal) => Ok(refuse(&request, refusal)),
        }
    }

    /// Sends a call on with its approval, which is used up where the call leaves for the upstream: if a layer on the way has an
    /// answer of its own, such as where to connect, the approval stays.
    async fn make(
        &self,
        request: Request,
        case: &Case<'_>,
        ticket: &Ticket,
        inner: &RouteService,
    ) -> Result<Response, Infallible> {
        let approvals = match self.approvals() {
            Ok(approvals) => Arc::clone(approvals),
            Err(refusal) => return Ok(refuse(&request, refusal)),
        };
        let permit = Permit::new(approvals, ticket.clone(), case.held.bound.clone());
        let mut permitted = request.clone();
        permit.clone().put_into(&mut permitted);
        let mut response = match self.chain_end {
            ChainEnd::Guarded => pass(permitted, &case.judgement, inner, Vec::new()).await?,
            ChainEnd::Open => pass(permitted, &case.judgement, &use_permits().layer(inner.clone()), Vec::new()).await?,
        };
        let decided = match permit.outcome() {
            Some(Ok(Taken::Yes)) => "approved",
            Some(Ok(Taken::ByAnother)) => {
                let ticket = Ticket { standing: Standing::Used, ..ticket.clone() };
                return Ok(self.settle(&request, case, &ticket));
            }
            // It is not what was approved: what is the case now?
            Some(Ok(Taken::No)) => return Ok(self.tell(&request, case).await),
            Some(Err(_)) => return Ok(response),
            None => "held",
        };
        Decisions::add(&mut response, with_last(&case.judgement, decided));
        Ok(response)
    }

    async fn tell(&self, request: &Request, case: &Case<'_>) -> Response {
        match self.propose(request, &case.held).await {
            Ok(ticket) => self.settle(request, case, &ticket),
            Err(refusal) => refuse(request, refusal),
        }
    }

    /// Proposes the call, or learns what became of it.
    async fn ask(&self, request: &Request, tool: &str, known: Known) -> Result<Asked<'_>, Refusal> {
        match self.judged(request, tool, known)? {
            Judged::Waits(case) => {
                let ticket = self.propose(request, &case.held).await?;
                Ok(Asked::Ticket(case, ticket))
            }
            Judged::Decided(judgement) => Ok(Asked::NotNeeded(judgement)),
        }
    }

    async fn propose(&self, request: &Request, held: &Held) -> Result<Ticket, Refusal> {
        let ticket = self.approvals()?.propose(held).await?;
        audit::held(request, ticket.number);
        Ok(ticket)
    }

    fn approvals(&self) -> Result<&Arc<dyn Approvals>, Refusal> {
        self.approvals.as_ref().ok_or_else(|| Reason::ApprovalUnavailable.into())
    }

    /// Tells the caller what became of the call.
    fn settle(&self, request: &Request, case: &Case<'_>, ticket: &Ticket) -> Response {
        let (mut response, decided) = match refusal(ticket, &case.tool) {
            Some(refusal) => (refuse(request, refusal), "refused"),
            None => (pending(request, ticket, &case.tool, self.clock.now()), "held"),
        };
        Decisions::add(&mut response, with_last(&case.judgement, decided));
        response
    }

    /// What the rules say now, of a tool of which this is known.
    fn judged(&self, request: &Request, tool: &str, known: Known) -> Result<Judged<'_>, Refusal> {
        let asker = Asker::of(request);
        let arguments = arguments(request)?;
        let judgement = self.rules.judge(&self.about(&asker, tool, known.annotations, Some(&arguments)));
        let (Some(approval), Some(rule)) = (judgement.approval, judgement.rule) else {
            return Ok(Judged::Decided(judgement));
        };
        let caller = asker.caller.clone().ok_or(Reason::ApprovalUnavailable)?;
        let said = said(request)?;
        let held = Held {
            bound: Bindings {
                subject: Arc::clone(&caller.subject),
                route: asker.route,
                upstream: target(request).unwrap_or(asker.upstream),
                tool: tool.into(),
                arguments: fingerprint(request, &said)?,
                policy: self.version,
                definition: known.definition.ok_or_else(no_definition)?,
            },
            rule: Arc::clone(rule),
            approvers: Arc::clone(&approval.approvers),
            own_calls: approval.own_calls,
            expires_after: approval.expires_after,
            shown: shown(&said, &judgement)?,
            caller,
            request_id: request.extensions().get::<Arrival>().map(|arrival| arrival.request_id),
            is_audited: request.extensions().get::<Audited>().is_some(),
            asked: request.extensions().get::<Returned>().and_then(|returned| returned.approval),
        };
        Ok(Judged::Waits(Box::new(Case { tool: tool.to_owned(), judgement, approval, held })))
    }
}

/// Where the call goes.
fn target(request: &Request) -> Option<Arc<str>> {
    request.extensions().get::<UpstreamTarget>().map(|target| Arc::clone(&target.0))
}

/// For how long the answer is held open, if it is.
fn patience(request: &Request, case: &Case<'_>) -> Option<Duration> {
    if request.extensions().get::<Returned>().is_some_and(|returned| returned.was_declined) {
        return None;
    }
    Some(case.approval.wait).filter(|wait| !wait.is_zero())
}
