//! The browser leaves, and comes back.

use serde::Deserialize;

use super::*;

#[tokio::test]
async fn cl_04_cl_06_the_authorization_request_has_pkce_state_and_resource_and_so_has_the_redemption() {
    let vendor = Vendor::start().await;
    vendor.resource_but(&json!({ "scopes_supported": ["read", "write"] }));
    let journey = vendor.set_out().await;
    let asked = query(&journey.url);
    let verifier = journey.pending.verifier.as_ref().map(text).unwrap();
    let challenge =
        oauth2::PkceCodeChallenge::from_code_verifier_sha256(&oauth2::PkceCodeVerifier::new(verifier.to_owned()));
    let target = vendor.target();
    let expected = [
        ("client_id", "client-1"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("redirect_uri", CALLBACK),
        ("resource", target.as_str()),
        ("response_type", "code"),
        ("scope", "read write"),
        ("state", STATE),
    ];
    assert_eq!(asked, expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    assert!(journey.url.as_str().starts_with(vendor.server.url("/authorize").as_str()));
    assert!((43..=128).contains(&verifier.len()));

    let tokens = vendor.redeem(&journey, &brought("the code")).await.unwrap();
    assert_eq!((text(&tokens.access_token), tokens.refresh_token.as_ref().map(text)), ("at-1", Some("rt-1")));
    let heard = vendor.server.last("/token");
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "the code"),
        ("redirect_uri", CALLBACK),
        ("client_id", "client-1"),
        ("code_verifier", verifier),
        ("resource", vendor.target().as_str()),
    ] {
        assert_eq!(heard.field(name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn cl_06_oauth_89_the_resource_is_named_in_every_request_whether_or_not_the_server_knows_it() {
    let vendor = Vendor::start().await;
    let journey = vendor.set_out().await;
    let resource = Some(vendor.target().to_string());
    assert_eq!(query(&journey.url).get("resource"), resource.as_ref());
    vendor.redeem(&journey, &brought("c")).await.unwrap();
    assert_eq!(vendor.server.last("/token").field("resource"), resource);
    vendor.oauth.refresh(&journey.server, &journey.registration, &"rt-1".into(), &[]).await.unwrap();
    assert_eq!(vendor.server.last("/token").field("resource"), resource);
}

#[tokio::test]
async fn oauth_86_each_transaction_has_a_verifier_of_its_own() {
    let vendor = Vendor::start().await;
    let (one, two) = (vendor.set_out().await, vendor.set_out().await);
    let verifier = |journey: &Journey| journey.pending.verifier.as_ref().map(|verifier| text(verifier).to_owned());
    assert_ne!(verifier(&one), verifier(&two));
    let kept = serde_json::to_vec(&one.pending).unwrap();
    let again: PendingGrant = serde_json::from_slice(&kept).unwrap();
    assert_eq!(again.verifier.as_ref().map(text), verifier(&one).as_deref(), "it survives the store");
    assert!(!format!("{:?}", one.pending).contains(&*verifier(&one).unwrap()), "and is not printed");
}

#[derive(Deserialize)]
struct Vector {
    story: String,
    advertised: bool,
    iss: Option<String>,
    accepted: bool,
}

#[tokio::test]
async fn cl_05_oauth_87_sec_a14_the_issuer_of_a_callback_is_judged_before_anything_else() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("iss.json")).unwrap();
    let vendor = Vendor::start().await;
    for Vector { story, advertised, iss, accepted } in vectors {
        vendor.metadata_but(&json!({ "authorization_response_iss_parameter_supported": advertised }));
        let journey = vendor.set_out().await;
        let upper = vendor.server.origin.replace("http", "HTTP");
        let iss = iss.map(|iss| iss.replace("{as}", &vendor.server.origin).replace("{AS}", &upper));
        let redeemed = || vendor.server.paths().iter().filter(|path| *path == "/token").count();
        let before = redeemed();
        let outcome = vendor.redeem(&journey, &CallbackParameters { iss: iss.clone(), ..brought("c") }).await;
        let refusal = CallbackParameters { iss, code: None, error: Some("EVIL".to_owned()), ..brought("c") };
        let refused = vendor.redeem(&journey, &refusal).await.unwrap_err();
        if accepted {
            assert!(outcome.is_ok(), "{story}");
            assert_eq!(refused, GrantError::refused("EVIL", None), "{story}");
        } else {
            assert_eq!((outcome.unwrap_err(), &refused), (GrantError::Mixup, &GrantError::Mixup), "{story}");
            assert!(!refused.to_string().contains("EVIL"), "{story}: nothing of it is shown");
            assert_eq!(redeemed(), before, "{story}: the code went nowhere");
        }
    }
}

#[tokio::test]
async fn sec_a14_what_was_begun_at_one_server_is_not_finished_at_another() {
    let (one, two) = (Vendor::start().await, Vendor::start().await);
    let (at_one, at_two) = (one.set_out().await, two.set_out().await);
    let crossed = one.oauth.redeem(&at_two.server, &at_two.registration, &at_one.pending, &brought("c")).await;
    assert_eq!(crossed.unwrap_err(), GrantError::Mixup);
    let crossed = one.oauth.refresh(&at_two.server, &at_one.registration, &"rt-1".into(), &[]).await;
    assert!(matches!(crossed, Err(GrantError::Unsendable(_))));
    assert!(!two.server.paths().contains(&"/token".to_owned()));
}

#[tokio::test]
async fn cl_07_offline_access_is_asked_for_where_the_server_knows_it_and_the_person_is_then_asked() {
    let vendor = Vendor::start().await;
    let asked = query(&vendor.set_out().await.url);
    assert_eq!((asked.get("scope"), asked.get("prompt")), (None, None));
    vendor.metadata_but(&json!({ "scopes_supported": ["openid", "offline_access"] }));
    let asked = query(&vendor.set_out().await.url);
    assert_eq!((asked["scope"].as_str(), asked["prompt"].as_str()), ("offline_access", "consent"));
}

#[tokio::test]
async fn a_vendor_by_hand_gets_the_parameters_and_the_delimiter_that_it_wants_and_no_others() {
    let vendor = Vendor::start().await;
    let mut by_hand = classic(&vendor.server);
    by_hand.authorization_endpoint = Some(vendor.server.url("/authorize?tenant=7"));
    by_hand.parameters.insert("access_type".to_owned(), "offline".to_owned());
    by_hand.pkce = false;
    let config = OAuthUpstream {
        classic: Some(by_hand),
        client: Some(client(ClientAuthMethod::Post("s".into()))),
        scopes: vec!["repo".into(), "user:email".into()],
        scope_delimiter: ",".to_owned(),
        ..upstream()
    };
    let server = vendor.discover_with(&config, None).await.unwrap();
    let registration = vendor.oauth.register(&server, &config, None, Some(&callback()), "Portcullis").await.unwrap();
    let (url, pending) = vendor.oauth.departure(&server, &registration, &server.scopes, &callback(), STATE).unwrap();
    let names: Vec<_> = query(&url).into_keys().collect();
    assert_eq!(names, ["access_type", "client_id", "redirect_uri", "response_type", "scope", "state", "tenant"]);
    assert_eq!(query(&url)["scope"], "repo,user:email");
    let says_anything =
        CallbackParameters { iss: Some("https://accounts.vendor.example.com".to_owned()), ..brought("c") };
    vendor.oauth.redeem(&server, &registration, &pending, &says_anything).await.unwrap();
    let heard = vendor.server.last("/token");
    assert_eq!((heard.field("resource"), heard.field("code_verifier")), (None, None));
}

#[tokio::test]
async fn what_the_vendor_says_in_the_browser_is_told_in_plain_words() {
    let vendor = Vendor::start().await;
    let journey = vendor.set_out().await;
    let refusal = |error: &str, words: &str| CallbackParameters {
        code: None,
        error: Some(error.to_owned()),
        error_description: Some(words.to_owned()),
        ..brought("c")
    };
    let denied = vendor.redeem(&journey, &refusal("access_denied", "no\u{1b}[2J\r\n\u{202e}thanks")).await.unwrap_err();
    assert!(denied.is_denied());
    assert_eq!(
        denied,
        GrantError::Refused { code: "access_denied".to_owned(), words: Some("no [2J  thanks".to_owned()) }
    );
    let elsewhere = vendor.redeem(&journey, &refusal("redirect_uri_mismatch", &"x".repeat(10_000))).await.unwrap_err();
    assert_eq!(elsewhere.setup_code(), Some(SetupCode::RedirectUriMismatch));
    assert!(elsewhere.to_string().len() < 500);
    let nothing = vendor.redeem(&journey, &CallbackParameters { code: None, ..brought("c") }).await.unwrap_err();
    assert!(matches!(nothing, GrantError::Nonsense(_)));
}
