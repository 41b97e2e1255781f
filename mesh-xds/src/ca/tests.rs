//! Oracles: Istio's rules for certificates (spec/node-proxy.md 4.3, 4.4, 4.6, with the better ways
//! of 11.6) and its test scenarios (10.9).

mod faults;
mod harness;
mod rotation;
mod sharing;
