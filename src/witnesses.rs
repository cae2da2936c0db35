//! Who is asked whether our own network is well when something failed that may be due to it: the name servers of this machine, the
//! endpoints of AWS in use, and whoever stands in the settings.
//!
//! Nobody is asked while all is well, but soon after the start, each minute until one has answered. A name server is asked for the servers of the root, which
//! each one knows; a host is connected to, and nothing is sent.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api_health_actors::ports::Witnesses;
use api_health_core::network::{Ballot, Family, OwnPart, Vote, Zone};
use api_health_core::{Failure, Phase};
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::probe::resolve::Witness;
use crate::probe::{Client, guard};
use crate::settings::{Settings, StoreKind};

/// Witnesses have this long: less than [`ASKED_WITHIN`](api_health_actors::own_side::ASKED_WITHIN).
const BOUND: Duration = Duration::from_millis(850);

/// Names of other APIs that are looked up.
const NAMES: usize = 2;

/// The witnesses of this machine.
pub struct SystemWitnesses {
    client: Client,
    hosts: Vec<(String, u16)>,
    /// Where each host was when its name was looked up last.
    addresses: Mutex<HashMap<String, Vec<SocketAddr>>>,
}

impl SystemWitnesses {
    /// Those of these settings. Names are looked up as probes look them up.
    pub fn new(client: Client, settings: &Settings, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let hosts = settings.network.witnesses.iter().cloned().chain(aws(settings, env));
        let hosts = hosts.filter_map(|host| {
            let url = url::Url::parse(&format!("tcp://{host}")).ok()?;
            let name = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
            Some((name, url.port()?))
        });
        Self { client, hosts: hosts.collect(), addresses: Mutex::default() }
    }

    /// A host is well if it takes a connection or refuses one. One that is on this machine says nothing of its network, and nor does
    /// one whose name was never looked up.
    async fn ask_host(&self, host: &str, port: u16, family: Family) -> Option<Vote> {
        let witness = format!("{host}:{port}");
        let found = self.look_up(host, port, BOUND / 3).await;
        let known = || self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(addresses) = found {
            known().insert(witness.clone(), addresses);
        }
        let addresses = known().get(&witness).cloned().unwrap_or_default();
        let is_open = |address: &SocketAddr| is_of(address.ip(), family) && guard::refuse(address.ip()).is_none();
        let address = addresses.into_iter().find(is_open)?;
        if address.ip().is_loopback() {
            return None;
        }
        let is_well = match timeout(BOUND - BOUND / 3, TcpStream::connect(address)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            Err(_) => false,
        };
        Some(Vote { witness, is_well, is_the_part_itself: false, zone: Zone::of(address.ip()) })
    }

    /// The addresses of a name, or of an address as text, as a probe would find them.
    async fn look_up(&self, host: &str, port: u16, bound: Duration) -> Result<Vec<SocketAddr>, Failure> {
        match host.parse() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            Err(_) => {
                // The C library takes as long as it takes.
                let found = timeout(bound, self.client.resolver().lookup(host, port, Instant::now() + bound)).await;
                found.unwrap_or(Err(Failure::TimedOut { phase: Phase::Resolve, after: bound }))
            }
        }
    }

    /// A name that was looked up a moment ago says that names are looked up, unless it stands in the hosts file; that it is not any
    /// more says nothing.
    async fn ask_name(&self, name: &str) -> Option<Vote> {
        let hosts = tokio::task::spawn_blocking(|| std::fs::read_to_string("/etc/hosts")).await;
        let hosts = hosts.ok().and_then(Result::ok).unwrap_or_default();
        if name.ends_with("localhost") || stands_in(&hosts, name) {
            return None;
        }
        let found = self.look_up(name, 0, BOUND).await;
        let is_well = matches!(found, Ok(_) | Err(Failure::NameNotFound { .. } | Failure::NoAddress { .. }));
        // Whoever said so, it was said of a name out there.
        let zone = Zone::Far;
        is_well.then(|| Vote { witness: format!("the name {name}"), is_well, is_the_part_itself: false, zone })
    }

    /// The name servers of this machine: every lookup hangs on them.
    async fn ask_name_servers(&self, part: OwnPart) -> Ballot {
        let vote = |(server, said): (IpAddr, Witness)| {
            let is_well = said == Witness::Well;
            let says_something = match part {
                // One on this machine may know the answer by heart, and is not reached by the network.
                OwnPart::Connection(family, _) => is_of(server, family) && !server.is_loopback(),
                _ => true,
            };
            let witness = format!("name server {server}");
            let (is_the_part_itself, zone) = (part == OwnPart::Lookup, Zone::of(server));
            says_something.then_some(Vote { witness, is_well, is_the_part_itself, zone })
        };
        self.client.resolver().witnesses(BOUND).await.into_iter().filter_map(vote).collect()
    }
}

impl Witnesses for SystemWitnesses {
    fn ask(&self, part: OwnPart, names: Vec<String>) -> LocalBoxFuture<'_, Ballot> {
        Box::pin(async move {
            let others = async {
                match part {
                    OwnPart::Lookup => join_all(names.iter().take(NAMES).map(|name| self.ask_name(name))).await,
                    OwnPart::Connection(family, _) => {
                        join_all(self.hosts.iter().map(|(host, port)| self.ask_host(host, *port, family))).await
                    }
                    _ => Vec::new(),
                }
            };
            let (mut ballot, others) = tokio::join!(self.ask_name_servers(part), others);
            ballot.extend(others.into_iter().flatten());
            ballot
        })
    }
}

fn is_of(address: IpAddr, family: Family) -> bool {
    family == Family::Any || family == Family::of(address)
}

fn stands_in(hosts: &str, name: &str) -> bool {
    let names = |line: &str| line.split('#').next().unwrap_or_default().to_owned();
    hosts.lines().any(|line| names(line).split_whitespace().skip(1).any(|of_line| of_line.eq_ignore_ascii_case(name)))
}

/// The endpoints of AWS that these settings use, as far as they are known without asking AWS.
fn aws(settings: &Settings, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let region = settings.region.clone().or_else(|| env("AWS_DEFAULT_REGION"));
    let dynamodb = (settings.store.kind == StoreKind::Dynamodb).then_some(("dynamodb", "DYNAMODB", region));
    let regions: BTreeSet<String> = settings.notify.topics().iter().map(|sns| sns.region().to_owned()).collect();
    let sns = regions.into_iter().map(|region| ("sns", "SNS", Some(region)));
    let endpoint = |(service, name, region): (&str, &str, Option<String>)| {
        let set = env(&format!("AWS_ENDPOINT_URL_{name}")).or_else(|| env("AWS_ENDPOINT_URL"));
        if let Some(url) = set {
            let url = url::Url::parse(&url).ok()?;
            return Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?));
        }
        let region = region?;
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        Some(format!("{service}.{region}.amazonaws.com{china}:443"))
    };
    dynamodb.into_iter().chain(sns).filter_map(endpoint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Resolver, ResolverFiles};
    use crate::settings::load::load;
    use crate::settings::types::SnsSettings;

    #[test]
    fn the_endpoints_of_aws_in_use_are_witnesses() {
        let unset = |_: &str| None;
        let mut settings = Settings { region: Some("eu-central-1".into()), ..Settings::default() };
        assert_eq!(aws(&settings, &unset), [""; 0]);
        settings.store.kind = StoreKind::Dynamodb;
        settings.notify.sns =
            Some(SnsSettings { topic_arn: "arn:aws-cn:sns:cn-north-1:123456789012:a".into(), chat: false });
        assert_eq!(
            aws(&settings, &unset),
            ["dynamodb.eu-central-1.amazonaws.com:443", "sns.cn-north-1.amazonaws.com.cn:443"]
        );
        let emulator = |name: &str| (name == "AWS_ENDPOINT_URL").then(|| "http://10.1.2.3:5000".to_owned());
        assert_eq!(aws(&settings, &emulator), ["10.1.2.3:5000", "10.1.2.3:5000"]);
    }

    #[tokio::test]
    async fn a_host_on_this_machine_says_nothing_and_a_name_that_is_found_vouches_unless_it_stands_in_a_file() {
        let settings = Settings {
            network: crate::settings::NetworkSettings {
                witnesses: vec!["127.0.0.1:9".into(), "169.254.169.254:9".into()],
            },
            ..Settings::default()
        };
        let found = Resolver::from_fn(|_, port| Box::pin(async move { Ok(vec![([198, 51, 100, 1], port).into()]) }));
        let client = Client::new(None).unwrap().with_resolver(found);
        let witnesses = SystemWitnesses::new(client, &settings, &|_| None);
        let connection = OwnPart::Connection(Family::Ipv4, Zone::Near);
        let ballot = witnesses.ask(connection, vec![]).await;
        assert!(ballot.iter().all(|vote| !vote.witness.contains(":9")), "{ballot:?}");
        let vouches = async |name: &str| {
            let ballot = witnesses.ask(OwnPart::Lookup, vec![name.to_owned()]).await;
            ballot.iter().any(|vote| vote.is_well && vote.witness.contains(name))
        };
        assert!(vouches("shop.example").await);
        assert!(!vouches("localhost").await);
        assert!(stands_in("10.0.0.1 shop.lan shop # not.lan\n", "SHOP") && !stands_in("10.0.0.1 a # shop", "shop"));
    }

    #[tokio::test]
    async fn each_witness_says_how_far_away_it_is() {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        std::fs::write(path("resolv.conf"), "nameserver 10.255.255.53\nnameserver 198.18.255.53\n").unwrap();
        let resolver = Resolver::own(ResolverFiles {
            resolv_conf: path("resolv.conf"),
            hosts: path("hosts"),
            nsswitch_conf: path("nsswitch.conf"),
            port: 53,
        });
        let witnesses = vec!["10.255.255.1:9".into(), "198.18.255.1:9".into()];
        let settings = Settings { network: crate::settings::NetworkSettings { witnesses }, ..Settings::default() };
        let client = Client::new(None).unwrap().with_resolver(resolver);
        let witnesses = SystemWitnesses::new(client, &settings, &|_| None);
        let ballot = witnesses.ask(OwnPart::Connection(Family::Ipv4, Zone::Far), vec![]).await;
        assert_eq!(ballot.len(), 4, "{ballot:?}");
        for vote in ballot {
            let is_near = vote.witness.contains("10.255.255.");
            assert_eq!(vote.zone, if is_near { Zone::Near } else { Zone::Far }, "{vote:?}");
        }
    }

    #[tokio::test]
    async fn a_witness_whose_name_hangs_or_leads_to_what_is_never_probed_says_nothing() {
        let witnesses = vec!["hangs.example:9".into(), "metadata.example:9".into()];
        let settings = Settings { network: crate::settings::NetworkSettings { witnesses }, ..Settings::default() };
        let found = Resolver::from_fn(|host, port| {
            Box::pin(async move {
                if host.starts_with("hangs") {
                    std::future::pending::<()>().await;
                }
                Ok(vec![([169, 254, 169, 254], port).into()])
            })
        });
        let client = Client::new(None).unwrap().with_resolver(found);
        let witnesses = SystemWitnesses::new(client, &settings, &|_| None);
        let asked = witnesses.ask(OwnPart::Connection(Family::Ipv4, Zone::Near), vec![]);
        assert_eq!(timeout(BOUND * 20, asked).await, Ok(vec![]), "soon, and no vote");
    }

    #[test]
    fn so_many_witnesses_are_taken_at_most_and_each_has_a_host_and_a_port() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("api-health.toml");
        let count = |witnesses: &str| {
            std::fs::write(&file, format!("[network]\nwitnesses = {witnesses}\n")).unwrap();
            let loaded = load(Some(&file), folder.path(), &|_| None);
            loaded.map(|loaded| loaded.settings.network.witnesses.len())
        };
        let list = |count| format!("[{}]", "\"10.0.0.1:443\",".repeat(count));
        assert_eq!((count(&list(16)), count("\"[2606:4700::1111]:53\""), count("[]")), (Ok(16), Ok(1), Ok(0)));
        let words = |witnesses: &str| count(witnesses).unwrap_err()[0].to_string();
        assert!(words(&list(17)).contains("a list of 17 is more than 16"), "{}", words(&list(17)));
        for odd in ["10.0.0.1", "http://a:1", "a:b", ":1", "a:1/x", "user@a:1", "2606:4700::1111:53"] {
            let words = words(&format!("\"{odd}\""));
            assert!(
                words.contains("is not a host and a port") && words.contains("gateway.example.com:443"),
                "{odd}: {words}"
            );
        }
    }
}
