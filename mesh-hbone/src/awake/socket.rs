//! Sockets that say when they receive something.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::traffic::Traffic;
use crate::io::Socket;

/// A socket that keeps its worker awake.
#[derive(Debug)]
pub struct AwakeSocket<S> {
    io: S,
    traffic: Option<Arc<Traffic>>,
}

impl<S> AwakeSocket<S> {
    pub(super) fn new(io: S, traffic: Option<Arc<Traffic>>) -> Self {
        Self { io, traffic }
    }

    /// The socket itself.
    pub fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AwakeSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if read.is_ready()
            && let Some(traffic) = &self.traffic
        {
            traffic.mark();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AwakeSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<S: Socket> Socket for AwakeSocket<S> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_readable(cx)
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<bool> {
        self.io.poll_gone(cx)
    }

    fn reset_on_drop(&mut self) {
        self.io.reset_on_drop();
    }
}
