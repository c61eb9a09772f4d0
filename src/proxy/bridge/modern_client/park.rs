//! Calls that wait for their client's word.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use portcullis_policies::kit::{
    chain::Response,
    refusal::{Reason, Refusal},
    reply::Reply,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    super::{object::Object, told::Told},
    Caller, answer,
    ask::{Ask, input_required},
    call::Call,
    places::{Place, Places},
    respond, respond_json,
    talk::Talk,
};
use crate::proxy::Failure;

const PURPOSE: &str = "state";

/// A call whose upstream has asked something. Dropping it cancels the call.
struct Parked {
    talk: Talk,
    asks: Vec<Ask>,
    /// What was asked for: a retry asks for the same.
    params: Value,
    until: Instant,
    _place: Place,
}

/// The calls of this process that wait.
#[derive(Default)]
pub(super) struct Lot {
    waiting: Mutex<HashMap<u64, Parked>>,
    numbers: AtomicU64,
    places: Places,
}

impl std::fmt::Debug for Lot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lot").field("waiting", &self.waiting().len()).finish_non_exhaustive()
    }
}

/// What a client's `requestState` says: which call of which process it goes on with.
#[derive(Serialize, Deserialize)]
struct State {
    node: u64,
    number: u64,
}

impl Lot {
    /// Gives up calls whose person took too long, or is not connected any more.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let is_over = |parked: &Parked| parked.until <= now || parked.talk.loan.is_over();
        let expired: Vec<_> = self.waiting().extract_if(|_, parked| is_over(parked)).collect();
        // Not under the lock.
        drop(expired);
    }

    /// A place for something that is held open for a client.
    pub(super) fn place(&self, caller: &Caller) -> Option<Place> {
        self.places.take(caller.name())
    }

    /// The call, if it waits and was for the same: the first who comes gets it.
    fn take(&self, number: u64, params: &Value) -> Result<Parked, Refusal> {
        let mut waiting = self.waiting();
        let parked = waiting.get(&number).ok_or_else(not_waiting)?;
        if parked.params != *params {
            return Err(Refusal::new(Reason::CallNotWaiting, "The call that waits for this answer was another one.")
                .with_remedy("Repeat the call with the very parameters that it was begun with."));
        }
        waiting.remove(&number).ok_or_else(not_waiting)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Parked>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller {
    /// Keeps a call until its client comes back with answers. Gives the result that asks for them, or everything back if
    /// too many calls wait.
    pub(super) fn park(&self, call: &Call, talk: Talk, asks: Vec<Ask>) -> Result<String, Box<(Talk, Vec<Ask>)>> {
        let Some(place) = self.rooms().waiting.place(self) else { return Err(Box::new((talk, asks))) };
        Ok(self.keep(call, talk, asks, place))
    }

    fn keep(&self, call: &Call, mut talk: Talk, asks: Vec<Ask>, place: Place) -> String {
        talk.rest();
        let until = Instant::now() + self.link.upstream.clocks.input;
        let lot = &self.rooms().waiting;
        let number = lot.numbers.fetch_add(1, Ordering::Relaxed);
        let result = input_required(&asks, Some(&self.seal(call, number)));
        lot.waiting().insert(number, Parked { talk, asks, params: asked_for(call), until, _place: place });
        result
    }

    /// Goes on with a call that waits: gives the upstream the answers that came, and asks again for those that did not.
    pub(super) async fn resume(self, call: Call) -> Result<Response, Failure> {
        let State { node, number } = self.open(&call).ok_or_else(not_waiting)?;
        if node != self.forward.shared().node() {
            self.rooms().sessions.is_elsewhere(&self, &call);
            return Err(not_waiting().into());
        }
        let Parked { mut talk, asks, _place: place, .. } = self.rooms().waiting.take(number, &asked_for(&call))?;
        talk.go_on(self.link.clone());
        let responses = call.responses.clone().unwrap_or_default();
        let responses = Object::read(&responses).map_err(|_| Refusal::from(Reason::InvalidParams))?;
        let mut missing = Vec::new();
        for ask in asks {
            match responses.get(&ask.key) {
                Some(result) => {
                    talk.loan.post(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, ask.id)).await?;
                }
                None => missing.push(ask),
            }
        }
        if !missing.is_empty() {
            let result = self.keep(&call, talk, missing, place);
            return Ok(respond_json(answer::result(&call, &result)));
        }
        let events = Told::by(|teller| talk.tell(self, call, teller));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))]);
        Ok(respond(StatusCode::OK, headers, Reply::Events(Box::new(events))))
    }

    fn seal(&self, call: &Call, number: u64) -> String {
        let shared = self.forward.shared();
        let state = State { node: shared.node(), number };
        let plain = serde_json::to_vec(&state).unwrap_or_default();
        shared.seal().seal(PURPOSE, &self.place(call), &plain)
    }

    /// The call that a `requestState` means: to this caller, on this route.
    fn open(&self, call: &Call) -> Option<State> {
        let shared = self.forward.shared();
        let sealed: String = serde_json::from_str(call.state.as_deref()?).ok()?;
        let plain = shared.seal().open(PURPOSE, &self.place(call), &sealed)?;
        serde_json::from_slice(&plain).ok()
    }

    fn place<'a>(&'a self, call: &'a Call) -> [&'a str; 5] {
        [self.forward.route(), &self.subject, &self.connection, call.method.name(), &call.target]
    }
}

/// What a call is for, without what may differ in its retry.
fn asked_for(call: &Call) -> Value {
    let mut params: Value = serde_json::from_str(&call.params).unwrap_or_default();
    if let Some(params) = params.as_object_mut() {
        params.remove("_meta");
    }
    params
}

fn not_waiting() -> Refusal {
    Reason::CallNotWaiting.into()
}
