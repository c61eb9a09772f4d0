//! Redeeming codes and refresh tokens at a provider, and believing what comes.

use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, ExtraTokenFields, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use portcullis_policies::kit::{
    host::Identity,
    jwt::{Claims, Rules},
    sign_in::OpenIdProvider,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{ProviderError, claims, login::Begun};
use crate::{
    fetch::{Budget, OAuthHttp},
    oauth::Authority,
};

/// Who somebody is, and with what to ask again.
pub(in crate::oauth) struct Answer {
    pub(in crate::oauth) identity: Identity,
    /// What the provider signed.
    pub(in crate::oauth) id_token: Option<String>,
    pub(in crate::oauth) refresh_token: Option<String>,
}

impl From<Identity> for Answer {
    /// Of a provider that cannot be asked again.
    fn from(identity: Identity) -> Self {
        Self { identity, id_token: None, refresh_token: None }
    }
}

/// What a provider says when it is asked again.
pub(in crate::oauth) struct Renewed {
    /// Who somebody is, and the ID token that says so. None: it gave no new one, so what is known stays.
    pub(in crate::oauth) vouched: Option<(Identity, String)>,
    pub(in crate::oauth) refresh_token: Option<String>,
}

/// OpenID Connect Core §3.1.3.3.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Tokens = StandardTokenResponse<IdToken, BasicTokenType>;
type Client = oauth2::Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
>;

/// Bytes of a token answer at most.
const LARGEST: usize = 256 << 10;

impl Authority {
    /// Redeems a code (OpenID Connect Core §3.1.3.1).
    pub(super) async fn redeem(
        &self,
        provider: &OpenIdProvider,
        code: &str,
        begun: &Begun,
    ) -> Result<Answer, ProviderError> {
        let client = self.provider_client(provider).await?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(begun.verifier.clone()))
            .request_async(&self.provider_http(provider))
            .await
            .map_err(failure)?;
        let vouched = self.believe(provider, &tokens, Some(&begun.nonce)).await?;
        let (identity, id_token) = vouched.ok_or_else(|| ProviderError::Nonsense("it has no ID token".to_owned()))?;
        Ok(Answer { identity, id_token: Some(id_token), refresh_token: refresh_token(&tokens) })
    }

    /// Asks again who somebody is.
    pub(in crate::oauth) async fn ask_again(
        &self,
        provider: &OpenIdProvider,
        token: &str,
    ) -> Result<Renewed, ProviderError> {
        let client = self.provider_client(provider).await?;
        let tokens = client
            .exchange_refresh_token(&RefreshToken::new(token.to_owned()))
            .request_async(&self.provider_http(provider))
            .await
            .map_err(failure)?;
        let vouched = self.believe(provider, &tokens, None).await?;
        Ok(Renewed { vouched, refresh_token: refresh_token(&tokens) })
    }

    async fn provider_client(&self, provider: &OpenIdProvider) -> Result<Client, ProviderError> {
        let endpoints = self.providers.endpoints(provider).await?;
        let bad = |error: oauth2::url::ParseError| ProviderError::Nonsense(error.to_string());
        let secret = provider.client_secret.expose_secret();
        let mut client = oauth2::Client::new(ClientId::new(provider.client_id.clone()))
            .set_token_uri(TokenUrl::new(endpoints.token.to_string()).map_err(bad)?)
            .set_redirect_uri(RedirectUrl::new(self.callback_uri()).map_err(bad)?)
            .set_auth_type(if endpoints.basic { AuthType::BasicAuth } else { AuthType::RequestBody });
        if !secret.is_empty() {
            client = client.set_client_secret(ClientSecret::new(secret.to_owned()));
        }
        Ok(client)
    }

    fn provider_http(&self, provider: &OpenIdProvider) -> OAuthHttp {
        OAuthHttp::new(self.fetch.clone(), Budget { max_bytes: LARGEST, patience: provider.patience })
    }

    /// Judges an ID token (OpenID Connect Core §3.1.3.7).
    async fn believe(
        &self,
        provider: &OpenIdProvider,
        tokens: &Tokens,
        nonce: Option<&str>,
    ) -> Result<Option<(Identity, String)>, ProviderError> {
        let Some(token) = &tokens.extra_fields().id_token else { return Ok(None) };
        let audience = provider.audience.as_deref().unwrap_or(&provider.client_id);
        let rules = Rules::id_token(provider.issuer.as_str(), audience);
        let claims = self.providers.verify(provider, token, &rules).await?;
        check_party(&claims, audience, provider)?;
        if nonce.is_some_and(|nonce| claims.text("nonce") != Some(nonce)) {
            return Err(ProviderError::Unbelievable("the ID token is not for this sign-in (nonce)".to_owned()));
        }
        Ok(Some((claims::identity(&provider.issuer, &claims, &provider.claims), token.clone())))
    }
}

fn refresh_token(tokens: &Tokens) -> Option<String> {
    tokens.refresh_token().map(|token| token.secret().clone())
}

/// With several audiences, the authorized party must be us.
fn check_party(claims: &Claims, audience: &str, provider: &OpenIdProvider) -> Result<(), ProviderError> {
    let several = claims.audiences().count() > 1;
    let party = claims.text("azp");
    let ours = |party: &str| party == provider.client_id || party == audience;
    if party.is_some_and(|party| !ours(party)) || (several && party.is_none()) {
        return Err(ProviderError::Unbelievable("the ID token is for another client".to_owned()));
    }
    Ok(())
}

fn failure<E>(error: RequestTokenError<E, BasicErrorResponse>) -> ProviderError
where
    E: std::error::Error,
{
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let code = match answer.error() {
                BasicErrorResponseType::Extension(code) => code.as_str(),
                code => code.as_ref(),
            };
            ProviderError::refused(code, answer.error_description().map(String::as_str))
        }
        RequestTokenError::Request(error) => ProviderError::Unreachable(format!("its token endpoint: {error}")),
        RequestTokenError::Parse(error, _) => ProviderError::Nonsense(format!("its token endpoint: {error}")),
        RequestTokenError::Other(why) => ProviderError::Nonsense(format!("its token endpoint: {why}")),
    }
}
