//! What a client of a control plane reports.

use crate::control::ControlError;
use crate::delta::Received;

/// Why a stream ended, or did not come about. The words are labels of Istio's metrics.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "labels of a metric")]
pub enum Termination {
    /// There was no connection, no stream on it, or no answer to the subscriptions in time.
    ConnectionError,
    /// The server ended the stream with an error.
    Error,
    /// The server or something on the way ended the stream in a way that is usual.
    Reconnect,
    /// The server ended the stream.
    Complete,
}

impl Termination {
    /// The label: `ConnectionError`, `Error`, `Reconnect` or `Complete`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionError => "ConnectionError",
            Self::Error => "Error",
            Self::Reconnect => "Reconnect",
            Self::Complete => "Complete",
        }
    }
}

/// Why a stream ended, in detail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdsError {
    /// There is no connection, or the token cannot be read.
    #[error("no connection to the control plane")]
    Control(#[from] ControlError),
    /// The server accepted the connection and then did not answer the subscriptions in time, or
    /// stopped in the middle of its first response, for
    /// [`DeltaConfig::first_response`](crate::delta::DeltaConfig::first_response), 60 s by default.
    #[error("the control plane did not answer the subscriptions in time")]
    Silent,
    /// The server, or gRPC, says so.
    #[error("the control plane ended the stream: {code:?}: {message}")]
    Status {
        /// The gRPC code.
        code: tonic::Code,
        /// The message, from the server.
        message: String,
    },
}

impl From<&tonic::Status> for AdsError {
    fn from(status: &tonic::Status) -> Self {
        Self::Status {
            code: status.code(),
            message: status.message().to_owned(),
        }
    }
}

/// Hears what a client of a control plane does. All is optional; calls come from the client's task
/// and hold it up.
pub trait AdsObserver: Send + Sync + 'static {
    /// A stream has been opened and subscribed on.
    fn connected(&self) {}

    /// A response of so many bytes has been applied, and acknowledged or rejected.
    fn received(&self, _received: &Received, _bytes: usize) {}

    /// Every wildcard subscription has been answered for the first time, rejections or not: what
    /// there is to know is known. Called once.
    fn synced(&self) {}

    /// A stream has ended or did not come about; `None` = without an error.
    fn terminated(&self, _reason: Termination, _error: Option<&AdsError>) {}
}

/// Nobody.
impl AdsObserver for () {}

impl<O: AdsObserver + ?Sized> AdsObserver for std::sync::Arc<O> {
    fn connected(&self) {
        (**self).connected();
    }
    fn received(&self, received: &Received, bytes: usize) {
        (**self).received(received, bytes);
    }
    fn synced(&self) {
        (**self).synced();
    }
    fn terminated(&self, reason: Termination, error: Option<&AdsError>) {
        (**self).terminated(reason, error);
    }
}
