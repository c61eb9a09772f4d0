//! Which addresses are public, by the registries of special-purpose addresses that IANA keeps (RFC 6890, RFC 8190).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// IPv4 networks that are not public.
const SPECIAL_V4: &[Ipv4Net] = &[
    v4([0, 0, 0, 0], 8),        // this network: RFC 791
    v4([10, 0, 0, 0], 8),       // private: RFC 1918
    v4([100, 64, 0, 0], 10),    // behind a carrier's NAT: RFC 6598
    v4([127, 0, 0, 0], 8),      // loopback: RFC 1122
    v4([168, 63, 129, 16], 32), // not in the registry: answers only inside Azure, as the machine's host
    v4([169, 254, 0, 0], 16),   // link-local: RFC 3927; metadata of cloud machines
    v4([172, 16, 0, 0], 12),    // private: RFC 1918
    v4([192, 0, 0, 0], 24),     // protocol assignments: RFC 6890
    v4([192, 0, 2, 0], 24),     // documentation: RFC 5737
    v4([192, 88, 99, 0], 24),   // 6to4 relays: RFC 7526
    v4([192, 168, 0, 0], 16),   // private: RFC 1918
    v4([198, 18, 0, 0], 15),    // benchmarks: RFC 2544
    v4([198, 51, 100, 0], 24),  // documentation: RFC 5737
    v4([203, 0, 113, 0], 24),   // documentation: RFC 5737
    v4([224, 0, 0, 0], 4),      // multicast: RFC 5771
    v4([240, 0, 0, 0], 4),      // reserved, and the broadcast address: RFC 1112, RFC 919
];

/// The only IPv6 addresses that are given out for public use (RFC 4291 §2.4). Outside are loopback, unspecified,
/// v4-mapped, NAT64, unique-local, link-local and multicast addresses.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// IPv6 networks among those that are not public.
const SPECIAL_V6: &[Ipv6Net] = &[
    v6([0x2001, 0, 0, 0], 23), // protocol assignments, Teredo, benchmarks, ORCHID: RFC 2928, RFC 4380
    v6([0x2001, 0xdb8, 0, 0], 32), // documentation: RFC 3849
    v6([0x2002, 0, 0, 0], 16), // 6to4: RFC 3056
    v6([0x3fff, 0, 0, 0], 20), // documentation: RFC 9637
];

const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96); // RFC 4291 §2.5.5.2
const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0], 96); // RFC 4291 §2.5.5.1
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96); // RFC 6052
const NAT64_LOCAL: Ipv6Net = v6([0x64, 0xff9b, 1, 0], 48); // RFC 8215
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0], 16); // RFC 3056
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0], 32); // RFC 4380

/// Is the address one that anybody on the Internet may have?
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
        }
    }
}

/// The IPv4 address to which packets for this IPv6 address may be handed on.
pub(super) fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let within = |networks: &[Ipv6Net]| networks.iter().any(|network| network.contains(&address));
    let [.., a, b, c, d] = address.octets();
    match () {
        // `::` and `::1` lie in the network of compatible addresses, and are none.
        () if address.is_unspecified() || address.is_loopback() => None,
        () if within(&[MAPPED, COMPATIBLE, NAT64, NAT64_LOCAL]) => Some(Ipv4Addr::new(a, b, c, d)),
        () if within(&[SIX_TO_FOUR]) => {
            let [_, _, a, b, c, d, ..] = address.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        () if within(&[TEREDO]) => Some(Ipv4Addr::new(!a, !b, !c, !d)),
        () => None,
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d]: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}
