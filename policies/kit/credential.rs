//! The credential that an upstream sees, and asking the program for it.
//!
//! A policy declares with [`UpstreamAuth`] how calls are let in at the upstream of its routes. For each call it asks the
//! program's [`Connections`] for the [`UpstreamCredential`], which the end of the chain puts into the request. Where the
//! upstream does not take it, the answer carries an [`UpstreamChallenge`], and the policy adds a [`CredentialRefused`]:
//! whoever stands outside of it may send the same request once more with a [`Renewal`].

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use secrecy::SecretString;
use url::Url;

use crate::kit::{
    chain::RequestId,
    challenge::Received,
    host::Caller,
    refusal::{Reason, Refusal},
};

/// How calls of a route are let in at its upstream.
#[derive(Clone, Debug)]
pub struct UpstreamAuth {
    /// Names the upstream in the store, in links and in the log. It must never change, and never mean another upstream.
    pub id: Box<str>,
    /// Its name for people.
    pub display_name: String,
    /// A sentence on what people connect to.
    pub summary: Option<String>,
    /// Whose credential it is, and where it comes from.
    pub mode: AuthMode,
}

impl UpstreamAuth {
    /// The tool of the gateway's own that gives people the link by which they connect.
    pub fn connect_tool(&self) -> String {
        format!("connect_{}", self.id)
    }
}

/// Whose credential it is, and where it comes from.
#[derive(Clone, Debug)]
pub enum AuthMode {
    /// Each person's own, by OAuth.
    UserOAuth(OAuthUpstream),
    /// One for all, by OAuth: an operator connects once.
    SharedOAuth(OAuthUpstream),
    /// Each person's own key, which they type into a page.
    UserKey(Vec<KeyField>),
    /// The gateway's own, by the client-credentials grant (RFC 6749 §4.4).
    ClientCredentials(OAuthUpstream),
    /// Each person's own, exchanged for what they signed in with (RFC 8693).
    TokenExchange(Exchange),
    /// Each person's own, by an identity assertion of their identity provider (cross-app access).
    IdJag(IdJag),
}

impl AuthMode {
    /// As written in `routes.json`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UserOAuth(_) => "user-oauth",
            Self::SharedOAuth(_) => "shared-oauth",
            Self::UserKey(_) => "user-key",
            Self::ClientCredentials(_) => "client-credentials",
            Self::TokenExchange(_) => "token-exchange",
            Self::IdJag(_) => "id-jag",
        }
    }

    /// Does each person have a credential of their own?
    pub fn is_personal(&self) -> bool {
        !matches!(self, Self::SharedOAuth(_) | Self::ClientCredentials(_))
    }

    /// Do people connect on a page before they can call?
    pub fn is_connected_by_people(&self) -> bool {
        matches!(self, Self::UserOAuth(_) | Self::UserKey(_))
    }
}

/// An upstream that takes OAuth tokens.
#[derive(Clone, Debug)]
pub struct OAuthUpstream {
    /// Where its protected-resource metadata are (RFC 9728), if not where its address says.
    pub protected_resource_metadata: Option<Url>,
    /// Which of its authorization servers, by issuer, where it names several. Without it the first one.
    pub issuer: Option<String>,
    /// Scopes to ask for, whatever it asks for itself.
    pub scopes: Vec<Box<str>>,
    /// What stands between scopes: a space, but for some vendors.
    pub scope_delimiter: String,
    /// The registration that an operator made there; without one the gateway registers itself.
    pub client: Option<ClientAuth>,
    /// Where the gateway's client-id metadata document is published, if not by the gateway itself.
    pub client_document: Option<Url>,
    /// For vendors that speak OAuth, but not MCP authorization: where everything is.
    pub classic: Option<ClassicOAuth>,
}

/// Where a vendor does what that publishes no metadata.
#[derive(Clone, Debug)]
pub struct ClassicOAuth {
    /// Where people say yes. None for grants without people.
    pub authorization_endpoint: Option<Url>,
    /// Where codes and refresh tokens are redeemed.
    pub token_endpoint: Url,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Url>,
    /// Further parameters of the authorization request, such as `access_type=offline`.
    pub parameters: BTreeMap<String, String>,
    /// Does it know PKCE? The challenge is sent unless this is false.
    pub pkce: bool,
    /// Is it told which resource the token is for (RFC 8707)? Some vendors refuse parameters that they do not know.
    pub resource: bool,
}

/// The gateway's registration at an authorization server, and how it proves to be itself there.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// Its id there.
    pub client_id: String,
    /// How it proves to be itself.
    pub method: ClientAuthMethod,
}

impl ClientAuth {
    /// Has it something to prove itself with, that is worth stealing?
    pub fn has_secret(&self) -> bool {
        !matches!(self.method, ClientAuthMethod::None)
    }
}

/// How a client proves to be itself at a token endpoint (OpenID Connect Core §9).
#[derive(Clone, Debug)]
pub enum ClientAuthMethod {
    /// It does not.
    None,
    /// `client_secret_basic`: id and secret, form-encoded, in the header (RFC 6749 §2.3.1).
    Basic(SecretString),
    /// `client_secret_post`: id and secret in the form.
    Post(SecretString),
    /// `private_key_jwt`: a signed assertion (RFC 7523).
    PrivateKey {
        /// The key, in PEM (PKCS#8, or SEC1 for elliptic curves).
        key: SecretString,
        /// The `alg` to sign with, such as `ES256`, `RS256` or `EdDSA`.
        algorithm: String,
        /// The `kid`, if the server asks for one.
        key_id: Option<String>,
    },
}

/// What a person types in, and the header that it becomes.
#[derive(Clone, Debug)]
pub struct KeyField {
    /// Its name in the form.
    pub name: String,
    /// What the page calls it.
    pub label: String,
    /// Where people find it.
    pub help: Option<String>,
    /// The header.
    pub header: HeaderName,
    /// Before the value, such as `Bearer `.
    pub prefix: String,
}

/// Token exchange (RFC 8693).
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Where.
    pub token_endpoint: Url,
    /// Who asks.
    pub client: ClientAuth,
    /// What the token shall be for: `audience` (RFC 8693 §2.1), where the server wants one besides the resource.
    pub audience: Option<String>,
    /// Scopes to ask for.
    pub scopes: Vec<Box<str>>,
    /// What is exchanged.
    pub subject_token: SubjectToken,
    /// `requested_token_type`, where the server wants one.
    pub requested_token_type: Option<String>,
}

/// What a person signed in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectToken {
    /// The ID token of the identity provider.
    IdToken,
    /// The token in the call's own `Authorization` header, on routes that take tokens of others.
    Inbound,
}

/// Cross-app access: an identity assertion (ID-JAG) of the identity provider becomes a token of the resource's own
/// authorization server.
#[derive(Clone, Debug)]
pub struct IdJag {
    /// The identity provider's token endpoint, which gives the assertion.
    pub idp_token_endpoint: Url,
    /// Who asks there.
    pub idp_client: ClientAuth,
    /// The issuer of the resource's authorization server: the assertion's audience.
    pub audience: String,
    /// Its token endpoint, where the assertion is redeemed (RFC 7523).
    pub token_endpoint: Url,
    /// Who redeems there.
    pub client: ClientAuth,
    /// Scopes to ask for.
    pub scopes: Vec<Box<str>>,
    /// What stands between scopes.
    pub scope_delimiter: String,
    /// Is the assertion redeemed with a `scope`? Some servers refuse it there.
    pub send_scope: bool,
}

/// A fact: where the request will go, as the configuration says it. A credential is good for exactly that. Given by the
/// gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTarget(pub Arc<str>);

/// A fact: people connect to the upstream of this route, by a tool that no upstream has ([`UpstreamAuth::connect_tool`]).
/// Given by the gateway.
#[derive(Clone, Debug)]
pub struct Connectable(pub Arc<UpstreamAuth>);

impl Connectable {
    /// Is it this tool? It is answered by the gateway and never reaches an upstream.
    pub fn is_tool(&self, name: &str) -> bool {
        name.strip_prefix("connect_") == Some(&self.0.id)
    }
}

/// On an answer: the gateway itself wrote it, so nothing of the upstream's is in it that would have to be hidden.
#[derive(Clone, Copy, Debug)]
pub struct OwnAnswer;

/// A fact: the credential that the upstream will see. Cloning is one reference count; it cannot be printed.
#[derive(Clone)]
pub struct UpstreamCredential(Arc<Credential>);

struct Credential {
    headers: Vec<(HeaderName, HeaderValue)>,
    connection: Arc<str>,
    version: i64,
    is_over: AtomicBool,
}

impl UpstreamCredential {
    /// A credential of the connection with this id, which is another one for each time that somebody connects; `version`
    /// counts what came in the place of what. The headers are marked as sensitive.
    pub fn new(connection: impl Into<Arc<str>>, version: i64, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        let mut headers = headers;
        for (_, value) in &mut headers {
            value.set_sensitive(true);
        }
        Self(Arc::new(Credential { headers, connection: connection.into(), version, is_over: AtomicBool::new(false) }))
    }

    /// The headers that show it.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// Which connection it is of. No two people share one, except where all do.
    pub fn connection(&self) -> &str {
        &self.0.connection
    }

    /// Its number among those of its connection.
    pub fn version(&self) -> i64 {
        self.0.version
    }

    /// It may not be used any more: another one came in its place, or the connection ended.
    pub fn end(&self) {
        self.0.is_over.store(true, Ordering::Release);
    }

    /// May it not be used any more?
    pub fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::Acquire)
    }

    /// Is it the very same?
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for UpstreamCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamCredential({}, version {})", self.0.connection, self.0.version)
    }
}

/// On an answer: the upstream asked for a credential, or for a better one, before it did anything.
#[derive(Clone, Debug)]
pub struct UpstreamChallenge {
    /// 401, or 403 with a challenge.
    pub status: StatusCode,
    /// Its `WWW-Authenticate` headers. Written by the upstream, so never shown or believed unread.
    pub challenges: Arc<[HeaderValue]>,
}

impl UpstreamChallenge {
    /// What an answer with this head asks for, if it asks for a credential.
    pub fn of(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        // The headers of other answers, nearly all, are not looked through.
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return None;
        }
        let challenges: Arc<[_]> = headers.get_all(http::header::WWW_AUTHENTICATE).iter().cloned().collect();
        let asks = status == StatusCode::UNAUTHORIZED || !challenges.is_empty();
        asks.then_some(Self { status, challenges })
    }

    /// The challenges themselves.
    pub fn read(&self) -> Vec<Received> {
        Received::all(&*self.challenges)
    }

    /// Does it ask for more scopes (RFC 6750 §3.1)?
    pub fn asks_for_scope(&self) -> bool {
        let is_so = |error: &str| error.eq_ignore_ascii_case("insufficient_scope");
        self.read().iter().any(|challenge| challenge.attribute("error").is_some_and(is_so))
    }
}

/// On an answer: the upstream refused this credential, which the call was sent with.
#[derive(Clone, Debug)]
pub struct CredentialRefused {
    /// The credential.
    pub credential: UpstreamCredential,
    /// The upstream's words.
    pub challenge: UpstreamChallenge,
}

/// A fact: the same call was sent before, and its credential was refused. It gets a newer one, or none.
#[derive(Clone, Debug)]
pub struct Renewal(pub CredentialRefused);

/// A fact: whoever stands outside sends the call once more if its credential is refused.
#[derive(Clone, Copy, Debug)]
pub struct Resendable;

/// On an answer: how often the call was sent to the upstream, if more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamAttempts(pub u8);

/// A call that needs a credential.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// How its route is let in.
    pub auth: &'a Arc<UpstreamAuth>,
    /// Where the call goes.
    pub target: &'a UpstreamTarget,
    /// Who calls, where that is known.
    pub caller: Option<&'a Caller>,
    /// The path of the route.
    pub route: &'a str,
    /// The request, for the log.
    pub request_id: Option<RequestId>,
}

/// Why there is no credential.
#[derive(Clone, Debug)]
pub enum NoCredential {
    /// A person must connect, on a page of the program.
    Connect(ConnectRequired),
    /// Something else, which the caller cannot mend by connecting.
    Refused(Refusal),
}

/// A person must connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequired {
    /// Where the connection stands.
    pub state: ConnectState,
    /// The page, which only this person can use, once and not for long.
    pub url: String,
    /// Names this request to connect among others. It is no secret.
    pub elicitation_id: String,
    /// What happened, for people.
    pub message: String,
}

/// Where a connection stands that gives no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectState {
    /// The person has not connected yet.
    Authenticating,
    /// The person was connected, and must connect once more.
    ReconsentRequired,
}

impl ConnectState {
    /// As in `connectRequired.state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticating => "authenticating",
            Self::ReconsentRequired => "reconsent_required",
        }
    }
}

impl From<Reason> for NoCredential {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into())
    }
}

/// A credential, or why there is none.
pub type Obtained = Result<UpstreamCredential, NoCredential>;

/// A credential: there at once, or to come.
pub enum Obtaining<'a> {
    /// It was there.
    Ready(Obtained),
    /// It must be looked up or fetched.
    Pending(Pin<Box<dyn Future<Output = Obtained> + Send + 'a>>),
}

impl fmt::Debug for Obtaining<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(obtained) => f.debug_tuple("Ready").field(obtained).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// Holds the connections of people to upstreams.
pub trait Connections: fmt::Debug + Send + Sync {
    /// The credential for a call. `inbound` is the token that the call itself showed, for [`SubjectToken::Inbound`].
    ///
    /// It may be asked again where the answer has to be waited for, so it does its work in what it returns as
    /// [`Obtaining::Pending`].
    fn obtain<'a>(&'a self, wanted: Wanted<'a>, inbound: Option<&'a str>) -> Obtaining<'a>;

    /// A newer credential than the one that was refused: what another call has fetched meanwhile, or a fresh one. The
    /// upstream's challenge may ask for more scopes.
    fn renew<'a>(
        &'a self,
        wanted: Wanted<'a>,
        refused: &'a CredentialRefused,
        inbound: Option<&'a str>,
    ) -> Obtaining<'a>;

    /// The upstream refused a credential that is as new as can be: the person must connect once more. Says what the
    /// caller is told.
    fn give_up<'a>(
        &'a self,
        wanted: Wanted<'a>,
        refused: &'a CredentialRefused,
    ) -> Pin<Box<dyn Future<Output = NoCredential> + Send + 'a>>;

    /// The upstream refused a credential, and the call is not sent again: the next one gets a newer credential.
    fn suspect(&self, refused: &CredentialRefused);
}
