//! A connection goes from one state to another: written down with its cause, and told in the log, without a secret.

use portcullis_policies::kit::{chain::RequestId, clock::Timestamp};

use super::{ConnectionBook, slot::Slot};
use crate::store::{
    ConnectionEvent, ConnectionKey, ConnectionRecord, ConnectionStage, ConnectionState, StoreError, Work,
};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transition<'a> {
    pub(super) key: &'a ConnectionKey,
    pub(super) from: ConnectionStage,
    pub(super) to: ConnectionStage,
    pub(super) because: &'a str,
    pub(super) request_id: Option<RequestId>,
}

impl Transition<'_> {
    /// Writes it down, in the same unit of work that does it.
    pub(super) async fn record(&self, work: &mut Work, at: Timestamp) -> Result<(), StoreError> {
        let event = ConnectionEvent {
            at,
            key: self.key.clone(),
            from: self.from,
            to: self.to,
            because: self.because.to_owned(),
            request_id: self.request_id.map(|id| id.to_string()),
        };
        work.insert_connection_event(&event).await
    }

    /// Says so, once it has happened.
    pub(super) fn log(&self) {
        let ConnectionKey { upstream, subject } = self.key;
        let request_id = self.request_id.map(tracing::field::display);
        let (from, to) = (self.from.name(), self.to.name());
        tracing::info!(subject, upstream, from, to, because = self.because, request_id, "connection");
    }
}

impl ConnectionBook {
    /// The person must connect once more, unless something has changed since `record` was read. Was it so?
    pub(super) async fn mark(
        &self,
        slot: &Slot,
        record: &ConnectionRecord,
        because: &str,
        request_id: Option<RequestId>,
    ) -> Result<bool, StoreError> {
        let transition = Transition {
            key: &record.key,
            from: record.state.into(),
            to: ConnectionStage::ReconsentRequired,
            because,
            request_id,
        };
        let mut work = self.0.store.begin(&self.0.tenant).await?;
        let state = ConnectionState::ReconsentRequired;
        if !work.mark_connection(&record.key, record.version, state, because).await? {
            return Ok(false);
        }
        transition.record(&mut work, self.0.clock.now()).await?;
        work.commit().await?;
        slot.outdate(record.version + 1);
        transition.log();
        Ok(true)
    }
}
