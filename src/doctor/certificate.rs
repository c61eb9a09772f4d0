//! What a certificate says of itself.

use std::time::Duration;

use portcullis_policies::kit::clock::Timestamp;
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS,
    prelude::{FromDer, X509Certificate, X509Name},
};

/// How long before its end a certificate is spoken of: those that are renewed by a program are renewed earlier.
pub(super) const SOON: Duration = Duration::from_hours(14 * 24);

/// A certificate, as far as people ask about it.
pub(super) struct Certificate {
    /// For whom it is.
    pub(super) subject: String,
    /// Who signed it.
    pub(super) issuer: String,
    /// The hosts that it names.
    pub(super) names: Vec<String>,
    /// Until when it is good.
    pub(super) not_after: Timestamp,
    /// The same, as people write a day.
    pub(super) last_day: String,
    /// Does it name itself as the one who signed it?
    pub(super) is_self_signed: bool,
    /// May it sign others?
    pub(super) is_authority: bool,
    /// Does it say where its issuer's certificate is to be had? Public authorities write that, private ones seldom.
    pub(super) says_where_its_issuer_is: bool,
}

impl Certificate {
    /// Reads one. Nothing is verified.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let not_after = read.validity().not_after;
        let last_day = not_after.to_datetime().date();
        Some(Self {
            subject: named(read.subject()),
            issuer: named(read.issuer()),
            names: hosts(&read),
            not_after: Timestamp::from_seconds(not_after.timestamp()),
            last_day: format!("{}-{:02}-{:02}", last_day.year(), u8::from(last_day.month()), last_day.day()),
            is_self_signed: read.subject().as_raw() == read.issuer().as_raw(),
            is_authority: read.is_ca(),
            says_where_its_issuer_is: says_where_its_issuer_is(&read),
        })
    }
}

/// The common name, or else all of it.
fn named(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    common.map_or_else(|| name.to_string(), ToOwned::to_owned)
}

/// The alternative names; clients look at no others (RFC 9525).
fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => address(octets),
        _ => None,
    };
    names.filter_map(host).collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from)).ok().map(|address| address.to_string())
}

fn says_where_its_issuer_is(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => {
            access.accessdescs.iter().any(|one| one.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS)
        }
        _ => false,
    })
}
