//! `/oauth/logout`: a browser forgets who sat in front of it.

use axum::response::Response;
use http::HeaderMap;

use super::{
    Authority,
    browser::{Browser, CookieName},
    error::OAuthError,
    form::Parameters,
    pages::{self, Trouble},
    router::Visitor,
};

impl Authority {
    pub(super) fn logout_page(&self) -> Response {
        pages::Logout { host: pages::host_of(self.origin.as_str()), done: false }.show()
    }

    pub(super) async fn logout(&self, visitor: &Visitor, headers: &HeaderMap, body: &[u8]) -> Response {
        if !self.is_our_page(headers) {
            return pages::trouble(visitor, &Trouble::ForeignForm);
        }
        let everywhere = Parameters::of_form(headers, body).is_ok_and(|form| form.get("everywhere") == Some("yes"));
        let browser = Browser::of(headers, &self.origin);
        match self.end_session(&browser, everywhere).await {
            Ok(()) => {
                let page = pages::Logout { host: pages::host_of(self.origin.as_str()), done: true }.show();
                pages::with_cookies(page, Some(browser.forget(&CookieName::Session)))
            }
            Err(_) => pages::trouble(visitor, &Trouble::Store),
        }
    }

    async fn end_session(&self, browser: &Browser, everywhere: bool) -> Result<(), OAuthError> {
        let Some(id) = browser.digest(&CookieName::Session) else { return Ok(()) };
        let session = self.store.session(&self.tenant, &id).await?;
        let mut work = self.store.begin(&self.tenant).await?;
        work.delete_session(&id).await?;
        work.commit().await?;
        match session.filter(|_| everywhere) {
            Some(session) => self.revoke_all_of(&session.subject, "they signed out everywhere").await,
            None => Ok(()),
        }
    }
}
