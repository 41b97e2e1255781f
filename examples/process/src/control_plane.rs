//! The servers of the control plane, and what it takes to talk to them.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use mesh_xds::control::{ControlEndpoint, ControlError, ControlRoots, ControlToken};

use crate::duration;
use crate::env::{self, ConfigError, Env};

const DEFAULT_ROOT: &str = "./var/run/secrets/istio/root-cert.pem";
const DEFAULT_TOKEN: &str = "./var/run/secrets/tokens/istio-token";
const IN_KUBERNETES: &str = "https://istiod.istio-system.svc:15012";
const ELSEWHERE: &str = "https://localhost:15012";
/// What authorities can be asked for.
const LIFETIMES: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 60 * 60);

/// A server of the control plane.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "settings of the processes here")]
pub struct ControlPlane {
    /// `XDS_ADDRESS`, `CA_ADDRESS`: `https://host:port`, or `http://` to a loopback address.
    pub address: String,
    /// `XDS_ROOT_CA`, `CA_ROOT_CA`.
    pub root: Root,
    /// `ALT_XDS_HOSTNAME`, `ALT_CA_HOSTNAME`: another name that its certificate may have.
    pub alt_hostname: Option<String>,
    /// `XDS_HEADER_<name>`, `CA_HEADER_<name>`.
    pub headers: Vec<Header>,
}

/// Who signs the certificates of a server of the control plane.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "settings of the processes here")]
pub enum Root {
    /// What is in this file when a connection is made.
    File(PathBuf),
    /// These certificates.
    Pem(String),
    /// Whom the system trusts.
    System,
}

/// What tells the control plane who asks (`AUTH_TOKEN`).
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "settings of the processes here")]
pub enum Token {
    /// Nothing does.
    None,
    /// What is in this file when it is used.
    File(PathBuf),
    /// This text.
    Literal(String),
}

/// A header of each request to a server. Its value may be a secret.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "settings of the processes here")]
pub struct Header {
    /// Its name, in lower case.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The certificate authority of the control plane.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "settings of the processes here")]
pub struct AuthoritySettings {
    /// `CA_ADDRESS`, `CA_ADDR`.
    pub server: ControlPlane,
    /// `SECRET_TTL`: the lifetime to ask for; default 24 h.
    pub lifetime: Duration,
}

/// Where the control plane describes the mesh.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "settings of the processes here")]
pub struct XdsSettings {
    /// `XDS_ADDRESS`.
    pub server: ControlPlane,
    /// `XDS_ON_DEMAND`: ask only for what connections go to; default `false`.
    pub on_demand: bool,
}

impl AuthoritySettings {
    /// `CA_ADDRESS`, else `CA_ADDR`, else the one of the surroundings.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable and what was expected.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        if env.is_empty("CA_ADDRESS") {
            return Err(ConfigError::Refused(
                "CA_ADDRESS is empty: there would be no certificates, set it to the address of a \
                 certificate authority, or FAKE_CA=true to use the built-in one for development"
                    .to_owned(),
            ));
        }
        let address = env.text("CA_ADDRESS").or(env.text("CA_ADDR"));
        Ok(Self {
            server: ControlPlane::from_env(env, "CA", address)?,
            lifetime: env
                .read("SECRET_TTL", lifetime)?
                .unwrap_or(Duration::from_secs(24 * 60 * 60)),
        })
    }
}

impl XdsSettings {
    /// `XDS_ADDRESS`, else the discovery address that the mesh's configuration has, else, unless the mesh is
    /// described locally, the one of the surroundings. An empty `XDS_ADDRESS` is none.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable and what was expected.
    pub fn from_env(
        env: &Env,
        discovery: Option<&str>,
        local: bool,
    ) -> Result<Option<Self>, ConfigError> {
        let address = env.text("XDS_ADDRESS").or(discovery);
        if env.is_empty("XDS_ADDRESS") || (address.is_none() && local) {
            return Ok(None);
        }
        Ok(Some(Self {
            server: ControlPlane::from_env(env, "XDS", address)?,
            on_demand: env.switch("XDS_ON_DEMAND")?.unwrap_or(false),
        }))
    }
}

impl ControlPlane {
    /// What is known of the server before connecting to it, for a proxy of this cluster with this token.
    ///
    /// # Errors
    /// [`ControlError`] when a setting cannot be used.
    pub fn endpoint(&self, token: &Token, cluster: &str) -> Result<ControlEndpoint, ControlError> {
        let roots = match &self.root {
            Root::File(path) => ControlRoots::File(path.clone()),
            Root::Pem(text) => ControlRoots::Pem(text.clone()),
            Root::System => ControlRoots::System,
        };
        let token = match token {
            Token::None => ControlToken::None,
            Token::File(path) => ControlToken::File(path.clone()),
            Token::Literal(token) => ControlToken::Literal(token.clone()),
        };
        let mut builder = ControlEndpoint::builder(&self.address)
            .roots(roots)
            .token(token)
            .cluster_id(cluster);
        if let Some(name) = &self.alt_hostname {
            builder = builder.alternative_name(name);
        }
        for header in &self.headers {
            builder = builder.header(&header.name, &header.value);
        }
        builder.build()
    }

    fn from_env(env: &Env, which: &str, address: Option<&str>) -> Result<Self, ConfigError> {
        let variable = format!("{which}_ADDRESS");
        let kubernetes = env.text("KUBERNETES_SERVICE_HOST").is_some();
        let default = if kubernetes { IN_KUBERNETES } else { ELSEWHERE };
        let address = address.unwrap_or(default);
        let address = url(address).map_err(|expected| env::wrong(&variable, address, expected))?;
        let alternative = format!("ALT_{which}_HOSTNAME");
        Ok(Self {
            address,
            root: root(
                env.text(&format!("{which}_ROOT_CA"))
                    .unwrap_or(DEFAULT_ROOT),
            ),
            alt_hostname: env.read(&alternative, hostname)?,
            headers: headers(env, &format!("{which}_HEADER_"))?,
        })
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration::parse(text).filter(|lifetime| LIFETIMES.contains(lifetime));
    lifetime.ok_or_else(|| "a duration such as 24h, from 1m to 365d".to_owned())
}

/// The address with a scheme. Without TLS the token would be there for all to read.
fn url(text: &str) -> Result<String, String> {
    let expected = || "https://host:port, or http://host:port of a loopback address".to_owned();
    let text = match text.split_once("://") {
        Some(_) => text.to_owned(),
        None => format!("https://{text}"),
    };
    let uri: Uri = text.parse().map_err(|_| expected())?;
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or_else(expected)?;
    let plain = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let scheme = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(host),
        _ => false,
    };
    (plain && scheme)
        .then(|| text.trim_end_matches('/').to_owned())
        .ok_or_else(expected)
}

fn is_loopback(host: &str) -> bool {
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
}

fn root(text: &str) -> Root {
    match text {
        "SYSTEM" => Root::System,
        pem if pem.contains("-----BEGIN") => Root::Pem(pem.to_owned()),
        path => Root::File(path.into()),
    }
}

fn hostname(text: &str) -> Result<String, String> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    if text.bytes().all(ok) {
        Ok(text.to_owned())
    } else {
        Err("a host name".to_owned())
    }
}

fn headers(env: &Env, prefix: &str) -> Result<Vec<Header>, ConfigError> {
    let named = |variable: &str| {
        let name = variable.strip_prefix(prefix)?.to_owned();
        Some((variable.to_owned(), name))
    };
    let mut headers = Vec::new();
    for (variable, name) in env.names().filter_map(named) {
        let Some(value) = env.text(&variable) else {
            continue;
        };
        let expected = |what: &str| ConfigError::Refused(format!("{variable}: expected {what}"));
        let name: HeaderName = name
            .parse()
            .map_err(|_| expected("the name of an HTTP header after the prefix"))?;
        // The value is not repeated in the error: it may be a secret.
        if HeaderValue::from_str(value).is_err() {
            return Err(expected("a value that an HTTP header can have"));
        }
        headers.push(Header {
            name: name.as_str().to_owned(),
            value: value.to_owned(),
        });
    }
    Ok(headers)
}

impl Token {
    /// `AUTH_TOKEN`: a path, or the token itself; else the token that Kubernetes mounts, if it does.
    ///
    /// A path begins with `/` or `.`, or is that of a file that is there.
    pub fn from_env(env: &Env) -> Self {
        let is_path = |text: &str| text.starts_with(['/', '.']) || Path::new(text).is_file();
        match env.text("AUTH_TOKEN") {
            Some(path) if is_path(path) => Self::File(path.into()),
            Some(token) => Self::Literal(token.to_owned()),
            None if Path::new(DEFAULT_TOKEN).is_file() => Self::File(DEFAULT_TOKEN.into()),
            None => Self::None,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Literal(_) => f.write_str("Literal(..)"),
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ..", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_are_protected_or_on_this_machine() {
        for (text, expected) in [
            ("istiod:15012", Some("https://istiod:15012")),
            ("https://istiod:15012/", Some("https://istiod:15012")),
            ("[::1]:15012", Some("https://[::1]:15012")),
            ("http://localhost:15010", Some("http://localhost:15010")),
            ("http://[::1]:15010", Some("http://[::1]:15010")),
            ("http://127.9.9.9:1", Some("http://127.9.9.9:1")),
            ("http://istiod:15010", None),
            ("ftp://istiod:15012", None),
            ("https://istiod:15012/v1", None),
            ("https://", None),
            (":15012", None),
            ("two words", None),
        ] {
            assert_eq!(url(text).ok().as_deref(), expected, "{text}");
        }
    }
}
