//! What the peer's frames mean.

use bytes::BytesMut;

use super::frame::{self, Head};
use super::reason::{Broken, Reason};
use super::state::{Leave, PING_ALIVE, PING_LEAVE, State};
use super::stream::Fate;

/// Requests that a peer may reset before anybody has looked at them (CVE-2023-44487).
const MAX_EARLY_RESETS: usize = 20;

/// The part of the connection's window after which the peer is told that it has it again.
const CREDIT: u32 = 1 << 30;

impl State {
    /// Whether the bytes of a DATA frame that begins are wanted. Takes them off the windows.
    pub(super) fn admit_data(&mut self, head: Head) -> Result<bool, Broken> {
        let id = head.stream;
        if id == 0 {
            return Err(Broken::protocol("DATA on stream 0"));
        }
        // Nothing that is not bounded by the window of its stream is ever held, so the connection's has no other
        // purpose than to be told again.
        self.window_in -= i64::from(head.length);
        if self.window_in < 0 {
            return Err(Broken::flow("more than the connection's window"));
        }
        self.credit += head.length;
        if self.credit >= CREDIT {
            frame::put_window_update(&mut self.control, 0, self.credit);
            self.window_in += i64::from(self.credit);
            self.credit = 0;
            self.call();
        }
        if self.is_idle(id) {
            return Err(Broken::protocol("DATA on a stream that is not open"));
        }
        let server = self.is_server();
        let Some(stream) = self.streams.get_mut(&id) else {
            if !self.resets.contains(&id) && id <= self.last_served() {
                self.fault(id, Reason::STREAM_CLOSED)?;
            }
            return Ok(false);
        };
        let error = if stream.fate.is_some() {
            return Ok(false);
        } else if stream.received_end {
            Reason::STREAM_CLOSED
        } else if !server && !stream.answered {
            Reason::PROTOCOL_ERROR
        } else if i64::from(head.length) > stream.window_in {
            Reason::FLOW_CONTROL_ERROR
        } else {
            stream.window_in -= i64::from(head.length);
            return Ok(true);
        };
        self.fault(id, error)?;
        Ok(false)
    }

    /// The highest stream whose frames are looked at.
    fn last_served(&self) -> u32 {
        if self.is_server() {
            self.served
        } else {
            frame::MAX
        }
    }

    /// Bytes for a stream.
    pub(super) fn deliver(&mut self, id: u32, bytes: &[u8], landing: &mut BytesMut) {
        self.empty = 0;
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.held
            && stream.fate.is_none()
        {
            stream.received.push(bytes, landing);
            stream.wake_reader();
        }
    }

    /// The peer has ended its side of a stream.
    pub(super) fn receive_end(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.received_end = true;
            stream.wake_reader();
            self.settle(id);
        }
    }

    /// Bytes of a stream were dealt with: when it is worth a frame, the peer learns that it may send as many more.
    pub(super) fn release(&mut self, id: u32, bytes: u32) {
        let half = (self.local.window / 2).max(1);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // Whatever the caller says, the window does not grow.
        let taken = i64::from(self.local.window) - stream.window_in;
        let taken = u32::try_from(taken).unwrap_or(0);
        stream.credit = stream.credit.saturating_add(bytes).min(taken);
        if stream.credit < half || stream.received_end || stream.fate.is_some() {
            return;
        }
        let credit = std::mem::take(&mut stream.credit);
        stream.window_in += i64::from(credit);
        frame::put_window_update(&mut self.control, id, credit);
        self.call();
    }

    pub(super) fn receive_settings(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(Broken::protocol("SETTINGS on a stream"));
        }
        if head.has(frame::ACK) {
            if !payload.is_empty() {
                return Err(Broken::size("SETTINGS that say something and acknowledge"));
            }
            // Ours hold from now on; all that matters here is that the peer's blocks need no table.
            self.decoder.set_limit(0);
            return Ok(());
        }
        let before = self.remote;
        self.remote = before.after(payload, !self.settled, self.is_server())?;
        self.settled = true;
        if self.remote.header_table < before.header_table {
            self.table_update = true;
        }
        let change = i64::from(self.remote.window) - i64::from(before.window);
        if change != 0 {
            for stream in self.streams.values_mut() {
                stream.window_out += change;
                if stream.window_out > i64::from(frame::MAX) {
                    return Err(Broken::flow("a window beyond 2^31-1"));
                }
                if change > 0 {
                    stream.wake_writer();
                }
            }
        }
        frame::put_settings_ack(&mut self.control);
        self.admit();
        self.call();
        Ok(())
    }

    pub(super) fn receive_ping(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(Broken::protocol("PING on a stream"));
        }
        let payload =
            <[u8; 8]>::try_from(payload).map_err(|_| Broken::size("a PING of a wrong size"))?;
        if !head.has(frame::ACK) {
            frame::put_ping(&mut self.control, frame::ACK, payload);
            self.call();
        } else if payload == PING_ALIVE {
            self.alive = true;
        } else if payload == PING_LEAVE && self.leave == Leave::Announced {
            // Whatever crossed our first word is here by now (RFC 9113 §6.8).
            self.leave = Leave::Final;
            self.served = self.last;
            frame::put_go_away(&mut self.control, self.last, Reason::NO_ERROR);
            self.call();
        }
        Ok(())
    }

    pub(super) fn receive_reset(&mut self, head: Head, reason: Reason) -> Result<(), Broken> {
        let id = head.stream;
        if self.is_idle(id) {
            return Err(Broken::protocol("RST_STREAM on a stream that is not open"));
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        let early = stream.unseen;
        if !stream.is_closed() {
            stream.fate = Some(Fate::ResetByPeer(reason));
            self.abandon(id);
        }
        if early {
            self.withdraw(id)?;
        }
        self.settle(id);
        Ok(())
    }

    /// A request that nobody has looked at is reset, by its peer or because of it: nobody will (CVE-2023-44487,
    /// CVE-2025-8671).
    pub(super) fn withdraw(&mut self, id: u32) -> Result<(), Broken> {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.held = false;
            stream.unseen = false;
        }
        self.requests.retain(|opened| opened.id != id);
        self.early_resets += 1;
        if self.early_resets > MAX_EARLY_RESETS {
            return Err(Broken::calm("too many requests that are reset at once"));
        }
        Ok(())
    }

    pub(super) fn receive_window(&mut self, head: Head, bytes: u32) -> Result<(), Broken> {
        let id = head.stream;
        let most = i64::from(frame::MAX);
        if id == 0 {
            if bytes == 0 {
                return Err(Broken::protocol("WINDOW_UPDATE of 0"));
            }
            self.window_out += i64::from(bytes);
            if self.window_out > most {
                return Err(Broken::flow("a window beyond 2^31-1"));
            }
            self.unblock();
            return Ok(());
        }
        if self.is_idle(id) {
            return Err(Broken::protocol(
                "WINDOW_UPDATE on a stream that is not open",
            ));
        }
        let Some(stream) = self
            .streams
            .get_mut(&id)
            .filter(|stream| !stream.is_closed())
        else {
            return Ok(());
        };
        if bytes == 0 {
            return self.fault(id, Reason::PROTOCOL_ERROR);
        }
        stream.window_out += i64::from(bytes);
        if stream.window_out > most {
            return self.fault(id, Reason::FLOW_CONTROL_ERROR);
        }
        stream.wake_writer();
        Ok(())
    }

    pub(super) fn receive_go_away(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(Broken::protocol("GOAWAY on a stream"));
        }
        let (last, rest) = payload.split_at(payload.len().min(4));
        let last = frame::number(last).unwrap_or(0) & frame::MAX;
        let reason = Reason::new(rest.get(..4).and_then(frame::number).unwrap_or(0));
        // A later one may only take back more (§6.8).
        let last = self.going_away.map_or(last, |(before, _)| before.min(last));
        self.going_away = Some((last, reason));
        if !self.is_server() {
            let lost: Vec<u32> = self
                .streams
                .iter()
                .filter(|(id, stream)| (**id > last || stream.waiting) && !stream.is_closed())
                .map(|(id, _)| *id)
                .collect();
            self.waiting.clear();
            for id in lost {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.fate = Some(Fate::Unprocessed(reason));
                }
                self.abandon(id);
                self.settle(id);
            }
        }
        self.call();
        Ok(())
    }
}
