//! Taking away rows whose time is over.

use std::time::Duration;

use tokio::time::sleep;

use super::Foundation;

/// How often it is looked.
const EVERY: Duration = Duration::from_mins(1);
/// Rows of one transaction: others wait while it runs.
const BATCH: u32 = 500;
const BETWEEN: Duration = Duration::from_millis(20);

/// Takes rows away that are older than the log is kept, again and again: the beginning of each chain.
pub(super) async fn keep(foundation: Foundation) {
    loop {
        sleep(EVERY).await;
        while sweep(&foundation).await == u64::from(BATCH) {
            sleep(BETWEEN).await;
        }
    }
}

pub(super) async fn sweep(foundation: &Foundation) -> u64 {
    let Foundation { store, tenant, clock, keep, .. } = foundation;
    let swept = store.sweep_audit(tenant, clock.now().minus(*keep), BATCH).await;
    swept.unwrap_or_else(|error| {
        tracing::warn!(%error, "rows of the audit log whose time is over stay");
        0
    })
}
