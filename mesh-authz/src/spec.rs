//! Policies as a source of configuration delivers them: plain data, checked when it is compiled.
//!
//! The shape is that of Istio's `istio.security.Authorization`: a policy has rules, of which one
//! must match; a rule has clauses, of which all must match; a clause has matches, of which one
//! must match; a match has fields, all of which must agree.
//!
//! | level | with nothing in it |
//! |---|---|
//! | policy | never matches: an ALLOW then allows nothing, a DENY denies nothing |
//! | rule | matches everything |
//! | clause | matches everything |
//! | match | never matches |
//!
//! A field is a list of values and a list of excluded values. It agrees when the first is empty or
//! has a value that fits, and the second has none that fits. Without an identity no value of
//! `namespaces`, `principals`, `service_accounts` and `trust_domains` fits; the same holds for
//! every other field whose attribute is not there, such as claims without a token.

mod policy;
mod request;
mod template;
mod values;

pub use policy::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope};
pub use request::{
    ClaimMatch, HeaderMatch, InvalidPath, MetadataMatch, PathMatch, RequestPrincipalMatch,
};
pub use template::{InvalidTemplate, PathTemplate, TemplateCharset, TemplateSegment};
pub(crate) use template::{template_matches, template_prefix};
pub use values::{ServiceAccountMatch, StringMatch, cidr, port};
