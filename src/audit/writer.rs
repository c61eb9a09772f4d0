//! The one task that writes: it takes what waits, links it to its chain, and commits it in groups.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use portcullis_policies::kit::{clock::Clock, random};
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    Counts, Handle,
    chain::Chain,
    handle::{Gauge, Item},
    house,
    key::AuditKey,
    line,
    sinks::{Sink, Sinks},
};
use crate::store::{ApprovalTurn, AuditRow, Store, StoreError, Tenant};

/// Rows of one commit.
const GROUP: usize = 1024;
/// How long rows for which nobody waits may wait for others.
const LINGER: Duration = Duration::from_millis(25);
/// How soon a store is tried again that takes no rows.
const AGAIN: Duration = Duration::from_millis(250);
/// Attempts of a log that is being closed.
const LAST_ATTEMPTS: u32 = 8;
/// Rows and time without a checkpoint.
const UNSIGNED_ROWS: u64 = 1000;
const UNSIGNED_TIME: Duration = Duration::from_secs(10);
/// Decisions of one commit.
const TURNS: u32 = 64;
/// Chains whose ends the first row names.
const OTHERS: u32 = 64;

/// What a log is kept in.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Where rows are kept.
    pub store: Store,
    /// Whose they are.
    pub tenant: Tenant,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where they go besides.
    pub sinks: Vec<Sink>,
    /// How long they are kept.
    pub keep: Duration,
}

/// From now on `handle` takes rows. Nothing is written before there is one.
pub async fn open(foundation: Foundation, handle: &Handle) -> Result<(), StoreError> {
    let key = AuditKey::of(&foundation.store, &foundation.tenant, foundation.clock.now()).await?;
    if let Some(items) = handle.open() {
        tokio::spawn(house::keep(foundation.clone()));
        tokio::spawn(house::watch(foundation.clone(), handle.clone()));
        tokio::spawn(Writer::new(foundation, key, items, handle).run());
    }
    Ok(())
}

struct Writer {
    foundation: Foundation,
    key: AuditKey,
    items: mpsc::Receiver<Item>,
    gauge: Arc<Gauge>,
    counts: Counts,
    sinks: Sinks,
    chain: Chain,
    /// What is so if the last commit, of which that is not known, went well.
    doubtful: Option<Doubtful>,
    /// Rows that are lost, of which the chain says so already.
    told: u64,
    /// May there be decisions of which there is no row?
    looks: bool,
    checked_at: Instant,
    closing: Option<oneshot::Sender<()>>,
}

/// The rows of a commit, where the chain is after it, of how many lost rows it tells, and of how many decisions.
struct Doubtful {
    rows: Vec<AuditRow>,
    chain: Chain,
    told: u64,
    decisions: u64,
}

/// A row that was taken from the queue.
struct Waiting {
    entry: Box<portcullis_policies::kit::audit::Entry>,
    keeper: Option<oneshot::Sender<()>>,
}

impl Writer {
    fn new(foundation: Foundation, key: AuditKey, items: mpsc::Receiver<Item>, handle: &Handle) -> Self {
        let (gauge, counts) = (Arc::clone(&handle.gauge), handle.counts().clone());
        let chain = Chain::new(format!("{:016x}", random::seed()));
        let sinks = Sinks::start(foundation.sinks.clone(), &counts);
        let (doubtful, closing, checked_at) = (None, None, Instant::now());
        Self {
            foundation,
            key,
            items,
            gauge,
            counts,
            sinks,
            chain,
            doubtful,
            told: 0,
            looks: false,
            checked_at,
            closing,
        }
    }

    async fn run(mut self) {
        while self.closing.is_none() {
            let group = self.group().await;
            // A store that was down is tried also where nobody asks: calls are refused until it is known to be back.
            if !group.is_empty() || self.looks || self.gauge.is_down.load(Ordering::Relaxed) || self.is_due() {
                self.write(group).await;
            }
        }
        while !self.items.is_empty() {
            let group = self.group().await;
            self.write(group).await;
        }
        if self.chain.number > 0 {
            self.write(Vec::new()).await;
        }
        self.sinks.close().await;
        self.closing.map(|closed| closed.send(()));
    }

    /// The rows of the next commit. Where nobody waits for one, it waits a little for more.
    async fn group(&mut self) -> Vec<Waiting> {
        let mut items = Vec::new();
        let patience = if self.gauge.is_down.load(Ordering::Relaxed) { AGAIN } else { UNSIGNED_TIME };
        let _ = timeout(patience, self.items.recv_many(&mut items, GROUP)).await;
        let until = Instant::now() + LINGER;
        while !items.is_empty() && items.len() < GROUP && !items.iter().any(Item::is_urgent) {
            let left = GROUP - items.len();
            match timeout_at(until, self.items.recv_many(&mut items, left)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        items.into_iter().filter_map(|item| self.take(item)).collect()
    }

    fn take(&mut self, item: Item) -> Option<Waiting> {
        match item {
            Item::Entry(entry, keeper) => {
                self.gauge.took(&entry);
                // Who has given up waiting makes no call either.
                let is_wanted = keeper.as_ref().is_none_or(|keeper| !keeper.is_closed());
                is_wanted.then_some(Waiting { entry, keeper })
            }
            Item::Look => {
                self.looks = true;
                None
            }
            Item::Close(closing) => {
                self.items.close();
                self.closing = Some(closing);
                None
            }
        }
    }

    /// Writes a group, however often that takes. Those who wait are told at the first failure.
    async fn write(&mut self, mut group: Vec<Waiting>) {
        let mut attempts = 0;
        while let Err(error) = self.attempt(&group, attempts > 0).await {
            if !self.gauge.is_down.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the audit log takes no rows: calls of routes that fail closed are refused");
            }
            group.retain(|waiting| waiting.keeper.is_none());
            attempts += 1;
            if self.closing.is_some() && attempts >= LAST_ATTEMPTS {
                self.counts.add_lost(group.len() as u64);
                return tracing::error!(rows = group.len(), "the audit log was closed without its last rows");
            }
            if group.is_empty() && self.closing.is_none() {
                return;
            }
            sleep(AGAIN).await;
        }
        if self.gauge.is_down.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log takes rows again");
        }
        self.counts.add_written(group.len() as u64);
        for keeper in group.into_iter().filter_map(|waiting| waiting.keeper) {
            let _ = keeper.send(());
        }
    }

    /// Writes a group, unless it was tried before and is there.
    async fn attempt(&mut self, group: &[Waiting], again: bool) -> Result<(), StoreError> {
        if self.settle().await? && again {
            return Ok(());
        }
        let (mut chain, told) = (self.chain.clone(), self.counts.lost());
        let mut work = self.foundation.store.begin(&self.foundation.tenant).await?;
        // Their marks go in the same commit: each has one row, whoever writes it.
        let turns = if self.looks { work.take_unaudited_approvals(TURNS).await? } else { Vec::new() };
        let rows = self.rows(&mut chain, (&turns, group), told).await?;
        self.looks = turns.len() == TURNS as usize;
        if rows.is_empty() {
            return Ok(());
        }
        let decisions = turns.len() as u64;
        let Doubtful { rows, chain, .. } = self.doubtful.insert(Doubtful { rows, chain, told, decisions });
        work.insert_audit_rows(&chain.id, rows).await?;
        work.put_audit_head(&chain.head()).await?;
        work.commit().await?;
        self.advance();
        Ok(())
    }

    /// Asks what became of a commit of which nobody knows. Did it go well?
    async fn settle(&mut self) -> Result<bool, StoreError> {
        let Some(Doubtful { chain, .. }) = &self.doubtful else { return Ok(false) };
        let Foundation { store, tenant, .. } = &self.foundation;
        let head = store.audit_head(tenant, &self.chain.id).await?;
        let (number, hash) = head.map_or((0, String::new()), |head| (head.number, head.hash));
        if (number, &hash) == (chain.number, &chain.hash) {
            self.advance();
            return Ok(true);
        }
        self.doubtful = None;
        if number != self.chain.number {
            // Another store has taken its place: there, a chain of its own begins.
            self.chain = Chain::new(format!("{:016x}", random::seed()));
        }
        Ok(false)
    }

    fn advance(&mut self) {
        let Some(Doubtful { rows, chain, told, decisions }) = self.doubtful.take() else { return };
        self.counts.add_written(decisions);
        self.sinks.send(&rows);
        if chain.unsigned == 0 {
            self.checked_at = Instant::now();
        }
        (self.chain, self.told) = (chain, told);
    }

    /// The rows of a group, with those that the chain needs besides.
    async fn rows(
        &self,
        chain: &mut Chain,
        (turns, group): (&[ApprovalTurn], &[Waiting]),
        lost: u64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let Foundation { store, tenant, clock, .. } = &self.foundation;
        let now = clock.now();
        let mut rows = Vec::with_capacity(turns.len() + group.len() + 3);
        let is_wanted = !turns.is_empty() || !group.is_empty() || lost > self.told;
        let tries = self.gauge.is_down.load(Ordering::Relaxed);
        if chain.number == 0 && (tries || is_wanted) {
            let others = store.audit_heads(tenant, OTHERS).await?;
            rows.push(chain.begin(now, &self.key, &others));
        }
        if lost > self.told {
            rows.push(chain.link(now, "gap", &json!({ "lost": lost - self.told }).to_string()));
        }
        let decisions = turns.iter().map(|turn| (turn.at, "decision", line::of_decision(turn)));
        let calls = group.iter().map(|Waiting { entry, .. }| (entry.at, "call", line::of(entry)));
        let mut happened: Vec<_> = decisions.chain(calls).collect();
        happened.sort_by_key(|(at, ..)| *at);
        rows.extend(happened.into_iter().map(|(at, kind, rest)| chain.link(at, kind, &rest)));
        let is_last = self.closing.is_some() && self.items.is_empty();
        if self.signs(chain, is_last) {
            rows.push(chain.checkpoint(now, &self.key, is_last));
        }
        Ok(rows)
    }

    fn signs(&self, chain: &Chain, is_last: bool) -> bool {
        let is_begun = self.chain.number == 0 && chain.number > 0;
        let is_late = self.checked_at.elapsed() >= UNSIGNED_TIME;
        let is_due = is_begun || is_late || chain.unsigned >= UNSIGNED_ROWS;
        let is_ending = is_last && chain.number > 0 && !chain.is_closed;
        // Where the store was down, something must be written to know that it is back.
        (chain.unsigned > 0 && is_due) || is_ending || self.gauge.is_down.load(Ordering::Relaxed)
    }

    /// Does something wait for a checkpoint for long enough?
    fn is_due(&self) -> bool {
        self.chain.unsigned > 0 && self.checked_at.elapsed() >= UNSIGNED_TIME
    }
}

impl Item {
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Entry(_, Some(_)) | Self::Close(_))
    }
}
