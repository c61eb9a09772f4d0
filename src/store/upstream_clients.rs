//! The gateway's own registrations at authorization servers of upstreams.

use portcullis_policies::kit::clock::Timestamp;
use secrecy::SecretSlice;

use super::{
    Digest, Store, StoreError, Tenant, Work, seal,
    sql::{Record, Row, values},
};

/// What the gateway registered for itself at an authorization server (RFC 7591). Printing it shows no secret.
#[derive(Clone, Debug)]
pub struct UpstreamClientRecord {
    /// The issuer of that server. No other one ever sees this client.
    pub issuer: String,
    /// The redirect URI that was registered.
    pub redirect_uri: String,
    /// The `client_id` that was given.
    pub client_id: String,
    /// The registration with its secret; what only its own data key opens.
    pub secrets: SecretSlice<u8>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its secret ends.
    pub expires_at: Option<Timestamp>,
}

const DATA_KEY: &str = "upstream_clients.sealed_data_key";
const SECRETS: &str = "upstream_clients.secrets";

/// The row. Addresses may be longer than what databases keep in an index.
pub(super) fn key(issuer: &str, redirect_uri: &str) -> Digest {
    Digest::of(seal::row(&[issuer, redirect_uri]).as_bytes())
}

impl Record for UpstreamClientRecord {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (issuer, redirect_uri): (String, String) = (row.get("issuer")?, row.get("redirect_uri")?);
        let secrets = row.maybe_open_enveloped(DATA_KEY, SECRETS, &key(&issuer, &redirect_uri).to_string())?;
        Ok(Self {
            issuer,
            redirect_uri,
            client_id: row.get("client_id")?,
            secrets: secrets.ok_or_else(|| StoreError::corrupt("a registration has no secrets"))?,
            created_at: row.at("created_at")?,
            expires_at: row.maybe_at("expires_at")?,
        })
    }
}

impl Store {
    /// The registration at this server for this redirect URI. Its secret may have expired.
    pub async fn upstream_client(
        &self,
        tenant: &Tenant,
        issuer: &str,
        redirect_uri: &str,
    ) -> Result<Option<UpstreamClientRecord>, StoreError> {
        const READ: &str = "SELECT * FROM upstream_clients WHERE tenant = $1 AND key_digest = $2";
        self.one(tenant, READ, values![key(issuer, redirect_uri)]).await
    }
}

impl Work {
    /// Keeps a registration in the place of the client `seen`, or where there was none. `false`, if somebody else has
    /// registered meanwhile: so two nodes that both register end with the same client.
    pub async fn put_upstream_client(
        &mut self,
        client: &UpstreamClientRecord,
        seen: Option<&str>,
    ) -> Result<bool, StoreError> {
        const PUT: &str = "INSERT INTO upstream_clients (tenant, key_digest, issuer, redirect_uri, client_id, \
             sealed_data_key, secrets, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (tenant, key_digest) DO UPDATE SET client_id = excluded.client_id, \
             sealed_data_key = excluded.sealed_data_key, secrets = excluded.secrets, created_at = excluded.created_at, \
             expires_at = excluded.expires_at WHERE upstream_clients.client_id = $10";
        let seen = seen.map(str::to_owned);
        let UpstreamClientRecord { issuer, redirect_uri, client_id, secrets, created_at, expires_at } = client;
        let digest = key(issuer, redirect_uri);
        let (data_key, secrets) = self.owner.envelop(DATA_KEY, SECRETS, &digest.to_string(), secrets);
        let values =
            values![digest, *issuer, *redirect_uri, *client_id, data_key, secrets, *created_at, *expires_at, seen,];
        Ok(self.run(PUT, values).await? > 0)
    }

    /// Destroys a registration, if it is still of this client; was it there?
    pub async fn delete_upstream_client(
        &mut self,
        issuer: &str,
        redirect_uri: &str,
        client_id: &str,
    ) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM upstream_clients WHERE tenant = $1 AND key_digest = $2 AND client_id = $3";
        Ok(self.run(DELETE, values![key(issuer, redirect_uri), client_id]).await? > 0)
    }
}
