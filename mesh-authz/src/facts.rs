//! What values are compared with: a connection, and a request on it when there is one.

use std::borrow::Cow;
use std::net::IpAddr;

use mesh_core::identity::SpiffeId;

use crate::connection::Connection;
use crate::request::Request;
use crate::semantics::Semantics;

/// A longer identity is put on the heap.
const INLINE: usize = 512;

/// A connection and a request in the form in which values are compared with them.
pub(crate) struct Facts<'a> {
    pub(crate) connection: &'a Connection<'a>,
    pub(crate) request: Option<&'a Request<'a>>,
    pub(crate) semantics: Semantics,
    principal: Principal,
    /// Where a short principal is. It is written in place: to move it costs more than to make it.
    short: [u8; INLINE],
    /// In lower case, which it most often is already.
    host: Cow<'a, str>,
}

/// An identity without `spiffe://`, if there is one.
enum Principal {
    None,
    /// As many bytes of what is beside it.
    Short(usize),
    Long(Vec<u8>),
}

impl<'a> Facts<'a> {
    pub(crate) fn of(
        connection: &'a Connection<'a>,
        request: Option<&'a Request<'a>>,
        semantics: Semantics,
    ) -> Self {
        let mut facts = Self {
            connection,
            request,
            semantics,
            principal: Principal::None,
            short: [0; INLINE],
            host: request.map_or(Cow::Borrowed(""), |request| lower(request.host)),
        };
        if let Some(identity) = connection.identity {
            facts.principal = Principal::write(identity, &mut facts.short);
        }
        facts
    }

    pub(crate) fn ip(&self, remote: bool) -> Option<IpAddr> {
        if remote {
            self.connection.remote
        } else {
            Some(self.connection.source)
        }
    }

    /// The identity without `spiffe://`.
    pub(crate) fn principal(&self) -> Option<&[u8]> {
        match &self.principal {
            Principal::None => None,
            Principal::Short(length) => self.short.get(..*length),
            Principal::Long(bytes) => Some(bytes),
        }
    }

    /// The namespace of the identity.
    pub(crate) fn namespace(&self) -> Option<&'a [u8]> {
        let identity = self.connection.identity?;
        Some(identity.namespace().as_bytes())
    }

    /// The trust domain of the identity.
    pub(crate) fn trust_domain(&self) -> Option<&'a [u8]> {
        let identity = self.connection.identity?;
        Some(identity.trust_domain().as_str().as_bytes())
    }

    /// Namespace and service account of the identity.
    pub(crate) fn account(&self) -> Option<(&'a [u8], &'a [u8])> {
        let identity = self.connection.identity?;
        let account = identity.service_account().as_bytes();
        Some((identity.namespace().as_bytes(), account))
    }

    /// The host in lower case; empty without a request.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The host without its port and without one dot at its end, when that is something else.
    pub(crate) fn bare_host(&self) -> Option<&str> {
        let host = self.host();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        (name.len() < host.len()).then_some(name)
    }
}

impl Principal {
    fn write(id: &SpiffeId, short: &mut [u8; INLINE]) -> Self {
        let (namespace, account) = (id.namespace(), id.service_account());
        let domain = id.trust_domain().as_str();
        let parts = [domain, "/ns/", namespace, "/sa/", account];
        let mut length = 0;
        for part in parts {
            let end = length + part.len();
            let Some(free) = short.get_mut(length..end) else {
                return Self::Long(parts.concat().into_bytes());
            };
            free.copy_from_slice(part.as_bytes());
            length = end;
        }
        Self::Short(length)
    }
}

fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(host.to_ascii_lowercase());
    }
    Cow::Borrowed(host)
}
