//! Allocations: how often one probe over plain HTTP asks for memory, beside awc alone with one client for all. A count does not
//! depend on the machine, so this bench fails above its bound.

#![allow(unsafe_code, reason = "an allocator that counts is one call more around the system's")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health_actors::ports::Probe as _;
use api_health_core::{Answer, ApiConfig, Schedule};
use support::figures::{figure, heading, number};
use support::process;
use support::target::{self, Target};
use support::watched;

/// Of which the count is a mean: enough for what happens now and then to show.
const PROBES: usize = 2_000;

/// What a probe may add to awc's own.
const OURS_MAX: f64 = 5.0;

/// What a probe may ask for in any case.
const WANTED: f64 = 30.0;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    process::role_or_form(&[
        target::ROLE,
        ("ours", |job| process::report(&actix_rt::System::new().block_on(ours(process::job(job))))),
        ("awc", |job| process::report(&actix_rt::System::new().block_on(awc_alone(process::job(job))))),
    ]);
    let mut target = Target::start();
    let mut run = |role| -> f64 {
        target.take();
        let allocations: u64 = process::play(role, &target.bases);
        let arrived = target.take().requests.len();
        assert_eq!(arrived, 2 * PROBES, "{role}: every probe was a request");
        number(usize::try_from(allocations).expect("64 bits")) / number(PROBES)
    };
    let (ours, floor) = (run("ours"), run("awc"));
    heading(&format!("calls of the allocator for one probe, mean of {PROBES}, plain HTTP by address"));
    let bound = WANTED.max(floor + OURS_MAX);
    figure("awc alone, one client", &format!("{floor:.1}"), "");
    figure("a probe: guard, phases, timeout, awc, observation", &format!("{ours:.1}"), &format!("at most {bound:.1}"));
    assert!(ours <= bound, "a probe allocates more than it did: {ours:.1} of at most {bound:.1}");
}

async fn ours(bases: Vec<String>) -> u64 {
    let probe = watched::http_probe(Arc::new(SystemClock));
    let schedule = Arc::new(Schedule::every(Duration::from_secs(10)));
    let api: Arc<ApiConfig> = watched::apis(1, &bases, &schedule).remove(0);
    let ask = probe.prepare(api);
    counted(async || match Rc::clone(&ask).run().await.answer {
        Answer::Response(response) => response.status == 200,
        _ => false,
    })
    .await
}

async fn awc_alone(bases: Vec<String>) -> u64 {
    let connector = awc::Connector::new().limit(0);
    let client = awc::Client::builder().connector(connector).disable_redirects().no_default_headers().finish();
    let uri: awc::http::Uri = format!("{}/0", bases[0]).parse().expect("the target wrote it");
    counted(async || {
        let request = client.get(uri.clone()).force_close().no_decompress();
        let mut answer = request.send_body(awc::body::None::new()).await.expect("the target answers");
        answer.body().await.expect("two bytes").len() == 2
    })
    .await
}

/// How often memory was asked for by [`PROBES`] of them, after as many that warm up.
async fn counted(probe: impl AsyncFn() -> bool) -> u64 {
    let mut before = 0;
    for round in 0..2 * PROBES {
        if round == PROBES {
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        assert!(probe().await, "the answer that was asked for");
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}
