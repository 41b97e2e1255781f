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

/// What is compared, with what it must and must not be.
type Lists = (Dimension, Vec<Value>, Vec<Value>);

fn constraints(from: &MatchSpec) -> Vec<Constraint> {
    let all = of_peer(from).into_iter().chain(of_request(from));
    let set = all.filter(|(_, values, excluded)| !values.is_empty() || !excluded.is_empty());
    set.map(|(what, values, excluded)| Constraint {
        what,
        values,
        excluded,
    })
    .collect()
}

fn list<T: Clone>(what: &[T], value: impl Fn(T) -> Value) -> Vec<Value> {
    what.iter().cloned().map(value).collect()
}

/// Of the connection and its peer.
fn of_peer(from: &MatchSpec) -> [Lists; 9] {
    use Dimension as D;
    let texts = |what, yes: &[StringMatch], no: &[StringMatch]| {
        (what, list(yes, Value::Text), list(no, Value::Text))
    };
    let nets =
        |what, yes: &[IpNet], no: &[IpNet]| (what, list(yes, Value::Net), list(no, Value::Net));
    [
        texts(D::Namespace, &from.namespaces, &from.not_namespaces),
        texts(D::Principal, &from.principals, &from.not_principals),
        texts(D::TrustDomain, &from.trust_domains, &from.not_trust_domains),
        texts(D::Sni, &from.snis, &from.not_snis),
        nets(D::SourceIp, &from.source_ips, &from.not_source_ips),
        nets(D::RemoteIp, &from.remote_ips, &from.not_remote_ips),
        nets(
            D::DestinationIp,
            &from.destination_ips,
            &from.not_destination_ips,
        ),
        (
            D::ServiceAccount,
            list(&from.service_accounts, Value::Account),
            list(&from.not_service_accounts, Value::Account),
        ),
        (
            D::Port,
            list(&from.destination_ports, Value::Port),
            list(&from.not_destination_ports, Value::Port),
        ),
    ]
}

/// Of a request.
fn of_request(from: &MatchSpec) -> Vec<Lists> {
    use Dimension as D;
    let texts = |what, yes: &[StringMatch], no: &[StringMatch]| {
        (what, list(yes, Value::Text), list(no, Value::Text))
    };
    let mut all = vec![
        texts(D::Host, &from.hosts, &from.not_hosts),
        texts(D::Method, &from.methods, &from.not_methods),
        (
            D::Path,
            list(&from.paths, Value::Path),
            list(&from.not_paths, Value::Path),
        ),
        (
            D::RequestPrincipal,
            list(&from.request_principals, Value::RequestPrincipal),
            list(&from.not_request_principals, Value::RequestPrincipal),
        ),
    ];
    let headers = from.headers.iter();
    all.extend(headers.map(|one| texts(D::Header(one.name.clone()), &one.values, &one.not_values)));
    let claims = from.claims.iter();
    all.extend(claims.map(|one| texts(D::Claim(one.path.clone()), &one.values, &one.not_values)));
    let metadata = from.metadata.iter();
    all.extend(metadata.map(|one| {
        let what = D::Metadata(one.filter.clone(), one.key.clone());
        texts(what, &one.values, &one.not_values)
    }));
    all
}
