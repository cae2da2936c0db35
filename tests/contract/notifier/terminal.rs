//! A terminal that is paused for a while.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};

use api_health::notify::terminal::TerminalNotifier;
use api_health_actors::ports::{Notifier, NotifyError};

use super::channels::Screen;
use super::{TestClock, down, run, up};

/// Takes nothing until it is let go on.
struct Paused {
    screen: Screen,
    goes_on: Arc<(Mutex<bool>, Condvar)>,
}

impl Write for Paused {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (goes_on, changed) = &*self.goes_on;
        drop(changed.wait_while(goes_on.lock().unwrap(), |goes_on| !*goes_on).unwrap());
        self.screen.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.screen.flush()
    }
}

#[test]
fn what_a_paused_terminal_shows_after_all_is_not_written_again() {
    run(async {
        let (screen, goes_on) = (Screen::default(), Arc::new((Mutex::new(false), Condvar::new())));
        let paused = Paused { screen: screen.clone(), goes_on: Arc::clone(&goes_on) };
        let clock = TestClock::at("2026-11-22T07:30:06Z");
        let notifier = TerminalNotifier::new(paused, String::new(), false, clock).unwrap();
        for _ in 0..3 {
            let error = notifier.deliver(down()).await.unwrap_err();
            assert!(matches!(&error, NotifyError::Retryable { reason, .. } if reason.contains("paused")), "{error}");
        }
        *goes_on.0.lock().unwrap() = true;
        goes_on.1.notify_all();
        notifier.deliver(down()).await.unwrap();
        notifier.deliver(up()).await.unwrap();
        let text = screen.text();
        let first_words: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(first_words.len(), 2, "{text}");
        assert!(first_words[0].starts_with("DOWN") && first_words[1].starts_with("UP"), "{text}");
    });
}

#[test]
fn alerts_of_many_apis_go_out_side_by_side() {
    run(async {
        let screen = Screen::default();
        let clock = TestClock::at("2026-11-22T07:30:06Z");
        let notifier = TerminalNotifier::new(screen.clone(), String::new(), false, clock).unwrap();
        let calls = futures_util::future::join_all((0..20).map(|_| notifier.deliver(down()))).await;
        assert!(calls.iter().all(Result::is_ok), "{calls:?}");
        assert_eq!(screen.text().matches("DOWN").count(), 20);
    });
}
