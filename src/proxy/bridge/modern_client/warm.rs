//! A session that the gateway holds open at an upstream, and the loan of it to one call.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, StatusCode};
use portcullis_policies::kit::{
    refusal::{Addressee, Reason, Refusal, code},
    reply::{Answer, Event, Reply},
};
use serde::{Deserialize, de::IgnoredAny};
use tokio::{runtime::Handle, sync::broadcast::Receiver};

use super::{
    super::object::{Object, quoted},
    call::Call,
    link::Link,
    listen::Subscribed,
    places::Place,
};
use crate::proxy::{
    Clocks, Failure,
    answer::answer_to,
    aside::{Inlet, Mailbox},
    contact::Refused,
    headers::SESSION,
    meter::Miss,
    past::Seat,
    session::{NEWEST_WITH_SESSIONS, revision_with_sessions},
    upstream::Received,
};

/// The id of the gateway's `initialize`, as JSON text.
const INITIALIZE: &str = r#""portcullis-initialize""#;

/// What a session is begun with.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    capabilities: Box<str>,
    info: Option<Box<str>>,
    log_level: Option<&'static str>,
    /// Can the client be asked, or does it want log messages?
    hears_asides: bool,
}

impl Opening {
    pub(super) fn of(call: &Call) -> Self {
        let Call { declared, info, log_level, .. } = call;
        Self {
            capabilities: declared.capabilities.clone(),
            info: info.clone(),
            log_level: *log_level,
            hears_asides: log_level.is_some() || declared.can_be_asked(),
        }
    }

    fn message(&self) -> String {
        let own = concat!(r#"{"name":"portcullis","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
        let (capabilities, info) = (&self.capabilities, self.info.as_deref().unwrap_or(own));
        let params =
            format!(r#""protocolVersion":"{NEWEST_WITH_SESSIONS}","capabilities":{capabilities},"clientInfo":{info}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{INITIALIZE},"method":"initialize","params":{{{params}}}}}"#)
    }
}

/// An open session. It is closed when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Warm {
    /// None where the upstream keeps nothing between requests.
    pub(super) id: Option<HeaderValue>,
    /// The agreed revision.
    pub(super) version: HeaderValue,
    /// What the upstream said in `initialize`, as JSON text.
    pub(super) hello: Box<str>,
    /// The upstream's name and version, as JSON text.
    pub(super) server_info: Option<Box<str>>,
    /// For how long it is kept after its last use.
    pub(super) rest: Duration,
    /// Ids and progress tokens of the calls that are under way: in one session, each may be there once.
    in_flight: Mutex<HashSet<Box<str>>>,
    /// The upstream does not know it any more.
    is_over: AtomicBool,
    /// What the upstream says of its own accord.
    mailbox: Arc<Mailbox>,
    /// May that be something for the calls of this session?
    has_asides: bool,
    pub(super) subscribed: Subscribed,
    /// Requests of the gateway's own.
    asked: AtomicU64,
    link: Link,
    seat: Seat,
    _place: Place,
}

impl Warm {
    /// Begins a session.
    pub(super) async fn open(link: Link, opening: Opening, place: Place, seat: Seat) -> Result<Self, Failure> {
        seat.ends(Miss::Error);
        let Received { headers, reply, .. } = link.post(None, opening.message(), Some(INITIALIZE)).await?;
        let answer = answer_to(INITIALIZE, reply).await.unwrap_or_default();
        let hello = result(&answer).ok_or_else(no_session)?;
        let said = Object::read(&hello).map_err(|_| no_session())?;
        let version = said.parse::<String>("protocolVersion").unwrap_or_default();
        let version = revision_with_sessions(&version).and_then(|version| HeaderValue::try_from(version).ok());
        let warm = Self {
            id: headers.get(SESSION).cloned(),
            version: version.ok_or_else(no_session)?,
            server_info: said.get("serverInfo").map(Into::into),
            rest: link.upstream.clocks.idle_session,
            in_flight: Mutex::default(),
            is_over: AtomicBool::new(false),
            mailbox: Arc::new(Mailbox::new(link.upstream.clocks.idle_session)),
            has_asides: opening.hears_asides && headers.contains_key(SESSION),
            subscribed: Subscribed::default(),
            asked: AtomicU64::new(0),
            link,
            seat,
            _place: place,
            hello,
        };
        warm.link.post(Some(&warm), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, None).await?;
        if let Some(level) = opening.log_level.filter(|_| Capabilities::of(&warm).logging.is_some()) {
            ask_own(&warm.link, &warm, "logging/setLevel", &format!(r#"{{"level":"{level}"}}"#)).await;
        }
        warm.seat.ends(Miss::Idle);
        Ok(warm)
    }

    /// Does the upstream not know it any more?
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.mailbox.is_gone()
    }

    /// Ends it if the upstream does not know it any more, or if the credential that it was begun with may not be used.
    pub(super) fn end_if_over(&self) -> bool {
        if self.link.is_over() {
            self.mailbox.close();
        }
        let is_over = self.is_over();
        if is_over {
            self.end();
        }
        is_over
    }

    /// The upstream does not know it any more.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.seat.ends(Miss::Error);
        self.seat.leave();
    }

    /// A request of the gateway's own, and its id as JSON text.
    fn own(&self, method: &str, params: &str) -> (String, String) {
        let id = quoted(&format!("portcullis-{}", self.asked.fetch_add(1, Ordering::Relaxed)));
        let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        (id, message)
    }

    fn in_flight(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks these as under way, unless one is already. Without a session nothing can be mistaken for something else.
    fn begin(&self, names: &[Box<str>]) -> bool {
        let mut in_flight = self.in_flight();
        if self.id.is_some() && names.iter().any(|name| in_flight.contains(name)) {
            return false;
        }
        in_flight.extend(names.iter().cloned());
        true
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        if self.id.is_none() || self.is_over() || self.link.is_over() {
            return;
        }
        let (link, headers) = (self.link.clone(), self.link.headers(Some(self)));
        aside(async move { link.end(headers).await });
    }
}

/// Does the upstream still know a session?
#[derive(Clone, Copy, Debug)]
pub(super) enum Doubt {
    None,
    /// It may have said so in other words.
    Some,
    Ended,
}

/// A session, as one call uses it.
#[derive(Debug)]
pub(super) struct Loan {
    warm: Arc<Warm>,
    link: Link,
    /// The id under which the upstream knows the call, as JSON text.
    pub(super) id: Box<str>,
    /// The progress token under which it does.
    pub(super) token: Option<Box<str>>,
    names: Vec<Box<str>>,
    /// The upstream has it, and has not answered.
    is_open: bool,
}

impl Loan {
    /// Lends a session for `call`, unless a call with the same id or progress token is under way in it.
    pub(super) fn take(warm: Arc<Warm>, link: Link, call: &Call) -> Option<Self> {
        let token = call.token.as_ref().map(|token| format!("progress {}", same_text(token)).into());
        let names = [same_text(&call.id)].into_iter().chain(token).collect::<Vec<_>>();
        warm.begin(&names).then(|| Self {
            warm,
            link,
            id: call.id.clone(),
            token: call.token.clone(),
            names,
            is_open: false,
        })
    }

    pub(super) fn warm(&self) -> &Arc<Warm> {
        &self.warm
    }

    /// Sends the call itself.
    pub(super) async fn send(&mut self, call: &Call) -> Result<Received, Failure> {
        self.is_open = true;
        let link = if call.may_wait() { &self.link.patient() } else { &self.link };
        let outcome = link.post(Some(&self.warm), call.message(), Some(&call.id)).await;
        self.is_open = match &outcome {
            Ok(received) => matches!(received.reply, Reply::Events(_)),
            Err(failure) => failure.refusal.reason() == Reason::UpstreamTimeout,
        };
        outcome
    }

    /// Posts something that belongs to the call and is not answered.
    pub(super) async fn post(&self, message: String) -> Result<(), Failure> {
        let received = self.link.post(Some(&self.warm), message, None).await?;
        match received.status {
            status if status.is_success() => Ok(()),
            status => Err(Refusal::new(Reason::UpstreamStatus, format!("The upstream answered {status}.")).into()),
        }
    }

    /// The caller came back, perhaps with a newer credential.
    pub(super) fn go_on(&mut self, link: Link) {
        self.link = link;
    }

    /// May the caller's credential not be used any more?
    pub(super) fn is_over(&self) -> bool {
        self.link.is_over()
    }

    /// The answer has come.
    pub(super) fn is_answered(&mut self) {
        self.is_open = false;
    }

    /// Hears of what changes.
    pub(super) fn listen(&self) -> Receiver<Event> {
        self.attend();
        self.warm.mailbox.changes()
    }

    /// Tells those who hear of changes.
    pub(super) fn tell(&self, event: &Event) {
        self.warm.mailbox.tell(event);
    }

    fn attend(&self) {
        self.warm.mailbox.attend(self.link.credential(), || self.link.hear(&self.warm));
    }

    /// Where what the upstream says of its own accord comes out, if that may be for this call.
    pub(super) fn inlet(&self) -> Option<Inlet> {
        self.warm.has_asides.then(|| self.warm.mailbox.inlet())
    }

    /// Makes sure that nothing is lost of what the upstream says of its own accord during a call.
    pub(super) async fn hears_asides(&self) {
        if self.warm.has_asides {
            self.attend();
            self.warm.mailbox.opened().await;
        }
    }

    /// Has it said something beside the whole answer that has come?
    pub(super) async fn has_news(&self) -> bool {
        if self.warm.has_asides {
            self.warm.mailbox.settle().await;
        }
        self.warm.has_asides && self.warm.mailbox.has_news()
    }

    /// To whom what the gateway says of the call is said.
    pub(super) fn addressee<'a>(&'a self, call: &'a Call) -> Addressee<'a> {
        Addressee { id: Some(&call.id), request_id: self.link.request_id() }
    }

    /// Bytes that one event may have.
    pub(super) fn event_bytes(&self) -> usize {
        self.link.upstream.limits.events.event
    }

    pub(super) fn clocks(&self) -> Clocks {
        self.link.upstream.clocks
    }

    /// Asks something that no client asked. Did the upstream do it?
    pub(super) async fn ask_own(&self, method: &str, params: &str) -> bool {
        ask_own(&self.link, &self.warm, method, params).await
    }

    /// The same, without waiting for it.
    pub(super) fn ask_own_aside(&self, method: &'static str, params: String) {
        let (link, warm) = (self.link.clone(), Arc::clone(&self.warm));
        aside(async move {
            ask_own(&link, &warm, method, &params).await;
        });
    }

    /// Was the call refused because the upstream does not know the session any more?
    pub(super) async fn has_ended(&self, doubt: Doubt) -> bool {
        let ended = match doubt {
            Doubt::None => false,
            Doubt::Some => self.ping_is_refused().await,
            Doubt::Ended => true,
        };
        if ended {
            self.warm.end();
        }
        ended
    }

    /// What such an outcome says about the session.
    pub(super) fn doubt(&self, outcome: &Result<Received, Failure>) -> Doubt {
        let (Some(Refused { status, code, .. }), Some(_)) = (Refused::by(outcome), &self.warm.id) else {
            return Doubt::None;
        };
        match status {
            StatusCode::NOT_FOUND if code == Some(code::METHOD_NOT_FOUND.into()) => Doubt::None,
            StatusCode::NOT_FOUND if !self.is_answer(outcome) => Doubt::Ended,
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::GONE | StatusCode::UNPROCESSABLE_ENTITY => {
                Doubt::Some
            }
            _ => Doubt::None,
        }
    }

    /// Does it answer the call by its id? A server that does not know the session has not read that far.
    fn is_answer(&self, outcome: &Result<Received, Failure>) -> bool {
        let Ok(Received { reply: Reply::Full(body), .. }) = outcome else { return false };
        Answer::read(body).is_ok_and(|answer| answer.answers(body, &self.id))
    }

    /// Some upstreams do not say that a session has ended. If even a `ping` is refused in it, it was not the call that they
    /// did not like.
    async fn ping_is_refused(&self) -> bool {
        let (id, message) = self.warm.own("ping", "{}");
        let outcome = self.link.post(Some(&self.warm), message, Some(&id)).await;
        Refused::by(&outcome).is_some_and(|refused| matches!(refused.status.as_u16(), 400 | 404 | 410 | 422))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut in_flight = self.warm.in_flight();
        for name in &self.names {
            in_flight.remove(name);
        }
        drop(in_flight);
        // The client went away, which is how it cancels. In a session that must be said.
        if self.is_open && self.warm.id.is_some() && !self.link.is_over() {
            let reason = quoted("The client does not wait for the answer any more.");
            let params = format!(r#"{{"requestId":{},"reason":{reason}}}"#, self.id);
            let message = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#);
            let (link, warm) = (self.link.clone(), Arc::clone(&self.warm));
            aside(async move { drop(link.post(Some(&warm), message, None).await) });
        }
    }
}

async fn ask_own(link: &Link, warm: &Warm, method: &str, params: &str) -> bool {
    let (id, message) = warm.own(method, params);
    let Ok(Received { reply, .. }) = link.post(Some(warm), message, Some(&id)).await else { return false };
    let answer = answer_to(&id, reply).await.unwrap_or_default();
    result(&answer).is_some()
}

/// What of a server's capabilities matters here.
#[derive(Default, Deserialize)]
pub(super) struct Capabilities {
    logging: Option<IgnoredAny>,
    pub(super) tools: Option<Changes>,
    pub(super) prompts: Option<Changes>,
    pub(super) resources: Option<Changes>,
}

/// Which changes a server tells.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Changes {
    pub(super) list_changed: bool,
    pub(super) subscribe: bool,
}

impl Capabilities {
    pub(super) fn of(warm: &Warm) -> Self {
        let said = Object::read(&warm.hello).ok();
        said.and_then(|said| said.parse("capabilities")).unwrap_or_default()
    }
}

/// The result in an answer to the gateway itself, as JSON text.
fn result(answer: &[u8]) -> Option<Box<str>> {
    let message = Object::read(std::str::from_utf8(answer).ok()?).ok()?;
    if let Some(error) = message.get("error") {
        tracing::warn!(error, "the upstream refused what the gateway asked");
    }
    message.get("result").map(Into::into)
}

fn no_session() -> Failure {
    let message = "The upstream did not begin a session: its answer to `initialize` is not one that MCP allows.";
    Refusal::new(Reason::UpstreamInvalid, message).into()
}

/// Two ways to write one string are one id.
fn same_text(json: &str) -> Box<str> {
    match serde_json::from_str::<String>(json) {
        Ok(text) => quoted(&text).into(),
        Err(_) => json.into(),
    }
}

/// Does something of which nobody waits for the end.
fn aside(work: impl Future<Output = ()> + Send + 'static) {
    // Without a runtime the process is ending, and its connections with it.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}
