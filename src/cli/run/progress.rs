//! How far the first round is, on a terminal.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::Duration;

use api_health_actors::round::Round;

use crate::cli::out::progress_bar;

/// How often the bar moves.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Shows on a terminal how far the first round is, until what this gives is dropped. On a thread of its own: a terminal that is
/// paused takes nothing.
pub(super) fn show(round: Arc<Round>) -> Option<Sender<()>> {
    let bar = progress_bar("first round", round.progress().1);
    if bar.is_hidden() {
        return None;
    }
    let (shown, is_shown) = std::sync::mpsc::channel::<()>();
    let show = move || {
        while is_shown.recv_timeout(PROGRESS_EVERY) == Err(RecvTimeoutError::Timeout) {
            let (done, total) = round.progress();
            bar.set_position(done as u64);
            if done >= total {
                break;
            }
        }
        bar.finish_and_clear();
    };
    std::thread::Builder::new().name("progress".into()).spawn(show).ok().map(|_| shown)
}
