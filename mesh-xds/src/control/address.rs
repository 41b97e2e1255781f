//! The address of a control plane.

use std::fmt;
use std::net::IpAddr;

use http::uri::{Authority, Scheme, Uri};
use rustls_pki_types::ServerName;

use super::ControlError;

/// `https://host:port` or `http://host:port`, nothing more.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    /// A name, or an IP address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: ServerName<'static>,
}

impl Address {
    /// Reads an address; without a scheme it is an `https` one.
    pub(super) fn parse(text: &str) -> Result<Self, ControlError> {
        let refuse = |reason| ControlError::Address {
            address: text.to_owned(),
            reason,
        };
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let uri: Uri = whole.parse().map_err(|_| refuse("it is not a URI"))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(refuse("it names no host"));
        };
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(refuse("the scheme is neither https nor http")),
        };
        if parts.path_and_query.is_some_and(|path| path != "/") {
            return Err(refuse("it has a path or a query"));
        }
        if authority.as_str().contains('@') {
            return Err(refuse("it names a user"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host.clone())
            .map_err(|_| refuse("the host is neither a DNS name nor an IP address"))?;
        // `port_u16` is also `None` for a port that is no number.
        let port = match (authority.port_u16(), authority.as_str().rsplit_once(':')) {
            (Some(0), _) => return Err(refuse("the port is 0")),
            (Some(port), _) => port,
            (None, Some((_, rest))) if !rest.ends_with(']') => {
                return Err(refuse("the port is not a number up to 65535"));
            }
            (None, _) => default,
        };
        Ok(Self {
            scheme,
            authority,
            host,
            port,
            name,
        })
    }

    pub(super) fn is_plain(&self) -> bool {
        self.scheme == Scheme::HTTP
    }

    /// Whether what is sent there does not leave the machine.
    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}
