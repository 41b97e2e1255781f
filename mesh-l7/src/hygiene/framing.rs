//! How long a message is.

/// What is known of an HTTP/1 message once its head has been checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Framing {
    /// The version in the first line.
    pub version: Version,
    /// How its body is framed.
    pub body: Body,
    /// Whether another message may follow on the connection.
    pub keep_alive: bool,
    /// Whether the connection may become a tunnel after this message: `CONNECT`, an upgrade that is
    /// allowed, or an answer 101.
    pub switches: bool,
}

/// A version of HTTP/1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How the body of a message is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "HTTP/1 has these")]
pub enum Body {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// In chunks; see [`ChunkedBody`](super::ChunkedBody).
    Chunked,
    /// Until the connection is closed. Responses only.
    UntilClose,
}
