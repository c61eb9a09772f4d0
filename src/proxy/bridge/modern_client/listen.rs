//! `subscriptions/listen`: what changes, from the session's own stream.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use portcullis_policies::kit::{
    chain::Response,
    refusal::{Reason, Refusal},
    reply::{Event, Reply},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{interval, sleep},
};

use super::{
    super::{
        object::Object,
        told::{Teller, Told},
    },
    Caller, answer,
    call::Call,
    respond,
    warm::{Capabilities, Loan},
};
use crate::proxy::Failure;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// Resources of one subscription: each costs a request to the upstream.
const MOST_RESOURCES: usize = 100;

/// What a client wants to hear of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tools_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prompts_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resources_list_changed: bool,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    resource_subscriptions: BTreeSet<String>,
}

/// Resources that a session is subscribed to, and by how many.
#[derive(Debug, Default)]
pub(super) struct Subscribed(Mutex<HashMap<String, usize>>);

impl Subscribed {
    /// One more, or one less. Is it the first, or was it the last?
    fn count(&self, uri: &str, more: bool) -> bool {
        let mut subscribed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = subscribed.entry(uri.to_owned()).or_default();
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        let is_edge = *count == usize::from(more);
        if *count == 0 {
            subscribed.remove(uri);
        }
        is_edge
    }
}

impl Caller {
    /// Opens a stream on which the client hears what changes.
    pub(super) async fn listen(self, call: Call) -> Result<Response, Failure> {
        let place = self.rooms().waiting.place(&self).ok_or(Reason::Overloaded)?;
        let params = Object::read(&call.params).map_err(|_| Refusal::from(Reason::InvalidParams))?;
        let wanted: Filter = params.parse("notifications").ok_or_else(wrong_filter)?;
        if wanted.resource_subscriptions.len() > MOST_RESOURCES {
            let message = format!("A subscription names at most {MOST_RESOURCES} resources.");
            return Err(Refusal::new(Reason::InvalidParams, message).into());
        }
        let loan = self.rooms().sessions.lend(&self, &call).await?;
        let heard = loan.listen();
        let listener = Listener::agree(loan, wanted).await;
        let events = Told::by(|teller| async move {
            listener.tell(self, call, heard, teller).await;
            drop(place);
        });
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))]);
        Ok(respond(StatusCode::OK, headers, Reply::Events(Box::new(events))))
    }
}

/// One subscription.
struct Listener {
    loan: Loan,
    agreed: Filter,
}

impl Listener {
    /// Agrees to what the upstream can tell.
    async fn agree(loan: Loan, mut wanted: Filter) -> Self {
        let can = Capabilities::of(loan.warm());
        let resources = can.resources.unwrap_or_default();
        wanted.tools_list_changed &= can.tools.unwrap_or_default().list_changed;
        wanted.prompts_list_changed &= can.prompts.unwrap_or_default().list_changed;
        wanted.resources_list_changed &= resources.list_changed;
        let uris = std::mem::take(&mut wanted.resource_subscriptions);
        let mut listener = Self { loan, agreed: wanted };
        for uri in uris.into_iter().filter(|_| resources.subscribe) {
            let is_first = listener.loan.warm().subscribed.count(&uri, true);
            // At once, so that it is given up also if the client goes away meanwhile.
            listener.agreed.resource_subscriptions.insert(uri.clone());
            if is_first && !listener.loan.ask_own("resources/subscribe", &about(&uri)).await {
                listener.agreed.resource_subscriptions.remove(&uri);
                listener.loan.warm().subscribed.count(&uri, false);
            }
        }
        listener
    }

    /// Tells what changes, until the time is over or the session is.
    async fn tell(self, caller: Caller, call: Call, mut heard: Receiver<Event>, teller: Teller) {
        let agreed = serde_json::to_string(&self.agreed).unwrap_or_default();
        let mut params = Object::default();
        params.set("notifications", agreed);
        teller.tell(notification(&call, "notifications/subscriptions/acknowledged", &params.to_json())).await;
        let clocks = self.loan.clocks();
        let end = sleep(clocks.listen);
        tokio::pin!(end);
        let mut silence = interval(clocks.keep_alive);
        silence.reset();
        loop {
            let event = tokio::select! {
                () = &mut end => break,
                _ = silence.tick() => {
                    caller.rooms().sessions.keep(&caller, &call).await;
                    Some(Event::comment(": keep-alive\n\n"))
                }
                event = heard.recv() => match event {
                    Ok(event) => self.changed(&call, &event),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "a subscription is too slow");
                        None
                    }
                    Err(RecvError::Closed) => break,
                },
            };
            if let Some(event) = event {
                teller.tell(event).await;
            }
        }
        let meta = format!(r#"{{"_meta":{{"{SUBSCRIPTION}":{}}}}}"#, call.id);
        let result = answer::complete(&call, self.loan.warm().server_info.as_deref(), &meta).unwrap_or(meta);
        teller.tell(Event::message(answer::result(&call, &result).as_bytes())).await;
    }

    /// The event, if it is one that was agreed on.
    fn changed(&self, call: &Call, event: &Event) -> Option<Event> {
        let message = Object::read(std::str::from_utf8(event.data()?).ok()?).ok()?;
        let method: String = message.parse("method")?;
        let params = message.get("params").unwrap_or("{}");
        let is_agreed = match method.as_str() {
            "notifications/tools/list_changed" => self.agreed.tools_list_changed,
            "notifications/prompts/list_changed" => self.agreed.prompts_list_changed,
            "notifications/resources/list_changed" => self.agreed.resources_list_changed,
            "notifications/resources/updated" => {
                let uri: String = Object::read(params).ok()?.parse("uri")?;
                // What changed may be a part of what was subscribed to.
                self.agreed.resource_subscriptions.iter().any(|agreed| uri.starts_with(agreed))
            }
            _ => false,
        };
        is_agreed.then(|| notification(call, &method, params))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for uri in &self.agreed.resource_subscriptions {
            if self.loan.warm().subscribed.count(uri, false) {
                self.loan.ask_own_aside("resources/unsubscribe", about(uri));
            }
        }
    }
}

fn about(uri: &str) -> String {
    serde_json::json!({ "uri": uri }).to_string()
}

/// A notification that says to which subscription it belongs.
fn notification(call: &Call, method: &str, params: &str) -> Event {
    let tagged = || {
        let mut params = Object::read(params).ok()?;
        let meta = params.take("_meta").unwrap_or_default();
        let mut meta = Object::read(&meta).ok()?;
        meta.set(SUBSCRIPTION, &*call.id);
        let meta = meta.to_json();
        params.set("_meta", meta);
        Some(params.to_json())
    };
    let params = tagged().unwrap_or_default();
    Event::message(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).as_bytes())
}

fn wrong_filter() -> Refusal {
    Refusal::new(
        Reason::InvalidParams,
        "`params.notifications` must be an object with `toolsListChanged`, `promptsListChanged`, `resourcesListChanged` or \
         `resourceSubscriptions`.",
    )
}
