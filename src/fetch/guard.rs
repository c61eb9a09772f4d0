//! Which addresses may be asked.

use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses::{carried, is_public};

/// Judges addresses. Public ones may be asked; others only as far as this says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Networks that the operator allows beyond public addresses.
    pub networks: Vec<IpNet>,
    /// For development, where the gateway itself is on loopback: allows 127.0.0.0/8 and `::1`, also without TLS.
    pub loopback: bool,
}

impl Guard {
    /// May this address be asked? One that carries an IPv4 address (v4-mapped, NAT64, 6to4, Teredo) is never public, and
    /// may be asked only if the operator's networks have it and the address inside may be asked too.
    pub fn allows(&self, address: IpAddr) -> bool {
        let itself =
            is_public(address) || self.is_own(address) || self.networks.iter().any(|net| net.contains(&address));
        itself && carried(address).is_none_or(|inner| self.allows(inner.into()))
    }

    /// May this address be asked without TLS?
    pub(super) fn allows_plain(&self, address: IpAddr) -> bool {
        self.is_own(address)
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.loopback && address.is_loopback()
    }
}
