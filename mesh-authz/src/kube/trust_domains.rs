//! The trust domains that a mesh takes for one.

use mesh_core::identity::TrustDomain;
use mesh_core::name::Name;

use crate::spec::{MatchSpec, PolicySpec, StringMatch};

/// The trust domain that stands for the mesh's own one in policies, whatever it is called.
const CLUSTER_LOCAL: &str = "cluster.local";

/// The segments of an identity without its scheme: `TD/ns/NS/sa/SA`.
const SEGMENTS: usize = 5;

/// The trust domain of a mesh and its aliases: identities that differ in nothing else are the same
/// to policies.
///
/// Source: Istio's `meshConfig.trustDomain` and `trustDomainAliases`.
///
/// ```
/// use mesh_authz::kube::TrustDomains;
/// use mesh_authz::spec::StringMatch;
///
/// let domains = TrustDomains::new("td2".parse()?, ["old".parse()?]);
/// let expanded = domains.principals(&[StringMatch::exact("old/ns/shop/sa/cart")?]);
/// let texts: Vec<_> = expanded.iter().map(ToString::to_string).collect();
/// assert_eq!(texts, ["td2/ns/shop/sa/cart", "old/ns/shop/sa/cart"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustDomains {
    /// The mesh's own one first; never empty.
    all: Box<[TrustDomain]>,
}

impl TrustDomains {
    /// The trust domain of a mesh, and its aliases.
    #[must_use]
    pub fn new(own: TrustDomain, aliases: impl IntoIterator<Item = TrustDomain>) -> Self {
        let mut all = vec![own];
        for alias in aliases {
            if !all.contains(&alias) {
                all.push(alias);
            }
        }
        Self { all: all.into() }
    }

    /// All of them, the mesh's own one first.
    pub fn iter(&self) -> impl Iterator<Item = &TrustDomain> {
        self.all.iter()
    }

    /// Lets a policy mean all aliases wherever it means one: in principals and trust domains,
    /// excluded ones too. Namespaces and service accounts are of every trust domain anyway.
    ///
    /// It is the same for connections and requests, and for policies of any source.
    #[must_use]
    pub fn expand(&self, mut policy: PolicySpec) -> PolicySpec {
        let clauses = policy.rules.iter_mut().flat_map(|rule| &mut rule.clauses);
        for each in clauses.flat_map(|clause| &mut clause.matches) {
            self.expand_match(each);
        }
        policy
    }

    fn expand_match(&self, each: &mut MatchSpec) {
        for principals in [&mut each.principals, &mut each.not_principals] {
            *principals = self.principals(principals);
        }
        for domains in [&mut each.trust_domains, &mut each.not_trust_domains] {
            *domains = self.trust_domains(domains);
        }
    }

    /// Principals with those of the aliases.
    ///
    /// Only what looks like a whole identity, `TD/ns/NS/sa/SA`, and does not begin with `*/` is
    /// about a trust domain. It is about the mesh's own one when it is one of them, is
    /// `cluster.local`, or is a pattern that one of them fits. A pattern `*-td` stays for those that
    /// it fits already.
    #[must_use]
    pub fn principals(&self, from: &[StringMatch]) -> Vec<StringMatch> {
        let mut all = Vec::with_capacity(from.len());
        for each in from {
            self.principal(each, &mut all);
        }
        all
    }

    fn principal(&self, from: &StringMatch, to: &mut Vec<StringMatch>) {
        let text = from.to_string();
        let Some((domain, rest)) = domain_of(&text).filter(|(domain, _)| self.means_us(domain))
        else {
            push_new(to, from.clone());
            return;
        };
        for each in &self.all {
            let covered = domain
                .strip_prefix('*')
                .is_some_and(|end| each.as_str().ends_with(end));
            let expanded = StringMatch::parse(&format!("{each}/{rest}"));
            match expanded {
                Ok(expanded) if !covered => push_new(to, expanded),
                _ => push_new(to, from.clone()),
            }
        }
    }

    /// Trust domains with the aliases. Only what is exactly one of them is about the mesh.
    #[must_use]
    pub fn trust_domains(&self, from: &[StringMatch]) -> Vec<StringMatch> {
        let mut all = Vec::with_capacity(from.len());
        for each in from {
            let ours = matches!(each, StringMatch::Exact(text) if self.contains(text));
            if !ours {
                push_new(&mut all, each.clone());
                continue;
            }
            for domain in &self.all {
                push_new(&mut all, StringMatch::Exact(Name::from(domain.as_str())));
            }
        }
        all
    }

    fn contains(&self, domain: &str) -> bool {
        self.all.iter().any(|each| each.as_str() == domain)
    }

    /// Whether the first segment of a principal stands for the trust domain of the mesh.
    fn means_us(&self, domain: &str) -> bool {
        let fits = |each: &TrustDomain| {
            let each = each.as_str();
            each == domain
                || domain
                    .strip_prefix('*')
                    .is_some_and(|end| each.ends_with(end))
                || domain
                    .strip_suffix('*')
                    .is_some_and(|start| each.starts_with(start))
        };
        domain == CLUSTER_LOCAL || self.all.iter().any(fits)
    }
}

/// The trust domain that a principal asks for, and what follows its slash.
fn domain_of(principal: &str) -> Option<(&str, &str)> {
    if principal.split('/').count() != SEGMENTS {
        return None;
    }
    principal
        .split_once('/')
        .filter(|(domain, _)| *domain != "*")
}

fn push_new(all: &mut Vec<StringMatch>, one: StringMatch) {
    if !all.contains(&one) {
        all.push(one);
    }
}
