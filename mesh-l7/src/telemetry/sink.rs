//! Who is given complete records.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;

use crate::record::Entry;

/// Takes complete records: metrics, a log.
///
/// A `Vec` of sinks is a sink that gives records to all of them.
pub trait Sink: fmt::Debug + Send + Sync {
    /// What it wants to know of messages beyond what is always there. Asked once.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Takes note of a complete record. Called on the request's way: it must be quick and never wait.
    fn complete(&self, entry: &Entry);
}

/// Headers that a sink wants to know. None by default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct Needs {
    /// Of requests, as they come to the layer.
    pub request_headers: Vec<HeaderName>,
    /// Of responses, as they leave.
    pub response_headers: Vec<HeaderName>,
    /// Of the trailers of responses.
    pub response_trailers: Vec<HeaderName>,
}

impl Needs {
    /// These and others, each once.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let pairs = [
            (&mut self.request_headers, other.request_headers),
            (&mut self.response_headers, other.response_headers),
            (&mut self.response_trailers, other.response_trailers),
        ];
        for (all, more) in pairs {
            for name in more {
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        self
    }
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn needs(&self) -> Needs {
        (**self).needs()
    }

    fn complete(&self, entry: &Entry) {
        (**self).complete(entry);
    }
}

impl<S: Sink> Sink for Vec<S> {
    fn needs(&self) -> Needs {
        self.iter()
            .fold(Needs::default(), |all, sink| all.and(sink.needs()))
    }

    fn complete(&self, entry: &Entry) {
        for sink in self {
            sink.complete(entry);
        }
    }
}
