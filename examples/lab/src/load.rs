//! Load generators: the same for every contender.

mod bulk;
mod connections;
mod requests;
mod window;

pub use bulk::{Direction, bulk};
pub use connections::{connections, hold};
pub use requests::{latencies, requests};
pub use window::{Window, Work};
