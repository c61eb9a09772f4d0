//! Messages about calls that wait, to an address that the operator names (Standard Webhooks).
//!
//! A message is in the store from the moment in which a call begins to wait or is decided, so none is forgotten with the process
//! that made it, and no call waits for one. It says nothing of what the call says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use super::ApprovalDesk;
use crate::{
    config::SignedWebhook,
    fetch::{Client, Endpoint, Signer, message_headers},
    store::{ApprovalMessage, ApprovalTurn, StoreError},
    wire::exact_date,
};

/// How often the store is asked for messages that others have left.
const LOOK: Duration = Duration::from_secs(1);
/// Messages that are sent at once, and how long whoever sends them may take.
const AT_ONCE: u32 = 8;
const ENDS: Duration = Duration::from_secs(30);
/// How often a message is tried. Between attempts it waits three times as long each time: seven minutes the last time.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(5);

/// An address that gets messages.
#[derive(Clone, Debug)]
pub struct Webhook {
    endpoint: Endpoint,
    signer: Option<Signer>,
}

impl Webhook {
    /// As a configuration says.
    ///
    /// # Errors
    ///
    /// If the address, a header or the secret is none.
    pub fn of(options: &SignedWebhook, client: &Client) -> anyhow::Result<Self> {
        let at = "gateway.approvals.webhook";
        let endpoint = Endpoint::new(client, &options.url, options.headers.exposed()).context(at)?;
        let secret = options.secret.as_ref();
        let signer = secret.map(|secret| Signer::parse(secret.expose()).context("its secret is none").context(at));
        Ok(Self { endpoint, signer: signer.transpose()? })
    }
}

/// How many messages there were. All clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<[AtomicU64; 2]>);

impl Counts {
    /// Messages that arrived.
    pub fn sent(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

    /// Messages that were given up.
    pub fn failed(&self) -> u64 {
        self.0[1].load(Ordering::Relaxed)
    }

    fn add(&self, arrived: bool) {
        self.0[usize::from(!arrived)].fetch_add(1, Ordering::Relaxed);
    }
}

impl ApprovalDesk {
    /// Sends messages until it is dropped: those of this process at once, those of others soon.
    pub async fn send_messages(self, webhook: Webhook, counts: Counts) {
        loop {
            match self.send_due(&webhook, &counts).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "messages about calls that wait are not sent at present"),
            }
            let _ = timeout(LOOK, self.0.messages.notified()).await;
        }
    }

    /// Sends what is due. May there be more?
    async fn send_due(&self, webhook: &Webhook, counts: &Counts) -> Result<bool, StoreError> {
        let Self(inner) = self;
        let now = inner.clock.now();
        if !inner.store.has_approval_messages(&inner.tenant, now).await? {
            return Ok(false);
        }
        let mut work = inner.store.begin(&inner.tenant).await?;
        let due = work.take_approval_messages(now, now.plus(ENDS), AT_ONCE).await?;
        work.commit().await?;
        let is_full = due.len() == AT_ONCE as usize;
        let mut sending = JoinSet::new();
        for message in due {
            let (desk, webhook) = (self.clone(), webhook.clone());
            sending.spawn(async move {
                let sent = desk.send(&webhook, &message.turn).await;
                (message, sent)
            });
        }
        while let Some(Ok((message, sent))) = sending.join_next().await {
            self.note(&message, sent, counts).await?;
        }
        Ok(is_full)
    }

    async fn send(&self, webhook: &Webhook, turn: &ApprovalTurn) -> Result<(), String> {
        let body = body(turn, self.page(turn.number).as_deref()).to_string();
        let id = format!("{}_{}", turn.id, turn.state.name());
        let headers = message_headers(webhook.signer.as_ref(), &id, self.0.clock.now(), body.as_bytes());
        webhook.endpoint.post("application/json", headers, body.into()).await.map(drop)
    }

    /// What arrived or was given up is forgotten; the rest is tried again later.
    async fn note(
        &self,
        ApprovalMessage { turn, tries }: &ApprovalMessage,
        sent: Result<(), String>,
        counts: &Counts,
    ) -> Result<(), StoreError> {
        let Self(inner) = self;
        let mut work = inner.store.begin(&inner.tenant).await?;
        match &sent {
            Err(why) if *tries < TRIES => {
                tracing::warn!(approval = turn.number, why, "a message about a call that waits is tried again");
                let pause = PAUSE * 3_u32.pow(tries.saturating_sub(1));
                work.delay_approval_message(turn, inner.clock.now().plus(pause)).await?;
            }
            sent => {
                if let Err(why) = sent {
                    tracing::error!(approval = turn.number, why, "a message about a call that waits did not arrive");
                }
                counts.add(sent.is_ok());
                work.forget_approval_message(turn).await?;
            }
        }
        work.commit().await
    }
}

fn body(turn: &ApprovalTurn, url: Option<&str>) -> Value {
    let ApprovalTurn { number, state, by_name, by_subject, reason, subject, route, upstream, .. } = turn;
    let person = (by_name.is_some() || by_subject.is_some()).then(|| json!({ "name": by_name, "subject": by_subject }));
    json!({
        "type": format!("approval.{}", state.name()),
        "timestamp": exact_date(turn.at),
        "data": {
            "approval": number, "state": state.name(), "url": url,
            "rule": turn.rule, "route": route, "upstream": upstream, "tool": turn.tool, "subject": subject,
            "requestId": turn.request_id, "expiresAt": exact_date(turn.expires_at), "person": person, "reason": reason,
        },
    })
}
