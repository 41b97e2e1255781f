//! `AuthorizationPolicy`: its fields as they are written, and what it becomes.

mod action;
mod condition;
mod convert;
mod object;
mod operation;
mod source;
mod unknown;
mod values;

pub use convert::{Authorization, Origin};
pub use object::{
    ActionWord, AuthorizationPolicy, AuthorizationPolicySpec, Condition, Operation, Provider, Rule,
    RuleFrom, RuleTo, Source,
};
pub use unknown::AttachmentFields;
