//! Rules as unions of boxes: conditions of which all must hold, one for each thing that is compared.

use ipnet::IpNet;
use mesh_core::name::Name;

use super::inclusion;
use crate::spec::{
    MatchSpec, PathMatch, RequestPrincipalMatch, RuleSpec, ServiceAccountMatch, StringMatch,
};

/// The most boxes that a rule is taken apart into; one with more is left alone.
const MOST: usize = 256;

/// Conditions of which all must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conditions(Vec<Constraint>);

/// A condition on one thing that is compared.
#[derive(Clone, Debug, PartialEq)]
struct Constraint {
    what: Dimension,
    values: Vec<Value>,
    excluded: Vec<Value>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Dimension {
    Namespace,
    Principal,
    ServiceAccount,
    TrustDomain,
    SourceIp,
    RemoteIp,
    DestinationIp,
    Port,
    Sni,
    Host,
    Method,
    Path,
    RequestPrincipal,
    Header(Name),
    Claim(Vec<Name>),
    Metadata(Name, Name),
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(StringMatch),
    Net(IpNet),
    Port(u16),
    Account(ServiceAccountMatch),
    Path(PathMatch),
    RequestPrincipal(RequestPrincipalMatch),
}

/// The boxes of a rule; `None` when there are too many.
pub(super) fn of_rule(rule: &RuleSpec) -> Option<Vec<Conditions>> {
    let mut boxes = vec![Conditions::default()];
    for clause in &rule.clauses {
        if clause.matches.is_empty() {
            continue;
        }
        let mut next = Vec::new();
        for known in &boxes {
            for one in &clause.matches {
                let mut both = known.clone();
                both.0.extend(constraints(one));
                next.push(both);
            }
        }
        if next.len() > MOST {
            return None;
        }
        boxes = next;
    }
    Some(boxes)
}

impl Conditions {
    /// Whether nothing meets them: known for certain.
    pub(super) fn are_unsatisfiable(&self) -> bool {
        let same =
            |one: &Constraint, other: &Constraint| one.what == other.what && one.what.is_single();
        self.0.iter().enumerate().any(|(at, one)| {
            let rest = self.0.get(at..).unwrap_or_default();
            rest.iter()
                .filter(|other| same(one, other))
                .any(|other| one.excludes(other) || other.excludes(one))
        })
    }

    /// Whether all that meets `narrow` meets these: known for certain.
    pub(super) fn cover(&self, narrow: &Self) -> bool {
        self.0.iter().all(|wide| {
            let same = narrow.0.iter().filter(|narrow| narrow.what == wide.what);
            let mut same = same.peekable();
            same.peek().is_some() && same.any(|narrow| wide.covers(narrow))
        })
    }
}

impl Dimension {
    /// Whether a request has one value of it at most, so that two conditions are about the same.
    fn is_single(&self) -> bool {
        !matches!(self, Self::Header(_) | Self::Claim(_) | Self::Metadata(..))
    }

    fn folds(&self) -> bool {
        *self == Self::Host
    }
}

impl Constraint {
    /// Whether what meets this cannot meet `other`.
    fn excludes(&self, other: &Self) -> bool {
        if self.values.is_empty() {
            return false;
        }
        let fold = self.what.folds();
        let barred = |value: &Value| other.excluded.iter().any(|wide| wide.covers(value, fold));
        let foreign = |value: &Value| {
            !other.values.is_empty()
                && other
                    .values
                    .iter()
                    .all(|theirs| value.is_disjoint(theirs, fold))
        };
        self.values
            .iter()
            .all(|value| barred(value) || foreign(value))
    }

    fn covers(&self, narrow: &Self) -> bool {
        let fold = self.what.folds();
        let within = |value: &Value| self.values.iter().any(|wide| wide.covers(value, fold));
        let values = self.values.is_empty()
            || (!narrow.values.is_empty() && narrow.values.iter().all(within));
        // What is excluded here must be out of reach there.
        let barred = |value: &Value| narrow.excluded.iter().any(|wide| wide.covers(value, fold));
        let apart = |value: &Value| {
            !narrow.values.is_empty()
                && narrow
                    .values
                    .iter()
                    .all(|theirs| theirs.is_disjoint(value, fold))
        };
        values
            && self
                .excluded
                .iter()
                .all(|value| barred(value) || apart(value))
    }
}

impl Value {
    fn covers(&self, narrow: &Self, fold: bool) -> bool {
        match (self, narrow) {
            (Self::Text(wide), Self::Text(narrow)) => inclusion::text(wide, narrow, fold),
            (Self::Net(wide), Self::Net(narrow)) => inclusion::net(wide, narrow),
            (Self::Path(wide), Self::Path(narrow)) => inclusion::path(wide, narrow),
            (wide, narrow) => wide == narrow,
        }
    }

    fn is_disjoint(&self, other: &Self, fold: bool) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => inclusion::texts_are_disjoint(one, other, fold),
            (Self::Net(one), Self::Net(other)) => !one.contains(other) && !other.contains(one),
            (Self::Path(one), Self::Path(other)) => inclusion::paths_are_disjoint(one, other),
            (Self::Port(one), Self::Port(other)) => one != other,
            (Self::Account(one), Self::Account(other)) => one != other,
            _ => false,
        }
    }
}

fn constraints(from: &MatchSpec) -> Vec<Constraint> {
    use Dimension as D;
    let texts = |list: &[StringMatch]| list.iter().cloned().map(Value::Text).collect::<Vec<_>>();
    let nets = |list: &[IpNet]| list.iter().copied().map(Value::Net).collect::<Vec<_>>();
    let ports = |list: &[u16]| list.iter().copied().map(Value::Port).collect::<Vec<_>>();
    let paths = |list: &[PathMatch]| list.iter().cloned().map(Value::Path).collect::<Vec<_>>();
    let accounts =
        |list: &[ServiceAccountMatch]| list.iter().cloned().map(Value::Account).collect::<Vec<_>>();
    let tokens = |list: &[RequestPrincipalMatch]| {
        list.iter()
            .cloned()
            .map(Value::RequestPrincipal)
            .collect::<Vec<_>>()
    };
    let fixed = [
        (
            D::Namespace,
            texts(&from.namespaces),
            texts(&from.not_namespaces),
        ),
        (
            D::Principal,
            texts(&from.principals),
            texts(&from.not_principals),
        ),
        (
            D::ServiceAccount,
            accounts(&from.service_accounts),
            accounts(&from.not_service_accounts),
        ),
        (
            D::TrustDomain,
            texts(&from.trust_domains),
            texts(&from.not_trust_domains),
        ),
        (
            D::SourceIp,
            nets(&from.source_ips),
            nets(&from.not_source_ips),
        ),
        (
            D::RemoteIp,
            nets(&from.remote_ips),
            nets(&from.not_remote_ips),
        ),
        (
            D::DestinationIp,
            nets(&from.destination_ips),
            nets(&from.not_destination_ips),
        ),
        (
            D::Port,
            ports(&from.destination_ports),
            ports(&from.not_destination_ports),
        ),
        (D::Sni, texts(&from.snis), texts(&from.not_snis)),
        (D::Host, texts(&from.hosts), texts(&from.not_hosts)),
        (D::Method, texts(&from.methods), texts(&from.not_methods)),
        (D::Path, paths(&from.paths), paths(&from.not_paths)),
        (
            D::RequestPrincipal,
            tokens(&from.request_principals),
            tokens(&from.not_request_principals),
        ),
    ];
    let headers = from.headers.iter().map(|one| {
        (
            D::Header(one.name.clone()),
            texts(&one.values),
            texts(&one.not_values),
        )
    });
    let claims = from.claims.iter().map(|one| {
        (
            D::Claim(one.path.clone()),
            texts(&one.values),
            texts(&one.not_values),
        )
    });
    let metadata = from.metadata.iter().map(|one| {
        (
            D::Metadata(one.filter.clone(), one.key.clone()),
            texts(&one.values),
            texts(&one.not_values),
        )
    });
    let all = fixed
        .into_iter()
        .chain(headers)
        .chain(claims)
        .chain(metadata);
    let set = all.filter(|(_, values, excluded)| !values.is_empty() || !excluded.is_empty());
    set.map(|(what, values, excluded)| Constraint {
        what,
        values,
        excluded,
    })
    .collect()
}
