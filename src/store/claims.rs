//! The right to refresh a connection: of many tasks, processes and nodes, one has it at a time.
//!
//! A claim is written down before anything is redeemed, so a refresh that never ended is known of. Each claim gets a higher
//! fence; only the holder of the highest can finish. A claim that has lapsed may still be finished as long as nobody has taken
//! another one: what was redeemed is not lost because it took long.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    ConnectionKey, ConnectionRecord, ConnectionSummary, StoreError, Work,
    sql::{Record, Row, values},
};

/// The right to refresh a connection.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The connection, as it was claimed.
    pub record: ConnectionRecord,
    /// Tells this claim from earlier and later ones.
    pub fence: i64,
    /// Did an earlier claim end without a result? Then its holder may have redeemed the refresh token.
    pub unfinished: bool,
}

impl Record for Claim {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let unfinished = row.get::<i64>("unfinished")? != 0;
        Ok(Self { record: ConnectionRecord::read(row)?, fence: row.get("fence")?, unfinished })
    }
}

impl Work {
    /// Claims the right to refresh a connection, if it still has this version, is connected, and nobody has claimed it at
    /// `now`. Others may from `until` on, should the refresh not be finished by then.
    pub async fn claim_connection(
        &mut self,
        key: &ConnectionKey,
        version: i64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        const CLAIM: &str = "UPDATE connections SET fence = fence + 1, claimed_until = $6, \
             unfinished = CASE WHEN claimed_until > 0 THEN 1 ELSE unfinished END \
             WHERE tenant = $1 AND upstream = $2 AND subject = $3 AND version = $4 AND state = 'connected' \
             AND claimed_until <= $5 AND gone_at IS NULL RETURNING *";
        self.one(CLAIM, values![key.upstream, key.subject, version, now, until]).await
    }

    /// Keeps what was refreshed: scope, secrets, reason and end of `connection`, in the place of what was claimed. Its
    /// version is the one that was claimed, and one higher afterwards. `false`, if the connection has changed meanwhile or
    /// somebody else has claimed it: then nothing is kept.
    pub async fn finish_refresh(&mut self, connection: &ConnectionRecord, fence: i64) -> Result<bool, StoreError> {
        const FINISH: &str = "UPDATE connections SET scope = $7, sealed_data_key = $8, secrets = $9, expires_at = $10, \
             because = $11, changed_at = $12, version = version + 1, claimed_until = 0, unfinished = 0 \
             WHERE tenant = $1 AND upstream = $2 AND subject = $3 AND id = $4 AND version = $5 AND fence = $6 \
             AND state = 'connected' AND claimed_until > 0 AND gone_at IS NULL";
        let now = self.clock.now();
        let (data_key, secrets) = self.seal_connection(connection);
        let ConnectionSummary { key, id, version, scope, expires_at, because, .. } = &connection.summary;
        let values = values![
            key.upstream,
            key.subject,
            *id,
            *version,
            fence,
            *scope,
            data_key,
            secrets,
            *expires_at,
            *because,
            now,
        ];
        Ok(self.run(FINISH, values).await? > 0)
    }

    /// Gives a claim back: nothing was redeemed. `false`, if it was no longer held. An earlier claim that was never finished
    /// stays known.
    pub async fn release_claim(&mut self, key: &ConnectionKey, fence: i64) -> Result<bool, StoreError> {
        const RELEASE: &str = "UPDATE connections SET claimed_until = 0 WHERE tenant = $1 AND upstream = $2 \
                               AND subject = $3 AND fence = $4 AND claimed_until > 0";
        Ok(self.run(RELEASE, values![key.upstream, key.subject, fence]).await? > 0)
    }
}
