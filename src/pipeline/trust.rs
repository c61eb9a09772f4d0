//! Which certificates upstreams may show.

use std::{path::Path, sync::Arc};

use portcullis_policies::kit::policy::Problem;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    config::{Pointer, Surroundings},
    proxy::Trust,
};

/// The system's roots, or Mozilla's where the system has none, and those of `files`.
pub(super) fn trust(files: &[String], surroundings: &Surroundings<'_>, at: &Pointer) -> Result<Trust, Vec<Problem>> {
    let mut roots = system_roots();
    let mut problems = Vec::new();
    for (index, file) in files.iter().enumerate() {
        if let Err(why) = add_file(&mut roots, file, surroundings) {
            problems.push(Problem::new(at.join(index), why).hint("give a PEM file with certificates of authorities"));
        }
    }
    if problems.is_empty() { Ok(Trust::new(client_config(roots))) } else { Err(problems) }
}

/// For upstreams without TLS: nothing is trusted and nothing is read from the system.
pub(super) fn no_trust() -> Trust {
    Trust::new(client_config(RootCertStore::empty()))
}

fn add_file(roots: &mut RootCertStore, file: &str, surroundings: &Surroundings<'_>) -> Result<(), String> {
    let pem = (surroundings.file)(Path::new(file)).map_err(|error| format!("{file} cannot be read: {error}"))?;
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{file} is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("{file} has no certificate in it"));
    }
    certificates.into_iter().try_for_each(|certificate| {
        roots.add(certificate).map_err(|error| format!("{file} has a certificate that cannot be used: {error}"))
    })
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn client_config(roots: RootCertStore) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    match versions {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        Err(error) => unreachable!("aws-lc-rs supports the default protocol versions: {error}"),
    }
}
