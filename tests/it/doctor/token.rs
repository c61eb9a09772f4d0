//! `portcullis doctor token`: what a token says, what the routes expect, and where the two differ.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use portcullis_policies::kit::{
    clock::{Clock, SystemClock},
    jwt::{Algorithm, SigningKey},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Examined;
use crate::harness::{Answer, JWKS, OAuthClient, Provider, Route, Setup, forge, hs256, sign};

const ISSUER: &str = "https://login.example.com/";
const AUDIENCE: &str = "https://mcp.example.com/mcp/notes";

/// A configuration with one route for tokens of [`ISSUER`], and another one.
fn folder() -> TempDir {
    let takes = |audience: &str| {
        let options = json!({
            "issuers": [{ "issuer": ISSUER, "audience": audience, "algorithms": ["ES256", "RS256"] }],
            "scopes": ["notes:read", "notes:write"],
        });
        Route::demo().policy("jwt-inbound", &options)
    };
    let setup = Setup::new().gateway("publicUrl", json!("https://mcp.example.com"));
    let other = "https://mcp.example.com/mcp/other";
    setup.route("/mcp/notes", takes(AUDIENCE)).route("/mcp/other", takes(other)).into_folder()
}

fn now() -> i64 {
    SystemClock.now().as_seconds()
}

/// Good claims, with some changed; null takes one away.
fn claims(changed: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "scope": "notes:read notes:write openid",
        "iat": now() - 60, "exp": now() + 600,
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn token(changed: &Value) -> String {
    forge(&json!({ "alg": "ES256", "typ": "JWT", "kid": "one" }), &claims(changed), |_| {
        b"canary-signature-of-nobody".to_vec()
    })
}

/// Runs the command with the token on standard input.
fn examined(token: &str, config: &std::path::Path, arguments: &[&str]) -> Examined {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["doctor", "token", "-", "--json", "--config"]).arg(config).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let report: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    Examined { report, exit_code: output.status.code(), printed }
}

fn against_routes(token: &str) -> Examined {
    let folder = folder();
    examined(token, &folder.path().join("routes.json"), &[])
}

#[test]
fn a_token_that_a_route_expects_is_found_good_for_it() {
    let seen = against_routes(&token(&json!({})));
    assert_eq!((seen.codes(), seen.exit_code), (Vec::new(), Some(0)), "{}", seen.printed);
    assert_eq!(seen.check("route"), ("ok", "/mcp/notes: it is what the route expects"));
    assert_eq!(seen.check("signature").0, "skipped");
}

#[test]
fn each_difference_between_a_token_and_its_route_has_a_code_and_says_both_sides() {
    for (changed, code, said) in [
        (json!({ "exp": now() - 3600 }), "token_expired", "now it is"),
        (json!({ "nbf": now() + 3600 }), "token_not_yet_valid", "nbf"),
        (json!({ "iat": now() + 3600 }), "token_not_yet_valid", "iat"),
        (json!({ "aud": "https://mcp.example.com/" }), "token_wrong_audience", "https://mcp.example.com/mcp/notes"),
        (json!({ "iss": "https://login.example.com" }), "token_wrong_issuer", "tokens of https://login.example.com/"),
        (json!({ "scope": "notes:read" }), "token_scope_missing", "it lacks notes:write"),
        (json!({ "sub": null }), "token_claim_missing", "(sub)"),
        (json!({ "nonce": "n" }), "token_is_an_id_token", "it has nonce"),
        (json!({ "cnf": { "jkt": "x" } }), "token_bound", "cnf"),
    ] {
        let seen = against_routes(&token(&changed));
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(6)), "{}", seen.printed);
        assert!(seen.printed.contains(&said.replace('"', "\\\"")), "{said}: {}", seen.printed);
    }
}

#[test]
fn a_slash_at_the_end_and_the_token_of_another_route_get_a_fix_of_their_own() {
    let folder = folder();
    let fix = |aud: &str| {
        let route = ["--route", "/mcp/notes"];
        let seen = examined(&token(&json!({ "aud": aud })), &folder.path().join("routes.json"), &route);
        assert_eq!(seen.codes(), ["token_wrong_audience"], "{}", seen.printed);
        seen.report["diagnosis"][0]["fix"].as_str().unwrap().to_owned()
    };
    assert!(fix(&format!("{AUDIENCE}/")).contains("slash at the end"));
    assert!(fix("https://mcp.example.com/mcp/other").contains("for /mcp/other"));
}

/// A configuration with one route for the gateway's own tokens.
fn own_folder() -> TempDir {
    let setup = Setup::new().gateway("publicUrl", json!(OWN));
    setup.route("/mcp", Route::demo().policy("dev-login", &json!({}))).into_folder()
}

const OWN: &str = "http://127.0.0.1:4711";

/// What the gateway's own tokens say, with some changed.
fn own_claims(changed: &Value) -> Value {
    let mut own = json!({ "iss": OWN, "aud": format!("{OWN}/mcp"), "client_id": "c", "jti": "j", "sid": "s", "scope": "mcp:tools" });
    own.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    claims(&own)
}

fn against_own(header: &Value, changed: &Value) -> Examined {
    let token = forge(header, &own_claims(changed), |_| b"canary-signature-of-nobody".to_vec());
    examined(&token, &own_folder().path().join("routes.json"), &[])
}

#[test]
fn a_token_of_another_type_is_not_taken_for_an_id_token() {
    let good = against_own(&json!({ "alg": "ES256", "typ": "at+jwt" }), &json!({}));
    assert_eq!((good.codes(), good.exit_code), (Vec::new(), Some(0)), "{}", good.printed);
    for (header, said) in [
        (json!({ "alg": "ES256" }), "/mcp: there is no typ, and it takes at+jwt"),
        (json!({ "alg": "ES256", "typ": "JWT" }), "/mcp: typ is \"JWT\", and it takes at+jwt"),
    ] {
        let seen = against_own(&header, &json!({}));
        assert_eq!((seen.codes(), seen.exit_code), (vec!["token_type"], Some(6)), "{}", seen.printed);
        assert_eq!(seen.check("route").1, said);
        let seen = against_own(&header, &json!({ "nonce": "n" }));
        assert_eq!(seen.codes(), ["token_is_an_id_token"], "it is told once: {}", seen.printed);
    }
}

#[test]
fn a_token_without_an_end_is_a_warning_by_itself_and_refused_by_a_route() {
    for (changed, said) in [
        (json!({ "exp": null }), "there is no exp; iat "),
        (json!({ "exp": "soon" }), "exp \"soon\" is no moment; iat "),
        (json!({ "exp": now() * 1000 }), "000 is no moment; iat "),
        (json!({ "exp": null, "iat": null }), "there is no exp; now it is "),
    ] {
        let folder = TempDir::new().unwrap();
        let seen = examined(&token(&changed), &folder.path().join("routes.json"), &[]);
        assert_eq!((seen.codes(), seen.exit_code), (vec!["token_without_end"], Some(0)), "{}", seen.printed);
        assert!(seen.check("times").1.contains(said), "{said}: {}", seen.printed);
        let seen = against_routes(&token(&changed));
        assert_eq!((&seen.codes()[..2], seen.exit_code), (&["token_without_end", "token_claim_missing"][..], Some(6)));
    }
}

#[test]
fn a_token_that_has_just_ended_is_judged_by_what_its_route_forgives() {
    let just = json!({ "exp": now() - 15 });
    assert_eq!(against_routes(&token(&just)).codes(), Vec::<&str>::new(), "half a minute is forgiven");
    let seen = against_own(&json!({ "alg": "ES256", "typ": "at+jwt" }), &just);
    assert_eq!((seen.codes(), seen.exit_code), (vec!["token_expired"], Some(6)), "{}", seen.printed);
    assert_eq!(seen.check("times").0, "ok");
    assert!(seen.check("route").1.contains("clocks may differ by 5 s"), "{}", seen.printed);
    let long_ago = against_own(&json!({ "alg": "ES256", "typ": "at+jwt" }), &json!({ "exp": now() - 90 }));
    assert_eq!(long_ago.codes(), ["token_expired"], "it is told once");
}

#[test]
fn who_brings_a_token_of_another_issuer_is_not_told_to_trust_it() {
    let fix = |seen: Examined| {
        assert_eq!(seen.codes(), ["token_wrong_issuer"], "{}", seen.printed);
        seen.report["diagnosis"][0]["fix"].as_str().unwrap().to_owned()
    };
    let other = json!({ "iss": "https://idp.example/" });
    let own = fix(against_own(&json!({ "alg": "ES256", "typ": "at+jwt" }), &other));
    assert!(
        own.contains(&format!("Add {OWN}/mcp to the client, and sign in")) && !own.contains("idp.example"),
        "{own}"
    );
    let outside = fix(against_routes(&token(&other)));
    assert_eq!(outside, format!("Get a token of {ISSUER}."));
    for same in ["https://login.example.com", "https://LOGIN.example.com/"] {
        let spelled = fix(against_routes(&token(&json!({ "iss": same }))));
        assert!(spelled.contains("another spelling") && spelled.contains(same), "{spelled}");
    }
}

#[test]
fn groups_are_shown_whole_in_whichever_claim_they_are() {
    let groups: Vec<_> = (0..12).map(|number| format!("group-number-{number}")).collect();
    for name in ["groups", "cognito:groups", "https://kc.example/groups"] {
        let folder = TempDir::new().unwrap();
        let seen = examined(&token(&json!({ name: groups })), &folder.path().join("routes.json"), &[]);
        let lines = seen.report["checks"].as_array().unwrap();
        let line = lines.iter().filter_map(|line| line["evidence"].as_str()).find(|line| line.starts_with(name));
        assert_eq!(line, Some(&*format!("{name} {}", json!(groups))), "{}", seen.printed);
    }
}

#[test]
fn the_command_that_looks_again_compares_with_the_same() {
    let folder = folder();
    let file = folder.path().join("routes.json");
    let seen = examined(&token(&json!({ "exp": now() - 3600 })), &file, &["--route", "/mcp/notes"]);
    let again = format!("portcullis doctor token - --config '{}' --route '/mcp/notes' <token.txt", file.display());
    assert_eq!(seen.report["diagnosis"][0]["verify"], json!(["date -u", again]));
}

#[test]
fn the_gateway_s_own_keys_are_asked_for_wherever_its_public_host_is() {
    let setup = Setup::new().gateway("publicUrl", json!("https://0.0.0.0:1"));
    let options = json!({ "oktaDomain": "acme.okta.com", "clientId": "c", "clientSecret": "s" });
    let folder = setup.route("/mcp", Route::demo().policy("mcp-okta-oauth-inbound", &options)).into_folder();
    let own = json!({ "iss": "https://0.0.0.0:1", "aud": "https://0.0.0.0:1/mcp" });
    let token = forge(&json!({ "alg": "ES256", "typ": "at+jwt" }), &own_claims(&own), |_| b"nobody's".to_vec());
    let seen = examined(&token, &folder.path().join("routes.json"), &["--online"]);
    assert_eq!(seen.codes(), ["token_keys_unavailable"], "{}", seen.printed);
    let told = seen.check("signature").1;
    assert!(told.contains("0.0.0.0:1/oauth/jwks: ") && told.contains("takes no connection"), "{told}");
}

#[test]
fn what_is_no_jwt_that_could_be_accepted_is_told_apart() {
    let symmetric = forge(&json!({ "alg": "HS256" }), &claims(&json!({})), hs256(b"secret"));
    let unsigned = forge(&json!({ "alg": "none" }), &claims(&json!({})), |_| Vec::new());
    for token in [symmetric, unsigned] {
        assert_eq!(against_routes(&token).codes(), ["token_algorithm"]);
    }
    for token in ["8d1f0c5e9a", "a.b.c", "a.b.c.d.e"] {
        let seen = against_routes(token);
        assert_eq!((seen.codes(), seen.exit_code), (vec!["token_is_no_jwt"], Some(6)), "{}", seen.printed);
    }
    let key = against_routes("pck_abc.def");
    assert_eq!((key.codes(), key.check("form").0), (Vec::new(), "skipped"), "{}", key.printed);
}

#[test]
fn without_a_configuration_a_token_is_only_read_and_never_shown_whole() {
    let folder = TempDir::new().unwrap();
    let email = "a-very-long-address-of-ada@people.example.com";
    let token = token(&json!({ "email": email }));
    let seen = examined(&token, &folder.path().join("routes.json"), &[]);
    assert_eq!((seen.codes(), seen.check("route").0), (Vec::new(), "skipped"), "{}", seen.printed);
    assert!(seen.check("claims").1.contains(ISSUER), "{}", seen.printed);
    for secret in [&*token, token.rsplit('.').next().unwrap(), token.split('.').nth(1).unwrap(), email] {
        assert!(!seen.printed.contains(secret), "{secret} is shown");
    }
    let opaque = examined("8d1f0c5e9a", &folder.path().join("routes.json"), &[]);
    assert_eq!((opaque.codes(), opaque.exit_code), (Vec::new(), Some(0)), "somebody else's server may take it");
}

#[tokio::test]
async fn the_gateway_s_own_token_is_good_for_its_route_and_no_other_by_the_keys_that_it_publishes() {
    let route = || Route::demo().policy("dev-login", &json!({}));
    let gateway = Setup::new().route("/mcp", route()).route("/other", route()).start().await;
    let ada = OAuthClient::register(&gateway).await.sign_in(&gateway, "/mcp", "ada").await;
    let setup = Setup::new().gateway("publicUrl", json!(format!("http://{}", gateway.address)));
    let folder = setup.route("/mcp", route()).route("/other", route()).into_folder();
    let file = folder.path().join("routes.json");
    let look = |arguments: &'static [&'static str]| {
        let (token, file) = (ada.access.clone(), file.clone());
        tokio::task::spawn_blocking(move || examined(&token, &file, arguments))
    };
    let seen = look(&["--online"]).await.unwrap();
    assert_eq!((seen.codes(), seen.check("signature").0), (Vec::new(), "ok"), "{}", seen.printed);
    assert!(seen.check("route").1.starts_with("/mcp:"), "{}", seen.printed);
    let seen = look(&["--route", "/other"]).await.unwrap();
    assert_eq!(seen.codes(), ["token_wrong_audience"], "{}", seen.printed);
}

#[tokio::test]
async fn online_a_forged_token_and_an_issuer_without_keys_are_told_from_a_good_one() {
    let provider = Provider::new(Arc::new(SystemClock)).await;
    let options = json!({ "issuers": [{ "issuer": provider.issuer(), "audience": AUDIENCE }] });
    let folder = Setup::new().route("/mcp", Route::demo().policy("jwt-inbound", &options)).into_folder();
    let file = folder.path().join("routes.json");
    let forged = sign(&SigningKey::generate(Algorithm::Es256).unwrap(), &claims(&json!({ "iss": provider.issuer() })));
    let look = || {
        let (token, file) = (forged.clone(), file.clone());
        tokio::task::spawn_blocking(move || examined(&token, &file, &["--online"]))
    };
    let seen = look().await.unwrap();
    assert_eq!(seen.codes(), ["token_signature"], "{}", seen.printed);
    provider.answers(JWKS, Some(Answer::status(500)));
    let seen = look().await.unwrap();
    assert_eq!((seen.codes(), seen.exit_code), (vec!["token_keys_unavailable"], Some(6)), "{}", seen.printed);
}
