//! What both ends of a connection know of it: streams, windows, limits. No IO.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};

use super::frame::{self, DEFAULT_WINDOW, MAX, PREFACE};
use super::hpack::Decoder;
use super::message::Request;
use super::place::Place;
use super::reason::{Broken, Http2Error, Reason};
use super::settings::{Local, Remote};
use super::stream::{Fate, Stream};

/// Control frames that may wait for the socket. Nothing is read while more do: a peer that does not read answers is not
/// asked for more questions.
const CONTROL_LIMIT: usize = 16 * 1024;

/// Streams whose late frames are expected, because they were reset here.
const REMEMBERED_RESETS: usize = 256;

/// Errors of streams that the peer may cause, beyond one for each request that came to something.
const MAX_FAULTS: u32 = 1024;

/// What the first PING of a graceful end carries, and those that ask for a sign of life.
pub(super) const PING_LEAVE: [u8; 8] = *b"leaving.";
pub(super) const PING_ALIVE: [u8; 8] = *b"alive?..";

/// How far a server's graceful end is (RFC 9113 §6.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Leave {
    No,
    /// The peer knows; requests that were under way still count.
    Announced,
    /// No request counts any more.
    Final,
}

/// A request and its stream.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: u32,
    pub(super) request: Request,
}

/// One connection.
#[derive(Debug)]
pub(super) struct State {
    pub(super) local: Local,
    pub(super) remote: Remote,
    /// Whether the peer's SETTINGS have come.
    pub(super) settled: bool,
    pub(super) streams: HashMap<u32, Box<Stream>, BuildHasherDefault<Spread>>,
    /// Streams that count against the limit of the one who opens them.
    pub(super) active: usize,
    /// Clients: the next identifier.
    pub(super) next: u32,
    /// Servers: the highest identifier so far, and the highest that is still served.
    pub(super) last: u32,
    pub(super) served: u32,
    /// Requests that wait for the peer to allow them, oldest first, as header blocks.
    pub(super) waiting: VecDeque<(u32, Bytes)>,
    /// Requests that nobody has taken yet.
    pub(super) requests: VecDeque<Opened>,
    /// How many of those the peer has reset since they were last taken.
    pub(super) early_resets: usize,
    /// Frames to send before any DATA.
    pub(super) control: BytesMut,
    /// Streams that have something to send, in turn.
    pub(super) ready: VecDeque<u32>,
    /// Streams that wait for the window of the connection.
    pub(super) blocked: VecDeque<u32>,
    pub(super) window_out: i64,
    pub(super) window_in: i64,
    /// Bytes that were received since the peer was last told that it may send them again.
    pub(super) credit: u32,
    pub(super) place: Place,
    pub(super) decoder: Decoder,
    /// Whether the peer's decoder has to be told that no table is used (RFC 7541 §4.2).
    pub(super) table_update: bool,
    pub(super) resets: VecDeque<u32>,
    pub(super) faults: u32,
    /// Frames in a row that carried nothing.
    pub(super) empty: u32,
    pub(super) leave: Leave,
    /// Whether there shall be no new streams, and an end when there are none left.
    pub(super) leaving: bool,
    /// What the peer's GOAWAY said.
    pub(super) going_away: Option<(u32, Reason)>,
    /// Whether the question for a sign of life was answered.
    pub(super) alive: bool,
    pub(super) ended: Option<Http2Error>,
    driver: Option<Waker>,
    called: bool,
}

impl State {
    pub(super) fn client(local: Local, assumed_streams: u32) -> Self {
        let mut control = BytesMut::from(&PREFACE[..]);
        greet(&mut control, &local);
        Self::new(local, assumed_streams, control, Place::client())
    }

    pub(super) fn server(local: Local) -> Self {
        let mut control = BytesMut::new();
        greet(&mut control, &local);
        Self::new(local, 0, control, Place::server())
    }

    fn new(local: Local, streams: u32, control: BytesMut, place: Place) -> Self {
        Self {
            local,
            remote: Remote::new(streams),
            settled: false,
            streams: HashMap::default(),
            active: 0,
            next: 1,
            last: 0,
            served: MAX,
            waiting: VecDeque::new(),
            requests: VecDeque::new(),
            early_resets: 0,
            control,
            ready: VecDeque::new(),
            blocked: VecDeque::new(),
            window_out: DEFAULT_WINDOW.into(),
            window_in: MAX.into(),
            credit: 0,
            place,
            decoder: Decoder::new(),
            table_update: false,
            resets: VecDeque::new(),
            faults: 0,
            empty: 0,
            leave: Leave::No,
            leaving: false,
            going_away: None,
            alive: false,
            ended: None,
            driver: None,
            called: false,
        }
    }

    pub(super) fn is_server(&self) -> bool {
        self.local.streams.is_some()
    }

    /// Whether nothing shall be read before something was sent.
    pub(super) fn is_choked(&self) -> bool {
        self.control.len() > CONTROL_LIMIT
    }

    /// Whether there is nothing left to do but to close.
    pub(super) fn is_finished(&self) -> bool {
        let leaving = if self.is_server() {
            self.leave == Leave::Final || self.going_away.is_some()
        } else {
            self.leaving || self.going_away.is_some()
        };
        leaving && self.active == 0 && self.ready.is_empty() && self.control.is_empty()
    }

    /// The task that drives the connection is at work: it sees what is asked of it from now on.
    pub(super) fn attend(&mut self, cx: &Context<'_>) {
        self.called = false;
        match &self.driver {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.driver = Some(cx.waker().clone()),
        }
    }

    /// Calls that task, once.
    pub(super) fn call(&mut self) {
        if !self.called
            && let Some(driver) = &self.driver
        {
            self.called = true;
            driver.wake_by_ref();
        }
    }

    /// What befell a stream, or the connection under it.
    pub(super) fn failure(&self, stream: &Stream) -> Option<Http2Error> {
        stream
            .fate
            .map(Http2Error::from)
            .or_else(|| self.ended.clone())
    }

    /// Whether the peer may know a stream of this number.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        let own = id % 2 == 1;
        if self.is_server() {
            !own || id > self.last
        } else {
            !own || id >= self.next || self.streams.get(&id).is_some_and(|stream| stream.waiting)
        }
    }

    /// Takes note of what has become of a stream.
    pub(super) fn settle(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if !stream.is_closed() {
            return;
        }
        if stream.blocked {
            stream.blocked = false;
            self.blocked.retain(|other| *other != id);
        }
        if stream.counted {
            stream.counted = false;
            self.active = self.active.saturating_sub(1);
        }
        if !stream.held {
            self.streams.remove(&id);
            if self.streams.is_empty() {
                // An idle connection holds no table.
                self.streams = HashMap::default();
            }
        }
        self.admit();
        if self.active == 0 {
            // It may have been the last one.
            self.call();
        }
    }

    /// Sends requests that waited, as many as the peer allows now.
    pub(super) fn admit(&mut self) {
        let allowed = usize::try_from(self.remote.streams).unwrap_or(usize::MAX);
        while self.active < allowed
            && let Some((id, block)) = self.waiting.pop_front()
        {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.waiting = false;
            stream.counted = true;
            self.active += 1;
            self.put_headers(id, &block, false);
        }
    }

    /// Queues a header block.
    pub(super) fn put_headers(&mut self, id: u32, block: &[u8], end: bool) {
        let limit = self.remote.frame_size;
        if std::mem::take(&mut self.table_update) {
            let mut updated = BytesMut::with_capacity(block.len() + 1);
            super::hpack::encode::size_update_zero(&mut updated);
            updated.extend_from_slice(block);
            frame::put_block(&mut self.control, id, &updated, end, limit);
        } else {
            frame::put_block(&mut self.control, id, block, end, limit);
        }
        self.call();
    }

    /// Resets a stream here, at once. What it had to send is dropped.
    pub(super) fn reset(&mut self, id: u32, reason: Reason) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.is_closed() {
            return;
        }
        stream.fate = Some(Fate::ResetHere(reason));
        let waiting = std::mem::take(&mut stream.waiting);
        if waiting {
            self.waiting.retain(|(other, _)| *other != id);
        } else {
            frame::put_reset(&mut self.control, id, reason);
            self.remember_reset(id);
        }
        self.abandon(id);
        self.settle(id);
        self.call();
    }

    /// Late frames of a stream that was reset here are no mistake of the peer.
    pub(super) fn remember_reset(&mut self, id: u32) {
        if self.resets.len() == REMEMBERED_RESETS {
            self.resets.pop_front();
        }
        self.resets.push_back(id);
    }

    /// Drops what a stream that was reset had to send, and tells whoever waits for it.
    pub(super) fn abandon(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.queue = VecDeque::new();
        let unsent = std::mem::take(&mut stream.queued);
        stream.wake();
        if unsent > 0 {
            self.window_out += i64::try_from(unsent).unwrap_or(0);
            self.unblock();
        }
    }

    /// An error of a stream by the peer (RFC 9113 §5.4.2). Too many of them are one of the connection.
    pub(super) fn fault(&mut self, id: u32, reason: Reason) -> Result<(), Broken> {
        self.faults += 1;
        if self.faults > MAX_FAULTS {
            return Err(Broken::calm("too many errors of streams"));
        }
        if self
            .streams
            .get(&id)
            .is_some_and(|stream| !stream.is_closed())
        {
            if self.streams.get(&id).is_some_and(|stream| stream.unseen) {
                self.withdraw(id)?;
            }
            self.reset(id, reason);
        } else {
            frame::put_reset(&mut self.control, id, reason);
            self.remember_reset(id);
            self.call();
        }
        Ok(())
    }

    /// The window of the connection has opened.
    pub(super) fn unblock(&mut self) {
        if self.window_out <= 0 {
            return;
        }
        for id in std::mem::take(&mut self.blocked) {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.blocked = false;
                stream.wake_writer();
            }
        }
    }

    /// The connection has ended: everybody learns.
    pub(super) fn fail(&mut self, error: Http2Error) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(error);
        self.driver = None;
        for (id, _) in std::mem::take(&mut self.waiting) {
            // It was never sent.
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.fate = Some(Fate::Unprocessed(Reason::NO_ERROR));
            }
        }
        self.ready.clear();
        self.blocked.clear();
        self.streams.values_mut().for_each(|stream| stream.wake());
    }

    /// The last stream of the peer that was looked at.
    pub(super) fn last_seen(&self) -> u32 {
        self.last.min(self.served)
    }

    /// No new streams; the end comes when there are none left.
    pub(super) fn leave(&mut self) {
        if self.is_server() {
            if self.leave == Leave::No {
                self.leave = Leave::Announced;
                frame::put_go_away(&mut self.control, MAX, Reason::NO_ERROR);
                frame::put_ping(&mut self.control, 0, PING_LEAVE);
            }
        } else if !self.leaving {
            self.leaving = true;
            let waiting = std::mem::take(&mut self.waiting);
            for (id, _) in waiting {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.fate = Some(Fate::Unprocessed(Reason::NO_ERROR));
                    stream.wake();
                }
                self.settle(id);
            }
            frame::put_go_away(&mut self.control, 0, Reason::NO_ERROR);
        }
        self.call();
    }
}

/// What both ends say first: their settings, and that the window of the connection is as large as it can be. The
/// windows of the streams bound what is held.
fn greet(control: &mut BytesMut, local: &Local) {
    frame::put_settings(control, &local.values());
    frame::put_window_update(control, 0, MAX - DEFAULT_WINDOW);
}

/// Spreads stream numbers, which are all odd or all even and grow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
