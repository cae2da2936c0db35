//! Faults that come and go: what is over before it is confirmed is told to nobody, and what lasts each time it lasts.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::play::{Act, End, Step, by_request, http};
use crate::scenario::{Scenario, outages};
use crate::world::World;

use super::{fine, server};

pub(super) fn add(world: &mut World) {
    fine(world, "a blip shorter than a recheck", "", counted(|n| n == 0));
    fine(world, "every other answer is bad", "", counted(|n| n % 2 == 0));
    let thrice = "failure_threshold = 4";
    fine(world, "three of four bad, where four make it down", thrice, counted(|n| n % 4 != 3));
    let (url, switch) = server(world, http("503 No", ""));
    world.add(Scenario::of_one("down and up three times", &url, "", outages(3, switch, &["status 503"])));
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
