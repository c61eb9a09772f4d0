//! How often one address may ask for what costs something.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use crate::config::OAuthOptions;

/// Counts by address.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Requests that only read, or write little: authorize, token.
    requests: DefaultKeyedRateLimiter<IpAddr>,
    /// Registrations, which leave a row behind.
    registrations: DefaultKeyedRateLimiter<IpAddr>,
    /// Documents that are fetched because somebody asked.
    documents: DefaultKeyedRateLimiter<IpAddr>,
    /// Credentials that were wrong.
    failures: DefaultKeyedRateLimiter<IpAddr>,
    /// Addresses that showed too many wrong ones: for a minute nothing that they show is looked at.
    shut_out: Cache<IpAddr, ()>,
}

impl Throttle {
    pub(super) fn new(options: &OAuthOptions) -> Self {
        let per_hour = options.registration.per_hour_and_address;
        Self {
            requests: RateLimiter::keyed(Quota::per_minute(options.requests_per_minute_and_address)),
            registrations: RateLimiter::keyed(Quota::per_hour(per_hour)),
            documents: RateLimiter::keyed(Quota::per_minute(per(60))),
            failures: RateLimiter::keyed(Quota::per_minute(per(30))),
            shut_out: Cache::builder().max_capacity(100_000).time_to_live(Duration::from_mins(1)).build(),
        }
    }

    pub(super) fn admits_request(&self, address: IpAddr) -> bool {
        self.requests.check_key(&host(address)).is_ok()
    }

    pub(super) fn admits_registration(&self, address: IpAddr) -> bool {
        self.registrations.check_key(&host(address)).is_ok()
    }

    pub(super) fn admits_document(&self, address: IpAddr) -> bool {
        self.documents.check_key(&host(address)).is_ok()
    }

    /// Were there too many wrong credentials, so that even a right one is not looked at?
    pub(super) fn is_shut_out(&self, address: IpAddr) -> bool {
        self.shut_out.contains_key(&host(address))
    }

    /// Counts a wrong credential.
    pub(super) fn count_failure(&self, address: IpAddr) {
        if self.failures.check_key(&host(address)).is_err() {
            self.shut_out.insert(host(address), ());
        }
    }

    /// Forgets addresses whose count is full again.
    pub(super) fn sweep(&self) {
        for limiter in [&self.requests, &self.registrations, &self.documents, &self.failures] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// For what is not of the authorization server, and is reached by credentials too.
impl super::Authority {
    /// May this address ask once more?
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        self.throttle.admits_request(address)
    }

    /// Did too many wrong credentials come from this address?
    pub(crate) fn is_shut_out(&self, address: IpAddr) -> bool {
        self.throttle.is_shut_out(address)
    }

    /// A wrong credential came from this address.
    pub(crate) fn count_wrong_credential(&self, address: IpAddr) {
        self.throttle.count_failure(address);
    }
}

fn per(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// What one client has for itself: an IPv4 address, or an IPv6 /64.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}
