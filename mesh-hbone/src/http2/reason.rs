//! Error codes and errors of HTTP/2.

use std::fmt;
use std::io;
use std::sync::Arc;

/// An HTTP/2 error code, as RST_STREAM and GOAWAY carry it (RFC 9113 §7).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Reason(u32);

impl Reason {
    /// Nothing went wrong.
    pub const NO_ERROR: Self = Self(0);
    /// The other end broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1);
    /// Something went wrong here.
    pub const INTERNAL_ERROR: Self = Self(2);
    /// The other end sent more than its windows allow.
    pub const FLOW_CONTROL_ERROR: Self = Self(3);
    /// The other end sent a frame for a stream that it had ended.
    pub const STREAM_CLOSED: Self = Self(5);
    /// The other end sent a frame of a wrong size.
    pub const FRAME_SIZE_ERROR: Self = Self(6);
    /// Nothing was done for the request: it may be sent again.
    pub const REFUSED_STREAM: Self = Self(7);
    /// The stream is not wanted any more.
    pub const CANCEL: Self = Self(8);
    /// A header block could not be decoded.
    pub const COMPRESSION_ERROR: Self = Self(9);
    /// The connection behind a CONNECT request was reset.
    pub const CONNECT_ERROR: Self = Self(10);
    /// The other end asks too much.
    pub const ENHANCE_YOUR_CALM: Self = Self(11);
    /// TLS below HTTP/2 is not good enough.
    pub const INADEQUATE_SECURITY: Self = Self(12);

    pub(crate) const fn new(code: u32) -> Self {
        Self(code)
    }

    /// The number on the wire. Peers may send ones that have no name.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.0
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "NO_ERROR",
            1 => "PROTOCOL_ERROR",
            2 => "INTERNAL_ERROR",
            3 => "FLOW_CONTROL_ERROR",
            4 => "SETTINGS_TIMEOUT",
            5 => "STREAM_CLOSED",
            6 => "FRAME_SIZE_ERROR",
            7 => "REFUSED_STREAM",
            8 => "CANCEL",
            9 => "COMPRESSION_ERROR",
            10 => "CONNECT_ERROR",
            11 => "ENHANCE_YOUR_CALM",
            12 => "INADEQUATE_SECURITY",
            13 => "HTTP_1_1_REQUIRED",
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {}", self.0),
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a stream of HTTP/2, or the connection that carried it, ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Http2Error {
    /// The peer reset the stream.
    #[error("the peer reset the stream: {reason}")]
    ResetByPeer {
        /// What it gave as the reason.
        reason: Reason,
    },
    /// This side reset the stream.
    #[error("the stream was reset: {reason}")]
    Reset {
        /// Why.
        reason: Reason,
    },
    /// The peer is going away and has not looked at the stream.
    #[error("the peer is going away: {reason}")]
    GoingAway {
        /// What it gave as the reason.
        reason: Reason,
    },
    /// The peer broke the protocol, or asked too much, and the connection was ended for it.
    #[error("{what} ({reason})")]
    Broken {
        /// What the peer was told.
        reason: Reason,
        /// What it did.
        what: &'static str,
    },
    /// The stream below HTTP/2 failed or ended.
    #[error("the stream below HTTP/2 failed")]
    Io(#[source] Arc<io::Error>),
    /// The connection takes no more streams.
    #[error("the connection takes no more streams")]
    Closing,
}

impl Http2Error {
    pub(crate) fn io(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }

    /// The error code that went over the wire, if one did.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::ResetByPeer { reason }
            | Self::Reset { reason }
            | Self::GoingAway { reason }
            | Self::Broken { reason, .. } => Some(*reason),
            Self::Io(_) | Self::Closing => None,
        }
    }

    /// The kind of the failure below HTTP/2, if there was one.
    pub(crate) fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io(error) => Some(error.kind()),
            _ => None,
        }
    }

    /// Whether the peer says that it did nothing for the request, so that it may be sent again (RFC 9113 §8.7).
    pub(crate) fn is_unprocessed(&self) -> bool {
        matches!(self, Self::GoingAway { .. } | Self::Closing)
            || matches!(self, Self::ResetByPeer { reason } if *reason == Reason::REFUSED_STREAM)
    }
}

/// What ends a connection: the peer's mistake, and what it is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Broken {
    pub(super) reason: Reason,
    pub(super) what: &'static str,
}

impl Broken {
    pub(super) const fn protocol(what: &'static str) -> Self {
        Self {
            reason: Reason::PROTOCOL_ERROR,
            what,
        }
    }

    pub(super) const fn size(what: &'static str) -> Self {
        Self {
            reason: Reason::FRAME_SIZE_ERROR,
            what,
        }
    }

    pub(super) const fn flow(what: &'static str) -> Self {
        Self {
            reason: Reason::FLOW_CONTROL_ERROR,
            what,
        }
    }

    pub(super) const fn calm(what: &'static str) -> Self {
        Self {
            reason: Reason::ENHANCE_YOUR_CALM,
            what,
        }
    }
}

impl From<Broken> for Http2Error {
    fn from(Broken { reason, what }: Broken) -> Self {
        Self::Broken { reason, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_rfc_9113_section_7() {
        assert_eq!(Reason::ENHANCE_YOUR_CALM.to_string(), "ENHANCE_YOUR_CALM");
        assert_eq!(Reason::new(0xd).to_string(), "HTTP_1_1_REQUIRED");
        assert_eq!(Reason::new(0xe).to_string(), "error code 14");
        assert_eq!(Reason::new(0xe).code(), 14);
    }

    #[test]
    fn only_what_the_peer_did_nothing_for_is_unprocessed() {
        let by_peer = |reason| Http2Error::ResetByPeer { reason };
        assert!(by_peer(Reason::REFUSED_STREAM).is_unprocessed());
        assert!(!by_peer(Reason::CANCEL).is_unprocessed());
        assert!(
            !Http2Error::Reset {
                reason: Reason::REFUSED_STREAM
            }
            .is_unprocessed()
        );
        assert!(
            Http2Error::GoingAway {
                reason: Reason::NO_ERROR
            }
            .is_unprocessed()
        );
        assert!(!Http2Error::io(io::ErrorKind::BrokenPipe.into()).is_unprocessed());
    }
}
