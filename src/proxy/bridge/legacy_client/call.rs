//! One request of a client, through all the rounds that its upstream makes of it.
//!
//! An upstream of 2026-07-28 that wants to know something answers with its questions, and is asked again with the answers.
//! To a client of before, that is one call: the questions come as requests on the call's stream, and its answers to them as
//! posts of their own.

use std::{future::poll_fn, pin::pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use portcullis_policies::kit::{
    chain::{Request, RequestId, Response},
    credential::UpstreamCredential,
    message::{Message, Method},
    refusal::{Addressee, Reason, Refusal},
    reply::{AnswerKind, Event, EventSource, Reply},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Rooms,
    client::Client,
    incoming::{Asked, InputRequired, Question, Said, lacking},
    json_response, mirrored,
    outgoing::{self, Again},
    questions::Pending,
    tools::Tools,
};
use crate::proxy::{
    Failure, Forward,
    answer::answer_to,
    aside::{Injected, Mailbox},
    bridge::{
        object::{Object, quoted},
        told::{Teller, Told},
    },
    headers,
    upstream::{Behalf, Received, Sending},
};

/// How often an upstream may ask before it answers.
const ROUNDS: u32 = 10;
/// How many questions it may have at once.
const QUESTIONS: usize = 16;

/// A request under way.
pub(super) struct Call {
    forward: Forward,
    client: Client,
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
        let told = match self.at_once(&reply) {
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

    fn rooms(&self) -> &Rooms {
        self.forward.shared().legacy_clients()
    }

    fn id(&self) -> &str {
        self.message.id().unwrap_or_default()
    }

    fn asked(&self) -> Asked<'_> {
        let request_id = self.request_id.as_ref().map(RequestId::as_str);
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
    fn at_once(&self, reply: &Reply) -> Option<Bytes> {
        let Reply::Full(answer) = reply else { return None };
        match self.read(answer) {
            Ok(Said::Answer(answer)) => Some(answer),
            Ok(Said::InputRequired(_) | Said::HeadersDiffer) => None,
            Err(refusal) => Some(self.asked().refused(&refusal)),
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
        let mut has_learnt = false;
        let mut id = self.id().to_owned();
        for round in 1..=ROUNDS {
            let answer = listen(reply, &id, teller).await?;
            let again = match self.read(&answer)? {
                Said::Answer(answer) => return Ok(answer),
                Said::HeadersDiffer if has_learnt => {
                    return Err(Refusal::new(
                        Reason::UpstreamInvalid,
                        "The upstream does not take the request's headers.",
                    ));
                }
                Said::HeadersDiffer => {
                    has_learnt = true;
                    self.patiently(teller, self.tools.ask(&self.client, self.request_id)).await?;
                    None
                }
                Said::InputRequired(input) => Some(Again {
                    id: quoted(&format!(
                        "portcullis-{round}-{}",
                        self.request_id.map_or_else(String::new, |id| id.to_string())
                    )),
                    responses: self.inquire(&input, teller).await?,
                    state: input.state,
                }),
            };
            let received = self.patiently(teller, self.post(again.as_ref())).await;
            reply = received.map_err(|failure| failure.refusal)?.reply;
            id = again.map_or_else(|| self.id().to_owned(), |again| again.id);
        }
        Err(Refusal::new(
            Reason::UpstreamInvalid,
            format!("The upstream asked {ROUNDS} times and still did not answer."),
        ))
    }

    /// Asks the client everything at once, and gives its answers as JSON text.
    async fn inquire(&self, input: &InputRequired, teller: &Teller) -> Result<Option<String>, Refusal> {
        if input.questions.is_empty() {
            return Ok(None);
        }
        if input.questions.len() > QUESTIONS {
            let why = format!("The upstream asks more than {QUESTIONS} questions at once.");
            return Err(Refusal::new(Reason::UpstreamInvalid, why));
        }
        let lacks =
            input.questions.iter().find_map(|(_, question)| self.client.lacks(&question.method, &question.params));
        if let Some(lacks) = lacks {
            return Err(lacking(lacks));
        }
        let mut pending = Vec::new();
        for (name, question) in &input.questions {
            let asked = self.rooms().questions.ask(&self.client.session, self.forward.shared().node())?;
            teller.tell(Event::message(self.put(question, &asked).as_bytes())).await;
            pending.push((name, question, asked));
        }
        let deadline = Instant::now() + self.forward.upstream().clocks.input;
        let mut answers = Object::default();
        for (name, question, mut asked) in pending {
            let answer = self.patiently(teller, timeout_at(deadline, asked.answer())).await;
            let answer = answer.map_err(|_| Refusal::from(Reason::NoInput))?;
            answers.set(name, answer.map_err(|why| declined(question, &why))?);
        }
        Ok(Some(answers.to_json()))
    }

    /// A question, as a request in the words of the client's revision.
    fn put(&self, Question { method, params }: &Question, asked: &Pending) -> String {
        let mut params = params.clone();
        if method == "elicitation/create" {
            match params["mode"].as_str() {
                // Since 2026-07-28 nothing refers to an elicitation by an id of its own.
                Some("url") if params["elicitationId"].is_null() => params["elicitationId"] = (*asked.id).into(),
                Some(_) if !self.client.knows_pages() => {
                    params.as_object_mut().map(|params| params.remove("mode"));
                }
                _ => {}
            }
        }
        let mut request = json!({ "jsonrpc": "2.0", "id": asked.id, "method": method });
        if params.is_object() {
            request["params"] = params;
        }
        request.to_string()
    }

    /// Waits, and lets the client's stream be quiet meanwhile for no longer than it may.
    async fn patiently<F: Future>(&self, teller: &Teller, future: F) -> F::Output {
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

/// The answer to request `id`. What comes before it is told.
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
        // Servers of 2026-07-28 ask in their answers only: nobody could answer this.
        let is_request = matches!(event.answer(), Some(Ok(answer)) if answer.kind() == AnswerKind::Request);
        if !is_request {
            teller.tell(event).await;
        }
    }
    Err(Reason::UpstreamTruncated.into())
}

/// The client answered with an error, for which upstreams have no place.
fn declined(Question { method, .. }: &Question, why: &str) -> Refusal {
    Refusal::new(Reason::NoInput, format!("The client did not answer `{method}`: {why}."))
}

/// A 404 would tell the client that its session has ended.
fn not_about_the_session(failure: Failure) -> Failure {
    let refusal = match failure.refusal.status() {
        StatusCode::NOT_FOUND => failure.refusal.with_status(StatusCode::BAD_GATEWAY),
        _ => failure.refusal,
    };
    Failure { refusal, ..failure }
}

/// To clients of before, a message that was understood is answered with 200, also where the answer is an error.
fn as_told_before(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => StatusCode::OK,
        other => other,
    }
}

fn whole(status: StatusCode, headers: HeaderMap, answer: Bytes) -> Response {
    let mut response = json_response(answer);
    *response.status_mut() = status;
    adopt(response.headers_mut(), headers);
    response
}

fn events(headers: HeaderMap, told: Told, mailbox: Option<&Arc<Mailbox>>) -> Response {
    let told: Box<dyn EventSource> = match mailbox {
        Some(mailbox) => Box::new(Injected::new(Box::new(told), mailbox.inlet())),
        None => Box::new(told),
    };
    let mut response = http::Response::new(Reply::Events(told));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    adopt(response.headers_mut(), headers);
    headers::to_client(response.headers_mut(), true, |_| None);
    response
}

/// Takes over what the upstream says besides, without what it says about its message.
fn adopt(into: &mut HeaderMap, mut from: HeaderMap) {
    headers::to_client(&mut from, false, |_| None);
    for name in [CONTENT_TYPE, headers::VERSION] {
        from.remove(name);
    }
    into.extend(from);
}
