//! Who comes to one of the gateway's own pages, and the forms on it.
//!
//! No client asks here, so there is nothing to consent to. Everything else is as where clients ask: a form counts in the
//! browser that it was shown in, for whoever was signed in with it then, and once somebody signs in a new session begins.

use std::time::Duration;

use axum::response::Response;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderMap;
use portcullis_policies::kit::{clock::Timestamp, host::Identity};

use super::{
    Authority, OwnPage, Trouble,
    browser::{Browser, CookieName, SetCookie},
    form::Parameters,
    pages,
    provider::provider_key,
    purpose::Purpose,
    request::viewer,
};
use crate::store::{Digest, SessionRecord};

/// How long a form may lie open.
const OPEN: Duration = Duration::from_mins(15);
/// The field of a form that shows that it is ours.
pub(crate) const SEAL: &str = "form";

/// A browser in front of one of our own pages.
#[derive(Debug)]
pub(crate) struct Guest {
    browser: Browser,
    known: Option<Digest>,
    identified: Digest,
    cookie: Option<SetCookie>,
    session: Option<SessionRecord>,
}

impl Guest {
    /// Which browser it is, if it showed our cookie.
    pub(crate) fn browser(&self) -> Option<Digest> {
        self.known
    }

    /// Who is signed in with it, by whichever way in.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.session.as_ref().map(|session| &*session.subject)
    }

    /// Adds the cookie by which the browser will be known again.
    pub(crate) fn identify(&mut self, response: Response) -> Response {
        pages::with_cookies(response, self.cookie.take())
    }

    fn viewer(&self, browser: &Digest, what: &str) -> String {
        format!("{} {what}", viewer(browser, self.browser.digest(&CookieName::Session)))
    }
}

/// Somebody who is signed in with a browser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person<'a>(&'a SessionRecord);

impl Person<'_> {
    /// Who it is, as calls know them.
    pub(crate) fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What is known of them, as of their sign-in.
    pub(crate) fn identity(self) -> Identity {
        let known: Identity = serde_json::from_slice(&self.0.identity).unwrap_or_default();
        Identity { subject: self.subject().into(), ..known }
    }

    /// What they call themselves.
    pub(crate) fn name(self) -> String {
        pages::account(self.0)
    }
}

impl Authority {
    /// Who comes here.
    pub(crate) async fn guest(&self, headers: &HeaderMap) -> Result<Guest, Trouble> {
        let browser = Browser::of(headers, &self.origin);
        let session = self.any_session(&browser).await?;
        let known = browser.digest(&CookieName::Browser);
        let (identified, cookie) = browser.identify();
        Ok(Guest { browser, known, identified, cookie, session })
    }

    /// Who is signed in with this browser by the sign-in of `route`.
    pub(crate) fn person<'a>(&self, guest: &'a Guest, route: &str) -> Option<Person<'a>> {
        let sign_in = self.routes.sign_in(route)?;
        let session = guest.session.as_ref()?;
        (session.provider == provider_key(&sign_in.provider)).then_some(Person(session))
    }

    /// One route for each way in which people sign in here: whoever signs in for one, has signed in for all like it.
    pub(crate) fn ways_in(&self) -> Vec<String> {
        let mut providers = Vec::new();
        let mut new = |route: &std::sync::Arc<str>| {
            let provider = provider_key(&self.routes.sign_in(route)?.provider);
            (!providers.contains(&provider)).then(|| providers.push(provider))
        };
        let routes = self.routes.signed_in();
        routes.iter().filter(|route| new(route).is_some()).map(ToString::to_string).collect()
    }

    /// Do people sign in to this route with a browser?
    pub(crate) fn has_sign_in(&self, route: &str) -> bool {
        self.routes.sign_in(route).is_some()
    }

    /// Sends a browser to where people sign in, and then back to the page.
    pub(crate) async fn sign_in_for(&self, guest: &Guest, page: OwnPage) -> Result<Response, Trouble> {
        let purpose = Purpose::Page(page);
        let sign_in = self.routes.sign_in(purpose.route()).ok_or(Trouble::Stale)?;
        self.send_to_provider(&guest.browser, purpose, &sign_in).await
    }

    /// The value of [`SEAL`] in a form for this guest; `what` says what the form does, and to what.
    pub(crate) fn seal_form(&self, guest: &Guest, what: &str) -> String {
        let until = self.clock.now().plus(OPEN).as_seconds().to_be_bytes();
        URL_SAFE_NO_PAD.encode(self.store.sealer().seal("form", &guest.viewer(&guest.identified, what), &until))
    }

    /// The fields of a form that was on our page for this guest, and does `what`.
    pub(crate) fn form(
        &self,
        guest: &Guest,
        headers: &HeaderMap,
        body: &[u8],
        what: &str,
    ) -> Result<Parameters, Trouble> {
        if !self.is_our_page(headers) {
            return Err(Trouble::ForeignForm);
        }
        let form = Parameters::of_form(headers, body)?;
        let browser = guest.known.ok_or(Trouble::NoCookie)?;
        let sealed = form.get(SEAL).and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok()).ok_or(Trouble::Stale)?;
        let until = self.store.sealer().open("form", &guest.viewer(&browser, what), &sealed);
        let until = until.ok().and_then(|until| Some(i64::from_be_bytes(until.as_slice().try_into().ok()?)));
        match until {
            Some(until) if self.clock.now() < Timestamp::from_seconds(until) => Ok(form),
            _ => Err(Trouble::Stale),
        }
    }

    /// Where forms of our own pages lead besides ourselves and https sites: where the gateway does without TLS, to
    /// whoever does too.
    pub(crate) fn form_target(&self) -> Option<String> {
        (!self.origin.is_secure()).then(|| "http:".to_owned())
    }

    /// The gateway's own host, for people to look at.
    pub(crate) fn host(&self) -> String {
        pages::host_of(self.origin.as_str())
    }
}
