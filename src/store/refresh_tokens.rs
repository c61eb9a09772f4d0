//! Refresh tokens.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, Store, StoreError, Tenant, Work,
    sql::{Record, Row, values},
};

/// A refresh token of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshRecord {
    /// Of the token.
    pub token: Digest,
    /// Its grant.
    pub grant: String,
    /// When it was given out.
    pub issued_at: Timestamp,
    /// When it is too late.
    pub expires_at: Timestamp,
    /// When it was first used.
    pub rotated_at: Option<Timestamp>,
}

/// What became of using a refresh token up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// This was its first use.
    First(RefreshRecord),
    /// It was used before: `rotated_at` says when.
    Again(RefreshRecord),
    /// There is none.
    Unknown,
}

impl Record for RefreshRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            token: row.digest("token_digest")?,
            grant: row.get("grant_id")?,
            issued_at: row.at("issued_at")?,
            expires_at: row.at("expires_at")?,
            rotated_at: row.maybe_at("rotated_at")?,
        })
    }
}

const READ: &str = "SELECT * FROM refresh_tokens WHERE tenant = $1 AND token_digest = $2";

impl Store {
    /// The token, used or not. It may have expired.
    pub async fn refresh_token(&self, tenant: &Tenant, token: &Digest) -> Result<Option<RefreshRecord>, StoreError> {
        self.one(tenant, READ, values![*token]).await
    }
}

impl Work {
    /// Keeps a new token; its grant is there already.
    pub async fn insert_refresh(&mut self, token: &RefreshRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO refresh_tokens \
             (tenant, token_digest, grant_id, issued_at, expires_at, rotated_at) VALUES ($1, $2, $3, $4, $5, $6)";
        let RefreshRecord { token, grant, issued_at, expires_at, rotated_at } = token;
        self.run(INSERT, values![*token, *grant, *issued_at, *expires_at, *rotated_at]).await?;
        Ok(())
    }

    /// Uses a token up, in one conditional step: of many callers, on any node, one is the first. Whether it has expired is
    /// for the caller to say.
    pub async fn rotate_refresh(&mut self, token: &Digest, now: Timestamp) -> Result<Rotation, StoreError> {
        const ROTATE: &str = "UPDATE refresh_tokens SET rotated_at = $3 \
                              WHERE tenant = $1 AND token_digest = $2 AND rotated_at IS NULL RETURNING *";
        if let Some(first) = self.one(ROTATE, values![*token, now]).await? {
            return Ok(Rotation::First(first));
        }
        Ok(self.one(READ, values![*token]).await?.map_or(Rotation::Unknown, Rotation::Again))
    }
}
