//! Token rules.

use super::finding::{Lint, LintRule};
use super::inventory::Inventory;
use crate::kube::{Caution, KeySource, TokenRule};

pub(super) fn lint(mesh: &Inventory, found: &mut Vec<Lint>) {
    for policy in &mesh.tokens {
        let from = &policy.provenance;
        let mut tell = |at: usize, field: &str, message: String| {
            let field = format!("spec.jwtRules[{at}]{field}");
            found.push(Lint::new(LintRule::TokenRules, from, field, message));
        };
        for (at, rule) in policy.rules.iter().enumerate() {
            if rule.issuer.is_none() {
                let message =
                    "without an issuer every token that is signed with these keys is accepted";
                tell(at, ".issuer", message.to_owned());
            }
            if rule.audiences.is_empty() {
                let message = "without audiences tokens for other services are accepted";
                tell(at, ".audiences", message.to_owned());
            }
            if let KeySource::Inline(keys) = &rule.keys
                && keys.contains("\"oct\"")
            {
                let message = "a symmetric key: who can check tokens can make them";
                tell(at, ".jwks", message.to_owned());
            }
            let before = policy.rules.iter().take(at);
            if let Some(other) = before.into_iter().find(|other| same_place(other, rule)) {
                let issuer = other.issuer.as_deref().unwrap_or("one without issuer");
                let message = format!("looks for tokens where the rule of {issuer} does");
                tell(at, "", message);
            }
        }
        let private = policy
            .cautions
            .iter()
            .filter(|caution| caution.what == Caution::PrivateKey);
        for caution in private {
            found.push(Lint::new(
                LintRule::TokenRules,
                from,
                &caution.field,
                &caution.what,
            ));
        }
    }
}

/// Whether two rules look for tokens in one place of a request.
fn same_place(one: &TokenRule, other: &TokenRule) -> bool {
    let places = |rule: &TokenRule| {
        let headers = rule.from_headers.iter().map(|header| {
            format!(
                "header {} {}",
                header.name.to_ascii_lowercase(),
                header.prefix
            )
        });
        let params = rule.from_params.iter().map(|name| format!("param {name}"));
        let cookies = rule
            .from_cookies
            .iter()
            .map(|name| format!("cookie {name}"));
        let mut all: Vec<String> = headers.chain(params).chain(cookies).collect();
        if all.is_empty() {
            all.push("default".to_owned());
        }
        all
    };
    let others = places(other);
    places(one).iter().any(|place| others.contains(place))
}
