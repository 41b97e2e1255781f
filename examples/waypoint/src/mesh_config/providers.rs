//! External authorizers as Istio's mesh configuration has them.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use mesh_authz::external::{HeaderNames, HttpCheck};
use mesh_authz::layer::OnError;
use mesh_core::name::Name;
use mesh_l7::istio::parse_duration;
use serde::Deserialize;

/// Istio's default.
const TIMEOUT: Duration = Duration::from_secs(600);

/// An external authorizer.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    pub(crate) name: Name,
    pub(crate) service: ProviderService,
    pub(crate) port: u16,
    pub(crate) timeout: Duration,
    pub(crate) on_error: OnError,
    pub(crate) check: Check,
}

/// The service that an authorizer is: `[namespace/]host`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ProviderService {
    pub(crate) namespace: Option<Name>,
    pub(crate) host: Name,
}

/// How it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    Http(HttpCheck),
    Grpc,
}

/// The authorizers of a list, and what is to be said about it.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) providers: Vec<Provider>,
    pub(crate) notes: Vec<String>,
}

/// An extension provider as it is written. Those of other kinds are for other purposes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExtensionProvider {
    name: String,
    envoy_ext_authz_http: Option<Spec>,
    envoy_ext_authz_grpc: Option<Spec>,
}

/// Both kinds; a field that is misspelt, or is of the other kind, is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Spec {
    service: String,
    port: u32,
    timeout: Option<String>,
    fail_open: bool,
    status_on_error: Option<String>,
    #[serde(rename = "clearRouteCache")]
    _clear_route_cache: bool,
    include_request_body_in_check: Option<BodyInCheck>,
    path_prefix: Option<String>,
    include_headers_in_check: Vec<String>,
    include_request_headers_in_check: Vec<String>,
    include_additional_headers_in_check: BTreeMap<String, String>,
    headers_to_upstream_on_allow: Vec<String>,
    headers_to_downstream_on_deny: Vec<String>,
    headers_to_downstream_on_allow: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct BodyInCheck {}

/// Reads a list of providers.
///
/// # Errors
/// What is wrong with one, and where.
pub(crate) fn read(providers: Vec<ExtensionProvider>) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    for (at, provider) in providers.into_iter().enumerate() {
        let place = format!("extensionProviders[{at}]");
        let (field, spec, grpc) = match provider {
            ExtensionProvider {
                envoy_ext_authz_http: Some(spec),
                ..
            } => ("envoyExtAuthzHttp", spec, false),
            ExtensionProvider {
                envoy_ext_authz_grpc: Some(spec),
                ..
            } => ("envoyExtAuthzGrpc", spec, true),
            _ => continue,
        };
        if provider.name.is_empty() {
            return Err(format!("{place}.name: expected a name"));
        }
        let place = format!("{place}.{field}");
        if spec.include_request_body_in_check.is_some() {
            parsed.notes.push(format!(
                "{place}.includeRequestBodyInCheck: bodies are not sent: what policies ask {} about is denied",
                provider.name
            ));
            continue;
        }
        if !spec.headers_to_downstream_on_allow.is_empty() {
            let note =
                "headersToDownstreamOnAllow: answers to requests that are allowed stay as they are";
            parsed.notes.push(format!("{place}.{note}"));
        }
        let read = spec.read(provider.name.into(), grpc);
        parsed
            .providers
            .push(read.map_err(|error| format!("{place}.{error}"))?);
    }
    Ok(parsed)
}

impl Spec {
    fn read(self, name: Name, grpc: bool) -> Result<Provider, String> {
        let (namespace, host) = match self.service.split_once('/') {
            Some((namespace, host)) => (Some(namespace), host),
            None => (None, &*self.service),
        };
        if host.is_empty() || namespace.is_some_and(str::is_empty) {
            return Err(format!(
                "service: `{}`, expected [namespace/]host",
                self.service
            ));
        }
        let port = u16::try_from(self.port).ok().filter(|port| *port != 0);
        let timeout = match &self.timeout {
            None => TIMEOUT,
            Some(text) => parse_duration(text)
                .ok()
                .filter(|time| !time.is_zero())
                .ok_or_else(|| format!("timeout: `{text}`, expected a duration such as 500ms"))?,
        };
        let status = match &self.status_on_error {
            None => StatusCode::FORBIDDEN,
            Some(text) => {
                let status = text.parse().ok().filter(|code| (200..600).contains(code));
                let status = status.and_then(|code: u16| StatusCode::from_u16(code).ok());
                status.ok_or_else(|| {
                    format!("statusOnError: `{text}`, expected a status from 200 to 599")
                })?
            }
        };
        Ok(Provider {
            name,
            service: ProviderService {
                namespace: namespace.map(Name::from),
                host: host.into(),
            },
            port: port.ok_or_else(|| format!("port: `{}`, expected 1 to 65535", self.port))?,
            timeout,
            on_error: match self.fail_open {
                true => OnError::Allow,
                false => OnError::Deny(status),
            },
            check: match grpc {
                true => self.grpc()?,
                false => Check::Http(self.http()?),
            },
        })
    }

    /// Has nothing that only the other kind has.
    fn grpc(self) -> Result<Check, String> {
        let lists = [
            ("includeHeadersInCheck", &self.include_headers_in_check),
            (
                "includeRequestHeadersInCheck",
                &self.include_request_headers_in_check,
            ),
            (
                "headersToUpstreamOnAllow",
                &self.headers_to_upstream_on_allow,
            ),
            (
                "headersToDownstreamOnDeny",
                &self.headers_to_downstream_on_deny,
            ),
            (
                "headersToDownstreamOnAllow",
                &self.headers_to_downstream_on_allow,
            ),
        ];
        let list = lists.iter().find(|(_, list)| !list.is_empty());
        let more = [
            (self.path_prefix.is_some(), "pathPrefix"),
            (
                !self.include_additional_headers_in_check.is_empty(),
                "includeAdditionalHeadersInCheck",
            ),
        ];
        let more = more.iter().find(|(there, _)| *there).map(|(_, name)| name);
        match list.map(|(name, _)| name).or(more) {
            Some(name) => Err(format!("{name}: expected only with envoyExtAuthzHttp")),
            None => Ok(Check::Grpc),
        }
    }

    fn http(self) -> Result<HttpCheck, String> {
        let names = |field: &str, list: &[String]| {
            let names = HeaderNames::parse(list.iter().map(String::as_str));
            names.map_err(|error| format!("{field}: {error}"))
        };
        let include = [
            self.include_request_headers_in_check,
            self.include_headers_in_check,
        ];
        let add = self.include_additional_headers_in_check.into_iter();
        let add = add.map(|(name, value)| {
            let read = name
                .parse::<HeaderName>()
                .ok()
                .zip(HeaderValue::try_from(value).ok());
            read.ok_or_else(|| format!("includeAdditionalHeadersInCheck.{name}: expected a header"))
        });
        let prefix = self.path_prefix.unwrap_or_default();
        if !(prefix.is_empty() || prefix.starts_with('/')) {
            return Err(format!(
                "pathPrefix: `{prefix}`, expected a path that begins with /"
            ));
        }
        let on_deny = self.headers_to_downstream_on_deny;
        Ok(HttpCheck {
            path_prefix: prefix,
            include: names("includeRequestHeadersInCheck", &include.concat())?,
            add: add.collect::<Result<_, _>>()?,
            upstream_on_allow: names(
                "headersToUpstreamOnAllow",
                &self.headers_to_upstream_on_allow,
            )?,
            downstream_on_deny: match on_deny.is_empty() {
                true => None,
                false => Some(names("headersToDownstreamOnDeny", &on_deny)?),
            },
        })
    }
}

#[cfg(test)]
mod tests;
