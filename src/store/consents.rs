//! What people said yes to.

use portcullis_policies::kit::clock::Timestamp;

use super::{
    Digest, Store, StoreError, Tenant, Work,
    sql::{Count, values},
};

/// What somebody said yes to. A yes to something that differs in any of these is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentKey {
    /// Where the person signed in.
    pub provider: String,
    /// Who that is.
    pub subject: String,
    /// The client that asked.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// The route.
    pub resource: String,
    /// The scopes, in a fixed order.
    pub scope: String,
    /// Of what the page said about the client.
    pub client_digest: Digest,
}

impl ConsentKey {
    /// Addresses may be longer than what databases keep in an index. With its length before each part, no two look the same.
    fn digest(&self) -> Digest {
        let Self { provider, subject, client_id, redirect_uri, resource, scope, client_digest } = self;
        let mut bytes = client_digest.as_bytes().to_vec();
        for part in [provider, subject, client_id, redirect_uri, resource, scope] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        Digest::of(&bytes)
    }
}

impl Store {
    /// Did this person say yes to exactly this?
    pub async fn has_consent(&self, tenant: &Tenant, key: &ConsentKey) -> Result<bool, StoreError> {
        const COUNT: &str = "SELECT count(*) AS n FROM consents WHERE tenant = $1 AND key_digest = $2";
        let count = self.one(tenant, COUNT, values![key.digest()]).await?;
        Ok(count.is_some_and(|Count(count)| count > 0))
    }
}

impl Work {
    /// Somebody said yes.
    pub async fn remember_consent(&mut self, key: &ConsentKey, now: Timestamp) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO consents (tenant, key_digest, provider, subject, client_id, redirect_uri, \
             resource, scope, client_digest, granted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, key_digest) DO UPDATE SET granted_at = excluded.granted_at";
        let digest = key.digest();
        let ConsentKey { provider, subject, client_id, redirect_uri, resource, scope, client_digest } = key;
        let values =
            values![digest, *provider, *subject, *client_id, *redirect_uri, *resource, *scope, *client_digest, now];
        self.run(INSERT, values).await?;
        Ok(())
    }

    /// Forgets what somebody said yes to; how many times that was.
    pub async fn forget_consents_of(&mut self, subject: &str) -> Result<u64, StoreError> {
        self.run("DELETE FROM consents WHERE tenant = $1 AND subject = $2", values![subject]).await
    }
}
