//! The provider that asks for no password: a page that takes anybody's word, for trying things out on loopback.

use axum::response::Response;
use http::HeaderMap;
use portcullis_policies::kit::{
    host::Identity,
    sign_in::{Provider, SignIn},
};

use super::{
    Authority,
    browser::Browser,
    form::Parameters,
    pages::{self, Trouble},
    provider::Begun,
    purpose::Purpose,
    router::Visitor,
};

impl Authority {
    pub(super) async fn begin_dev_login(
        &self,
        browser: &Browser,
        purpose: Purpose,
        sign_in: &SignIn,
    ) -> Result<Response, Trouble> {
        let (state, cookie) = self.begin(browser, &Begun::new(purpose, sign_in), sign_in).await?;
        Ok(pages::with_cookies(pages::see_other(&format!("/oauth/dev-login?state={state}")), Some(cookie)))
    }

    pub(super) fn dev_login_page(&self, visitor: &Visitor, query: &str) -> Response {
        match Parameters::parse(query).ok().and_then(|mut parameters| parameters.take("state")) {
            Some(state) if self.origin.is_loopback() => {
                let target = self.options.registration.redirect_schemes.iter();
                let target = target.fold("http:".to_owned(), |all, scheme| all + " " + scheme + ":");
                pages::DevLogin { host: pages::host_of(self.origin.as_str()), state, target }.show()
            }
            _ => pages::trouble(visitor, &Trouble::Stale),
        }
    }

    pub(super) async fn dev_login(&self, visitor: &Visitor, headers: &HeaderMap, body: &[u8]) -> Response {
        pages::or_trouble(visitor, self.accept_name(headers, body).await)
    }

    async fn accept_name(&self, headers: &HeaderMap, body: &[u8]) -> Result<Response, Trouble> {
        if !self.is_our_page(headers) {
            return Err(Trouble::ForeignForm);
        }
        let form = Parameters::of_form(headers, body)?;
        let browser = Browser::of(headers, &self.origin);
        let (begun, forget) = self.resume(&browser, form.get("state").unwrap_or_default()).await?;
        let sign_in = self.routes.sign_in(begun.purpose.route()).ok_or(Trouble::Stale)?;
        if !begun.is_at(&sign_in) || !matches!(sign_in.provider, Provider::Dev) || !self.origin.is_loopback() {
            return Err(Trouble::Stale);
        }
        let name = form.get("name").map(str::trim).filter(|name| is_name(name));
        let name = name.ok_or(Trouble::BadRequest("a name has 1 to 64 letters, digits and - _ . @"))?;
        let response = self.signed_in(&browser, &begun, identity(name).into(), &sign_in).await?;
        Ok(pages::with_cookies(response, Some(forget)))
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
}

/// Somebody who says to be `name`.
fn identity(name: &str) -> Identity {
    Identity {
        subject: format!("dev|{name}").into(),
        email: name.contains('@').then(|| name.to_owned()),
        name: Some(name.to_owned()),
        ..Identity::default()
    }
}
