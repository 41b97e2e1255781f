//! What must be right about the head of an HTTP message before it is forwarded.
//!
//! Two readers of the same bytes must not see two different messages: what is ambiguous is refused,
//! not repaired. All of it is pure; nothing here reads from a connection.
//!
//! | | |
//! |---|---|
//! | [`RequestStream`] | the bytes of an HTTP/1 connection: which of them may be read on |
//! | [`check`], [`check_response`] | one HTTP/1 head, and how its body is framed |
//! | [`ChunkedBody`] | where a chunked body ends |
//! | [`admit`], [`clean_response`] | a parsed head, of HTTP/1 or HTTP/2, made ready to be forwarded |
//! | [`Edge`] | headers that are added, and those that only proxies may send |
//! | [`for_http1`], [`for_http2`], [`clean_trailers`] | what differs between the versions |
//!
//! Sources: RFC 9110 §7.6 and §10.1, RFC 9112 §2 to §7, RFC 9113 §8.

mod admit;
mod bad_head;
mod bridge;
mod chunked;
mod connection;
mod edge;
mod fields;
mod framing;
mod lines;
mod request_head;
mod response_head;
mod rules;
mod stream;
mod syntax;
#[cfg(test)]
mod tests;
mod trailers;

pub use admit::{Admitted, admit, clean_response};
pub use bad_head::BadHead;
pub use bridge::{for_http1, for_http2};
pub use chunked::ChunkedBody;
pub use edge::Edge;
pub use framing::{Body, Framing, Version};
pub use request_head::check;
pub use response_head::check_response;
#[cfg(feature = "serve")]
pub(crate) use rules::DEFAULT_LINES;
pub use rules::{AbsoluteForm, HygieneRules, Methods, Underscores};
pub use stream::{Expects, RequestStream};
pub use trailers::clean_trailers;
