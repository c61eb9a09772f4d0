//! Sign-ins at the provider that were begun.

use std::fmt;

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, StoreError, Work,
    sql::{Record, Row, values},
};

/// A sign-in at the provider that was begun.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginRecord {
    /// Of `state`.
    pub state: Digest,
    /// Of what proves that it is the same browser.
    pub browser: Digest,
    /// What is needed to finish it; sealed at rest.
    pub secret: Vec<u8>,
    /// When it is too late.
    pub expires_at: Timestamp,
}

const SECRET: &str = "logins.sealed_secret";

impl Record for LoginRecord {
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
    /// Keeps a sign-in that begins.
    pub async fn insert_login(&mut self, login: &LoginRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO logins (tenant, state_digest, browser_digest, sealed_secret, expires_at) \
                              VALUES ($1, $2, $3, $4, $5)";
        let secret = self.owner.seal(SECRET, &login.state.to_string(), &login.secret);
        self.run(INSERT, values![login.state, login.browser, secret, login.expires_at]).await?;
        Ok(())
    }

    /// Takes it out: of many callers, one gets it. It may have expired.
    pub async fn take_login(&mut self, state: &Digest) -> Result<Option<LoginRecord>, StoreError> {
        const TAKE: &str = "DELETE FROM logins WHERE tenant = $1 AND state_digest = $2 RETURNING *";
        self.one(TAKE, values![*state]).await
    }
}

impl fmt::Debug for LoginRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRecord").field("state", &self.state).finish_non_exhaustive()
    }
}
