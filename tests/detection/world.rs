//! A world: the machine of the monitor, a cable, the far side, and the scenarios that one daemon watches there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::certificates::Authority;
use crate::daemon::{Daemon, Home, SOON, let_pass, wait_for};
use crate::far::Far;
use crate::name_server::{NameServer, Names};
use crate::scenario::{Scenario, Stage};
use crate::scorer::{Due, Mark, Told, score};
use crate::sink::{Sink, now};
use crate::space::Net;

/// The far side, on the cable.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const FAR_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
/// More addresses of it.
pub const FAR_TOO: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 11), Ipv4Addr::new(10, 77, 0, 12)];
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 53);
pub const NAME_SERVER_TOO: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 54);

/// Between the beginnings of two scenarios of a world.
const STAGGER: Duration = Duration::from_millis(60);

/// So long all is well before the first fault: the program has looked around by then.
const WELL_FOR: Duration = Duration::from_secs(4);

/// So long after the last scenario nothing may be told any more: longer than two probes and a delivery.
const QUIET: Duration = Duration::from_secs(4);

pub struct World {
    pub name: &'static str,
    pub near: Arc<Net>,
    pub far: Far,
    pub names: Names,
    pub name_server: NameServer,
    pub authority: Authority,
    pub sink: Sink,
    pub home: Home,
    /// Its /etc.
    pub etc: tempfile::TempDir,
    /// Lines below `[probe]`.
    pub probe: String,
    /// There is no authority that it trusts.
    pub trusts_nobody: bool,
    /// The name by which the webhook is told; else its address.
    pub hook: Option<String>,
    pub scenarios: Vec<Scenario>,
}

/// What came of a scenario.
pub struct Row {
    pub world: &'static str,
    pub scenario: String,
    pub told: Vec<Told>,
    /// The bound that the program prints for the API, in seconds.
    pub bound: Option<u64>,
    pub marks: Vec<Mark>,
}

impl World {
    /// Moves this thread into the new machine's network for good.
    pub fn new(name: &'static str) -> Self {
        let (near, far) = (Arc::new(Net::new()), Far::start());
        near.link("near", &far.net, "far");
        near.ip("addr add 10.77.0.2/24 dev near");
        near.ip("addr add fd77::2/64 dev near nodad");
        let addresses = [FAR, FAR_TOO[0], FAR_TOO[1], NAME_SERVER, NAME_SERVER_TOO];
        for address in addresses {
            far.net.ip(&format!("addr add {address}/24 dev far"));
        }
        far.net.ip("addr add fd77::1/64 dev far nodad");
        near.ip(&format!("route add default via {FAR}"));
        near.ip(&format!("-6 route add default via {FAR_V6}"));
        near.enter();
        let (names, etc) = (Names::default(), tempfile::tempdir().unwrap());
        let name_server = NameServer::start(&far, NAME_SERVER.into(), names.clone());
        for (file, text) in [
            ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
            ("nsswitch.conf", "hosts: files dns\n"),
            ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("resolv.conf", &resolv_conf(&[NAME_SERVER])),
        ] {
            std::fs::write(etc.path().join(file), text).unwrap();
        }
        Self {
            name,
            near,
            far,
            names,
            name_server,
            authority: Authority::new("the authority of the tests"),
            sink: Sink::start(),
            home: Home::empty(),
            etc,
            probe: String::new(),
            trusts_nobody: false,
            hook: None,
            scenarios: Vec::new(),
        }
    }

    pub fn add(&mut self, scenario: Scenario) {
        self.scenarios.push(scenario);
    }

    /// A name below `example` that leads to the far side.
    pub fn name(&self, label: &str, addresses: &[IpAddr]) -> String {
        let name = format!("{label}.example");
        self.names.set(&name, crate::name_server::Said::Addresses(addresses.to_vec()));
        name
    }

    /// Plays all scenarios, and scores what was told of them and of whatever else.
    pub fn run(mut self) -> Vec<Row> {
        self.write();
        let bounds = self.bounds();
        let started_at = now();
        let daemon = Mutex::new(Some(self.start()));
        self.wait_until_all_are_up();
        let_pass(WELL_FOR);
        let scenarios = std::mem::take(&mut self.scenarios);
        let played = self.play(scenarios, &bounds, &Stage { world: &self, daemon: &daemon, started_at });
        let_pass(QUIET);
        let alerts = self.sink.alerts();
        let ended = daemon.into_inner().unwrap().unwrap().stop();
        assert_eq!(ended.code, Some(0), "{}: {}", self.name, ended.log);

        let script: Vec<Due> = played.iter().flat_map(|played| played.dues.clone()).collect();
        let mut score = score(&script, &alerts);
        let mut rows = Vec::new();
        for Played { mut row, apis, dues } in played {
            let is_its = |about: &String| apis.contains(about) || dues.iter().any(|due| due.about == *about);
            row.told = score.told.extract_if(.., |told| is_its(&told.about)).collect();
            row.marks = score.marks.extract_if(.., |mark| is_its(&mark.about)).collect();
            rows.push(row);
        }
        if !score.marks.is_empty() {
            rows.push(Row { marks: score.marks, ..self.row("anything else".into(), None) });
        }
        if rows.iter().any(|row| !row.marks.is_empty()) {
            let path = format!("{}/detection-{}.log", env!("CARGO_TARGET_TMPDIR"), self.name);
            std::fs::write(path, ended.log).unwrap();
        }
        rows
    }

    fn row(&self, scenario: String, bound: Option<u64>) -> Row {
        Row { world: self.name, scenario, told: Vec::new(), bound, marks: Vec::new() }
    }

    fn write(&self) {
        let rows: String = self.scenarios.iter().map(|scenario| scenario.rows.as_str()).collect();
        self.home.write("apis.toml", &rows);
        self.home.write("roots.pem", &self.authority.pem());
        let (probe, hook) = (&self.probe, self.sink.url(self.hook.as_deref()));
        let roots = if self.trusts_nobody { "" } else { "extra_roots = \"roots.pem\"\n" };
        let default = |key: &str, line: &'static str| if probe.contains(key) { "" } else { line };
        let interval = default("interval_seconds", "interval_seconds = 1\n");
        let timeout = default("timeout_seconds", "timeout_seconds = 3\n");
        self.home.write(
            "api-health.toml",
            &format!(
                "[apis]\nfile = \"apis.toml\"\nfrom_store = false\n[probe]\nrecheck_seconds = 1\n\
                 {interval}{timeout}{roots}{probe}\n[notify]\ndigest_above = 0\n[notify.webhook]\nurl = \"{hook}\"\n"
            ),
        );
    }

    /// What the program says of each API: within how many seconds an outage is told.
    fn bounds(&self) -> BTreeMap<String, u64> {
        let ended = self.home.start(&["apis", "list", "--json"]).wait(SOON);
        let list: Value =
            serde_json::from_str(&ended.output).unwrap_or_else(|_| panic!("{}: {}", self.name, ended.log));
        let apis = list["apis"].as_array().unwrap();
        let bound = |api: &Value| Some((api["api_id"].as_str()?.to_owned(), api["told_within_seconds"].as_u64()?));
        apis.iter().filter_map(bound).collect()
    }

    /// Starts the daemon with an /etc of its own.
    pub fn start(&self) -> Daemon {
        let etc = self.etc.path().to_str().unwrap();
        self.home.run_through(&["unshare", "-m", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\"", etc])
    }

    fn wait_until_all_are_up(&self) {
        let mut missing: Vec<&String> = self.scenarios.iter().filter(|s| s.starts_up).flat_map(|s| &s.apis).collect();
        let deadline = Instant::now() + SOON;
        wait_for("a moment", SOON + SOON, || {
            let states = self.home.states();
            missing.retain(|api_id| states.get(*api_id).is_none_or(|state| state["status"] != "up"));
            let why = |api_id: &&String| (api_id.to_string(), states.get(*api_id).map(|s| s["last_error"].to_string()));
            let late = Instant::now() > deadline;
            assert!(!late, "{}: never up: {:#?}", self.name, missing.iter().map(why).collect::<BTreeMap<_, _>>());
            missing.is_empty().then_some(())
        });
    }

    /// Each scenario on a thread of its own.
    fn play(&self, scenarios: Vec<Scenario>, bounds: &BTreeMap<String, u64>, stage: &Stage<'_>) -> Vec<Played> {
        std::thread::scope(|scope| {
            let mut playing = Vec::new();
            for scenario in scenarios {
                let bound = scenario.apis.first().filter(|_| scenario.is_bound).and_then(|id| bounds.get(id)).copied();
                let row = self.row(scenario.name, bound);
                let story = scenario.story;
                playing.push((row, scenario.apis, scope.spawn(move || story(stage))));
                let_pass(STAGGER);
            }
            let told = |(row, apis, story): (_, _, std::thread::ScopedJoinHandle<'_, _>)| Played {
                row,
                apis,
                dues: story.join().unwrap(),
            };
            playing.into_iter().map(told).collect()
        })
    }
}

/// A scenario that is over: its APIs, and what had to be told.
struct Played {
    row: Row,
    apis: Vec<String>,
    dues: Vec<Due>,
}

/// A resolv.conf that names these servers.
pub fn resolv_conf(servers: &[Ipv4Addr]) -> String {
    let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    format!("{lines}options timeout:1 attempts:1\n")
}

/// Puts a file into the place of another at once.
pub fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}
