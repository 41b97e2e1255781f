//! A body that can be sent again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

use crate::body::{Body, BodyError};

/// A body of which the beginning is kept, so that it can be sent again. It is passed on as it comes: the
/// first attempt waits for nothing, and a further one goes on with what still comes.
///
/// Bytes are kept by reference, not copied. A body that grows beyond the limit, or beyond what all requests
/// may keep together, is passed on and no longer kept.
pub(super) struct Replay(Arc<Mutex<State>>);

/// What all requests keep together.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    used: AtomicUsize,
    most: usize,
}

struct State {
    source: Body,
    kept: Vec<Bytes>,
    /// Bytes in `kept`, taken from `memory`.
    size: usize,
    most: usize,
    memory: Memory,
    trailers: Option<HeaderMap>,
    progress: Progress,
    /// The attempt that may read. Those before it may not.
    turn: u32,
    /// The first of `kept` that the attempt has not read.
    next: usize,
    /// Whether the attempt has read the trailers.
    trailers_read: bool,
    /// Whether all that came is kept.
    complete: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    Coming,
    Ended,
    Failed,
}

/// The body of one attempt.
struct Reader {
    state: Arc<Mutex<State>>,
    turn: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("another attempt was begun")]
struct Replaced;

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        let used = AtomicUsize::new(0);
        Self(Arc::new(Shared { used, most }))
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self
            .0
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.0.most)
            });
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Replay {
    /// A body of which at most so many bytes are kept.
    pub(super) fn new(source: Body, most: usize, memory: Memory) -> Self {
        Self(Arc::new(Mutex::new(State {
            source,
            kept: Vec::new(),
            size: 0,
            most,
            memory,
            trailers: None,
            progress: Progress::Coming,
            turn: 0,
            next: 0,
            trailers_read: false,
            complete: true,
        })))
    }

    /// The body from its beginning, for another attempt. The one before reads nothing more.
    pub(super) fn begin(&self) -> Body {
        let mut state = self.0.lock();
        state.turn = state.turn.wrapping_add(1);
        state.next = 0;
        state.trailers_read = false;
        Body::new(Reader {
            state: self.0.clone(),
            turn: state.turn,
        })
    }

    /// Whether it can be sent again.
    pub(super) fn is_complete(&self) -> bool {
        let state = self.0.lock();
        state.complete && state.progress != Progress::Failed
    }

    /// It will not be sent again.
    pub(super) fn settle(&self) {
        let mut state = self.0.lock();
        state.most = 0;
        state.complete = false;
        if state.next >= state.kept.len() {
            state.forget();
        }
    }
}

impl State {
    fn keep(&mut self, bytes: &Bytes) {
        let size = self.size.saturating_add(bytes.len());
        if self.complete && size <= self.most && self.memory.take(bytes.len()) {
            self.size = size;
            self.kept.push(bytes.clone());
            self.next = self.kept.len();
        } else {
            self.complete = false;
            self.forget();
        }
    }

    /// Frees what is kept; the attempt has read all of it.
    fn forget(&mut self) {
        self.kept = Vec::new();
        self.next = 0;
        self.memory.give_back(std::mem::take(&mut self.size));
    }

    /// Bytes that are kept and that the attempt has not read.
    fn unread(&self) -> u64 {
        let unread = self.kept.get(self.next..).unwrap_or_default();
        unread.iter().map(|bytes| bytes.len() as u64).sum()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(bytes) = self.kept.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(bytes.clone()))));
        }
        if self.progress == Progress::Ended {
            let read = std::mem::replace(&mut self.trailers_read, true);
            let trailers = self.trailers.clone().filter(|_| !read);
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut self.source).poll_frame(cx));
        match &frame {
            None => self.progress = Progress::Ended,
            Some(Err(_)) => self.progress = Progress::Failed,
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    self.keep(bytes);
                } else if let Some(trailers) = frame.trailers_ref() {
                    self.trailers = Some(trailers.clone());
                    self.trailers_read = true;
                    self.progress = Progress::Ended;
                }
            }
        }
        Poll::Ready(frame)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.memory.give_back(self.size);
    }
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // Nobody else waits for this lock: attempts before this one were given up.
        let mut state = self.state.lock();
        if state.turn != self.turn {
            return Poll::Ready(Some(Err(BodyError::new(Replaced))));
        }
        state.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        let state = self.state.lock();
        let read = state.turn == self.turn && state.next >= state.kept.len();
        let ended = match state.progress {
            Progress::Coming => state.source.is_end_stream(),
            Progress::Ended => state.trailers.is_none() || state.trailers_read,
            Progress::Failed => false,
        };
        read && ended
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.state.lock();
        let unread = state.unread();
        let coming = match state.progress {
            Progress::Coming => state.source.size_hint(),
            Progress::Ended | Progress::Failed => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(coming.lower().saturating_add(unread));
        if let Some(upper) = coming.upper() {
            hint.set_upper(upper.saturating_add(unread));
        }
        hint
    }
}
