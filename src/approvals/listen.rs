//! Hearing of what is decided, also by other nodes, while calls wait.

use std::{collections::HashMap, time::Duration};

use portcullis_policies::kit::{approval::Ticket, clock::Timestamp};
use tokio::sync::watch;

use super::ApprovalDesk;
use crate::{
    audit,
    store::{ApprovalState, Feed, StoreError, every},
};

/// How often the store is asked what was decided elsewhere, while somebody waits for it.
const LISTEN: Duration = Duration::from_millis(500);
/// How often it is looked which calls wait in vain, and how many are noticed at once.
const EXPIRE: Duration = Duration::from_secs(5);
const AT_ONCE: u32 = 100;

/// What was decided lately.
#[derive(Debug)]
pub(super) struct News {
    turns: watch::Sender<HashMap<i64, ApprovalState>>,
    feed: Feed,
}

impl News {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { turns: watch::Sender::new(HashMap::new()), feed: Feed::new(now) }
    }
}

impl ApprovalDesk {
    /// Runs what runs beside the requests, until it is dropped.
    pub async fn keep_house(self) {
        tokio::join!(
            every(LISTEN, "calls that wait go on waiting", || self.listen()),
            every(EXPIRE, "nobody hears yet of calls that waited in vain", || self.expire()),
        );
    }

    pub(super) async fn expire(&self) -> Result<(), StoreError> {
        let Self(inner) = self;
        inner.store.expire_approvals(&inner.tenant, inner.clock.now(), AT_ONCE).await
    }

    async fn listen(&self) -> Result<(), StoreError> {
        let Self(inner) = self;
        let (News { turns, feed }, now) = (&inner.news, inner.clock.now());
        if turns.receiver_count() > 0 {
            let settled = inner.store.approvals_settled_since(&inner.tenant, feed.due()).await?;
            turns.send_if_modified(|known| {
                let settled: HashMap<_, _> = settled.into_iter().collect();
                let is_new = settled.iter().any(|(number, state)| known.get(number) != Some(state));
                *known = settled;
                is_new
            });
        }
        feed.read_to(now);
        Ok(())
    }

    /// Tells those who wait here at once, the audit log, and whoever gets messages.
    pub(super) fn tell(&self, number: i64, state: ApprovalState) {
        let Self(inner) = self;
        inner.audit.iter().for_each(audit::Handle::look);
        inner.messages.notify_one();
        if inner.news.turns.receiver_count() > 0 {
            inner.news.turns.send_modify(|known| {
                known.insert(number, state);
            });
        }
    }

    /// Waits until a call no longer waits for a decision.
    pub(super) async fn settled(&self, ticket: &Ticket) -> Result<Ticket, StoreError> {
        let mut turns = self.0.news.turns.subscribe();
        // What was decided before this began to listen is in the store.
        let found = self.standing(ticket).await?;
        if found.standing != ticket.standing {
            return Ok(found);
        }
        let _ = turns.wait_for(|turns| turns.contains_key(&ticket.number)).await;
        self.standing(ticket).await
    }
}
