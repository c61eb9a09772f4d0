//! Vendors that would have the gateway ask somebody else, or tell somebody else.

use std::{io::Read, net::TcpListener, time::Duration};

use super::{
    super::{server::plain_server, survey::Survey},
    *,
};
use crate::fetch::{Resolve, Resolving};

/// Whoever answers for a name may say that it is here.
#[derive(Debug)]
struct AllNamesLeadInside;

impl Resolve for AllNamesLeadInside {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) })
    }
}

/// An upstream somewhere on the internet; only its challenge is here.
const FAR: &str = "https://mcp.example.com/mcp";

fn inside(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "[::]",
        "127。0。0。1",
        "looks-public.example.com",
        "127.0.0.1.",
    ];
    hosts.iter().flat_map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}:{port}/"))).collect()
}

#[tokio::test]
async fn sec_c1_no_address_of_a_vendor_leads_inside() {
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let fetch = Client::new(Settings { guard: Guard::default(), roots: Roots::none() }, Arc::new(AllNamesLeadInside));
    let oauth = UpstreamOAuth::new(fetch, Arc::new(ManualClock::new(Timestamp::from_seconds(0))));
    let far = Url::parse(FAR).unwrap();
    for place in inside(canary.local_addr().unwrap().port()) {
        let challenge = challenged(&[&format!(r#"Bearer resource_metadata="{place}""#)]);
        let failed = oauth.discover(Flow::Code, &upstream(), &far, Some(&challenge)).await;
        assert_eq!(code_of(failed), "insecure_endpoint", "{place}");
        let Ok(inside) = Url::parse(&place) else { continue };
        let server = Discovered {
            registration_endpoint: Some(inside.clone()),
            revocation_endpoint: Some(inside.clone()),
            ..discovered(&inside)
        };
        let registered = oauth.register(&server, &upstream(), None, Some(&callback()), "Portcullis").await;
        assert_eq!(code_of(registered), "insecure_endpoint", "{place}");
        let mut survey = Survey { fetch: &oauth.fetch, target: &far, transcript: Transcript::default() };
        assert_eq!(code_of(survey.server(&place).await), "insecure_endpoint", "{place}");
        let registration = registration(&server);
        let tokens = TokenSet { access_token: "at".into(), refresh_token: None, expires_in: None, scope: None };
        let refreshed = oauth.refresh(&server, &registration, &"rt".into(), &[]).await.map(drop);
        for outcome in [refreshed, oauth.revoke(&server, &registration, &tokens).await] {
            assert!(matches!(outcome, Err(GrantError::Unsendable(_))), "{place}: {outcome:?}");
        }
    }
    assert!(canary.accept().is_err(), "somebody connected");
}

fn discovered(token_endpoint: &Url) -> Discovered {
    let issuer = "https://as.example.com".to_owned();
    plain_server(Flow::Code, issuer, token_endpoint.clone())
}

fn registration(server: &Discovered) -> Registration {
    Registration {
        issuer: server.issuer.clone(),
        client: client(ClientAuthMethod::Post("canary-secret".into())),
        kind: RegistrationKind::Configured,
        redirect_uri: Some(callback()),
        expires_at: None,
    }
}

#[tokio::test]
async fn sec_c3_cl_13_a_redirect_is_followed_from_nowhere_and_repeats_nothing() {
    let (vendor, elsewhere) = (Vendor::start().await, Server::start().await);
    let journey = vendor.set_out().await;
    let tokens = vendor.redeem(&journey, &brought("c")).await.unwrap();
    let away = elsewhere.url("/").to_string();
    for status in [301, 302, 303, 307, 308] {
        let goes_away = |server: &Server, path: &str| server.says(path, status, &[("location", &away)], b"");
        for path in ["/token", "/register", "/revoke"] {
            goes_away(&vendor.server, path);
        }
        assert!(vendor.redeem(&journey, &brought("c")).await.is_err(), "{status}");
        assert!(
            vendor.oauth.refresh(&journey.server, &journey.registration, &"rt".into(), &[]).await.is_err(),
            "{status}"
        );
        assert!(vendor.oauth.revoke(&journey.server, &journey.registration, &tokens).await.is_err(), "{status}");
        assert_eq!(code_of(vendor.register(&journey.server).await), "dynamic_registration_failed", "{status}");
        goes_away(&vendor.server, METADATA);
        assert_eq!(code_of(vendor.discover().await), "no_authorization_server_metadata", "{status}");
        goes_away(&vendor.upstream, PRM);
        vendor.upstream.json(METADATA, 200, &vendor.metadata());
        assert_eq!(code_of(vendor.discover().await), "issuer_mismatch", "{status}");
        vendor.upstream.json(PRM, 200, &vendor.resource());
        vendor.server.json(METADATA, 200, &vendor.metadata());
    }
    assert!(elsewhere.heard().is_empty());
}

#[tokio::test]
async fn sec_c6_cl_13_each_server_hears_only_what_is_for_it() {
    let vendor = Vendor::start().await;
    let config = OAuthUpstream { client: Some(client(ClientAuthMethod::Basic("canary-secret".into()))), ..upstream() };
    let challenge = Some(r#"Bearer scope="read""#);
    let server = vendor.discover_with(&config, challenge).await.unwrap();
    let registration = vendor.oauth.register(&server, &config, None, Some(&callback()), "Portcullis").await.unwrap();
    let (_, pending) = vendor.oauth.departure(&server, &registration, &server.scopes, &callback(), STATE).unwrap();
    let tokens = vendor.oauth.redeem(&server, &registration, &pending, &brought("canary-code")).await.unwrap();
    vendor.oauth.refresh(&server, &registration, tokens.refresh_token.as_ref().unwrap(), &[]).await.unwrap();
    vendor.oauth.revoke(&server, &registration, &tokens).await.unwrap();
    let known = [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ];
    for heard in vendor.server.heard().iter().chain(&vendor.upstream.heard()) {
        let unknown: Vec<_> = heard.headers.keys().filter(|name| !known.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", heard.path);
        let proves = heard.header("authorization").is_some();
        assert_eq!(proves, ["/token", "/revoke"].contains(&&*heard.path), "{}", heard.path);
    }
    for heard in vendor.upstream.heard() {
        assert!(heard.body.is_empty(), "an upstream is only asked for its metadata");
    }
}

#[tokio::test]
async fn oauth_94_a_secret_is_not_sent_where_tls_fails_and_https_does_not_become_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Url::parse(&format!("https://{}/token", listener.local_addr().unwrap())).unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut heard = vec![0; 16 << 10];
        let read = stream.read(&mut heard).unwrap_or(0);
        drop(stream);
        listener.set_nonblocking(true).unwrap();
        (heard[..read].to_vec(), listener.accept().is_ok())
    });
    let server = discovered(&endpoint);
    let failed = oauth(true).refresh(&server, &registration(&server), &"canary-token".into(), &[]).await;
    assert!(matches!(failed, Err(GrantError::Unreachable(_))));
    let (heard, again) = heard.await.unwrap();
    assert_eq!(heard.first(), Some(&22), "it began a TLS handshake");
    assert!(!again, "it came back without TLS");
    assert!(!String::from_utf8_lossy(&heard).contains("canary"));
}
