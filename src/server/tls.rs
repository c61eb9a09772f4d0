//! The listener's certificate, read again when its files change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use crate::{config::TlsFiles, pipeline::listener_tls};

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
        let config = listener_tls(&certificate, &key)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(config)), certificate, key })
    }

    /// For the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again. Connections that are open stay as they are; if the files are no good, so does everything.
    pub(super) fn reload(&self) {
        match listener_tls(&self.certificate, &self.key) {
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
