//! Frames as they are on the wire (RFC 9113 §4.1, §6).

use bytes::{BufMut, BytesMut};

use super::reason::Reason;

/// What a client says first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const WITH_PRIORITY: u8 = 0x20;

/// The largest window, and the largest stream identifier (RFC 9113 §5.1.1, §6.9.1).
pub(super) const MAX: u32 = (1 << 31) - 1;

/// The largest frame that a peer takes without having said so (RFC 9113 §4.2).
pub(super) const DEFAULT_FRAME_SIZE: u32 = 16_384;

/// The window of a stream or connection before anything is said about it (RFC 9113 §6.9.2).
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

/// Bytes before the payload.
pub(super) const HEAD: usize = 9;

/// What stands before the payload of a frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    /// Bytes of the payload.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0 for the connection.
    pub(super) stream: u32,
}

impl Head {
    pub(super) const fn parse(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & MAX,
        }
    }

    pub(super) const fn bytes(self) -> [u8; HEAD] {
        let [_, a, b, c] = self.length.to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

fn put(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(MAX);
    out.put_slice(
        &Head {
            length,
            kind,
            flags,
            stream,
        }
        .bytes(),
    );
    out.put_slice(payload);
}

pub(super) fn put_settings(out: &mut BytesMut, values: &[(u16, u32)]) {
    let mut payload = BytesMut::with_capacity(6 * values.len());
    for (name, value) in values {
        payload.put_u16(*name);
        payload.put_u32(*value);
    }
    put(out, SETTINGS, 0, 0, &payload);
}

pub(super) fn put_settings_ack(out: &mut BytesMut) {
    put(out, SETTINGS, ACK, 0, &[]);
}

pub(super) fn put_ping(out: &mut BytesMut, flags: u8, payload: [u8; 8]) {
    put(out, PING, flags, 0, &payload);
}

pub(super) fn put_reset(out: &mut BytesMut, stream: u32, reason: Reason) {
    put(out, RST_STREAM, 0, stream, &reason.code().to_be_bytes());
}

pub(super) fn put_window_update(out: &mut BytesMut, stream: u32, bytes: u32) {
    put(out, WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
}

pub(super) fn put_go_away(out: &mut BytesMut, last: u32, reason: Reason) {
    let mut payload = [0; 8];
    let (stream, code) = payload.split_at_mut(4);
    stream.copy_from_slice(&last.to_be_bytes());
    code.copy_from_slice(&reason.code().to_be_bytes());
    put(out, GOAWAY, 0, 0, &payload);
}

/// A header block, in as many frames as the peer's limit asks for.
pub(super) fn put_block(
    out: &mut BytesMut,
    stream: u32,
    block: &[u8],
    end_stream: bool,
    limit: u32,
) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
    let mut rest = block;
    let mut kind = HEADERS;
    let mut flags = if end_stream { END_STREAM } else { 0 };
    loop {
        let (now, later) = rest.split_at(rest.len().min(limit));
        let last = if later.is_empty() { END_HEADERS } else { 0 };
        put(out, kind, flags | last, stream, now);
        if later.is_empty() {
            return;
        }
        (rest, kind, flags) = (later, CONTINUATION, 0);
    }
}

/// Four bytes as a number.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_nine_bytes_and_the_reserved_bit_is_ignored() {
        let bytes = [0, 1, 2, DATA, END_STREAM, 0x80, 0, 0, 3];
        let head = Head::parse(bytes);
        assert_eq!(
            head,
            Head {
                length: 258,
                kind: DATA,
                flags: END_STREAM,
                stream: 3
            }
        );
        assert_eq!(head.bytes(), [0, 1, 2, 0, 1, 0, 0, 0, 3]);
    }

    #[test]
    fn a_block_larger_than_the_limit_continues() {
        let mut out = BytesMut::new();
        put_block(&mut out, 5, &[7; 25], true, 10);
        let heads: Vec<_> = [0, 19, 38]
            .map(|at| Head::parse(out[at..at + 9].try_into().unwrap()))
            .to_vec();
        let head = |kind, flags, length| Head {
            length,
            kind,
            flags,
            stream: 5,
        };
        assert_eq!(
            heads,
            [
                head(HEADERS, END_STREAM, 10),
                head(CONTINUATION, 0, 10),
                head(CONTINUATION, END_HEADERS, 5),
            ]
        );
        assert_eq!(out.len(), 3 * HEAD + 25);
        let mut out = BytesMut::new();
        put_block(&mut out, 5, &[], false, 10);
        assert_eq!(out[..], head(HEADERS, END_HEADERS, 0).bytes());
    }

    #[test]
    fn goaway_has_the_last_stream_and_the_reason() {
        let mut out = BytesMut::new();
        put_go_away(&mut out, 7, Reason::CANCEL);
        assert_eq!(
            out[..],
            [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 8]
        );
    }
}
