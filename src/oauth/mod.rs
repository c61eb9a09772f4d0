//! The authorization server that MCP clients talk to.
//!
//! ```text
//! client ── metadata ── register ── authorize ─┐                                            ┌─ token ── revoke, introspect
//!                                              └ consent page ── provider ── callback ── code ┘
//! ```
//!
//! OAuth 2.1 with the code grant and PKCE (S256) alone; each token is for one route (RFC 8707). The gateway asks for
//! consent on its own page before a browser is sent to any provider, and what a browser brings back counts only in the
//! browser that gave the consent. One file per endpoint. What a policy asks while a request waits is in `access_token`.

mod access_token;
mod account;
mod authorize;
mod browser;
mod client;
mod client_auth;
mod client_document;
mod clients;
mod code;
mod consent;
mod dev_login;
mod error;
mod form;
mod grants;
mod guest;
mod introspect;
mod keys;
mod logout;
mod metadata;
mod origin;
pub(crate) mod pages;
mod provider;
mod purpose;
mod redirect_uri;
mod refresh;
mod register;
mod request;
mod revoke;
mod router;
mod scope;
mod subject_token;
mod throttle;
mod token;

use std::{fmt, sync::Arc, time::Duration};

use portcullis_policies::kit::{
    clock::Clock,
    sign_in::{Outside, SignIn},
};

use self::{
    access_token::VerifiedTokens,
    clients::Clients,
    grants::Grants,
    keys::{Keys, Succession},
    throttle::Throttle,
};
pub use self::{
    access_token::{TokenJudge, own_rules},
    clients::client_problem,
    metadata::Resources,
    origin::Origin,
    router::{Visitor, openid_configuration_below, router},
};
pub(crate) use self::{
    form::Parameters,
    guest::{Guest, Person, SEAL},
    metadata::public_document,
    pages::Trouble,
    provider::{ProviderError, ProviderFlaw, Providers},
    purpose::OwnPage,
    router::{LARGEST_FORM, Opened, admit_visitor, cors},
};
use crate::{
    config::OAuthOptions,
    fetch,
    store::{Store, StoreError, Tenant, every},
};

/// The routes of the configuration in force, as far as they matter here.
pub trait Routes: fmt::Debug + Send + Sync {
    /// How people sign in to the route with this path; `None` if there is no such route or it asks for no sign-in.
    fn sign_in(&self, path: &str) -> Option<Arc<SignIn>>;

    /// The paths of all routes that ask for a sign-in.
    fn signed_in(&self) -> Vec<Arc<str>>;

    /// Another number for each configuration.
    fn version(&self) -> u64;

    /// Whose tokens the route with this path takes, if they are others'.
    fn outside(&self, path: &str) -> Option<Arc<Outside>>;
}

/// What the authorization server stands on.
#[derive(Debug)]
pub struct Foundation {
    /// The public address.
    pub origin: Origin,
    /// Where everything is kept.
    pub store: Store,
    /// Whose rows.
    pub tenant: Tenant,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The routes that tokens are for.
    pub routes: Arc<dyn Routes>,
    /// For addresses that somebody else chose.
    pub fetch: fetch::Client,
    /// `gateway.oauth`.
    pub options: OAuthOptions,
}

/// The authorization server.
#[derive(Debug)]
pub struct Authority {
    origin: Origin,
    store: Store,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
    routes: Arc<dyn Routes>,
    fetch: fetch::Client,
    options: OAuthOptions,
    clients: Clients,
    providers: Providers,
    keys: Keys,
    grants: Grants,
    verified: VerifiedTokens,
    throttle: Throttle,
}

/// How often the store is asked what was revoked elsewhere.
const LISTEN: Duration = Duration::from_millis(500);
/// What goes on while the store does not answer.
const TOKENS: &str = "tokens that are known stay good for a few minutes";
/// How often what has expired is cleared away, and keys are looked after.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

impl Authority {
    /// Opens the authorization server.
    pub async fn open(foundation: Foundation) -> Result<Arc<Self>, StoreError> {
        let Foundation { origin, store, tenant, clock, routes, fetch, options } = foundation;
        let keys = Keys::open(store.clone(), tenant.clone(), Arc::clone(&clock), Succession::default()).await?;
        Ok(Arc::new(Self {
            clients: Clients::new(&options, &fetch, Arc::clone(&clock), origin.is_loopback()),
            providers: Providers::new(fetch.clone(), Arc::clone(&clock)),
            grants: Grants::new(store.clone(), tenant.clone(), Arc::clone(&clock)),
            verified: VerifiedTokens::new(),
            throttle: Throttle::new(&options),
            keys,
            origin,
            store,
            tenant,
            clock,
            routes,
            fetch,
            options,
        }))
    }

    /// Runs what runs beside the requests, until it is dropped.
    pub async fn keep_house(self: Arc<Self>) {
        // Side by side: what was revoked is heard of also while much is cleared away.
        let listening = every(LISTEN, TOKENS, || self.listen());
        let housekeeping = every(HOUSEKEEPING, TOKENS, || self.tidy());
        tokio::join!(listening, housekeeping);
    }

    /// Does what is due now and then: keys move on, what has expired goes.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        if self.keys.turn().await? {
            self.verified.clear();
        }
        self.throttle.sweep();
        self.forget_unused_clients().await?;
        self.store.sweep(&self.tenant, self.clock.now()).await
    }

    /// Lets go of the store. Nothing is judged or given out after that.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Takes a grant back, here at once and elsewhere within a second.
    async fn revoke_grant(&self, id: &str, why: &'static str) -> Result<(), StoreError> {
        let mut work = self.store.begin(&self.tenant).await?;
        work.revoke_grant(id, why).await?;
        work.commit().await?;
        self.forget_grant(id);
        tracing::info!(grant = id, why, "grant revoked");
        Ok(())
    }

    /// From the next request on a grant's tokens are worth nothing here.
    fn forget_grant(&self, id: &str) {
        if !self.grants.revoke(id) {
            self.verified.clear();
        }
    }

    /// Hears what was revoked elsewhere.
    async fn listen(&self) -> Result<(), StoreError> {
        if !self.grants.listen().await? {
            self.verified.clear();
        }
        Ok(())
    }
}
