//! One seed, one course of events: where the operating system would put in chance, the seed does.
//!
//! Hash maps are iterated in an order that depends on random keys, and retries wait for random times. Both draw from
//! `getrandom`, once for each thread. So this program brings its own `getrandom`, which the linker prefers to the C
//! library's, and each seed runs in a thread of its own. Where the symbol is not the one that is called (another
//! operating system than Linux), seeds still run, and replay only roughly; a test notices.
#![allow(unsafe_code)]

use std::cell::Cell;

use api_health_actors::testkit::stage::Chance;

thread_local! {
    static SEED: Cell<u64> = const { Cell::new(0x5eed) };
}

/// Runs `body` in a thread in which all chance comes from `seed`.
///
/// # Panics
/// With whatever `body` panics with.
pub(crate) fn with_seed<T: Send + 'static>(seed: u64, body: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).spawn(move || {
        SEED.set(seed);
        body()
    });
    match thread.expect("a thread").join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Stands in for the C library's function of that name: fills the buffer, and never fails.
///
/// # Safety
/// `buffer` points to `length` bytes that may be written, as the C library asks, too.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    let mut chance = Chance::new(SEED.try_with(Cell::get).unwrap_or(0));
    for offset in 0..length {
        let byte = chance.bits().to_le_bytes()[0];
        // SAFETY: `offset` is below `length`, and the caller vouches for that many bytes.
        unsafe { buffer.add(offset).write(byte) };
    }
    // The next call in this thread draws other numbers.
    let _ = SEED.try_with(|seed| seed.set(chance.bits()));
    isize::try_from(length).unwrap_or(isize::MAX)
}
