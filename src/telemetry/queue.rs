//! The way of a line to standard error: a bounded buffer, and a thread that empties it. Whoever logs never waits, though
//! nobody may be reading: what finds no room is dropped and counted, and that is said as soon as there is room again.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What may wait for somebody who does not read: some thousands of lines.
const BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// An emptied buffer keeps no more room than this.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

/// The thread looks up this often when nothing is logged.
const IDLE: Duration = Duration::from_secs(5);

/// An output that takes nothing just now, and says so instead of making us wait, is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    is_writing: bool,
}

/// The buffer. It lives as long as the process, and so does its thread.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    filled: Condvar,
    /// All is written.
    emptied: Condvar,
}

impl Queue {
    /// Starts the thread. After each write, and now and then between them, it calls `after` with the number of lines that were
    /// dropped since the last call.
    ///
    /// # Errors
    /// This machine has no thread to give.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        after: impl FnMut(u64) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self::default());
        let of_thread = Arc::clone(&queue);
        std::thread::Builder::new().name("log".into()).spawn(move || of_thread.write_for_ever(output, after))?;
        Ok(queue)
    }

    /// Takes a line, or drops it whole.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes.len().saturating_add(line.len()) > BUFFER_BYTES_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until everything is written, but no longer than that.
    pub(super) fn flush(&self, within: Duration) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.bytes.is_empty();
        drop(self.emptied.wait_timeout_while(self.waiting(), within, is_busy));
    }

    fn write_for_ever(&self, mut output: impl Write, mut after: impl FnMut(u64)) {
        let mut writing = Vec::new();
        loop {
            let is_idle = |waiting: &mut Waiting| waiting.bytes.is_empty();
            let waited = self.filled.wait_timeout_while(self.waiting(), IDLE, is_idle);
            let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut waiting.bytes, &mut writing);
            let dropped = std::mem::take(&mut waiting.dropped);
            waiting.is_writing = true;
            drop(waiting);
            write(&mut output, &writing);
            writing.clear();
            writing.shrink_to(BUFFER_BYTES_KEPT);
            after(dropped);
            let mut waiting = self.waiting();
            waiting.is_writing = false;
            if waiting.bytes.is_empty() {
                self.emptied.notify_all();
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all of it, however long that takes. What cannot be written at all is given up: there is nobody left to say it to.
#[allow(clippy::disallowed_methods, reason = "on a thread of its own, which may block")]
fn write(output: &mut impl Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN_AFTER),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::mpsc;

    #[test]
    fn nobody_waits_for_a_reader_and_what_was_dropped_is_counted_when_one_comes() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (tell, told) = mpsc::channel();
        let queue = Queue::start(writer, move |dropped| tell.send(dropped).unwrap()).unwrap();
        let line = [b'x'; 1_024];
        let lines = 4 * BUFFER_BYTES_MAX / line.len();
        for _ in 0..lines {
            queue.push(&line);
        }
        queue.flush(Duration::from_millis(50)); // and comes back, though there is no end of it
        // The reader is back, on a thread of its own: after the last line there is nothing to read, and a count may still come.
        let (read, bytes_read) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1_024];
            while read.send(reader.read(&mut buffer).unwrap()).is_ok() {}
        });
        let (mut bytes, mut dropped) = (0, 0);
        for _ in 0..6_000 {
            bytes += bytes_read.recv_timeout(Duration::from_millis(10)).unwrap_or(0);
            dropped += told.try_iter().sum::<u64>();
            if bytes / line.len() + usize::try_from(dropped).unwrap() == lines {
                break;
            }
        }
        assert_eq!(
            bytes / line.len() + usize::try_from(dropped).unwrap(),
            lines,
            "each line is read, or counted as dropped"
        );
        assert!(dropped > 0 && bytes <= 2 * BUFFER_BYTES_MAX, "{bytes} bytes, {dropped} dropped");
        assert!(bytes.is_multiple_of(line.len()), "a line is dropped whole");
    }

    #[test]
    fn a_flush_waits_for_the_last_line_and_an_output_that_is_closed_holds_up_nobody() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = Queue::start(writer, |_| {}).unwrap();
        queue.push(b"the last line\n");
        queue.flush(Duration::from_secs(60));
        let mut read = [0; 14];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"the last line\n");
        drop(reader);
        queue.push(b"to nobody\n");
        queue.flush(Duration::from_secs(60));
    }
}
