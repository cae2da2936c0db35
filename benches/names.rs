//! Names: what looking one up costs, by our own resolver, by the C library, and bare: one question to the name server on a socket.
//! The name server is a process of its own on 127.0.0.1, in a network and a file tree that only the bench has.

mod support;

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use api_health::probe::{Resolver, ResolverFiles};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, listed, median, micros_each, seconds};
use support::process::{self, cpu};
use tokio::time::Instant;

/// Lookups under way at once: no more than the name server's socket has room for, since what is lost there costs the timeout of
/// resolv.conf, and that is no figure of a resolver.
const AT_ONCE: usize = 64;
const SOON: Duration = Duration::from_secs(30);
/// What the shell does inside: names are asked of 127.0.0.1 alone, and no file is looked into but that of hosts.
const INSIDE: &str = "
    mount -t tmpfs none /run && ip link set lo up
    echo 'nameserver 127.0.0.1' >/run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf
    echo 'hosts: files dns' >/run/nsswitch.conf && mount --bind /run/nsswitch.conf /etc/nsswitch.conf
    exec \"$@\"
";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum By {
    Ours,
    TheSystem,
    Bare,
}

#[derive(Serialize, Deserialize)]
struct Job {
    by: By,
    n: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Report {
    cpu_seconds: f64,
    wall_seconds: f64,
    found: usize,
}

fn main() {
    let form = process::role_or_form(&[
        ("serve", |_| serve()),
        ("look_up", |job| process::report(&actix_rt::System::new().block_on(look_up(process::job(job))))),
    ]);
    const HERE: &str = "--inside";
    if !std::env::args().any(|argument| argument == HERE) {
        let program = std::env::current_exe().expect("Linux knows the path of a running program");
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--map-root-user",
            "--net",
            "--mount",
            "--propagation",
            "private",
            "--",
            "sh",
            "-euc",
            INSIDE,
            "sh",
        ]);
        unshare.arg(program).args(std::env::args().skip(1)).arg(HERE);
        match unshare.status() {
            Ok(status) if status.success() => {}
            ended => println!("skipped, or failed: it needs unshare (util-linux) and ip (iproute2): {ended:?}"),
        }
        return;
    }
    let mut server = process::command("serve", "null").spawn().expect("the bench can start itself");
    let (n, rounds) = if form.short { (5_000, 3) } else { (50_000, 7) };
    heading(&format!("{n} names, each once, {AT_ONCE} at once; the name server answers at once"));
    let (mut by_system, mut by_us, mut bare) = (vec![], vec![], vec![]);
    let (mut ratios, mut walls) = (vec![], vec![]);
    for round in 0..rounds {
        let mut order = [By::Ours, By::TheSystem, By::Bare];
        order.rotate_left(round % 3); // so that a machine that slows down favours none
        for by in order {
            let report: Report = process::play("look_up", &Job { by, n });
            assert_eq!(report.found, n, "{by:?}: every name has an address");
            let micros = micros_each(report.cpu_seconds, n);
            match by {
                By::Ours => by_us.push(micros),
                By::TheSystem => by_system.push(micros),
                By::Bare => bare.push(micros),
            }
            walls.extend((by == By::Ours).then_some(report.wall_seconds));
        }
        ratios.push(by_us[round] / by_system[round]);
    }
    figure("CPU against getaddrinfo, median", &format!("{:.2}", median(&ratios)), "at most 1");
    figure("  of the single rounds", &listed(&ratios), "");
    figure("CPU of a lookup, IPv4 and IPv6: our own", &format!("{:.1} us", median(&by_us)), "");
    figure("CPU of a lookup: getaddrinfo", &format!("{:.1} us", median(&by_system)), "");
    figure("CPU of two bare questions", &format!("{:.1} us", median(&bare)), "");
    figure("from the first to the last: our own", &format!("{:.2} s", median(&walls)), "");
    server.kill().and_then(|()| server.wait()).expect("it is ours");
}

async fn look_up(job: Job) -> Report {
    process::raise_open_files_limit();
    let resolver = match job.by {
        By::TheSystem => Resolver::system(),
        By::Ours | By::Bare => Resolver::own(ResolverFiles::default()),
    };
    let one = |n: usize| -> LocalBoxFuture<'_, bool> {
        // Below many domains, so that no share is full.
        let name = format!("a{n}.shop-{}.test", n % 97);
        match job.by {
            By::Bare => Box::pin(async move { bare(&name, 1).await && bare(&name, 28).await }),
            _ => {
                let resolver = &resolver;
                Box::pin(async move { resolver.lookup(&name, 80, Instant::now() + SOON).await.is_ok() })
            }
        }
    };
    assert!(one(job.n).await, "the name server is not there yet, or something is wrong");
    let (cpu_before, wall_before) = (cpu(), Instant::now());
    let found = stream::iter(0..job.n)
        .map(one)
        .buffer_unordered(AT_ONCE)
        .filter(|found| std::future::ready(*found))
        .count()
        .await;
    Report { cpu_seconds: seconds(cpu() - cpu_before), wall_seconds: seconds(wall_before.elapsed()), found }
}

/// As little as can be: a socket, a question, an answer that nobody reads.
async fn bare(name: &str, kind: u16) -> bool {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).expect("a short label"));
        message.extend(label.bytes());
    }
    message.extend([0, 0, kind.to_be_bytes()[1], 0, 1]);
    let ask = async {
        let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await?;
        socket.connect("127.0.0.1:53").await?;
        socket.send(&message).await?;
        socket.recv(&mut [0; 512]).await
    };
    ask.await.is_ok()
}

/// Answers each question for IPv4 with one address, and any other with none.
fn serve() -> String {
    let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53 of a network of its own");
    let mut message = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut message[..400]) {
        let kind = message[length - 3];
        message[2..4].copy_from_slice(&[0x81, 0x80]);
        let mut end = length;
        if kind == 1 {
            message[7] = 1;
            message[end..end + 16].copy_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
            end += 16;
        }
        let _ = socket.send_to(&message[..end], from);
    }
    process::report(&())
}
