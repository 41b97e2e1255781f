//! What is told of gRPC: whether a request is one, how many messages there are, how it ended.
//!
//! Source: the gRPC over HTTP2 protocol, and gRPC's mapping of HTTP statuses.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, StatusCode};

use crate::record::{Entry, Flags};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const PERMISSION_DENIED: u32 = 7;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// Whether a request is one of gRPC; gRPC-Web is not.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .map_or(&[][..], |of| of.as_bytes());
    let rest = kind.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// The status in trailers, or in the head of a response that is nothing else.
pub(super) fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// The status that a gRPC request ended with, where it or its lack says one.
pub(super) fn final_status(entry: &Entry) -> Option<u32> {
    if !entry.grpc {
        return None;
    }
    let gone = entry.flags.contains(Flags::CLIENT_GONE);
    let without = || match entry.status {
        _ if gone => CANCELLED,
        Some(status) => of_http(status),
        None => UNAVAILABLE,
    };
    Some(entry.grpc_status.unwrap_or_else(without))
}

/// What an HTTP status means where there is no status of gRPC.
fn of_http(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// Counts the messages of a body, without copying it: each has a flag and a length of four bytes in front.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    /// Bytes of the next message's flag and length that have come.
    seen: u8,
    /// The length as far as it has come.
    length: u32,
    /// Bytes of the present message that are to come.
    left: usize,
    count: u64,
}

impl Messages {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The next bytes of the body.
    pub(super) fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let skipped = self.left.min(data.len());
            self.left -= skipped;
            data = data.get(skipped..).unwrap_or_default();
            let Some((byte, rest)) = data.split_first() else {
                return;
            };
            data = rest;
            if self.seen > 0 {
                self.length = self.length << 8 | u32::from(*byte);
            }
            self.seen += 1;
            if self.seen == 5 {
                self.count += 1;
                self.left = usize::try_from(self.length).unwrap_or(usize::MAX);
                (self.seen, self.length) = (0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn requests_of_grpc_are_told_by_their_content_type() {
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            assert_eq!(is_grpc(&headers), grpc, "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        // Messages of 0, 3 and 300 bytes.
        let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 7, 7, 7, 0, 0, 0, 1, 44];
        bytes.extend([5; 300]);
        for size in [1, 2, 3, 5, 7, 100, 1000] {
            let mut messages = Messages::default();
            for part in bytes.chunks(size) {
                messages.push(part);
            }
            assert_eq!(messages.count(), 3, "in parts of {size}");
        }
        let mut cut = Messages::default();
        cut.push(&bytes[..9]);
        assert_eq!(cut.count(), 1, "the second one's length has not come");
    }

    #[test]
    fn a_request_without_a_status_of_grpc_has_one_by_http() {
        // gRPC's "HTTP to gRPC status code mapping", and 499-like ends.
        let cases = [
            (Some(400), 13),
            (Some(401), 16),
            (Some(403), 7),
            (Some(404), 12),
            (Some(429), 14),
            (Some(502), 14),
            (Some(503), 14),
            (Some(504), 14),
            (Some(200), 2),
            (Some(500), 2),
            (None, 14),
        ];
        for (http, grpc) in cases {
            let mut entry = Entry::new(Instant::now());
            entry.status = http.map(|status| StatusCode::from_u16(status).unwrap());
            assert_eq!(final_status(&entry), None, "not gRPC");
            entry.grpc = true;
            assert_eq!(final_status(&entry), Some(grpc), "{http:?}");
            entry.grpc_status = Some(0);
            assert_eq!(final_status(&entry), Some(0), "{http:?}");
        }
        let mut gone = Entry::new(Instant::now());
        (gone.grpc, gone.flags) = (true, Flags::CLIENT_GONE);
        assert_eq!(final_status(&gone), Some(1));
    }
}
