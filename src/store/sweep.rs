//! Clearing away what has expired.

use std::time::Duration;

use portcullis_policies::kit::clock::Timestamp;

use super::{Store, StoreError, Tenant, sql::values};

/// How long used codes and ended grants are kept, so that a late replay is still recognised and the log can be understood.
const KEPT: Duration = Duration::from_hours(24);
/// How long a yes is remembered, and what is known of somebody who does not come any more.
const REMEMBERED: Duration = Duration::from_hours(365 * 24);
/// How long it is remembered how connections came about and ended, and who approved which call.
const LOGGED: Duration = Duration::from_hours(90 * 24);
/// Rows of one transaction: others wait while it runs.
const BATCH: i64 = 500;
/// Transactions of one sweep and table. What is left is for the next one.
const MOST_BATCHES: usize = 20;

/// Deletes rows of a table that ended (`$2`), so many at once (`$3`); not those that were renewed while it looked.
macro_rules! delete {
    ($table:literal, by $first:literal $($more:literal)?, ended $end:literal) => {
        concat!(
            "DELETE FROM ", $table, " WHERE tenant = $1 AND (", $first, $(", ", $more,)? ") IN \
             (SELECT ", $first, $(", ", $more,)? " FROM ", $table, " WHERE tenant = $1 AND ", $end, " < $2 LIMIT $3) AND ", $end, " < $2"
        )
    };
}

/// What to delete, and how long after its end. Codes go before the grants that they are of.
const EXPIRED: &[(&str, Duration)] = &[
    (delete!("logins", by "state_digest", ended "expires_at"), Duration::ZERO),
    (delete!("sessions", by "id_digest", ended "expires_at"), Duration::ZERO),
    (delete!("assertions", by "jti_digest", ended "expires_at"), Duration::ZERO),
    (delete!("refresh_tokens", by "token_digest", ended "expires_at"), Duration::ZERO),
    (delete!("connect_links", by "link_digest", ended "expires_at"), Duration::ZERO),
    (delete!("connect_flows", by "state_digest", ended "expires_at"), Duration::ZERO),
    (delete!("connections", by "upstream" "subject", ended "gone_at"), KEPT),
    (delete!("connection_events", by "number", ended "at"), LOGGED),
    (delete!("approval_turns", by "reader" "number", ended "expires_at"), LOGGED),
    (delete!("approvals", by "number", ended "expires_at"), LOGGED),
    (delete!("codes", by "code_digest", ended "expires_at"), KEPT),
    (delete!("consents", by "key_digest", ended "granted_at"), REMEMBERED),
    (delete!("accounts", by "provider" "subject", ended "refreshed_at"), REMEMBERED),
    (delete!("grants", by "id", ended "expires_at"), KEPT),
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
        self.database.settle().await
    }
}
