//! A connection that is read after it cannot be written any more.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long an answer is waited for after a write has failed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection of which a failed write does not hide what has arrived.
///
/// An upstream may answer, and close, before it has read the whole request (413 for a long one): the
/// next write fails, while the answer is there to be read (RFC 9112 §9.5). So writes that fail only wait,
/// and reading tells how it ended. One task is to read and to write, as hyper does.
pub(super) struct Hearing<IO> {
    io: IO,
    failed: Option<Box<Failed>>,
}

struct Failed {
    error: io::ErrorKind,
    patience: Pin<Box<Sleep>>,
}

impl<IO> Hearing<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self { io, failed: None }
    }

    /// The outcome of writing, where failures wait for the reader.
    fn written<T>(
        &mut self,
        cx: &Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(Err(error)) => {
                // The reader, who may wait already, is to see how long that is worth while.
                cx.waker().wake_by_ref();
                self.failed.get_or_insert_with(|| {
                    Box::new(Failed {
                        error: error.kind(),
                        patience: Box::pin(sleep(LAST_WORDS)),
                    })
                });
                Poll::Pending
            }
            other => other,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Hearing<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        match &mut self.failed {
            Some(failed) if read.is_pending() => failed
                .patience
                .as_mut()
                .poll(cx)
                .map(|()| Err(failed.error.into())),
            _ => read,
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Hearing<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.failed.is_some() {
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.failed.is_some() {
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed.is_some() {
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        self.written(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is to be said, and nobody waits for the connection any more.
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;
    use tokio_test::io::Builder;

    use super::*;

    fn broken() -> io::Error {
        io::ErrorKind::BrokenPipe.into()
    }

    /// Reads to the end while writing goes on.
    async fn told(io: impl AsyncRead + AsyncWrite + Unpin) -> (Vec<u8>, io::Result<usize>) {
        let (mut reader, mut writer) = tokio::io::split(Hearing::new(io));
        let mut told = Vec::new();
        let read = tokio::select! {
            // The reader waits before the writer fails.
            biased;
            read = reader.read_to_end(&mut told) => read,
            written = writer.write_all(b"request") => panic!("{written:?}"),
            () = sleep(LAST_WORDS * 2) => panic!("nobody was told"),
        };
        (told, read)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_answered_before_a_write_failed_is_read() {
        let io = Builder::new().write_error(broken()).read(b"413").build();
        let (told, read) = told(io).await;
        assert_eq!(told, b"413");
        assert!(read.is_ok(), "{read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_is_told_by_reading() {
        let reset = io::ErrorKind::ConnectionReset;
        let io = Builder::new()
            .write_error(broken())
            .read_error(reset.into())
            .build();
        let (told, read) = told(io).await;
        assert!(told.is_empty());
        assert_eq!(read.unwrap_err().kind(), reset);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_never_says_anything_is_waited_for_five_seconds() {
        let (silent, _other) = tokio::io::duplex(64);
        let io = tokio::io::join(silent, Builder::new().write_error(broken()).build());
        let begin = Instant::now();
        let (_, read) = told(io).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(begin.elapsed(), LAST_WORDS);
    }
}
