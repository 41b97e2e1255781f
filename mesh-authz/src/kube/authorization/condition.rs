//! What a condition becomes.

use mesh_core::name::Name;

use super::Condition;
use super::convert::Conversion;
use super::values::{self, account, port, range, request_principal, text, trust_domain};
use crate::claims::ClaimPath;
use crate::kube::fault::Fault;
use crate::kube::path::Path;
use crate::spec::{Action, ClaimMatch, HeaderMatch, MatchSpec, MetadataMatch, StringMatch};

/// Where the keys of tokens begin.
const AUTH: &str = "request.auth.";
const CLAIMS: &str = "request.auth.claims";
const HEADERS: &str = "request.headers";
/// Before the name of a filter.
const EXPERIMENTAL: &str = "experimental.";
const FILTERS: &str = "experimental.envoy.filters.";

/// The attribute of a condition.
enum Key {
    SourceIp,
    RemoteIp,
    SourceNamespace,
    SourceServiceAccount,
    SourcePrincipal,
    SourceTrustDomain,
    RequestPrincipal,
    DestinationIp,
    DestinationPort,
    Sni,
    Header(Name),
    Claim(Vec<Name>),
    Metadata { filter: Name, key: Name },
}

impl Key {
    fn read(from: &str) -> Result<Self, Fault> {
        Ok(match from {
            "source.ip" => Self::SourceIp,
            "remote.ip" => Self::RemoteIp,
            "source.namespace" => Self::SourceNamespace,
            "source.serviceAccount" => Self::SourceServiceAccount,
            "source.principal" => Self::SourcePrincipal,
            "source.trustDomain" => Self::SourceTrustDomain,
            "request.auth.principal" => Self::RequestPrincipal,
            "request.auth.audiences" => Self::Claim(vec!["aud".into()]),
            "request.auth.presenter" => Self::Claim(vec!["azp".into()]),
            "destination.ip" => Self::DestinationIp,
            "destination.port" => Self::DestinationPort,
            "connection.sni" => Self::Sni,
            _ if from.starts_with(HEADERS) => Self::header(from)?,
            _ if from.starts_with(CLAIMS) => {
                let path = ClaimPath::from_condition_key(from);
                let path = path.map_err(|_| Fault::BracketKey { found: from.into() })?;
                Self::Claim(path.names().to_vec())
            }
            _ if from.starts_with(FILTERS) => Self::metadata(from)?,
            _ => return Err(unknown(from)),
        })
    }

    fn header(from: &str) -> Result<Self, Fault> {
        let name = from
            .strip_prefix(HEADERS)
            .and_then(|rest| rest.strip_prefix('['));
        let name = name
            .and_then(|rest| rest.strip_suffix(']'))
            .filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Fault::BracketKey { found: from.into() })?;
        if !is_header(name) {
            return Err(Fault::HeaderName { found: name.into() });
        }
        Ok(Self::Header(name.to_ascii_lowercase().into()))
    }

    /// `experimental.envoy.filters.NAME[KEY]` of the filter `envoy.filters.NAME`.
    fn metadata(from: &str) -> Result<Self, Fault> {
        let whole = from
            .strip_prefix(EXPERIMENTAL)
            .and_then(|rest| rest.strip_suffix(']'));
        let parts = whole.and_then(|whole| whole.split_once('['));
        let parts = parts.filter(|(filter, key)| !filter.ends_with('.') && !key.is_empty());
        let (filter, key) = parts.ok_or_else(|| Fault::BracketKey { found: from.into() })?;
        Ok(Self::Metadata {
            filter: filter.into(),
            key: key.into(),
        })
    }

    /// Whether an external authorizer, which is asked first, may depend on it.
    fn is_for_custom(&self, text: &str) -> bool {
        let identity = matches!(
            self,
            Self::SourceNamespace
                | Self::SourceServiceAccount
                | Self::SourcePrincipal
                | Self::SourceTrustDomain
        );
        !identity && !text.starts_with(AUTH)
    }
}

impl Conversion<'_> {
    /// The alternatives that a condition is: one, but for metadata.
    pub(super) fn condition(&mut self, from: &Condition, at: &Path<'_>) -> Vec<MatchSpec> {
        if from.key.is_empty() {
            self.found.fault(&at.field("key"), Fault::EmptyText);
            return Vec::new();
        }
        if from.values.is_empty() && from.not_values.is_empty() {
            self.found.fault(at, Fault::NoValues);
        }
        let Some(key) = self.found.keep(&at.field("key"), Key::read(&from.key)) else {
            return Vec::new();
        };
        if self.action == Action::Custom && !key.is_for_custom(&from.key) {
            self.found.fault(&at.field("key"), Fault::NotWithCustom);
        }
        if matches!(key, Key::SourceNamespace) {
            self.inner_wildcards(&from.values, &at.field("values"));
            self.inner_wildcards(&from.not_values, &at.field("notValues"));
        }
        self.matches(key, from, at)
    }

    fn matches(&mut self, key: Key, from: &Condition, at: &Path<'_>) -> Vec<MatchSpec> {
        let mut to = MatchSpec::default();
        match key {
            Key::SourceIp => (to.source_ips, to.not_source_ips) = self.both(from, at, range),
            Key::RemoteIp => (to.remote_ips, to.not_remote_ips) = self.both(from, at, range),
            Key::DestinationIp => {
                (to.destination_ips, to.not_destination_ips) = self.both(from, at, range);
            }
            Key::DestinationPort => {
                (to.destination_ports, to.not_destination_ports) = self.both(from, at, port);
            }
            Key::SourceNamespace => (to.namespaces, to.not_namespaces) = self.both(from, at, text),
            Key::SourcePrincipal => (to.principals, to.not_principals) = self.both(from, at, text),
            Key::SourceServiceAccount => {
                let own = self.namespace.clone();
                let read = |each: &str| account(each, &own);
                (to.service_accounts, to.not_service_accounts) = self.both(from, at, read);
            }
            Key::SourceTrustDomain => {
                (to.trust_domains, to.not_trust_domains) = self.both(from, at, trust_domain);
            }
            Key::RequestPrincipal => {
                (to.request_principals, to.not_request_principals) =
                    self.both(from, at, request_principal);
            }
            Key::Sni => (to.snis, to.not_snis) = self.both(from, at, text),
            Key::Header(name) => {
                let (values, not_values) = self.both(from, at, text);
                to.headers.push(HeaderMatch {
                    name,
                    values,
                    not_values,
                });
            }
            Key::Claim(path) => {
                let (values, not_values) = self.both(from, at, text);
                to.claims.push(ClaimMatch {
                    path,
                    values,
                    not_values,
                });
            }
            Key::Metadata { filter, key } => return self.metadata(&filter, &key, from, at),
        }
        vec![to]
    }

    fn both<T>(
        &mut self,
        from: &Condition,
        at: &Path<'_>,
        read: impl Fn(&str) -> Result<T, Fault>,
    ) -> (Vec<T>, Vec<T>) {
        let values = values::list(&from.values, &at.field("values"), &mut self.found, &read);
        let not_values = &from.not_values;
        let not_values = values::list(not_values, &at.field("notValues"), &mut self.found, &read);
        (values, not_values)
    }

    /// A value in brackets is about the elements of a list, another one about a text. Where both
    /// forms are asked for, each is an alternative of its own; excluded values hold for all.
    fn metadata(
        &mut self,
        filter: &Name,
        key: &Name,
        from: &Condition,
        at: &Path<'_>,
    ) -> Vec<MatchSpec> {
        let (values, not_values) = self.both(from, at, metadata_value);
        let of = |all: &[(bool, StringMatch)], wanted: bool| -> Vec<StringMatch> {
            let of_form = all.iter().filter(|(element, _)| *element == wanted);
            of_form.map(|(_, value)| value.clone()).collect()
        };
        let entry = |element, values, not_values| MetadataMatch {
            filter: filter.clone(),
            key: key.clone(),
            element,
            values,
            not_values,
        };
        let excluded: Vec<_> = [false, true]
            .into_iter()
            .map(|element| entry(element, Vec::new(), of(&not_values, element)))
            .filter(|entry| !entry.not_values.is_empty())
            .collect();
        let wanted = [false, true].into_iter();
        let wanted = wanted.map(|element| entry(element, of(&values, element), Vec::new()));
        let mut all: Vec<_> = wanted
            .filter(|entry| !entry.values.is_empty())
            .map(|entry| vec![entry])
            .collect();
        if all.is_empty() {
            all.push(Vec::new());
        }
        let one = |mut metadata: Vec<_>| {
            metadata.extend(excluded.iter().cloned());
            MatchSpec {
                metadata,
                ..MatchSpec::default()
            }
        };
        all.into_iter().map(one).collect()
    }
}

/// Whether a value is about the elements of a list, and the value.
fn metadata_value(from: &str) -> Result<(bool, StringMatch), Fault> {
    let element = from.len() > 1 && from.starts_with('[') && from.ends_with(']');
    let inside = if element {
        from.trim_matches(['[', ']'])
    } else {
        from
    };
    Ok((element, text(inside)?))
}

/// A field name of HTTP, or one of the parts of a request that are written like headers.
fn is_header(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let name = name.strip_prefix(':').unwrap_or(name);
    !name.is_empty() && name.bytes().all(token)
}

fn unknown(from: &str) -> Fault {
    let instead = match from {
        "destination.namespace" => "the policy's own namespace says it",
        _ if from.starts_with("destination.labels") => "use the policy's selector",
        "destination.name" | "destination.user" => "use the policy's selector or targetRefs",
        _ => return Fault::UnknownKey { found: from.into() },
    };
    Fault::FormerKey {
        found: from.into(),
        instead,
    }
}
