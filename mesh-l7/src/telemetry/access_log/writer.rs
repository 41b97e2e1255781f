//! The thread that writes lines, and the queue that keeps everybody from waiting for it.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::telemetry::place;

/// Bytes that wait in one part of the queue before the thread is woken. Source: Envoy's buffer.
const WAKE: usize = 64 * 1024;
/// Bytes that wait in one part before further lines are dropped.
const MOST: usize = 1024 * 1024;
/// How long a line waits.
const PAUSE: Duration = Duration::from_secs(1);
/// How long [`LogWriter::flush`] waits, and between two looks.
const FLUSH: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(1));

/// Takes lines and never waits: they are written within a second, 64 KiB at once when there are many, by a
/// thread of its own. What does not fit is dropped and counted: 1 MiB for each part of the queue.
///
/// Clones write to the same place. With the last one the thread writes what is left and ends.
#[derive(Clone)]
pub struct LogWriter(Arc<Handle>);

/// What went wrong with a log.
#[derive(Debug, Default)]
pub struct LogCounters {
    dropped: AtomicU64,
    write_errors: AtomicU64,
}

struct Handle {
    queue: Arc<Queue>,
    thread: Thread,
}

struct Queue {
    /// Each is used by few threads, at best by one.
    parts: Box<[Mutex<Vec<u8>>]>,
    closed: AtomicBool,
    /// How often the thread has written all that was there.
    rounds: AtomicU64,
    counters: Arc<LogCounters>,
}

impl LogWriter {
    /// Starts the thread. The queue has as many parts as there are threads that write lines; at least 1.
    ///
    /// # Errors
    /// When there cannot be another thread.
    pub fn start(
        to: impl Write + Send + 'static,
        parts: usize,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let queue = Arc::new(Queue {
            parts: (0..parts.max(1)).map(|_| Mutex::default()).collect(),
            closed: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
            counters: Arc::default(),
        });
        let shared = queue.clone();
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || shared.write_all(to))?;
        let handle = Handle {
            queue,
            thread: thread.thread().clone(),
        };
        Ok((Self(Arc::new(handle)), thread))
    }

    /// What went wrong so far.
    #[must_use]
    pub fn counters(&self) -> Arc<LogCounters> {
        self.0.queue.counters.clone()
    }

    /// Waits until the lines so far are written, but not for an output that nobody reads: 2 s. It
    /// blocks, so it is for the end of a process.
    pub fn flush(&self) {
        let deadline = Instant::now() + FLUSH.0;
        // The present round may have passed the newest lines already.
        let enough = self.0.queue.rounds.load(Ordering::Acquire) + 2;
        while self.0.queue.rounds.load(Ordering::Acquire) < enough && Instant::now() < deadline {
            self.0.thread.unpark();
            std::thread::sleep(FLUSH.1);
        }
    }

    /// Takes what `write` appends.
    pub(super) fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let queue = &*self.0.queue;
        let Some(part) = place::part_of(&queue.parts) else {
            return;
        };
        let length = {
            let mut part = part.lock();
            if part.len() >= MOST {
                queue.counters.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            write(&mut part);
            part.len()
        };
        if length >= WAKE {
            self.0.thread.unpark();
        }
    }
}

impl LogCounters {
    /// Lines that were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes that failed; their lines are lost.
    #[must_use]
    pub fn write_errors(&self) -> u64 {
        self.write_errors.load(Ordering::Relaxed)
    }
}

impl Queue {
    fn write_all(&self, mut to: impl Write) {
        let mut lines = Vec::new();
        loop {
            let last = self.closed.load(Ordering::Acquire);
            for part in &self.parts {
                std::mem::swap(&mut *part.lock(), &mut lines);
                if !lines.is_empty() && to.write_all(&lines).and_then(|()| to.flush()).is_err() {
                    self.counters.write_errors.fetch_add(1, Ordering::Relaxed);
                }
                lines.clear();
            }
            self.rounds.fetch_add(1, Ordering::Release);
            if last {
                return;
            }
            std::thread::park_timeout(PAUSE);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.closed.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("counters", &self.0.queue.counters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let part = &bytes[..bytes.len().min(1000)];
            self.0.lock().extend_from_slice(part);
            Ok(part.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_whole_and_in_order_until_the_last_one() {
        let kept = Kept::default();
        let (writer, thread) = LogWriter::start(kept.clone(), 4).unwrap();
        let lines: Vec<_> = (0..20_000).map(|n| format!("line {n}\n")).collect();
        for line in &lines[..19_000] {
            writer.line(|to| to.extend_from_slice(line.as_bytes()));
        }
        writer.flush();
        assert_eq!(
            kept.0.lock().as_slice(),
            lines[..19_000].concat().as_bytes()
        );
        for line in &lines[19_000..] {
            writer.line(|to| to.extend_from_slice(line.as_bytes()));
        }
        drop(writer);
        thread.join().unwrap();
        assert_eq!(kept.0.lock().as_slice(), lines.concat().as_bytes());
    }

    #[test]
    fn an_output_that_hangs_costs_lines_and_not_time() {
        struct Hanging(Receiver<()>);
        impl Write for Hanging {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, hang) = channel();
        let (writer, _thread) = LogWriter::start(Hanging(hang), 1).unwrap();
        let line = [b'x'; 1024];
        // Twice as much as fits into the queue and what the thread has taken.
        for _ in 0..4 * MOST / line.len() {
            writer.line(|to| to.extend_from_slice(&line));
        }
        assert!(writer.counters().dropped() >= (MOST / line.len()) as u64);
        assert!(writer.0.queue.parts[0].lock().len() <= MOST + line.len());
        drop(release);
    }

    #[test]
    fn an_output_that_fails_is_counted() {
        struct Failing;
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (writer, _thread) = LogWriter::start(Failing, 1).unwrap();
        writer.line(|to| to.push(b'\n'));
        writer.flush();
        assert_eq!(writer.counters().write_errors(), 1);
    }
}
