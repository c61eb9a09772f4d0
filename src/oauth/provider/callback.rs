//! `GET /oauth/callback`: a browser comes back from its provider.

use axum::response::Response;
use http::HeaderMap;
use portcullis_policies::kit::sign_in::{OpenIdProvider, Provider};

use super::{Answer, Begun, ProviderError};
use crate::oauth::{
    Authority,
    browser::Browser,
    error::Code,
    form::Parameters,
    pages::{self, Back, Trouble},
    purpose::Purpose,
    request::Refused,
    router::Visitor,
};

impl Authority {
    pub(in crate::oauth) async fn callback(&self, visitor: &Visitor, query: &str, headers: &HeaderMap) -> Response {
        pages::or_trouble(visitor, self.come_back(query, headers).await)
    }

    async fn come_back(&self, query: &str, headers: &HeaderMap) -> Result<Response, Trouble> {
        let parameters = Parameters::parse(query)?;
        let browser = Browser::of(headers, &self.origin);
        let (begun, forget) = self.resume(&browser, parameters.get("state").unwrap_or_default()).await?;
        let sign_in = self.routes.sign_in(begun.purpose.route()).ok_or(Trouble::Stale)?;
        let Provider::OpenId(provider) = &sign_in.provider else { return Err(Trouble::Stale) };
        if !begun.is_at(&sign_in) {
            return Err(Trouble::Stale);
        }
        let response = match self.provider_says(provider, &begun, &parameters).await {
            Ok(answer) => self.signed_in(&browser, &begun, answer, &sign_in).await?,
            Err(error) => self.not_signed_in(provider, error, &begun.purpose)?,
        };
        Ok(pages::with_cookies(response, Some(forget)))
    }

    /// A client is told that the provider let nobody in; all else the person is told.
    fn not_signed_in(
        &self,
        provider: &OpenIdProvider,
        error: ProviderError,
        purpose: &Purpose,
    ) -> Result<Response, Trouble> {
        match (&error, purpose) {
            (ProviderError::Refused { code, words }, Purpose::Client(request)) if code == "access_denied" => {
                tracing::info!(issuer = provider.issuer, words, "the provider let nobody in");
                let words = words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
                let description = format!("the sign-in provider let nobody in{words}");
                Ok(self.send_refusal(&request.back(), &Refused { code: Code::AccessDenied, description }))
            }
            _ => Err(self.provider_trouble(provider, error, purpose)),
        }
    }

    async fn provider_says(
        &self,
        provider: &OpenIdProvider,
        begun: &Begun,
        parameters: &Parameters,
    ) -> Result<Answer, ProviderError> {
        self.check_issuer(provider, parameters.get("iss")).await?;
        if let Some(error) = parameters.get("error") {
            return Err(ProviderError::refused(error, parameters.get("error_description")));
        }
        let code = parameters.get("code").ok_or_else(|| ProviderError::Nonsense("it has no code".to_owned()))?;
        self.redeem(provider, code, begun).await
    }

    /// First of all (RFC 9207 §2.4): an answer of another issuer says nothing at all, and one of nobody does not either
    /// where the provider promises to name itself.
    async fn check_issuer(&self, provider: &OpenIdProvider, issuer: Option<&str>) -> Result<(), ProviderError> {
        let from_elsewhere = || Err(ProviderError::Unbelievable("it came from another issuer (iss)".to_owned()));
        match issuer {
            Some(issuer) if issuer == provider.issuer => Ok(()),
            Some(_) => from_elsewhere(),
            None if self.providers.endpoints(provider).await?.names_itself => from_elsewhere(),
            None => Ok(()),
        }
    }

    /// A page that says what the provider did, with a way back to the client, or to our page.
    pub(super) fn provider_trouble(
        &self,
        provider: &OpenIdProvider,
        error: ProviderError,
        purpose: &Purpose,
    ) -> Trouble {
        tracing::warn!(issuer = provider.issuer, %error, "a sign-in failed");
        let back = match purpose {
            Purpose::Client(request) => {
                let refused = Refused { code: Code::ServerError, description: error.to_string() };
                Back::Client(self.back_link(&request.back(), &refused))
            }
            Purpose::Page(page) => Back::Page(page.path().to_owned()),
        };
        Trouble::Provider { error, back }
    }
}
