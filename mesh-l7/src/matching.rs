//! What a request looks like when its route is chosen, and the conditions on it.
//!
//! ```
//! use http::HeaderMap;
//! use mesh_l7::matching::{Head, PathMatch, RequestMatch};
//!
//! let below = RequestMatch {
//!     path: PathMatch::Below("/v2".into()),
//!     ..RequestMatch::default()
//! };
//! let headers = HeaderMap::new();
//! assert!(below.matches(&Head::new("GET", "web:80", "/v2/items?all", &headers)));
//! assert!(!below.matches(&Head::new("GET", "web:80", "/v2example", &headers)));
//! ```

mod head;
mod of_request;
mod path;
mod regex;
mod request_match;
mod text;

pub use head::{Claims, Head, split_port};
pub use path::PathMatch;
pub use regex::{InvalidRegex, Regex};
pub use request_match::{ClaimMatch, HeaderMatch, Polarity, QueryMatch, RequestMatch};
pub use text::TextMatch;
