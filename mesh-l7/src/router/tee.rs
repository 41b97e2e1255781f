//! A body of which others get copies while it is read.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::body::{Body, BodyError};

/// A body of which others get copies while it is read. Bytes are shared, not copied. It never waits for
/// them: one that falls behind by more than its bound ends with an error.
pub(super) struct Tee {
    body: Body,
    copies: Vec<Copy>,
}

/// One copy.
#[derive(Clone)]
pub(super) struct Copy(Arc<Mutex<Queue>>);

struct Queue {
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces`.
    size: usize,
    most: usize,
    end: End,
    waker: Option<Waker>,
}

enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// More may come.
    Open,
    /// All is there.
    Complete,
    /// It ended early: the request did, or the copy fell behind.
    Broken,
    /// Nobody reads it.
    Unread,
}

struct Reader(Copy);

#[derive(Debug, thiserror::Error)]
#[error("the copy fell behind, or the request ended early")]
struct Incomplete;

impl Copy {
    /// A copy that may be behind by so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            pieces: VecDeque::new(),
            size: 0,
            most,
            end: End::Open,
            waker: None,
        })))
    }

    /// The copy as a body; there must be one reader only.
    pub(super) fn reader(&self) -> Body {
        Body::new(Reader(self.clone()))
    }

    fn push(&self, piece: Piece) {
        let mut queue = self.0.lock();
        if queue.end != End::Open {
            return;
        }
        if let Piece::Data(bytes) = &piece {
            queue.size = queue.size.saturating_add(bytes.len());
        }
        if queue.size > queue.most {
            queue.pieces = VecDeque::new();
            queue.end = End::Broken;
        } else {
            queue.pieces.push_back(piece);
        }
        wake(queue);
    }

    fn end(&self, end: End) {
        let mut queue = self.0.lock();
        if queue.end == End::Open {
            queue.end = end;
            wake(queue);
        }
    }
}

/// Wakes after the lock is gone: what is woken may run at once.
fn wake(mut queue: parking_lot::MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Tee {
    pub(super) fn new(body: Body, copies: Vec<Copy>) -> Self {
        Self { body, copies }
    }

    fn end(&self, end: End) {
        self.copies.iter().for_each(|copy| copy.end(end));
    }
}

impl http_body::Body for Tee {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(End::Complete),
            Some(Err(_)) => self.end(End::Broken),
            Some(Ok(frame)) => {
                for copy in &self.copies {
                    if let Some(bytes) = frame.data_ref() {
                        copy.push(Piece::Data(bytes.clone()));
                    } else if let Some(trailers) = frame.trailers_ref() {
                        copy.push(Piece::Trailers(trailers.clone()));
                    }
                }
                // Readers of bodies need not ask again after that.
                if frame.is_trailers() || self.body.is_end_stream() {
                    self.end(End::Complete);
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.end(End::Broken);
    }
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut queue = self.0.0.lock();
        match queue.pieces.pop_front() {
            Some(Piece::Data(bytes)) => {
                queue.size = queue.size.saturating_sub(bytes.len());
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Some(Piece::Trailers(trailers)) => {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            None => {}
        }
        match queue.end {
            End::Complete | End::Unread => Poll::Ready(None),
            End::Broken => Poll::Ready(Some(Err(BodyError::new(Incomplete)))),
            End::Open => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let queue = self.0.0.lock();
        queue.pieces.is_empty() && queue.end == End::Complete
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut queue = self.0.0.lock();
        queue.end = End::Unread;
        let pieces = std::mem::take(&mut queue.pieces);
        drop(queue);
        drop(pieces);
    }
}
