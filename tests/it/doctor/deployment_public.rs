//! The public URL of a deployment, and what stands between it and the gateway.

use std::time::Duration;

use portcullis_policies::kit::clock::{Clock, SystemClock, Timestamp};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::deployment::{at, examine, fails_with, free_port};
use crate::harness::{Answer, Authority, Route, Setup, Upstream};

fn route() -> Route {
    Route::demo().policy("dev-login", &json!({}))
}

#[tokio::test]
async fn a_gateway_that_runs_and_is_not_reached_at_its_public_url_is_told_from_one_that_does_not_run() {
    let nowhere = json!(format!("http://127.0.0.1:{}", free_port()));
    let setup = || at(free_port()).route("/mcp", route()).gateway("publicUrl", nowhere.clone());
    let gateway = setup().spawn();
    gateway.address().await;
    let seen = examine(gateway.folder()).await;
    fails_with(&seen, "public_url_unreachable");
    assert!(seen.check("routes").1.contains("takes connections"), "{}", seen.printed);

    let folder = setup().into_folder();
    examine(folder.path()).await.is_healthy();
}

#[tokio::test]
async fn another_program_at_the_public_url_is_not_taken_for_the_gateway() {
    let site = Upstream::new(|_| Answer::body(200, "text/html", "<title>Our site</title>")).await;
    let public = format!("http://{}", site.address());
    let folder = at(free_port()).route("/mcp", route()).gateway("publicUrl", json!(public)).into_folder();
    let seen = examine(folder.path()).await;
    fails_with(&seen, "public_url_of_others");
    assert!(seen.check("routes").1.contains("text/html"), "{}", seen.printed);
}

/// A proxy that names the gateway to the gateway as itself is named in its configuration.
async fn renaming_proxy(gateway: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                let length = client.read(&mut head).await.unwrap();
                let head = String::from_utf8(head[..length].to_vec()).unwrap();
                let head = head.replace(&format!("127.0.0.1:{port}"), "backend");
                let mut server = TcpStream::connect(("127.0.0.1", gateway)).await.unwrap();
                server.write_all(head.as_bytes()).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_proxy_that_does_not_pass_the_host_on_is_named_with_the_setting_that_mends_it() {
    let port = free_port();
    let public = format!("http://127.0.0.1:{}", renaming_proxy(port).await);
    let gateway = at(port).route("/mcp", route()).gateway("publicUrl", json!(public)).spawn();
    gateway.address().await;
    let seen = examine(gateway.folder()).await;
    fails_with(&seen, "proxy_changes_host");
    assert!(seen.check("routes").1.contains("421"), "{}", seen.printed);
    assert!(seen.report["diagnosis"][0]["fix"].to_string().contains("proxy_set_header Host"), "{}", seen.printed);
}

#[tokio::test]
async fn a_public_url_that_some_clients_cannot_use_and_a_proxy_that_is_not_trusted_are_told() {
    let limit = json!({ "rateLimitBy": "ip", "requestsAllowed": 9, "timeWindowMinutes": 1 });
    let setup = || {
        let route = Route::demo().policy("rate-limit", &limit).policy("ip-restriction", &json!({}));
        at(free_port()).route("/mcp", route).gateway("publicUrl", json!("https://mcp..invalid:8443"))
    };
    let folder = setup().into_folder();
    let seen = examine(folder.path()).await;
    for code in ["public_port_unusual", "proxy_not_trusted", "policy_advises", "no_address"] {
        assert!(seen.codes().contains(&code), "{code}: {}", seen.printed);
    }
    let advice = seen.codes().iter().filter(|code| **code == "policy_advises").count();
    assert_eq!(advice, 2, "rate-limit and ip-restriction: {}", seen.printed);

    let folder = setup().gateway("trustedProxies", json!(["127.0.0.1"])).into_folder();
    let seen = examine(folder.path()).await;
    assert_eq!(seen.codes(), ["public_port_unusual", "no_address"], "{}", seen.printed);

    let folder = Setup::new().gateway("listen", json!(format!("0.0.0.0:{}", free_port())));
    let folder = folder.route("/mcp", Route::demo()).into_folder();
    let seen = examine(folder.path()).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["public_url_missing"], Some(0)), "{}", seen.printed);
}

/// A gateway that serves TLS with these files.
fn https(certificate: &str, key: &str) -> Setup {
    let public = format!("https://localhost:{}", free_port());
    at(free_port())
        .route("/mcp", Route::demo())
        .gateway("publicUrl", json!(public))
        .gateway("tls", json!({ "certificate": "cert.pem", "key": "key.pem" }))
        .file("cert.pem", certificate)
        .file("key.pem", key)
}

#[tokio::test]
async fn the_gateway_s_own_certificate_is_judged_before_clients_do() {
    let authority = Authority::new();
    let now = SystemClock.now();
    let until = |end: Timestamp, names: &[&str]| authority.issue_until(names, end);
    let (own, days) = (["localhost"], |days: u64| Duration::from_hours(24 * days));
    for (pair, code) in [
        (until(now.plus(days(7)), &own), "certificate_expires_soon"),
        (until(now.minus(days(1)), &own), "certificate_expired"),
        (until(now.plus(days(90)), &["elsewhere.example"]), "certificate_wrong_name"),
    ] {
        let folder = https(&pair.certificate, &pair.key).into_folder();
        let seen = examine(folder.path()).await;
        assert_eq!(seen.codes(), [code], "{}", seen.printed);
        assert!(seen.check("certificate").1.contains("cert.pem"), "{}", seen.printed);
    }
    let (good, other) = (until(now.plus(days(90)), &own), until(now.plus(days(90)), &own));
    examine(https(&good.certificate, &good.key).into_folder().path()).await.is_healthy();
    fails_with(&examine(https(&good.certificate, &other.key).into_folder().path()).await, "own_certificate_unusable");
    fails_with(&examine(https("no PEM", &good.key).into_folder().path()).await, "own_certificate_unusable");
}
