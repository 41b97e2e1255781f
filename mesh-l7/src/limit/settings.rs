//! A rate limit as it is configured.

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use mesh_core::limits::BucketSettings;
use mesh_core::name::Name;

use crate::filter::{HeaderEdits, Percent};
use crate::matching::RequestMatch;
use crate::target::ServiceTarget;

/// One local rate limit.
///
/// A request takes a token of the first bucket of each [`Descriptor`] that it meets, and of the main bucket.
/// Where one is empty it is answered here. Tokens that it took before that are not given back.
///
/// Source: Envoy's `LocalRateLimit`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LocalLimit {
    /// What it is called. Its buckets are known by it when the configuration changes.
    pub name: Name,
    /// The service whose requests count; default those of all.
    pub service: Option<ServiceTarget>,
    /// Which of them count: one must match; default all.
    pub matches: Vec<RequestMatch>,
    /// The main bucket.
    pub bucket: BucketSettings,
    /// Buckets for some of the requests.
    pub descriptors: Vec<Descriptor>,
    /// Which requests take a token of the main bucket.
    pub main: MainBucket,
    /// The share of requests that count; default all.
    pub enabled: Percent,
    /// The share of those over the limit that are refused; default all. The others are counted and pass.
    pub enforced: Percent,
    /// Status of the answer; one below 400 counts as 429, the default.
    pub status: StatusCode,
    /// Body of the answer; default `local_rate_limited`.
    pub body: Bytes,
    /// gRPC's status of the answer.
    pub grpc: Exhausted,
    /// Whether responses say how much is left.
    pub standings: Standings,
    /// Edits of the answer's headers.
    pub response_headers: HeaderEdits,
    /// Edits of the headers of requests that are over the limit and pass, as the limit is not enforced.
    pub unenforced_headers: HeaderEdits,
}

/// A bucket for requests whose values are these; every entry must hold.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Descriptor {
    /// What is compared.
    pub entries: Vec<Entry>,
    /// The bucket; one for each combination of the values of entries that have none of their own.
    pub bucket: BucketSettings,
    /// The most combinations that are told apart, 1 or more. The one that was not asked for the longest
    /// begins anew.
    pub most: usize,
}

/// One value of a request. A request that does not have what is wanted does not meet the descriptor.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Entry {
    /// Which one.
    pub key: LimitKey,
    /// What it must be.
    pub wanted: Wanted,
}

/// What a value must be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a limiter must handle all")]
pub enum Wanted {
    /// This.
    Is(Name),
    /// Any value, each with its own bucket.
    Each,
    /// Any value, each with its own bucket, and one for requests without a value: leaving it out is no way around
    /// the limit.
    EachOrNone,
}

/// What requests are told apart by.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a limiter must handle every key")]
pub enum LimitKey {
    /// Who the client is, as its certificate proved it: a SPIFFE ID, with `spiffe://`.
    Identity,
    /// The namespace of the client, as its certificate proved it.
    Namespace,
    /// The address of the client, without port.
    SourceAddress,
    /// A header; several lines joined by commas.
    Header(HeaderName),
    /// The path without query.
    Path,
    /// The method.
    Method,
    /// The host without port, in lower case.
    Host,
}

/// Which requests take a token of the main bucket.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum MainBucket {
    /// All.
    #[default]
    Always,
    /// Those that meet no descriptor.
    Unmatched,
    /// None: requests that meet no descriptor do not count.
    Never,
}

/// gRPC's status of an answer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Exhausted {
    /// `UNAVAILABLE` (14), which follows from 429.
    #[default]
    Unavailable,
    /// `RESOURCE_EXHAUSTED` (8).
    ResourceExhausted,
}

/// Whether responses say how much is left of the bucket with the least.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Standings {
    /// They do not.
    #[default]
    Omitted,
    /// `x-ratelimit-limit`, `x-ratelimit-remaining` and `x-ratelimit-reset` (seconds until the next fill,
    /// rounded up); in refusals `retry-after` with the same seconds, too.
    Sent,
}

impl LocalLimit {
    /// A limit for all requests.
    pub fn new(name: impl Into<Name>, bucket: BucketSettings) -> Self {
        Self {
            name: name.into(),
            service: None,
            matches: Vec::new(),
            bucket,
            descriptors: Vec::new(),
            main: MainBucket::default(),
            enabled: Percent::ALL,
            enforced: Percent::ALL,
            status: StatusCode::TOO_MANY_REQUESTS,
            body: Bytes::from_static(b"local_rate_limited"),
            grpc: Exhausted::default(),
            standings: Standings::default(),
            response_headers: HeaderEdits::default(),
            unenforced_headers: HeaderEdits::default(),
        }
    }
}

impl Descriptor {
    /// How many combinations are told apart by default.
    pub const MOST: usize = 1024;

    /// A bucket for requests of these values.
    #[must_use]
    pub fn new(entries: Vec<Entry>, bucket: BucketSettings) -> Self {
        Self {
            entries,
            bucket,
            most: Self::MOST,
        }
    }
}
