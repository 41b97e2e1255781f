//! Bytes into frames. Payloads of DATA are passed on as they come; all others when they are complete.

use bytes::BytesMut;

use super::frame::{
    self, CONTINUATION, DATA, END_STREAM, GOAWAY, HEAD, HEADERS, Head, PADDED, PING, PREFACE,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use super::place::Stage;
use super::reason::{Broken, Reason};
use super::state::State;

/// Frames in a row that may carry nothing (CVE-2019-9518).
const MAX_EMPTY: u32 = 10_000;

/// The first `n` bytes, or all, and the rest.
fn split(input: &[u8], n: usize) -> (&[u8], &[u8]) {
    input.split_at(n.min(input.len()))
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl State {
    /// Takes bytes of the peer; how many were taken. Fewer than all when there is much to answer first.
    pub(super) fn receive(
        &mut self,
        input: &[u8],
        landing: &mut BytesMut,
    ) -> Result<usize, Broken> {
        let mut rest = input;
        while !rest.is_empty() && !self.is_choked() {
            rest = self.step(rest, landing)?;
        }
        Ok(input.len() - rest.len())
    }

    fn step<'a>(&mut self, input: &'a [u8], landing: &mut BytesMut) -> Result<&'a [u8], Broken> {
        match self.place.stage {
            Stage::Preface(at) => {
                let expected = PREFACE.get(at..).unwrap_or_default();
                let (now, rest) = split(input, expected.len());
                if !expected.starts_with(now) {
                    return Err(Broken::protocol("the peer does not speak HTTP/2"));
                }
                let at = at + now.len();
                self.place.stage = match at == PREFACE.len() {
                    true => Stage::Head,
                    false => Stage::Preface(at),
                };
                Ok(rest)
            }
            Stage::Head => self.read_head(input),
            Stage::PadLength => self.read_pad_length(input),
            Stage::Data {
                data,
                padding,
                wanted,
            } => {
                let (now, rest) = split(input, size(data));
                if wanted && !now.is_empty() {
                    self.deliver(self.place.frame.stream, now, landing);
                }
                let (skipped, rest) = split(rest, size(padding));
                let (data, padding) = (data - length(now), padding - length(skipped));
                self.place.stage = Stage::Data {
                    data,
                    padding,
                    wanted,
                };
                self.finish_data(data, padding, wanted)?;
                Ok(rest)
            }
            Stage::Whole => self.read_whole(input),
            Stage::Skip(left) => {
                let (skipped, rest) = split(input, size(left));
                let left = left - length(skipped);
                self.place.stage = if left == 0 {
                    Stage::Head
                } else {
                    Stage::Skip(left)
                };
                Ok(rest)
            }
        }
    }

    fn read_head<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Broken> {
        let partial = &mut self.place.partial;
        let (now, rest) = split(input, HEAD - partial.len());
        let head = match <[u8; HEAD]>::try_from(now) {
            Ok(head) => head,
            Err(_) => {
                partial.extend_from_slice(now);
                let Ok(head) = <[u8; HEAD]>::try_from(&partial[..]) else {
                    return Ok(rest);
                };
                *partial = BytesMut::new();
                head
            }
        };
        let head = Head::parse(head);
        self.place.frame = head;
        self.begin(head)?;
        if head.length == 0 && self.place.stage == Stage::Whole {
            self.place.stage = Stage::Head;
            self.handle(head, &[])?;
        }
        Ok(rest)
    }

    /// What kind of frame comes, and what is wrong with it already.
    fn begin(&mut self, head: Head) -> Result<(), Broken> {
        if head.length > self.local.frame_size {
            return Err(Broken::size("a frame larger than allowed"));
        }
        // A server that is about to end may say so instead.
        let leave = head.kind == GOAWAY && !self.is_server();
        if !self.settled && !leave && (head.kind != SETTINGS || head.has(frame::ACK)) {
            return Err(Broken::protocol("the first frame is not SETTINGS"));
        }
        if let Some(block) = &self.place.block
            && (head.kind != CONTINUATION || head.stream != block.stream)
        {
            return Err(Broken::protocol("a frame in the middle of a header block"));
        }
        let fixed = match head.kind {
            PING => Some(8),
            RST_STREAM | WINDOW_UPDATE => Some(4),
            _ => None,
        };
        if fixed.is_some_and(|fixed| fixed != head.length) || head.kind == GOAWAY && head.length < 8
        {
            return Err(Broken::size("a frame of a wrong size"));
        }
        self.place.stage = match head.kind {
            DATA => return self.begin_data(head),
            HEADERS | CONTINUATION | RST_STREAM | SETTINGS | PING | GOAWAY | WINDOW_UPDATE => {
                Stage::Whole
            }
            PUSH_PROMISE => return Err(Broken::protocol("PUSH_PROMISE, which nobody allowed")),
            // PRIORITY, and what later documents define (RFC 9113 §5.3.2, §5.5).
            _ if head.length == 0 => Stage::Head,
            _ => Stage::Skip(head.length),
        };
        Ok(())
    }

    fn begin_data(&mut self, head: Head) -> Result<(), Broken> {
        let wanted = self.admit_data(head)?;
        if head.length == 0 && !head.has(END_STREAM) {
            self.empty += 1;
            if self.empty > MAX_EMPTY {
                return Err(Broken::calm("too many frames that carry nothing"));
            }
        }
        if head.has(PADDED) {
            if head.length == 0 {
                return Err(Broken::protocol("padding without a length"));
            }
            self.place.stage = Stage::PadLength;
            if !wanted {
                self.place.stage = Stage::Skip(head.length);
            }
            return Ok(());
        }
        self.place.stage = Stage::Data {
            data: head.length,
            padding: 0,
            wanted,
        };
        self.finish_data(head.length, 0, wanted)
    }

    fn read_pad_length<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Broken> {
        let Some((padding, rest)) = input.split_first() else {
            return Ok(input);
        };
        let head = self.place.frame;
        let padding = u32::from(*padding);
        let Some(data) = (head.length - 1).checked_sub(padding) else {
            return Err(Broken::protocol("more padding than the frame is long"));
        };
        // Padding is dealt with as soon as it is there.
        self.release(head.stream, padding + 1);
        if data == 0 && !head.has(END_STREAM) {
            self.empty += 1;
            if self.empty > MAX_EMPTY {
                return Err(Broken::calm("too many frames that carry nothing"));
            }
        }
        self.place.stage = Stage::Data {
            data,
            padding,
            wanted: true,
        };
        self.finish_data(data, padding, true)?;
        Ok(rest)
    }

    fn finish_data(&mut self, data: u32, padding: u32, wanted: bool) -> Result<(), Broken> {
        if data > 0 || padding > 0 {
            return Ok(());
        }
        self.place.stage = Stage::Head;
        let head = self.place.frame;
        if wanted && head.has(END_STREAM) {
            self.receive_end(head.stream);
        }
        Ok(())
    }

    fn read_whole<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Broken> {
        let head = self.place.frame;
        let (now, rest) = split(input, size(head.length) - self.place.partial.len());
        if self.place.partial.is_empty() && now.len() == size(head.length) {
            self.place.stage = Stage::Head;
            self.handle(head, now)?;
            return Ok(rest);
        }
        self.place.partial.extend_from_slice(now);
        if self.place.partial.len() == size(head.length) {
            let payload = std::mem::take(&mut self.place.partial);
            self.place.stage = Stage::Head;
            self.handle(head, &payload)?;
        }
        Ok(rest)
    }

    fn handle(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        match head.kind {
            HEADERS => self.receive_headers(head, payload),
            CONTINUATION => self.receive_continuation(head, payload),
            SETTINGS => self.receive_settings(head, payload),
            PING => self.receive_ping(head, payload),
            RST_STREAM => {
                self.receive_reset(head, Reason::new(frame::number(payload).unwrap_or(0)))
            }
            WINDOW_UPDATE => {
                self.receive_window(head, frame::number(payload).unwrap_or(0) & frame::MAX)
            }
            GOAWAY => self.receive_go_away(head, payload),
            _ => Ok(()),
        }
    }
}
