//! Every secret that there is in a long story is a canary. Afterwards none of them is found where it does not belong, in
//! whatever writing: not in the log at its most talkative, not in an answer, a page, a metric, a trace, a file of the
//! gateway, or with anybody else than the one that it is for.

use std::{collections::HashMap, path::Path, sync::Arc};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_policies::kit::clock::SystemClock;
use serde_json::json;

use super::link_in;
use crate::{
    connect::decide,
    harness::{
        Answer, Browser, OAuthClient, Page, Place, Process, Provider, Received, Reply, Request, Route, SECRET, Setup,
        Tokens, Upstream, VENDOR_TOKEN, Vendor, call, parameters, soon,
    },
};

const CLIENT_SECRET: &str = "canary-gateways-own-secret-at-the-vendor";
const KEY: &str = "canary-key-that-a-person-typed-in-4711";
const MASTER_KEY: &str = "9d0c4e7b1fa65238c7e09b3d5f18a462e4d2917bc08f36a5713e5dfa204b86c9";

/// Secrets, and all their writings.
struct Canaries(HashMap<[u8; LEAST], Vec<(String, Vec<u8>)>>);

/// Writings shorter than that say nothing.
const LEAST: usize = 12;

impl Canaries {
    fn of<'a>(secrets: impl IntoIterator<Item = &'a String>) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for secret in secrets {
            for writing in writings(secret).into_iter().filter(|writing| writing.len() >= LEAST) {
                let beginning = writing[..LEAST].try_into().unwrap();
                all.entry(beginning).or_default().push((secret.clone(), writing));
            }
        }
        assert!(all.len() > 8, "there are canaries");
        Self(all)
    }

    fn found_in(&self, text: &[u8]) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, beginning) in text.windows(LEAST).enumerate() {
            let known = self.0.get(beginning).into_iter().flatten();
            found.extend(known.filter(|(_, writing)| text[at..].starts_with(writing)).map(|(secret, _)| &**secret));
        }
        found
    }

    fn assert_not_in(&self, place: &str, text: &[u8]) {
        let found = self.found_in(text);
        assert!(
            found.is_empty(),
            "in {place}: {found:?}\n{}",
            String::from_utf8_lossy(&text[..text.len().min(20_000)])
        );
    }
}

/// A secret as it is, in hexadecimal, percent-encoded, and in base64, wherever in a longer text it stands.
fn writings(secret: &str) -> Vec<Vec<u8>> {
    let digits = secret.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex: String = digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect();
    let mut all = vec![secret.to_owned(), hex.to_uppercase(), hex];
    all.push(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string());
    for before in 0..3 {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        for coded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let end = coded.len() - usize::from(bytes.len() % 3 != 0);
            all.push(coded[(before * 8).div_ceil(6)..end].to_owned());
        }
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// Ada, at a gateway before everything that may get to know a secret.
struct Story {
    provider: Provider,
    vendor: Vendor,
    keyed: Upstream,
    bystander: Upstream,
    collector: Upstream,
    gateway: Process,
    place: Place,
    browser: Browser,
    tokens: Vec<Tokens>,
    /// Answers and pages.
    answers: Vec<String>,
    /// Links and codes, which go through the browser.
    passing: Vec<String>,
}

const ROUTES: [&str; 3] = ["/mcp", "/keys", "/open"];

impl Story {
    async fn begin() -> Self {
        let (provider, vendor) = (Provider::new(Arc::new(SystemClock)).await, Vendor::new(Arc::new(SystemClock)).await);
        vendor.knows_client("gateway", Some(CLIENT_SECRET));
        vendor.asks_for("a");
        let (keyed, bystander) = (Upstream::saying("with a key").await, Upstream::saying("nothing").await);
        let collector = Upstream::new(|_| Answer::body(200, "application/x-protobuf", "")).await;
        let gateway = setup(&provider, &vendor, &keyed, &bystander, &collector).spawn_with(&[
            ("RUST_LOG", "trace"),
            ("CANARY_MASTER_KEY", MASTER_KEY),
            ("CANARY_PROVIDER", SECRET),
            ("CANARY_VENDOR", CLIENT_SECRET),
        ]);
        let place = gateway.place().await;
        let browser = Browser::at(&place);
        let (tokens, answers, passing) = (Vec::new(), Vec::new(), Vec::new());
        Self { provider, vendor, keyed, bystander, collector, gateway, place, browser, tokens, answers, passing }
    }

    /// Signs in, for each route; the first time, at the provider.
    async fn sign_in(&mut self) {
        let client = OAuthClient::register(&self.place).await;
        for route in ROUTES {
            let mut back = client.to_provider(&mut self.browser, route).await;
            // From the second one on, the gateway knows who it is.
            if back.starts_with(&self.provider.issuer()) {
                back = self.provider.sign_in(&back, "ada");
                self.passing.push(parameters(&back).remove("code").unwrap());
                back = self.browser.open(&back).await.elsewhere();
            }
            let code = parameters(&back).remove("code").unwrap();
            self.tokens.push(Tokens::of(&client.redeem(&self.place, &code).await));
            self.passing.push(code);
        }
    }

    async fn call(&mut self, route: usize, tool: &str) -> Reply {
        let request = Request::post(ROUTES[route], &call(1, tool, &json!({}))).bearer(&self.tokens[route].access);
        let reply = self.place.ask(&request).await;
        self.answers.push(format!("{reply:?}"));
        reply
    }

    fn shown(&mut self, page: Page) -> Page {
        self.answers.push(page.text().to_owned());
        page
    }

    /// Follows the link of an answer as far as our page.
    async fn follow(&mut self, reply: &Reply) -> Page {
        let link = link_in(reply);
        self.passing.push(link.trim_start_matches("/connect/").to_owned());
        let page = self.browser.open(&link).await.page();
        self.shown(page)
    }

    /// Connects to the vendor, on the link of an answer.
    async fn connect(&mut self, reply: &Reply) {
        let page = self.follow(reply).await;
        let asked = decide(&mut self.browser, &page, "connect").await.elsewhere();
        let back = self.vendor.says_yes(&asked, "ada");
        self.passing.push(parameters(&back).remove("code").unwrap());
        // Twice: what comes back again is refused.
        for expected in ["is connected", "link_gone"] {
            let page = self.browser.open(&back).await.page();
            let page = self.shown(page);
            assert!(page.text().contains(expected), "{expected}: {}", page.text());
        }
    }

    /// The vendor's token endpoint fails in every way, and comes back.
    async fn faults(&mut self) {
        let html = Answer::body(502, "text/html", "<html>no</html>");
        let echo = Answer::body(400, "application/json", json!({ "error": "temporarily_unavailable" }).to_string());
        for answer in [Answer::status(500), html, Answer::status(429), echo, Answer::hang_up()] {
            self.vendor.answers(VENDOR_TOKEN, Some(answer));
            self.vendor.expires_tokens();
            assert_eq!(self.call(0, "whoami").await.status, 503);
        }
        self.vendor.answers(VENDOR_TOKEN, None);
        soon("the vendor is heard again", async { while self.call(0, "whoami").await.status != 200 {} }).await;
    }

    /// A key that cannot be sent, and one that can.
    async fn type_key(&mut self) {
        let reply = self.call(1, "whoami").await;
        let page = self.follow(&reply).await;
        let seal = page.field("form");
        for key in [format!("{KEY}\u{1}"), KEY.to_owned()] {
            let fields = [("form", seal.as_str()), ("decision", "connect"), ("key-token", &*key)];
            let page = self.browser.submit(&link_in(&reply), &fields).await.page();
            self.shown(page);
        }
        assert_eq!(self.call(1, "whoami").await.said(), "with a key");
    }

    async fn disconnect(&mut self) {
        let page = self.browser.open("/connections").await.page();
        let seal = self.shown(page).field("form");
        for upstream in ["vendor", "keyed"] {
            let fields = [("form", seal.as_str()), ("upstream", upstream), ("decision", "disconnect")];
            let page = self.browser.submit("/connections", &fields).await.page();
            self.shown(page);
        }
    }

    async fn is_told(&mut self) {
        self.sign_in().await;
        let reply = self.call(0, "whoami").await;
        self.connect(&reply).await;
        assert_eq!(self.call(0, "whoami").await.said(), "ada");
        self.vendor.expires_tokens();
        assert_eq!(self.call(0, "whoami").await.said(), "ada");
        self.vendor.demands("write", "b");
        let reply = self.call(0, "write").await;
        self.connect(&reply).await;
        assert_eq!(self.call(0, "write").await.said(), "ada");
        self.type_key().await;
        assert_eq!(self.call(2, "whoami").await.said(), "nothing");
        self.faults().await;
        let metrics = self.place.ask(&Request::get("/metrics")).await;
        self.answers.push(metrics.text().to_owned());
        self.files_hold_nothing("while it runs");
        self.disconnect().await;
        self.vendor.revokes("ada");
        self.call(0, "whoami").await;
    }

    /// What nobody may get to know, except those that are `left` out.
    fn secrets(&self, left: &[&[String]]) -> Canaries {
        let cookies = self.browser.cookies().iter().map(|(_, value)| value.clone());
        let tokens = self.tokens.iter().flat_map(|tokens| [tokens.access.clone(), tokens.refresh.clone()]);
        let fixed = [KEY, MASTER_KEY, CLIENT_SECRET, SECRET].map(ToOwned::to_owned);
        let known = [self.provider.secrets(), self.vendor.secrets(), self.passing.clone()].concat();
        let all: Vec<_> = known.into_iter().chain(cookies).chain(tokens).chain(fixed).collect();
        Canaries::of(all.iter().filter(|secret| !left.iter().any(|left| left.contains(secret))))
    }

    fn files_hold_nothing(&self, when: &str) {
        let (canaries, mut files) = (self.secrets(&[]), 0);
        for path in files_in(self.gateway.folder()) {
            let content = std::fs::read(&path).unwrap_or_default();
            canaries.assert_not_in(&format!("{} {when}", path.display()), &content);
            files += usize::from(!content.is_empty());
        }
        assert!(files >= 2, "the configuration and the store at least");
    }

    fn nobody_else_knows(&self) {
        let own = |kind: &str| -> Vec<String> {
            self.vendor.secrets().into_iter().filter(|secret| secret.contains(kind)).collect()
        };
        let access = own("-access-");
        self.secrets(&[&access]).assert_not_in("what the vendor's MCP server got", &bytes(&self.vendor.at_resource()));
        let (vendors, passing) = (self.vendor.secrets(), self.passing.clone());
        let at_server = bytes(&self.vendor.at_server());
        self.secrets(&[&vendors, &passing]).assert_not_in("what the vendor's sign-in got", &at_server);
        let everything = self.secrets(&[]);
        let found = everything.found_in(&at_server);
        assert!(found.contains(&CLIENT_SECRET), "the search finds what is there, also in base64: {found:?}");
        let providers = self.provider.secrets();
        self.secrets(&[&providers, &passing]).assert_not_in("what the provider got", &bytes(&self.provider.received()));
        self.secrets(&[&[KEY.to_owned()]]).assert_not_in("what the keyed upstream got", &bytes(&self.keyed.requests()));
        for (name, upstream) in [("the bystander", &self.bystander), ("the collector", &self.collector)] {
            assert!(upstream.count() > 0);
            self.secrets(&[]).assert_not_in(name, &bytes(&upstream.requests()));
        }
    }
}

fn setup(provider: &Provider, vendor: &Vendor, keyed: &Upstream, bystander: &Upstream, collector: &Upstream) -> Setup {
    let mut sign_in = provider.options();
    sign_in["browserLogin"]["clientSecret"] = json!("$env(CANARY_PROVIDER)");
    let registration = json!({ "mode": "manual", "clientId": "gateway", "clientSecret": "$env(CANARY_VENDOR)" });
    let by_oauth = json!({ "id": "vendor", "displayName": "Vendor", "clientRegistration": registration });
    let by_key = json!({
        "id": "keyed", "displayName": "Keyed", "authMode": "user-key", "keys": [{ "name": "token", "label": "Token" }],
    });
    let route = |url: &str| Route::url(url).policy("mcp-oauth-inbound", &sign_in);
    let own =
        |url: &str, options| route(url).policy("upstream-auth-retry", &json!({})).policy("mcp-token-exchange", options);
    Setup::new()
        .route(ROUTES[0], own(&vendor.url(), &by_oauth))
        .route(ROUTES[1], own(&keyed.url(), &by_key))
        .route(ROUTES[2], route(&bystander.url()))
        .gateway("publicUrl", json!("http://localhost:9"))
        .gateway("encryptionKey", json!("$env(CANARY_MASTER_KEY)"))
        .gateway("telemetry", json!({ "otlp": format!("http://{}", collector.address()) }))
}

fn bytes(requests: &[Received]) -> Vec<u8> {
    requests.iter().flat_map(|request| [request.head.as_bytes(), &request.body].concat()).collect()
}

fn files_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_c6_cl_13_cl_14_of_all_secrets_of_a_long_story_none_is_where_it_does_not_belong() {
    let mut story = Story::begin().await;
    story.is_told().await;
    story.gateway.signal("TERM");
    crate::harness::until("the gateway ends", || story.gateway.has_ended()).await;
    let (log, everything) = (story.gateway.lines().join("\n"), story.secrets(&[]));
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "the log says all it can");
    everything.assert_not_in("the log", log.as_bytes());
    // The links of answers are for whoever gets them.
    story.secrets(&[&story.passing]).assert_not_in("answers and pages", story.answers.join("\n").as_bytes());
    story.files_hold_nothing("afterwards");
    story.nobody_else_knows();
}
