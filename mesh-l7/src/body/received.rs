//! What is received on an HTTP/2 stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::Frame;

use super::error::BodyError;

/// The frames of one direction of a stream. Dropping it before the end resets the stream.
pub(super) struct Received {
    stream: RecvStream,
    /// All data has been taken; trailers may follow.
    data_ended: bool,
}

impl Received {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            data_ended: false,
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                // Frames without data are bounded by the HTTP/2 library.
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => {
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // RFC 9113 §8.1: a complete answer, and the rest of the request is not wanted.
                Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => {
                    self.data_ended = true;
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => self.data_ended = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }
}
