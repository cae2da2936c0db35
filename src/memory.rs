//! What is done with memory that is not needed just now. By itself the C library's allocator keeps an arena for each thread, and what
//! a burst needed once: the rows of a file, a first round.

use std::time::Duration;

/// How often free memory is given back. It takes a few milliseconds, and what was given back has to be fetched again when it is
/// needed.
const EVERY: Duration = Duration::from_secs(30);

/// Gives memory back from now on, every 30 s.
pub async fn give_back_periodically() {
    loop {
        tokio::time::sleep(EVERY).await;
        give_back();
    }
}

/// All threads share one arena. Each keeps small pieces at hand, so that they hardly ever meet there. Call it before there are threads.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "the C library has no safe form of it")]
pub fn limit_arenas() {
    // SAFETY: it sets a number, and no other thread allocates yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Gives the pages that are free back to the system.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "the C library has no safe form of it")]
fn give_back() {
    // SAFETY: it may be called at any time from any thread; it touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

/// Another C library sees to it by itself.
#[cfg(not(target_env = "gnu"))]
pub fn limit_arenas() {}

/// Another C library sees to it by itself.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}
