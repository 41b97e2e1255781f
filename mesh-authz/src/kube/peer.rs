//! `PeerAuthentication`: its fields as they are written, what it comes to, what it becomes.

mod compose;
mod encode;
mod object;
mod policy;

pub use compose::EffectiveMtls;
pub use encode::{MtlsPolicy, MtlsShape, static_strict};
pub use object::{Mtls, MtlsMode, PeerAuthentication, PeerAuthenticationSpec};
pub use policy::PeerPolicy;
