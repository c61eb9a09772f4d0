//! The certificate and the key that the gateway itself shows.

use rustls::{client::verify_server_name, pki_types::ServerName, server::ParsedCertificate};
use url::Url;

use super::{
    super::{
        certificate::{Certificate, SOON},
        check::Running,
        finding::Finding,
    },
    case::Deployment,
};
use crate::{
    config::TlsFiles,
    fault::Fault,
    pipeline::{certificates, listener_tls},
};

pub(super) fn good(case: &mut Deployment) -> Running<'_> {
    Box::pin(async move {
        let Some(files) = &case.gateway().tls else {
            return vec![Finding::skipped("the gateway itself does not serve TLS (gateway.tls)")];
        };
        vec![
            judged(case, files)
                .unwrap_or_else(|error| Finding::of(Fault::OwnCertificateUnusable, &format!("{error:#}"))),
        ]
    })
}

fn judged(case: &Deployment, files: &TlsFiles) -> anyhow::Result<Finding> {
    let (certificate, key) = (case.folder.join(&files.certificate), case.folder.join(&files.key));
    listener_tls(&certificate, &key)?;
    let chain = certificates(&certificate)?;
    let own = ParsedCertificate::try_from(&chain[0])?;
    let url = case.public_url();
    let host = url.and_then(Url::host_str).unwrap_or_default();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let of_public_url = |finding: Finding| finding.of_server(&case.origin);
    if let Ok(name) = name
        && let Err(error) = verify_server_name(&own, &name)
    {
        return Ok(of_public_url(Finding::of(Fault::CertificateWrongName, &format!("{}: {error}", files.certificate))));
    }
    let read = chain.iter().filter_map(|certificate| Certificate::read(certificate));
    let Some(first) = read.min_by_key(|certificate| certificate.not_after) else {
        return Ok(Finding::ok(&format!("{} fits its key and names {host}", files.certificate)));
    };
    let evidence = format!("{} names {host} and is good until {}", files.certificate, first.last_day);
    let (end, now) = (first.not_after, case.clock().now());
    Ok(if end <= now {
        of_public_url(Finding::of(Fault::CertificateExpired, &evidence))
    } else if end.since(now) < SOON {
        of_public_url(Finding::of(Fault::CertificateExpiresSoon, &evidence))
    } else {
        Finding::ok(&evidence)
    })
}
