//! Ending a connection: upstream, in the store, and in memory.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    ConnectionBook,
    kept::{Kept, Tokens},
    transition::Transition,
};
use crate::{
    store::{ConnectionKey, ConnectionRecord, ConnectionStage, ConnectionSummary, StoreError},
    upstreams::oauth::GrantError,
};

/// How long an authorization server may take to hear that tokens are over.
const PATIENCE: Duration = Duration::from_secs(30);

impl ConnectionBook {
    /// Ends a connection: from now on no call uses it, here at once and elsewhere within a second; its secrets are
    /// destroyed; and its tokens are revoked at the upstream (RFC 7009), in the background, as that may fail. Was there
    /// one? Where all share it, `subject` is empty.
    ///
    /// # Errors
    ///
    /// The store's. It may have done the work without being able to say so in time, so the rest happens all the same.
    pub async fn disconnect(&self, subject: &str, upstream: &str, because: &str) -> Result<bool, StoreError> {
        let key = ConnectionKey { upstream: upstream.to_owned(), subject: subject.to_owned() };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let Some(record) = work.delete_connection(&key).await? else {
            drop(work);
            // It may have ended by an attempt whose answer was lost, or on another node a moment ago.
            self.listen().await?;
            return Ok(false);
        };
        let transition =
            Transition { key: &key, from: record.state.into(), to: ConnectionStage::None, because, request_id: None };
        transition.record(&mut work, self.0.clock.now()).await?;
        let committed = work.commit().await;
        if committed.is_ok() {
            transition.log();
        }
        self.outdate(&key, record.version + 1);
        if let Some(Kept::Tokens(tokens)) = Kept::open(&record) {
            self.revoke(key, *tokens);
        }
        committed.map(|()| true)
    }

    /// What is at hand of a connection is over, unless it has this version.
    pub(super) fn outdate(&self, key: &ConnectionKey, version: i64) {
        self.0.slots.of(&key.upstream, &key.subject).iter().for_each(|slot| slot.outdate(version));
    }

    /// Somebody connects: from now on the connection has this version, whatever it had before.
    pub(super) fn renumber(&self, key: &ConnectionKey, version: i64) {
        self.0.slots.of(&key.upstream, &key.subject).iter().for_each(|slot| slot.renumber(version));
    }

    /// What the store says of a connection, without its secrets.
    pub(super) async fn summary(&self, key: &ConnectionKey) -> Result<Option<ConnectionSummary>, StoreError> {
        let all = self.0.store.connections_of(&self.0.tenant, &key.subject).await?;
        Ok(all.into_iter().find(|summary| summary.key == *key))
    }

    /// Revokes tokens that nobody is to use any more, as the connection ended while they were fetched. Not if the person
    /// has connected anew: some servers would take back what they just said yes to.
    pub(super) fn revoke_overtaken(
        &self,
        record: &ConnectionRecord,
        tokens: Tokens,
        present: Option<&ConnectionSummary>,
    ) {
        if present.is_none_or(|present| present.id == record.id) {
            self.revoke(record.key.clone(), tokens);
        }
    }

    fn revoke(&self, key: ConnectionKey, tokens: Tokens) {
        let book = self.clone();
        // Seated before it begins, so that stopping waits for it.
        let seat = Arc::clone(&self.0.flights).try_acquire_owned();
        tokio::spawn(async move {
            let _seat = seat;
            let revoking = book.0.oauth.revoke(&tokens.server, &tokens.registration, &tokens.set);
            let revoked = timeout(PATIENCE, Box::pin(revoking)).await;
            let revoked = revoked.unwrap_or_else(|_| Err(GrantError::Unreachable("it took too long".to_owned())));
            if let Err(error) = book.note_revocation(&key, revoked).await {
                tracing::warn!(%error, "what became of a revocation was not written down");
            }
        });
    }

    async fn note_revocation(&self, key: &ConnectionKey, revoked: Result<(), GrantError>) -> Result<(), StoreError> {
        let because = match revoked {
            Ok(()) => "its tokens were revoked at the upstream".to_owned(),
            Err(error) => {
                tracing::warn!(key.subject, key.upstream, %error, "tokens could not be revoked at the upstream");
                "its tokens could not be revoked at the upstream; they end there by themselves".to_owned()
            }
        };
        let none = ConnectionStage::None;
        let transition = Transition { key, from: none, to: none, because: &because, request_id: None };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        transition.record(&mut work, self.0.clock.now()).await?;
        work.commit().await
    }

    /// Hears what became of connections elsewhere.
    pub(super) async fn listen(&self) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        for change in self.0.store.changed_connections(&self.0.tenant, self.0.feed.due()).await? {
            self.outdate(&change.key, change.version);
        }
        self.0.feed.read_to(now);
        Ok(())
    }
}
