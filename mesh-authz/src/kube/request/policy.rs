//! What a `RequestAuthentication` says, checked.

use mesh_core::name::Name;

use super::{RequestAuthentication, TokenRule, rule};
use crate::kube::attach::Attached;
use crate::kube::caution::Caution;
use crate::kube::finding::{Finding, Findings, Invalid};
use crate::kube::path::Path;
use crate::kube::provenance::Provenance;
use crate::kube::selector::{Attachment, attachment};
use crate::kube::timestamp::Timestamp;

/// The most rules of one object.
const MAX_RULES: usize = 4096;

/// A `RequestAuthentication` that has been checked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenPolicy {
    /// Which object it is.
    pub provenance: Provenance,
    /// When it was created; one without is older than all others.
    pub created: Option<Timestamp>,
    /// What it applies to.
    pub attachment: Attachment,
    /// Issuers of tokens. All rules of all policies that apply count; see [`TokenRule::combine`].
    pub rules: Vec<TokenRule>,
    /// What is questionable about it.
    pub cautions: Vec<Finding<Caution>>,
}

impl RequestAuthentication {
    /// Checks everything.
    ///
    /// # Errors
    /// [`Invalid`] with all faults: whatever Istio's admission webhook or the schema of the
    /// resource rejects.
    ///
    /// ```
    /// use mesh_authz::kube::{Provenance, RequestAuthentication};
    ///
    /// let text = r#"{ "apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication",
    ///     "metadata": { "name": "idp", "namespace": "shop" },
    ///     "spec": { "jwtRules": [{ "issuer": "https://idp.example", "timeout": "soon" }] } }"#;
    /// let object = RequestAuthentication::read(&mut serde_json::Deserializer::from_str(text))?;
    /// let error = object.convert(Provenance::of(&object.metadata)).unwrap_err();
    /// assert_eq!(&*error.faults[0].field, "spec.jwtRules[0].timeout");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn convert(&self, provenance: Provenance) -> Result<TokenPolicy, Invalid> {
        let mut found = Findings::default();
        found.object_type(&self.api_version, &self.kind, "RequestAuthentication");
        found.key(&provenance);
        let spec = &self.spec;
        let (selector, target) = (spec.selector.as_ref(), spec.target_ref.as_ref());
        let attachment = attachment(selector, target, &spec.target_refs, &mut found);
        let root = Path::root("spec");
        let at = root.field("jwtRules");
        found.at_most(&at, MAX_RULES, spec.jwt_rules.len());
        let rules = spec.jwt_rules.iter().enumerate();
        let rules: Vec<_> = rules
            .filter_map(|(index, rule)| rule::read(rule, &at.index(index), &mut found))
            .collect();
        Ok(TokenPolicy {
            created: self.metadata.creation_timestamp,
            attachment,
            rules,
            cautions: found.close(&provenance)?,
            provenance,
        })
    }
}

impl Attached for TokenPolicy {
    fn namespace(&self) -> &Name {
        &self.provenance.namespace
    }
    fn name(&self) -> &Name {
        &self.provenance.name
    }
    fn created(&self) -> Option<Timestamp> {
        self.created
    }
    fn attachment(&self) -> &Attachment {
        &self.attachment
    }
}

impl TokenRule {
    /// The rules of all policies that apply, sorted by issuer: policies add to each other, and none
    /// takes the place of another.
    #[must_use]
    pub fn combine<'p>(policies: impl IntoIterator<Item = &'p TokenPolicy>) -> Vec<&'p Self> {
        let mut all: Vec<_> = policies
            .into_iter()
            .flat_map(|policy| &policy.rules)
            .collect();
        all.sort_by_key(|rule| rule.issuer.clone());
        all
    }
}
