//! The window in which a generator is observed, and what it found there.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::application::{Application, Purpose};
use crate::path::Path;

/// How long a generator runs before and while it is measured.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Window {
    /// Unmeasured, so that buffers and congestion windows have grown.
    pub warm_up: Duration,
    /// Measured.
    pub measured: Duration,
}

impl Window {
    /// A window of `measured`, after a fifth of that to warm up.
    #[must_use]
    pub fn of(measured: Duration) -> Self {
        Self {
            warm_up: measured / 5,
            measured,
        }
    }
}

/// What one generator found in one window.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Work {
    /// Bytes, requests or connections.
    pub done: f64,
    /// In how much time.
    pub elapsed: Duration,
    /// With how much processor time of the relays or proxies.
    pub processor: Duration,
}

impl Work {
    /// Units per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.done / self.elapsed.as_secs_f64()
    }
}

/// Opens a connection to the application for `purpose`.
///
/// # Errors
/// When the path refuses it.
pub(super) async fn open(entry: SocketAddr, purpose: Purpose) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(entry).await?;
    stream.set_nodelay(true)?;
    stream.write_u8(purpose.byte()).await?;
    Ok(stream)
}

/// Reads `counter` and the processor time at both ends of the window.
pub(super) async fn observe(
    path: &Path,
    window: Window,
    counter: impl Fn() -> u64,
) -> io::Result<Work> {
    tokio::time::sleep(window.warm_up).await;
    let (begin, processor, before) = (Instant::now(), path.processor_time()?, counter());
    tokio::time::sleep(window.measured).await;
    let done = counter().saturating_sub(before) as f64;
    let processor = path.processor_time()?.saturating_sub(processor);
    Ok(Work {
        done,
        elapsed: begin.elapsed(),
        processor,
    })
}

/// Stops what still runs and waits until the application has seen every connection close.
pub(super) async fn finish(
    tasks: &mut JoinSet<io::Result<()>>,
    application: &Application,
) -> io::Result<()> {
    // A generator that ended before it was told to has failed, and its window is worth nothing.
    if let Some(ended) = tasks.try_join_next() {
        ended.map_err(io::Error::other)??;
        return Err(io::Error::other("a load generator ended early"));
    }
    tasks.shutdown().await;
    application.settled().await
}
