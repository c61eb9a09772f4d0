//! Access tokens: JWTs as RFC 9068 has them, each for one route.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use portcullis_policies::kit::{
    clock::Timestamp,
    jwt::{Claims, Rules, SigningError},
    memory::Memory,
    random,
    sign_in::{Access, AccessTokens, Denied, Judging},
};
use serde_json::json;

use super::{Authority, Origin, Resources, grants::LiveGrant, scope::Scopes};
use crate::store::{Digest, GrantRecord};

/// RFC 9068 §2.1.
const TYPE: &str = "at+jwt";

/// What is known of a token that was verified once.
#[derive(Debug)]
struct Verified {
    /// Of the configuration that it was verified under.
    version: u64,
    route: Arc<str>,
    expires_at: Timestamp,
    scopes: Arc<[Box<str>]>,
    grant: Arc<LiveGrant>,
}

/// Tokens that were verified before, by their digest: the signature is not checked again. What can change meanwhile is:
/// time, and the grant.
#[derive(Debug)]
pub(super) struct VerifiedTokens(Memory<Digest, Arc<Verified>>);

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        Self(Memory::new(100_000, Duration::from_mins(15)))
    }

    /// Forgets all: the keys have changed.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

impl Verified {
    fn access(&self, route: &str, now: Timestamp) -> Result<Access, Denied> {
        if &*self.route != route {
            return Err(Denied::Invalid("the token is for another route"));
        }
        if now >= self.expires_at {
            return Err(Denied::Invalid("the token has expired"));
        }
        if self.grant.is_revoked() {
            return Err(Denied::Invalid("the token was revoked"));
        }
        Ok(Access { caller: self.grant.caller(), scopes: Arc::clone(&self.scopes) })
    }
}

impl Authority {
    /// Makes an access token for a grant.
    pub(super) fn access_token(
        &self,
        grant: &GrantRecord,
        scopes: &Scopes,
        lifetime: Duration,
    ) -> Result<String, SigningError> {
        let now = self.clock.now();
        let expires_at = now.plus(lifetime);
        let claims = json!({
            "iss": self.origin.issuer(None),
            "aud": grant.resource,
            "sub": grant.subject,
            "client_id": grant.client_id,
            "scope": scopes.to_string(),
            "sid": grant.id,
            "jti": random::id(),
            "iat": now.as_seconds(),
            "exp": expires_at.as_seconds(),
        });
        let token = self.keys.sign(TYPE, &claims)?;
        self.know(&token, grant, scopes, Timestamp::from_seconds(expires_at.as_seconds()));
        Ok(token)
    }

    /// What was signed here need not be verified here.
    fn know(&self, token: &str, grant: &GrantRecord, scopes: &Scopes, expires_at: Timestamp) {
        let Some(route) = self.origin.route_of(&grant.resource) else { return };
        // Before anything is asked of the configuration: if another takes its place meanwhile, this is not believed.
        let version = self.routes.version();
        let known = self.grants.remember(grant);
        if self.routes.sign_in(&route).is_some_and(|sign_in| known.is_through(&sign_in)) {
            let verified = Verified { version, route: route.into(), expires_at, scopes: scopes.shared(), grant: known };
            self.verified.0.insert(Digest::of(token.as_bytes()), Arc::new(verified));
        }
    }

    /// The claims of one of our own access tokens, whatever route it is for; expired ones have none.
    pub(super) fn own_claims(&self, token: &str) -> Option<Claims> {
        let audiences = self.routes.signed_in().iter().map(|route| self.origin.resource(route).into()).collect();
        self.keys.verify(token, &self.rules(audiences), self.clock.now()).ok()
    }

    fn rules(&self, audiences: Vec<Box<str>>) -> Rules {
        own_rules(&self.origin, audiences)
    }

    fn judge<'a>(&'a self, token: &'a str, route: &'a str) -> Judging<'a> {
        let now = self.clock.now();
        if self.grants.is_deaf() {
            return Judging::Ready(Err(Denied::Unavailable));
        }
        let digest = Digest::of(token.as_bytes());
        if let Some(verified) = self.verified.0.get(&digest)
            && verified.version == self.routes.version()
        {
            return Judging::Ready(verified.access(route, now));
        }
        let claims = match self.keys.verify(token, &self.rules(vec![self.origin.resource(route).into()]), now) {
            Ok(claims) => claims,
            Err(error) => return Judging::Ready(Err(Denied::Invalid(error.description()))),
        };
        match claims.text("sid").and_then(|id| self.grants.known(id)) {
            Some(grant) => Judging::Ready(self.admit(digest, &claims, route, grant)),
            None => Judging::Pending(Box::pin(async move {
                let id = claims.text("sid").unwrap_or_default();
                match self.grants.find(id).await {
                    Ok(Some(grant)) => self.admit(digest, &claims, route, grant),
                    Ok(None) => Err(Denied::Invalid("the token was revoked")),
                    Err(error) => {
                        tracing::error!(%error, "a token could not be judged");
                        Err(Denied::Unavailable)
                    }
                }
            })),
        }
    }

    fn admit(&self, digest: Digest, claims: &Claims, route: &str, grant: Arc<LiveGrant>) -> Result<Access, Denied> {
        let version = self.routes.version();
        let still_through = self.routes.sign_in(route).is_some_and(|sign_in| grant.is_through(&sign_in));
        if !still_through {
            return Err(Denied::Invalid("people sign in here in another way now"));
        }
        let scopes = Scopes::parse(claims.text("scope").unwrap_or_default()).unwrap_or_default();
        let verified = Verified {
            version,
            route: route.into(),
            expires_at: claims.expires().unwrap_or_default(),
            scopes: scopes.shared(),
            grant,
        };
        let access = verified.access(route, self.clock.now())?;
        self.verified.0.insert(digest, Arc::new(verified));
        Ok(access)
    }
}

/// What an access token of the gateway at `origin` must say.
pub fn own_rules(origin: &Origin, audiences: Vec<Box<str>>) -> Rules {
    Rules {
        audiences,
        other_audiences: false,
        // Only as much as the clocks of our own nodes may differ.
        leeway: Duration::from_secs(5),
        required: &["sub", "client_id", "iat", "jti", "sid"],
        ..Rules::access_token(origin.issuer(None), "")
    }
}

/// What policies judge access tokens by. It exists before the authority does, because the policies of a configuration are
/// built before anything is opened; until then nobody is let in.
#[derive(Clone, Default)]
pub struct TokenJudge(Arc<Opening>);

#[derive(Default)]
struct Opening {
    resources: OnceLock<Resources>,
    authority: OnceLock<Arc<Authority>>,
}

impl TokenJudge {
    /// From now on clients are told whose tokens the routes take.
    pub fn describe(&self, resources: Resources) {
        let _ = self.0.resources.set(resources);
    }

    /// From now on tokens are judged.
    pub fn open(&self, authority: Arc<Authority>) {
        let _ = self.0.authority.set(authority);
    }

    /// The routes as resources, once they are known.
    pub(super) fn resources(&self) -> Option<&Resources> {
        self.0.resources.get()
    }

    /// The authority, if it is open.
    pub fn authority(&self) -> Option<&Arc<Authority>> {
        self.0.authority.get()
    }
}

impl AccessTokens for TokenJudge {
    fn judge<'a>(&'a self, token: &'a str, route: &'a str) -> Judging<'a> {
        match self.authority() {
            Some(authority) => authority.judge(token, route),
            None => Judging::Ready(Err(Denied::Unavailable)),
        }
    }

    fn resource_metadata(&self, route: &str) -> String {
        self.resources().map(|resources| resources.origin.resource_metadata(route)).unwrap_or_default()
    }
}

impl fmt::Debug for TokenJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenJudge").field("open", &self.authority().is_some()).finish()
    }
}
