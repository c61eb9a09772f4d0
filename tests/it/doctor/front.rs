//! What stands in front of a server: bot protections, sign-in pages, and proxies.

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{examine, examine_with, url, vendor};
use crate::harness::{Answer, Authority, Gateway, Received, Route, Upstream};

/// What products send in the server's place, and what doctor has to call it.
fn guards() -> Vec<(Answer, &'static str, &'static str)> {
    let page = |status, words: &str| Answer::body(status, "text/html; charset=UTF-8", words);
    let to = |place: &str| Answer::status(302).header("Location", place);
    vec![
        (
            page(403, "<title>Just a moment...</title>").header("cf-mitigated", "challenge"),
            "challenge_page",
            "Cloudflare",
        ),
        (page(503, "<script>window._cf_chl_opt={}</script>"), "challenge_page", "Cloudflare"),
        (Answer::status(202).header("x-amzn-waf-action", "challenge"), "challenge_page", "AWS WAF"),
        (Answer::status(405).header("x-amzn-waf-action", "captcha"), "challenge_page", "AWS WAF"),
        (page(200, "<script src=\"/_Incapsula_Resource?SWJIYLWA=7\">"), "challenge_page", "Imperva"),
        (page(403, "<script src=\"https://ct.captcha-delivery.com/c.js\">"), "challenge_page", "DataDome"),
        (page(403, "Access Denied https://errors.edgesuite.net/18.1"), "challenge_page", "Akamai"),
        (to("https://team.cloudflareaccess.com/cdn-cgi/access/login"), "access_gate", "Cloudflare Access"),
        (Answer::status(401).header("x-goog-iap-generated-response", "true"), "access_gate", "Google IAP"),
        (to("/oauth2/start?rd=%2Fmcp"), "access_gate", "oauth2-proxy"),
        (to("https://login.microsoftonline.com/t/oauth2/authorize"), "access_gate", "Microsoft Entra"),
        (to("/login?next=/mcp"), "access_gate", "sign-in for people"),
    ]
}

#[tokio::test]
async fn a_page_that_stands_before_the_server_is_named_with_the_product_and_with_what_to_exempt() {
    for (answer, code, product) in guards() {
        let upstream = Upstream::new(move |_| answer.clone()).await;
        let seen = examine(&upstream.url()).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(5)), "{product}: {}", seen.printed);
        assert!(seen.check("answer").1.contains(product), "{product}: {}", seen.printed);
        assert!(seen.report["diagnosis"][0]["fix"].as_str().unwrap().contains("MCP path"), "{}", seen.printed);
        assert_eq!(seen.check("challenge").0, "skipped");
    }
}

#[tokio::test]
async fn a_redirect_is_a_sign_in_page_s_only_where_its_path_says_so_in_a_whole_word() {
    for (place, code) in [
        ("https://login.example.com/mcp", "redirects"),
        ("https://signin.example.com/mcp", "redirects"),
        ("/login-service/mcp", "redirects"),
        ("/mcp?from=/login", "redirects"),
        ("https://app.example.com/users/sign_in?next=/mcp", "access_gate"),
        ("Login", "access_gate"),
    ] {
        let upstream = Upstream::new(move |_| Answer::status(308).header("Location", place)).await;
        let seen = examine(&upstream.url()).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(5)), "{place}: {}", seen.printed);
        let target = place.split('?').next().unwrap();
        assert!(seen.check("answer").1.contains(target), "{place}: {}", seen.printed);
    }
}

#[tokio::test]
async fn a_sign_in_proxy_that_signs_mcp_clients_in_is_not_taken_for_a_page_for_people() {
    let vendor = vendor().await;
    let challenge =
        format!("Bearer resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\"", vendor.issuer());
    let upstream = Upstream::new(move |_| {
        Answer::status(401).header("x-goog-iap-generated-response", "true").header("WWW-Authenticate", &challenge)
    })
    .await;
    let seen = examine(&upstream.url()).await;
    assert_eq!((seen.check("answer").0, seen.check("challenge").0), ("ok", "ok"), "{}", seen.printed);
}

/// A server with one tool, behind somebody who looks at names.
fn healthy(request: &Received) -> Answer {
    if !request.head.starts_with("POST ") {
        return Answer::status(405);
    }
    Answer::json(&request.result(&json!({ "supportedVersions": ["2026-07-28"], "tools": [{ "name": "a" }] })))
}

#[tokio::test]
async fn a_firewall_that_judges_by_the_user_agent_is_found_out_and_what_lies_behind_it_is_examined_all_the_same() {
    for (refused, told) in
        [("portcullis-doctor", "with User-Agent: node: 200"), ("Claude-User", "with User-Agent: Claude-User: 403")]
    {
        let upstream = Upstream::new(move |request| match request.header("user-agent") {
            Some(name) if name.contains(refused) => Answer::status(403),
            _ => healthy(request),
        })
        .await;
        let seen = examine(&upstream.url()).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec!["user_agent_refused"], Some(0)), "{}", seen.printed);
        assert!(seen.printed.contains(told), "{}", seen.printed);
        assert_eq!(seen.check("tools"), ("ok", "1 tool"), "{}", seen.printed);
    }
    // Whoever refuses everybody is a firewall or a list of addresses, and no judge of names.
    let upstream = Upstream::new(|_| Answer::status(403)).await;
    assert_eq!(examine(&upstream.url()).await.codes(), ["forbidden"]);
    let names: Vec<_> = upstream.requests().iter().map(|one| one.header("user-agent").map(ToOwned::to_owned)).collect();
    assert!(names.contains(&Some("node".to_owned())) && names.contains(&None), "{names:?}");
}

#[tokio::test]
async fn what_tells_of_itself_in_headers_is_evidence_and_no_alarm() {
    let upstream = Upstream::new(|request| {
        healthy(request).header("Server", "nginx/1.27.1").header("Via", "1.1 varnish").header("CF-RAY", "8c0-FRA")
    })
    .await;
    let seen = examine(&upstream.url()).await;
    seen.is_healthy();
    let (_, told) = seen.check("front");
    for part in ["nginx/1.27.1", "1.1 varnish", "Cloudflare (cf-ray: 8c0-FRA)"] {
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_that_changes_the_answer_is_a_warning_and_its_password_is_never_shown() {
    let gateway = Gateway::with(Route::demo()).await;
    let proxy = Upstream::new(|_| Answer::body(407, "text/html", "<h1>Sign in to the proxy</h1>")).await;
    let variable = format!("http://ada:canary@{}", proxy.address());
    let seen = examine_with(&[&url(&gateway)], &[("http_proxy", &variable)]).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["proxy_in_the_way"], Some(0)), "{}", seen.printed);
    assert!(seen.printed.contains("407") && !seen.printed.contains("canary"), "{}", seen.printed);
    let request = proxy.only_request();
    assert_eq!(request.path(), url(&gateway));
    assert_eq!(request.header("proxy-authorization"), Some("Basic YWRhOmNhbmFyeQ=="));

    let seen = examine_with(&[&url(&gateway)], &[("http_proxy", &variable), ("no_proxy", "127.0.0.0/8")]).await;
    seen.is_healthy();
    assert!(seen.printed.contains("NO_PROXY exempts this host"), "{}", seen.printed);
    assert_eq!(proxy.count(), 1);
}

#[tokio::test]
async fn a_server_to_which_only_the_proxy_has_a_way_is_told_as_such() {
    let gone = Upstream::saying("gone soon").await;
    let url = gone.url();
    drop(gone);
    let proxy = Upstream::new(healthy).await;
    let variable = format!("http://{}", proxy.address());
    let seen = examine_with(&[&url], &[("HTTP_PROXY", &variable)]).await;
    assert_eq!(seen.codes(), ["connection_refused", "only_by_proxy"], "{}", seen.printed);
    assert_eq!(seen.exit_code, Some(3));
}

/// A proxy that does as it is told by CONNECT.
async fn tunnel() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let running = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, running)
}

#[tokio::test]
async fn a_proxy_that_passes_tls_on_changes_nothing_and_one_that_does_not_is_told_with_its_answer() {
    let authority = Authority::new();
    let upstream = Upstream::with_tls(authority.server(&["127.0.0.1"]), healthy).await;
    let folder = TempDir::new().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    let trusted = ("SSL_CERT_FILE", roots.to_str().unwrap());
    let (proxy, running) = tunnel().await;
    let seen = examine_with(&[&upstream.url()], &[trusted, ("HTTPS_PROXY", &proxy)]).await;
    seen.is_healthy();
    assert!(seen.printed.contains("by HTTPS_PROXY="), "{}", seen.printed);
    running.abort();

    let refusing = Upstream::new(|_| Answer::status(403)).await;
    let proxy = format!("http://{}", refusing.address());
    let seen = examine_with(&[&upstream.url()], &[trusted, ("HTTPS_PROXY", &proxy)]).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["proxy_in_the_way"], Some(0)), "{}", seen.printed);
    assert!(seen.printed.contains("answers 403 Forbidden to CONNECT"), "{}", seen.printed);
}
