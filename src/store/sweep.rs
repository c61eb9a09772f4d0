//! Clearing away what has expired.

use std::time::Duration;

use portcullis_policies::kit::clock::Timestamp;

use super::{Store, StoreError, Tenant, sql::values};

/// How long used codes and ended grants are kept, so that a late replay is still recognised and the log can be understood.
const KEPT: Duration = Duration::from_hours(24);
/// How long a yes is remembered, and what is known of somebody who does not come any more.
const REMEMBERED: Duration = Duration::from_hours(365 * 24);
/// Rows of one transaction: others wait while it runs.
const BATCH: i64 = 500;
/// Transactions of one sweep and table. What is left is for the next one.
const MOST_BATCHES: usize = 20;

/// What to delete, by when it expired (`$2`) and how many at once (`$3`), and how long after its end.
const EXPIRED: &[(&str, Duration)] = &[
    (
        "DELETE FROM logins WHERE tenant = $1 AND state_digest IN \
         (SELECT state_digest FROM logins WHERE tenant = $1 AND expires_at < $2 LIMIT $3)",
        Duration::ZERO,
    ),
    (
        "DELETE FROM sessions WHERE tenant = $1 AND id_digest IN \
         (SELECT id_digest FROM sessions WHERE tenant = $1 AND expires_at < $2 LIMIT $3)",
        Duration::ZERO,
    ),
    (
        "DELETE FROM assertions WHERE tenant = $1 AND jti_digest IN \
         (SELECT jti_digest FROM assertions WHERE tenant = $1 AND expires_at < $2 LIMIT $3)",
        Duration::ZERO,
    ),
    (
        "DELETE FROM refresh_tokens WHERE tenant = $1 AND token_digest IN \
         (SELECT token_digest FROM refresh_tokens WHERE tenant = $1 AND expires_at < $2 LIMIT $3)",
        Duration::ZERO,
    ),
    (
        "DELETE FROM codes WHERE tenant = $1 AND code_digest IN \
         (SELECT code_digest FROM codes WHERE tenant = $1 AND expires_at < $2 LIMIT $3)",
        KEPT,
    ),
    (
        "DELETE FROM consents WHERE tenant = $1 AND key_digest IN \
         (SELECT key_digest FROM consents WHERE tenant = $1 AND granted_at < $2 LIMIT $3)",
        REMEMBERED,
    ),
    (
        "DELETE FROM accounts WHERE tenant = $1 AND (provider, subject) IN \
         (SELECT provider, subject FROM accounts WHERE tenant = $1 AND refreshed_at < $2 LIMIT $3)",
        REMEMBERED,
    ),
    (
        "DELETE FROM grants WHERE tenant = $1 AND id IN \
         (SELECT id FROM grants WHERE tenant = $1 AND expires_at < $2 LIMIT $3)",
        KEPT,
    ),
];

impl Store {
    /// Deletes what has expired, in small steps between which others can write.
    pub async fn sweep(&self, tenant: &Tenant, now: Timestamp) -> Result<(), StoreError> {
        for (delete, kept) in EXPIRED {
            let before = now.minus(*kept);
            for _ in 0..MOST_BATCHES {
                let mut work = self.begin(tenant).await?;
                let deleted = work.run(delete, values![before, BATCH]).await?;
                work.commit().await?;
                if deleted < BATCH.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(())
    }
}
