//! Values of fields, from the texts that they are written as.

use std::net::IpAddr;

use ipnet::IpNet;
use mesh_core::name::Name;

use crate::kube::fault::Fault;
use crate::kube::finding::Findings;
use crate::kube::path::Path;
use crate::spec::{
    PathMatch, PathTemplate, RequestPrincipalMatch, ServiceAccountMatch, StringMatch,
};

/// The longest service account of a source, in bytes.
const MAX_ACCOUNT: usize = 320;

/// The values of a list, and the faults of those that are none.
pub(super) fn list<T>(
    from: &[String],
    at: &Path<'_>,
    found: &mut Findings,
    read: impl Fn(&str) -> Result<T, Fault>,
) -> Vec<T> {
    let each = from.iter().enumerate();
    let one = |(index, text): (usize, &String)| {
        let read = if text.is_empty() {
            Err(Fault::EmptyText)
        } else {
            read(text)
        };
        found.keep(&at.index(index), read)
    };
    each.filter_map(one).collect()
}

pub(super) fn text(from: &str) -> Result<StringMatch, Fault> {
    StringMatch::parse(from).map_err(|_| Fault::EmptyText)
}

pub(super) fn path(from: &str) -> Result<PathMatch, Fault> {
    if PathTemplate::is_template(from) {
        return Ok(PathMatch::Template(PathTemplate::parse(from)?));
    }
    text(from).map(PathMatch::Text)
}

/// `ISSUER/SUBJECT`. An empty issuer fits no token, as no token without one has a principal.
pub(super) fn request_principal(from: &str) -> Result<RequestPrincipalMatch, Fault> {
    RequestPrincipalMatch::parse(from).map_err(|_| Fault::EmptyText)
}

/// An address, or a range with a decimal length. Bits behind the length are ignored.
pub(super) fn range(from: &str) -> Result<IpNet, Fault> {
    let read = match from.split_once('/') {
        None => from.parse::<IpAddr>().ok().map(IpNet::from),
        Some((address, length)) => address.parse().ok().and_then(|address| {
            let plain = length == "0" || !length.starts_with(['0', '+']);
            let length = plain.then(|| length.parse().ok()).flatten()?;
            IpNet::new(address, length).ok()
        }),
    };
    read.ok_or_else(|| Fault::Address { found: from.into() })
}

pub(super) fn port(from: &str) -> Result<u16, Fault> {
    let digits = from.bytes().all(|byte| byte.is_ascii_digit());
    let read = digits.then(|| from.parse().ok()).flatten();
    read.ok_or_else(|| Fault::Port { found: from.into() })
}

/// A trust domain with at most one `*`, at one of its ends.
pub(super) fn trust_domain(from: &str) -> Result<StringMatch, Fault> {
    let stars = from.bytes().filter(|byte| *byte == b'*').count();
    let at_an_end = from.starts_with('*') || from.ends_with('*');
    if from.contains('/') || stars > 1 || (stars == 1 && !at_an_end) {
        return Err(Fault::TrustDomain { found: from.into() });
    }
    text(from)
}

/// `NAMESPACE/ACCOUNT`, or `ACCOUNT` in the policy's namespace.
pub(super) fn account(from: &str, own: &Name) -> Result<ServiceAccountMatch, Fault> {
    if from.len() > MAX_ACCOUNT {
        return Err(Fault::TooLong {
            length: from.len(),
            limit: MAX_ACCOUNT,
        });
    }
    let (namespace, account) = match from.split_once('/') {
        Some((namespace, account)) => (namespace.into(), account),
        None => (own.clone(), from),
    };
    let right = !from.contains('*') && !account.contains('/');
    let read = ServiceAccountMatch::new(namespace, account).ok();
    let read = read.filter(|_| right);
    read.ok_or_else(|| Fault::ServiceAccount { found: from.into() })
}
