//! Clients that can send people to a page are asked to open that of the approval, once for each call.
//!
//! Those of 2026-07-28 are asked with `input_required`, and their retry says so. Those of 2025-11-25 are answered with an error
//! that says which page (`-32042`), and their retry is a call like any other: so they are asked when the call begins to wait.

use super::{
    Judge,
    hold::Case,
    with_last,
    words::{date, own_answer},
};
use crate::kit::{
    approval::{Ticket, named},
    chain::{Inbound, Request, Response, refuse},
    decision::Decisions,
    message::Message,
    pages::{Page, opens_pages},
    refusal::Reason,
    round::Marker,
};

/// A fact: the call is the repetition of one whose client was asked to open a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Returned {
    /// The number of the approval, as the client says.
    pub(super) approval: Option<i64>,
    /// Nobody wants to open it.
    pub(super) was_declined: bool,
}

/// How the question is known again.
pub(super) fn marker() -> Marker {
    Marker::new("approval", "rules")
}

impl Judge {
    /// Takes the answer to the question out of a call: what is left is the call that was asked about.
    pub(super) fn take_back(&self, request: &mut Request) {
        let Some(round) = request.body().message().and_then(|message| self.marker.round(message)) else { return };
        let returned = Returned { approval: round.id.parse().ok(), was_declined: round.was_declined() };
        request.extensions_mut().insert(returned);
        *request.body_mut() = Inbound::Message(round.message);
    }

    /// The answer that asks to open the page, unless nobody there could, or was asked already.
    pub(super) fn show(&self, request: &Request, case: &Case<'_>, ticket: &Ticket) -> Option<Response> {
        let message = request.body().message()?;
        let url = ticket.url.as_deref().filter(|_| is_shown(request, case))?;
        let words = words(case, ticket);
        let mut response = if message.is_modern() {
            let page = Page { id: &ticket.number.to_string(), url, message: &words };
            let asks = request.extensions().get::<Returned>().is_none();
            asks.then(|| self.marker.input_required(message, page))
                .map(|result| own_answer(Message::id(message).unwrap_or("null"), &result))?
        } else {
            let page = Page { id: &ticket.id, url, message: &words };
            ticket.is_new.then(|| required(request, page, ticket.number))?
        };
        Decisions::add(&mut response, with_last(&case.judgement, "held"));
        Some(response)
    }
}

/// Is there a browser that would be let in, and a client that can send somebody there?
pub(super) fn is_shown(request: &Request, case: &Case<'_>) -> bool {
    !case.held.caller.is_program() && opens_pages(request)
}

fn words(case: &Case<'_>, ticket: &Ticket) -> String {
    let (tool, rule, who) = (&case.tool, &case.held.rule, named(&case.held.approvers));
    let own = if case.held.own_calls { "" } else { ", and not by whoever calls" };
    let (number, until) = (ticket.number, date(ticket.expires_at));
    format!(
        "This call of {tool:?} waits for approval #{number} by the rule {rule:?}, until {until}. It can be approved by \
         {who}{own}. The page shows how it stands. Repeat the same call to get its result."
    )
}

/// As clients of 2025-11-25 understand it. It is no refusal, whatever its form, and is not counted as one.
fn required(request: &Request, page: Page<'_>, number: i64) -> Response {
    let mut response = refuse(request, page.required(Reason::ApprovalRequired).with_data("approval", number));
    response.extensions_mut().remove::<Reason>();
    response
}
