//! Link-local networks that whoever owns the settings opens: services of AWS (VPC Lattice) have addresses there. Where metadata and
//! credentials are kept stays shut.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::refuse;

/// Where each network that is opened must lie.
const OPENABLE: [Network; 2] = [v4([169, 254, 0, 0], 16), v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32)];

/// What none of them may touch: the metadata, credentials, name and time servers of AWS, and the metadata of the clouds that keep
/// it at an address of their own.
const SHUT: [Network; 5] = [
    v4([169, 254, 169, 0], 24),
    v4([169, 254, 170, 0], 24),
    v4([169, 254, 0, 23], 32),  // Tencent Cloud
    v4([169, 254, 42, 42], 32), // Scaleway
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 64),
];

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Network {
    Network { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], bits: u8) -> Network {
    Network { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits }
}

/// A network, as `169.254.171.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl Network {
    /// Reads one that may be opened.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (address, bits) = text.split_once('/').ok_or("has no length of a prefix behind a slash")?;
        let first: IpAddr = address.parse().map_err(|_| "does not begin with an address")?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits =
            bits.parse().ok().filter(|bits| *bits <= most).ok_or("has no length of a prefix behind its slash")?;
        let network = Self { first, bits };
        if network.last_bits() != 0 {
            return Err("has an address with bits behind the prefix");
        }
        if !OPENABLE.iter().any(|outer| outer.bits <= bits && outer.holds(first)) {
            return Err("is no part of 169.254.0.0/16 or fd00:ec2::/32, which are all that can be opened");
        }
        if SHUT.iter().any(|shut| shut.holds(first) || network.holds(shut.first)) {
            return Err("holds addresses of metadata or credentials, which are never probed");
        }
        Ok(network)
    }

    fn holds(self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.masked(address) == self.number()
    }

    fn number(self) -> u128 {
        self.masked(self.first)
    }

    /// What stands behind the prefix.
    fn last_bits(self) -> u128 {
        let whole = Self { bits: if self.first.is_ipv4() { 32 } else { 128 }, ..self };
        let prefix = self.number().checked_shl(u32::from(whole.bits - self.bits)).unwrap_or(0);
        whole.number() - prefix
    }

    /// The bits of the prefix of `address`.
    fn masked(self, address: IpAddr) -> u128 {
        let (number, length) = match address {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        number.checked_shr(length - u32::from(self.bits)).unwrap_or(0)
    }
}

/// The networks that are opened; none, if nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Arc<[Network]>);

impl Allowed {
    /// These.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks.into())
    }

    /// As [`refuse`], but for what is opened. An address in disguise is not.
    pub fn refuse(&self, address: IpAddr) -> Option<&'static str> {
        let why = refuse(address)?;
        let is_open = !SHUT.iter().any(|shut| shut.holds(address)) && self.0.iter().any(|open| open.holds(address));
        (!is_open).then_some(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_is_opened_is_probed_and_metadata_never() {
        let allowed = Allowed::new(
            ["169.254.171.0/24", "169.254.0.0/28", "fd00:ec2:80::/64"]
                .map(|text| Network::parse(text).unwrap())
                .to_vec(),
        );
        let is_open = |text: &str| allowed.refuse(text.parse().unwrap()).is_none();
        for open in ["169.254.171.5", "169.254.0.9", "fd00:ec2:80::1", "10.0.0.1"] {
            assert!(is_open(open), "{open}");
        }
        for shut in
            ["169.254.172.5", "169.254.169.254", "169.254.170.2", "fd00:ec2::254", "::ffff:169.254.171.5", "fe80::1"]
        {
            assert!(!is_open(shut), "{shut}");
        }
        assert!(Allowed::default().refuse("169.254.171.5".parse().unwrap()).is_some());
    }

    #[test]
    fn what_may_not_be_opened_is_refused_with_a_reason() {
        for (text, why) in [
            ("169.254.171.0", "no length"),
            ("lattice/24", "begin with an address"),
            ("169.254.171.0/33", "no length"),
            ("169.254.171.5/24", "bits behind"),
            ("10.0.0.0/8", "no part of"),
            ("0.0.0.0/0", "no part of"),
            ("fe80::/10", "no part of"),
            ("169.254.0.0/16", "metadata"),
            ("169.254.169.254/32", "metadata"),
            ("169.254.168.0/22", "metadata"),
            ("169.254.170.23/32", "metadata"),
            ("169.254.0.0/24", "metadata"),
            ("169.254.42.0/24", "metadata"),
            ("fd00:ec2::/32", "metadata"),
            ("fd00:ec2::254/128", "metadata"),
        ] {
            let said = Network::parse(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
