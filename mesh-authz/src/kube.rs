//! Istio's security resources as Kubernetes objects: read, checked, attached, converted.
//!
//! | step | by |
//! |---|---|
//! | text to object | [`Object::read`], from any serde format; unknown fields are errors |
//! | object to policy | [`AuthorizationPolicy::convert`] and its like: everything is checked, all faults are told |
//! | which apply | [`attachment`](Attachment) |
//!
//! # An object with a fault
//!
//! It is rejected as a whole, and its last good version stays in force. When there is none,
//! [`Profile`] decides: in `Strict` a policy takes its place that denies everything the object
//! could have been about ([`quarantine`](crate::quarantine)); in `Compat` it is skipped, as with
//! Istio.

mod attach;
mod authorization;
mod caution;
mod fault;
mod finding;
mod identifier;
mod map;
mod meta;
mod path;
mod peer;
mod projection;
mod provenance;
mod request;
mod selector;
mod settings;
mod timestamp;
mod trust_domains;

pub use attach::{Attached, Detached, GATEWAY_LABEL, Served, ServiceKind, Subject};
pub use authorization::{
    ActionWord, AttachmentFields, Authorization, AuthorizationPolicy, AuthorizationPolicySpec,
    Condition, Operation, Origin, Provider, Rule, RuleFrom, RuleTo, Source,
};
pub use caution::Caution;
pub use fault::Fault;
pub use finding::{Finding, Invalid};
pub use identifier::RuleId;
pub use meta::{Ignored, Labels, Metadata, Object, Unreadable};
pub use peer::{
    EffectiveMtls, Mtls, MtlsMode, MtlsPolicy, MtlsShape, PeerAuthentication,
    PeerAuthenticationSpec, PeerPolicy, static_strict,
};
pub use projection::{Exactness, L4Projection, UNSUPPORTED_VALUE, project_l4};
pub use provenance::Provenance;
pub use request::{
    ClaimToHeader, JwtHeader, JwtRule, KeySource, RequestAuthentication, RequestAuthenticationSpec,
    TokenPolicy, TokenRule,
};
pub use selector::{Attachment, Selector, Target, TargetKind, TargetRef};
pub use settings::{Profile, Settings};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use trust_domains::TrustDomains;
