//! Where sockets come from that keep their worker awake.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::socket::AwakeSocket;
use super::traffic::Traffic;
use crate::proxy::Accept;
use crate::server::Accepted;

/// A source of connections that keep their worker awake.
#[derive(Debug)]
pub struct AwakeAcceptor<A> {
    acceptor: A,
    traffic: Option<Arc<Traffic>>,
}

impl<A> AwakeAcceptor<A> {
    pub(super) fn new(acceptor: A, traffic: Option<Arc<Traffic>>) -> Self {
        Self { acceptor, traffic }
    }
}

impl<A: Accept> Accept for AwakeAcceptor<A> {
    type Io = AwakeSocket<A::Io>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        let Accepted { io, peer, local } = self.acceptor.accept().await?;
        let io = AwakeSocket::new(io, self.traffic.clone());
        Ok(Accepted { io, peer, local })
    }
}

/// A dialer of connections that keep their worker awake.
#[derive(Clone, Debug)]
pub struct AwakeDialer<D> {
    dialer: D,
    traffic: Option<Arc<Traffic>>,
}

impl<D> AwakeDialer<D> {
    pub(super) fn new(dialer: D, traffic: Option<Arc<Traffic>>) -> Self {
        Self { dialer, traffic }
    }
}

impl<D: Service<R>, R> Service<R> for AwakeDialer<D> {
    type Response = AwakeSocket<D::Response>;
    type Error = D::Error;
    type Future = AwakeDialing<D::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), D::Error>> {
        self.dialer.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        AwakeDialing {
            dialing: self.dialer.call(request),
            traffic: self.traffic.clone(),
        }
    }
}

pin_project! {
    /// The result of an [`AwakeDialer`]. Dropping it gives the connection up.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct AwakeDialing<F> {
        #[pin]
        dialing: F,
        traffic: Option<Arc<Traffic>>,
    }
}

impl<F: Future<Output = Result<S, E>>, S, E> Future for AwakeDialing<F> {
    type Output = Result<AwakeSocket<S>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let io = ready!(this.dialing.poll(cx))?;
        Poll::Ready(Ok(AwakeSocket::new(io, this.traffic.take())))
    }
}
