//! Whose fault a failure is: the rules of the table over random outcomes and witnesses, the page that prints it, and wrong judgements
//! that are planted and must be caught.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::api::IpFamily;
use api_health_core::network::{self, Ballot, Blame, Crowd, Family, OwnPart, Panel, Testimony, Vote, Word, Zone};
use api_health_core::observation::{CertificateFault, LocalFault, NameServerFault, Phase};
use api_health_core::{Answer, ApiConfig, ApiId, Failure, Observation, Schedule, Timestamp, Verdict};
use proptest::prelude::*;

fn config(url: &str) -> ApiConfig {
    ApiConfig {
        name: "A".into(),
        ..ApiConfig::plain(ApiId::parse("a").unwrap(), url.into(), Arc::new(Schedule::every(Duration::from_secs(60))))
    }
}

fn failed(failure: Failure) -> Observation {
    let known = Observation::new(Answer::Failure(failure), Timestamp::default());
    Observation { took: Duration::from_secs(1), ..known }
}

/// One testimony for each word.
fn testimony(word: Word) -> Testimony {
    let (well, ill) = (vec!["w".to_owned()], vec!["i".to_owned()]);
    let crowd = Some(network::crowd::CrowdSize { apis: 5, addresses: 3 });
    match word {
        Word::Well => Testimony { well, ill, crowd, is_well_again: false },
        Word::Ill => Testimony { ill, ..Testimony::default() },
        Word::WellAgain => Testimony { well, is_well_again: true, ..Testimony::default() },
        Word::Crowd => Testimony { crowd, ..Testimony::default() },
        Word::Nothing => Testimony::default(),
    }
}

/// One row of the table: failures that are judged alike, and whose they are by each [`Word`].
#[derive(Clone, Debug)]
struct Row {
    what: &'static str,
    /// One of those failures, on an address out there.
    sample: Failure,
}

/// The table of `docs/semantics.md`, which is what [`network::judge`] does. Each kind of failure is in it.
fn table() -> Vec<Row> {
    let address = SocketAddr::from(([198, 51, 100, 7], 443));
    let host = || "shop.example".to_owned();
    let row = |what, sample| Row { what, sample };
    let timed_out = |phase| Failure::TimedOut { phase, after: Duration::from_secs(10) };
    vec![
        row("the name does not exist", Failure::NameNotFound { host: host() }),
        row("the name could not be looked up", Failure::LookupFailed { host: host(), detail: String::new() }),
        row(
            "a name server could not find out",
            Failure::NameServerFailed { host: host(), server: address.ip(), fault: NameServerFault::Code(2) },
        ),
        row(
            "a name server that is watched could not find out",
            Failure::WatchedNameServerFailed { host: host(), server: address, fault: NameServerFault::Code(2) },
        ),
        row("no name server answers", Failure::Local(LocalFault::NameServersDead { asked: vec![address.ip()] })),
        row("this machine names no name server", Failure::Local(LocalFault::NoNameServer)),
        row(
            "the name has no address of a family that can be used",
            Failure::OnlyOtherFamily { host: host(), has: IpFamily::Ipv6 },
        ),
        row("timed out while looking the name up", timed_out(Phase::Resolve)),
        row("an address that is never probed", Failure::AddressRefused { address: address.ip(), why: "" }),
        row("connection refused", Failure::Refused { address }),
        row("host or network unreachable, by the network", Failure::NetworkUnreachable { address }),
        row("prohibited, by the network", Failure::Prohibited { address }),
        row("timed out while connecting, or later", timed_out(Phase::Connect)),
        row("reset or closed before an answer", Failure::Reset { phase: Phase::FirstByte }),
        row("reset or closed in an answer, or cut short", Failure::Closed { phase: Phase::Body }),
        row(
            "certificate, or its authority's, expired or not yet valid",
            Failure::Certificate(CertificateFault::Expired { not_after: None }),
        ),
        row("any other fault of a certificate, or of TLS", Failure::Tls { detail: String::new() }),
        row("no valid HTTP, or a redirect that leads nowhere", Failure::NotHttp { detail: String::new() }),
        row("the proxy could not reach it", Failure::BehindProxy { proxy: String::new(), status: 502 }),
        row(
            "the proxy could not be used",
            Failure::Local(LocalFault::Proxy { proxy: String::new(), did: String::new() }),
        ),
        row("no access token", Failure::Local(LocalFault::NoToken { server: String::new(), why: String::new() })),
        row("this machine has no route", Failure::Local(LocalFault::NoRoute)),
        row("this machine has no descriptor, port, memory or turn", Failure::Local(LocalFault::NoMemory)),
    ]
}

/// How a kind of failure is judged, as the page says it.
fn cell(sample: &Failure, word: Word) -> &'static str {
    let outcome = network::judge(&config("https://198.51.100.7/"), &failed(sample.clone()), &testimony(word));
    match outcome.verdict {
        Verdict::Fail => "theirs",
        Verdict::Inconclusive => "ours",
        Verdict::Pass => "pass",
    }
}

#[test]
fn the_page_prints_the_table_that_is_in_force() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/semantics.md")).unwrap();
    let (_, rest) = page.split_once("<!-- table: whose fault -->\n").expect("the page has the table");
    let printed: Vec<&str> = rest.lines().take_while(|line| line.starts_with('|')).skip(2).collect();
    let rows: Vec<String> = table()
        .iter()
        .map(|row| {
            let cells = Word::ALL.map(|word| cell(&row.sample, word));
            format!("| {} | {} |", row.what, cells.join(" | "))
        })
        .collect();
    assert_eq!(printed, rows, "write this:\n{}", rows.join("\n"));
}

#[test]
fn a_loopback_target_is_never_our_networks_fault_and_a_failure_that_proves_an_answer_neither() {
    for row in table() {
        let here: IpAddr = [127, 0, 0, 1].into();
        let at_home = |failure: &Failure| match failure {
            Failure::NetworkUnreachable { .. } => Failure::NetworkUnreachable { address: (here, 80).into() },
            Failure::Prohibited { .. } => Failure::Prohibited { address: (here, 80).into() },
            other => other.clone(),
        };
        let blamed = network::blame(&at_home(&row.sample), Some(here));
        assert!(!matches!(blamed, Blame::Doubtful(OwnPart::Connection(..))), "{}: {blamed:?}", row.what);
    }
}

#[test]
fn the_host_and_the_zone_of_an_address_are_found() {
    for (url, host) in [
        ("https://shop.example/x:1", "shop.example"),
        ("http://shop.example:8080", "shop.example"),
        ("http://10.0.0.1:80/a?b", "10.0.0.1"),
        ("https://[2001:db8::1]:443/", "2001:db8::1"),
    ] {
        assert_eq!(network::host_of(url), host);
    }
    let zone = |address: &str| Zone::of(address.parse().unwrap());
    for near in
        ["10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "192.0.2.1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"]
    {
        assert_eq!(zone(near), Zone::Near, "{near}");
    }
    for far in ["1.1.1.1", "100.128.0.1", "2606:4700::1111"] {
        assert_eq!(zone(far), Zone::Far, "{far}");
    }
}

#[test]
fn a_neighbour_says_nothing_of_the_internet_and_one_family_nothing_of_the_other() {
    let part = |family, zone| OwnPart::Connection(family, zone);
    let (v4, v6) = (Family::Ipv4, Family::Ipv6);
    assert!(part(v4, Zone::Near).is_vouched_for_by(part(v4, Zone::Far)));
    assert!(!part(v4, Zone::Far).is_vouched_for_by(part(v4, Zone::Near)));
    assert!(!part(v6, Zone::Far).is_vouched_for_by(part(v4, Zone::Far)));
    for proof in OwnPart::ALL {
        let is_connection = matches!(proof, OwnPart::Connection(..));
        assert_eq!(OwnPart::NETWORK.is_vouched_for_by(proof), is_connection, "{proof:?}");
        assert_eq!(OwnPart::Lookup.is_vouched_for_by(proof), proof == OwnPart::Lookup, "{proof:?}");
        assert_eq!(OwnPart::ALL[proof.index()], proof);
    }
}

/// What is judged by: the real rule, or one that is wrong.
type Rule = fn(&Testimony) -> bool;

/// The rules of the table, on one testimony that came of that many well, ill and silent witnesses, with a crowd or without.
fn keeps_the_rules(
    is_ours: Rule,
    votes: &[(bool, bool, bool)],
    is_crowd: bool,
    is_well_again: bool,
) -> Result<(), &'static str> {
    let mut panel = Panel::default();
    let known: Ballot =
        votes.iter().enumerate().filter(|(_, vote)| vote.1).map(|(n, _)| vote_of(n, true, false)).collect();
    panel.count(OwnPart::NETWORK, known, |_| None, Duration::from_secs(1));
    let ballot: Ballot = votes.iter().enumerate().map(|(n, vote)| vote_of(n, vote.0, vote.2)).collect();
    let crowd = is_crowd.then_some(network::crowd::CrowdSize { apis: 5, addresses: 3 });
    let said = panel.count(OwnPart::NETWORK, ballot, |_| None, Duration::from_secs(2));
    let testimony = Testimony { crowd, is_well_again, ..said };
    let ours = is_ours(&testimony);
    let is_any_well = votes.iter().any(|vote| vote.0);
    let may_vote = votes.iter().any(|vote| vote.0 || vote.1 || vote.2);
    match (is_well_again, is_any_well, may_vote, is_crowd) {
        (true, ..) if !ours => Err("what began in a fault of ours is ours"),
        (false, true, ..) if ours => Err("one well witness overrules"),
        (false, false, true, _) if !ours => Err("where all that vote are ill it is ours"),
        (false, false, false, true) if !ours => Err("where nobody votes a crowd is ours"),
        (false, false, false, false) if ours => Err("where nobody votes and there is no crowd it is theirs"),
        _ => Ok(()),
    }
}

fn vote_of(n: usize, is_well: bool, is_the_part_itself: bool) -> Vote {
    Vote { witness: format!("w{n}"), is_well, is_the_part_itself, zone: Zone::Far }
}

fn real(testimony: &Testimony) -> bool {
    testimony.word().is_ours()
}

proptest! {
    #[test]
    fn the_rules_hold_whatever_the_witnesses_say(
        votes in prop::collection::vec(any::<(bool, bool, bool)>(), 0..6), is_crowd: bool, is_well_again: bool,
    ) {
        prop_assert_eq!(keeps_the_rules(real, &votes, is_crowd, is_well_again), Ok(()));
    }

    #[test]
    fn witnesses_excuse_what_may_be_ours_and_one_that_is_well_accuses_where_name_servers_are_silent(row in 0..table().len(), word in 0..Word::ALL.len()) {
        let (sample, word) = (table()[row].sample.clone(), Word::ALL[word]);
        let seen = failed(sample);
        let api = config("https://198.51.100.7/");
        let (alone, with) = (network::judge(&api, &seen, &Testimony::default()), network::judge(&api, &seen, &testimony(word)));
        if (alone.verdict, with.verdict) == (Verdict::Inconclusive, Verdict::Fail) {
            let is_of_silence = matches!(&seen.answer, Answer::Failure(Failure::Local(LocalFault::NameServersDead { .. })));
            prop_assert!(is_of_silence && word == Word::Well, "{:?}", seen.answer);
            prop_assert_eq!(&with.reasons, &alone.reasons);
        } else if alone.verdict != with.verdict {
            prop_assert_eq!((alone.verdict, with.verdict), (Verdict::Fail, Verdict::Inconclusive));
            prop_assert!(with.reasons.len() == 2 && with.reasons[0] == alone.reasons[0], "{:?}", with.reasons);
            prop_assert!(with.reason().unwrap().chars().count() <= 300);
        }
    }

    /// In a network that comes and goes: who answers whenever it is there always votes when it is not, and who is gone for good
    /// does not after the third time.
    #[test]
    fn who_is_gone_for_good_loses_its_vote_and_who_lives_never_does(
        spans in prop::collection::vec((1..60_u64, 20..120_u64), 4..12), sign_every in 1..8_u64,
    ) {
        let part = OwnPart::Connection(Family::Ipv4, Zone::Far);
        let vote = |witness: &str, is_well| Vote {
            witness: witness.into(),
            is_well,
            is_the_part_itself: false,
            zone: Zone::Far,
        };
        let (mut panel, mut now, mut well_at) = (Panel::default(), 0, None);
        let ask = |panel: &mut Panel, lives, is_there, well_at: Option<u64>, now| {
            let ballot = vec![vote("lives", lives), vote("gone", is_there)];
            panel.count(part, ballot, |_| well_at.map(Duration::from_secs), Duration::from_secs(now))
        };
        ask(&mut panel, true, true, None, now);
        for (round, (lost, well)) in spans.into_iter().enumerate() {
            for second in 0..lost {
                now += 1;
                if second % 3 == 0 {
                    let ill = ask(&mut panel, false, false, well_at, now).ill;
                    prop_assert!(ill.contains(&"lives".to_owned()), "{}", now);
                    prop_assert!(round < 3 || !ill.contains(&"gone".to_owned()), "{}", now);
                }
            }
            for second in 0..well {
                now += 1;
                if second % sign_every == 0 {
                    well_at = Some(now);
                }
                if !panel.asks(|_| well_at.map(Duration::from_secs), Duration::from_secs(now)).is_empty() {
                    ask(&mut panel, true, false, well_at, now);
                }
            }
        }
    }

    /// The crowd against a plain count of all that failed.
    #[test]
    fn a_crowd_is_five_apis_on_three_addresses_since_the_last_sign(
        steps in prop::collection::vec((0..8_u64, 0..4_u64, 0..40_u64, prop::bool::weighted(0.1)), 1..60),
    ) {
        let (mut crowd, mut well_at, mut now) = (Crowd::default(), None, 0);
        let mut failed: Vec<(u64, u64, u64)> = Vec::new();
        for (api, address, after, is_sign) in steps {
            now += after;
            if is_sign {
                well_at = Some(now);
                continue;
            }
            let found = crowd.failed(OwnPart::Lookup, (api, address), Duration::from_secs(10), well_at.map(Duration::from_secs), Duration::from_secs(now));
            failed.retain(|(of, place, _)| (*of, *place) != (api, address));
            failed.push((api, address, now));
            failed.retain(|(_, _, at)| at + 60 >= now && well_at.is_none_or(|well| *at > well));
            let places: std::collections::BTreeSet<u64> = failed.iter().map(|(_, place, _)| *place).collect();
            // Of one address no more are kept than it takes.
            let count: usize = places.iter().map(|place| failed.iter().filter(|(_, of, _)| of == place).count().min(5)).sum();
            // A failure is newer than a sign of the same second, or it does not count.
            let is_known = well_at != Some(now);
            if is_known {
                prop_assert_eq!(found.is_some(), count >= 5 && places.len() >= 3, "{:?}", failed);
            }
        }
    }
}

#[test]
fn wrong_judgements_are_caught() {
    let planted: [(&str, Rule); 10] = [
        ("everything is theirs", |_| false),
        ("everything is ours", |_| true),
        ("a majority decides", |t| t.is_well_again || t.ill.len() > t.well.len() || t.word() == Word::Crowd),
        ("one ill witness is enough", |t| t.is_well_again || !t.ill.is_empty() || t.word() == Word::Crowd),
        ("a crowd overrules a well witness", |t| t.crowd.is_some() || real(t)),
        ("no crowd counts", |t| matches!(t.word(), Word::Ill | Word::WellAgain)),
        ("only a crowd counts", |t| matches!(t.word(), Word::Crowd | Word::WellAgain)),
        ("silence is ours", |t| real(t) || t.word() == Word::Nothing),
        ("what was so a moment ago is forgotten", |t| matches!(t.word(), Word::Ill | Word::Crowd)),
        ("the first witness decides", |t| {
            t.is_well_again || (t.well.first() < t.ill.first() && !t.ill.is_empty()) || t.word() == Word::Crowd
        }),
    ];
    let votes: Vec<[bool; 3]> = (0..8).map(|n| [n & 1 != 0, n & 2 != 0, n & 4 != 0]).collect();
    let worlds = || {
        let pairs = votes.iter().flat_map(|a| votes.iter().map(move |b| vec![*a, *b]));
        let threes = votes.iter().flat_map(|a| votes.iter().map(move |b| vec![*a, *b, *b]));
        votes.iter().map(|a| vec![*a]).chain(pairs).chain(threes).chain([vec![]])
    };
    let caught = |rule: Rule| {
        worlds().any(|world| {
            let world: Vec<(bool, bool, bool)> = world.iter().map(|[a, b, c]| (*a, *b, *c)).collect();
            [false, true]
                .iter()
                .any(|crowd| [false, true].iter().any(|again| keeps_the_rules(rule, &world, *crowd, *again).is_err()))
        })
    };
    assert!(!caught(real), "the rule in force keeps them all");
    for (what, rule) in planted {
        assert!(caught(rule), "not caught: {what}");
    }
}
