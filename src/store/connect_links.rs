//! Links to the page on which somebody connects.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, Store, StoreError, Tenant, Work,
    sql::{Record, Row, values},
};

/// A link to the page on which somebody connects to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLink {
    /// Of the token in the link.
    pub digest: Digest,
    /// The upstream.
    pub upstream: String,
    /// Who may use it; empty, for the connection that all share.
    pub subject: String,
    /// The route of the call that it was made for.
    pub route: String,
    /// The upstream's address, as configured when it was made.
    pub target: String,
    /// Names the request to connect among others.
    pub elicitation_id: String,
    /// When it is too late.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl Record for ConnectLink {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            digest: row.digest("link_digest")?,
            upstream: row.get("upstream")?,
            subject: row.get("subject")?,
            route: row.get("route")?,
            target: row.get("target")?,
            elicitation_id: row.get("elicitation_id")?,
            expires_at: row.at("expires_at")?,
            used_at: row.maybe_at("used_at")?,
        })
    }
}

impl Store {
    /// The link, used or not. It may have expired. Reading does not use it up.
    pub async fn connect_link(&self, tenant: &Tenant, digest: &Digest) -> Result<Option<ConnectLink>, StoreError> {
        const READ: &str = "SELECT * FROM connect_links WHERE tenant = $1 AND link_digest = $2";
        self.one(tenant, READ, values![*digest]).await
    }
}

impl Work {
    /// Keeps a new link.
    pub async fn insert_connect_link(&mut self, link: &ConnectLink) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO connect_links \
             (tenant, link_digest, upstream, subject, route, target, elicitation_id, expires_at, used_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let ConnectLink { digest, upstream, subject, route, target, elicitation_id, expires_at, used_at } = link;
        let values = values![*digest, *upstream, *subject, *route, *target, *elicitation_id, *expires_at, *used_at];
        self.run(INSERT, values).await?;
        Ok(())
    }

    /// Uses a link up, in one conditional step: of many callers, on any node, one gets it. Whose it is, is for the caller to
    /// see before.
    pub async fn use_connect_link(
        &mut self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<ConnectLink>, StoreError> {
        const USE: &str = "UPDATE connect_links SET used_at = $3 WHERE tenant = $1 AND link_digest = $2 \
                           AND used_at IS NULL AND expires_at > $3 RETURNING *";
        self.one(USE, values![*digest, now]).await
    }
}
