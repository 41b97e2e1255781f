//! The policies of a local file: their shape, and what they become.

use ipnet::IpNet;
use mesh_authz::Limits;
use mesh_authz::spec::{
    Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, ServiceAccountMatch, StringMatch,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::value::{Port, Text};

/// Rules, of which one must match; clauses, of which all must; matches, of which one must.
type Rules = Vec<Vec<Vec<Match>>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Policy {
    name: String,
    namespace: String,
    scope: ScopeWord,
    action: ActionWord,
    rules: Rules,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum ScopeWord {
    Global,
    Namespace,
    WorkloadSelector,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum ActionWord {
    Allow,
    Deny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Match {
    namespaces: Vec<StringWord>,
    not_namespaces: Vec<StringWord>,
    service_accounts: Vec<AccountWord>,
    not_service_accounts: Vec<AccountWord>,
    principals: Vec<StringWord>,
    not_principals: Vec<StringWord>,
    source_ips: Vec<Text<IpNet>>,
    not_source_ips: Vec<Text<IpNet>>,
    destination_ips: Vec<Text<IpNet>>,
    not_destination_ips: Vec<Text<IpNet>>,
    destination_ports: Vec<Port>,
    not_destination_ports: Vec<Port>,
}

/// `!Exact v`, `!Prefix v`, `!Suffix v`, `!Presence []`.
#[derive(Debug)]
struct StringWord(StringMatch);

impl<'de> Deserialize<'de> for StringWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        enum Word {
            Exact(String),
            Prefix(String),
            Suffix(String),
            Presence(),
        }
        let read = match Word::deserialize(deserializer)? {
            Word::Exact(text) => StringMatch::exact(text),
            Word::Prefix(text) => StringMatch::prefix(text),
            Word::Suffix(text) => StringMatch::suffix(text),
            Word::Presence() => Ok(StringMatch::Presence),
        };
        read.map(Self).map_err(Error::custom)
    }
}

#[derive(Debug)]
struct AccountWord(ServiceAccountMatch);

impl<'de> Deserialize<'de> for AccountWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Word {
            namespace: String,
            service_account: String,
        }
        let word = Word::deserialize(deserializer)?;
        let read = ServiceAccountMatch::new(word.namespace, word.service_account);
        read.map(Self).map_err(Error::custom)
    }
}

impl From<Policy> for PolicySpec {
    fn from(from: Policy) -> Self {
        let scope = match from.scope {
            ScopeWord::Global => Scope::Global,
            ScopeWord::Namespace => Scope::Namespace,
            ScopeWord::WorkloadSelector => Scope::WorkloadSelector,
        };
        let action = match from.action {
            ActionWord::Allow => Action::Allow,
            ActionWord::Deny => Action::Deny,
        };
        let mut policy = Self::new(from.namespace, from.name, scope, action);
        policy.dry_run = from.dry_run;
        policy.rules = from.rules.into_iter().map(rule).collect();
        policy
    }
}

fn rule(clauses: Vec<Vec<Match>>) -> RuleSpec {
    let clause = |matches: Vec<Match>| ClauseSpec {
        matches: matches.into_iter().map(Into::into).collect(),
    };
    RuleSpec {
        clauses: clauses.into_iter().map(clause).collect(),
    }
}

impl From<Match> for MatchSpec {
    fn from(from: Match) -> Self {
        let texts = |words: Vec<StringWord>| words.into_iter().map(|word| word.0).collect();
        let accounts = |words: Vec<AccountWord>| words.into_iter().map(|word| word.0).collect();
        let ranges = |ranges: Vec<Text<IpNet>>| ranges.into_iter().map(|range| range.0).collect();
        let ports = |ports: Vec<Port>| ports.into_iter().map(|port| port.0).collect();
        Self {
            namespaces: texts(from.namespaces),
            not_namespaces: texts(from.not_namespaces),
            principals: texts(from.principals),
            not_principals: texts(from.not_principals),
            source_ips: ranges(from.source_ips),
            not_source_ips: ranges(from.not_source_ips),
            destination_ips: ranges(from.destination_ips),
            not_destination_ips: ranges(from.not_destination_ips),
            destination_ports: ports(from.destination_ports),
            not_destination_ports: ports(from.not_destination_ports),
            service_accounts: accounts(from.service_accounts),
            not_service_accounts: accounts(from.not_service_accounts),
            ..Self::default()
        }
    }
}

/// Why a policy would not be accepted: the field, and what is wrong with it.
pub(super) fn check(policy: &PolicySpec) -> Result<(), (String, String)> {
    let checked = mesh_authz::Policy::check(policy, &Limits::default());
    checked.map_err(|invalid| (invalid.place.to_string(), invalid.problem.to_string()))
}
