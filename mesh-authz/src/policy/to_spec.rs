//! Compiled rules as plain data.

use mesh_core::name::Name;

use super::dimension::Dimension;
use super::field::{Field, SEPARATOR, Values};
use super::rule::{Clause, Match, Rule};
use super::values::{Accounts, RequestPrincipals, text};
use crate::spec::{
    ClaimMatch, ClauseSpec, HeaderMatch, MatchSpec, MetadataMatch, PathMatch, PathTemplate,
    RequestPrincipalMatch, RuleSpec, ServiceAccountMatch, StringMatch,
};

impl Rule<'_> {
    pub(crate) fn to_spec(self) -> RuleSpec {
        RuleSpec {
            clauses: self.clauses().map(Clause::to_spec).collect(),
        }
    }
}

impl Clause<'_> {
    fn to_spec(self) -> ClauseSpec {
        ClauseSpec {
            matches: self.matches().map(Match::to_spec).collect(),
        }
    }
}

impl Match<'_> {
    fn to_spec(self) -> MatchSpec {
        let mut spec = MatchSpec::default();
        for field in self.fields() {
            field.write_to(&mut spec);
        }
        spec
    }
}

impl Field<'_> {
    fn write_to(&self, spec: &mut MatchSpec) {
        match self.values() {
            Some(Values::Texts(texts)) => self.write_texts(texts.to_spec(), spec),
            Some(Values::Accounts(all)) => {
                let (wanted, excluded) =
                    (&mut spec.service_accounts, &mut spec.not_service_accounts);
                *pick(self.excludes, wanted, excluded) = accounts(&all);
            }
            Some(Values::Ranges(ranges)) => {
                let (wanted, excluded) = match self.dimension {
                    Dimension::DestinationIp => {
                        (&mut spec.destination_ips, &mut spec.not_destination_ips)
                    }
                    Dimension::RemoteIp => (&mut spec.remote_ips, &mut spec.not_remote_ips),
                    _ => (&mut spec.source_ips, &mut spec.not_source_ips),
                };
                *pick(self.excludes, wanted, excluded) = ranges.iter().collect();
            }
            Some(Values::Ports(ports)) => {
                let (wanted, excluded) =
                    (&mut spec.destination_ports, &mut spec.not_destination_ports);
                *pick(self.excludes, wanted, excluded) = ports.iter().collect();
            }
            Some(Values::Paths(texts)) => {
                let templates = texts.templates();
                let texts = texts.to_spec().into_iter().map(PathMatch::Text);
                let templates = templates.filter_map(|t| PathTemplate::parse(text(t)).ok());
                let all = texts.chain(templates.map(PathMatch::Template)).collect();
                *pick(self.excludes, &mut spec.paths, &mut spec.not_paths) = all;
            }
            Some(Values::RequestPrincipals(all)) => {
                let (wanted, excluded) = (
                    &mut spec.request_principals,
                    &mut spec.not_request_principals,
                );
                *pick(self.excludes, wanted, excluded) = request_principals(&all);
            }
            None => {}
        }
    }

    fn write_texts(&self, texts: Vec<StringMatch>, spec: &mut MatchSpec) {
        let (wanted, excluded) = match self.dimension {
            Dimension::Namespace => (&mut spec.namespaces, &mut spec.not_namespaces),
            Dimension::TrustDomain => (&mut spec.trust_domains, &mut spec.not_trust_domains),
            Dimension::Sni => (&mut spec.snis, &mut spec.not_snis),
            Dimension::Method => (&mut spec.methods, &mut spec.not_methods),
            Dimension::Host => (&mut spec.hosts, &mut spec.not_hosts),
            Dimension::Header | Dimension::Claim | Dimension::Metadata => {
                return self.write_condition(texts, spec);
            }
            _ => (&mut spec.principals, &mut spec.not_principals),
        };
        *pick(self.excludes, wanted, excluded) = texts;
    }

    /// A condition has one field or two: the second is the excluded values of the first.
    fn write_condition(&self, texts: Vec<StringMatch>, spec: &mut MatchSpec) {
        let mut names = self.name.split(SEPARATOR).map(Name::from);
        let (values, not_values) = if self.excludes {
            (Vec::new(), texts)
        } else {
            (texts, Vec::new())
        };
        match self.dimension {
            Dimension::Header => spec.headers.push(HeaderMatch {
                name: self.name.into(),
                values,
                not_values,
            }),
            Dimension::Claim => spec.claims.push(ClaimMatch {
                path: names.collect(),
                values,
                not_values,
            }),
            _ => spec.metadata.push(MetadataMatch {
                filter: names.next().unwrap_or_default(),
                key: names.next().unwrap_or_default(),
                element: names.next().is_some(),
                values,
                not_values,
            }),
        }
    }
}

fn pick<T>(excludes: bool, wanted: T, excluded: T) -> T {
    if excludes { excluded } else { wanted }
}

fn accounts(all: &Accounts<'_>) -> Vec<ServiceAccountMatch> {
    let account = |(namespace, account)| ServiceAccountMatch {
        namespace: text(namespace).into(),
        service_account: text(account).into(),
    };
    all.iter().map(account).collect()
}

fn request_principals(all: &RequestPrincipals<'_>) -> Vec<RequestPrincipalMatch> {
    let one = |(issuer, subject): (Option<super::Form<'_>>, Option<super::Form<'_>>)| {
        Some(RequestPrincipalMatch {
            issuer: issuer?.to_spec(),
            subject: subject.map(super::Form::to_spec),
        })
    };
    all.iter().filter_map(one).collect()
}
