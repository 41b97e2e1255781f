//! The `traceparent` header: which trace a connection belongs to.
//!
//! Source: W3C Trace Context section 3.2.

use std::fmt;
use std::str::FromStr;

use crate::random::Random;

/// Length of the header's value, in bytes.
pub const LENGTH: usize = 55;

/// The trace that a connection belongs to, and its place in it.
///
/// Neither id is zero.
///
/// # Example
/// ```
/// use mesh_core::traceparent::TraceParent;
///
/// let value = "00-decd5942fd42fe0e4d3bf061aa5b84db-34e7f61f20bb84af-00";
/// let trace: TraceParent = value.parse()?;
/// assert_eq!(trace.to_string(), value);
/// assert!(!trace.is_sampled());
///
/// let mut numbers = 1_u64..;
/// let next = TraceParent::random(&mut || numbers.next().unwrap_or_default());
/// assert_eq!(next.to_string(), "00-00000000000000010000000000000002-0000000000000003-00");
/// # Ok::<(), mesh_core::traceparent::InvalidTraceParent>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TraceParent {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

/// A header's value is not what W3C Trace Context says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a traceparent is 00-<32 lower-case hex digits>-<16>-<2>, neither id zero")]
#[non_exhaustive]
pub struct InvalidTraceParent;

impl TraceParent {
    /// A new trace with random ids and no flags.
    pub fn random(random: &mut (impl Random + ?Sized)) -> Self {
        let (high, low) = (random.next(), random.next());
        let trace_id = u128::from(high) << 64 | u128::from(low);
        Self {
            // Zero is not an id: 1 stands in for it.
            trace_id: trace_id.max(1).to_be_bytes(),
            parent_id: random.next().max(1).to_be_bytes(),
            flags: 0,
        }
    }

    /// Reads a header's value.
    ///
    /// Version 00 must have exactly 55 bytes; of later versions the first 55 are read, as the
    /// specification asks, and only the sampled flag is kept.
    ///
    /// # Errors
    /// [`InvalidTraceParent`] for anything else: wrong length, upper-case digits, version ff, an
    /// id of zeros.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidTraceParent> {
        read(value).ok_or(InvalidTraceParent)
    }

    /// A place in a trace, not sampled; `None` when an id is zero.
    #[must_use]
    pub fn new(trace_id: [u8; 16], parent_id: [u8; 8]) -> Option<Self> {
        let valid = trace_id != [0; 16] && parent_id != [0; 8];
        valid.then_some(Self {
            trace_id,
            parent_id,
            flags: 0,
        })
    }

    /// The same place, with another decision about recording the trace.
    #[must_use]
    pub fn with_sampled(mut self, sampled: bool) -> Self {
        self.flags = self.flags & !1 | u8::from(sampled);
        self
    }

    /// Another place in the same trace.
    #[must_use]
    pub fn child(&self, random: &mut (impl Random + ?Sized)) -> Self {
        Self {
            parent_id: random.next().max(1).to_be_bytes(),
            ..*self
        }
    }

    /// The trace's id.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the sender's place in the trace.
    #[must_use]
    pub fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// Whether the sender records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The header's value, in version 00.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LENGTH] {
        let mut value = [b'-'; LENGTH];
        let mut rest = value.as_mut_slice();
        let parts: [&[u8]; 4] = [&[0], &self.trace_id, &self.parent_id, &[self.flags]];
        for part in parts {
            let (to, after) = rest.split_at_mut(rest.len().min(part.len() * 2));
            hex(part, to);
            // After the dash.
            rest = after.get_mut(1..).unwrap_or_default();
        }
        value
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_bytes();
        f.pad(str::from_utf8(&value).unwrap_or_default())
    }
}

fn hex(bytes: &[u8], to: &mut [u8]) {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    let (pairs, _) = to.as_chunks_mut();
    for (byte, pair) in bytes.iter().zip(pairs) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
}

fn read(value: &[u8]) -> Option<TraceParent> {
    let (head, rest) = value.split_at_checked(LENGTH)?;
    let (version, head) = part::<2>(head)?;
    let (trace_id, head) = part::<32>(head)?;
    let (parent_id, head) = part::<16>(head)?;
    let [version] = unhex(version)?;
    let trace_id = unhex(trace_id)?;
    let parent_id = unhex(parent_id)?;
    let [flags] = unhex(head)?;
    let length_fits = rest.is_empty() || (version != 0 && rest.starts_with(b"-"));
    let ok = version != 0xff && length_fits && trace_id != [0; 16] && parent_id != [0; 8];
    ok.then_some(TraceParent {
        trace_id,
        parent_id,
        flags: if version == 0 { flags } else { flags & 1 },
    })
}

/// As many bytes, and what comes after the dash behind them.
fn part<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8])> {
    let (part, rest) = text.split_first_chunk()?;
    Some((part, rest.strip_prefix(b"-")?))
}

/// Exactly `N` bytes from lower-case hexadecimal digits.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    // All of them, whatever the first ones are: several at a time.
    let mut all = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (nibble(*high), nibble(*low));
        all |= high | low;
        *byte = high << 4 | low & 15;
    }
    (all < 16).then_some(bytes)
}

/// What a digit stands for; for all else more than 15.
const fn nibble(digit: u8) -> u8 {
    match (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a')) {
        (number @ 0..=9, _) => number,
        (_, letter @ 0..=5) => letter + 10,
        _ => u8::MAX,
    }
}

#[cfg(test)]
mod tests;
