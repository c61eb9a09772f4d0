//! Certificates.

use portcullis_policies::kit::clock::{Clock, SystemClock};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use super::{Examined, examine, examine_with, url};
use crate::harness::{Answer, Authority, Gateway, Route, Upstream};

/// A server at `https://127.0.0.1` with this certificate, examined by somebody who trusts `trusted`.
async fn examine_tls(tls: rustls::ServerConfig, trusted: &Authority) -> Examined {
    let upstream = Upstream::with_tls(tls, |_| Answer::status(401).header("WWW-Authenticate", "Bearer")).await;
    let folder = TempDir::new().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, trusted.pem()).unwrap();
    examine_with(&[&upstream.url()], &[("SSL_CERT_FILE", roots.to_str().unwrap())]).await
}

#[tokio::test]
async fn who_signed_a_certificate_for_whom_and_until_when_are_told_apart() {
    let (authority, other) = (Authority::new(), Authority::new());
    let own: &[&str] = &["127.0.0.1"];
    for (tls, trusted, code) in [
        (authority.server(own), &other, "certificate_untrusted"),
        (authority.server(&["elsewhere.example"]), &authority, "certificate_wrong_name"),
        (authority.server_of(own, 2020..2021), &authority, "certificate_expired"),
        (authority.server_of(own, 2200..2201), &authority, "certificate_not_yet_valid"),
    ] {
        let seen = examine_tls(tls, trusted).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(4)), "{}", seen.printed);
        assert_eq!(seen.check("answer"), ("skipped", "nothing can be sent safely"));
    }
    let seen = examine_tls(authority.server(own), &authority).await;
    assert_eq!(seen.check("tls").0, "ok", "{}", seen.printed);
    assert_eq!(seen.check("answer").0, "ok", "{}", seen.printed);
}

/// Says where the issuer's certificate is to be had, as public authorities do (RFC 5280 §4.2.2.1).
fn says_where_its_issuer_is(params: &mut CertificateParams) {
    let at = b"http://ca.example/ca.crt";
    let ca_issuers = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    let access = [&ca_issuers[..], &[0x86, u8::try_from(at.len()).unwrap()], at].concat();
    let inner = [&[0x30, u8::try_from(access.len()).unwrap()], &*access].concat();
    let outer = [&[0x30, u8::try_from(inner.len()).unwrap()], &*inner].concat();
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], outer));
}

#[tokio::test]
async fn why_nobody_trusts_a_certificate_is_told_by_what_the_server_shows() {
    let (authority, other) = (Authority::new(), Authority::new());
    let own: &[&str] = &["127.0.0.1"];
    let as_openssl_makes_it = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let for_clients = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    for (tls, trusted, code, shown) in [
        (Authority::server_by_itself(own, |_| ()), &other, "certificate_self_signed", "a chain of 1"),
        (Authority::server_by_itself(own, as_openssl_makes_it), &other, "certificate_self_signed", "a chain of 1"),
        (authority.server_with(own, says_where_its_issuer_is), &other, "certificate_chain_incomplete", "a chain of 1"),
        (authority.server(own), &other, "certificate_untrusted", "An authority of our own"),
        (authority.server_with(own, for_clients), &authority, "certificate_unusable", "a chain of 1"),
        (authority.server(&["a.example", "b.example"]), &authority, "certificate_wrong_name", "a.example, b.example"),
        (authority.server_of(own, 2020..2021), &authority, "certificate_expired", "until 2021-01-01"),
    ] {
        let seen = examine_tls(tls, trusted).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(4)), "{}", seen.printed);
        assert!(seen.check("tls").1.contains(shown), "{shown}: {}", seen.printed);
    }
}

#[tokio::test]
async fn the_certificate_of_an_authority_in_a_server_s_place_has_a_fix_that_works() {
    let authority = Authority::new();
    let own: &[&str] = &["127.0.0.1"];
    let as_an_authority = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (tls, code) in [
        (Authority::server_by_itself(own, as_an_authority), "certificate_self_signed"),
        (authority.server_with(own, as_an_authority), "certificate_unusable"),
    ] {
        let seen = examine_tls(tls, &authority).await;
        assert_eq!((seen.codes(), seen.exit_code), (vec![code], Some(4)), "{}", seen.printed);
        assert!(seen.check("tls").1.starts_with("it is the certificate of an authority"), "{}", seen.printed);
        let fix = seen.report["diagnosis"][0]["fix"].as_str().unwrap();
        assert!(fix.contains("basicConstraints=critical,CA:FALSE"), "{fix}");
    }
}

#[tokio::test]
async fn a_certificate_that_ends_within_two_weeks_is_a_warning_and_the_examination_goes_on() {
    let authority = Authority::new();
    for (days, code) in [(5, Some("certificate_expires_soon")), (30, None)] {
        let end = SystemClock.now().as_seconds() + days * 24 * 60 * 60 + 60;
        let end = OffsetDateTime::from_unix_timestamp(end).unwrap();
        let tls = authority.server_with(&["127.0.0.1"], |params| params.not_after = end);
        let seen = examine_tls(tls, &authority).await;
        assert_eq!(seen.codes().contains(&"certificate_expires_soon"), code.is_some(), "{}", seen.printed);
        let told = seen.check("tls").1;
        assert!(told.contains(&format!("({days} days)")) && told.contains("for 127.0.0.1 by An authority"), "{told}");
        assert_eq!(seen.check("answer").0, "ok", "{}", seen.printed);
    }
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_not_taken_for_one_with_a_bad_certificate() {
    let gateway = Gateway::with(Route::demo()).await;
    let seen = examine(&url(&gateway).replace("http://", "https://")).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["not_tls"], Some(4)), "{}", seen.printed);
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_handshake_is_not_taken_for_one_with_a_bad_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/mcp", listener.local_addr().unwrap());
    let hanging_up = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let seen = examine(&url).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["tls_handshake_failed"], Some(4)), "{}", seen.printed);
    hanging_up.abort();
}

#[tokio::test]
async fn a_port_that_speaks_tls_is_not_taken_for_one_that_speaks_nothing() {
    let tls = Authority::new().server(&["127.0.0.1"]);
    let upstream = Upstream::with_tls(tls, |_| Answer::status(401)).await;
    let seen = examine(&upstream.url().replace("https:", "http:")).await;
    assert_eq!((seen.codes(), seen.exit_code), (vec!["speaks_tls"], Some(4)), "{}", seen.printed);
    assert!(seen.report["diagnosis"][0]["fix"].as_str().unwrap().contains("https"), "{}", seen.printed);
}
