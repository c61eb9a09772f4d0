//! Stories about connecting to an upstream: the link, our page, the upstream's sign-in, and the way back.

mod approved;
mod audience;
mod callback;
mod command;
mod connections;
mod documents;
mod flow;
mod forms;
mod keys;
mod links;
mod modes;
mod others;
mod registration;
mod renewal;
mod revoked;
mod scopes;
mod sessions;
mod signed_in;
mod subject_tokens;

use std::sync::Arc;

use portcullis_policies::kit::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::harness::{
    Browser, Gateway, Landed, OAuthClient, Page, Place, Reachable, Reply, Request, Route, Setup, Tokens, Vendor, call,
};

/// A vendor, and a gateway whose route `/mcp` leads there in the name of each person.
struct Story {
    vendor: Vendor,
    gateway: Gateway,
}

/// A route to a vendor, by its sign-in.
fn to(vendor: &Vendor, id: &str) -> Route {
    let options = json!({ "id": id, "displayName": "Vendor & Sons", "summary": "Your issues at Vendor." });
    Route::url(&vendor.url()).policy("dev-login", &json!({})).policy("mcp-token-exchange", &options)
}

/// The policies of a route to a vendor, behind its sign-in: what is refused is renewed and sent once more.
fn renewing(route: Route, more: &Value) -> Route {
    let mut options = json!({ "id": "vendor", "displayName": "Vendor & Sons" });
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    route.policy("upstream-auth-retry", &json!({})).policy("mcp-token-exchange", &options)
}

/// A route on which people sign in by name.
fn by_name(vendor: &Vendor) -> Route {
    Route::url(&vendor.url()).policy("dev-login", &json!({}))
}

async fn vendor() -> Vendor {
    Vendor::new(Arc::new(SystemClock)).await
}

impl Story {
    async fn begin() -> Self {
        Self::by(Arc::new(SystemClock)).await
    }

    /// With `upstream-auth-retry`, and with more options of `mcp-token-exchange`.
    async fn renewing(vendor: Vendor, more: &Value) -> Self {
        let gateway = Setup::new().route("/mcp", renewing(by_name(&vendor), more)).start().await;
        Self { vendor, gateway }
    }

    async fn by(clock: Arc<dyn Clock>) -> Self {
        let vendor = Vendor::new(Arc::clone(&clock)).await;
        let gateway = Setup::new().clock(clock).route("/mcp", to(&vendor, "vendor")).start().await;
        Self { vendor, gateway }
    }

    /// Somebody signs in, with a client and a browser of their own.
    async fn person(&self, name: &str) -> Person {
        Person::at(&self.gateway, name).await
    }

    /// Nobody is connected, and whoever calls is asked to connect.
    async fn assert_unchanged(&self, people: &[&Person]) {
        assert_eq!((self.vendor.connected(), self.vendor.counts().codes), (Vec::<String>::new(), 0));
        for person in people {
            person.link().await;
        }
    }
}

/// Somebody with a client that is signed in, and with a browser.
pub(crate) struct Person {
    pub(crate) browser: Browser,
    pub(crate) place: Place,
    pub(crate) tokens: Tokens,
}

impl Person {
    async fn at(gateway: &impl Reachable, name: &str) -> Self {
        Self::with(&OAuthClient::register(gateway).await, gateway, name).await
    }

    /// With a client that is registered already.
    pub(crate) async fn with(client: &OAuthClient, gateway: &impl Reachable, name: &str) -> Self {
        let mut browser = Browser::at(gateway);
        let code = client.code(&mut browser, "/mcp", name).await;
        let tokens = Tokens::of(&client.redeem(gateway, &code).await);
        Self { browser, place: gateway.place(), tokens }
    }

    /// Calls a tool that says in whose name.
    pub(crate) async fn call(&self) -> Reply {
        self.use_tool("whoami").await
    }

    async fn use_tool(&self, tool: &str) -> Reply {
        self.ask(Request::post("/mcp", &call(1, tool, &json!({})))).await
    }

    async fn ask(&self, request: Request) -> Reply {
        self.place.ask(&request.bearer(&self.tokens.access)).await
    }

    /// The link that a call gets while nobody is connected.
    pub(crate) async fn link(&self) -> String {
        self.link_in(&self.call().await)
    }

    fn link_in(&self, reply: &Reply) -> String {
        let link = reply.text().find(&format!("{}/connect/", self.place.origin));
        let link = &reply.text()[link.unwrap_or_else(|| panic!("no link in {}", reply.text()))..];
        let inside = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
        link[..link.find(|c| !inside(c)).unwrap()].trim_end_matches('.').to_owned()
    }

    /// Says yes on our page; returns where the browser is sent.
    pub(crate) async fn agree(&mut self, link: &str) -> String {
        let page = self.browser.open(link).await.page();
        decide(&mut self.browser, &page, "connect").await.elsewhere()
    }

    /// Connects, as `account` over there.
    pub(crate) async fn connect(&mut self, vendor: &Vendor, account: &str) -> Page {
        let link = self.link().await;
        let asked = self.agree(&link).await;
        self.browser.open(&vendor.says_yes(&asked, account)).await.page()
    }
}

/// Whoever was connected is asked to connect once more.
fn assert_once_more(reply: &Reply) {
    let message = reply.messages().pop().unwrap_or_default();
    let required = &message["result"]["_meta"]["portcullis/connectRequired"];
    assert_eq!(required["state"], "reconsent_required", "{reply:?}");
}

/// Presses a button of a page's first form.
pub(crate) async fn decide(browser: &mut Browser, page: &Page, decision: &str) -> Landed {
    let seal = page.field("form");
    browser.submit(path(&page.at), &[("form", &seal), ("decision", decision)]).await
}

/// Says on the page of the sign-in without a password who one is.
async fn say_name(browser: &mut Browser, page: &Page, name: &str) -> Page {
    browser.submit("/oauth/dev-login", &[("state", &page.field("state")), ("name", name)]).await.page()
}

/// The path of an address of the gateway.
fn path(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/').unwrap_or(rest.len())..],
        None => url,
    }
}

/// The page refuses, and says which way.
fn assert_refused(page: &Page, status: u16, code: &str) {
    assert_eq!(page.reply.status, status, "{}", page.text());
    assert!(page.text().contains(code), "{code}:\n{}", page.text());
    assert_eq!(page.reply.header("cache-control"), Some("no-store"));
}
