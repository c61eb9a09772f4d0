//! Which fault an error of the network is.

use std::{error::Error as StdError, io};

use rustls::{CertificateError, Error};

use super::Fault;

impl Fault {
    /// A connection that could not be made, with or without TLS, in whatever a client of HTTP wraps its error.
    pub fn of_connecting(error: &(dyn StdError + 'static)) -> Self {
        std::iter::successors(Some(error), |error| inner(*error)).find_map(of_step).unwrap_or(Self::ConnectionFailed)
    }

    /// A connection that could not be made.
    pub fn of_connection(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            io::ErrorKind::TimedOut => Self::ConnectionTimedOut,
            _ => Self::ConnectionFailed,
        }
    }

    /// A TLS handshake that failed.
    pub fn of_handshake(error: &io::Error) -> Self {
        let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
        error.map_or(Self::HandshakeFailed, of_tls)
    }
}

/// What an I/O error wraps is not its source: that is the source of what it wraps.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| error.source())
}

fn of_step(error: &(dyn StdError + 'static)) -> Option<Fault> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(of_tls(error));
    }
    // The type has no name outside its crate.
    if error.to_string().starts_with("dns error") {
        return Some(Fault::NoAddress);
    }
    let wraps = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<Error>() || inner.is::<io::Error>());
    let error = error.downcast_ref::<io::Error>().filter(|error| !wraps(error))?;
    // A connection that is only being made has no end: whoever hangs up does so in the handshake.
    let is_handshake = error.kind() == io::ErrorKind::UnexpectedEof;
    Some(if is_handshake { Fault::HandshakeFailed } else { Fault::of_connection(error) })
}

fn of_tls(error: &Error) -> Fault {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        // Whoever speaks something else is taken for a record of TLS that makes no sense.
        Error::InvalidMessage(_) => Fault::NotTls,
        _ => Fault::HandshakeFailed,
    }
}

fn of_certificate(error: &CertificateError) -> Fault {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Fault::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Fault::CertificateNotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Fault::CertificateWrongName
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Fault::CertificateUntrusted,
        _ => Fault::CertificateUnusable,
    }
}
