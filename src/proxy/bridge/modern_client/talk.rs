//! The stream of one call, from the upstream to the client.

use std::{future::poll_fn, time::Duration};

use portcullis_policies::kit::{
    refusal::{Reason, Refusal, code},
    reply::{Answer, AnswerKind, Event, EventSource},
};
use tokio::time::timeout;

use super::{
    super::{object::Object, told::Teller},
    Caller,
    answer::{self, Answered},
    ask::{Ask, Asked},
    call::Call,
    link::Link,
    warm::Loan,
};
use crate::proxy::aside::Injected;

/// Requests of the upstream during one call, after which it is told no: no call needs so many, and each costs one of ours.
const MOST_ASKED: usize = 1000;
/// What a client is asked at once. What the upstream asks beyond it waits where it is.
const TOGETHER_AT_MOST: usize = 16;

/// What an upstream asks at once arrives within this time.
const TOGETHER: Duration = Duration::from_millis(30);

/// A call that is under way at the upstream.
pub(super) struct Talk {
    source: Injected,
    pub(super) loan: Loan,
    /// How much the upstream has asked.
    asked: usize,
}

/// What is heard of the upstream.
enum Heard {
    Event(Event),
    /// It says nothing at present.
    Silence,
    End,
}

impl Talk {
    pub(super) fn new(source: Box<dyn EventSource>, loan: Loan) -> Self {
        let source = match loan.inlet() {
            Some(inlet) => Injected::new(source, inlet),
            None => Injected::alone(source),
        };
        Self { source, loan, asked: 0 }
    }

    /// Tells the client what the upstream says, until it has answered, or waits for something that only the client knows.
    pub(super) async fn tell(mut self, caller: Caller, call: Call, teller: Teller) {
        let mut asks = Vec::new();
        loop {
            match self.hear(&asks).await {
                Heard::End => return,
                Heard::Silence => match caller.park(&call, self, asks) {
                    Ok(result) => return teller.tell(message(&answer::result(&call, &result))).await,
                    Err(kept) => {
                        (self, asks) = *kept;
                        self.refuse(&std::mem::take(&mut asks)).await;
                    }
                },
                Heard::Event(event) => {
                    if self.is_unanswerable(&event) {
                        let refusal = Refusal::from(Reason::Unanswerable);
                        return teller.tell(Event::message(&refusal.body(self.loan.addressee(&call)))).await;
                    }
                    asks.extend(self.pass(&call, &event, &teller).await);
                    if event.answers(&self.loan.id) {
                        return self.finish().await;
                    }
                }
            }
        }
    }

    /// Waits for the client's word: what comes meanwhile is for others.
    pub(super) fn rest(&mut self) {
        self.source.close_inlet();
    }

    /// The client has come back, perhaps with a newer credential.
    pub(super) fn go_on(&mut self, link: Link) {
        self.loan.go_on(link);
        if let Some(inlet) = self.loan.inlet() {
            self.source.open_inlet(inlet);
        }
    }

    /// The next event. With `asks` it is not waited for long: it is the client's turn.
    async fn hear(&mut self, asks: &[Ask]) -> Heard {
        let bytes: usize = asks.iter().map(Ask::len).sum();
        if asks.len() >= TOGETHER_AT_MOST || bytes >= self.loan.event_bytes() {
            return Heard::Silence;
        }
        let next = poll_fn(|context| self.source.poll_event(context));
        let next = if asks.is_empty() { Ok(next.await) } else { timeout(TOGETHER, next).await };
        match next {
            Ok(Some(event)) => Heard::Event(event),
            Ok(None) => Heard::End,
            Err(_) => Heard::Silence,
        }
    }

    /// Is it a request to which an upstream without sessions would never hear the answer?
    fn is_unanswerable(&self, event: &Event) -> bool {
        let is_request = matches!(event.answer(), Some(Ok(read)) if read.kind() == AnswerKind::Request);
        is_request && self.loan.warm().id.is_none() && !event.data().is_some_and(is_ping)
    }

    /// Passes an event on as the client understands it. Gives what the client must be asked.
    async fn pass(&mut self, call: &Call, event: &Event, teller: &Teller) -> Option<Ask> {
        let (Some(read), Some(data)) = (event.answer(), event.data()) else {
            teller.tell(event.clone()).await;
            return None;
        };
        let kind =
            read.map(Answer::kind).map_err(|flaw| tracing::warn!(%flaw, "an event of the upstream is no message"));
        let text = std::str::from_utf8(data).unwrap_or_default();
        match kind {
            Ok(AnswerKind::Request) => return self.judge(call, text).await,
            Ok(AnswerKind::Notification) => match self.notification(call, text) {
                Some(notification) => teller.tell(message(&notification)).await,
                None => self.loan.tell(event),
            },
            Ok(_) if event.answers(&self.loan.id) => {
                self.loan.is_answered();
                teller.tell(message(&Answered::to(call, self.loan.warm(), data).message)).await;
            }
            // An answer to nothing that this stream is about.
            Ok(_) | Err(()) => {}
        }
        None
    }

    async fn judge(&mut self, call: &Call, text: &str) -> Option<Ask> {
        self.asked += 1;
        match Asked::read(call, self.asked, text).ok()? {
            Asked::ByClient(ask) if self.asked > MOST_ASKED => {
                let why = "One call asks no more than this.";
                tell_upstream(&self.loan, answer::refuse(&ask.id, code::INTERNAL_ERROR, why)).await;
                None
            }
            Asked::ByClient(ask) => Some(ask),
            Asked::Answered(answer) => {
                tell_upstream(&self.loan, answer).await;
                None
            }
        }
    }

    /// Tells the upstream that nobody will answer these.
    async fn refuse(&mut self, asks: &[Ask]) {
        for ask in asks {
            let why = "The gateway keeps as many calls waiting for this client as it may.";
            tell_upstream(&self.loan, answer::refuse(&ask.id, code::INTERNAL_ERROR, why)).await;
        }
    }

    /// A notification for the client; none if it is none of this call's, or not wanted.
    fn notification(&self, call: &Call, text: &str) -> Option<String> {
        let mut message = Object::read(text).ok()?;
        match message.parse::<String>("method")?.as_str() {
            "notifications/progress" if self.loan.token == call.token => Some(text.to_owned()),
            "notifications/progress" => {
                let params = message.take("params")?;
                let mut params = Object::read(&params).ok()?;
                params.set("progressToken", call.token.as_deref()?);
                let params = params.to_json();
                message.set("params", params);
                Some(message.to_json())
            }
            "notifications/message" if call.log_level.is_some() => Some(text.to_owned()),
            _ => None,
        }
    }

    /// After the answer, waits for the end of the stream: its connection can then be used again.
    async fn finish(self) {
        let Self { mut source, loan, .. } = self;
        drop(loan);
        while poll_fn(|context| source.poll_event(context)).await.is_some() {}
    }
}

/// It only asks whether anybody is there, and does without an answer in time.
fn is_ping(request: &[u8]) -> bool {
    let request = std::str::from_utf8(request).ok().and_then(|text| Object::read(text).ok());
    request.is_some_and(|request| request.parse::<String>("method").as_deref() == Some("ping"))
}

async fn tell_upstream(loan: &Loan, message: String) {
    if let Err(failure) = loan.post(message).await {
        tracing::debug!(reason = failure.refusal.reason().code(), "the upstream did not take an answer");
    }
}

fn message(json: &str) -> Event {
    Event::message(json.as_bytes())
}
