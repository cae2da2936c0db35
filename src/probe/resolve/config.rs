//! What the system's files say of name lookup: resolv.conf(5), and the line `hosts:` of nsswitch.conf(5). A line that
//! cannot be read is passed over, as the C library does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};

/// Name servers that are asked; resolv.conf(5) knows no more.
pub(super) const SERVERS_MAX: usize = 3;
/// Domains of the search list that are tried.
pub(super) const SEARCH_MAX: usize = 32;

/// Where systemd-resolved listens.
const STUBS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];

/// resolv.conf as it is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// In their order. Where the file names none: this machine.
    pub(super) servers: Vec<SocketAddr>,
    /// Whether the file names any.
    pub(super) names_servers: bool,
    pub(super) search: Vec<String>,
    /// With so many dots a name is tried as it is before the search list.
    pub(super) ndots: usize,
    /// How long one server is waited for.
    pub(super) timeout: Duration,
    /// How often all servers are asked.
    pub(super) attempts: usize,
    /// Whether each lookup begins with the next server.
    pub(super) rotate: bool,
    pub(super) edns: bool,
    /// Whether IPv4 and IPv6 are asked for one after the other.
    pub(super) one_at_a_time: bool,
    /// Whether TCP is used from the start.
    pub(super) tcp: bool,
    pub(super) no_ipv6: bool,
    /// Whether a name without a dot is never tried as it is.
    pub(super) no_single_label: bool,
}

impl Config {
    /// Reads the file. `search` and `options` are what the environment says in place of the file, and beside it; `host_name` is
    /// that of this machine, whose domain is searched where nothing else is said.
    pub(super) fn read(file: &str, port: u16, host_name: &str, search: Option<&str>, options: Option<&str>) -> Self {
        let mut config = Self {
            search: host_name.split_once('.').map(|(_, domain)| domain.to_owned()).into_iter().collect(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            ..Self::default()
        };
        for line in file.lines() {
            let mut words = line.split_ascii_whitespace();
            // A keyword begins its line.
            match words.next().filter(|_| !line.starts_with([' ', '\t'])) {
                Some("nameserver") if config.servers.len() < SERVERS_MAX => {
                    config.servers.extend(words.next().and_then(|text| server(text, port)));
                }
                Some("domain") => config.search = words.take(1).map(str::to_owned).collect(),
                Some("search") => config.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| config.option(word)),
                _ => {}
            }
        }
        if let Some(search) = search {
            config.search = search.split_ascii_whitespace().map(str::to_owned).collect();
        }
        options.unwrap_or_default().split_ascii_whitespace().for_each(|word| config.option(word));
        config.search.retain(|domain| domain != "." && domain != "--");
        config.search.truncate(SEARCH_MAX);
        config.names_servers = !config.servers.is_empty();
        if !config.names_servers {
            config.servers.push((Ipv4Addr::LOCALHOST, port).into());
        }
        config
    }

    fn option(&mut self, word: &str) {
        let (name, number) = word.split_once(':').unwrap_or((word, ""));
        let number = number.parse::<u64>().ok();
        match (name, number) {
            ("ndots", Some(dots)) => self.ndots = usize::try_from(dots).unwrap_or(15).min(15),
            ("timeout", Some(seconds)) => self.timeout = Duration::from_secs(seconds.clamp(1, 30)),
            ("attempts", Some(times)) => self.attempts = usize::try_from(times).unwrap_or(5).clamp(1, 5),
            ("rotate", _) => self.rotate = true,
            ("edns0", _) => self.edns = true,
            ("single-request" | "single-request-reopen", _) => self.one_at_a_time = true,
            ("use-vc", _) => self.tcp = true,
            ("no-aaaa", _) => self.no_ipv6 = true,
            ("no-tld-query", _) => self.no_single_label = true,
            _ => {}
        }
    }

    /// Whether it is systemd-resolved that is asked: its stub listens there.
    pub(super) fn asks_resolved(&self) -> bool {
        self.servers.iter().all(|server| STUBS.contains(&server.ip()))
    }

    /// The names to try for `host`, in order.
    pub(super) fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let dots = host.matches('.').count();
        let searched = self.search.iter().map(|domain| format!("{host}.{domain}"));
        let as_it_is = (dots > 0 || !self.no_single_label).then(|| host.to_owned());
        if dots >= self.ndots {
            as_it_is.into_iter().chain(searched).collect()
        } else {
            searched.chain(as_it_is).collect()
        }
    }
}

/// An IPv4 address, or an IPv6 one, perhaps with the interface behind a `%`.
fn server(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port));
    }
    let (ip, scope) = text.split_once('%')?;
    let ip = ip.parse::<Ipv6Addr>().ok()?;
    Some(SocketAddrV6::new(ip, port, 0, scope.parse().ok().or_else(|| interface(scope))?).into())
}

/// The number of a network interface.
fn interface(name: &str) -> Option<u32> {
    let any = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    rustix::net::netdevice::name_to_index(any, name).ok()
}

/// What the system asks for names beside its files and DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sources {
    /// Nothing.
    #[default]
    FilesAndDns,
    /// Something that we do not speak (`mdns`, `ldap`, `myhostname`): it is asked for what DNS does not have.
    More,
    /// DNS is not among them.
    WithoutDns,
}

impl Sources {
    /// Reads nsswitch.conf. What stands in brackets says how to go on from one source to the next. `asks_resolved` is whether the
    /// name servers of resolv.conf are systemd-resolved itself, which is what `resolve` asks.
    pub(super) fn read(file: &str, asks_resolved: bool) -> Self {
        let Some(line) = file.lines().find_map(|line| line.trim_start().strip_prefix("hosts:")) else {
            return Self::default();
        };
        let line = line.split('#').next().unwrap_or_default();
        let mut outside = String::new();
        let mut depth = 0_u32;
        for c in line.chars() {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                c if depth == 0 => outside.push(c),
                _ => {}
            }
        }
        let is_dns = |source: &str| source == "dns" || (source == "resolve" && asks_resolved);
        let mut sources = outside.split_ascii_whitespace();
        // Other name servers may know other names than systemd-resolved does, or be out of reach.
        let asks_it_first = sources.clone().find(|source| matches!(*source, "dns" | "resolve")) == Some("resolve");
        if !sources.clone().any(is_dns) || (asks_it_first && !asks_resolved) {
            Self::WithoutDns
        } else if sources.all(|source| source == "files" || is_dns(source)) {
            Self::FilesAndDns
        } else {
            Self::More
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(file: &str) -> Config {
        Config::read(file, 53, "box.home.test", None, None)
    }

    #[test]
    fn servers_search_and_options_are_read_as_the_manual_says() {
        let config = read(
            "# comment\n; another\nnameserver 10.0.0.2\nnameserver fe80::1%1\n nameserver 10.0.0.9\nnameserver nonsense\n\
             nameserver 2001:db8::53\nnameserver 10.0.0.4\ndomain a.test\nsearch b.test c.test\n\
             options ndots:3 timeout:1 attempts:9 unknown:1 rotate\noptions edns0 timeout:99 single-request use-vc\n",
        );
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 1);
        let servers = ["10.0.0.2:53".parse().unwrap(), scoped.into(), "[2001:db8::53]:53".parse().unwrap()];
        assert_eq!((config.servers, config.names_servers), (servers.to_vec(), true));
        assert_eq!(config.search, ["b.test", "c.test"]);
        assert_eq!((config.ndots, config.timeout, config.attempts), (3, Duration::from_secs(30), 5));
        assert!(config.rotate && config.edns && config.one_at_a_time && config.tcp && !config.no_ipv6);
        assert_eq!(read("search a.test\ndomain b.test c.test").search, ["b.test"], "the last one counts");
    }

    #[test]
    fn the_search_list_has_so_many_domains_at_most() {
        assert_eq!(read(&format!("search {}", "a.test ".repeat(SEARCH_MAX + 1))).search.len(), SEARCH_MAX);
    }

    #[test]
    fn without_a_word_this_machine_and_its_own_domain_are_asked() {
        let config = read("");
        assert_eq!((config.servers.clone(), config.names_servers), (vec!["127.0.0.1:53".parse().unwrap()], false));
        assert_eq!((config.search.clone(), config.ndots, config.attempts), (vec!["home.test".to_owned()], 1, 2));
        assert_eq!(config.timeout, Duration::from_secs(5));
        assert_eq!(Config::read("", 53, "box", None, None).search, [""; 0]);
        assert_eq!(read("search .\n").search, [""; 0]);
    }

    #[test]
    fn the_environment_comes_before_the_file() {
        let config = Config::read("search a.test\noptions ndots:2\n", 53, "", Some("x.test y.test"), Some("ndots:4"));
        assert_eq!((config.search, config.ndots), (vec!["x.test".to_owned(), "y.test".to_owned()], 4));
    }

    #[test]
    fn an_interface_is_found_by_its_name() {
        assert_eq!(interface("lo"), Some(1));
        assert_eq!(server("fe80::1%no-such-one", 53), None);
    }

    #[test]
    fn names_are_tried_in_the_order_of_their_dots() {
        let config = read("search a.test b.test\noptions ndots:2\n");
        assert_eq!(config.candidates("x"), ["x.a.test", "x.b.test", "x"]);
        assert_eq!(config.candidates("x.y"), ["x.y.a.test", "x.y.b.test", "x.y"]);
        assert_eq!(config.candidates("x.y.z"), ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]);
        assert_eq!(config.candidates("x."), ["x."]);
        assert_eq!(read("search a.test\noptions no-tld-query\n").candidates("x"), ["x.a.test"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(file in r"(nameserver|search|options|hosts:|domain|ndots:|timeout:|[ \t\n\[\]%:.#]|fe80::1|[a-z0-9]){0,60}") {
            let config = read(&file);
            prop_assert!((1..=SERVERS_MAX).contains(&config.servers.len()) && config.search.len() <= SEARCH_MAX);
            prop_assert!((1..=5).contains(&config.attempts) && config.ndots <= 15 && !config.timeout.is_zero());
            Sources::read(&file, config.asks_resolved());
        }
    }

    #[test]
    fn sources_that_we_do_not_speak_are_seen() {
        for (file, sources) in [
            ("", Sources::FilesAndDns),
            ("hosts: files dns\n", Sources::FilesAndDns),
            ("passwd: files\nhosts:\tfiles resolve [!UNAVAIL=return] dns # mdns\n", Sources::FilesAndDns),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns", Sources::More),
            ("hosts: files myhostname dns", Sources::More),
            ("hosts: files ldap", Sources::WithoutDns),
            ("hosts: files", Sources::WithoutDns),
        ] {
            assert_eq!(Sources::read(file, true), sources, "{file}");
        }
    }

    #[test]
    fn systemd_resolved_is_asked_by_way_of_the_system_where_resolv_conf_names_others() {
        for (resolv_conf, asks_resolved) in
            [("nameserver 127.0.0.53\n", true), ("nameserver 127.0.0.53\nnameserver 10.0.0.2\n", false), ("", false)]
        {
            assert_eq!(read(resolv_conf).asks_resolved(), asks_resolved, "{resolv_conf}");
        }
        for (file, sources) in [
            ("hosts: files resolve [!UNAVAIL=return] dns", Sources::WithoutDns),
            ("hosts: resolve", Sources::WithoutDns),
            ("hosts: files dns resolve", Sources::More),
            ("hosts: files dns", Sources::FilesAndDns),
        ] {
            assert_eq!(Sources::read(file, false), sources, "{file}");
        }
    }
}
