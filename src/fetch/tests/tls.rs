//! Servers with certificates.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{PrivateKeyDer, pem::PemObject},
};

use super::{
    super::BadPem,
    server::{Server, Then},
    *,
};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A server on loopback with a certificate for `name`.
    async fn server(&self, name: &str) -> Server {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec();
        Server::start("127.0.0.1:0", Some(config), answer, Then::Close).await
    }

    /// A client that trusts this authority, and finds every name on loopback.
    fn trusting(&self) -> Client {
        let mut roots = Roots::none();
        roots.add_pem(&self.0.pem()).unwrap();
        let guard = Guard { loopback: true, ..Guard::default() };
        Client::new(Settings { guard, roots }, Arc::new(Always(vec!["127.0.0.1".parse().unwrap()])))
    }
}

#[tokio::test]
async fn a_certificate_counts_for_its_name_and_only_from_an_authority_that_is_trusted() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = ours.server("documents.example").await;
    let url = |host: &str| format!("https://{host}:{}/", server.address.port());
    assert!(get(&ours.trusting(), &url("documents.example")).await.is_ok());
    for outcome in [
        get(&ours.trusting(), &url("other.example")).await,
        get(&ours.trusting(), &url("127.0.0.1")).await,
        get(&other.trusting(), &url("documents.example")).await,
    ] {
        let Err(FetchError::Unreachable(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.starts_with("TLS with ") && why.contains("certificate"), "{why}");
    }
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_certificate_may_name_an_address() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1").await;
    assert!(get(&authority.trusting(), &format!("https://{}/", server.address)).await.is_ok());
}

#[tokio::test]
async fn a_server_without_tls_hears_nothing_of_a_request_with_it() {
    let server = Server::plain("HTTP/1.1 200 OK\r\n\r\n", Then::Close).await;
    let request = http::Request::post(format!("https://{}/", server.address)).body("code=secret").unwrap();
    assert!(is_unreachable(&on_loopback().send(request, BUDGET).await));
    assert!(!server.heard().concat().contains("secret"));
}

#[test]
fn a_file_without_certificates_gives_no_roots() {
    assert_eq!(Roots::none().add_pem("").unwrap_err(), BadPem::Empty);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Roots::none().add_pem(broken), Err(BadPem::Unusable(_))));
    assert!(matches!(Roots::none().add_pem("-----BEGIN CERTIFICATE-----\nAAAA"), Err(BadPem::NotPem(_))));
}
