//! `POST /oauth/register`: clients register themselves (RFC 7591).

use axum::response::Response;
use http::StatusCode;
use portcullis_policies::kit::random;
use serde_json::{Value, json};

use super::{
    Authority,
    client::{AuthMethod, BadMetadata, Client, ClientMetadata, ClientOrigin},
    error::{Code, OAuthError, json_answer},
    router::Visitor,
};
use crate::store::{ClientRecord, Digest};

/// How long a registration stays unused when room is needed.
const WITHOUT_USE: std::time::Duration = std::time::Duration::from_hours(1);
/// Bytes of a registration at most.
pub(super) const LARGEST: usize = 16 << 10;

impl From<BadMetadata> for OAuthError {
    fn from(bad: BadMetadata) -> Self {
        match bad {
            BadMetadata::RedirectUri(why) => Self::new(Code::InvalidRedirectUri, why),
            BadMetadata::Other(why) => Self::new(Code::InvalidClientMetadata, why),
        }
    }
}

impl Authority {
    pub(super) async fn register(&self, visitor: &Visitor, body: &[u8]) -> Result<Response, OAuthError> {
        if !self.options.registration.enabled {
            return Err(OAuthError::new(Code::AccessDenied, "clients cannot register themselves here"));
        }
        if !self.throttle.admits_registration(visitor.address) {
            return Err(OAuthError::new(Code::SlowDown, "too many registrations from this address"));
        }
        let (metadata, secret) = read(body)?;
        // Never like a URL, which would be another kind of client.
        let id = format!("mcp_{}", random::id());
        let schemes = &self.options.registration.redirect_schemes;
        let client = Client::new(id, ClientOrigin::Registered, metadata, schemes)?;
        self.keep(&client, visitor).await?;
        tracing::info!(client = client.id, name = client.shown_name(), "a client registered itself");
        Ok(json_answer(StatusCode::CREATED, &self.registered(&client, secret.as_deref())))
    }

    async fn keep(&self, client: &Client, visitor: &Visitor) -> Result<(), OAuthError> {
        let most = u64::from(self.options.registration.most_clients.get());
        if self.store.clients_count(&self.tenant).await? >= most && self.make_room().await? == 0 {
            tracing::warn!(most, "no more clients may register: `gateway.oauth.registration.mostClients` are there");
            return Err(OAuthError::new(Code::TemporarilyUnavailable, "no more clients can register at present"));
        }
        let record = ClientRecord {
            id: client.id.clone(),
            metadata: serde_json::to_string(&client.metadata).unwrap_or_default(),
            source: visitor.address.to_string(),
            created_at: self.clock.now(),
            last_used_at: None,
        };
        let mut work = self.store.begin(&self.tenant).await?;
        work.insert_client(&record).await?;
        Ok(work.commit().await?)
    }

    /// Forgets those who registered a while ago and did not come back, so that nobody can keep others out by registering
    /// again and again.
    async fn make_room(&self) -> Result<u64, OAuthError> {
        let mut work = self.store.begin(&self.tenant).await?;
        let forgotten = work.delete_clients_never_used_since(self.clock.now().minus(WITHOUT_USE)).await?;
        work.commit().await?;
        tracing::warn!(forgotten, "as many clients as may be are registered: those that were never used are forgotten");
        Ok(forgotten)
    }

    /// What was registered (RFC 7591 §3.2.1).
    fn registered(&self, client: &Client, secret: Option<&str>) -> Value {
        let metadata = &client.metadata;
        let mut answer = json!({
            "client_id": client.id,
            "client_id_issued_at": self.clock.now().as_seconds(),
            "redirect_uris": metadata.redirect_uris,
            "grant_types": metadata.grant_types,
            "response_types": ["code"],
            "token_endpoint_auth_method": metadata.auth_method(),
            "application_type": metadata.application_type.as_deref().unwrap_or("web"),
        });
        for (name, value) in [("client_name", metadata.client_name.as_deref()), ("client_secret", secret)] {
            if let Some(value) = value {
                answer[name] = value.into();
            }
        }
        if secret.is_some() {
            answer["client_secret_expires_at"] = 0.into(); // never (RFC 7591 §3.2.1)
        }
        if let Some(jwks) = &metadata.jwks {
            answer["jwks"] = jwks.clone();
        }
        answer
    }
}

/// Reads what a client says of itself, and gives it a secret if it means to have one.
fn read(body: &[u8]) -> Result<(ClientMetadata, Option<String>), OAuthError> {
    let bad = |why: String| OAuthError::new(Code::InvalidClientMetadata, why);
    if body.len() > LARGEST {
        return Err(bad("the registration is too large".to_owned()));
    }
    let mut metadata: ClientMetadata =
        serde_json::from_slice(body).map_err(|error| bad(format!("the registration cannot be read: {error}")))?;
    let grants = metadata
        .grant_types
        .get_or_insert_with(|| ["authorization_code", "refresh_token"].map(ToOwned::to_owned).to_vec());
    // A registration that nobody looked at gives no right to act without a person.
    grants.retain(|grant| matches!(grant.as_str(), "authorization_code" | "refresh_token"));
    if !metadata.allows("authorization_code") {
        return Err(bad("grant_types must name authorization_code".to_owned()));
    }
    if metadata.jwks_uri.is_some() {
        return Err(bad("jwks_uri is not taken from clients that register themselves; send jwks".to_owned()));
    }
    // RFC 7591 §2: basic is meant where nothing is said.
    let method = *metadata.token_endpoint_auth_method.get_or_insert(AuthMethod::ClientSecretBasic);
    let secret = method.needs_secret().then(random::secret);
    metadata.secret_digest = secret.as_ref().map(|secret| Digest::of(secret.as_bytes()).to_string());
    Ok((metadata, secret))
}
