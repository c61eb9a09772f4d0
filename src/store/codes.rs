//! Authorization codes.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, StoreError, Work,
    sql::{Record, Row, values},
};

/// An authorization code (RFC 6749 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRecord {
    /// Of the code.
    pub code: Digest,
    /// The grant that it gives.
    pub grant: String,
    /// For whom.
    pub client_id: String,
    /// Where it was sent.
    pub redirect_uri: String,
    /// The PKCE challenge, S256 (RFC 7636).
    pub challenge: String,
    /// When it is too late.
    pub expires_at: Timestamp,
}

/// What became of showing a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeUse {
    /// It was good, and is used up by this.
    Fresh(CodeRecord),
    /// It was used before.
    Used(CodeRecord),
    /// There is none, or it has expired unused.
    Unknown,
}

impl Record for CodeRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            code: row.digest("code_digest")?,
            grant: row.get("grant_id")?,
            client_id: row.get("client_id")?,
            redirect_uri: row.get("redirect_uri")?,
            challenge: row.get("challenge")?,
            expires_at: row.at("expires_at")?,
        })
    }
}

impl Work {
    /// Keeps a new code; its grant is there already.
    pub async fn insert_code(&mut self, code: &CodeRecord) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO codes \
             (tenant, code_digest, grant_id, client_id, redirect_uri, challenge, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let CodeRecord { code, grant, client_id, redirect_uri, challenge, expires_at } = code;
        self.run(INSERT, values![*code, *grant, *client_id, *redirect_uri, *challenge, *expires_at]).await?;
        Ok(())
    }

    /// Uses a code up, in one conditional step: of many callers, on any node, one finds it fresh.
    pub async fn use_code(&mut self, code: &Digest, now: Timestamp) -> Result<CodeUse, StoreError> {
        const USE: &str = "UPDATE codes SET used_at = $3 WHERE tenant = $1 AND code_digest = $2 \
                           AND used_at IS NULL AND expires_at > $3 RETURNING *";
        const USED: &str = "SELECT * FROM codes WHERE tenant = $1 AND code_digest = $2 AND used_at IS NOT NULL";
        if let Some(fresh) = self.one(USE, values![*code, now]).await? {
            return Ok(CodeUse::Fresh(fresh));
        }
        Ok(self.one(USED, values![*code]).await?.map_or(CodeUse::Unknown, CodeUse::Used))
    }
}
