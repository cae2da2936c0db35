//! Where the tasks lie that awc spawns for nothing.
//!
//! awc's codec comes with a clock for the `date` of answers, which only a server sends: for each exchange a task that looks at the time
//! at once, and then twice a second. Its timer makes the thread wake itself by a system call, and once more a millisecond later. So the
//! first step of an exchange, in which the codec is made, spawns onto a shelf of its thread, and what lies there is never run.

use std::cell::RefCell;

use tokio::task::LocalSet;

/// After so many exchanges a thread takes an empty shelf, and drops the one before with all that is on it.
const FULL: usize = 64;

thread_local! {
    /// The shelf, and how many exchanges have used it.
    static SHELF: RefCell<(LocalSet, usize)> = RefCell::new((LocalSet::new(), 0));
}

/// Does `step`, and lays what it spawns on the shelf.
pub(super) fn shelving<T>(step: impl FnOnce() -> T) -> T {
    let _entered = SHELF.with_borrow_mut(|(shelf, used)| {
        if *used == FULL {
            (*shelf, *used) = (LocalSet::new(), 0);
        }
        *used += 1;
        shelf.enter()
    });
    step()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::task::{spawn_local, yield_now};

    use super::*;

    #[test]
    fn what_lies_on_the_shelf_is_never_run_and_does_not_pile_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let runs = Rc::new(Cell::new(0));
            for _ in 0..10 * FULL {
                let run = Rc::clone(&runs);
                drop(shelving(|| spawn_local(async move { run.set(run.get() + 1) })));
                yield_now().await;
                assert_eq!(runs.get(), 0);
                assert!(Rc::strong_count(&runs) <= FULL + 1);
            }
            let after = spawn_local(async { 7 });
            assert_eq!(after.await.unwrap(), 7, "what is spawned by itself is run as ever");
        });
    }
}
