//! What a policy does: its action, its external authorizer, whether it is a dry run.

use mesh_core::name::Name;

use super::convert::Conversion;
use super::{ActionWord, AuthorizationPolicySpec};
use crate::kube::caution::Caution;
use crate::kube::fault::Fault;
use crate::kube::meta::Labels;
use crate::kube::path::Path;
use crate::spec::Action;

/// The annotation that makes a policy a dry run.
const DRY_RUN: &str = "istio.io/dry-run";

/// The longest name of a provider, in bytes. Source: RFC 1123, a label.
const MAX_PROVIDER: usize = 63;

impl From<ActionWord> for Action {
    fn from(word: ActionWord) -> Self {
        match word {
            ActionWord::Allow => Self::Allow,
            ActionWord::Deny => Self::Deny,
            ActionWord::Audit => Self::Audit,
            ActionWord::Custom => Self::Custom,
        }
    }
}

impl Conversion<'_> {
    /// The external authorizer; there is one exactly when the action is CUSTOM.
    pub(super) fn provider(&mut self, spec: &AuthorizationPolicySpec) -> Option<Name> {
        let root = Path::root("spec");
        let at = root.field("provider");
        let name = spec
            .provider
            .as_ref()
            .map(|provider| provider.name.as_str());
        match (self.action, name) {
            (Action::Custom, Some(name)) if is_label(name) => return Some(name.into()),
            (Action::Custom, Some(_)) => self.found.fault(&at.field("name"), Fault::ProviderName),
            (Action::Custom, None) => {
                self.found.fault(
                    &at,
                    Fault::Missing {
                        field: "provider.name",
                    },
                );
            }
            (_, Some(_)) => self.found.fault(&at, Fault::Provider),
            (_, None) => {}
        }
        None
    }

    /// Whether a policy is a dry run. What is not a boolean is not taken for one: the policy is
    /// enforced, as istiod does with objects that its webhook has not seen.
    pub(super) fn dry_run(&mut self, annotations: &Labels) -> bool {
        let Some(text) = annotations.get(DRY_RUN) else {
            return false;
        };
        let metadata = Path::root("metadata");
        let annotations = metadata.field("annotations");
        let at = annotations.key(DRY_RUN);
        if !matches!(self.action, Action::Allow | Action::Deny) {
            self.found.fault(&at, Fault::DryRunAction);
        }
        let boolean = boolean(text);
        if boolean.is_none() {
            let found = text.as_str().into();
            self.found.caution(&at, Caution::DryRunValue { found });
        }
        boolean.unwrap_or(false)
    }
}

/// A DNS label: 1 to 63 of `a-z`, `0-9` and `-`, without `-` at the ends. Source: RFC 1123.
fn is_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_PROVIDER).contains(&text.len())
        && text.bytes().all(inside)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A boolean as Go's `strconv.ParseBool` reads it.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
