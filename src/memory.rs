//! What is done with memory that is not needed just now. By itself the C library's allocator keeps an arena for each thread, and what
//! a burst needed once: the rows of a file, a first round; and the parts of the program's own file that only its start needed stay
//! mapped.

use std::time::Duration;

/// How often free memory is given back. It takes a few milliseconds, and what was given back has to be fetched again when it is
/// needed.
const EVERY: Duration = Duration::from_secs(30);

/// Gives memory back from now on, every 30 s; the first time also what only the start needed of the program itself.
pub async fn give_back_periodically() {
    tokio::time::sleep(EVERY).await;
    unmap_program();
    loop {
        give_back();
        tokio::time::sleep(EVERY).await;
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

/// Unmaps code and constants of this program. What is used again is mapped again, as a rule without reading the file, within a
/// millisecond for all of it. A debugger has to set its breakpoints anew.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "the C library has no safe form of it")]
fn unmap_program() {
    unsafe extern "C" fn unmap(object: *mut libc::dl_phdr_info, _: usize, _: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the C library gives a good one, with so many headers.
        let (object, headers) = unsafe {
            let object = &*object;
            (object, std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()))
        };
        // SAFETY: it reads a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4_096);
        for part in headers.iter().filter(|part| part.p_type == libc::PT_LOAD && part.p_flags & libc::PF_W == 0) {
            let begin = (object.dlpi_addr + part.p_vaddr) as usize;
            let end = begin + part.p_memsz as usize;
            let begin = begin - begin % page;
            // SAFETY: nobody may write there, so that the file has what was there.
            unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_DONTNEED) };
        }
        1 // the program is the first; its libraries are left alone
    }
    // SAFETY: the function keeps nothing of what it is given.
    unsafe { libc::dl_iterate_phdr(Some(unmap), std::ptr::null_mut()) };
}

/// Another C library sees to it by itself.
#[cfg(not(target_env = "gnu"))]
pub fn limit_arenas() {}

/// Another C library sees to it by itself.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}

#[cfg(not(target_env = "gnu"))]
fn unmap_program() {}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    /// Of files, in KiB.
    fn mapped() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim_end_matches("kB").trim().parse().unwrap()
    }

    #[test]
    fn what_was_unmapped_is_gone_and_comes_back_when_it_is_used() {
        let before = mapped();
        unmap_program();
        assert!(mapped() < before);
        assert!("2026-01-02".split('-').all(|part| part.parse::<u32>().is_ok()), "code and constants are as they were");
    }
}
