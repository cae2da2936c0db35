//! How far the first round is, on a terminal.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::Duration;

use api_health_actors::round::Round;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::out::shows_progress;

/// A first round of fewer APIs than this is over too soon for a progress bar.
const PROGRESS_FROM: usize = 50;

/// How often the bar moves.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Shows on a terminal how far the first round is, until what this gives is dropped. On a thread of its own: a terminal that is
/// paused takes nothing.
pub(super) fn show(round: Arc<Round>) -> Option<Sender<()>> {
    let (_, total) = round.progress();
    if total < PROGRESS_FROM || !shows_progress() {
        return None;
    }
    let (shown, is_shown) = std::sync::mpsc::channel::<()>();
    let show = move || {
        let position = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let bar = ProgressBar::new(position(total));
        if let Ok(style) = ProgressStyle::with_template("first round {bar:40} {pos}/{len}") {
            bar.set_style(style);
        }
        while is_shown.recv_timeout(PROGRESS_EVERY) == Err(RecvTimeoutError::Timeout) {
            let (done, total) = round.progress();
            bar.set_position(position(done));
            if done >= total {
                break;
            }
        }
        bar.finish_and_clear();
    };
    std::thread::Builder::new().name("progress".into()).spawn(show).ok().map(|_| shown)
}
