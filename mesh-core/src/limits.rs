//! Limits that connections (L4) and requests (L7) share: how many at once, how often, how many
//! retries.
//!
//! | type | bounds |
//! |---|---|
//! | [`Limit`] | how many of something there are at once; a [`Permit`] is one of them |
//! | [`CircuitBreaker`] | connections, pending requests, requests and retries of one upstream |
//! | [`RetryBudget`] | retries in proportion to what is in flight or was sent of late |
//! | [`TokenBucket`] | how often something happens |
//! | [`KeyedBuckets`] | how often it happens for each key, for a bounded number of keys |
//! | [`Backoff`] | how long to wait before the next attempt |
//!
//! Nothing here waits or reads a clock: the present time is an argument, and what is over a limit is
//! refused at once. Permits are given back when they are dropped, so a cancelled attempt costs
//! nothing.
//!
//! ```
//! use mesh_core::limits::{BreakerSettings, CircuitBreaker, RetryBudget};
//!
//! let mut settings = BreakerSettings::default();
//! settings.requests = 1;
//! settings.budget = Some(RetryBudget::default());
//! let breaker = CircuitBreaker::new(settings);
//! let request = breaker.request().expect("the first one fits");
//! assert!(breaker.request().is_none());
//! drop(request);
//! assert!(breaker.request().is_some());
//! ```

mod backoff;
mod breaker;
mod bucket;
mod budget;
mod keyed;
mod limit;

pub use backoff::{Backoff, InvalidBackoff};
pub use breaker::{BreakerSettings, CircuitBreaker};
pub use bucket::{BucketSettings, InvalidBucket, TokenBucket};
pub use budget::RetryBudget;
pub use keyed::KeyedBuckets;
pub use limit::{Limit, Permit};
