//! The trace that a request belongs to: accepted, and passed on.

mod b3;

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::random::Random;
use mesh_core::traceparent::TraceParent;

pub use b3::{B3, B3Ids, Decision, InvalidB3};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What is done about traces.
///
/// `traceparent` is read first, then `b3`, then `x-b3-*`. The request goes on with a new place in the same trace, in
/// the formats that it came with and in those that are configured; `tracestate` goes on with a `traceparent`
/// that came and is removed otherwise, as W3C Trace Context says. Who asked for a trace is obeyed; where nobody
/// did, a share of the traces is recorded, by their ids, so that all proxies decide alike.
///
/// Nothing is exported yet: the place of this proxy is in the ids that others see, and in the log.
///
/// ```
/// use http::HeaderMap;
/// use mesh_l7::telemetry::TraceSettings;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse()?);
/// let trace = TraceSettings::default().pass_on(&mut headers, &mut || 7);
/// assert!(trace.is_some_and(|trace| trace.is_sampled()));
/// assert_eq!(headers["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-0000000000000007-01");
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct TraceSettings {
    /// Whether this proxy has a place of its own in traces. Default: it has.
    pub place: TracePlace,
    /// The formats that requests go on with, beside those that they came with. Default W3C's only.
    pub formats: TraceFormats,
    /// The share of traces that are recorded where nobody has decided, in millionths: 0..=1,000,000.
    /// Default 10,000, one percent, as Istio has it.
    pub sampled: u32,
}

/// Whether this proxy has a place of its own in traces.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it has or it has not")]
pub enum TracePlace {
    /// Requests go on with a new span id, and those without a trace get one.
    #[default]
    Own,
    /// Headers stay as they are; the trace is in the record only.
    None,
}

/// Formats of trace headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "those that Istio knows")]
pub struct TraceFormats {
    /// `traceparent`.
    pub w3c: bool,
    /// `b3`.
    pub b3: bool,
    /// `x-b3-traceid` and others.
    pub b3_multi: bool,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            place: TracePlace::Own,
            formats: TraceFormats {
                w3c: true,
                b3: false,
                b3_multi: false,
            },
            sampled: 10_000,
        }
    }
}

/// What a request came with.
struct Received {
    trace: Option<TraceParent>,
    /// What B3 says beyond it.
    ids: Option<B3Ids>,
    decision: Decision,
    /// The trace is in `traceparent`.
    by_w3c: bool,
    formats: TraceFormats,
}

impl TraceSettings {
    /// Reads the trace of a request and writes its headers anew. Gives the trace with this proxy's place in it,
    /// or with that of the sender where this proxy has none.
    pub fn pass_on(
        &self,
        headers: &mut HeaderMap,
        random: &mut (impl Random + ?Sized),
    ) -> Option<TraceParent> {
        let received = Received::from(headers);
        if self.place == TracePlace::None {
            return received.trace;
        }
        let place = match &received.trace {
            Some(parent) => parent.child(random),
            None => TraceParent::random(random),
        };
        let sampled = match received.decision {
            Decision::Sampled | Decision::Debug => true,
            Decision::NotSampled => false,
            Decision::Deferred => self.samples(place.trace_id()),
        };
        // Flags of W3C that are not known here go on as they are.
        let place = if place.is_sampled() == sampled {
            place
        } else {
            place.with_sampled(sampled)
        };
        self.write(&received, &place, headers);
        Some(place)
    }

    /// Whether a trace about which nobody has decided is recorded.
    fn samples(&self, trace_id: [u8; 16]) -> bool {
        // The lower half: it is there in short ids too, and random.
        let low = u128::from_be_bytes(trace_id) & u128::from(u64::MAX);
        (low * 1_000_000) >> 64 < u128::from(self.sampled)
    }

    fn write(&self, received: &Received, place: &TraceParent, headers: &mut HeaderMap) {
        let (came, wanted) = (received.formats, self.formats);
        if !received.by_w3c {
            headers.remove(TRACESTATE);
        }
        if (came.w3c || wanted.w3c)
            && let Ok(value) = HeaderValue::from_bytes(&place.to_bytes())
        {
            headers.insert(TRACEPARENT, value);
        }
        if !(came.b3 || wanted.b3 || came.b3_multi || wanted.b3_multi) {
            return;
        }
        let sender = received.trace.as_ref().map(|trace| trace.parent_id());
        let b3 = B3 {
            ids: Some(B3Ids {
                trace_id: u128::from_be_bytes(place.trace_id()),
                short: received.ids.is_some_and(|ids| ids.short),
                span_id: u64::from_be_bytes(place.parent_id()),
                parent: sender.map(u64::from_be_bytes),
            }),
            decision: match received.decision {
                Decision::Debug => Decision::Debug,
                _ if place.is_sampled() => Decision::Sampled,
                _ => Decision::NotSampled,
            },
        };
        if came.b3 || wanted.b3 {
            b3.write_single(headers);
        }
        if came.b3_multi || wanted.b3_multi {
            b3.write_multi(headers);
        }
    }
}

impl Received {
    fn from(headers: &HeaderMap) -> Self {
        let (single, multi) = match B3::is_in(headers) {
            true => (B3::single(headers), B3::multi(headers)),
            false => (None, None),
        };
        let formats = TraceFormats {
            w3c: headers.contains_key(TRACEPARENT),
            b3: single.is_some(),
            b3_multi: multi.is_some(),
        };
        if let Some(trace) = w3c(headers) {
            let decision = if trace.is_sampled() {
                Decision::Sampled
            } else {
                Decision::NotSampled
            };
            return Self {
                trace: Some(trace),
                ids: None,
                decision,
                by_w3c: true,
                formats,
            };
        }
        let valid = [single, multi].into_iter().flatten().find_map(Result::ok);
        let b3 = valid.unwrap_or_default();
        let trace = b3.ids.and_then(|ids| {
            TraceParent::new(ids.trace_id.to_be_bytes(), ids.span_id.to_be_bytes())
        });
        Self {
            trace,
            ids: b3.ids,
            decision: b3.decision,
            by_w3c: false,
            formats,
        }
    }
}

/// The only `traceparent`, when it is one: with several none counts.
fn w3c(headers: &HeaderMap) -> Option<TraceParent> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    TraceParent::parse(line.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
