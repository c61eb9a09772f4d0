//! What providers say about people, asked again from time to time.

use std::fmt;

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Store, StoreError, Tenant, Work, seal,
    sql::{Owner, Record, Row, values},
};

/// What a provider says about somebody, and what it can be asked again with.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Which provider.
    pub provider: String,
    /// About whom.
    pub subject: String,
    /// What it says, as JSON; sealed at rest.
    pub identity: Vec<u8>,
    /// The provider's refresh token, if it gave one; sealed at rest.
    pub refresh_token: Option<Vec<u8>>,
    /// The provider's last ID token; sealed at rest.
    pub id_token: Option<Vec<u8>>,
    /// When it last said so.
    pub refreshed_at: Timestamp,
}

const IDENTITY: &str = "accounts.sealed_identity";
const REFRESH_TOKEN: &str = "accounts.sealed_refresh_token";
const ID_TOKEN: &str = "accounts.sealed_id_token";

impl Record for AccountRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (provider, subject): (String, String) = (row.get("provider")?, row.get("subject")?);
        let place = place(&provider, &subject);
        Ok(Self {
            identity: row.open(IDENTITY, &place)?,
            refresh_token: row.maybe_open(REFRESH_TOKEN, &place)?,
            id_token: row.maybe_open(ID_TOKEN, &place)?,
            refreshed_at: row.at("refreshed_at")?,
            provider,
            subject,
        })
    }
}

/// The row, for its sealed columns.
fn place(provider: &str, subject: &str) -> String {
    seal::row(&[provider, subject])
}

/// The sealed columns.
struct Sealed {
    identity: Vec<u8>,
    refresh_token: Option<Vec<u8>>,
    id_token: Option<Vec<u8>>,
}

impl AccountRecord {
    fn sealed(&self, owner: &Owner) -> Sealed {
        let place = place(&self.provider, &self.subject);
        Sealed {
            identity: owner.seal(IDENTITY, &place, &self.identity),
            refresh_token: self.refresh_token.as_ref().map(|token| owner.seal(REFRESH_TOKEN, &place, token)),
            id_token: self.id_token.as_ref().map(|token| owner.seal(ID_TOKEN, &place, token)),
        }
    }
}

impl Store {
    /// What is known of somebody.
    pub async fn account(
        &self,
        tenant: &Tenant,
        provider: &str,
        subject: &str,
    ) -> Result<Option<AccountRecord>, StoreError> {
        const READ: &str = "SELECT * FROM accounts WHERE tenant = $1 AND provider = $2 AND subject = $3";
        self.one(tenant, READ, values![provider, subject]).await
    }
}

impl Work {
    /// Keeps what the provider says now, in place of what it said before, and ends a claim.
    pub async fn put_account(&mut self, account: &AccountRecord) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO accounts \
             (tenant, provider, subject, sealed_identity, sealed_refresh_token, sealed_id_token, refreshed_at, claimed_until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (tenant, provider, subject) DO UPDATE SET \
             sealed_identity = excluded.sealed_identity, sealed_refresh_token = excluded.sealed_refresh_token, \
             sealed_id_token = excluded.sealed_id_token, refreshed_at = excluded.refreshed_at, claimed_until = 0";
        let Sealed { identity, refresh_token, id_token } = account.sealed(&self.owner);
        let AccountRecord { provider, subject, refreshed_at, .. } = account;
        self.run(PUT, values![*provider, *subject, identity, refresh_token, id_token, *refreshed_at]).await?;
        Ok(())
    }

    /// Keeps what the provider says now, unless somebody else has put something since the account was read that was
    /// refreshed at `seen`. Returns whether it was kept.
    pub async fn replace_account(&mut self, account: &AccountRecord, seen: Timestamp) -> Result<bool, StoreError> {
        const REPLACE: &str = "UPDATE accounts SET sealed_identity = $5, sealed_refresh_token = $6, sealed_id_token = $7, \
             refreshed_at = $8, claimed_until = 0 WHERE tenant = $1 AND provider = $2 AND subject = $3 AND refreshed_at = $4";
        let Sealed { identity, refresh_token, id_token } = account.sealed(&self.owner);
        let AccountRecord { provider, subject, refreshed_at, .. } = account;
        let values = values![*provider, *subject, seen, identity, refresh_token, id_token, *refreshed_at];
        Ok(self.run(REPLACE, values).await? > 0)
    }

    /// Claims the right to ask the provider about somebody, if it was last asked before `before` and nobody else has claimed
    /// it at `now`. Others may once more from `until` on, should no answer have been put by then. Of many callers, on any
    /// node, one gets the account.
    pub async fn claim_account(
        &mut self,
        provider: &str,
        subject: &str,
        before: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<AccountRecord>, StoreError> {
        const CLAIM: &str = "UPDATE accounts SET claimed_until = $6 WHERE tenant = $1 AND provider = $2 AND subject = $3 \
                             AND refreshed_at < $4 AND claimed_until <= $5 RETURNING *";
        self.one(CLAIM, values![provider, subject, before, now, until]).await
    }
}

impl fmt::Debug for AccountRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountRecord").field("subject", &self.subject).finish_non_exhaustive()
    }
}
