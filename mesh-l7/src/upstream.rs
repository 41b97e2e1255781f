//! What requests are forwarded to: the endpoints of a service's port, or of a subset of it, and how
//! they are used.

mod locality;
#[cfg(feature = "serve")]
mod maintain;
mod model;
mod settings;
mod table;

pub use locality::{
    LabelPreference, LocalityFailover, LocalityPattern, LocalityPreference, LocalityShares,
};
#[cfg(feature = "serve")]
pub use maintain::maintain;
pub use model::{Upstream, Upstreams};
pub use settings::{ClusterSettings, Hashing, Passthrough, Protocol};
pub use table::UpstreamTable;
