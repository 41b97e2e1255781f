//! One match: its fields, one after the other.

use std::net::IpAddr;

use ipnet::IpNet;
use mesh_core::identity::SpiffeId;

use super::question::{PlainFacts, PlainTruth};
use crate::connection::Connection;
use crate::request::Request;
use crate::spec::{MatchSpec, StringMatch, TemplateCharset};

pub(super) fn truth(one: &MatchSpec, facts: &PlainFacts<'_>, allows: bool) -> PlainTruth {
    if *one == MatchSpec::default() || !connection_fits(one, facts) {
        return PlainTruth::False;
    }
    let fits = match facts.request {
        Some(request) => request_fits(one, facts, request, allows),
        None if asks_for_request(one) => return PlainTruth::Unknown,
        None => true,
    };
    if fits {
        PlainTruth::True
    } else {
        PlainTruth::False
    }
}

fn asks_for_request(one: &MatchSpec) -> bool {
    let texts = [&one.methods, &one.not_methods, &one.hosts, &one.not_hosts];
    texts.iter().any(|list| !list.is_empty())
        || !(one.paths.is_empty() && one.not_paths.is_empty())
        || !(one.request_principals.is_empty() && one.not_request_principals.is_empty())
        || !(one.headers.is_empty() && one.claims.is_empty() && one.metadata.is_empty())
}

fn connection_fits(one: &MatchSpec, facts: &PlainFacts<'_>) -> bool {
    let connection: &Connection<'_> = facts.connection;
    let identity = connection.identity;
    let text = |wanted: &StringMatch, text: Option<&str>| text.is_some_and(|t| wanted.matches(t));
    let namespace = identity.map(|id| id.namespace().as_str());
    let domain = identity.map(|id| id.trust_domain().as_str());
    let principal = identity.map(principal);
    let principal = principal.as_deref();
    let port = connection.destination.port();
    let remote = connection.remote;
    field(&one.namespaces, &one.not_namespaces, |wanted| {
        let wildcards = facts.semantics.namespace_wildcards;
        text(wanted, namespace)
            || wildcards
                && namespace.is_some_and(|text| {
                    !text.is_empty() && wildcard(wanted.to_string().as_bytes(), text.as_bytes())
                })
    }) && field(&one.trust_domains, &one.not_trust_domains, |wanted| {
        text(wanted, domain)
    }) && field(&one.principals, &one.not_principals, |wanted| {
        text(wanted, principal)
    }) && field(
        &one.service_accounts,
        &one.not_service_accounts,
        |account| {
            identity.is_some_and(|id| {
                account.namespace == *id.namespace()
                    && account.service_account == *id.service_account()
            })
        },
    ) && field(&one.source_ips, &one.not_source_ips, |net| {
        contains(net, connection.source)
    }) && field(&one.remote_ips, &one.not_remote_ips, |net| {
        remote.is_some_and(|ip| contains(net, ip))
    }) && field(&one.destination_ips, &one.not_destination_ips, |net| {
        contains(net, connection.destination.ip())
    }) && field(
        &one.destination_ports,
        &one.not_destination_ports,
        |wanted| *wanted == port,
    ) && field(&one.snis, &one.not_snis, |wanted| {
        text(wanted, connection.sni)
    })
}

fn request_fits(
    one: &MatchSpec,
    facts: &PlainFacts<'_>,
    request: &Request<'_>,
    allows: bool,
) -> bool {
    let path = request.target.map(|target| target.path());
    let charset = |wide: bool| {
        if wide && facts.semantics.wide_templates {
            TemplateCharset::AnyButSlash
        } else {
            TemplateCharset::Compat
        }
    };
    let principal = request
        .claims
        .and_then(|claims| claims.issuer().zip(claims.subject()));
    field(&one.methods, &one.not_methods, |wanted| {
        wanted.matches(request.method)
    }) && two(&one.hosts, &one.not_hosts, |wanted, excludes| {
        let wide = allows == excludes && facts.semantics.host_without_port;
        host(wanted, request.host, wide)
    }) && two(&one.paths, &one.not_paths, |wanted, excludes| {
        path.is_some_and(|path| wanted.matches(path, charset(allows == excludes)))
    }) && field(
        &one.request_principals,
        &one.not_request_principals,
        |wanted| principal.is_some_and(|(issuer, subject)| wanted.matches(issuer, subject)),
    ) && one.headers.iter().all(|condition| {
        two(
            &condition.values,
            &condition.not_values,
            |wanted, excludes| header(wanted, &condition.name, facts, request, allows == excludes),
        )
    }) && one.claims.iter().all(|condition| {
        field(&condition.values, &condition.not_values, |wanted| {
            let claims = request.claims;
            claims.is_some_and(|claims| {
                claims
                    .strings(&condition.path)
                    .any(|text| wanted.matches(text))
            })
        })
    }) && one.metadata.iter().all(|condition| {
        field(&condition.values, &condition.not_values, |wanted| {
            let (filter, key) = (&condition.filter, &condition.key);
            let fits = |text: &str| wanted.matches(text);
            if condition.element {
                request.metadata.element(filter, key, &fits)
            } else {
                request.metadata.text(filter, key, &fits)
            }
        })
    })
}

fn field<T>(wanted: &[T], excluded: &[T], fits: impl Fn(&T) -> bool) -> bool {
    two(wanted, excluded, |value, _| fits(value))
}

fn two<T>(wanted: &[T], excluded: &[T], fits: impl Fn(&T, bool) -> bool) -> bool {
    (wanted.is_empty() || wanted.iter().any(|one| fits(one, false)))
        && !excluded.iter().any(|one| fits(one, true))
}

fn host(wanted: &StringMatch, host: &str, wide: bool) -> bool {
    let host = host.to_ascii_lowercase();
    let wanted = match wanted {
        StringMatch::Exact(text) => StringMatch::Exact(text.to_ascii_lowercase().into()),
        StringMatch::Prefix(text) => StringMatch::Prefix(text.to_ascii_lowercase().into()),
        StringMatch::Suffix(text) => StringMatch::Suffix(text.to_ascii_lowercase().into()),
        StringMatch::Presence => StringMatch::Presence,
    };
    let mut bare = host.as_str();
    if let Some((name, port)) = bare.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        bare = name;
    }
    bare = bare.strip_suffix('.').unwrap_or(bare);
    wanted.matches(&host) || wide && wanted.matches(bare)
}

fn header(
    wanted: &StringMatch,
    name: &str,
    facts: &PlainFacts<'_>,
    request: &Request<'_>,
    wide: bool,
) -> bool {
    let lines: Vec<String> = match name {
        ":method" => vec![request.method.to_owned()],
        ":authority" => vec![request.host.to_owned()],
        ":path" => request
            .target
            .map(|t| t.as_str().to_owned())
            .into_iter()
            .collect(),
        _ if name.starts_with(':') => Vec::new(),
        _ => {
            let lines = request.headers.get_all(name).iter();
            lines
                .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
                .collect()
        }
    };
    let empty = wide || !facts.semantics.header_not_empty;
    let fits = |text: &str| {
        wanted.matches(text) || empty && text.is_empty() && *wanted == StringMatch::Presence
    };
    let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    lines.iter().map(|line| trim(line)).any(|line| {
        let elements = wide && facts.semantics.header_elements;
        fits(&line) || elements && line.split(',').any(|element| fits(&trim(element)))
    })
}

/// Whether a text fits a pattern in which each `*` stands for anything.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'*', rest @ ..], [_, others @ ..]) => wildcard(rest, text) || wildcard(pattern, others),
        ([b'*', rest @ ..], []) => wildcard(rest, text),
        ([one, rest @ ..], [first, others @ ..]) => one == first && wildcard(rest, others),
        (_, []) => false,
    }
}

fn principal(id: &SpiffeId) -> String {
    let text = id.to_string();
    text.strip_prefix("spiffe://").unwrap_or(&text).to_owned()
}

/// A range of IPv4-mapped addresses is one of IPv4 addresses.
fn contains(net: &IpNet, ip: IpAddr) -> bool {
    let mapped = match ip {
        IpAddr::V4(v4) => IpNet::from(IpAddr::V6(v4.to_ipv6_mapped())),
        IpAddr::V6(_) => IpNet::from(ip),
    };
    net.contains(&ip) || net.prefix_len() >= 96 && net.contains(&mapped)
}
