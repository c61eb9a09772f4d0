//! Authorizations at an upstream that were begun.

use std::fmt;

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, StoreError, Work,
    sql::{Record, Row, values},
};

/// An authorization at an upstream that was begun.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectFlow {
    /// Of `state`.
    pub state: Digest,
    /// Of what proves that it is the same browser.
    pub browser: Digest,
    /// What is needed to finish it; sealed at rest.
    pub secret: Vec<u8>,
    /// When it is too late.
    pub expires_at: Timestamp,
}

const SECRET: &str = "connect_flows.sealed_secret";

impl Record for ConnectFlow {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let state = row.digest("state_digest")?;
        Ok(Self {
            state,
            browser: row.digest("browser_digest")?,
            secret: row.open(SECRET, &state.to_string())?,
            expires_at: row.at("expires_at")?,
        })
    }
}

impl Work {
    /// Keeps an authorization that begins.
    pub async fn insert_connect_flow(&mut self, flow: &ConnectFlow) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO connect_flows (tenant, state_digest, browser_digest, sealed_secret, expires_at) \
                              VALUES ($1, $2, $3, $4, $5)";
        let secret = self.owner.seal(SECRET, &flow.state.to_string(), &flow.secret);
        self.run(INSERT, values![flow.state, flow.browser, secret, flow.expires_at]).await?;
        Ok(())
    }

    /// Takes it out: of many callers, one gets it. It may have expired.
    pub async fn take_connect_flow(&mut self, state: &Digest) -> Result<Option<ConnectFlow>, StoreError> {
        const TAKE: &str = "DELETE FROM connect_flows WHERE tenant = $1 AND state_digest = $2 RETURNING *";
        self.one(TAKE, values![*state]).await
    }
}

impl fmt::Debug for ConnectFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectFlow").field("state", &self.state).finish_non_exhaustive()
    }
}
