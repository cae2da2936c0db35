//! Faults that come and go: what is over before it is confirmed is told to nobody, and what lasts each time it lasts.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::play::{Act, End, Step, by_request, http, well};
use crate::scenario::outages;
use crate::world::World;

use super::{fine, told};

pub(super) fn add(world: &mut World) {
    let odd = fine(world, "a blip shorter than a recheck", "", counted(|n| n == 0));
    world.add(odd);
    let odd = fine(world, "every other answer is bad", "", counted(|n| n % 2 == 0));
    world.add(odd);
    let thrice = "failure_threshold = 4";
    let odd = fine(world, "three of four bad, where four make it down", thrice, counted(|n| n % 4 != 3));
    world.add(odd);
    let bad = http("503 Service Unavailable", "").serve();
    told(world, "down and up three times", &well().serve(), bad, |switch| {
        Box::new(outages(3, switch, &["status 503"]))
    });
}

/// 503 for the requests, counted from 0, that are bad, and 200 for the others.
fn counted(is_bad: fn(usize) -> bool) -> Act {
    let count = AtomicUsize::new(0);
    let answer = move |_: &str| {
        let status = if is_bad(count.fetch_add(1, Ordering::Relaxed)) { "503 No" } else { "200 OK" };
        vec![Step::Send(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nhi").into_bytes())]
    };
    by_request(answer, End::Hold)
}
