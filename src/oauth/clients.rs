//! Finding the client that a `client_id` names.

use std::{net::IpAddr, sync::Arc};

use moka::sync::Cache;
use portcullis_policies::kit::{clock::Clock, jwt::RemoteKeys, policy::Problem, sign_in::SignIn};
use url::Url;

use super::{
    Authority,
    client::{Client, ClientMetadata, ClientOrigin},
    client_document::{self, ClientDocuments, Undocumented},
};
use crate::{
    config::{ConfiguredClient, OAuthOptions},
    fetch,
    store::{Digest, StoreError},
};

/// Clients that are not in the store.
#[derive(Debug)]
pub(super) struct Clients {
    configured: Vec<Client>,
    pub(super) documents: ClientDocuments,
    /// Keys of clients that publish them at a URL.
    keys: Cache<Url, RemoteKeys>,
    fetch: fetch::Client,
}

/// Why there is no client.
#[derive(Debug)]
pub(super) enum NoClient {
    /// Nobody has this id.
    Unknown,
    /// The id is a URL, and its document is not good.
    Undocumented(Undocumented),
    /// Too many documents were asked for from one address.
    SlowDown,
    Store(StoreError),
}

impl From<StoreError> for NoClient {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Clients {
    pub(super) fn new(options: &OAuthOptions, fetch: &fetch::Client, clock: Arc<dyn Clock>, loopback: bool) -> Self {
        let schemes = &options.registration.redirect_schemes;
        let configured = options.clients.iter().filter_map(|client| configured(client, schemes).ok()).collect();
        // Anybody can name any host here. That must not take the room, or the look-ups, that people need to sign in.
        let fetch = fetch.apart(Arc::new(fetch::SystemResolver::default()));
        let documents = ClientDocuments::new(options, fetch.clone(), clock, loopback);
        Self { configured, documents, keys: Cache::new(1_000), fetch }
    }

    /// The keys that a client publishes at `url`.
    pub(super) fn keys_at(&self, url: &Url) -> RemoteKeys {
        self.keys.get_with_by_ref(url, || RemoteKeys::new(url.clone(), Arc::new(self.fetch.clone())))
    }
}

/// What is wrong with a client of the configuration; its place is relative to the client.
pub fn client_problem(client: &ConfiguredClient, schemes: &[String]) -> Option<Problem> {
    if client.client_id.is_empty() || client_document::is_url(&client.client_id) {
        let why = format!("{:?} cannot be the id of a client", client.client_id);
        return Some(Problem::new("/clientId", why).hint("write a word; URLs are the ids of clients with a document"));
    }
    if client.client_secret.as_ref().is_some_and(|secret| secret.expose().len() < SHORTEST_SECRET) {
        let why = format!("the secret is shorter than {SHORTEST_SECRET} characters");
        return Some(Problem::new("/clientSecret", why).hint("make one with `openssl rand -base64 32`"));
    }
    if client.client_secret.is_some() && client.jwks.is_some() {
        let why = "a client proves itself with a secret or by signing, not both";
        return Some(Problem::new("/jwks", why).hint("leave out `clientSecret` or `jwks`"));
    }
    let hint = "redirect URIs are https, or http on loopback";
    configured(client, schemes).err().map(|why| Problem::new("", why).hint(hint))
}

/// Characters of a secret at least.
const SHORTEST_SECRET: usize = 16;

/// A client from the configuration. The check of the configuration reports those that are wrong.
fn configured(client: &ConfiguredClient, schemes: &[String]) -> Result<Client, String> {
    let secret = client.client_secret.as_ref().map(|secret| Digest::of(secret.expose().as_bytes()).to_string());
    let metadata = ClientMetadata {
        client_name: client.name.clone(),
        redirect_uris: client.redirect_uris.clone(),
        grant_types: client.grant_types.clone(),
        jwks: client.jwks.clone(),
        token_endpoint_auth_method: client.jwks.is_some().then_some(super::client::AuthMethod::PrivateKeyJwt),
        secret_digest: secret,
        ..ClientMetadata::default()
    };
    Client::new(client.client_id.clone(), ClientOrigin::Configured, metadata, schemes).map_err(|bad| match bad {
        super::client::BadMetadata::RedirectUri(why) | super::client::BadMetadata::Other(why) => why,
    })
}

impl Authority {
    /// The client with this id. `sign_in` is that of the route that it is for, where one is known.
    pub(super) async fn client(&self, id: &str, sign_in: Option<&SignIn>, from: IpAddr) -> Result<Client, NoClient> {
        if let Some(client) = self.clients.configured.iter().find(|client| client.id == id) {
            return Ok(client.clone());
        }
        if client_document::is_url(id) {
            if !self.takes_documents(sign_in) {
                return Err(NoClient::Unknown);
            }
            return self.documented_client(id, from).await;
        }
        let Some(record) = self.store.client(&self.tenant, id).await? else { return Err(NoClient::Unknown) };
        let metadata: ClientMetadata = serde_json::from_str(&record.metadata).map_err(StoreError::corrupt)?;
        let schemes = &self.options.registration.redirect_schemes;
        Client::new(record.id, ClientOrigin::Registered, metadata, schemes).map_err(|_| NoClient::Unknown)
    }

    /// Are clients known by their documents at this route, or, where none is named, at any?
    fn takes_documents(&self, sign_in: Option<&SignIn>) -> bool {
        let any = || {
            self.routes
                .signed_in()
                .iter()
                .filter_map(|path| self.routes.sign_in(path))
                .any(|route| route.client_documents)
        };
        sign_in.map_or_else(any, |sign_in| sign_in.client_documents)
    }

    async fn documented_client(&self, id: &str, from: IpAddr) -> Result<Client, NoClient> {
        if let Some(client) = self.clients.documents.kept(id) {
            return Ok(client);
        }
        if !self.throttle.admits_document(from) {
            return Err(NoClient::SlowDown);
        }
        self.clients.documents.fetch(id).await.map_err(NoClient::Undocumented)
    }

    /// Clients that registered and were not used for so long are forgotten.
    pub(super) async fn forget_unused_clients(&self) -> Result<(), StoreError> {
        let unused = std::time::Duration::from_hours(24 * u64::from(self.options.registration.unused_days.get()));
        let mut work = self.store.begin(&self.tenant).await?;
        let forgotten = work.delete_clients_unused_since(self.clock.now().minus(unused)).await?;
        work.commit().await?;
        if forgotten > 0 {
            tracing::info!(forgotten, "clients that registered and were not used are forgotten");
        }
        Ok(())
    }
}
