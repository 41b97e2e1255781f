//! A body written to an HTTP/2 stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;

use crate::body::{Body, BodyError};

/// Writes a body to a stream, one frame at a time, as the receiver has room for it. A body that fails
/// resets the stream; so does dropping this before it is done.
pub(crate) struct SendBody {
    stream: SendStream<Bytes>,
    body: Body,
    done: bool,
}

/// Why a body was not written to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The body itself ended early.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The stream or its connection ended.
    #[error("the stream ended")]
    Stream(#[source] h2::Error),
}

impl SendBody {
    pub(crate) fn new(stream: SendStream<Bytes>, body: Body) -> Self {
        Self {
            stream,
            body,
            done: false,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        loop {
            // A frame is taken from the body once there is room for a part of it: what the library
            // holds is at most one frame of each stream.
            self.stream.reserve_capacity(1);
            if self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(SendError::Stream(error))),
                    None => return Poll::Ready(Err(SendError::Stream(Reason::CANCEL.into()))),
                }
            }
            if let Poll::Ready(reset) = self.stream.poll_reset(cx) {
                let error = reset.map_or_else(|error| error, h2::Error::from);
                return Poll::Ready(Err(SendError::Stream(error)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if self.send(frame)? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(Err(error.into()));
                }
                None => {
                    let end = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(end.map_err(SendError::Stream));
                }
            }
        }
    }

    /// Whether the body ended with this frame.
    fn send(&mut self, frame: http_body::Frame<Bytes>) -> Result<bool, SendError> {
        let frame = match frame.into_data() {
            Ok(data) => {
                let last = self.body.is_end_stream();
                if last || !data.is_empty() {
                    self.stream
                        .send_data(data, last)
                        .map_err(SendError::Stream)?;
                }
                return Ok(last);
            }
            Err(frame) => frame,
        };
        let Ok(trailers) = frame.into_trailers() else {
            return Ok(false);
        };
        // No more capacity is needed, and none is held that others could use.
        self.stream.reserve_capacity(0);
        self.stream
            .send_trailers(trailers)
            .map_err(SendError::Stream)?;
        Ok(true)
    }
}

impl Future for SendBody {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent = ready!(self.poll_send(cx));
        self.done = true;
        Poll::Ready(sent)
    }
}

impl Drop for SendBody {
    fn drop(&mut self) {
        if !self.done {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}
