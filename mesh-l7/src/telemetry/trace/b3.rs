//! The B3 headers. Source: openzipkin's b3-propagation.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

const B3_SINGLE: HeaderName = HeaderName::from_static("b3");
const TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// What B3 headers say: a place in a trace, a decision, or both.
///
/// ```
/// use mesh_l7::telemetry::{B3, Decision};
///
/// let b3 = B3::parse(b"80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90")?;
/// assert_eq!(b3.decision, Decision::Sampled);
/// assert_eq!(b3.ids.map(|ids| ids.span_id), Some(0xe457_b5a2_e4d8_6bd1));
/// # Ok::<(), mesh_l7::telemetry::InvalidB3>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data of headers")]
pub struct B3 {
    /// The place in a trace; `None` where there is a decision only.
    pub ids: Option<B3Ids>,
    /// Whether the trace is recorded.
    pub decision: Decision,
}

/// A place in a trace. No id is zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data of headers")]
pub struct B3Ids {
    /// The trace.
    pub trace_id: u128,
    /// Whether the trace's id is written with 16 digits and not with 32.
    pub short: bool,
    /// The sender's place.
    pub span_id: u64,
    /// The place of whom the sender had it from.
    pub parent: Option<u64>,
}

/// Whether a trace is recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the states that B3 knows")]
pub enum Decision {
    /// Whoever receives it decides.
    #[default]
    Deferred,
    /// It is not.
    NotSampled,
    /// It is.
    Sampled,
    /// It is, whatever else is decided.
    Debug,
}

/// Headers are not what B3 says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "B3 is <16 or 32 lower-case hex digits>-<16>[-<0, 1 or d>[-<16>]], or 0, 1 or d alone; no id is zero"
)]
#[non_exhaustive]
pub struct InvalidB3;

impl B3 {
    /// Reads the value of `b3`.
    ///
    /// # Errors
    /// [`InvalidB3`] for anything else: other lengths, upper-case digits, an id of zeros.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidB3> {
        if let Some(decision) = decision(value) {
            return Ok(Self {
                ids: None,
                decision,
            });
        }
        let mut parts = value.split(|byte| *byte == b'-');
        let (trace, span) = (parts.next(), parts.next().ok_or(InvalidB3)?);
        let state = parts.next();
        let parent = parts.next();
        if parts.next().is_some() {
            return Err(InvalidB3);
        }
        let decision = match state {
            None => Decision::Deferred,
            Some(state) => decision(state).ok_or(InvalidB3)?,
        };
        let ids = B3Ids::parse(trace.unwrap_or_default(), span, parent)?;
        Ok(Self {
            ids: Some(ids),
            decision,
        })
    }

    /// Whether one of the headers of B3 is there. One look at all names takes less than looking each of them up.
    pub(super) fn is_in(headers: &HeaderMap) -> bool {
        let mut names = headers.keys().map(HeaderName::as_str);
        names.any(|name| name == "b3" || name.starts_with("x-b3-"))
    }

    /// What `b3` says; `None` when it is not there.
    pub(super) fn single(headers: &HeaderMap) -> Option<Result<Self, InvalidB3>> {
        let value = headers.get(B3_SINGLE)?;
        Some(Self::parse(value.as_bytes()))
    }

    /// What `x-b3-*` say; `None` when none of them is there.
    pub(super) fn multi(headers: &HeaderMap) -> Option<Result<Self, InvalidB3>> {
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        let (trace, span) = (value(TRACE_ID), value(SPAN_ID));
        let (sampled, flags) = (value(SAMPLED), value(FLAGS));
        let any = trace.or(span).or(sampled).or(flags);
        any.or_else(|| value(PARENT))?;
        Some(Self::of_lines(trace, span, value(PARENT), sampled, flags))
    }

    fn of_lines(
        trace: Option<&[u8]>,
        span: Option<&[u8]>,
        parent: Option<&[u8]>,
        sampled: Option<&[u8]>,
        flags: Option<&[u8]>,
    ) -> Result<Self, InvalidB3> {
        let decision = match (flags, sampled) {
            (Some(b"1"), _) => Decision::Debug,
            // Older senders write words.
            (_, Some(b"1" | b"true")) => Decision::Sampled,
            (_, Some(b"0" | b"false")) => Decision::NotSampled,
            (_, None) => Decision::Deferred,
            (_, Some(_)) => return Err(InvalidB3),
        };
        let ids = match (trace, span) {
            (Some(trace), Some(span)) => Some(B3Ids::parse(trace, span, parent)?),
            (None, None) => None,
            _ => return Err(InvalidB3),
        };
        Ok(Self { ids, decision })
    }

    /// The value of `b3`.
    #[must_use]
    pub fn value(&self) -> String {
        let state = match self.decision {
            Decision::Deferred => None,
            Decision::NotSampled => Some('0'),
            Decision::Sampled => Some('1'),
            Decision::Debug => Some('d'),
        };
        let mut text = String::with_capacity(68);
        // Writing to a String does not fail.
        if let Some(ids) = self.ids {
            let _ = write!(text, "{}-{:016x}", ids.trace(), ids.span_id);
        }
        if let Some(state) = state {
            let separator = if text.is_empty() { "" } else { "-" };
            let _ = write!(text, "{separator}{state}");
            if let Some(parent) = self.ids.and_then(|ids| ids.parent) {
                let _ = write!(text, "-{parent:016x}");
            }
        }
        text
    }

    pub(super) fn write_single(&self, headers: &mut HeaderMap) {
        set(headers, B3_SINGLE, Some(self.value()));
    }

    pub(super) fn write_multi(&self, headers: &mut HeaderMap) {
        let sixteen = |id: u64| format!("{id:016x}");
        let ids = self.ids;
        set(headers, TRACE_ID, ids.map(|ids| ids.trace()));
        set(headers, SPAN_ID, ids.map(|ids| sixteen(ids.span_id)));
        let parent = ids.and_then(|ids| ids.parent);
        set(headers, PARENT, parent.map(sixteen));
        let (sampled, flags) = match self.decision {
            Decision::Deferred => (None, None),
            Decision::NotSampled => (Some("0"), None),
            Decision::Sampled => (Some("1"), None),
            // Debug says the other thing too.
            Decision::Debug => (None, Some("1")),
        };
        set(headers, SAMPLED, sampled.map(str::to_owned));
        set(headers, FLAGS, flags.map(str::to_owned));
    }
}

impl B3Ids {
    fn parse(trace: &[u8], span: &[u8], parent: Option<&[u8]>) -> Result<Self, InvalidB3> {
        let short = trace.len() == 16;
        if !short && trace.len() != 32 {
            return Err(InvalidB3);
        }
        let sixteen = |text: &[u8]| {
            let id = (text.len() == 16).then(|| number(text)).flatten();
            id.and_then(|id| u64::try_from(id).ok()).ok_or(InvalidB3)
        };
        Ok(Self {
            trace_id: number(trace).ok_or(InvalidB3)?,
            short,
            span_id: sixteen(span)?,
            parent: parent.map(sixteen).transpose()?,
        })
    }

    /// The trace's id as text.
    fn trace(&self) -> String {
        let width = if self.short { 16 } else { 32 };
        format!("{:0width$x}", self.trace_id)
    }
}

fn decision(state: &[u8]) -> Option<Decision> {
    match state {
        b"0" => Some(Decision::NotSampled),
        b"1" => Some(Decision::Sampled),
        b"d" => Some(Decision::Debug),
        _ => None,
    }
}

/// The number that up to 32 lower-case hexadecimal digits say; `None` for zero.
fn number(digits: &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(value);
    }
    (number != 0).then_some(number)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    match value.and_then(|value| HeaderValue::try_from(value).ok()) {
        Some(value) => {
            headers.insert(name, value);
        }
        None => {
            headers.remove(name);
        }
    }
}
