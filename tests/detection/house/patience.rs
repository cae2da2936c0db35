//! Time: servers that let us wait, in each phase of an exchange, and some that are slow and good.

use std::time::Duration;

use crate::play::{Act, End, Step, bytes, steps};
use crate::world::World;

use super::{down, fine};

pub(super) fn add(world: &mut World) {
    down(world, "no first byte", bytes("", End::Hold), &["first byte"]);
    let reading: &[&str] = &["while reading the answer"];
    down(world, "half a head, and no more", bytes("HTTP/1.1 200 OK\r\ncontent-le", End::Hold), reading);
    down(world, "early hints, and no more", bytes("HTTP/1.1 103 Early Hints\r\n\r\n", End::Hold), reading);
    down(
        world,
        "half a body, and no more",
        bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", End::Hold),
        reading,
    );
    down(world, "a head that drips", dripping("HTTP/1.1 200 OK\r\nx: ", b"x"), reading);
    down(world, "a body that drips", dripping("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", b"x"), reading);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    down(world, "chunks that drip", dripping(chunked, b"1\r\nx\r\n"), reading);

    let second = Duration::from_secs(1);
    let late = steps(
        vec![Step::Pause(second), Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".into())],
        End::Hold,
    );
    fine(world, "slow and good", "", late);
    let flood = format!("4000\r\n{}\r\n", "x".repeat(0x4000)).into_bytes();
    let endless = steps(vec![Step::Send(chunked.into()), Step::Forever(flood, Duration::ZERO)], End::Hold);
    fine(world, "a body without an end, read to its bound", "", endless);
}

fn dripping(first: &str, drop: &[u8]) -> Act {
    let drops = Step::Forever(drop.to_vec(), Duration::from_millis(200));
    steps(vec![Step::Send(first.into()), drops], End::Hold)
}
