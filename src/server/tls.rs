//! The listener's certificate, read again when its files change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::config::TlsFiles;

/// TLS for the listener.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    current: Arc<ArcSwap<ServerConfig>>,
    certificate: PathBuf,
    key: PathBuf,
}

impl Tls {
    /// Reads certificate and key; paths are relative to `folder`.
    pub(super) fn load(files: &TlsFiles, folder: &Path) -> anyhow::Result<Self> {
        let (certificate, key) = (folder.join(&files.certificate), folder.join(&files.key));
        let config = read(&certificate, &key)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(config)), certificate, key })
    }

    /// For the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again. Connections that are open stay as they are; if the files are no good, so does everything.
    pub(super) fn reload(&self) {
        match read(&self.certificate, &self.key) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!(certificate = %self.certificate.display(), "certificate read again");
            }
            Err(error) => tracing::error!("the certificate in force stays: {error:#}"),
        }
    }

    /// The files to watch.
    pub(super) fn files(&self) -> [&Path; 2] {
        [&self.certificate, &self.key]
    }
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("the certificate {} cannot be read", certificate.display()))?;
    if chain.is_empty() {
        bail!("{} has no certificate in it", certificate.display());
    }
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("the key {} cannot be read", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("certificate and key do not belong together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
