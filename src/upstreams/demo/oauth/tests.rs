//! The sign-in of the sample server, seen from a client and from a browser.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use portcullis_policies::kit::clock::{ManualClock, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt;
use url::Url;

use super::{Counts, KnownClient, OAuthOptions, ProtectedDemo};

const ORIGIN: &str = "http://127.0.0.1:8090";
const REDIRECT: &str = "https://gateway.example/connect/callback/demo?x=1";
/// RFC 7636 Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server, the clock that it goes by, and a client that it knows.
struct Story {
    demo: ProtectedDemo,
    clock: Arc<ManualClock>,
    router: Router,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The parameters with which the browser is sent back to the client.
    fn sent_back(&self) -> HashMap<String, String> {
        let url = Url::parse(self.header("location")).unwrap_or_else(|_| panic!("{} {}", self.status, self.text));
        assert!(url.as_str().starts_with("https://gateway.example/connect/callback/demo?x=1&"), "{url}");
        url.query_pairs().into_owned().collect()
    }
}

#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

impl Story {
    fn new() -> Self {
        Self::with(|options| options)
    }

    fn with(change: impl FnOnce(OAuthOptions) -> OAuthOptions) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let known = KnownClient {
            id: "gateway".to_owned(),
            secret: SecretString::from("a secret"),
            redirect_uris: vec![REDIRECT.to_owned()],
        };
        let options = OAuthOptions { clients: vec![known], ..OAuthOptions::at(ORIGIN) };
        let demo = ProtectedDemo::new(change(options), clock.clone());
        Self { router: demo.router(), demo, clock }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Reply { status: head.status, headers: head.headers, text }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).header("host", "127.0.0.1:8090").body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Asks the token endpoint as the client that is known.
    async fn token(&self, fields: &[(&str, &str)]) -> Reply {
        let client = [("client_id", "gateway"), ("client_secret", "a secret")];
        self.post("/token", &[fields, &client].concat()).await
    }

    /// Somebody presses the button; answers what the client gets.
    async fn says_yes(&self, person: &str, changes: &[(&str, &str)]) -> HashMap<String, String> {
        self.post(&asking(changes), &[("person", person)]).await.sent_back()
    }

    async fn redeem(&self, code: &str) -> Reply {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
        self.token(&[&fields[..], &[("code_verifier", VERIFIER)]].concat()).await
    }

    async fn refresh(&self, token: &str) -> Reply {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn connect(&self, person: &str) -> Tokens {
        let code = self.says_yes(person, &[]).await.remove("code").unwrap();
        tokens(&self.redeem(&code).await)
    }

    async fn call(&self, token: &str, tool: &str, arguments: Value) -> Reply {
        let params = json!({ "name": tool, "arguments": arguments });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = Request::post("/mcp").header("content-type", "application/json");
        self.send(request.header("authorization", format!("Bearer {token}")).body(body.to_string().into()).unwrap())
            .await
    }

    async fn whoami(&self, token: &str) -> Value {
        self.call(token, "whoami", json!({})).await.json()["result"]["structuredContent"].clone()
    }
}

fn tokens(reply: &Reply) -> Tokens {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("cache-control"), "no-store");
    let text = |name: &str| reply.json()[name].as_str().unwrap_or_default().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}

/// A good authorization request, with other values where `changes` has some; an empty one leaves a parameter out.
fn asking(changes: &[(&str, &str)]) -> String {
    let good = [
        ("response_type", "code"),
        ("client_id", "gateway"),
        ("redirect_uri", REDIRECT),
        ("state", "a state&"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", "http://127.0.0.1:8090/mcp"),
    ];
    let mut all: HashMap<_, _> = good.into();
    all.extend(changes.iter().copied());
    format!("/authorize?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish())
}

#[tokio::test]
async fn who_shows_no_token_is_told_where_to_get_one() {
    let story = Story::new();
    let reply = story.send(Request::post("/mcp").body("{}".into()).unwrap()).await;
    assert_eq!(reply.status, 401);
    let metadata = "http://127.0.0.1:8090/.well-known/oauth-protected-resource/mcp";
    assert_eq!(reply.header("www-authenticate"), format!("Bearer resource_metadata=\"{metadata}\""));

    let resource = story.get("/.well-known/oauth-protected-resource/mcp").await.json();
    assert_eq!(resource["resource"], "http://127.0.0.1:8090/mcp");
    assert_eq!(resource["authorization_servers"], json!([ORIGIN]));
    let server = story.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["issuer"], ORIGIN);
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
    assert_eq!(server["registration_endpoint"], "http://127.0.0.1:8090/register");
}

#[tokio::test]
async fn a_stranger_s_token_is_called_what_it_is() {
    let story = Story::new();
    for token in ["", "x", "demo-access.1.x", "demo-access.99999999999999999999.x"] {
        let reply = story.call(token, "whoami", json!({})).await;
        assert_eq!(reply.status, 401, "{token}");
        assert!(reply.header("www-authenticate").contains("error=\"invalid_token\""), "{token}");
    }
    assert_eq!(story.demo.counts(), Counts { refused: 4, ..Counts::default() });
}

#[tokio::test]
async fn each_call_carries_the_token_of_one_person_who_has_a_notebook_of_their_own() {
    let story = Story::new();
    let (ada, bob) = (story.connect("ada").await, story.connect("bob").await);
    let note = json!({ "title": "Of Ada", "text": "mine" });
    assert_eq!(story.call(&ada.access, "write_note", note).await.status, 200);

    assert_eq!(story.whoami(&ada.access).await["name"], "ada");
    assert_eq!(story.whoami(&bob.access).await["name"], "bob");
    assert!(story.call(&ada.access, "list_notes", json!({})).await.text.contains("Of Ada"));
    assert!(!story.call(&bob.access, "list_notes", json!({})).await.text.contains("Of Ada"));
}

#[tokio::test]
async fn the_answer_of_the_page_names_its_issuer_and_the_client_s_state() {
    let story = Story::new();
    let back = story.says_yes("ada", &[]).await;
    assert_eq!((back["iss"].as_str(), back["state"].as_str()), (ORIGIN, "a state&"));
    for (changes, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("resource", "http://127.0.0.1:8091/mcp"), "invalid_target"),
    ] {
        let shown = story.get(&asking(&[changes])).await.sent_back();
        assert_eq!((shown["error"].as_str(), shown["iss"].as_str()), (error, ORIGIN), "{changes:?}");
        assert_eq!(story.says_yes("ada", &[changes]).await["error"], error);
    }
    assert_eq!(story.says_yes(" ", &[]).await["error"], "invalid_request");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_the_client_did_not_register() {
    let story = Story::new();
    for changes in [
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "https://gateway.example/connect/callback/demo"),
        ("redirect_uri", ""),
        ("client_id", "nobody"),
        ("client_id", ""),
    ] {
        for reply in [story.get(&asking(&[changes])).await, story.post(&asking(&[changes]), &[("person", "ada")]).await]
        {
            assert_eq!((reply.status, reply.header("location")), (StatusCode::BAD_REQUEST, ""), "{changes:?}");
            assert!(reply.header("content-type").starts_with("text/html"));
        }
    }
}

#[tokio::test]
async fn the_page_shows_the_client_s_name_as_text_and_lets_its_form_lead_to_the_client_only() {
    let story = Story::new();
    let metadata = json!({
        "client_name": "<script>x</script>",
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "none",
    });
    let client = story.send(Request::post("/register").body(metadata.to_string().into()).unwrap()).await;
    assert_eq!(client.status, 201, "{}", client.text);
    assert!(client.json().get("client_secret").is_none());
    let id = client.json()["client_id"].as_str().unwrap().to_owned();

    let page = story.get(&asking(&[("client_id", &id)])).await;
    assert!(page.text.contains("&#60;script&#62;"), "{}", page.text);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self' https://gateway.example;"), "{policy}");
}

#[tokio::test]
async fn clients_register_with_addresses_that_codes_may_be_sent_to() {
    let story = Story::new();
    let register =
        async |metadata: Value| story.send(Request::post("/register").body(metadata.to_string().into()).unwrap()).await;
    let good = register(json!({ "redirect_uris": ["http://127.0.0.1:8080/connect/callback/x"] })).await.json();
    assert_eq!(good["token_endpoint_auth_method"], "client_secret_basic");
    assert!(good["client_secret"].as_str().is_some_and(|secret| secret.len() == 43));
    for uri in ["http://gateway.example/", "https://gateway.example/#x", "javascript:x", "x"] {
        assert_eq!(register(json!({ "redirect_uris": [uri] })).await.json()["error"], "invalid_redirect_uri", "{uri}");
    }
    assert_eq!(register(json!({})).await.json()["error"], "invalid_redirect_uri");
    assert_eq!(register(json!({ "redirect_uris": 1 })).await.json()["error"], "invalid_client_metadata");
}

#[tokio::test]
async fn a_code_is_good_once_and_for_who_began() {
    let story = Story::new();
    for wrong in [("redirect_uri", "https://evil.example/"), ("code_verifier", "another"), ("code", "x")] {
        let code = story.says_yes("ada", &[]).await.remove("code").unwrap();
        let mut fields: HashMap<_, _> = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]
        .into();
        fields.extend([wrong]);
        assert_eq!(
            story.token(&fields.into_iter().collect::<Vec<_>>()).await.json()["error"],
            "invalid_grant",
            "{wrong:?}"
        );
    }
    let late = story.says_yes("ada", &[]).await.remove("code").unwrap();
    story.clock.advance(Duration::from_mins(1));
    assert_eq!(story.redeem(&late).await.json()["error"], "invalid_grant");

    let code = story.says_yes("ada", &[]).await.remove("code").unwrap();
    let ada = tokens(&story.redeem(&code).await);
    assert_eq!(story.redeem(&code).await.json()["error"], "invalid_grant");
    assert_eq!(story.call(&ada.access, "whoami", json!({})).await.status, 401, "the connection has ended");
    assert_eq!((story.demo.counts().codes, story.demo.counts().reuses), (1, 1));
}

#[tokio::test]
async fn a_spent_refresh_token_ends_the_connection() {
    let story = Story::new();
    let first = story.connect("ada").await;
    let second = tokens(&story.refresh(&first.refresh).await);
    let numbers = (story.whoami(&first.access).await, story.whoami(&second.access).await);
    assert_ne!(numbers.0["token"], numbers.1["token"]);

    assert_eq!(story.refresh(&first.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(story.refresh(&second.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(story.call(&second.access, "whoami", json!({})).await.status, 401);
    assert_eq!((story.demo.counts().refreshes, story.demo.counts().reuses), (1, 1));
}

#[tokio::test]
async fn an_access_token_ends_with_its_time_and_the_refresh_token_does_not() {
    let story = Story::with(|options| OAuthOptions { token_life: Duration::from_secs(2), ..options });
    let ada = story.connect("ada").await;
    assert_eq!(story.whoami(&ada.access).await["name"], "ada");
    story.clock.advance(Duration::from_secs(2));
    assert_eq!(story.call(&ada.access, "whoami", json!({})).await.status, 401);

    let ada = tokens(&story.refresh(&ada.refresh).await);
    assert_eq!(story.whoami(&ada.access).await["name"], "ada");
    story.demo.expire_access_tokens();
    assert_eq!(story.call(&ada.access, "whoami", json!({})).await.status, 401);
    assert_eq!(story.refresh(&ada.refresh).await.status, 200);
}

#[tokio::test]
async fn where_scopes_matter_a_token_for_reading_does_not_write_and_says_what_is_missing() {
    let story = Story::with(|options| OAuthOptions { scopes: true, ..options });
    let unknown = story.send(Request::post("/mcp").body("{}".into()).unwrap()).await;
    assert!(unknown.header("www-authenticate").ends_with("scope=\"notes:read\""));

    let note = json!({ "title": "x", "text": "y" });
    let reader = story.connect("ada").await;
    assert_eq!(story.whoami(&reader.access).await["scope"], "notes:read");
    let refused = story.call(&reader.access, "write_note", note.clone()).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.ends_with("scope=\"notes:read notes:write\""), "{challenge}");

    let code = story.says_yes("ada", &[("scope", "notes:read notes:write")]).await.remove("code").unwrap();
    let writer = tokens(&story.redeem(&code).await);
    assert_eq!(story.call(&writer.access, "write_note", note).await.status, 200);
    let less = [("grant_type", "refresh_token"), ("refresh_token", &writer.refresh), ("scope", "notes:read")];
    let less = story.token(&less).await.json();
    assert_eq!(less["scope"], "notes:read");
}

#[tokio::test]
async fn a_client_takes_back_its_own_tokens_only() {
    let story = Story::new();
    let ada = story.connect("ada").await;
    let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
    let other = story.send(Request::post("/register").body(metadata.to_string().into()).unwrap()).await.json();
    let other = other["client_id"].as_str().unwrap();
    assert_eq!(story.post("/revoke", &[("token", &ada.refresh), ("client_id", other)]).await.status, 200);
    assert_eq!(story.whoami(&ada.access).await["name"], "ada");

    let mine = [("token", ada.refresh.as_str()), ("client_id", "gateway"), ("client_secret", "a secret")];
    assert_eq!(story.post("/revoke", &mine).await.status, 200);
    assert_eq!(story.call(&ada.access, "whoami", json!({})).await.status, 401);
    assert_eq!(story.demo.counts().revocations, 1);
}

#[tokio::test]
async fn the_front_page_ends_the_connections_of_one_person() {
    let story = Story::new();
    let (ada, bob) = (story.connect("ada <b>").await, story.connect("bob").await);
    let page = story.get("/").await;
    assert!(page.text.contains("ada &#60;b&#62;") && page.text.contains("bob"), "{}", page.text);

    assert_eq!(story.post("/", &[("person", "ada <b>")]).await.header("location"), "/");
    assert_eq!(story.call(&ada.access, "whoami", json!({})).await.status, 401);
    assert_eq!(story.refresh(&ada.refresh).await.json()["error"], "invalid_grant");
    assert_eq!(story.whoami(&bob.access).await["name"], "bob");
}

#[tokio::test]
async fn a_client_with_a_secret_gets_a_token_for_itself() {
    let story = Story::new();
    let reply = story.token(&[("grant_type", "client_credentials")]).await;
    assert!(reply.json().get("refresh_token").is_none());
    assert_eq!(story.whoami(&tokens(&reply).access).await["name"], "gateway");

    let basic = Request::post("/token").header("authorization", "Basic Z2F0ZXdheTphJTIwc2VjcmV0");
    let basic = story.send(basic.body("grant_type=client_credentials".into()).unwrap()).await;
    assert_eq!(basic.status, 200, "{}", basic.text);
    for wrong in ["Basic Z2F0ZXdheTp4", "Bearer x", "Basic ?"] {
        let request = Request::post("/token").header("authorization", wrong);
        let reply = story.send(request.body("grant_type=client_credentials".into()).unwrap()).await;
        assert_eq!((reply.status, reply.json()["error"].clone()), (StatusCode::UNAUTHORIZED, "invalid_client".into()));
    }
}

#[tokio::test]
async fn a_web_page_of_somebody_else_reaches_nothing() {
    let story = Story::new();
    for (name, value) in
        [("host", "evil.example"), ("host", "127.0.0.1:8091"), ("origin", "https://evil.example"), ("origin", "null")]
    {
        for path in ["/", "/mcp", "/token", "/authorize", "/nowhere"] {
            let request = Request::post(path).header(name, value).body(Body::empty()).unwrap();
            assert_eq!(story.send(request).await.status, 403, "{name}: {value} at {path}");
        }
    }
}
