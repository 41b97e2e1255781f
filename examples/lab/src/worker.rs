//! A thread with its own current-thread runtime, whose processor time can be read.

use std::fs;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

/// A named thread that drives one future, and what it spawns, until it is dropped.
#[derive(Debug)]
pub struct Worker {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
    clock: PathBuf,
}

impl Worker {
    /// Starts a thread called `name` (at most 15 bytes are visible to the kernel) that runs what `make` returns.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be made.
    pub fn start<M, F>(name: &str, make: M) -> io::Result<Self>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let begun = runtime().and_then(|runtime| Ok((runtime, own_clock()?)));
                let runtime = match begun {
                    Ok((runtime, clock)) => {
                        let _ = ready.send(Ok(clock));
                        runtime
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                runtime.block_on(async move {
                    tokio::select! {
                        _ = stopped => {}
                        () = async { make().await } => {}
                    }
                });
            })?;
        let clock = started.recv().map_err(io::Error::other)??;
        Ok(Self {
            thread: Some(thread),
            stop: Some(stop),
            clock,
        })
    }

    /// The processor time that this thread has used so far, in user and kernel space.
    ///
    /// # Errors
    /// When the thread has ended, or the kernel keeps no scheduling statistics.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let text = fs::read_to_string(&self.clock)?;
        let nanoseconds = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        nanoseconds
            .map(Duration::from_nanos)
            .ok_or_else(|| io::Error::other("no schedstat"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A runtime for the calling thread alone.
///
/// # Errors
/// When the operating system refuses the event queue.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn own_clock() -> io::Result<PathBuf> {
    // "<process>/task/<thread>", relative to /proc.
    let thread = fs::read_link("/proc/thread-self")?;
    Ok(PathBuf::from("/proc").join(thread).join("schedstat"))
}
