//! What an adapter makes of its settings, made anew when a file that holds some of them gets another content.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::channel::ChannelSettings;

/// How long the files are waited for before an attempt. A disk that hangs longer leaves what was.
const READ_AGAIN_MAX: Duration = Duration::from_secs(1);

/// The settings with what the files hold now; `None` if that cannot be used.
type Read = dyn Fn() -> Option<ChannelSettings> + Send + Sync;

/// What was made of the settings last.
pub(super) struct Reread<T> {
    made: Mutex<Arc<T>>,
    read: Option<Arc<Read>>,
    reading: Arc<Semaphore>,
}

impl<T> Reread<T> {
    /// Nothing of it stands in a file.
    pub(super) fn fixed(made: T) -> Self {
        Self { made: Mutex::new(Arc::new(made)), read: None, reading: Arc::new(Semaphore::new(1)) }
    }

    /// The same with what reads the files.
    pub(super) fn by(self, read: impl Fn() -> Option<ChannelSettings> + Send + Sync + 'static) -> Self {
        Self { read: Some(Arc::new(read)), ..self }
    }

    /// What counts for the next attempt. What `make` refuses leaves what was.
    pub(super) async fn now<E>(&self, make: impl Fn(&ChannelSettings) -> Result<T, E>) -> Arc<T> {
        // One reading at a time: on a disk that hangs each would hold a thread.
        if let Some(read) = self.read.clone()
            && let Ok(turn) = Arc::clone(&self.reading).try_acquire_owned()
        {
            let reading = tokio::task::spawn_blocking(move || {
                let found = read();
                drop(turn);
                found
            });
            if let Ok(Ok(Some(settings))) = tokio::time::timeout(READ_AGAIN_MAX, reading).await
                && let Ok(made) = make(&settings)
            {
                *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
            }
        }
        Arc::clone(&self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn on_a_disk_that_hangs_one_reading_is_under_way_at_most() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        let (hangs, readings) = (Mutex::new(hangs), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&readings);
        let made = Reread::fixed(1).by(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = hangs.lock().unwrap().recv();
            None
        });
        let now = || made.now(|_| Ok::<_, ()>(2));
        let found = tokio::join!(now(), now(), now());
        assert_eq!((*found.0, *found.1, *found.2), (1, 1, 1));
        assert_eq!(readings.load(Ordering::Relaxed), 1);
        drop(release);
    }
}
