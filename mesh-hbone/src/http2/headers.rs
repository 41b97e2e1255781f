//! Header blocks: requests that a server receives, answers that a client receives, and the end of either.

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use super::frame::{END_HEADERS, END_STREAM, Head, PADDED, WITH_PRIORITY};
use super::hpack::encode;
use super::message::{Fields, Message};
use super::place::Block;
use super::reason::{Broken, Reason};
use super::state::{Opened, State};
use super::stream::Stream;

/// Frames that a header block may be in: enough for the largest list in frames of the usual size, and no flood of
/// frames that are empty (CVE-2024-27316).
const MAX_FRAMES: u32 = 128;

/// Bytes of a block beyond those of the largest header list: what encoders may waste.
const SLACK: u32 = 16 * 1024;

/// The payload without padding and priority (RFC 9113 §6.2).
fn fragment(head: Head, mut payload: &[u8]) -> Option<&[u8]> {
    if head.has(PADDED) {
        let (padding, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    }
    if head.has(WITH_PRIORITY) {
        payload = payload.get(5..)?;
    }
    Some(payload)
}

impl State {
    pub(super) fn receive_headers(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        let id = head.stream;
        let own = id % 2 == 1;
        if id == 0 || !own || !self.is_server() && self.is_idle(id) {
            return Err(Broken::protocol("HEADERS on a stream that cannot be"));
        }
        let Some(bytes) = fragment(head, payload) else {
            return Err(Broken::protocol("more padding than the frame is long"));
        };
        let end_stream = head.has(END_STREAM);
        if head.has(END_HEADERS) {
            return self.receive_block(id, end_stream, bytes);
        }
        let block = Block {
            stream: id,
            end_stream,
            bytes: BytesMut::new(),
            frames: 0,
        };
        self.place.block = Some(Box::new(block));
        self.grow_block(bytes)
    }

    pub(super) fn receive_continuation(
        &mut self,
        head: Head,
        payload: &[u8],
    ) -> Result<(), Broken> {
        if self.place.block.is_none() {
            return Err(Broken::protocol("CONTINUATION without HEADERS"));
        }
        self.grow_block(payload)?;
        if head.has(END_HEADERS)
            && let Some(block) = self.place.block.take()
        {
            return self.receive_block(block.stream, block.end_stream, &block.bytes);
        }
        Ok(())
    }

    fn grow_block(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let limit = self.local.header_list.saturating_add(SLACK);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(block) = &mut self.place.block {
            block.frames += 1;
            if block.frames > MAX_FRAMES || block.bytes.len() + bytes.len() > limit {
                return Err(Broken::calm("a header block without end"));
            }
            block.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn receive_block(&mut self, id: u32, end_stream: bool, block: &[u8]) -> Result<(), Broken> {
        let mut fields = Fields::new(self.local.header_list);
        // Whatever becomes of the message: both ends' tables have to stay the same.
        let decoded = self
            .decoder
            .decode(block, |name, value| fields.add(name, value));
        decoded.map_err(|_| Broken {
            reason: Reason::COMPRESSION_ERROR,
            what: "a header block that cannot be decoded",
        })?;
        self.empty = 0;
        if self.is_server() && id > self.last {
            return self.receive_request(id, end_stream, fields);
        }
        let server = self.is_server();
        let Some(stream) = self
            .streams
            .get_mut(&id)
            .filter(|stream| stream.fate.is_none())
        else {
            // Of a stream that was reset here, or that the peer was told is not served any more.
            let late = self.streams.contains_key(&id) || self.resets.contains(&id);
            // A client may have reset more than it remembers.
            if late || id > self.served || !server {
                return Ok(());
            }
            return Err(Broken {
                reason: Reason::STREAM_CLOSED,
                what: "HEADERS on a stream that is closed",
            });
        };
        if stream.received_end {
            return self.fault(id, Reason::STREAM_CLOSED);
        }
        if server || stream.answered {
            // Trailers, which tunnels have no use for (RFC 9113 §8.1).
            if !end_stream {
                return self.fault(id, Reason::PROTOCOL_ERROR);
            }
            self.receive_end(id);
            return Ok(());
        }
        self.receive_answer(id, end_stream, fields)
    }

    fn receive_answer(&mut self, id: u32, end_stream: bool, fields: Fields) -> Result<(), Broken> {
        let Message::Well(answer) = fields.into_answer() else {
            return self.fault(id, Reason::PROTOCOL_ERROR);
        };
        if answer.status.is_informational() {
            // Passed over (RFC 9110 §15.2); it cannot be the end.
            return match end_stream {
                true => self.fault(id, Reason::PROTOCOL_ERROR),
                false => Ok(()),
            };
        }
        self.faults = self.faults.saturating_sub(1);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.answered = true;
            stream.answer = Some(Box::new(answer));
            stream.wake_reader();
        }
        if end_stream {
            self.receive_end(id);
        }
        Ok(())
    }

    fn receive_request(&mut self, id: u32, end_stream: bool, fields: Fields) -> Result<(), Broken> {
        self.last = id;
        if id > self.served {
            // It crossed our last word; the peer knows that it is not served (§6.8).
            return Ok(());
        }
        let allowed = self.local.streams.unwrap_or(0);
        if self.active >= usize::try_from(allowed).unwrap_or(usize::MAX) {
            super::frame::put_reset(&mut self.control, id, Reason::REFUSED_STREAM);
            self.remember_reset(id);
            self.call();
            return Ok(());
        }
        let message = fields.into_request();
        if let Message::Malformed = message {
            return self.fault(id, Reason::PROTOCOL_ERROR);
        }
        let mut stream = Box::new(Stream::new(self.local.window, self.remote.window));
        stream.counted = true;
        stream.received_end = end_stream;
        self.active += 1;
        if let Message::Well(request) = message {
            stream.unseen = true;
            self.streams.insert(id, stream);
            self.requests.push_back(Opened { id, request });
        } else {
            self.streams.insert(id, stream);
            let too_large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            self.respond(id, too_large, &HeaderMap::new(), true);
            self.let_go(id);
        }
        Ok(())
    }

    /// Queues the answer to a request. Does nothing when its stream is gone.
    pub(super) fn respond(&mut self, id: u32, status: StatusCode, headers: &HeaderMap, end: bool) {
        let Some(stream) = self
            .streams
            .get_mut(&id)
            .filter(|stream| stream.fate.is_none())
        else {
            return;
        };
        stream.answered = true;
        if status.is_success() {
            // A peer pays for an error with a request that came to something: what it resets at once does not.
            self.faults = self.faults.saturating_sub(1);
        }
        if end {
            stream.end_wanted = true;
            stream.end_sent = true;
        }
        let mut block = BytesMut::with_capacity(64);
        encode::status(&mut block, status.as_u16());
        put_fields(&mut block, headers);
        self.put_headers(id, &block, end);
        self.settle(id);
    }
}

/// Adds header fields to a block.
pub(super) fn put_fields(block: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        encode::field(
            block,
            name.as_str().as_bytes(),
            value.as_bytes(),
            value.is_sensitive(),
        );
    }
}
