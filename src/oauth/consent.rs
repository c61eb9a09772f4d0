//! `POST /oauth/consent`: what the person said on our page, and the way on from there.

use axum::response::Response;
use http::{HeaderMap, header::ORIGIN};
use portcullis_policies::kit::sign_in::{Provider, SignIn};

use super::{
    Authority,
    browser::{Browser, CookieName},
    code::Yes,
    error::{Code, OAuthError},
    form::Parameters,
    pages::{self, Trouble},
    provider::provider_key,
    purpose::Purpose,
    request::{AuthorizationRequest, Refused, Return},
    router::Visitor,
};

impl Authority {
    pub(super) async fn consent(&self, visitor: &Visitor, headers: &HeaderMap, body: &[u8]) -> Response {
        pages::or_trouble(visitor, self.decide(headers, body).await)
    }

    async fn decide(&self, headers: &HeaderMap, body: &[u8]) -> Result<Response, Trouble> {
        if !self.is_our_page(headers) {
            return Err(Trouble::ForeignForm);
        }
        let form = Parameters::of_form(headers, body)?;
        let browser = Browser::of(headers, &self.origin);
        let digest = browser.digest(&CookieName::Browser).ok_or(Trouble::NoCookie)?;
        let request = form
            .get("request")
            .and_then(|sealed| self.open_request(sealed, &digest, browser.digest(&CookieName::Session)));
        let request = request.ok_or(Trouble::Stale)?;
        let sign_in = self.routes.sign_in(&request.route).ok_or(Trouble::Stale)?;
        match form.get("decision") {
            Some("allow") => {}
            Some("deny") => {
                let description = "the person said no".to_owned();
                return Ok(self.send_refusal(&request.back(), &Refused { code: Code::AccessDenied, description }));
            }
            _ => return Err(Trouble::BadRequest("the form has no decision")),
        }
        let sign_in_again = request.sign_in_again || form.get("account") == Some("other");
        match self.session(&browser, &provider_key(&sign_in.provider)).await? {
            Some(session) if !sign_in_again => {
                let (request, sign_in, session) = (&request, &*sign_in, &session);
                Ok(self.grant(Yes { request, sign_in, session, arrival: None, is_new: true }).await?)
            }
            _ => {
                let purpose = Purpose::Client(AuthorizationRequest { sign_in_again, ..request });
                self.send_to_provider(&browser, purpose, &sign_in).await
            }
        }
    }

    pub(super) async fn send_to_provider(
        &self,
        browser: &Browser,
        purpose: Purpose,
        sign_in: &SignIn,
    ) -> Result<Response, Trouble> {
        match &sign_in.provider {
            Provider::Dev => self.begin_dev_login(browser, purpose, sign_in).await,
            Provider::OpenId(provider) => self.begin_login(browser, purpose, sign_in, provider).await,
        }
    }

    /// Was the form on a page of ours? Browsers say where a form was; the sealed request and the cookie must fit besides.
    pub(super) fn is_our_page(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(ORIGIN).map(|origin| origin.as_bytes());
        let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
        origin.is_none_or(|origin| origin == self.origin.as_str().as_bytes())
            && site.is_none_or(|site| site == b"same-origin")
    }

    /// Sends the browser back to the client with an error (RFC 6749 §4.1.2.1, RFC 9207).
    pub(super) fn send_refusal(&self, back: &Return, refused: &Refused) -> Response {
        pages::see_other(&self.back_link(back, refused))
    }

    /// The address that tells the client of an error, for a link.
    pub(super) fn back_link(&self, back: &Return, refused: &Refused) -> String {
        let error = OAuthError::new(refused.code, refused.description.clone());
        let description = error.permitted_description();
        self.back_url(back, &[("error", refused.code.as_str()), ("error_description", &description)])
    }

    /// Sends the browser back to the client.
    pub(super) fn send_back(&self, back: &Return, parameters: &[(&str, &str)]) -> Response {
        pages::see_other(&self.back_url(back, parameters))
    }

    fn back_url(&self, back: &Return, parameters: &[(&str, &str)]) -> String {
        let issuer = self.origin.issuer(back.issuer.as_deref());
        let state = back.state.as_deref().map(|state| ("state", state));
        let all = parameters.iter().copied().chain(state).chain([("iss", issuer.as_str())]);
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
        let joint = if back.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{joint}{query}", back.redirect_uri)
    }
}
