//! The pages in a real browser: Chromium looks at servers over boards of ten to a hundred thousand APIs.
//!
//! `look.mjs` drives it and says what does not hold. Screenshots lie in `target/screenshots`, for people to look at.

mod scene;
mod scene_past;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::board::Board;
use api_health_actors::ports::{Clock, HistoryStore};
use api_health_actors::testkit::board::show;
use api_health_core::Timestamp;
use api_health_core::view::ApiView;
use api_health_web::model::{About, NoneElsewhere};
use api_health_web::{Access, Limits, Listen, Server, Site, start};

use scene::NOW;

/// Set where everything that the machine has must be used: a tool that went missing is a failure there, not a skip.
const MUST_RUN: &str = "API_HEALTH_TESTS_MUST_RUN";

/// A clock that stands, so that a page is the same whenever it is made.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A server over these APIs.
fn shop(views: Vec<ApiView>) -> (Arc<Board>, Server) {
    let board = Arc::new(Board::default());
    // Few enough that a past for each is made in no time.
    let past: Option<Arc<dyn HistoryStore>> =
        if (2..100).contains(&views.len()) { Some(Arc::new(scene_past::of(&views))) } else { None };
    show(&board, views, Vec::new(), NOW);
    let site = Site {
        board: Arc::clone(&board),
        stats: Arc::default(),
        history: past,
        clock: Arc::new(Standing),
        elsewhere: Arc::new(NoneElsewhere),
        about: About { version: "0.1.0".into(), environment: "production".into(), ..About::default() },
    };
    let listen =
        Listen { addresses: vec![([127, 0, 0, 1], 0).into()], access: Access::default(), limits: Limits::default() };
    (board, start(site, &listen).expect("a free port"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What `tests/setup/install` has put there, or what is missing.
fn tools() -> Result<(PathBuf, PathBuf), String> {
    let tools =
        std::env::var_os("API_HEALTH_TEST_TOOLS").map_or_else(|| root().join("target/test-tools"), PathBuf::from);
    let modules = tools.join("web/node_modules");
    let on_path = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
    };
    if !modules.join("puppeteer-core").is_dir() || !modules.join("axe-core").is_dir() {
        return Err(format!("{} has no puppeteer-core and axe-core; tests/setup/install gets them", modules.display()));
    }
    on_path("node").ok_or("there is no node")?;
    Ok((on_path("chromium").ok_or("there is no chromium; tests/setup/install gets it")?, modules))
}

/// Set for a process that is this test again, and serves one page until its standard input ends.
const SERVES: &str = "API_HEALTH_TESTS_SERVE_A_PAGE";

/// A process that serves one page, which may be stopped as a whole.
struct Process {
    child: Child,
    address: String,
    /// It stays open: who runs the test in there has more to say.
    _output: BufReader<ChildStdout>,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this test"));
        child.args(["pages_hold_in_a_real_browser", "--exact", "--nocapture"]).env(SERVES, "1");
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs again");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = output.by_ref().lines().map_while(Result::ok);
        let address = lines.filter_map(|line| Some(line.split_once("serves ")?.1.to_owned())).next();
        Self { child, address: address.expect("it says where it listens"), _output: output }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // also one that is stopped
        let _ = self.child.wait();
    }
}

fn serve() {
    let (_board, server) = shop(vec![scene::up("shop", "Shop")]);
    println!("serves http://{}", server.addresses()[0]);
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "no actor runs on this thread")]
fn pages_hold_in_a_real_browser() {
    if std::env::var_os(SERVES).is_some() {
        return serve();
    }
    let (chromium, modules) = match tools() {
        Ok(tools) => tools,
        Err(why) => {
            assert!(std::env::var_os(MUST_RUN).is_none(), "{why}, and {MUST_RUN} is set");
            // Not eprintln!, which a test harness keeps to itself when the test passes.
            let _ = writeln!(std::io::stderr(), "skipped: pages_hold_in_a_real_browser: {why}");
            return;
        }
    };
    let shots = root().join("target/screenshots");
    std::fs::create_dir_all(&shots).expect("target can be written");
    let shops: Vec<(&str, Arc<Board>, Server)> = [
        ("none", Vec::new()),
        ("ten", scene::ten()),
        ("states", scene::each_state()),
        ("1000", scene::many(1_000)),
        ("10000", scene::many(10_000)),
        ("100000", scene::many(100_000)),
        ("live", vec![scene::up("shop", "Shop")]),
    ]
    .into_iter()
    .map(|(name, views)| {
        let (board, server) = shop(views);
        (name, board, server)
    })
    .collect();
    let mut look = Command::new("node");
    look.arg(root().join("tests/web/look.mjs"))
        .env("CHROMIUM", chromium)
        .env("MODULES", std::path::absolute(modules).expect("a working directory"))
        .env("SHOTS", &shots)
        .env("INCIDENT", scene::incident_id("checkout"));
    let frozen = Process::start();
    look.env("SHOP_frozen", &frozen.address).env("FROZEN", frozen.child.id().to_string());
    for (name, _, server) in &shops {
        look.env(format!("SHOP_{name}"), format!("http://{}", server.addresses()[0]));
    }
    let mut looking = look.spawn().expect("node runs");
    let live = &shops.iter().find(|(name, ..)| *name == "live").expect("it is there").1;
    // Its API goes down and comes back, for as long as somebody looks.
    let mut is_down = false;
    let status = loop {
        if let Some(status) = looking.try_wait().expect("it can be waited for") {
            break status;
        }
        std::thread::sleep(Duration::from_secs(2));
        is_down = !is_down;
        let view = scene::up("shop", "Shop");
        show(live, vec![if is_down { scene::down(view, 30, "status 503") } else { view }], Vec::new(), NOW);
    };
    assert!(status.success(), "what does not hold stands above");
    keep_picture(&shops[1].2, &shots);
}

/// The picture of the README is made anew when the page that it shows is another.
fn keep_picture(server: &Server, shots: &Path) {
    let address = server.addresses()[0];
    let mut page = String::new();
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it takes a request");
    stream.read_to_string(&mut page).expect("it answers");
    let html = page.split_once("\r\n\r\n").expect("a head and a body").1;
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let of = format!("{:016x}\n", html.bytes().fold(0xcbf2_9ce4_8422_2325, fnv));
    let (picture, shown) = (root().join("docs/page.png"), root().join("tests/web/page.png.of"));
    if !picture.is_file() || std::fs::read_to_string(&shown).ok().as_deref() != Some(&of) {
        std::fs::copy(shots.join("readme.png"), &picture).expect("docs can be written");
        std::fs::write(&shown, of).expect("tests can be written");
        println!("docs/page.png was made anew, since the page is another");
    }
}
