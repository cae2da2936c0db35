//! The addresses that are never connected to (P10): link-local, cloud metadata, and what names no single host.
//!
//! A monitor asks for whatever URL is in its table, from a machine that can reach the metadata service and so the keys of
//! its role. The guard looks at the very addresses that are about to be connected to, and there is no switch to turn it
//! off; [`allowed`] opens networks of services, and never those of metadata. Loopback and private ranges are allowed: a self-hosted monitor must reach them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub mod allowed;

pub use allowed::{Allowed, Network};

const LINK_LOCAL: &str = "a link-local address, where clouds keep their instance metadata";
const METADATA: &str = "the instance metadata service of a cloud";
const UNSPECIFIED: &str = "the unspecified address";
const MULTICAST: &str = "a multicast address";
const BROADCAST: &str = "the broadcast address";

/// Says what sort of address this is, if it is one that must never be connected to; also where it hides inside an IPv6
/// address that a host or gateway on the way may unwrap.
pub fn refuse(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => refuse_v4(v4),
        IpAddr::V6(v6) => refuse_v6(v6).or_else(|| embedded(v6).into_iter().flatten().find_map(refuse_v4)),
    }
}

/// Whether this address is refused, and is none that stands for a metadata service: link-local IPv6, which leads nowhere without the
/// name of an interface, and gets into DNS and hosts files by mistake.
pub(super) fn leads_nowhere(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if refuse_v6(v6) == Some(LINK_LOCAL) && embedded(v6) == [None, None])
}

fn refuse_v4(v4: Ipv4Addr) -> Option<&'static str> {
    match v4.octets() {
        [0, ..] => Some(UNSPECIFIED), // RFC 791: "this network"; Linux takes 0.0.0.0 for loopback
        [169, 254, ..] => Some(LINK_LOCAL),
        [224..=239, ..] => Some(MULTICAST),
        [255, 255, 255, 255] => Some(BROADCAST),
        [100, 100, 100, 200]      // Alibaba Cloud
        | [192, 0, 0, 192]        // Oracle Cloud (classic)
        | [168, 63, 129, 16] => Some(METADATA), // Azure's wire server
        _ => None,
    }
}

fn refuse_v6(v6: Ipv6Addr) -> Option<&'static str> {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(UNSPECIFIED),
        [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => Some(METADATA), // OpenStack
        [0xfe80..=0xfebf, ..] => Some(LINK_LOCAL),
        [0xff00..=0xffff, ..] => Some(MULTICAST),
        [0xfd00, 0xec2, ..]                                   // AWS: metadata (::254), pod credentials (::23), DNS
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]                // Google Cloud
        | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]          // Oracle Cloud
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => Some(METADATA), // Scaleway
        _ => None,
    }
}

/// The IPv4 addresses that an IPv6 address stands for, in every form that something may unwrap.
fn embedded(v6: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let o = v6.octets();
    let at = |i: usize| Some(Ipv4Addr::new(o[i], o[i + 1], o[i + 2], o[i + 3]));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => [None, None], // ::1 is loopback, and no disguise of 0.0.0.1
        // IPv4-compatible ::/96 and IPv4-mapped ::ffff:0:0/96 (RFC 4291), IPv4-translated ::ffff:0:0:0/96 (RFC 2765)
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => [at(12), None],
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => [at(12), None], // NAT64 (RFC 6052)
        // NAT64's local-use prefix (RFC 8215), in the /96 and in the /48 form: the form that is not meant reads as 0.x
        [0x64, 0xff9b, 1, ..] => {
            [at(12), Some(Ipv4Addr::new(o[6], o[7], o[9], o[10]))].map(|v4| v4.filter(|v4| v4.octets()[0] != 0))
        }
        [0x2002, ..] => [at(2), None], // 6to4 (RFC 3056)
        // Teredo (RFC 4380): the server, and the client with every bit turned
        [0x2001, 0, ..] => [at(4), Some(Ipv4Addr::new(!o[12], !o[13], !o[14], !o[15]))],
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => [at(12), None], // ISATAP (RFC 5214)
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        refuse(text.parse().unwrap()).is_some()
    }

    #[test]
    fn link_local_metadata_and_what_is_no_single_host_are_refused() {
        for text in [
            "169.254.169.254",
            "169.254.0.0",
            "169.254.255.255",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "fe80::a9fe:a9fe",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
        ] {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn every_disguise_of_169_254_169_254_is_seen_through() {
        for text in [
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            "2001:0:102:304::5601:5601",
            "fe80::5efe:a9fe:a9fe",
            "2001:db8::5efe:169.254.169.254",
            "2001:db8::200:5efe:169.254.169.254",
            "::ffff:0.0.0.0",
            "64:ff9b::100.100.100.200",
            "2002:e000:1::",
        ] {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn link_local_addresses_that_stand_for_nothing_else_lead_nowhere() {
        let leads_nowhere = |text: &str| leads_nowhere(text.parse().unwrap());
        assert!(leads_nowhere("fe80::1") && leads_nowhere("febf::1234:5678:9abc:def0"));
        for text in
            ["fe80::a9fe:a9fe", "fe80::5efe:a9fe:a9fe", "fe80::5efe:a00:1", "169.254.1.1", "fd00:ec2::254", "::1"]
        {
            assert!(!leads_nowhere(text), "{text}");
        }
    }

    #[test]
    fn loopback_private_and_public_addresses_are_allowed() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "1.1.1.1",
            "169.253.255.255",
            "169.255.0.0",
            "223.255.255.255",
            "240.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "fd12:3456::1",
            "fc00::1",
            "2606:4700::1111",
            "64:ff9b::1.1.1.1",
            "64:ff9b:1::10.0.0.1",
            "2002:7f00:1::",
            "fec0::1",
        ] {
            assert!(!refused(text), "{text}");
        }
    }
}
