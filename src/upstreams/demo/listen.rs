//! `subscriptions/listen`: a stream that stays open and tells what changed.
//!
//! Source: 2026-07-28 `schema.ts`, `SubscriptionsListenRequest` and what it names: the acknowledgement comes
//! first, only kinds that were asked for are sent, each message repeats the id of the request, and a graceful
//! end is a result. Tools and prompts are compiled in and never change, so those kinds are not acknowledged.

use std::{collections::BTreeSet, time::Duration};

use axum::body::Body;
use http::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{
    call::Call,
    events::{self, Events},
    fault::Fault,
    id::Id,
    notebook::Change,
    reply, resources, result,
};

/// A quiet stream says this often that it is alive.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// More streams than this at a time are refused.
const MAX_LISTENERS: usize = 256;
/// More URIs than this in one filter are refused.
const MAX_URIS: usize = 100;

/// The kinds of news that a client asks for; kinds that this server does not have are not even read.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    resources_list_changed: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    resource_subscriptions: BTreeSet<String>,
}

#[derive(Deserialize)]
struct ListenParams {
    notifications: Filter,
}

/// Opens the stream. From this moment on, before the acknowledgement is out, no change is missed.
pub(super) fn open(call: Call, keep_alive: Duration) -> Result<Response<Body>, Fault> {
    let mut filter = call.params.parse::<ListenParams>()?.notifications;
    if filter.resource_subscriptions.len() > MAX_URIS {
        return Err(Fault::invalid_params(format_args!("at most {MAX_URIS} resourceSubscriptions")));
    }
    if call.notebook.listeners() >= MAX_LISTENERS {
        return Err(Fault::busy("Too many streams are open; try again later"));
    }
    filter.resource_subscriptions.retain(|uri| resources::note_id(uri).is_some());
    let changes = call.notebook.changes();
    // Only the id goes along: a handle to the notebook would keep the stream of changes from ever ending.
    let id = call.id;
    Ok(events::respond(async move |events| {
        let listener = Listener { id, filter, events };
        listener.run(changes, keep_alive).await;
    }))
}

struct Listener {
    id: Id,
    filter: Filter,
    events: Events,
}

/// The params of every notification on the stream.
#[derive(Serialize)]
struct About<'a, T> {
    #[serde(rename = "_meta")]
    meta: StreamMeta<'a>,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct StreamMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    subscription_id: &'a Id,
    #[serde(rename = "io.modelcontextprotocol/serverInfo", skip_serializing_if = "Option::is_none")]
    server_info: Option<Value>,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Acknowledged<'a> {
    notifications: &'a Filter,
}

#[derive(Serialize)]
struct Updated<'a> {
    uri: &'a str,
}

#[derive(Serialize)]
struct Ended {
    #[serde(rename = "resultType")]
    result_type: &'static str,
}

impl Listener {
    async fn run(self, mut changes: Receiver<Change>, keep_alive: Duration) {
        self.notify("notifications/subscriptions/acknowledged", Acknowledged { notifications: &self.filter }).await;
        loop {
            match timeout(keep_alive, changes.recv()).await {
                Err(_quiet) => self.events.keep_alive().await,
                Ok(Ok(change)) => self.pass_on(change).await,
                Ok(Err(RecvError::Lagged(_))) => self.pass_on(Change::Anything).await,
                Ok(Err(RecvError::Closed)) => return self.end().await,
            }
        }
    }

    async fn pass_on(&self, change: Change) {
        if self.filter.resources_list_changed {
            self.notify("notifications/resources/list_changed", Nothing {}).await;
        }
        for uri in self.filter.resource_subscriptions.iter().filter(|uri| touches(change, uri)) {
            self.notify("notifications/resources/updated", Updated { uri }).await;
        }
    }

    async fn end(&self) {
        let meta = StreamMeta { subscription_id: &self.id, server_info: Some(result::server_info()) };
        let ended = About { meta, what: Ended { result_type: "complete" } };
        self.events.message(reply::result_text(&self.id, &ended)).await;
    }

    async fn notify<T: Serialize>(&self, method: &'static str, what: T) {
        let meta = StreamMeta { subscription_id: &self.id, server_info: None };
        self.events.notify(method, About { meta, what }).await;
    }
}

/// Whether a change may be one of this note.
fn touches(change: Change, uri: &str) -> bool {
    match change {
        Change::Added => false,
        Change::Rewritten(id) | Change::Removed(id) => resources::note_id(uri) == Some(id),
        Change::Anything => true,
    }
}
