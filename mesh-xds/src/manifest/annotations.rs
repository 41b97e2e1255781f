//! Annotations of services, for what their objects have no field for: one grammar for node proxies and waypoints.
//!
//! | annotation | value |
//! |---|---|
//! | `ratelimit.ztunnel/connections` | [`rate()`] |
//! | `ratelimit.waypoint/requests` | `request_limits` (feature `routes`) |
//! | `outlier.ztunnel/small-fleet`, `outlier.waypoint/small-fleet` | [`small_fleet`] |
//!
//! The parsers are pure; [`value`] takes an annotation of an object and keeps the last good value where it is wrong.

mod rate;
#[cfg(feature = "routes")]
mod request_limits;
mod value;

pub use rate::rate;
#[cfg(feature = "routes")]
pub use request_limits::{MOST_CLAUSES, MOST_KEYS, MOST_RULES, request_limits};
pub use value::{Expected, small_fleet, value};
