//! Clients that can send people to a page are asked to open that of the approval, once for each time that they call.

use super::{
    Judge, Known, arguments,
    hold::{date, own_answer},
    with_last,
};
use crate::kit::{
    approval::Ticket,
    chain::{Inbound, Request, Response},
    decision::Decisions,
    definitions::Asker,
    message::Message,
    round::{Marker, Page, opens_pages},
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

    /// The result that asks to open the page, unless its client cannot, or was asked just now.
    pub(super) fn show(&self, request: &Request, ticket: &Ticket, tool: &str, known: Known) -> Option<Response> {
        let message = request.body().message().filter(|message| opens_pages(message))?;
        let url = ticket.url.as_deref().filter(|_| request.extensions().get::<Returned>().is_none())?;
        let (number, until) = (ticket.number, date(ticket.expires_at));
        let words =
            format!("This call of {tool:?} waits for approval #{number}, until {until}. The page shows how it stands.");
        let page = Page { id: &number.to_string(), url, message: &words };
        let result = self.marker.input_required(message, page);
        let mut response = own_answer(Message::id(message).unwrap_or("null"), &result);
        let (asker, arguments) = (Asker::of(request), arguments(request).unwrap_or_default());
        let judgement = self.rules.judge(&self.about(&asker, tool, known.annotations, Some(&arguments)));
        Decisions::add(&mut response, with_last(&judgement, "held"));
        Some(response)
    }
}
