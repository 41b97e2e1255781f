//! Connections that were switched to another protocol: each direction is a body.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;

use crate::body::{Body, BodyError};

/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// What comes from a switched connection, as a body. It begins once the connection has been switched;
/// when it never is, the body ends.
pub(crate) struct Reading<R> {
    source: Source<R>,
    buffer: Box<[u8]>,
}

enum Source<R> {
    Waiting(oneshot::Receiver<R>),
    Open(R),
    Ended,
}

impl<R> Reading<R> {
    /// What comes from the reader that will be sent.
    pub(crate) fn after(switched: oneshot::Receiver<R>) -> Self {
        Self {
            source: Source::Waiting(switched),
            buffer: Box::default(),
        }
    }

    /// What comes from a reader.
    pub(crate) fn of(reader: R) -> Self {
        Self {
            source: Source::Open(reader),
            buffer: Box::default(),
        }
    }
}

impl<R: AsyncRead + Unpin> http_body::Body for Reading<R> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Source::Waiting(switched) = &mut this.source {
            this.source = match ready!(Pin::new(switched).poll(cx)) {
                Ok(reader) => Source::Open(reader),
                Err(_) => Source::Ended,
            };
        }
        let Source::Open(reader) = &mut this.source else {
            return Poll::Ready(None);
        };
        if this.buffer.is_empty() {
            this.buffer = vec![0; READ].into();
        }
        let mut buffer = ReadBuf::new(&mut this.buffer);
        match ready!(Pin::new(reader).poll_read(cx, &mut buffer)) {
            Ok(()) if buffer.filled().is_empty() => {
                this.source = Source::Ended;
                Poll::Ready(None)
            }
            Ok(()) => {
                let data = Bytes::copy_from_slice(buffer.filled());
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Err(error) => {
                this.source = Source::Ended;
                Poll::Ready(Some(Err(BodyError::new(error))))
            }
        }
    }
}

/// Writes a body to a switched connection, and ends its direction with the body. Each frame is
/// flushed: what comes in small pieces is meant to arrive so.
pub(crate) async fn write_all<W>(mut body: Body, mut writer: W) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            writer.write_all(&data).await?;
            writer.flush().await?;
        }
    }
    writer.shutdown().await
}
