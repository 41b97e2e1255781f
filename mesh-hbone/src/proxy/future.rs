//! The future of one connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Error;

/// The life of one connection. Dropping it resets the connection; it is reported as drained.
#[must_use = "futures do nothing unless polled"]
pub struct ConnectionFuture(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>);

impl ConnectionFuture {
    pub(super) fn new(life: impl Future<Output = Result<(), Error>> + Send + 'static) -> Self {
        Self(Box::pin(life))
    }
}

impl Future for ConnectionFuture {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ConnectionFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionFuture").finish_non_exhaustive()
    }
}
