//! Where a chunked body ends.

use super::bad_head::BadHead;
use super::rules::HygieneRules;
use super::syntax;

/// Follows a chunked body (RFC 9112 §7.1) through the bytes of a connection, however they are cut.
///
/// Extensions and trailers are passed over, within a bound.
///
/// ```
/// use mesh_l7::hygiene::{ChunkedBody, HygieneRules};
///
/// let mut body = ChunkedBody::new(&HygieneRules::default());
/// assert_eq!(body.take(b"3\r\nab")?, 5);
/// assert_eq!(body.take(b"c\r\n0\r\n\r\nGET /")?, 8);
/// assert!(body.is_finished());
/// # Ok::<(), mesh_l7::hygiene::BadHead>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChunkedBody {
    state: State,
    /// Bytes of the present line that are kept: the size.
    line: Vec<u8>,
    /// Bytes of extensions, and then of trailers, that are still allowed.
    extensions: usize,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Size,
    /// In white space after a size, which a semicolon ends (RFC 9112 §7.1.1).
    Space,
    Extension,
    /// After the carriage return of a size; then this many bytes come.
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataEnd,
    /// In a trailer line, and whether it has anything in it.
    Trailer {
        empty: bool,
    },
    TrailerEnd {
        empty: bool,
    },
    Finished,
}

/// Digits of the size of a chunk: those of 64 bits.
const SIZE_DIGITS: usize = 16;

impl ChunkedBody {
    /// The beginning of a body.
    #[must_use]
    pub fn new(rules: &HygieneRules) -> Self {
        Self {
            state: State::Size,
            line: Vec::new(),
            extensions: rules.chunk_bytes,
            trailers: rules.chunk_bytes,
        }
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// How many of these bytes belong to the body: all, until it ends.
    ///
    /// # Errors
    /// [`BadHead::Chunk`]; the body must not be read on.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, BadHead> {
        let mut rest = bytes;
        while self.state != State::Finished {
            if let State::Data(left) = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                rest = rest.get(here..).unwrap_or_default();
                let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                self.state = match left {
                    0 => State::DataReturn,
                    left => State::Data(left),
                };
            }
            let Some((&byte, after)) = rest.split_first() else {
                break;
            };
            rest = after;
            self.state = self.step(byte).ok_or(BadHead::Chunk)?;
        }
        Ok(bytes.len().saturating_sub(rest.len()))
    }

    /// The next state, outside of data; `None` when the byte must not be there.
    fn step(&mut self, byte: u8) -> Option<State> {
        match (self.state, byte) {
            (State::Size | State::Space, b';') if !self.line.is_empty() => {
                self.extension(byte).map(|()| State::Extension)
            }
            (State::Size | State::Space, b' ' | b'\t') if !self.line.is_empty() => {
                self.extension(byte).map(|()| State::Space)
            }
            (State::Size | State::Extension, b'\r') => {
                let size = syntax::hex_number(&self.line)?;
                self.line.clear();
                Some(State::SizeEnd(size))
            }
            (State::Size, _) if byte.is_ascii_hexdigit() && self.line.len() < SIZE_DIGITS => {
                self.line.push(byte);
                Some(State::Size)
            }
            (State::Extension, _) => self.extension(byte).map(|()| State::Extension),
            (State::SizeEnd(0), b'\n') => Some(State::Trailer { empty: true }),
            (State::SizeEnd(size), b'\n') => Some(State::Data(size)),
            (State::DataReturn, b'\r') => Some(State::DataEnd),
            (State::DataEnd, b'\n') => Some(State::Size),
            (State::Trailer { empty }, b'\r') => Some(State::TrailerEnd { empty }),
            (State::Trailer { empty }, _) => {
                let folded = empty && matches!(byte, b' ' | b'\t');
                self.trailers = self.trailers.checked_sub(1)?;
                (syntax::is_value(&[byte]) && !folded).then_some(State::Trailer { empty: false })
            }
            (State::TrailerEnd { empty: true }, b'\n') => Some(State::Finished),
            (State::TrailerEnd { empty: false }, b'\n') => Some(State::Trailer { empty: true }),
            _ => None,
        }
    }

    fn extension(&mut self, byte: u8) -> Option<()> {
        self.extensions = self.extensions.checked_sub(1)?;
        syntax::is_value(&[byte]).then_some(())
    }
}
