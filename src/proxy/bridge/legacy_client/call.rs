//! One request of a client, through all the rounds that its upstream makes of it.
//!
//! An upstream of 2026-07-28 that wants to know something answers with its questions, and is asked again with the answers.
//! To a client of before, that is one call: the questions come as requests on the call's stream, and its answers to them as
//! posts of their own.

use std::{future::poll_fn, pin::pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portcullis_policies::kit::{
    chain::{Request, RequestId, Response},
    credential::UpstreamCredential,
    message::{Message, Method},
    refusal::{Addressee, Reason, Refusal},
    reply::{AnswerKind, Event, Reply},
};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    Rooms,
    client::Client,
    incoming::{Asked, Said},
    mirrored,
    outgoing::{self, Again},
    response::{as_told_before, events, whole},
    tools::Tools,
};
use crate::proxy::{
    Failure, Forward,
    answer::answer_to,
    aside::Mailbox,
    bridge::{
        object::quoted,
        told::{Teller, Told},
    },
    upstream::{Behalf, Received, Sending},
};

/// How often an upstream may ask before it answers.
const ROUNDS: u32 = 10;

/// A request under way.
pub(super) struct Call {
    pub(super) forward: Forward,
    pub(super) client: Client,
    message: Message,
    method: Method,
    /// Those of each request to the upstream, but for parameters.
    headers: HeaderMap,
    tools: Tools,
    credential: Option<UpstreamCredential>,
    request_id: Option<RequestId>,
}

impl Call {
    pub(super) fn new(
        forward: &Forward,
        request: &Request,
        message: &Message,
        method: &Method,
        client: Client,
    ) -> Self {
        let Behalf { credential, request_id } = Behalf::of(request);
        Self {
            headers: outgoing::headers(forward, request, method, outgoing::target(message)),
            tools: Tools::of(forward, request),
            forward: forward.clone(),
            client,
            message: message.clone(),
            method: method.clone(),
            credential: credential.cloned(),
            request_id,
        }
    }

    /// Answers the request. What can be answered at once is; anything else becomes a stream.
    /// What comes for its session meanwhile, to `mailbox`, goes out with it.
    pub(super) async fn answer(self, mailbox: Option<Arc<Mailbox>>) -> Result<Response, Failure> {
        let under_way = self.rooms().calls.begin(&self.client.session, self.id());
        let first = tokio::select! {
            first = self.post(None) => first?,
            // Nothing more is said about what was cancelled.
            () = under_way.cancelled() => return Ok(events(HeaderMap::new(), Told::by(|_| async {}), None)),
        };
        let Received { status, headers, reply } = first;
        let status = as_told_before(status);
        let has_news = status.is_success() && mailbox.as_ref().is_some_and(|mailbox| mailbox.has_news());
        let told = match self.at_once(&reply)? {
            Some(answer) if !has_news => return Ok(whole(status, headers, answer)),
            Some(answer) => Told::by(|teller| async move { teller.tell(Event::message(&answer)).await }),
            None => Told::by(|teller| async move {
                tokio::select! {
                    () = self.go_on(reply, &teller) => {}
                    () = under_way.cancelled() => {}
                }
            }),
        };
        Ok(events(headers, told, mailbox.as_ref()))
    }

    pub(super) fn rooms(&self) -> &Rooms {
        self.forward.shared().legacy_clients()
    }

    fn id(&self) -> &str {
        self.message.id().unwrap_or_default()
    }

    fn asked(&self) -> Asked<'_> {
        let request_id = self.request_id.as_ref();
        Asked { method: &self.method, to: Addressee { id: self.message.id(), request_id } }
    }

    /// Sends the request, as it is or once more with what the upstream wanted to know.
    async fn post(&self, again: Option<&Again>) -> Result<Received, Failure> {
        let message = outgoing::message(self.message.bytes(), &self.client, again)?;
        let mut headers = self.headers.clone();
        if let Some(tool) = self.message.tool()
            && let Some(parameters) = self.tools.parameters(tool)
        {
            let params: Value =
                self.message.params().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            mirrored::add(&parameters, &params["arguments"], &mut headers);
        }
        let awaiting = again.map_or(self.id(), |again| &again.id);
        let behalf = Behalf { credential: self.credential.as_ref(), request_id: self.request_id };
        let sending = Sending { headers, message, awaiting: Some(awaiting), behalf };
        self.forward.upstream().post(sending).await.map_err(not_about_the_session)
    }

    /// The answer, if the reply is one.
    fn at_once(&self, reply: &Reply) -> Result<Option<Bytes>, Refusal> {
        let Reply::Full(answer) = reply else { return Ok(None) };
        match self.read(answer) {
            Ok(Said::Answer(answer)) => Ok(Some(answer)),
            Ok(Said::InputRequired(_) | Said::HeadersDiffer) => Ok(None),
            Err(refusal) if self.asked().is_for_models(&refusal) => Ok(Some(self.asked().refused(&refusal))),
            Err(refusal) => Err(refusal),
        }
    }

    fn read(&self, answer: &[u8]) -> Result<Said, Refusal> {
        self.asked().read(answer, |tool, parameters| self.tools.learn(tool, parameters))
    }

    /// Tells everything from the first reply on.
    async fn go_on(&self, first: Reply, teller: &Teller) {
        let answer = match self.rounds(first, teller).await {
            Ok(answer) => answer,
            Err(refusal) => self.asked().refused(&refusal),
        };
        teller.tell(Event::message(&answer)).await;
    }

    async fn rounds(&self, mut reply: Reply, teller: &Teller) -> Result<Bytes, Refusal> {
        let mut again: Option<Again> = None;
        let mut has_learnt = false;
        for round in 1..=ROUNDS {
            let id = again.as_ref().map_or(self.id(), |again| &again.id);
            let said = self.read(&listen(reply, id, teller).await?)?;
            match said {
                Said::Answer(answer) => return Ok(answer),
                Said::HeadersDiffer if has_learnt => {
                    return Err(self.headers_differ());
                }
                Said::HeadersDiffer => {
                    has_learnt = true;
                    self.patiently(teller, self.tools.ask(&self.client, self.request_id)).await?;
                }
                Said::InputRequired(input) => {
                    let responses = self.inquire(input.questions, teller).await?;
                    again = Some(Again { id: self.next_id(round), responses, state: input.state });
                }
            }
            let received = self.patiently(teller, self.post(again.as_ref())).await;
            reply = received.map_err(|failure| failure.refusal)?.reply;
        }
        Err(Refusal::new(Reason::UpstreamInvalid, format!("The upstream asked {ROUNDS} times and did not answer.")))
    }

    /// What the upstream lists was learnt, and is not what it takes.
    fn headers_differ(&self) -> Refusal {
        let what = self.message.target().map_or_else(|| "request".to_owned(), |(_, name)| format!("call of `{name}`"));
        let why = format!(
            "The upstream says that headers and body of the {what} differ (-32020), also with the `Mcp-Param-*` headers that \
             its list of tools asks for."
        );
        Refusal::new(Reason::UpstreamInvalid, why).with_remedy(
            "Compare the upstream's `x-mcp-header` annotations with what it demands, and report it to whoever runs it.",
        )
    }

    /// The id under which the upstream is asked once more, as JSON text.
    fn next_id(&self, round: u32) -> String {
        let request = self.request_id.as_ref().map_or("", RequestId::as_str);
        quoted(&format!("portcullis-{request}-{round}"))
    }

    /// Waits, and lets the client's stream be quiet meanwhile for no longer than it may.
    pub(super) async fn patiently<F: Future>(&self, teller: &Teller, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return output,
                () = sleep(self.forward.upstream().clocks.keep_alive) => {
                    teller.tell(Event::comment(": keep-alive\n\n")).await;
                }
            }
        }
    }
}

/// The answer to request `id`. What is said before it is told, as far as it asks and answers nothing.
async fn listen(reply: Reply, id: &str, teller: &Teller) -> Result<Bytes, Refusal> {
    let mut source = match reply {
        Reply::Events(source) => source,
        other => return answer_to(id, other).await.ok_or_else(|| Reason::UpstreamTruncated.into()),
    };
    while let Some(event) = poll_fn(|context| source.poll_event(context)).await {
        if event.answers(id)
            && let Some(answer) = event.data_bytes()
        {
            return Ok(answer);
        }
        // Servers of 2026-07-28 ask in their answers only, so nobody could answer a request. An answer under another id
        // was asked by nobody, and could pass for the one that the client waits for.
        match event.answer() {
            None => teller.tell(event).await,
            Some(Ok(message)) if message.kind() == AnswerKind::Notification => teller.tell(event).await,
            Some(_) => {}
        }
    }
    Err(Reason::UpstreamTruncated.into())
}

/// A 404 would tell the client that its session has ended.
fn not_about_the_session(failure: Failure) -> Failure {
    let refusal = match failure.refusal.status() {
        StatusCode::NOT_FOUND => failure.refusal.with_status(StatusCode::BAD_GATEWAY),
        _ => failure.refusal,
    };
    Failure { refusal, ..failure }
}
