//! Rules, their sources, operations and conditions (sections 1.4, 1.6, 1.7, 1.8 and 1.9.5).

use std::net::IpAddr;

use serde_json::Value;

use super::text::{address_fits, fits, fits_with_inner_stars, request_principal_fits};
use super::{Action, Conn, Mesh, Profile, Req, Truth, View, action_of, list, name_of};
use super::{template, trust};

/// Who asks for what, and where it is decided.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) mesh: &'a Mesh,
    pub(crate) view: View,
    pub(crate) conn: &'a Conn,
    pub(crate) req: Option<&'a Req>,
}

/// The attribute that values are compared with.
enum Attribute {
    Principal,
    Namespace,
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
    Header(String),
    Claim(Vec<String>),
    Metadata(String, String),
}

/// A rule: one of its sources, one of its operations, and all of its conditions.
pub(crate) fn rule(scene: &Scene<'_>, policy: &Value, rule: &Value) -> Truth {
    let action = action_of(policy);
    let of_sources = list(&rule["from"]).iter().map(|from| {
        let pairs = object(&from["source"]);
        pairs
            .map(|(field, values)| Test::of_field(field, values))
            .collect::<Vec<_>>()
    });
    let of_operations = list(&rule["to"]).iter().map(|to| {
        let pairs = object(&to["operation"]);
        pairs
            .map(|(field, values)| Test::of_field(field, values))
            .collect::<Vec<_>>()
    });
    let (sources, operations): (Vec<_>, Vec<_>) = (of_sources.collect(), of_operations.collect());
    let conditions: Vec<Vec<Test<'_>>> =
        list(&rule["when"]).iter().map(Test::of_condition).collect();

    let mut all = sources
        .iter()
        .chain(&operations)
        .chain(&conditions)
        .flatten();
    // What allows is never made to match more; what notes is left out where Strict notes at all.
    let narrow =
        action == Action::Allow || (action == Action::Audit && scene.view == View::Ztunnel);
    if narrow && all.any(|test| test.is_beyond(scene.view, scene.mesh.profile)) {
        return Truth::False;
    }
    let one_of = |entries: &[Vec<Test<'_>>]| {
        if entries.is_empty() {
            return Truth::True;
        }
        Truth::any(entries.iter().map(|tests| together(scene, policy, tests)))
    };
    let conditions = conditions
        .iter()
        .map(|tests| together(scene, policy, tests));
    Truth::all([
        one_of(&sources),
        one_of(&operations),
        Truth::all(conditions),
    ])
}

/// All tests of one source, operation or condition, less those that the view has taken out.
fn together(scene: &Scene<'_>, policy: &Value, tests: &[Test<'_>]) -> Truth {
    let kept = || {
        tests
            .iter()
            .filter(|test| !test.is_beyond(scene.view, scene.mesh.profile))
    };
    if kept().next().is_none() && !tests.is_empty() && scene.view == View::Ztunnel {
        // The wire form has an empty match, which never matches; Strict keeps the denial.
        return Truth::of(scene.mesh.profile == Profile::Strict);
    }
    Truth::all(kept().map(|test| test.holds(scene, policy)))
}

/// One list of values of one field.
struct Test<'a> {
    attribute: Attribute,
    in_when: bool,
    negative: bool,
    values: Vec<&'a str>,
}

impl<'a> Test<'a> {
    fn of_field(field: &'a str, values: &'a Value) -> Self {
        let positive = match field.strip_prefix("not") {
            Some(rest) => format!("{}{}", rest[..1].to_lowercase(), &rest[1..]),
            None => field.to_owned(),
        };
        let attribute = match positive.as_str() {
            "principals" => Attribute::Principal,
            "requestPrincipals" => Attribute::RequestPrincipal,
            "namespaces" => Attribute::Namespace,
            "serviceAccounts" => Attribute::ServiceAccount,
            "trustDomains" => Attribute::TrustDomain,
            "ipBlocks" => Attribute::SourceIp,
            "remoteIpBlocks" => Attribute::RemoteIp,
            "hosts" => Attribute::Host,
            "ports" => Attribute::Port,
            "methods" => Attribute::Method,
            "paths" => Attribute::Path,
            other => panic!("no field: {other}"),
        };
        Self {
            attribute,
            in_when: false,
            negative: field.starts_with("not"),
            values: texts(values),
        }
    }

    fn of_condition(condition: &'a Value) -> Vec<Self> {
        let key = condition["key"].as_str().unwrap();
        let one = |negative: bool, values: &'a Value| Self {
            attribute: attribute_of_key(key),
            in_when: true,
            negative,
            values: texts(values),
        };
        vec![
            one(false, &condition["values"]),
            one(true, &condition["notValues"]),
        ]
        .into_iter()
        .filter(|test| !test.values.is_empty())
        .collect()
    }

    /// Whether the place of the decision does not have this attribute at all.
    fn is_beyond(&self, view: View, profile: Profile) -> bool {
        if self.values.is_empty() {
            return false;
        }
        match view {
            View::Request | View::Connection => false,
            View::TcpChain => {
                self.is_of_request() && !matches!(self.attribute, Attribute::Metadata(..))
            }
            View::Ztunnel => {
                let carried = matches!(
                    self.attribute,
                    Attribute::Principal
                        | Attribute::Namespace
                        | Attribute::SourceIp
                        | Attribute::DestinationIp
                        | Attribute::Port
                );
                // The wire form has service accounts of sources, none of conditions, and no trust
                // domains; the node proxy of the Strict profile knows the whole identity.
                let of_identity = match self.attribute {
                    Attribute::ServiceAccount => !self.in_when || profile == Profile::Strict,
                    Attribute::TrustDomain => profile == Profile::Strict,
                    _ => false,
                };
                !carried && !of_identity
            }
        }
    }

    fn is_of_request(&self) -> bool {
        matches!(
            self.attribute,
            Attribute::Host
                | Attribute::Method
                | Attribute::Path
                | Attribute::RequestPrincipal
                | Attribute::Header(_)
                | Attribute::Claim(_)
                | Attribute::Metadata(..)
        )
    }

    fn holds(&self, scene: &Scene<'_>, policy: &Value) -> Truth {
        if self.values.is_empty() {
            return Truth::True;
        }
        if scene.view == View::Connection && self.is_of_request() {
            return Truth::Unknown;
        }
        // Where a match more can only mean a denial more.
        let denies = (action_of(policy) != Action::Allow) != self.negative;
        let wide = denies && scene.mesh.profile == Profile::Strict;
        let any = self
            .values
            .iter()
            .any(|value| self.fits(scene, policy, value, wide));
        let truth = Truth::of(any);
        if self.negative { truth.not() } else { truth }
    }

    /// Whether one value fits; an attribute that is absent fits none.
    fn fits(&self, scene: &Scene<'_>, policy: &Value, value: &str, wide: bool) -> bool {
        let Scene {
            mesh,
            view,
            conn,
            req,
        } = *scene;
        let plain =
            |text: Option<&str>| text.is_some_and(|text| fits(value.as_bytes(), text.as_bytes()));
        let ip =
            |address: Option<IpAddr>| address.is_some_and(|address| address_fits(value, address));
        let identity = conn.identity.as_deref();
        match &self.attribute {
            Attribute::Principal => trust::principals(mesh, value)
                .iter()
                .any(|value| identity.is_some_and(|id| fits(value.as_bytes(), id.as_bytes()))),
            Attribute::Namespace => {
                let namespace = identity.map(|id| parts(id).1);
                if view == View::Ztunnel {
                    plain(namespace)
                } else {
                    namespace.is_some_and(|text| {
                        fits_with_inner_stars(value.as_bytes(), text.as_bytes())
                    })
                }
            }
            Attribute::ServiceAccount => {
                let own = || name_of(policy).0;
                let wanted = value.split_once('/').unwrap_or_else(|| (own(), value));
                identity.is_some_and(|id| wanted == (parts(id).1, parts(id).2))
            }
            Attribute::TrustDomain => trust::domains(mesh, value).iter().any(|value| {
                identity.is_some_and(|id| fits(value.as_bytes(), parts(id).0.as_bytes()))
            }),
            Attribute::SourceIp => ip(Some(conn.source)),
            Attribute::RemoteIp => ip(conn.remote),
            Attribute::DestinationIp => ip(Some(conn.destination.ip())),
            Attribute::Port => value.parse() == Ok(conn.destination.port()),
            Attribute::Sni => plain(conn.sni.as_deref()),
            of_request => {
                req.is_some_and(|req| request_fits(of_request, req, value, mesh.profile, wide))
            }
        }
    }
}

fn request_fits(
    attribute: &Attribute,
    req: &Req,
    value: &str,
    profile: Profile,
    wide: bool,
) -> bool {
    let plain = |text: &str| fits(value.as_bytes(), text.as_bytes());
    match attribute {
        Attribute::Host => hosts(&req.host, wide).iter().any(|host| {
            fits(
                value.to_ascii_lowercase().as_bytes(),
                host.to_ascii_lowercase().as_bytes(),
            )
        }),
        Attribute::Method => plain(&req.method),
        Attribute::Path => req.path.as_deref().is_some_and(|path| {
            if template::is_template(value) {
                template::fits(value, path, wide)
            } else {
                plain(path)
            }
        }),
        Attribute::RequestPrincipal => req.claims.as_ref().is_some_and(|claims| {
            let text = |name: &str| claims.get(name).and_then(Value::as_str);
            let both = text("iss").zip(text("sub"));
            both.is_some_and(|(issuer, subject)| request_principal_fits(value, issuer, subject))
        }),
        Attribute::Header(name) => header_fits(req, name, value, profile, wide),
        Attribute::Claim(path) => claims(req, path).iter().any(|claim| plain(claim)),
        Attribute::Metadata(filter, key) => {
            let found = req.metadata.get(filter).and_then(|keys| keys.get(key));
            let element = value
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            found.is_some_and(|found| match element {
                Some(value) => list(found)
                    .iter()
                    .filter_map(Value::as_str)
                    .any(|text| fits(value.as_bytes(), text.as_bytes())),
                None => found.as_str().is_some_and(plain),
            })
        }
        _ => unreachable!("an attribute of the connection"),
    }
}

/// The host as it is, and where that can only deny more, without its port and one dot at the end.
fn hosts(host: &str, wide: bool) -> Vec<&str> {
    let mut hosts = vec![host];
    if wide {
        let port = host
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let bare = port.map_or(host, |(bare, _)| bare);
        hosts.push(bare.strip_suffix('.').unwrap_or(bare));
    }
    hosts
}

/// One line that fits is enough.
fn header_fits(req: &Req, name: &str, value: &str, profile: Profile, wide: bool) -> bool {
    let mut lines: Vec<&[u8]> = Vec::new();
    let whole = format!(
        "{}{}",
        req.path.as_deref().unwrap_or_default(),
        match &req.query {
            Some(query) => format!("?{query}"),
            None => String::new(),
        }
    );
    match name.to_ascii_lowercase().as_str() {
        ":method" => lines.push(req.method.as_bytes()),
        ":authority" | "host" => lines.push(req.host.as_bytes()),
        ":path" if req.path.is_some() => lines.push(whole.as_bytes()),
        name => {
            let named = req
                .headers
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(name));
            lines.extend(named.map(|(_, line)| line.as_slice()));
        }
    }
    lines.into_iter().map(trimmed).any(|line| {
        if value == "*" {
            return !line.is_empty() || profile == Profile::Compat || wide;
        }
        let elements = || line.split(|byte| *byte == b',').map(trimmed);
        fits(value.as_bytes(), line)
            || (wide && elements().any(|element| fits(value.as_bytes(), element)))
    })
}

fn trimmed(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

/// The claim's string, or the strings of its list; lists of words are split at single spaces.
fn claims<'a>(req: &'a Req, path: &[String]) -> Vec<&'a str> {
    let (Some(all), Some((first, rest))) = (&req.claims, path.split_first()) else {
        return Vec::new();
    };
    let found = rest
        .iter()
        .fold(all.get(first), |value, name| value?.as_object()?.get(name));
    let words = rest.is_empty() && matches!(first.as_str(), "scope" | "permission");
    match found {
        Some(Value::String(text)) if words => text.split(' ').collect(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn attribute_of_key(key: &str) -> Attribute {
    let inside = |start: &str| {
        let rest = key.strip_prefix(start).unwrap().strip_prefix('[').unwrap();
        rest.strip_suffix(']').unwrap().to_owned()
    };
    match key {
        "source.ip" => Attribute::SourceIp,
        "remote.ip" => Attribute::RemoteIp,
        "source.namespace" => Attribute::Namespace,
        "source.serviceAccount" => Attribute::ServiceAccount,
        "source.principal" => Attribute::Principal,
        "source.trustDomain" => Attribute::TrustDomain,
        "request.auth.principal" => Attribute::RequestPrincipal,
        "request.auth.audiences" => Attribute::Claim(vec!["aud".to_owned()]),
        "request.auth.presenter" => Attribute::Claim(vec!["azp".to_owned()]),
        "destination.ip" => Attribute::DestinationIp,
        "destination.port" => Attribute::Port,
        "connection.sni" => Attribute::Sni,
        _ if key.starts_with("request.headers") => Attribute::Header(inside("request.headers")),
        _ if key.starts_with("request.auth.claims") => {
            let inside = inside("request.auth.claims");
            let clean = !inside.split("][").any(|name| name.contains(['[', ']']));
            if clean {
                Attribute::Claim(inside.split("][").map(str::to_owned).collect())
            } else {
                Attribute::Claim(vec![inside])
            }
        }
        _ => {
            let rest = key
                .strip_prefix("experimental.")
                .unwrap()
                .strip_suffix(']')
                .unwrap();
            let (filter, name) = rest.split_once('[').unwrap();
            Attribute::Metadata(filter.to_owned(), name.to_owned())
        }
    }
}

/// Trust domain, namespace and service account of `TD/ns/NS/sa/SA`.
fn parts(identity: &str) -> (&str, &str, &str) {
    let parts: Vec<&str> = identity.split('/').collect();
    (parts[0], parts[2], parts[4])
}

fn texts(values: &Value) -> Vec<&str> {
    list(values)
        .iter()
        .map(|value| value.as_str().unwrap())
        .collect()
}

fn object(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}
