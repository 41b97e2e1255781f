//! How a cluster's hosts are chosen.

use super::maglev::TableSize;
use super::outlier::OutlierDetection;
use super::ring::RingSize;
use super::slow_start::SlowStart;
use crate::name::Name;

/// The way in which one of equally good hosts is chosen.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// In turn, in proportion to weights.
    RoundRobin,
    /// The one with the fewest requests, in relation to its weight, of `choices` (2 or more) that are
    /// drawn in proportion to weights.
    LeastRequest {
        /// Hosts that are drawn.
        choices: u32,
    },
    /// By chance, in proportion to weights.
    Random,
    /// By a hash of the request on a ring; see [`RequestHash`](super::RequestHash).
    RingHash(RingSize),
    /// By a hash of the request in a table.
    Maglev(TableSize),
    /// The one that is expected to answer first of two that are drawn, different ones as a rule: by how long it took
    /// of late and how many requests it has.
    PeakEwma,
}

/// Istio's and Envoy's: the better of two.
impl Default for Algorithm {
    fn default() -> Self {
        Self::LeastRequest { choices: 2 }
    }
}

/// How a cluster's hosts are chosen. The default is Istio's, without outlier detection.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Balancing {
    /// The way in which one of equally good hosts is chosen.
    pub algorithm: Algorithm,
    /// Shares of localities, where they are not those of their hosts: localities that are not named
    /// get nothing.
    pub localities: Option<Vec<(Name, u32)>>,
    /// The percentage of healthy hosts of a priority below which their health is disregarded, 0..=100;
    /// 0 is never.
    pub panic_percent: u32,
    /// How the share of a new host grows; for all algorithms but those by hash and by chance.
    pub slow_start: Option<SlowStart>,
    /// How hosts that fail are taken out.
    pub outlier: Option<OutlierDetection>,
    /// For algorithms by hash: a host that has more than this percentage (100 or more) of the average
    /// number of requests is passed over.
    pub bounded_load: Option<u32>,
}
