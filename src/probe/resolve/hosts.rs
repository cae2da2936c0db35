//! hosts(5): names with their addresses, by hand; and `localhost`, which is this machine whatever any file says.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Each name, in lower case, with its addresses in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Box<str>, Vec<IpAddr>>);

impl Hosts {
    pub(super) fn read(file: &str) -> Self {
        let mut hosts = HashMap::<Box<str>, Vec<IpAddr>>::new();
        for line in file.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            // The interface of a link-local address is of no use: no such address is ever connected to.
            let Some(Ok(address)) = words.next().map(|text| text.split('%').next().unwrap_or_default().parse()) else {
                continue;
            };
            for name in words {
                let addresses = hosts.entry(plain(name).into()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self(hosts)
    }

    /// The addresses of `host`; those of loopback for `localhost` and all names below it.
    pub(super) fn find(&self, host: &str) -> Vec<IpAddr> {
        let host = plain(host);
        if let Some(addresses) = self.0.get(host.as_str()) {
            return addresses.clone();
        }
        if host == "localhost" || host.ends_with(".localhost") {
            return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        Vec::new()
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_with_all_their_addresses() {
        let hosts = Hosts::read(
            "127.0.0.1 localhost\n# 10.0.0.9 shop.test\n10.0.0.1\tShop.Test shop # here\n::1 shop.test\n\
             10.0.0.1 shop.test\nfe80::1%lo shop.test\nnonsense shop.test\n10.0.0.2\n",
        );
        let all: [IpAddr; 3] = [[10, 0, 0, 1].into(), "::1".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(hosts.find("SHOP.test."), all);
        assert_eq!(hosts.find("shop"), all[..1]);
        assert_eq!(hosts.find("other.test"), [] as [IpAddr; 0]);
        assert_eq!(hosts.find("localhost"), [IpAddr::from([127, 0, 0, 1])], "the file comes first");
    }

    #[test]
    fn localhost_and_what_is_below_it_is_loopback() {
        for name in ["localhost", "a.localhost", "A.LocalHost."] {
            assert!(Hosts::default().find(name).iter().all(IpAddr::is_loopback), "{name}");
            assert_eq!(Hosts::default().find(name).len(), 2, "{name}");
        }
        assert_eq!(Hosts::default().find("notlocalhost"), [] as [IpAddr; 0]);
    }
}
