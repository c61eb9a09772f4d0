//! Which client speaks at an endpoint for programs, and whether it is the one that it says (RFC 6749 §2.3, RFC 7523 §2.2).

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use percent_encoding::percent_decode_str;
use portcullis_policies::kit::jwt::{Claims, Rules, Token};

use super::{
    Authority,
    client::{AuthMethod, Client, ClientKeys},
    clients::NoClient,
    error::{Code, OAuthError},
    form::Parameters,
    router::Visitor,
};
use crate::store::Digest;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion may be good for at most, which is how long its id is remembered.
const LONGEST_ASSERTION: Duration = Duration::from_mins(10);

/// What a client showed.
enum Shown {
    Nothing(String),
    Secret { id: String, secret: String, basic: bool },
    Assertion { id: String, jwt: String },
}

impl Authority {
    /// The client that sent a form, proven as its registration demands.
    pub(super) async fn authenticate(
        &self,
        visitor: &Visitor,
        headers: &HeaderMap,
        form: &Parameters,
    ) -> Result<Client, OAuthError> {
        if self.throttle.is_shut_out(visitor.address) || !self.throttle.admits_request(visitor.address) {
            return Err(OAuthError::new(Code::SlowDown, "too many requests or wrong credentials from this address"));
        }
        let shown = shown(headers, form)?;
        let (id, basic) = match &shown {
            Shown::Nothing(id) | Shown::Assertion { id, .. } => (id.as_str(), false),
            Shown::Secret { id, basic, .. } => (id.as_str(), *basic),
        };
        let client = match self.client(id, None, visitor.address).await {
            Ok(client) => Some(client),
            Err(NoClient::Store(error)) => return Err(error.into()),
            Err(NoClient::SlowDown) => return Err(OAuthError::new(Code::SlowDown, "too many requests")),
            // Not the client's fault: it must not think that it is forgotten.
            Err(NoClient::Undocumented(why)) if why.may_pass() => {
                return Err(OAuthError::new(Code::TemporarilyUnavailable, format!("the client's document: {why}")));
            }
            Err(NoClient::Unknown | NoClient::Undocumented(_)) => None,
        };
        // An unknown client takes the same way and the same words as one with a wrong secret.
        let proven = match &shown {
            Shown::Nothing(_) => {
                client.as_ref().is_some_and(|client| client.metadata.auth_method() == AuthMethod::None)
            }
            Shown::Secret { secret, .. } => is_secret_of(client.as_ref(), secret),
            Shown::Assertion { jwt, .. } => match &client {
                Some(client) => self.is_asserted(client, jwt).await?,
                None => false,
            },
        };
        match client {
            Some(client) if proven => Ok(client),
            _ => Err(self.not_proven(visitor, basic)),
        }
    }

    fn not_proven(&self, visitor: &Visitor, basic: bool) -> OAuthError {
        self.throttle.count_failure(visitor.address);
        let error = OAuthError::new(Code::InvalidClient, "the client is unknown or did not prove itself");
        if basic { error.challenging_basic() } else { error }
    }

    /// RFC 7523 §3: made by the client, for us, just now, and for one time.
    async fn is_asserted(&self, client: &Client, jwt: &str) -> Result<bool, OAuthError> {
        if client.metadata.auth_method() != AuthMethod::PrivateKeyJwt {
            return Ok(false);
        }
        let now = self.clock.now();
        let rules = Rules {
            types: &["jwt", "", "client-authentication+jwt"],
            other_audiences: false,
            required: &["sub", "jti"],
            ..Rules::id_token(client.id.as_str(), self.origin.issuer(None))
        };
        let Some(claims) = self.assertion_claims(client, jwt, &rules).await else { return Ok(false) };
        let expires_at = claims.expires().unwrap_or_default();
        if claims.subject() != Some(client.id.as_str()) || expires_at > now.plus(LONGEST_ASSERTION) {
            return Ok(false);
        }
        let jti = Digest::of(claims.text("jti").unwrap_or_default().as_bytes());
        let mut work = self.store.begin(&self.tenant).await?;
        let first = work.remember_assertion(&client.id, &jti, expires_at.plus(Duration::from_mins(2))).await?;
        work.commit().await?;
        Ok(first)
    }

    async fn assertion_claims(&self, client: &Client, jwt: &str, rules: &Rules) -> Option<Claims> {
        let token = Token::parse(jwt).ok()?;
        let now = self.clock.now();
        let verified = match &client.keys {
            ClientKeys::None => return None,
            ClientKeys::Inline(keys) => token.verify(keys, rules, now),
            ClientKeys::At(url) => {
                let keys = self.clients.keys_at(url).get(token.kid()).await.ok()?;
                token.verify(&keys, rules, now)
            }
        };
        verified
            .inspect_err(|error| tracing::info!(client = client.id, %error, "a client assertion was not accepted"))
            .ok()
    }
}

impl Client {
    /// Is it one that can keep a secret?
    pub(super) fn is_confidential(&self) -> bool {
        self.metadata.auth_method() != AuthMethod::None
    }
}

fn is_secret_of(client: Option<&Client>, secret: &str) -> bool {
    let shown = Digest::of(secret.as_bytes()).to_string();
    let expected = client.and_then(|client| {
        let takes_secret = client.metadata.auth_method().needs_secret();
        client.metadata.secret_digest.as_deref().filter(|_| takes_secret)
    });
    let nobodys = Digest::of(b"").to_string();
    let equal = verify_slices_are_equal(shown.as_bytes(), expected.unwrap_or(&nobodys).as_bytes()).is_ok();
    equal && expected.is_some()
}

/// Exactly one way of authentication (RFC 6749 §2.3).
fn shown(headers: &HeaderMap, form: &Parameters) -> Result<Shown, OAuthError> {
    let basic = headers.get_all(AUTHORIZATION).iter().count();
    let (secret, assertion) = (form.get("client_secret"), form.get("client_assertion"));
    if basic + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(OAuthError::new(Code::InvalidRequest, "the client authenticates in more than one way"));
    }
    let id = form.get("client_id");
    if basic == 1 {
        let (name, secret) = read_basic(headers).ok_or_else(|| {
            OAuthError::new(Code::InvalidClient, "the Authorization header is not Basic").challenging_basic()
        })?;
        if id.is_some_and(|id| id != name) {
            return Err(OAuthError::new(Code::InvalidRequest, "client_id is not that of the Authorization header"));
        }
        return Ok(Shown::Secret { id: name, secret, basic: true });
    }
    if let Some(jwt) = assertion {
        if form.get("client_assertion_type") != Some(ASSERTION) {
            return Err(OAuthError::new(Code::InvalidRequest, "client_assertion_type must be that of jwt-bearer"));
        }
        // A client is the issuer of its assertions, so its id need not be said again (RFC 7521 §4.2).
        let issuer = Token::parse(jwt).ok().and_then(|token| token.issuer().map(ToOwned::to_owned));
        let id = id.map_or(issuer.unwrap_or_default(), ToOwned::to_owned);
        return Ok(Shown::Assertion { id, jwt: jwt.to_owned() });
    }
    let id = id.ok_or_else(|| OAuthError::new(Code::InvalidClient, "client_id is missing"))?.to_owned();
    Ok(match secret {
        Some(secret) => Shown::Secret { id, secret: secret.to_owned(), basic: false },
        None => Shown::Nothing(id),
    })
}

/// Id and secret, each form-encoded, in Base64 (RFC 6749 §2.3.1).
fn read_basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(credentials.trim()).ok())??;
    let text = String::from_utf8(credentials).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8().ok().map(Into::into);
    Some((decode(id)?, decode(secret)?))
}
