//! The requests of an HTTP/1 connection, as bytes.

use super::bad_head::BadHead;
use super::chunked::ChunkedBody;
use super::framing::{Body, Framing};
use super::request_head::check;
use super::rules::HygieneRules;

/// Follows the requests of an HTTP/1 connection, so that a parser behind it sees whole heads that
/// have been checked, and nothing after the first fault.
///
/// It is told what has been received and says how much of it may be read on. A head is held back until
/// it is complete; bodies pass as they come.
///
/// ```
/// use mesh_l7::hygiene::{BadHead, HygieneRules, RequestStream};
///
/// let mut requests = RequestStream::new(HygieneRules::default());
/// assert_eq!(requests.accept(b"GET / HTTP/1.1\r\nHost: w")?, 0);
/// let received = b"GET / HTTP/1.1\r\nHost: web\r\n\r\nGET / HTTP/1.1\n";
/// assert_eq!(requests.accept(received)?, 29);
/// assert_eq!(requests.accept(&received[29..]), Err(BadHead::BareLineFeed));
/// # Ok::<(), BadHead>(())
/// ```
#[derive(Debug)]
pub struct RequestStream {
    rules: HygieneRules,
    state: State,
    heads: u64,
}

/// What comes next on an HTTP/1 connection, as [`RequestStream`] sees it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "HTTP/1 has these")]
pub enum Expects {
    /// The head of a request.
    Head,
    /// More of a body.
    Body,
    /// Whether the answer switches protocols; see [`RequestStream::answered`].
    Answer,
    /// Bytes of another protocol.
    Tunnel,
    /// Nothing: there was the last request, or a fault.
    Nothing,
}

#[derive(Debug)]
enum State {
    Head(HeadEnd),
    Body(ToCome, Framing),
    /// After a request that may switch protocols, until its answer is known.
    Asked {
        keep_alive: bool,
    },
    /// Bytes of another protocol.
    Tunnel,
    /// After the last request.
    Closed,
    Failed(BadHead),
}

#[derive(Debug)]
enum ToCome {
    Bytes(u64),
    Chunks(ChunkedBody),
}

impl RequestStream {
    /// The beginning of a connection.
    #[must_use]
    pub fn new(rules: HygieneRules) -> Self {
        Self {
            rules,
            state: State::Head(HeadEnd::default()),
            heads: 0,
        }
    }

    /// How many bytes at the beginning of `received` may be read on. Those that may not are given
    /// again, with what has come after them.
    ///
    /// # Errors
    /// [`BadHead`], once what comes before the fault has been accepted; from then on always. The
    /// connection is to be closed after the answer.
    pub fn accept(&mut self, received: &[u8]) -> Result<usize, BadHead> {
        let mut rest = received;
        loop {
            let before = rest.len();
            match self.step(rest) {
                Ok(Some(taken)) => rest = rest.get(taken..).unwrap_or_default(),
                Ok(None) => return Ok(received.len().saturating_sub(before)),
                Err(fault) => {
                    self.state = State::Failed(fault.clone());
                    return match received.len().saturating_sub(before) {
                        0 => Err(fault),
                        accepted => Ok(accepted),
                    };
                }
            }
        }
    }

    /// How many heads have been accepted.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// What comes next.
    #[must_use]
    pub fn expects(&self) -> Expects {
        match self.state {
            State::Head(_) => Expects::Head,
            State::Body(..) => Expects::Body,
            State::Asked { .. } => Expects::Answer,
            State::Tunnel => Expects::Tunnel,
            State::Closed | State::Failed(_) => Expects::Nothing,
        }
    }

    /// Says whether the answer to the last request switched protocols (101, or 2xx to `CONNECT`).
    /// Until then, nothing after that request is accepted.
    pub fn answered(&mut self, switched: bool) {
        if let State::Asked { keep_alive } = self.state {
            self.state = match (switched, keep_alive) {
                (true, _) => State::Tunnel,
                (false, true) => State::Head(HeadEnd::default()),
                (false, false) => State::Closed,
            };
        }
    }

    /// Takes bytes; `None` when there are none that can be taken.
    fn step(&mut self, rest: &[u8]) -> Result<Option<usize>, BadHead> {
        match &mut self.state {
            _ if rest.is_empty() => Ok(None),
            State::Head(head) => {
                let Some(end) = head.find(rest, &self.rules)? else {
                    return Ok(None);
                };
                let framing = check(rest.get(..end).unwrap_or(rest), &self.rules)?;
                self.heads = self.heads.saturating_add(1);
                self.state = match framing.body {
                    Body::Length(length) => State::Body(ToCome::Bytes(length), framing),
                    Body::Chunked => {
                        State::Body(ToCome::Chunks(ChunkedBody::new(&self.rules)), framing)
                    }
                    Body::None | Body::UntilClose => after(&framing),
                };
                Ok(Some(end))
            }
            State::Body(to_come, framing) => {
                let framing = *framing;
                let (taken, finished) = to_come.take(rest)?;
                if finished {
                    self.state = after(&framing);
                }
                Ok(Some(taken))
            }
            State::Asked { .. } | State::Closed => Ok(None),
            State::Tunnel => Ok(Some(rest.len())),
            State::Failed(fault) => Err(fault.clone()),
        }
    }
}

fn after(framing: &Framing) -> State {
    match framing.keep_alive {
        keep_alive if framing.switches => State::Asked { keep_alive },
        true => State::Head(HeadEnd::default()),
        false => State::Closed,
    }
}

impl ToCome {
    /// How many bytes belong to the body, and whether it ends with them.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), BadHead> {
        match self {
            Self::Bytes(left) => {
                let here = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                Ok((here, *left == 0))
            }
            Self::Chunks(body) => Ok((body.take(bytes)?, body.is_finished())),
        }
    }
}

/// Looks for the end of a head in bytes that become more, and at each of them once.
#[derive(Debug, Default)]
struct HeadEnd {
    /// Where the present line begins, and how far it has been looked at.
    line: usize,
    seen: usize,
}

impl HeadEnd {
    /// Where the head ends, after its empty line.
    fn find(&mut self, received: &[u8], rules: &HygieneRules) -> Result<Option<usize>, BadHead> {
        let limit = rules.head_bytes;
        let within = received.get(..limit).unwrap_or(received);
        while let Some(feed) = within
            .get(self.seen..)
            .and_then(|unseen| memchr::memchr(b'\n', unseen))
        {
            let end = self.seen + feed;
            let line = within.get(self.line..end).unwrap_or_default();
            let begins_at = self.line;
            (self.line, self.seen) = (end + 1, end + 1);
            match (line, begins_at) {
                // One empty line before the head (RFC 9112 §2.2).
                (b"\r", 0) => {}
                (b"\r", 2) => return Err(BadHead::StartLine),
                (b"\r", _) => return Ok(Some(end + 1)),
                (_, _) if line.ends_with(b"\r") => {}
                _ => return Err(BadHead::BareLineFeed),
            }
        }
        self.seen = within.len();
        match received.len() >= limit {
            true => Err(BadHead::TooLong { limit }),
            false => Ok(None),
        }
    }
}
