//! The rules for tokens that apply to somebody.

use mesh_authz::jwt::{Authenticator, JwksStore, JwtRule, Profile};
use mesh_authz::kube::TokenPolicy;

/// All rules of the policies together, or what is wrong with one.
pub(super) fn authenticator(
    policies: &[&TokenPolicy],
    keys: &JwksStore,
    profile: Profile,
) -> Result<Authenticator, String> {
    let mut rules = Vec::new();
    for policy in policies {
        for (at, written) in policy.rules.iter().enumerate() {
            let rule = JwtRule::try_from(written);
            let rule = rule
                .map_err(|error| format!("{}: spec.jwtRules[{at}]: {error}", policy.provenance))?;
            rules.push(rule);
        }
    }
    Authenticator::new(rules, keys, profile).map_err(|error| error.to_string())
}
