//! The thread that writes the log, and the queue that keeps writers from waiting for it.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines that wait to be written before further ones are dropped.
const QUEUE: usize = 10_000;
/// Lines that are written with one system call.
const BATCH: usize = 64;

/// Time that the process waits for its last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// What went wrong with the log itself.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LogCounters {
    /// Lines that were dropped because the queue was full.
    pub dropped: AtomicU64,
    /// Writes that failed; their lines are lost.
    pub write_errors: AtomicU64,
}

enum Message {
    Line(String),
    /// Everything before this is to be written, then the sender is to be dropped.
    Flush(SyncSender<()>),
}

/// The end of the queue that takes lines. Never waits.
#[derive(Clone, Debug)]
pub(super) struct LineSink {
    // Grows with what waits: a channel with room for all of it would hold 320 kB from the start.
    queue: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    counters: Arc<LogCounters>,
}

impl LineSink {
    /// Starts the writing thread.
    pub(super) fn start(to: impl Write + Send + 'static) -> io::Result<(Self, JoinHandle<()>)> {
        let (queue, lines) = channel();
        let (counters, waiting) = (Arc::new(LogCounters::default()), Arc::default());
        let sink = Self {
            queue,
            waiting: Arc::clone(&waiting),
            counters: counters.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&lines, &waiting, to, &counters))?;
        Ok((sink, thread))
    }

    pub(super) fn counters(&self) -> &Arc<LogCounters> {
        &self.counters
    }

    pub(super) fn send(&self, line: String) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Fails only when the writing thread has ended.
        let _ = self.queue.send(Message::Line(line));
    }

    /// Waits until the lines so far are written, but not for an output that nobody reads.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(0);
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Writes until all sinks are gone.
fn write_all(
    lines: &Receiver<Message>,
    waiting: &AtomicUsize,
    mut to: impl Write,
    counters: &LogCounters,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        let mut flushed = None;
        while let Some(message) = next.take() {
            match message {
                Message::Line(line) => {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    batch.push(line);
                }
                Message::Flush(done) => {
                    flushed = Some(done);
                    break;
                }
            }
            if batch.len() < BATCH {
                next = lines.try_recv().ok();
            }
        }
        if write_batch(&batch, &mut to).is_err() {
            counters.write_errors.fetch_add(1, Ordering::Relaxed);
        }
        batch.clear();
        drop(flushed);
    }
}

fn write_batch(batch: &[String], to: &mut impl Write) -> io::Result<()> {
    let mut slices: Vec<_> = batch.iter().map(|l| IoSlice::new(l.as_bytes())).collect();
    let mut rest = slices.as_mut_slice();
    // Invariant: no empty slice in front, so that a write of 0 bytes is an error.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match to.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    /// Takes at most three bytes per call, from the first slice only.
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let part = &bytes[..bytes.len().min(3)];
            self.0.lock().unwrap().extend_from_slice(part);
            Ok(part.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn partial_writes_lose_nothing_and_keep_the_order() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (sink, thread) = LineSink::start(Slow(written.clone())).unwrap();
        let want: String = (0..500).map(|n| format!("line {n}\n")).collect();
        for line in want.split_inclusive('\n') {
            sink.send(line.to_owned());
        }
        sink.flush();
        assert_eq!(
            String::from_utf8(written.lock().unwrap().clone()).unwrap(),
            want
        );
        drop(sink);
        thread.join().unwrap();
    }

    #[test]
    fn a_writer_that_hangs_costs_lines_and_not_time() {
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
        let (sink, _) = LineSink::start(Hanging(hang)).unwrap();
        for _ in 0..QUEUE + BATCH + 100 {
            sink.send("x\n".to_owned());
        }
        assert!(sink.counters().dropped.load(Ordering::Relaxed) >= 100);
        drop(release);
    }

    #[test]
    fn a_writer_that_fails_is_counted() {
        struct Failing;
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sink, thread) = LineSink::start(Failing).unwrap();
        sink.send("x\n".to_owned());
        sink.flush();
        assert_eq!(sink.counters().write_errors.load(Ordering::Relaxed), 1);
        drop(sink);
        thread.join().unwrap();
    }
}
