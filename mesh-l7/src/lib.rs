//! HTTP routing and resilience of a service mesh data plane.
//!
//! - [`matching`]: what a request looks like when its route is chosen, and the conditions on it.
//! - [`route`]: which rule a request meets, and what it says.
//! - `gateway_api` (feature `gateway-api`): routes of the Gateway API, made into rules.
//! - `istio` (feature `istio`): virtual services and destination rules of Istio, made into rules and settings.
//! - [`filter`]: what happens to requests and responses on their way, as pure functions.
//! - [`hygiene`]: what must be right about the heads of messages before they are forwarded.
//!
//! - [`upstream`], [`attempt`]: what requests are forwarded to, and one try at one host of it.
//! - [`mesh`]: upstreams that are services of a mesh.
//! - [`body`], [`downstream`], [`record`]: what travels with a request.
//! - [`tcp`]: connections that are carried as bytes.
//! - `serve`, `client` (feature `serve`): HTTP/1.1 and HTTP/2 on connections that are given, downstream and upstream.
//!
//! The layers between `serve` and `client` are under construction.
#![forbid(unsafe_code)]

pub mod attempt;
pub mod body;
#[cfg(feature = "serve")]
pub mod client;
pub mod downstream;
pub mod filter;
#[cfg(feature = "gateway-api")]
pub mod gateway_api;
pub mod hygiene;
#[cfg(feature = "istio")]
pub mod istio;
#[cfg(feature = "serve")]
mod kept_lines;
mod labels;
pub mod limit;
pub mod matching;
pub mod mesh;
pub mod record;
pub mod reply;
pub mod route;
#[cfg(feature = "serve")]
pub mod router;
#[cfg(feature = "serve")]
pub mod serve;
pub mod severity;
pub mod target;
pub mod tcp;
pub mod telemetry;
pub mod upstream;
#[cfg(feature = "serve")]
mod wire;
