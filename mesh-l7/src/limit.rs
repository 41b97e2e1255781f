//! Local rate limits: how often requests may come to this process.
//!
//! | type | |
//! |---|---|
//! | [`LocalLimit`] | one limit as it is configured: which requests, how many tokens, what is answered |
//! | [`Descriptor`], [`Entry`], [`LimitKey`], [`Wanted`] | buckets for some of them: by identity, header, path |
//! | [`RateLimits`] | limits with their buckets; those that stay the same keep theirs when others change |
//! | [`RateLimitLayer`], [`RateLimit`] | a tower layer that asks them, for any kind of body |
//!
//! ```
//! use std::time::{Duration, Instant};
//! use http::Request;
//! use mesh_core::limits::BucketSettings;
//! use mesh_core::watch::Watch;
//! use mesh_l7::limit::{LocalLimit, RateLimitLayer, RateLimits};
//! # use std::{convert::Infallible, future::{Ready, ready}, task::{Context, Poll}};
//! # use bytes::Bytes;
//! use tower_layer::Layer;
//! use tower_service::Service;
//! # #[derive(Clone)]
//! # struct Hello;
//! # impl Service<Request<()>> for Hello {
//! #     type Response = http::Response<Bytes>;
//! #     type Error = Infallible;
//! #     type Future = Ready<Result<Self::Response, Infallible>>;
//! #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> { Poll::Ready(Ok(())) }
//! #     fn call(&mut self, _: Request<()>) -> Self::Future { ready(Ok(http::Response::new("hello".into()))) }
//! # }
//!
//! let two_a_second = BucketSettings::new(2, 2, Duration::from_secs(1))?;
//! let limits = RateLimits::new([LocalLimit::new("all", two_a_second)], Instant::now());
//! let mut service = RateLimitLayer::new(Watch::fixed(limits)).layer(Hello);
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! for status in [200, 200, 429] {
//!     let Ok(response) = service.call(Request::new(())).await;
//!     assert_eq!(response.status(), status);
//! }
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buckets;
mod key;
mod layer;
mod settings;
mod standing;
mod table;
#[cfg(test)]
mod tests;

pub use layer::{RateLimit, RateLimitLayer, ResponseFuture};
pub use settings::{
    Descriptor, Entry, Exhausted, LimitKey, LocalLimit, MainBucket, Standings, Wanted,
};
pub use table::{LimitCounts, RateLimits};
