//! Certificates of an authority of our own.

use std::{io, net::SocketAddr, sync::Arc};

use portcullis_policies::kit::clock::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Client, soon};

/// Signs certificates that only those trust who were told to.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as files have them.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority of our own");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names and addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_for(names, |_| ())
    }

    /// The same until a moment.
    pub(crate) fn issue_until(&self, names: &[&str], end: Timestamp) -> Pair {
        let end = OffsetDateTime::from_unix_timestamp(end.as_seconds()).unwrap();
        self.issue_for(names, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = end;
        })
    }

    fn issue_for(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A server that shows a certificate for these names.
    pub(crate) fn server(&self, names: &[&str]) -> ServerConfig {
        Self::showing(&self.issue(names))
    }

    /// The same with a certificate that was good in these years only.
    pub(crate) fn server_of(&self, names: &[&str], years: std::ops::Range<i32>) -> ServerConfig {
        self.server_with(names, |params| {
            params.not_before = date_time_ymd(years.start, 1, 1);
            params.not_after = date_time_ymd(years.end, 1, 1);
        })
    }

    /// The same with another change to the certificate.
    pub(crate) fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        Self::showing(&self.issue_for(names, change))
    }

    /// A server whose certificate nobody signed but itself.
    pub(crate) fn server_by_itself(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self::showing(&Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    fn showing(pair: &Pair) -> ServerConfig {
        let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    /// A TLS connection to `localhost` at `address`, offering one protocol.
    pub(crate) async fn connect(&self, address: SocketAddr, protocol: &str) -> TlsStream<TcpStream> {
        self.try_connect(address, protocol).await.unwrap()
    }

    pub(crate) async fn try_connect(&self, address: SocketAddr, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        soon("a TLS handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }

    /// A client over HTTP/1.1 and TLS.
    pub(crate) async fn client(&self, address: SocketAddr) -> Client {
        Client::over(Box::new(self.connect(address, "http/1.1").await), address)
    }
}
