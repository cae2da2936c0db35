//! What is done with memory that is not needed just now. By itself the C library's allocator keeps an arena for each thread, and what
//! a burst needed once: the rows of a file, a first round.

use std::time::Duration;

/// The largest pages of any machine that Linux runs on.
const PAGE_BYTES: u64 = 65_536;

/// How often free memory is given back. It takes a few milliseconds, and what was given back has to be fetched again when it is
/// needed.
const EVERY: Duration = Duration::from_secs(30);

/// Gives memory back from now on, every 30 s; what the start alone needed of the program's file, once.
pub async fn give_back_periodically() {
    tokio::time::sleep(EVERY).await;
    let_go_of_the_start();
    loop {
        give_back();
        tokio::time::sleep(EVERY).await;
    }
}

/// Lets go of all pages of the program's file that are only read. Settings, rows and certificates are read by more of it than is run ever
/// after; what is needed again, the system takes from its cache of files at the next touch.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[allow(unsafe_code, reason = "the C library has no safe form of it")]
fn let_go_of_the_start() {
    /// Called for each loaded file, the program's own first; it ends the round there.
    unsafe extern "C" fn of_program(
        file: *mut libc::dl_phdr_info,
        _: libc::size_t,
        _: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the C library hands over a file that stays loaded, with all its segments.
        let (base, segments) = unsafe {
            let file = &*file;
            (file.dlpi_addr, std::slice::from_raw_parts(file.dlpi_phdr, usize::from(file.dlpi_phnum)))
        };
        for segment in segments.iter().filter(|one| one.p_type == libc::PT_LOAD && one.p_flags & libc::PF_W == 0) {
            // Whole pages alone, whatever their size on this machine.
            let from = (base + segment.p_vaddr).next_multiple_of(PAGE_BYTES);
            let until = (base + segment.p_vaddr + segment.p_filesz) / PAGE_BYTES * PAGE_BYTES;
            if let Some(len) = until.checked_sub(from).and_then(|len| usize::try_from(len).ok()).filter(|len| *len > 0)
            {
                // SAFETY: the segment is a part of the file and is never written to (the linker puts what is relocated into one that
                // is), so each page is read again as it was.
                unsafe { libc::madvise(from as *mut libc::c_void, len, libc::MADV_DONTNEED) };
            }
        }
        1
    }
    // SAFETY: it calls the function above, which keeps nothing and does not panic.
    unsafe { libc::dl_iterate_phdr(Some(of_program), std::ptr::null_mut()) };
}

/// Another system sees to it by itself.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn let_go_of_the_start() {}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_go_of_is_there_when_it_is_needed() {
        let before = format!("{:?}", std::time::Duration::from_millis(1_500));
        for _ in 0..3 {
            let_go_of_the_start();
            give_back();
            assert_eq!(format!("{:?}", std::time::Duration::from_millis(1_500)), before);
        }
    }
}
