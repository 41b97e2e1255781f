//! One direction of a copy.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::end::End;

/// One direction of a copy: the bytes between reading and writing, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes that were read and could not be passed on. Boxed: most connections are idle, and have none.
    waiting: Option<Box<Bytes>>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Stage {
    /// Bytes flow, and all that were written are flushed.
    #[default]
    Copying,
    /// Bytes flow, and some were written since the last flush.
    Unflushed,
    /// The source has ended; the destination has yet to be told.
    Ending,
    /// Both know.
    Done,
}

/// An error, and whether it came from reading.
pub(super) type FlowError = (bool, io::Error);

impl Flow {
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Moves what can be moved. Ready when the direction has ended; may be polled again then.
    pub(super) fn poll<A: End, B: End>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut A,
        to: &mut B,
        count: impl Fn(u64),
    ) -> Poll<Result<(), FlowError>> {
        let writing = |error| (false, error);
        loop {
            match self.stage {
                Stage::Done => return Poll::Ready(Ok(())),
                Stage::Ending => {
                    ready!(to.poll_end(cx)).map_err(writing)?;
                    self.stage = Stage::Done;
                }
                Stage::Copying | Stage::Unflushed => {
                    if let Some(waiting) = self.waiting.take() {
                        ready!(self.push(cx, *waiting, from, to, &count))?;
                    }
                    match from.poll_pull(cx) {
                        Poll::Ready(Ok(Some(chunk))) => {
                            ready!(self.push(cx, chunk, from, to, &count))?;
                        }
                        Poll::Ready(Ok(None)) => self.stage = Stage::Ending,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err((true, error))),
                        Poll::Pending => {
                            if self.stage == Stage::Unflushed {
                                ready!(to.poll_flush(cx)).map_err(writing)?;
                                self.stage = Stage::Copying;
                            }
                            return Poll::Pending;
                        }
                    }
                }
            }
        }
    }

    /// Passes on all of `chunk`, or keeps what is left of it for the next time.
    fn push<A: End, B: End>(
        &mut self,
        cx: &mut Context<'_>,
        mut chunk: Bytes,
        from: &mut A,
        to: &mut B,
        count: &impl Fn(u64),
    ) -> Poll<Result<(), FlowError>> {
        while !chunk.is_empty() {
            let Poll::Ready(pushed) = to.poll_push(cx, &mut chunk) else {
                self.waiting = Some(Box::new(chunk));
                from.while_blocked(cx).map_err(|error| (true, error))?;
                return Poll::Pending;
            };
            let pushed = pushed.map_err(|error| (false, error))?;
            from.passed_on(pushed);
            count(u64::try_from(pushed).unwrap_or(u64::MAX));
            self.stage = Stage::Unflushed;
        }
        Poll::Ready(Ok(()))
    }
}
