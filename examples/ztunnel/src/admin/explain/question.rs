//! What is asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use mesh_core::identity::SpiffeId;

use process::query;

/// A connection to explain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    pub(super) source: Target,
    pub(super) destination: Target,
    /// The identity that the destination's proxy verifies, in place of the client's.
    pub(super) identity: Option<SpiffeId>,
    /// Whether the answer is JSON, not text.
    pub(super) json: bool,
}

/// One end of the connection as it is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    /// An address.
    Address(IpAddr, Option<u16>),
    /// A workload or a service by namespace and name.
    Named {
        namespace: String,
        name: String,
        port: Option<u16>,
    },
    /// A host name.
    Host { name: String, port: Option<u16> },
}

impl Question {
    /// `src` and `dst`, perhaps `identity` and `format`, which goes over the `Accept` header.
    pub(super) fn parse(query: &str, accept: &str) -> Result<Self, String> {
        let (mut source, mut destination, mut identity) = (None, None, None);
        let mut json = accept.contains("application/json");
        for (name, value) in query::pairs(query) {
            match (name.as_str(), value.as_str()) {
                ("src", text) => source = Some(Target::parse("src", text)?),
                ("dst", text) => destination = Some(Target::parse("dst", text)?),
                ("identity", text) => {
                    let id = text.parse().map_err(|error| format!("identity: {error}"))?;
                    identity = Some(id);
                }
                ("format", "json") => json = true,
                ("format", "text") => json = false,
                ("format", other) => {
                    return Err(format!("format is `{other}`, expected json or text"));
                }
                (other, _) => {
                    return Err(format!(
                        "unknown parameter {other}, expected src, dst, identity or format"
                    ));
                }
            }
        }
        let needed = "expected src and dst, as in ?src=10.0.0.1&dst=10.0.0.2:80 \
                      or ?src=ns/client&dst=ns/web:80";
        Ok(Self {
            source: source.ok_or(needed)?,
            destination: destination.ok_or(needed)?,
            identity,
            json,
        })
    }
}

impl Target {
    fn parse(which: &str, text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Address(
                address.ip().to_canonical(),
                Some(address.port()),
            ));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Address(ip.to_canonical(), None));
        }
        let (name, port) = match text.rsplit_once(':') {
            None => (text, None),
            Some((name, port)) => {
                let port = port.parse().ok();
                let port = port.ok_or_else(|| {
                    format!("{which} is `{text}`, expected a port from 0 to 65535 after the colon")
                })?;
                (name, Some(port))
            }
        };
        match name.split_once('/') {
            _ if name.is_empty() => Err(format!(
                "{which} is `{text}`, expected an address, namespace/name or a host name"
            )),
            Some((namespace, name)) => Ok(Self::Named {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                port,
            }),
            None => Ok(Self::Host {
                name: name.to_owned(),
                port,
            }),
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Address(_, port) | Self::Named { port, .. } | Self::Host { port, .. } => *port,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip, _) => ip.fmt(f),
            Self::Named {
                namespace, name, ..
            } => write!(f, "{namespace}/{name}"),
            Self::Host { name, .. } => f.write_str(name),
        }
    }
}
