//! What a sign-in policy and the program's authorization server know of each other.
//!
//! The policy stands in a route's chain: it verifies and challenges. The authorization server gives out what the policy
//! verifies. Two declarations connect them: [`SignIn`], which a policy's options say about how people sign in to its
//! routes, and [`AccessTokens`], by which the policy asks what a token is worth.

use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::kit::{
    fetch::Fetch,
    host::Caller,
    jwt::{RemoteKeys, Rules},
};

/// How people sign in to the routes of one policy.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who says who they are.
    pub provider: Provider,
    /// Scopes that every call of these routes needs.
    pub scopes: Vec<Box<str>>,
    /// Further scopes that some calls need.
    pub more_scopes: Vec<Box<str>>,
    /// How long things last.
    pub lifetimes: Lifetimes,
    /// May clients name themselves by the URL of a document (client-id metadata document)?
    pub client_documents: bool,
}

/// Authorization servers outside whose tokens a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Each of them.
    pub issuers: Vec<OutsideIssuer>,
    /// Scopes that every call of the route needs.
    pub scopes: Vec<Box<str>>,
}

/// One of them, and what its tokens must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideIssuer {
    /// What a token must say.
    pub rules: Rules,
    /// Where its keys are. Without it, its discovery document says so.
    pub jwks_url: Option<Url>,
    /// The claims with the scopes.
    pub scope_claims: Vec<String>,
}

impl OutsideIssuer {
    /// Its keys, which are fetched when they are first needed.
    pub fn keys(&self, fetch: Arc<dyn Fetch>) -> RemoteKeys {
        match &self.jwks_url {
            Some(url) => RemoteKeys::new(url.clone(), fetch),
            None => RemoteKeys::discover(self.rules.issuer.clone(), fetch),
        }
    }
}

/// Who says who people are.
#[derive(Clone, Debug)]
pub enum Provider {
    /// An OpenID provider.
    OpenId(Box<OpenIdProvider>),
    /// A page that asks for a name and no password; for trying things out on loopback.
    Dev,
}

/// An OpenID provider, as the gateway is registered there.
#[derive(Clone, Debug)]
pub struct OpenIdProvider {
    /// Exactly as in the `iss` claim.
    pub issuer: String,
    /// Where people sign in. Without it, the provider's discovery document says so.
    pub authorization_endpoint: Option<Url>,
    /// Where codes are redeemed. Without it, the provider's discovery document says so.
    pub token_endpoint: Option<Url>,
    /// Where its keys are. Without it, the provider's discovery document says so.
    pub jwks_url: Option<Url>,
    /// The gateway's id there.
    pub client_id: String,
    /// The gateway's secret there.
    pub client_secret: SecretString,
    /// What is asked for, such as `openid profile email`.
    pub scope: String,
    /// The `aud` of ID tokens, where it is not the client id.
    pub audience: Option<String>,
    /// Further parameters of the authorization request, such as Auth0's `audience`.
    pub parameters: BTreeMap<String, String>,
    /// Where in the claims the roles and groups are, beyond `roles` and `groups`.
    pub claims: ClaimNames,
    /// Claims of ID tokens that must have exactly this value: nobody else is let in. With others it is another provider.
    pub required_claims: BTreeMap<String, String>,
    /// How long the provider may take for an answer.
    pub patience: Duration,
}

impl OpenIdProvider {
    /// Is it asked for refresh tokens that outlive a person's session there (OpenID Connect Core §11)?
    pub fn is_asked_for_offline_access(&self) -> bool {
        self.scope.split(' ').any(|scope| scope == "offline_access")
    }
}

/// Which claims hold what. The names are members of the ID token; one with dots is also tried as a path, and one that
/// begins with `*` stands for every member whose name ends like the rest of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimNames {
    /// Groups.
    pub groups: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// The tenant.
    pub tenant: Option<String>,
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// An access token.
    pub access_token: Duration,
    /// A refresh token that is not used. However often it is refreshed, a grant ends after twelve times as long.
    pub refresh_token: Duration,
    /// A browser's session with the gateway.
    pub session: Duration,
    /// A sign-in that was begun.
    pub state: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_token: Duration::from_mins(15),
            refresh_token: Duration::from_hours(720),
            session: Duration::from_hours(8),
            state: Duration::from_mins(15),
        }
    }
}

/// What a good token or key gives.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who shows it.
    pub caller: Caller,
    /// What it was given for.
    pub scopes: Arc<[Box<str>]>,
}

impl Access {
    /// Was it given for `scope`?
    pub fn covers(&self, scope: &str) -> bool {
        self.scopes.iter().any(|given| &**given == scope)
    }
}

/// Why a token or key gives nothing. There is no way from here to an [`Access`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is not good here: malformed, forged, expired, revoked, or meant for something else. The words are for the
    /// `error_description` of the challenge: printable ASCII without `"` and `\`.
    Invalid(&'static str),
    /// It cannot be judged at present.
    Unavailable,
}

/// A judgement: there at once, or to come.
pub enum Judging<'a> {
    /// It was known.
    Ready(Result<Access, Denied>),
    /// Something must be looked up.
    Pending(Pin<Box<dyn Future<Output = Result<Access, Denied>> + Send + 'a>>),
}

impl fmt::Debug for Judging<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(judgement) => f.debug_tuple("Ready").field(judgement).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// Judges access tokens of the program's own authorization server.
pub trait AccessTokens: fmt::Debug + Send + Sync {
    /// What `token` is worth at `route`, a route's path.
    fn judge<'a>(&'a self, token: &'a str, route: &'a str) -> Judging<'a>;

    /// Where the protected-resource metadata (RFC 9728) of `route` are, for the challenge.
    fn resource_metadata(&self, route: &str) -> String;
}

/// Judges API keys.
pub trait ApiKeys: fmt::Debug + Send + Sync {
    /// What `key` is worth at `route`, a route's path.
    fn judge<'a>(&'a self, key: &'a str, route: &'a str) -> Judging<'a>;
}
