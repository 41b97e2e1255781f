//! Why a message is not forwarded.

use mesh_core::target::{BadHost, BadTarget};

/// Why a message is not forwarded. The connection that it came on is closed: where the next message
/// begins is not known.
///
/// In a response, each of them is a fault of the server: 502.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHead {
    /// The head is longer than [`HygieneRules::head_bytes`](super::HygieneRules::head_bytes).
    #[error("the head is longer than {limit} bytes")]
    TooLong {
        /// Bytes that are allowed.
        limit: usize,
    },
    /// There are more header lines than [`HygieneRules::lines`](super::HygieneRules::lines).
    #[error("the head has more than {limit} header lines")]
    TooManyLines {
        /// Lines that are allowed.
        limit: usize,
    },
    /// The head does not end with an empty line.
    #[error("the head has no end")]
    Unfinished,
    /// A line ends with a line feed alone.
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// The first line does not have its three parts with one space between them.
    #[error("the first line is malformed")]
    StartLine,
    /// A method is not a token (RFC 9110 §9.1), or not one that is allowed.
    #[error("the method is not one that is served")]
    Method,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    #[error("the version is not HTTP/1.1")]
    Version,
    /// HTTP/1.0, which is switched off.
    #[error("HTTP/1.0 is not served")]
    Http10,
    /// A status that is none.
    #[error("the status is not three digits from 100 to 599")]
    Status,
    /// The request target is malformed, or has a fragment.
    #[error(transparent)]
    Target(#[from] BadTarget),
    /// A header line continues the one before (`obs-fold`).
    #[error("a header line begins with white space")]
    Folded,
    /// A header line has no colon, or a name that is not a token.
    #[error("the name of a header is not a token directly before a colon")]
    Name,
    /// A header name has an underscore, and [`Underscores::Reject`](super::Underscores::Reject) is set.
    #[error("the name of a header has an underscore")]
    Underscore,
    /// A header value has a control character.
    #[error("the value of a header has a control character")]
    Value,
    /// A request has no `Host`.
    #[error("there is no host")]
    NoHost,
    /// A request has more than one `Host`.
    #[error("there is more than one host")]
    DuplicateHost,
    /// The `Host` is malformed.
    #[error("the host is malformed: {0}")]
    Host(#[from] BadHost),
    /// `Host` and the authority of the request differ.
    #[error("there are two different hosts")]
    HostMismatch,
    /// `Content-Length` is not a number.
    #[error("the content length is not a decimal number of 64 bits")]
    Length,
    /// There is more than one `Content-Length`.
    #[error("there is more than one content length")]
    DuplicateLength,
    /// There are `Content-Length` and `Transfer-Encoding`.
    #[error("there are both a content length and a transfer coding")]
    LengthAndCoding,
    /// `Transfer-Encoding` is unknown, is empty, or does not end with one `chunked`.
    #[error("the transfer coding is not chunked")]
    Coding,
    /// A transfer coding that HTTP has and that is not served.
    #[error("a transfer coding besides chunked")]
    UnservedCoding,
    /// `Transfer-Encoding` where the version has none.
    #[error("a transfer coding in a version that has none")]
    CodingNotAllowed,
    /// A body where there cannot be one, such as with `CONNECT`.
    #[error("a body where there is none")]
    UnexpectedBody,
    /// A chunk's size or end is malformed, or its extensions are too long.
    #[error("a chunk of the body is malformed")]
    Chunk,
    /// `Connection` names a header that it must not remove, or is not a list of names.
    #[error("the connection header names what it must not")]
    ConnectionOption,
    /// HTTP/2 has no such header, or not with this value (RFC 9113 §8.2.2).
    #[error("a header that belongs to HTTP/1 connections")]
    ConnectionSpecific,
    /// An expectation other than `100-continue`.
    #[error("an expectation that is not known")]
    Expectation,
    /// An upgrade to a protocol that is not allowed.
    #[error("an upgrade that is not allowed")]
    Upgrade,
    /// An answer `101` to a request that did not ask for it.
    #[error("protocols are switched without having been asked")]
    UnexpectedSwitch,
}

impl BadHead {
    /// The status to answer a request with that has this fault.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLong { .. } | Self::TooManyLines { .. } => 431,
            Self::UnservedCoding => 501,
            Self::Version => 505,
            Self::Http10 => 426,
            Self::Expectation => 417,
            Self::Upgrade => 403,
            Self::Target(target) => target.status(),
            _ => 400,
        }
    }
}
