//! Whose certificates are trusted.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::{VerifierBuilderError, WebPkiServerVerifier},
    pki_types::{CertificateDer, pem::PemObject},
};

/// Authorities whose certificates are trusted.
#[derive(Clone, Debug)]
pub struct Roots(RootCertStore);

/// Why a PEM text gives no authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPem {
    /// It is not PEM.
    NotPem(String),
    /// There is no certificate in it.
    Empty,
    /// A certificate in it is none of an authority.
    Unusable(String),
}

impl fmt::Display for BadPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPem(error) => write!(f, "is not PEM: {error}"),
            Self::Empty => f.write_str("has no certificate in it"),
            Self::Unusable(error) => write!(f, "has a certificate that cannot be used: {error}"),
        }
    }
}

impl std::error::Error for BadPem {}

impl Roots {
    /// The system's, or Mozilla's where the system has none. Reading them takes milliseconds.
    pub fn of_system() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Self(roots)
    }

    /// Nobody.
    pub fn none() -> Self {
        Self(RootCertStore::empty())
    }

    /// Adds the certificates of a PEM text.
    pub fn add_pem(&mut self, pem: &str) -> Result<(), BadPem> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| BadPem::NotPem(error.to_string()))?;
        if certificates.is_empty() {
            return Err(BadPem::Empty);
        }
        certificates
            .into_iter()
            .try_for_each(|certificate| self.0.add(certificate).map_err(|error| BadPem::Unusable(error.to_string())))
    }

    /// What judges a server's certificates in TLS with these. Without any authority there is no judge.
    pub fn judge(self) -> Result<Arc<WebPkiServerVerifier>, VerifierBuilderError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(self.0), provider).build()
    }

    /// TLS that trusts these, without a certificate of our own.
    pub fn client_config(self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        match versions {
            Ok(builder) => builder.with_root_certificates(self.0).with_no_client_auth(),
            Err(error) => unreachable!("aws-lc-rs supports the default protocol versions: {error}"),
        }
    }
}
