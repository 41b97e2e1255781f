//! The names by which rules are known in logs and in Envoy's configuration.

use std::fmt;

/// The identifier of a rule, `ns[NAMESPACE]-policy[NAME]-rule[INDEX]`.
///
/// Source: Istio, which writes it into logs and Envoy's RBAC configuration.
///
/// ```
/// use mesh_authz::kube::RuleId;
///
/// let id = RuleId::new("shop", "allow-cart", 2);
/// assert_eq!(id.to_string(), "ns[shop]-policy[allow-cart]-rule[2]");
/// let custom = id.of_provider("my-authz");
/// assert_eq!(custom.to_string(), "istio-ext-authz-my-authz-ns[shop]-policy[allow-cart]-rule[2]");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RuleId<'a> {
    provider: Option<&'a str>,
    namespace: &'a str,
    name: &'a str,
    rule: usize,
    bad_provider: bool,
}

impl<'a> RuleId<'a> {
    /// The rule of a policy at an index from 0.
    #[must_use]
    pub fn new(namespace: &'a str, name: &'a str, rule: usize) -> Self {
        Self {
            provider: None,
            namespace,
            name,
            rule,
            bad_provider: false,
        }
    }

    /// The same rule as the trigger of an external authorizer.
    #[must_use]
    pub fn of_provider(mut self, provider: &'a str) -> Self {
        self.provider = Some(provider);
        self
    }

    /// The same rule of a CUSTOM policy as a denial, since its external authorizer cannot be asked.
    #[must_use]
    pub fn of_bad_provider(mut self) -> Self {
        self.provider = None;
        self.bad_provider = true;
        self
    }
}

impl fmt::Display for RuleId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(provider) = self.provider {
            write!(f, "istio-ext-authz-{provider}-")?;
        }
        let Self {
            namespace,
            name,
            rule,
            ..
        } = self;
        write!(f, "ns[{namespace}]-policy[{name}]-rule[{rule}]")?;
        if self.bad_provider {
            f.write_str("-deny-due-to-bad-CUSTOM-action")?;
        }
        Ok(())
    }
}
