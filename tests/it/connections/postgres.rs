//! Several gateways on one PostgreSQL server. These stories run where `PORTCULLIS_TEST_POSTGRES` says: see `sign_in::postgres`.

use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;
use serde_json::json;

use super::nodes::{FULL, everybody_calls, shared};
use crate::{harness::Vendor, sign_in::postgres::database};

const SOME_KEY: &str = "5c1f0b9e7a3d482691e6c4d80fb7253a9e14d6c87b05f2a3e9416d8c3b70fa52";

#[ignore = "needs PORTCULLIS_TEST_POSTGRES, which .ci/run sets"]
#[tokio::test(flavor = "multi_thread")]
async fn fault_two_nodes_refresh_cl_14_three_on_postgres_500_waiters_each_100_times() {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    let store = database("connections").await;
    let first =
        shared(&vendor).gateway("encryptionKey", json!(SOME_KEY)).gateway("store", json!(store.as_str())).spawn();
    everybody_calls(&vendor, first, FULL).await;
}
