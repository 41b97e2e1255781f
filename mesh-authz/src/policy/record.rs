//! A compiled policy.

use std::fmt;
use std::sync::Arc;

use super::bytes::{Reader, Writer};
use super::compile::compile;
use super::rule::Rule;
use super::values::text;
use crate::facts::Facts;
use crate::invalid::InvalidPolicy;
use crate::limits::Limits;
use crate::spec::{Action, PolicySpec, Scope};
use crate::truth::Truth;

/// A policy that has been checked and compiled. It never changes.
///
/// It is one row of bytes: what it is called and what it does, then its rules. Clones share it.
#[derive(Clone)]
pub struct Policy(Arc<[u8]>);

/// What stands before the rules.
#[derive(Clone, Copy)]
struct Head<'a> {
    flags: u8,
    version: u64,
    namespace: usize,
    key: &'a str,
    provider: &'a str,
    /// The number of rules, and where they begin.
    rules: usize,
    start: usize,
}

const DRY_RUN: u8 = 1 << 4;

impl Policy {
    /// Checks and compiles a policy.
    pub(crate) fn new(
        spec: &PolicySpec,
        limits: &Limits,
        version: u64,
    ) -> Result<Self, InvalidPolicy> {
        let rules = compile(spec, limits)?;
        let mut head = Writer::default();
        let scope = match spec.scope {
            Scope::Global => 0,
            Scope::Namespace => 1,
            Scope::WorkloadSelector => 2,
        };
        let action = match spec.action {
            Action::Allow => 0,
            Action::Deny => 1 << 2,
            Action::Audit => 2 << 2,
            Action::Custom => 3 << 2,
        };
        head.byte(scope | action | if spec.dry_run { DRY_RUN } else { 0 });
        head.number(version);
        head.length(spec.namespace.len());
        head.text(spec.key().as_bytes());
        head.text(spec.provider.as_deref().unwrap_or_default().as_bytes());
        head.length(spec.rules.len());
        head.0.extend_from_slice(&rules);
        Ok(Self(head.0.into()))
    }

    fn head(&self) -> Option<Head<'_>> {
        let mut reader = Reader(&self.0);
        let flags = reader.byte()?;
        let version = reader.number()?;
        let namespace = reader.length()?;
        let key = text(reader.text()?);
        let provider = text(reader.text()?);
        let rules = reader.length()?;
        Some(Head {
            flags,
            version,
            namespace,
            key,
            provider,
            rules,
            start: self.0.len().checked_sub(reader.0.len())?,
        })
    }

    /// Whether a store with these limits would take a policy.
    ///
    /// # Errors
    /// The first mistake of the policy.
    pub fn check(spec: &PolicySpec, limits: &Limits) -> Result<(), InvalidPolicy> {
        Self::new(spec, limits, 0).map(drop)
    }

    /// The key, `namespace/name`.
    #[must_use]
    pub fn key(&self) -> &str {
        self.head().map_or("", |head| head.key)
    }

    /// Namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        let head = self.head();
        head.and_then(|head| head.key.get(..head.namespace))
            .unwrap_or("")
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        let head = self.head();
        head.and_then(|head| head.key.get(head.namespace + 1..))
            .unwrap_or("")
    }

    /// The workloads that it applies to.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self.flags() & 3 {
            0 => Scope::Global,
            1 => Scope::Namespace,
            _ => Scope::WorkloadSelector,
        }
    }

    /// What it says.
    #[must_use]
    pub fn action(&self) -> Action {
        match self.flags() >> 2 & 3 {
            0 => Action::Allow,
            1 => Action::Deny,
            2 => Action::Audit,
            _ => Action::Custom,
        }
    }

    /// Whether it only reports what it would do.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.flags() & DRY_RUN != 0
    }

    fn flags(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// The external authorizer that is asked, of a CUSTOM policy.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        let provider = self.head()?.provider;
        (!provider.is_empty()).then_some(provider)
    }

    /// The number of rules.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.head().map_or(0, |head| head.rules)
    }

    /// The policy as plain data, for dumps: the same meaning, each list in the order and without
    /// the repetitions that compiling gives it.
    #[must_use]
    pub fn to_spec(&self) -> PolicySpec {
        PolicySpec {
            dry_run: self.dry_run(),
            provider: self.provider().map(Into::into),
            rules: self.rules().map(|(_, rule)| rule.to_spec()).collect(),
            ..PolicySpec::new(self.namespace(), self.name(), self.scope(), self.action())
        }
    }

    /// A number that no other policy, and no other version of this one, has in the store.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.head().map_or(0, |head| head.version)
    }

    /// Whether the rules allow; others lead to a denial or a question.
    pub(crate) fn allows(&self) -> bool {
        self.action() == Action::Allow
    }

    /// Each rule, with where it begins.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (u32, Rule<'_>)> {
        let start = self.head().map_or(self.0.len(), |head| head.start);
        let mut reader = Reader(self.0.get(start..).unwrap_or_default());
        std::iter::from_fn(move || {
            let place = self.0.len().checked_sub(reader.0.len())?;
            let rule = Rule(reader.text()?);
            Some((u32::try_from(place).ok()?, rule))
        })
    }

    /// The rule that begins at a place.
    pub(crate) fn rule_at(&self, place: u32) -> Option<Rule<'_>> {
        let bytes = self.0.get(usize::try_from(place).ok()?..)?;
        Reader(bytes).text().map(Rule)
    }

    /// The number of the rule that begins at a place.
    pub(crate) fn number_of(&self, place: u32) -> usize {
        self.rules().take_while(|(start, _)| *start < place).count()
    }

    /// Whether two policies with the same key say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let Some((a, b)) = self.head().zip(other.head()) else {
            return false;
        };
        (a.flags, a.key, a.provider) == (b.flags, b.key, b.provider)
            && self.0.get(a.start..) == other.0.get(b.start..)
    }

    /// Whether both are the same value, and not only equal.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where the first rule begins that is as true as any, looking at each, and how true that is.
    pub(crate) fn truest(&self, facts: &Facts<'_>) -> (Truth, u32) {
        let (mut greatest, mut at) = (Truth::False, 0);
        for (place, rule) in self.rules() {
            let truth = rule.truth(facts, self.allows());
            if truth > greatest {
                (greatest, at) = (truth, place);
            }
            if greatest == Truth::True {
                break;
            }
        }
        (greatest, at)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policy").field(&self.to_spec()).finish()
    }
}
