//! `GET /oauth/authorize`: a client asks, a person decides (RFC 6749 §4.1.1).

use axum::response::Response;
use http::HeaderMap;
use portcullis_policies::kit::sign_in::SignIn;

use super::{
    Authority,
    browser::{Browser, CookieName},
    client::Client,
    clients::NoClient,
    code::Yes,
    error::Code,
    form::{Parameters, Unreadable},
    pages::{self, Back, Trouble},
    provider::provider_key,
    request::{AuthorizationRequest, Refused, Return, prompts},
    router::Visitor,
};
use crate::store::{ConsentKey, Digest, SessionRecord, StoreError};

/// Bytes of `state` at most: it is kept until the browser comes back.
const LONGEST_STATE: usize = 2048;

impl Authority {
    pub(super) async fn authorize(
        &self,
        visitor: &Visitor,
        issuer: Option<String>,
        query: &str,
        headers: &HeaderMap,
    ) -> Response {
        match self.ask(visitor, issuer, query, headers).await {
            Ok(page) => page,
            Err(Unanswered::Page(trouble)) => pages::trouble(visitor, &trouble),
            Err(Unanswered::Back { by_itself: true, back, refused }) => self.send_refusal(&back, &refused),
            Err(Unanswered::Back { by_itself: false, back, refused }) => {
                let back = Back::Client(self.back_link(&back, &refused));
                pages::trouble(visitor, &Trouble::Refused { what: refused.description, back })
            }
        }
    }

    async fn ask(
        &self,
        visitor: &Visitor,
        issuer: Option<String>,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<Response, Unanswered> {
        let (parameters, repeated) = read(query)?;
        let client = self.client_asking(&parameters, issuer.as_deref(), visitor).await?;
        let redirect_uri = client.redirect_uri(parameters.get("redirect_uri")).ok_or_else(|| {
            let asked = parameters.get("redirect_uri").unwrap_or_default().to_owned();
            Trouble::RedirectUri { client: client.shown_name(), asked }
        })?;
        let state = parameters.get("state").map(ToOwned::to_owned);
        if state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE) {
            return Err(Trouble::BadRequest("state is longer than 2048 characters").into());
        }
        let back = Return { issuer, redirect_uri, state };
        let by_itself = client.is_trusted_with_errors(&back.redirect_uri);
        let on_the_way = |refused| Unanswered::Back { by_itself, back: back.clone(), refused };
        if let Some(name) = repeated {
            let description = format!("{name} is given more than once");
            return Err(on_the_way(Refused { code: Code::InvalidRequest, description }));
        }
        let (request, sign_in) = self.judge_request(&client, &back, &parameters).map_err(on_the_way)?;
        let browser = Browser::of(headers, &self.origin);
        let session = if request.sign_in_again {
            None // somebody else may sit there
        } else {
            self.session(&browser, &provider_key(&sign_in.provider)).await?
        };
        let asks = |prompt| prompts(&parameters).any(|asked| asked == prompt);
        if let Some(session) = &session
            && !asks("consent")
            && self.is_remembered(&client, &request, session).await?
        {
            let (request, sign_in) = (&request, &*sign_in);
            return Ok(self.grant(Yes { request, sign_in, session, arrival: None, is_new: false }).await?);
        }
        if asks("none") {
            let code = if session.is_some() { Code::ConsentRequired } else { Code::LoginRequired };
            return Err(on_the_way(Refused { code, description: "a person must decide".to_owned() }));
        }
        Ok(self.consent_page(&browser, &client, &request, &sign_in, session.as_ref()))
    }

    async fn client_asking(
        &self,
        parameters: &Parameters,
        issuer: Option<&str>,
        visitor: &Visitor,
    ) -> Result<Client, Unanswered> {
        let Some(id) = parameters.get("client_id") else { return Err(Trouble::NoClientId.into()) };
        let asked = self.route_asked(issuer, parameters.get("resource")).ok();
        let client = self.client(id, asked.as_ref().map(|(_, sign_in)| &**sign_in), visitor.address).await;
        client.map_err(|why| match why {
            NoClient::Unknown => Trouble::UnknownClient { id: id.to_owned() }.into(),
            NoClient::Undocumented(why) => Trouble::Undocumented { id: id.to_owned(), why: why.to_string() }.into(),
            NoClient::SlowDown => Trouble::TooMany.into(),
            NoClient::Store(error) => error.into(),
        })
    }

    /// Did this person say yes to exactly this before? A client that cannot be told from another program on the same
    /// machine is asked for each time (OAuth 2.1 §7.3.1).
    async fn is_remembered(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        session: &SessionRecord,
    ) -> Result<bool, StoreError> {
        if client.is_unproven() {
            return Ok(false);
        }
        self.store.has_consent(&self.tenant, &self.consent_key(request, session)).await
    }

    pub(super) fn consent_key(&self, request: &AuthorizationRequest, session: &SessionRecord) -> ConsentKey {
        ConsentKey {
            provider: session.provider.clone(),
            subject: session.subject.clone(),
            client_id: request.client_id.clone(),
            redirect_uri: request.redirect_uri.clone(),
            resource: self.origin.resource(&request.route),
            scope: request.scope.clone(),
            client_digest: Digest::of(request.client_digest.as_bytes()),
        }
    }

    fn consent_page(
        &self,
        browser: &Browser,
        client: &Client,
        request: &AuthorizationRequest,
        sign_in: &SignIn,
        session: Option<&SessionRecord>,
    ) -> Response {
        let (digest, cookie) = browser.identify();
        let sealed = self.seal_request(request, &digest, browser.digest(&CookieName::Session));
        let page = pages::Consent::new(client, request, sign_in, session, &self.origin, sealed);
        pages::with_cookies(page.show(), cookie)
    }
}

/// A request that does not come to a page of consent.
enum Unanswered {
    /// Shown to the person: nobody knows yet where else it could safely go.
    Page(Trouble),
    /// Told to the client: by sending the browser there, or by a link that the person may follow.
    Back { by_itself: bool, back: Return, refused: Refused },
}

impl From<Trouble> for Unanswered {
    fn from(trouble: Trouble) -> Self {
        Self::Page(trouble)
    }
}

impl From<StoreError> for Unanswered {
    fn from(error: StoreError) -> Self {
        Self::Page(error.into())
    }
}

/// The parameters, and the first that is there twice. If that is one that says who asks, nobody can be told but the
/// person.
fn read(query: &str) -> Result<(Parameters, Option<String>), Unanswered> {
    match Parameters::parse(query) {
        Ok(parameters) => Ok((parameters, None)),
        Err(Unreadable::Repeated(name)) if name != "client_id" && name != "redirect_uri" => {
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            let of_client = pairs.filter(|(name, _)| matches!(&**name, "client_id" | "redirect_uri" | "state"));
            let alone = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(of_client).finish();
            match Parameters::parse(&alone) {
                Ok(parameters) => Ok((parameters, Some(name))),
                Err(_) => Err(Trouble::BadRequest("a parameter is given more than once").into()),
            }
        }
        Err(unreadable) => Err(Trouble::BadRequest(unreadable.description()).into()),
    }
}
