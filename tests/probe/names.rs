//! Names: each answer of a name server, the system's files and their changes, thousands at once, and who keeps whom waiting.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api_health::probe::resolve::Witness;
use api_health::probe::{Resolver, ResolverFiles};
use api_health_core::observation::{LocalFault, NameServerFault};
use api_health_core::{Failure, IpFamily};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::name_server::{NameServer, Reply};
use crate::own_network;
use crate::ports;
use crate::server::run;

/// The longest wait for what should happen soon.
const SOON: Duration = Duration::from_secs(20);
/// For a lookup that shall end without an answer.
const SHORT: Duration = Duration::from_millis(600);
const A: u16 = 1;
const AAAA: u16 = 28;

/// The files of a system, in a folder of their own.
struct Files {
    folder: tempfile::TempDir,
    port: u16,
}

impl Files {
    fn new(port: u16, resolv_conf: &str) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap(), port };
        files.write("resolv.conf", resolv_conf);
        files
    }

    /// Of a machine with this one name server.
    fn of(server: &NameServer) -> Self {
        Self::new(server.address.port(), &format!("nameserver {}\nsearch .\n", server.address.ip()))
    }

    fn write(&self, name: &str, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join(name)).unwrap();
    }

    fn resolver(&self) -> Resolver {
        let path = |name: &str| self.folder.path().join(name);
        Resolver::own(ResolverFiles {
            resolv_conf: path("resolv.conf"),
            hosts: path("hosts"),
            nsswitch_conf: path("nsswitch.conf"),
            port: self.port,
        })
    }
}

async fn lookup(resolver: &Resolver, host: &str, within: Duration) -> Result<Vec<IpAddr>, Failure> {
    let found = resolver.lookup(host, 80, Instant::now() + within).await?;
    Ok(found.into_iter().map(|address| address.ip()).collect())
}

/// Each lookup has a socket for each family, and the usual soft limit is 1,024.
fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn names(server: &NameServer) -> Vec<String> {
    let mut names: Vec<_> = server.asked().into_iter().map(|(name, _)| name).collect();
    names.dedup();
    names
}

#[test]
fn each_answer_of_a_name_server_is_told_apart() {
    let server = NameServer::start("127.0.0.1", |name, kind| match name {
        "both.test" => Reply::Addresses(vec![ip("127.0.0.1"), ip("::1")]),
        "long.test" => Reply::Long((1..=60).map(|n| IpAddr::from([127, 0, 0, n])).collect()),
        "v6.test" => Reply::Addresses(vec![ip("::1")]),
        "nothing.test" => Reply::Addresses(Vec::new()),
        "servfail.test" => Reply::Code(2),
        "refused.test" => Reply::Code(5),
        "garbled.test" => Reply::Garbled,
        "half.test" if kind == A => Reply::Addresses(vec![ip("127.0.0.1")]),
        "half.test" => Reply::Code(2),
        "mute.test" if kind == A => Reply::Addresses(vec![ip("127.0.0.1")]),
        "mute.test" => Reply::Silent,
        _ => Reply::Code(3),
    });
    let files = Files::of(&server);
    run(async {
        let resolver = files.resolver();
        let find = async |host: &str| lookup(&resolver, host, SOON).await;
        let mut both = find("both.test").await.unwrap();
        both.sort();
        assert_eq!(both, [ip("127.0.0.1"), ip("::1")]);
        assert_eq!(find("long.test").await.unwrap().len(), 60, "over TCP");
        assert_eq!(find("half.test").await, Ok(vec![ip("127.0.0.1")]), "IPv6 fails, and IPv4 is enough");
        assert_eq!(find("mute.test").await, Ok(vec![ip("127.0.0.1")]), "IPv6 is never answered");
        let host = |name: &str| name.to_owned();
        assert_eq!(find("no.test").await, Err(Failure::NameNotFound { host: host("no.test") }));
        let none = Failure::NoAddress { host: host("nothing.test"), wanted: IpFamily::Any, has: None };
        assert_eq!(find("nothing.test").await, Err(none));
        for (name, fault) in [
            ("servfail.test", NameServerFault::Code(2)),
            ("refused.test", NameServerFault::Code(5)),
            ("garbled.test", NameServerFault::Garbled),
        ] {
            let failed = Failure::NameServerFailed { host: host(name), server: server.address.ip(), fault };
            assert_eq!(find(name).await, Err(failed));
        }
        let ipv4 = resolver.clone().with_family(IpFamily::Ipv4);
        let failure = lookup(&ipv4, "v6.test", SOON).await.unwrap_err();
        assert_eq!(failure.to_string(), "name v6.test has only IPv6 addresses, and ip_family asks for IPv4");
        assert_eq!(lookup(&ipv4, "both.test", SOON).await, Ok(vec![ip("127.0.0.1")]));
        let ipv6 = resolver.with_family(IpFamily::Ipv6);
        assert_eq!(lookup(&ipv6, "both.test", SOON).await, Ok(vec![ip("::1")]));
    });
}

/// A machine with an IPv4 network and none of IPv6.
const IPV4_ALONE: &str = "
    echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
    ip addr add 10.9.0.1/32 dev lo
    ip route add default dev lo src 10.9.0.1
";

#[test]
fn addresses_that_lead_nowhere_are_not_all_that_is_waited_for() {
    own_network::run("names::addresses_that_lead_nowhere_are_not_all_that_is_waited_for", IPV4_ALONE, || {
        let lost = AtomicBool::new(false);
        let server = NameServer::start("127.0.0.1", move |name, kind| match name {
            _ if kind == AAAA => Reply::Addresses(vec![ip("2001:db8::1")]),
            "lossy.test" if !lost.swap(true, Ordering::Relaxed) => Reply::Silent,
            "lossy.test" => Reply::Addresses(vec![ip("127.0.0.9")]),
            "failing.test" => Reply::Code(2),
            _ => Reply::Addresses(Vec::new()),
        });
        // A lost question is asked once more later than an answer for IPv6 is waited for.
        let files = Files::new(server.address.port(), "nameserver 127.0.0.1\nsearch .\noptions timeout:2\n");
        run(async {
            let resolver = files.resolver();
            let both = Ok(vec![ip("127.0.0.9"), ip("2001:db8::1")]);
            assert_eq!(lookup(&resolver, "lossy.test", SOON).await, both);
            let fault = NameServerFault::Code(2);
            let failed = Failure::NameServerFailed { host: "failing.test".into(), server: server.address.ip(), fault };
            assert_eq!(lookup(&resolver, "failing.test", SOON).await, Err(failed), "it may have IPv4 addresses");
            assert_eq!(lookup(&resolver, "other.test", SOON).await, Ok(vec![ip("2001:db8::1")]), "it has none");
        });
    });
}

#[test]
fn silence_is_the_names_own_only_while_others_are_answered() {
    let lives = Arc::new(AtomicBool::new(true));
    let is_alive = Arc::clone(&lives);
    let server = NameServer::start("127.0.0.1", move |name, _| match name {
        "well.test" if is_alive.load(Ordering::Relaxed) => Reply::Addresses(vec![ip("127.0.0.1")]),
        _ => Reply::Silent,
    });
    let files = Files::of(&server);
    run(async {
        let resolver = files.resolver();
        let asked = vec![server.address.ip()];
        let well = async {
            sleep(SHORT / 2).await;
            lookup(&resolver, "well.test", SOON).await
        };
        let (hanging, well) = tokio::join!(lookup(&resolver, "slow.test", SHORT), well);
        let silent = Failure::NameServersSilent { host: "slow.test".into(), asked: asked.clone() };
        assert_eq!((hanging, well), (Err(silent), Ok(vec![ip("127.0.0.1")])));

        lives.store(false, Ordering::Relaxed);
        let dead = Failure::Local(LocalFault::NameServersDead { asked });
        let both = tokio::join!(lookup(&resolver, "slow.test", SHORT), lookup(&resolver, "well.test", SHORT));
        assert_eq!(both, (Err(dead.clone()), Err(dead)));
    });
}

#[test]
fn a_machine_without_name_servers_says_so() {
    let nobody = ports::free();
    run(async {
        for text in ["", "# nothing\n", "search a.test\n"] {
            let failure = lookup(&Files::new(nobody, text).resolver(), "a.test", SOON).await;
            assert_eq!(failure, Err(Failure::Local(LocalFault::NoNameServer)), "{text}");
        }
        let files = Files::new(nobody, "nameserver 127.0.0.1\nnameserver 127.0.0.2\n");
        let failure = lookup(&files.resolver(), "a.test", SOON).await;
        let asked = vec![ip("127.0.0.1"), ip("127.0.0.2")];
        assert_eq!(failure, Err(Failure::Local(LocalFault::NameServersDead { asked })), "nothing listens there");
    });
}

#[test]
fn the_next_server_is_asked_where_one_fails_or_is_silent() {
    let well = NameServer::start("127.0.0.2", |_, _| Reply::Addresses(vec![ip("127.0.0.9")]));
    let port = well.address.port();
    let bad = NameServer::at(("127.0.0.1", port), |name, _| match name {
        "silent.test" => Reply::Silent,
        "missing.test" => Reply::Code(3),
        _ => Reply::Code(2),
    });
    let servers = "nameserver 127.0.0.3\nnameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1\n";
    let files = Files::new(port, servers);
    run(async {
        let resolver = files.resolver();
        for name in ["failing.test", "silent.test"] {
            assert_eq!(lookup(&resolver, name, SOON).await, Ok(vec![ip("127.0.0.9")]), "{name}");
        }
        let missing = lookup(&resolver, "missing.test", SOON).await;
        assert_eq!(missing, Err(Failure::NameNotFound { host: "missing.test".into() }), "which is an answer");
        assert!(!names(&well).contains(&"missing.test".into()) && names(&bad).contains(&"missing.test".into()));

        let said = resolver.witnesses(SHORT).await;
        let failed = Witness::Failed(NameServerFault::Code(2));
        let expected = [("127.0.0.3", Witness::Silent), ("127.0.0.1", failed), ("127.0.0.2", Witness::Well)];
        assert_eq!(said, expected.map(|(server, said)| (ip(server), said)));
    });
}

#[test]
fn the_search_list_is_tried_as_the_manual_says() {
    let server = NameServer::start("127.0.0.1", |name, _| match name {
        "shop.b.test" | "www.shop.b.test" => Reply::Addresses(vec![ip("127.0.0.9")]),
        "no.where.a.test" => Reply::Silent,
        _ => Reply::Code(3),
    });
    let text = |options: &str| format!("nameserver 127.0.0.1\nsearch a.test b.test\noptions {options}\n");
    let files = Files::new(server.address.port(), &text("ndots:1 single-request"));
    run(async {
        let resolver = files.resolver();
        assert_eq!(lookup(&resolver, "shop", SOON).await, Ok(vec![ip("127.0.0.9")]));
        assert_eq!(names(&server), ["shop.a.test", "shop.b.test"]);
        assert_eq!(lookup(&resolver, "www.shop", SOON).await, Ok(vec![ip("127.0.0.9")]));
        assert_eq!(names(&server)[2..], ["www.shop", "www.shop.a.test", "www.shop.b.test"]);
        let exact = lookup(&resolver, "shop.", SOON).await;
        assert_eq!(exact, Err(Failure::NameNotFound { host: "shop.".into() }));
        assert_eq!(names(&server)[5..], ["shop"]);
        let missing = lookup(&resolver, "no.where", SHORT).await;
        assert_eq!(
            missing,
            Err(Failure::NameNotFound { host: "no.where".into() }),
            "as it was said of the name itself"
        );
    });
}

#[test]
fn what_is_written_by_hand_comes_first_and_changes_are_seen() {
    let server = NameServer::start("127.0.0.1", |_, _| Reply::Addresses(vec![ip("127.0.0.9")]));
    let other = NameServer::at(("127.0.0.2", server.address.port()), |_, _| Reply::Addresses(vec![ip("127.0.0.8")]));
    let files = Files::of(&server);
    files.write("hosts", "127.0.0.7 shop.test\n");
    run(async {
        let resolver = files.resolver();
        let find = async |host: &str| lookup(&resolver, host, SOON).await;
        assert_eq!(find("Shop.Test").await, Ok(vec![ip("127.0.0.7")]));
        assert_eq!(find("a.localhost").await.unwrap().len(), 2);
        assert_eq!(find("a.invalid").await, Err(Failure::NameNotFound { host: "a.invalid".into() }));
        assert_eq!(server.asked(), [], "of none of these a name server knows more");
        assert_eq!(find("other.test").await, Ok(vec![ip("127.0.0.9")]));

        files.write("hosts", "127.0.0.6 shop.test\n");
        files.write("resolv.conf", "nameserver 127.0.0.2\n");
        let deadline = Instant::now() + SOON;
        let changed = [Ok(vec![ip("127.0.0.6")]), Ok(vec![ip("127.0.0.8")])];
        while [find("shop.test").await, find("other.test").await] != changed {
            assert!(Instant::now() < deadline, "the change is not seen");
            sleep(Duration::from_millis(50)).await;
        }
        assert!(!other.asked().is_empty());
    });
}

/// `127.1` is an address to `getaddrinfo`, on any machine, and to DNS a name like any other.
#[test]
fn what_else_the_system_asks_is_asked_for_names_that_dns_does_not_have() {
    let server = NameServer::start("127.0.0.1", |_, _| Reply::Code(3));
    let files = Files::of(&server);
    run(async {
        let missing = || Err(Failure::NameNotFound { host: "127.1".into() });
        assert_eq!(lookup(&files.resolver(), "127.1", SOON).await, missing());
        files.write("nsswitch.conf", "hosts: files mdns4_minimal [NOTFOUND=return] dns\n");
        assert_eq!(lookup(&files.resolver(), "127.1", SOON).await, Ok(vec![ip("127.0.0.1")]));
        let asked = server.asked().len();
        files.write("nsswitch.conf", "hosts: files\n");
        assert_eq!(lookup(&files.resolver(), "127.1", SOON).await, Ok(vec![ip("127.0.0.1")]));
        assert_eq!(server.asked().len(), asked, "DNS is none of this system's sources");
    });
}

#[test]
fn thousands_are_looked_up_side_by_side() {
    const COUNT: usize = 2_000;
    raise_open_files_limit();
    let server = NameServer::start("127.0.0.1", |_, kind| match kind {
        AAAA => Reply::Addresses(Vec::new()),
        _ => Reply::Held(vec![ip("127.0.0.9")]),
    });
    let port = server.address.port();
    // Loopback may drop some of such a burst: they are asked for again.
    let files = Files::new(port, "nameserver 127.0.0.1\nsearch .\noptions timeout:1 attempts:5\n");
    run(async {
        let resolver = files.resolver();
        let each: Vec<_> = (0..COUNT).map(|n| format!("a.shop-{n}.test")).collect();
        let lookups = join_all(each.iter().map(|name| lookup(&resolver, name, SOON)));
        let all_at_once = async {
            let deadline = Instant::now() + SOON;
            while server.held() < COUNT {
                assert!(Instant::now() < deadline, "{} are asked for at once", server.held());
                sleep(Duration::from_millis(10)).await;
            }
            loop {
                server.release(); // and whatever is asked for once more
                sleep(Duration::from_millis(10)).await;
            }
        };
        let found = tokio::select! {
            found = lookups => found,
            () = all_at_once => unreachable!(),
        };
        let lost = found.iter().filter(|found| **found != Ok(vec![ip("127.0.0.9")])).count();
        assert_eq!(lost, 0, "{:?}", found.iter().find(|found| found.is_err()));
    });
}

#[test]
fn a_domain_whose_name_servers_hang_keeps_no_other_waiting_and_no_alert() {
    const HANGING: usize = 600;
    const SHARE: usize = 512;
    raise_open_files_limit();
    let server = NameServer::start("127.0.0.1", |name, _| match name {
        name if name.ends_with(".hanging.test") => Reply::Silent,
        _ => Reply::Addresses(vec![ip("127.0.0.9")]),
    });
    let files = Files::of(&server);
    run(async {
        let resolver = files.resolver();
        let each: Vec<_> = (0..HANGING).map(|n| format!("h{n}.hanging.test")).collect();
        let hanging = join_all(each.iter().map(|name| lookup(&resolver, name, Duration::from_secs(3))));
        let others = async {
            let deadline = Instant::now() + SOON;
            while server.asked().iter().filter(|(name, kind)| *kind == A && name.ends_with(".hanging.test")).count()
                < 200
            {
                assert!(Instant::now() < deadline);
                sleep(Duration::from_millis(10)).await;
            }
            let alerts = resolver.clone().with_lane_of_its_own();
            // A name of the domain itself has its turn in a lane of its own, though nobody answers there either.
            let in_lane = lookup(&alerts, "hook.hanging.test", SHORT).await;
            (lookup(&resolver, "www.well.test", SOON).await, in_lane)
        };
        let (hanging, (well, in_lane)) = tokio::join!(hanging, others);
        assert_eq!(well, Ok(vec![ip("127.0.0.9")]));
        assert!(names(&server).contains(&"hook.hanging.test".into()), "{in_lane:?}");
        let full = Failure::Local(LocalFault::LookupShareFull { domain: "hanging.test".into() });
        let without_turn = hanging.iter().filter(|found| **found == Err(full.clone())).count();
        assert_eq!(without_turn, HANGING - SHARE, "{:?}", hanging[0]);
        assert!(hanging.iter().all(Result::is_err));
    });
}
