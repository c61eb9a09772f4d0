//! What a browser keeps for us: which browser it is, who signed in with it, and which sign-ins it began.
//!
//! With TLS all cookies are `__Host-` ones (RFC 6265bis §4.1.3.2): no other host and no plain connection can set them.
//! Without it, on loopback, browsers do not take such cookies, so they have plain names there.

use std::time::Duration;

use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, header::COOKIE};
use portcullis_policies::kit::random;

use super::{Authority, origin::Origin};
use crate::store::{Digest, SessionRecord, StoreError};

/// The cookies that a browser sent.
#[derive(Debug)]
pub(super) struct Browser {
    cookies: Vec<(String, String)>,
    secure: bool,
}

/// A cookie to be set, for each of the paths that get it.
#[derive(Debug)]
pub(super) struct SetCookie(pub(super) Vec<HeaderValue>);

/// Which cookie.
#[derive(Clone, Debug)]
pub(super) enum CookieName {
    /// Which browser it is, for forms.
    Browser,
    /// Who signed in.
    Session,
    /// A sign-in that was begun, by its state: a browser may have begun several.
    Login(Digest),
}

impl CookieName {
    fn text(&self, secure: bool) -> String {
        let prefix = if secure { "__Host-" } else { "" };
        match self {
            Self::Browser => format!("{prefix}portcullis-browser"),
            Self::Session => format!("{prefix}portcullis-session"),
            Self::Login(state) => format!("{prefix}portcullis-login-{}", &state.to_string()[..16]),
        }
    }

    /// Which paths get it. A `__Host-` cookie is for all. Without TLS, on loopback, the other ports of this machine get
    /// our cookies too, so there each is for no more of our pages than look at it: those ports see fewer of them.
    fn paths(&self, secure: bool) -> &'static [&'static str] {
        match self {
            _ if secure => &["/"],
            Self::Browser | Self::Session => &["/oauth", "/connect", "/connections", "/approvals", "/audit", "/pins"],
            Self::Login(_) => &["/oauth"],
        }
    }
}

impl Browser {
    pub(super) fn of(headers: &HeaderMap, origin: &Origin) -> Self {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
        let cookies = pairs.map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned())).collect();
        Self { cookies, secure: origin.is_secure() }
    }

    /// A cookie's value. One that is there twice was set by somebody else too, and counts as absent.
    pub(super) fn get(&self, name: &CookieName) -> Option<&str> {
        let name = name.text(self.secure);
        let mut values = self.cookies.iter().filter(|(cookie, _)| *cookie == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// The digest of a cookie's value: the store and sealed forms only know that.
    pub(super) fn digest(&self, name: &CookieName) -> Option<Digest> {
        self.get(name).map(|value| Digest::of(value.as_bytes()))
    }

    /// Which browser it is, and the cookie to be set if it is a new one.
    pub(super) fn identify(&self) -> (Digest, Option<SetCookie>) {
        match self.digest(&CookieName::Browser) {
            Some(digest) => (digest, None),
            None => {
                let value = random::secret();
                (Digest::of(value.as_bytes()), Some(self.set(&CookieName::Browser, &value, None)))
            }
        }
    }

    /// A cookie for this browser; without `lasting` until it is closed.
    pub(super) fn set(&self, name: &CookieName, value: &str, lasting: Option<Duration>) -> SetCookie {
        let cookie = |path| self.cookie(name, value, lasting, path);
        SetCookie(
            name.paths(self.secure).iter().filter_map(|path| HeaderValue::from_str(&cookie(*path)).ok()).collect(),
        )
    }

    fn cookie(&self, name: &CookieName, value: &str, lasting: Option<Duration>, path: &str) -> String {
        let mut cookie = Cookie::build((name.text(self.secure), value.to_owned()))
            .path(path.to_owned())
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Lax);
        if let Some(lasting) = lasting {
            let seconds = i64::try_from(lasting.as_secs()).unwrap_or(i64::MAX);
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        cookie.build().to_string()
    }

    /// Takes a cookie away.
    pub(super) fn forget(&self, name: &CookieName) -> SetCookie {
        self.set(name, "", Some(Duration::ZERO))
    }
}

impl Authority {
    /// Who is signed in with this browser at this provider.
    pub(super) async fn session(&self, browser: &Browser, provider: &str) -> Result<Option<SessionRecord>, StoreError> {
        Ok(self.any_session(browser).await?.filter(|session| session.provider == provider))
    }

    /// Who is signed in with this browser, wherever.
    pub(super) async fn any_session(&self, browser: &Browser) -> Result<Option<SessionRecord>, StoreError> {
        let Some(id) = browser.digest(&CookieName::Session) else { return Ok(None) };
        let session = self.store.session(&self.tenant, &id).await?;
        Ok(session.filter(|session| self.clock.now() < session.expires_at))
    }
}
