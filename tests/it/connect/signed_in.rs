//! Credentials that are given for what a person signed in with: nobody has to connect.

use std::{collections::HashMap, sync::Arc, time::Duration};

use portcullis_policies::kit::{
    clock::{Clock, ManualClock, SystemClock},
    jwt::{Algorithm, SigningKey},
};
use serde_json::{Value, json};

use super::renewing;
use crate::harness::{
    Answer, Gateway, MCP, OAuthClient, Provider, Reply, Request, Route, Setup, Tokens, Upstream, VENDOR_TOKEN, Vendor,
    call, sign,
};

const SECRET: &str = "canary-known-secret";
const AUDIENCE: &str = "https://mcp.example.com/files";

async fn whoami(gateway: &Gateway, token: &str) -> Reply {
    gateway.ask(&Request::post("/mcp", &call(1, "whoami", &json!({}))).bearer(token)).await
}

fn client() -> Value {
    json!({ "clientId": "gateway", "clientSecret": SECRET })
}

/// A vendor that knows the gateway.
async fn knowing(clock: Arc<dyn Clock>) -> Vendor {
    let vendor = Vendor::new(clock).await;
    vendor.knows_client("gateway", Some(SECRET));
    vendor
}

/// People who sign in with a provider, and the ID tokens that came of it.
struct Story {
    vendor: Vendor,
    provider: Provider,
    gateway: Gateway,
    clock: Arc<ManualClock>,
}

impl Story {
    async fn begin(options: impl FnOnce(&Vendor) -> Value) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let (vendor, provider) = (knowing(clock.clone()).await, Provider::new(clock.clone()).await);
        let route = Route::url(&vendor.url()).policy("mcp-oauth-inbound", &provider.options());
        let route = renewing(route, &options(&vendor));
        let gateway = Setup::new().clock(clock.clone()).route("/mcp", route).start().await;
        Self { vendor, provider, gateway, clock }
    }

    async fn sign_in(&self, name: &str) -> Tokens {
        OAuthClient::register(&self.gateway).await.through(&self.provider, &self.gateway, "/mcp", name).await
    }

    /// Nothing that the provider gave to the gateway, and nothing that the gateway gave to people, is shown to the tools.
    fn assert_tools_saw_none_of(&self, people: &[&Tokens]) {
        let own = people.iter().flat_map(|tokens| [tokens.access.clone(), tokens.refresh.clone()]);
        let own: Vec<_> = own.chain(self.provider.secrets()).collect();
        for request in self.vendor.received(MCP) {
            assert!(own.iter().all(|own| !request.head.contains(own.as_str())), "{}", request.head);
        }
    }
}

#[tokio::test]
async fn sec_a8_an_id_token_is_exchanged_for_a_token_of_the_person_over_there() {
    let exchange = |vendor: &Vendor| {
        let exchange = json!({
            "tokenUrl": vendor.endpoint(VENDOR_TOKEN), "clientAuth": client(), "audience": "files",
        });
        json!({ "authMode": "token-exchange", "scopes": ["read"], "tokenExchange": exchange })
    };
    let story = Story::begin(exchange).await;
    let (ada, bob) = (story.sign_in("ada").await, story.sign_in("bob").await);
    for _ in 0..2 {
        assert_eq!(whoami(&story.gateway, &ada.access).await.said(), "ada");
        assert_eq!(whoami(&story.gateway, &bob.access).await.said(), "bob");
    }
    assert_eq!(story.vendor.counts().direct, 2, "one for each");
    let form = story.vendor.last_form(VENDOR_TOKEN);
    assert_eq!(form["subject_token_type"], "urn:ietf:params:oauth:token-type:id_token");
    assert_eq!((form["audience"].as_str(), form["scope"].as_str()), ("files", "read"));
    assert!(story.provider.secrets().contains(&form["subject_token"]), "it is the provider's ID token");
    story.assert_tools_saw_none_of(&[&ada, &bob]);

    // What the vendor takes no more is exchanged anew, also with an ID token that is over by then.
    story.clock.advance(Duration::from_mins(5));
    story.vendor.forgets_calls();
    assert_eq!(whoami(&story.gateway, &story.sign_in("ada").await.access).await.said(), "ada");
    assert_eq!((story.vendor.counts().direct, story.vendor.asked(MCP)), (3, 1));
    assert_ne!(story.vendor.last_form(VENDOR_TOKEN)["subject_token"], form["subject_token"]);
    story.vendor.expires_tokens();
    assert_eq!(whoami(&story.gateway, &story.sign_in("ada").await.access).await.said(), "ada");
    assert_eq!((story.vendor.counts().direct, story.vendor.asked(MCP)), (4, 3));
}

#[tokio::test]
async fn an_assertion_of_the_provider_is_redeemed_at_the_vendor() {
    let jag = |vendor: &Vendor| {
        let token = vendor.endpoint(VENDOR_TOKEN);
        let idp = json!({ "tokenUrl": token, "clientAuth": client() });
        let other = json!({ "tokenUrl": token, "audience": vendor.issuer(), "clientAuth": client() });
        let jag = json!({ "scopes": ["files:read"], "sendScope": false, "idp": idp, "resourceAs": other });
        json!({ "authMode": "id-jag", "idJag": jag })
    };
    let story = Story::begin(jag).await;
    let ada = story.sign_in("ada").await;
    assert_eq!(whoami(&story.gateway, &ada.access).await.said(), "ada");
    let asked = story.vendor.received(VENDOR_TOKEN);
    let forms: Vec<HashMap<_, _>> =
        asked.iter().map(|asked| url::form_urlencoded::parse(&asked.body).into_owned().collect()).collect();
    let [assertion, redemption] = &forms[..] else { panic!("{forms:?}") };
    assert_eq!(assertion["requested_token_type"], "urn:ietf:params:oauth:token-type:id-jag");
    assert_eq!((&assertion["audience"], &assertion["resource"]), (&story.vendor.issuer(), &story.vendor.url()));
    assert_eq!(assertion["scope"], "files:read");
    assert!(story.provider.secrets().contains(&assertion["subject_token"]));
    assert_eq!(redemption["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert!(
        redemption["assertion"].ends_with("canary-assertion") && !redemption.contains_key("scope"),
        "{redemption:?}"
    );

    assert_eq!(whoami(&story.gateway, &ada.access).await.said(), "ada");
    assert_eq!(story.vendor.asked(VENDOR_TOKEN), 2, "it is kept while it is good");
    story.vendor.expires_tokens();
    assert_eq!(whoami(&story.gateway, &ada.access).await.said(), "ada");
    assert_eq!((story.vendor.asked(VENDOR_TOKEN), story.vendor.counts().direct), (4, 2));
    story.assert_tools_saw_none_of(&[&ada]);
}

/// Somebody outside whose tokens are good at the gateway.
struct Issuer {
    server: Upstream,
    key: SigningKey,
}

impl Issuer {
    async fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let published = json!({ "keys": [key.public_jwk().clone()] });
        Self { server: Upstream::new(move |_| Answer::json(&published)).await, key }
    }

    fn name(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn token(&self, subject: &str, minutes: i64) -> String {
        let now = SystemClock.now().as_seconds();
        let times = json!({ "iat": now, "exp": now + 60 * minutes });
        let mut claims = json!({ "iss": self.name(), "aud": AUDIENCE, "sub": subject });
        claims.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        sign(&self.key, &claims)
    }

    /// A route for its people, whose tokens the vendor exchanges.
    fn route(&self, vendor: &Vendor) -> Route {
        let issuer = json!({ "issuer": self.name(), "jwksUrl": format!("{}/jwks", self.name()) });
        let inbound = json!({ "issuers": [issuer], "audience": AUDIENCE });
        let token = vendor.endpoint(VENDOR_TOKEN);
        let exchange = json!({ "tokenUrl": token, "clientAuth": client(), "subjectToken": "inbound" });
        let route = Route::url(&vendor.url()).policy("jwt-inbound", &inbound);
        renewing(route, &json!({ "authMode": "token-exchange", "tokenExchange": exchange }))
    }
}

#[tokio::test]
async fn sec_a8_the_token_of_the_call_itself_is_exchanged_and_never_passed_on() {
    let (issuer, vendor) = (Issuer::new().await, knowing(Arc::new(SystemClock)).await);
    let gateway = Setup::new().route("/mcp", issuer.route(&vendor)).start().await;
    let (ada, bob) = (issuer.token("ada", 5), issuer.token("bob", 5));
    for (token, name) in [(&ada, "ada"), (&bob, "bob")] {
        assert_eq!(whoami(&gateway, token).await.said(), name);
        assert_eq!(vendor.last_form(VENDOR_TOKEN)["subject_token"], *token);
    }
    assert_eq!(whoami(&gateway, &ada).await.said(), "ada");
    assert_eq!(vendor.counts().direct, 2);
    // Another token of hers may be worth less: what came of the first is not for it.
    let next = issuer.token("ada", 6);
    assert_eq!(whoami(&gateway, &next).await.said(), "ada");
    assert_eq!(vendor.last_form(VENDOR_TOKEN)["subject_token"], next);
    assert_eq!(vendor.counts().direct, 3);
    vendor.expires_tokens();
    assert_eq!(whoami(&gateway, &next).await.said(), "ada");
    assert_eq!(vendor.last_form(VENDOR_TOKEN)["subject_token"], next);
    for request in vendor.received(MCP) {
        assert!([&ada, &bob, &next].iter().all(|inbound| !request.head.contains(inbound.as_str())), "{}", request.head);
    }
}
