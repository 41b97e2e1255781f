//! The future of one connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::Error;
use super::carry::Carrying;
use crate::BoxFuture;

/// The life of one connection. Dropping it resets the connection; it is reported as drained.
#[must_use = "futures do nothing unless polled"]
pub struct ConnectionFuture(Stage);

/// The stages of a connection. Opening takes much room for a short time, which is freed before the
/// connection carries its first byte.
enum Stage {
    Opening(BoxFuture<'static, Result<Carrying, Error>>),
    Carrying(Carrying),
    Ended,
}

impl ConnectionFuture {
    pub(super) fn new(
        opening: impl Future<Output = Result<Carrying, Error>> + Send + 'static,
    ) -> Self {
        Self(Stage::Opening(Box::pin(opening)))
    }
}

impl Future for ConnectionFuture {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Opening(opening) = &mut self.0 {
            match ready!(opening.as_mut().poll(cx)) {
                Ok(carrying) => self.0 = Stage::Carrying(carrying),
                Err(error) => {
                    self.0 = Stage::Ended;
                    return Poll::Ready(Err(error));
                }
            }
        }
        let Stage::Carrying(carrying) = &mut self.0 else {
            // It has been polled after its end, which tells nothing more.
            return Poll::Pending;
        };
        let result = ready!(carrying.as_mut().poll(cx));
        self.0 = Stage::Ended;
        Poll::Ready(result)
    }
}

impl fmt::Debug for ConnectionFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.0 {
            Stage::Opening(_) => "opening",
            Stage::Carrying(_) => "carrying",
            Stage::Ended => "ended",
        };
        f.debug_tuple("ConnectionFuture").field(&stage).finish()
    }
}
