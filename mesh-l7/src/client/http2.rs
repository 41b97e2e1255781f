//! HTTP/2 to an upstream.

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Lifetime, Usage};
use super::failure::Failure;
use super::settings::ClientSettings;

/// One HTTP/2 connection. Clones are of the same connection.
#[derive(Clone)]
pub(super) struct Http2 {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) usage: Usage,
    closed: tokio::sync::watch::Receiver<()>,
    /// Streams in use; kept by the pool.
    pub(super) streams: usize,
    /// Streams that it is used for at once, at most.
    pub(super) max: usize,
}

impl Http2 {
    /// Begins to speak HTTP/2 on a connection.
    ///
    /// `live` says that it is there, and is held until it is closed.
    pub(super) async fn begin<IO, L>(
        io: IO,
        lifetime: Lifetime,
        settings: &ClientSettings,
        live: impl FnOnce() -> L,
    ) -> Result<Self, Failure>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        L: Send + 'static,
    {
        let http2 = &settings.http2;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(http2.stream_window)
            .initial_connection_window_size(http2.connection_window)
            .max_frame_size(http2.frame)
            .max_header_list_size(u32::try_from(settings.rules.head_bytes).unwrap_or(u32::MAX))
            .max_send_buffer_size(http2.send_buffer)
            .max_pending_accept_reset_streams(http2.pending_resets)
            .max_local_error_reset_streams(Some(http2.error_resets))
            .enable_push(false)
            .handshake::<IO, Bytes>(io)
            .await
            .map_err(Failure::connect)?;
        let usage = Usage::new(lifetime);
        let outlived = usage.clone().outlived();
        let (open, closed) = tokio::sync::watch::channel(());
        let live = live();
        tokio::spawn(async move {
            let _live = live;
            tokio::select! {
                // What goes wrong is told to the streams.
                _ = connection => {}
                () = outlived => {}
            }
            drop(open);
        });
        Ok(Self {
            sender,
            usage,
            closed,
            streams: 0,
            max: usize::try_from(http2.streams).unwrap_or(usize::MAX),
        })
    }

    pub(super) fn may_go_on(&self) -> bool {
        self.closed.has_changed().is_ok() && self.usage.may_go_on()
    }

    /// How many streams it may have: what the peer allows, and what we want.
    pub(super) fn limit(&self, max: usize) -> usize {
        self.sender.current_max_send_streams().min(max)
    }

    /// Whether this is the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.closed.same_channel(&other.closed)
    }
}
