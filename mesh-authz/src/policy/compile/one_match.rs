//! The fields of a match.

use std::borrow::Cow;
use std::fmt::{self, Display};

use ipnet::IpNet;

use super::{Compiler, Mistake};
use crate::invalid::Problem;
use crate::policy::bytes::Writer;
use crate::policy::dimension::Dimension;
use crate::policy::field::Field;
use crate::policy::list::List;
use crate::policy::values::{Accounts, Ports, Ranges, RequestPrincipals, Texts};
use crate::spec::{MatchSpec, PathMatch, RequestPrincipalMatch, ServiceAccountMatch, StringMatch};

impl Compiler<'_> {
    /// The fields that are set; those that are quick to compare come first.
    pub(super) fn one_match(&mut self, spec: &MatchSpec) -> Result<Vec<u8>, Mistake> {
        let mut fields = Writer::default();
        let ports = [&spec.destination_ports, &spec.not_destination_ports];
        for (excludes, list) in [false, true].into_iter().zip(ports) {
            self.count(list.len())?;
            if !list.is_empty() {
                let mut field = Field::begin(Dimension::DestinationPort, excludes, "");
                Ports::write(&mut field, list);
                fields.text(&field.0);
            }
        }
        for (dimension, wanted, excluded) in [
            (
                Dimension::DestinationIp,
                &spec.destination_ips,
                &spec.not_destination_ips,
            ),
            (Dimension::SourceIp, &spec.source_ips, &spec.not_source_ips),
            (Dimension::RemoteIp, &spec.remote_ips, &spec.not_remote_ips),
        ] {
            self.ranges(&mut fields, dimension, [wanted, excluded])?;
        }
        let accounts = [&spec.service_accounts, &spec.not_service_accounts];
        self.accounts(&mut fields, accounts)?;
        for (dimension, wanted, excluded) in [
            (Dimension::Namespace, &spec.namespaces, &spec.not_namespaces),
            (
                Dimension::TrustDomain,
                &spec.trust_domains,
                &spec.not_trust_domains,
            ),
            (Dimension::Principal, &spec.principals, &spec.not_principals),
            (Dimension::Sni, &spec.snis, &spec.not_snis),
            (Dimension::Method, &spec.methods, &spec.not_methods),
            (Dimension::Host, &spec.hosts, &spec.not_hosts),
        ] {
            self.texts(&mut fields, dimension, "", [wanted, excluded])?;
        }
        self.paths(&mut fields, [&spec.paths, &spec.not_paths])?;
        let principals = [&spec.request_principals, &spec.not_request_principals];
        self.request_principals(&mut fields, principals)?;
        self.conditions(&mut fields, spec)?;
        Ok(fields.0)
    }

    fn ranges(
        &mut self,
        fields: &mut Writer,
        dimension: Dimension,
        lists: [&Vec<IpNet>; 2],
    ) -> Result<(), Mistake> {
        for (excludes, list) in [false, true].into_iter().zip(lists) {
            self.count(list.len())?;
            if !list.is_empty() {
                let mut field = Field::begin(dimension, excludes, "");
                Ranges::write(&mut field, list);
                fields.text(&field.0);
            }
        }
        Ok(())
    }

    fn accounts(
        &mut self,
        fields: &mut Writer,
        lists: [&Vec<ServiceAccountMatch>; 2],
    ) -> Result<(), Mistake> {
        for (excludes, list) in [false, true].into_iter().zip(lists) {
            self.count(list.len())?;
            let place = Place {
                dimension: Dimension::ServiceAccount,
                excludes,
            };
            for (at, account) in list.iter().enumerate() {
                let place = format_args!("{place}[{at}]");
                let (namespace, account) = (&account.namespace, &account.service_account);
                if namespace.is_empty() || account.is_empty() {
                    return Err(Mistake::at(place, Problem::ServiceAccount));
                }
                self.text(place, namespace)?;
                self.text(place, account)?;
            }
            if !list.is_empty() {
                let mut field = Field::begin(Dimension::ServiceAccount, excludes, "");
                Accounts::write(&mut field, list);
                fields.text(&field.0);
            }
        }
        Ok(())
    }

    pub(super) fn texts(
        &mut self,
        fields: &mut Writer,
        dimension: Dimension,
        name: &str,
        lists: [&Vec<StringMatch>; 2],
    ) -> Result<(), Mistake> {
        for (excludes, list) in [false, true].into_iter().zip(lists) {
            self.count(list.len())?;
            let place = Place {
                dimension,
                excludes,
            };
            for (at, one) in list.iter().enumerate() {
                self.one_text(place, at, one)?;
            }
            if !list.is_empty() {
                let mut field = Field::begin(dimension, excludes, name);
                let list: Cow<'_, [StringMatch]> = match dimension {
                    Dimension::Host => list.iter().map(lower).collect(),
                    _ => Cow::Borrowed(list),
                };
                Texts::write(&mut field, list.iter());
                fields.text(&field.0);
            }
        }
        Ok(())
    }

    fn one_text(&self, place: Place, at: usize, one: &StringMatch) -> Result<(), Mistake> {
        match one {
            StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Suffix(text) => {
                self.text(format_args!("{place}[{at}]"), text)
            }
            StringMatch::Presence => Ok(()),
        }
    }

    fn paths(&mut self, fields: &mut Writer, lists: [&Vec<PathMatch>; 2]) -> Result<(), Mistake> {
        for (excludes, list) in [false, true].into_iter().zip(lists) {
            self.count(list.len())?;
            let place = Place {
                dimension: Dimension::Path,
                excludes,
            };
            let (mut texts, mut templates) = (Vec::new(), Vec::new());
            for (at, one) in list.iter().enumerate() {
                match one {
                    PathMatch::Text(text) => {
                        self.one_text(place, at, text)?;
                        texts.push(text);
                    }
                    PathMatch::Template(template) => {
                        self.text(format_args!("{place}[{at}]"), template.as_str())?;
                        templates.push(template.as_str());
                    }
                }
            }
            if !list.is_empty() {
                templates.sort_unstable();
                templates.dedup();
                let mut field = Field::begin(Dimension::Path, excludes, "");
                Texts::write(&mut field, texts.into_iter());
                List::write(&mut field, &templates);
                fields.text(&field.0);
            }
        }
        Ok(())
    }

    fn request_principals(
        &mut self,
        fields: &mut Writer,
        lists: [&Vec<RequestPrincipalMatch>; 2],
    ) -> Result<(), Mistake> {
        for (excludes, list) in [false, true].into_iter().zip(lists) {
            self.count(list.len())?;
            let place = Place {
                dimension: Dimension::RequestPrincipal,
                excludes,
            };
            for (at, one) in list.iter().enumerate() {
                self.one_text(place, at, &one.issuer)?;
                if let Some(subject) = &one.subject {
                    self.one_text(place, at, subject)?;
                }
            }
            if !list.is_empty() {
                let mut field = Field::begin(Dimension::RequestPrincipal, excludes, "");
                RequestPrincipals::write(&mut field, list);
                fields.text(&field.0);
            }
        }
        Ok(())
    }
}

/// Where a list is, as text.
#[derive(Clone, Copy)]
struct Place {
    dimension: Dimension,
    excludes: bool,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.excludes { "not_" } else { "" })?;
        f.write_str(self.dimension.field())
    }
}

fn lower(text: &StringMatch) -> StringMatch {
    match text {
        StringMatch::Exact(text) => StringMatch::Exact(text.to_ascii_lowercase().into()),
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_ascii_lowercase().into()),
        StringMatch::Suffix(text) => StringMatch::Suffix(text.to_ascii_lowercase().into()),
        StringMatch::Presence => StringMatch::Presence,
    }
}
