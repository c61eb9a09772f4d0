//! Redeeming codes and refresh tokens at a provider, and believing what comes.

use std::collections::BTreeMap;

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
        check_required(&claims, &provider.required_claims)?;
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

/// A claim that must have one value, and has another or none, is of somebody who is not let in here.
fn check_required(claims: &Claims, required: &BTreeMap<String, String>) -> Result<(), ProviderError> {
    match required.iter().find(|(name, value)| claims.text(name) != Some(value)) {
        Some((name, value)) => {
            let why = format!("this account is not one that may sign in here: {name} must be {value:?}");
            Err(ProviderError::Unbelievable(why))
        }
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use portcullis_policies::kit::{
        clock::{Clock, SystemClock},
        jwt::{Algorithm, KeySet, SigningKey, Token},
    };
    use serde_json::{Value, json};

    use super::*;

    /// Claims exist only of tokens that were verified.
    fn verified(hosted_domain: &Value) -> Claims {
        let (key, now) = (SigningKey::generate(Algorithm::Es256).unwrap(), SystemClock.now());
        let mut claims = json!({ "iss": "https://idp.example.com", "sub": "ada", "aud": "portcullis", "iat": now.as_seconds(),
            "exp": now.as_seconds() + 60 });
        if !hosted_domain.is_null() {
            claims["hd"] = hosted_domain.clone();
        }
        let keys = KeySet::read(json!({ "keys": [key.public_jwk()] }).to_string().as_bytes()).unwrap();
        let token = key.sign("JWT", &claims).unwrap();
        let rules = Rules::id_token("https://idp.example.com", "portcullis");
        Token::parse(&token).unwrap().verify(&keys, &rules, now).unwrap()
    }

    #[test]
    fn only_accounts_of_the_domain_that_the_configuration_names_are_let_in() {
        let acme = BTreeMap::from([("hd".to_owned(), "acme.example".to_owned())]);
        for (hosted_domain, is_let_in) in [
            (json!("acme.example"), true),
            (json!("acme.example.evil.example"), false),
            (json!("evil.example"), false),
            (json!(["acme.example"]), false),
            (json!(""), false),
            (json!(null), false),
        ] {
            let claims = verified(&hosted_domain);
            assert_eq!(check_required(&claims, &acme).is_ok(), is_let_in, "{hosted_domain}");
            assert_eq!(check_required(&claims, &BTreeMap::new()), Ok(()), "{hosted_domain}");
        }
    }
}
