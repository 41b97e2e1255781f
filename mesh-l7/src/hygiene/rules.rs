//! What is a matter of choice.

use http::HeaderName;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING};

/// Header lines of a head, unless set otherwise. What the HTTP/1 library has by itself.
pub(crate) const DEFAULT_LINES: usize = 100;

/// What is a matter of choice about heads.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain switches, each with a default"
)]
pub struct HygieneRules {
    /// Bytes of a head, with its empty line. Default 60 KiB.
    pub head_bytes: usize,
    /// Header lines of a head. Default 100.
    pub lines: usize,
    /// Bytes of extensions in one chunked body, and of its trailers. Default 16 KiB each.
    pub chunk_bytes: usize,
    /// Whether HTTP/1.0 is served. Default yes; its connections are closed after one request.
    pub http10: bool,
    /// Which methods are served. Default [`Methods::Token`].
    pub methods: Methods,
    /// What becomes of header names with `_`. Default [`Underscores::Keep`].
    pub underscores: Underscores,
    /// What becomes of a `Host` that differs from the URI. Default [`AbsoluteForm::Wins`].
    pub absolute_form: AbsoluteForm,
    /// Protocols that a request may upgrade to, in lower case. Default `websocket`.
    pub upgrades: Vec<Box<str>>,
    /// Headers that `Connection` must not name. Default: those that frame, route, authenticate or
    /// trace a request.
    pub protected: Vec<HeaderName>,
}

/// Which methods are served.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do")]
pub enum Methods {
    /// All that have the syntax of one.
    Token,
    /// Those of RFC 9110 §9 and `PATCH`.
    Standard,
}

/// What becomes of headers with `_` in their names, which some servers read as `-`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do")]
pub enum Underscores {
    /// They stay.
    Keep,
    /// They are removed.
    Drop,
    /// The request is refused.
    Reject,
}

/// What becomes of a request whose target is a URI and whose `Host` differs from it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else to do")]
pub enum AbsoluteForm {
    /// The URI counts, and `Host` becomes what it says (RFC 9112 §3.2.2).
    Wins,
    /// The request is refused.
    MustAgree,
}

impl Default for HygieneRules {
    fn default() -> Self {
        let named = |name| HeaderName::from_static(name);
        Self {
            head_bytes: 60 * 1024,
            lines: DEFAULT_LINES,
            chunk_bytes: 16 * 1024,
            http10: true,
            methods: Methods::Token,
            underscores: Underscores::Keep,
            absolute_form: AbsoluteForm::Wins,
            upgrades: vec!["websocket".into()],
            protected: vec![
                HOST,
                CONTENT_LENGTH,
                TRANSFER_ENCODING,
                AUTHORIZATION,
                COOKIE,
                CACHE_CONTROL,
                named("x-forwarded-for"),
                named("x-forwarded-host"),
                named("x-forwarded-proto"),
                named("x-forwarded-client-cert"),
                named("x-request-id"),
                named("x-real-ip"),
                named("forwarded"),
                named("traceparent"),
                named("tracestate"),
                named("baggage"),
            ],
        }
    }
}
