//! A browser, as far as signing in needs one: it keeps cookies, and sends each to the paths that it is for, follows redirects as long as they stay with the gateway,
//! and fills in forms.

use super::{Client, Place, Reachable, Reply, Request};

/// A browser with a cookie jar of its own.
#[derive(Clone)]
pub(crate) struct Browser {
    gateway: Place,
    cookies: Vec<(String, String)>,
    /// The paths that each of them is for.
    paths: Vec<String>,
}

/// Where a browser ended up: on a page of the gateway, or with somebody else.
#[derive(Debug)]
pub(crate) enum Landed {
    Page(Box<Page>),
    Elsewhere(String),
}

/// A page that is shown.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) reply: Reply,
    /// Its path and query.
    pub(crate) at: String,
}

impl Landed {
    pub(crate) fn page(self) -> Page {
        match self {
            Self::Page(page) => *page,
            Self::Elsewhere(url) => panic!("the browser left for {url}"),
        }
    }

    pub(crate) fn elsewhere(self) -> String {
        match self {
            Self::Elsewhere(url) => url,
            Self::Page(page) => panic!("the browser stays at {}:\n{}", page.at, page.reply.text()),
        }
    }
}

impl Page {
    pub(crate) fn text(&self) -> &str {
        self.reply.text()
    }

    /// The value of a field of the first form that has one.
    pub(crate) fn field(&self, name: &str) -> String {
        let text = self.text();
        let from = text.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no field {name:?}:\n{text}"));
        let value = &text[from..];
        let value = &value[value.find("value=\"").unwrap() + 7..];
        value[..value.find('"').unwrap()].to_owned()
    }
}

impl Page {
    /// Where its only button that is a link leads.
    pub(crate) fn link(&self) -> String {
        let text = self.text();
        let from = text.find("class=\"button\" href=\"").unwrap_or_else(|| panic!("no link:\n{text}"));
        let target = text[from..].split('"').nth(3).unwrap();
        target.replace("&#38;", "&").replace("&amp;", "&")
    }
}

impl Browser {
    pub(crate) fn at(gateway: &impl Reachable) -> Self {
        Self { gateway: gateway.place(), cookies: Vec::new(), paths: Vec::new() }
    }

    /// The same browser, when the gateway has moved to another port behind its public address.
    pub(crate) fn moved_to(&self, gateway: &impl Reachable) -> Self {
        Self { gateway: gateway.place(), cookies: self.cookies.clone(), paths: self.paths.clone() }
    }

    pub(crate) fn cookies(&self) -> &[(String, String)] {
        &self.cookies
    }

    pub(crate) async fn open(&mut self, url: &str) -> Landed {
        let request = Request::get(&self.path_of(url));
        self.go(request, url.to_owned()).await
    }

    /// Sends a form from a page of the gateway, as browsers do.
    pub(crate) async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Landed {
        let request = form(path, fields).header("Origin", &self.gateway.origin).header("Sec-Fetch-Site", "same-origin");
        self.go(request, path.to_owned()).await
    }

    /// Sends any request with this browser's cookies, and stays where it is.
    pub(crate) async fn ask(&mut self, request: Request) -> Reply {
        let reply = Client::to(self.gateway.address).await.ask(&self.with_cookies(request)).await;
        for cookie in reply.all("set-cookie") {
            self.take(cookie);
        }
        reply
    }

    /// A request with this browser's cookies.
    pub(crate) fn with_cookies(&self, request: Request) -> Request {
        let sent = self.cookies.iter().zip(&self.paths).filter(|(_, path)| is_for(path, request.path()));
        let cookies: Vec<_> = sent.map(|((name, value), _)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header("Cookie", &cookies.join("; ")) }
    }

    async fn go(&mut self, mut request: Request, mut at: String) -> Landed {
        for _ in 0..10 {
            let reply = self.ask(request).await;
            let Some(location) = reply.header("location").map(ToOwned::to_owned) else {
                return Landed::Page(Box::new(Page { reply, at }));
            };
            assert!(matches!(reply.status, 302 | 303), "{} must not repeat a form", reply.status);
            if !location.starts_with('/') && !location.starts_with(&format!("{}/", self.gateway.origin)) {
                return Landed::Elsewhere(location);
            }
            request = Request::get(&self.path_of(&location));
            at = location;
        }
        panic!("the browser runs in circles at {at}");
    }

    fn path_of(&self, url: &str) -> String {
        url.strip_prefix(&self.gateway.origin).unwrap_or(url).to_owned()
    }

    fn take(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').unwrap();
        let path = attributes.split("Path=").nth(1).and_then(|rest| rest.split(';').next()).unwrap_or("/").to_owned();
        if let Some(at) = self.cookies.iter().zip(&self.paths).position(|((known, _), at)| known == name && *at == path)
        {
            self.cookies.remove(at);
            self.paths.remove(at);
        }
        if !attributes.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.push((name.to_owned(), value.to_owned()));
            self.paths.push(path);
        }
    }
}

/// Does a cookie for this path go to that one (RFC 6265 §5.1.4)?
fn is_for(cookie: &str, path: &str) -> bool {
    let rest = path.split('?').next().unwrap_or_default().strip_prefix(cookie);
    rest.is_some_and(|rest| cookie.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

/// A POST of a form.
pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::new("POST", path).header("Content-Type", "application/x-www-form-urlencoded").body(body)
}
