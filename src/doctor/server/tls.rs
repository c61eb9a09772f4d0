//! The certificate: who signed it, for whom, and until when, told apart.

use std::io;

use portcullis_policies::kit::clock::{Clock, SystemClock, Timestamp};

use super::{
    super::{
        certificate::{Certificate, SOON},
        check::Running,
        finding::Finding,
    },
    case::{Fact, Server},
};
use crate::fault::Fault;

/// Names of a certificate that are told.
const NAMES: usize = 8;
/// Some clients take the certificate of an authority for a server's, and to others trusting it changes nothing.
const NO_AUTHORITY: &str = "Make the server's certificate anew without the rights of an authority (`openssl req -x509 … -addext \
                            basicConstraints=critical,CA:FALSE`), and give that one to each client (for this command: \
                            SSL_CERT_FILE=certificate.pem). curl takes an authority's certificate as a server's own; rustls, and \
                            so this command, does not.";

pub(super) fn certificate(case: &mut Server) -> Running<'_> {
    Box::pin(async move {
        let finding = if case.peer.is_tls() { handshake(case).await } else { plain(case) };
        vec![finding]
    })
}

/// Without TLS. On this machine nobody can listen in; from anywhere else the token stays here.
fn plain(case: &mut Server) -> Finding {
    case.found(Fact::Channel);
    if case.is_local() {
        Finding::skipped("the URL is http, on this machine")
    } else if case.credential.take().is_some() {
        Finding::of(Fault::NotEncrypted, "the URL is http, so the token that was given is not sent")
    } else {
        Finding::of(Fault::NotEncrypted, "the URL is http")
    }
}

async fn handshake(case: &mut Server) -> Finding {
    match case.peer.handshake().await {
        Ok(stream) => {
            let (_, connection) = stream.get_ref();
            let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
            case.found(Fact::Channel);
            good(version, &case.peer.shown(), SystemClock.now())
        }
        Err(error) => refused(&error, &case.peer.shown()),
    }
}

/// A chain is good until the first of its certificates is not.
fn good(version: &str, chain: &[Certificate], now: Timestamp) -> Finding {
    let (Some(own), Some(first)) = (chain.first(), chain.iter().min_by_key(|one| one.not_after)) else {
        return Finding::ok(&format!("{version}, a trusted certificate for this name"));
    };
    let left = first.not_after.since(now);
    let days = left.as_secs() / (24 * 60 * 60);
    let told = format!(
        "{version}, a certificate for {} by {}, in a chain of {}, good until {} ({days} days)",
        names(own),
        own.issuer,
        chain.len(),
        first.last_day
    );
    if left < SOON { Finding::of(Fault::CertificateExpiresSoon, &told) } else { Finding::ok(&told) }
}

/// The refusal says that nobody who is trusted signed it; the chain says which of the reasons for that it is.
fn refused(error: &io::Error, chain: &[Certificate]) -> Finding {
    let fault = Fault::of_handshake(error);
    let (Some(own), Some(last)) = (chain.first(), chain.last()) else { return Finding::of(fault, &error.to_string()) };
    let fault = match fault {
        // One that names itself as an authority too is refused in other words.
        Fault::CertificateUntrusted | Fault::CertificateUnusable if own.is_self_signed => Fault::CertificateSelfSigned,
        Fault::CertificateUntrusted if chain.len() == 1 && own.says_where_its_issuer_is => {
            Fault::CertificateChainIncomplete
        }
        fault => fault,
    };
    let shown = match fault {
        Fault::CertificateWrongName => format!("it is for {}", names(own)),
        Fault::CertificateExpired => {
            let days: Vec<_> = chain.iter().map(|one| format!("{} until {}", one.subject, one.last_day)).collect();
            days.join(", ")
        }
        _ => format!("a chain of {}, at whose end stands {:?}", chain.len(), last.issuer),
    };
    // The only authority that is refused in a server's place is one that shows its own certificate there.
    if own.is_authority && Fault::of_handshake(error) == Fault::CertificateUnusable {
        let told = format!("it is the certificate of an authority, used as a server's own; {shown}");
        return Finding::of(fault, &told).with_fix(NO_AUTHORITY);
    }
    Finding::of(fault, &format!("{error}; {shown}"))
}

fn names(certificate: &Certificate) -> String {
    match &*certificate.names {
        [] => format!("no host at all (its subject is {:?})", certificate.subject),
        names if names.len() > NAMES => format!("{} and {} more", names[..NAMES].join(", "), names.len() - NAMES),
        names => names.join(", "),
    }
}
