//! What can go wrong with a server, at will.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// Faults of a server, which may be changed while it runs.
#[derive(Debug)]
pub struct Faults {
    /// Nanoseconds.
    delay: AtomicU64,
    held: watch::Sender<bool>,
    split: AtomicUsize,
    /// Bytes that may still be written before connections break.
    cut: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            delay: AtomicU64::new(0),
            held: watch::channel(false).0,
            split: AtomicUsize::new(usize::MAX),
            cut: AtomicU64::new(u64::MAX),
        }
    }
}

impl Faults {
    /// Waits so long before each response; default no time.
    pub fn delay(&self, delay: Duration) {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.delay.store(nanos, Ordering::Relaxed);
    }

    /// Holds all responses back until told otherwise.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Sends at most so many resources in one response, at least one; default any number.
    pub fn split(&self, resources: usize) {
        self.split.store(resources.max(1), Ordering::Relaxed);
    }

    /// Breaks the connection that writes the last of so many bytes from now on, in the middle of
    /// whatever it writes, and every one that writes later. `None`, the default, mends that.
    pub fn cut_after(&self, bytes: Option<u64>) {
        self.cut.store(bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits as long as a response has to.
    pub(super) async fn pass(&self) {
        let delay = Duration::from_nanos(self.delay.load(Ordering::Relaxed));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // An error would mean that there is no switch any more.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    pub(super) fn current_split(&self) -> usize {
        self.split.load(Ordering::Relaxed)
    }

    /// How many of so many bytes may be written; an error when none.
    fn allowed(&self, bytes: usize) -> io::Result<usize> {
        let left = self.cut.load(Ordering::Relaxed);
        match usize::try_from(left).unwrap_or(usize::MAX).min(bytes) {
            0 if bytes > 0 => Err(io::ErrorKind::ConnectionReset.into()),
            allowed => Ok(allowed),
        }
    }

    fn wrote(&self, bytes: usize) {
        let wrote = |left| match left {
            u64::MAX => None,
            left => Some(left - left.min(bytes as u64)),
        };
        // An error says that nothing is to be counted.
        let _ = self
            .cut
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, wrote);
    }
}

/// A connection that breaks as the faults say.
pub(super) struct Faulty<S> {
    pub(super) stream: S,
    pub(super) faults: std::sync::Arc<Faults>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Faulty<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Faulty<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = match self.faults.allowed(bytes.len()) {
            Ok(allowed) => allowed,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let part = bytes.get(..allowed).unwrap_or(bytes);
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, part))?;
        self.faults.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
