//! One subscription, asked for again whenever it ends.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use portcullis_policies::kit::{
    credential::UpstreamCredential,
    json::Flaw,
    message::Method,
    refusal::{Reason, Refusal},
    reply::{AnswerKind, Event, EventSource, Reply},
};
use serde_json::json;
use tokio::{sync::watch, time::sleep};

use super::Wanted;
use crate::proxy::{
    aside::Mailbox,
    bridge::{
        legacy_client::{client::Client, outgoing},
        object::Object,
    },
    upstream::{Behalf, Carry, Sending, Upstream},
};

/// The id of the gateway's own `subscriptions/listen`, as JSON text.
const LISTEN: &str = r#""portcullis-listen""#;
/// What it is told apart by, in `_meta` of what comes.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// Between two attempts, doubled from the first to the last of these.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What is news to a client of before 2026-07-28.
const NEWS: [&str; 4] = [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
];

/// A subscription of one session.
pub(super) struct Subscription {
    pub(super) upstream: Upstream,
    pub(super) headers: HeaderMap,
    pub(super) credential: Option<UpstreamCredential>,
    pub(super) client: Client,
    pub(super) mailbox: Arc<Mailbox>,
}

impl Subscription {
    /// Holds the subscription until nobody wants it any more, or the upstream says that it has none to give.
    pub(super) async fn hold(self, mut wanted: watch::Receiver<Wanted>) {
        let mut pause = PAUSES.0;
        loop {
            let now = wanted.borrow_and_update().clone();
            match self.open(&now).await {
                Ok(Some(source)) => {
                    pause = PAUSES.0;
                    tokio::select! {
                        () = self.hear(source) => {}
                        changed = wanted.changed() => match changed {
                            Ok(()) => continue,
                            Err(_) => return,
                        },
                    }
                }
                Ok(None) => return,
                Err(refusal) => tracing::debug!(reason = refusal.reason().code(), "the upstream cannot be listened to"),
            }
            tokio::select! {
                () = sleep(pause) => {}
                changed = wanted.changed() => if changed.is_err() { return },
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// None if the upstream has no subscriptions, or not for this caller.
    async fn open(&self, wanted: &Wanted) -> Result<Option<Box<dyn EventSource>>, Refusal> {
        let sending = Sending {
            headers: self.headers.clone(),
            message: self.message(wanted)?,
            awaiting: Some(LISTEN),
            behalf: Behalf { credential: self.credential.as_ref(), request_id: None },
        };
        match self.upstream.exchange(sending, Carry::Subscribed).await {
            Ok(received) => Ok(if let Reply::Events(source) = received.reply { Some(source) } else { None }),
            Err(failure) => match failure.refusal.reason() {
                Reason::UpstreamUnauthorized => Ok(None),
                Reason::UpstreamStatus if failure.refusal.status().is_client_error() => Ok(None),
                _ => Err(failure.refusal),
            },
        }
    }

    fn message(&self, Wanted { lists, resources }: &Wanted) -> Result<Bytes, Refusal> {
        let mut filter = json!({});
        if *lists {
            filter = json!({ "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true });
        }
        if !resources.is_empty() {
            filter["resourceSubscriptions"] = json!(resources);
        }
        outgoing::own(&Method::Listen, LISTEN, &json!({ "notifications": filter }).to_string(), &self.client)
    }

    async fn hear(&self, mut source: Box<dyn EventSource>) {
        while let Some(event) = poll_fn(|context| source.poll_event(context)).await {
            match event.answer() {
                Some(Ok(answer)) if answer.is_response() => return,
                Some(Ok(answer)) if answer.kind() == AnswerKind::Notification => {
                    if let Some(Ok(Some(news))) = event.data().map(news) {
                        self.mailbox.put(Event::message(news.as_bytes()));
                    }
                }
                _ => {}
            }
        }
    }
}

/// A notification as clients of before know it; none if they do not.
fn news(notification: &[u8]) -> Result<Option<String>, Flaw> {
    let mut notification = Object::read(std::str::from_utf8(notification).unwrap_or_default())?;
    let method: String = notification.parse("method").unwrap_or_default();
    if !NEWS.contains(&&*method) {
        return Ok(None);
    }
    let params = notification.take("params").unwrap_or_default();
    let mut params = Object::read(&params)?;
    let meta = params.take("_meta").unwrap_or_default();
    let mut meta = Object::read(&meta)?;
    meta.take(SUBSCRIPTION);
    if meta.members().next().is_some() {
        params.set("_meta", meta.to_json());
    }
    if params.members().next().is_some() {
        notification.set("params", params.to_json());
    }
    Ok(Some(notification.to_json()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn news_does_not_tell_of_the_subscription_that_it_came_by() {
        let told = |method: &str, params: Value| {
            let told = json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string();
            let news = news(told.as_bytes()).unwrap();
            news.map(|news| serde_json::from_str::<Value>(&news).unwrap())
        };
        let meta = json!({ SUBSCRIPTION: "portcullis-listen" });
        let updated = told("notifications/resources/updated", json!({ "uri": "a", "_meta": meta }));
        let expected = json!({ "jsonrpc": "2.0", "method": NEWS[3], "params": { "uri": "a" } });
        assert_eq!(updated, Some(expected));
        let changed = told("notifications/tools/list_changed", json!({ "_meta": meta }));
        assert_eq!(changed, Some(json!({ "jsonrpc": "2.0", "method": NEWS[0] })));
        assert_eq!(told("notifications/subscriptions/acknowledged", json!({ "_meta": meta })), None);
    }
}
