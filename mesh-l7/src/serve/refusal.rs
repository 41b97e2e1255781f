//! Requests that are answered where they arrive, as records have them.

use std::time::Instant;

use http::Response;
use http::request::Parts;
use http_body::Body as _;
use mesh_core::target::BadTarget;

use super::arrival::Arrival;
use super::fault::Fault;
use super::refused::Refused;
use crate::body::Body;
use crate::hygiene::BadHead;
use crate::record::{Entry, Flags, RequestHead};

/// Tells the observer about a request that is refused with a body of so many bytes, as far as its head was read.
pub(super) fn tell(arrival: &Arrival, head: Option<RequestHead>, fault: &Fault, words: u64) {
    let Some(observer) = &arrival.settings.refusals else {
        return;
    };
    let start = Instant::now();
    let mut entry = Entry::new(start);
    entry.downstream = Some(arrival.downstream.clone());
    entry.request = head;
    entry.status = Some(fault.status());
    entry.response_bytes = words;
    (entry.flags, entry.detail) = said(fault);
    entry.ended = Some(start.elapsed());
    observer.ended(&mut entry);
}

/// The answer to a request whose head was read and is refused, and what is told of it.
pub(super) fn answer(arrival: &Arrival, parts: &Parts, refused: &Refused) -> Response<Body> {
    let response = refused.response();
    if arrival.settings.refusals.is_some() {
        let head = RequestHead::of_parts(parts);
        let length = response.body().size_hint().lower();
        tell(arrival, Some(head), &refused.fault(), length);
    }
    response
}

/// Flags and details. What only the bytes of a connection say has the flag of a protocol error.
///
/// Source: Envoy's response code details of its HTTP/1 codec and of its connection manager.
pub(super) fn said(fault: &Fault) -> (Flags, &'static str) {
    let fault = match fault {
        Fault::Timeout => return (Flags::NONE, "request_header_timeout"),
        Fault::Request(fault) => fault,
    };
    let detail = match fault {
        BadHead::TooLong { .. } => "http1.headers_too_large",
        BadHead::TooManyLines { .. } => "http1.too_many_headers",
        BadHead::Value => "http1.invalid_characters",
        BadHead::Underscore => "http1.unexpected_underscore",
        BadHead::ConnectionOption => "http1.connection_header_rejected",
        BadHead::LengthAndCoding => "http1.content_length_and_chunked_not_allowed",
        BadHead::Coding | BadHead::UnservedCoding => "http1.invalid_transfer_encoding",
        BadHead::CodingNotAllowed => "http1.transfer_encoding_not_allowed",
        BadHead::UnexpectedBody => "http1.body_disallowed",
        BadHead::Target(BadTarget::Form) => "http1.invalid_url",
        BadHead::ConnectionSpecific => "http2.violation.of.messaging.rule",
        // Those that are found in heads that could be read.
        BadHead::NoHost => return (Flags::NONE, "missing_host_header"),
        BadHead::Http10 => return (Flags::NONE, "low_version"),
        BadHead::Upgrade => return (Flags::NONE, "upgrade_failed"),
        BadHead::Target(_) => return (Flags::NONE, "path_normalization_failed"),
        _ => "http1.codec_error",
    };
    (Flags::CLIENT_PROTOCOL_ERROR, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names are those of Envoy's HTTP/1 codec and of its connection manager.
    #[test]
    fn faults_are_told_in_envoys_words() {
        let rows = [
            (BadHead::DuplicateHost, "DPE http1.codec_error"),
            (BadHead::DuplicateLength, "DPE http1.codec_error"),
            (BadHead::TooLong { limit: 9 }, "DPE http1.headers_too_large"),
            (
                BadHead::TooManyLines { limit: 9 },
                "DPE http1.too_many_headers",
            ),
            (BadHead::Value, "DPE http1.invalid_characters"),
            (
                BadHead::ConnectionOption,
                "DPE http1.connection_header_rejected",
            ),
            (BadHead::NoHost, "- missing_host_header"),
            (BadHead::Http10, "- low_version"),
            (BadHead::Upgrade, "- upgrade_failed"),
            (BadHead::Target(BadTarget::Form), "DPE http1.invalid_url"),
            (
                BadHead::Target(BadTarget::EscapedSlash),
                "- path_normalization_failed",
            ),
        ];
        for (fault, expected) in rows {
            let (flags, detail) = said(&Fault::Request(fault));
            assert_eq!(format!("{flags} {detail}"), expected);
        }
        let (flags, detail) = said(&Fault::Timeout);
        assert_eq!((flags, detail), (Flags::NONE, "request_header_timeout"));
    }
}
