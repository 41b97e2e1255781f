//! The values of a field, as they are kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::bytes::{Reader, Writer};
use super::list::List;
use crate::spec::{RequestPrincipalMatch, ServiceAccountMatch, StringMatch};

/// Texts, parts of texts, and presence. Where presence is asked for, nothing else is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) presence: bool,
    /// Whether a value has a `*` inside.
    pub(crate) stars: bool,
    /// Lists of exact texts, in order, no prefix begins one; of prefixes, in order, none begins
    /// another; of suffixes, in order when read backwards, none ends another. Of paths there are
    /// templates behind them.
    lists: Reader<'a>,
}

impl<'a> Texts<'a> {
    pub(super) fn write<'s>(writer: &mut Writer, all: impl Iterator<Item = &'s StringMatch>) {
        let (mut exact, mut prefixes, mut suffixes) = (Vec::new(), Vec::new(), Vec::new());
        let mut presence = false;
        for one in all {
            match one {
                StringMatch::Exact(text) => exact.push(text.as_bytes()),
                StringMatch::Prefix(text) => prefixes.push(text.as_bytes()),
                StringMatch::Suffix(text) => suffixes.push(text.as_bytes()),
                StringMatch::Presence => presence = true,
            }
        }
        exact.sort_unstable();
        exact.dedup();
        prefixes.sort_unstable();
        prefixes.dedup_by(|next, kept| next.starts_with(kept));
        suffixes.sort_unstable_by(|a, b| a.iter().rev().cmp(b.iter().rev()));
        suffixes.dedup_by(|next, kept| next.ends_with(kept));
        if presence {
            // No value is empty, so what fits another is present.
            prefixes = Vec::new();
            suffixes = Vec::new();
        }
        exact.retain(|text| !presence && !is_begun(text, &prefixes));
        let lists = [&exact, &prefixes, &suffixes];
        let stars = lists
            .iter()
            .any(|list| list.iter().any(|text| text.contains(&b'*')));
        writer.byte(u8::from(presence) | u8::from(stars) << 1);
        for list in [exact, prefixes, suffixes] {
            List::write(writer, &list);
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let flags = reader.byte()?;
        Some(Self {
            presence: flags & 1 != 0,
            stars: flags & 2 != 0,
            lists: *reader,
        })
    }

    pub(crate) fn exact(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.list(0)
    }

    pub(crate) fn prefixes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.list(1)
    }

    pub(crate) fn suffixes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.list(2)
    }

    /// What stands behind texts of paths.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.list(3)
    }

    fn list(&self, number: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = self.lists;
        let mut lists = std::iter::from_fn(move || List::read(&mut reader));
        let list = lists.nth(number);
        list.into_iter().flat_map(|list| list.iter())
    }

    /// Whether one fits; an empty text is present only where `empty` says so.
    pub(super) fn fit(&self, text: &[u8], empty: bool) -> bool {
        if self.presence && (empty || !text.is_empty()) {
            return true;
        }
        // Of prefixes, only the last that is not behind the text can begin it: whatever lies
        // between a prefix and the text begins with that prefix, and such are left out.
        let mut lists = self.lists;
        List::read_any(&mut lists, |one| one.cmp(text), |one| one == text)
            || List::read_any(&mut lists, |one| one.cmp(text), |one| text.starts_with(one))
            || List::read_any(
                &mut lists,
                |one| one.iter().rev().cmp(text.iter().rev()),
                |one| text.ends_with(one),
            )
    }

    /// Whether one fits when each `*` inside stands for anything.
    pub(super) fn fit_with_wildcards(&self, text: &[u8]) -> bool {
        let fits = |ends| move |one: &[u8]| pieces_fit(one, text, ends);
        self.stars
            && (self.exact().any(fits((true, true)))
                || self.prefixes().any(fits((true, false)))
                || self.suffixes().any(fits((false, true))))
    }

    pub(crate) fn to_spec(self) -> Vec<StringMatch> {
        let presence = self.presence.then_some(StringMatch::Presence);
        let exact = self.exact().map(|t| StringMatch::Exact(name(t)));
        let prefixes = self.prefixes().map(|t| StringMatch::Prefix(name(t)));
        let suffixes = self.suffixes().map(|t| StringMatch::Suffix(name(t)));
        let all = presence.into_iter().chain(exact);
        all.chain(prefixes).chain(suffixes).collect()
    }
}

/// Whether the pieces between the stars of a pattern are in a text, one behind the other; the first and
/// the last at its ends where these count.
fn pieces_fit(pattern: &[u8], text: &[u8], (start, end): (bool, bool)) -> bool {
    let mut pieces = pattern.split(|byte| *byte == b'*').peekable();
    let mut rest = text;
    let mut first = start;
    while let Some(piece) = pieces.next() {
        if end && pieces.peek().is_none() {
            return rest.ends_with(piece) && (!first || rest.starts_with(piece));
        }
        let at = if std::mem::take(&mut first) {
            rest.starts_with(piece).then_some(0)
        } else {
            (0..=rest.len()).find(|at| rest.get(*at..).is_some_and(|it| it.starts_with(piece)))
        };
        let behind = at.and_then(|at| rest.get(at + piece.len()..));
        let Some(behind) = behind else {
            return false;
        };
        rest = behind;
    }
    true
}

/// Whether one of the prefixes, which are in order and of which none begins another, begins a text.
fn is_begun(text: &[u8], prefixes: &[&[u8]]) -> bool {
    let behind = prefixes.partition_point(|prefix| *prefix <= text);
    let last = behind.checked_sub(1).and_then(|at| prefixes.get(at));
    last.is_some_and(|prefix| text.starts_with(prefix))
}

fn name(text: &[u8]) -> mesh_core::name::Name {
    String::from_utf8_lossy(text).into_owned().into()
}

/// A text that is kept, as one.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Service accounts, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accounts<'a>(List<'a>);

impl<'a> Accounts<'a> {
    pub(super) fn write(writer: &mut Writer, all: &[ServiceAccountMatch]) {
        let mut all: Vec<_> = all.iter().collect();
        all.sort_unstable();
        all.dedup();
        let values: Vec<_> = all
            .into_iter()
            .map(|account| {
                let mut value = Writer::default();
                value.text(account.namespace.as_bytes());
                value
                    .0
                    .extend_from_slice(account.service_account.as_bytes());
                value.0
            })
            .collect();
        List::write(writer, &values);
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        List::read(reader).map(Self)
    }

    pub(super) fn contain(&self, account: (&[u8], &[u8])) -> bool {
        self.0
            .any(|one| parts(one).cmp(&account), |one| parts(one) == account)
    }

    /// Namespace and name of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().map(parts)
    }
}

fn parts(account: &[u8]) -> (&[u8], &[u8]) {
    let mut reader = Reader(account);
    let namespace = reader.text().unwrap_or_default();
    (namespace, reader.0)
}

/// Ranges of addresses, in order and disjoint; those of IPv4-mapped addresses are ranges of IPv4.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges<'a> {
    /// Four bytes of network and one of length each.
    v4: &'a [u8],
    /// Sixteen bytes of network and one of length each.
    v6: &'a [u8],
}

impl<'a> Ranges<'a> {
    pub(super) fn write(writer: &mut Writer, all: &[IpNet]) {
        let all: Vec<_> = all.iter().map(|net| unmapped(*net)).collect();
        let mut all = IpNet::aggregate(&all);
        all.sort_unstable_by_key(IpNet::network);
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in all {
            match net {
                IpNet::V4(net) => {
                    v4.extend_from_slice(&net.network().octets());
                    v4.push(net.prefix_len());
                }
                IpNet::V6(net) => {
                    v6.extend_from_slice(&net.network().octets());
                    v6.push(net.prefix_len());
                }
            }
        }
        writer.text(&v4);
        writer.text(&v6);
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            v4: reader.text()?,
            v6: reader.text()?,
        })
    }

    pub(super) fn contain(&self, ip: IpAddr) -> bool {
        let found = match ip {
            IpAddr::V4(ip) => last_not_behind::<5>(self.v4, &ip.octets()).and_then(net_v4),
            IpAddr::V6(ip) => last_not_behind::<17>(self.v6, &ip.octets()).and_then(net_v6),
        };
        found.is_some_and(|net| net.contains(&ip))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = IpNet> {
        let v4 = self.v4.chunks_exact(5).filter_map(net_v4);
        v4.chain(self.v6.chunks_exact(17).filter_map(net_v6))
    }
}

/// The last of records of `N` bytes whose network is not behind an address.
fn last_not_behind<'a, const N: usize>(records: &'a [u8], ip: &[u8]) -> Option<&'a [u8]> {
    let (records, _) = records.as_chunks::<N>();
    let at = records.partition_point(|record| {
        let (_, network) = record.split_last().unwrap_or((&0, &[]));
        network <= ip
    });
    records.get(at.checked_sub(1)?).map(<[u8; N]>::as_slice)
}

fn net_v4(record: &[u8]) -> Option<IpNet> {
    let (length, network) = record.split_last()?;
    let network: [u8; 4] = network.try_into().ok()?;
    Some(Ipv4Net::new(Ipv4Addr::from(network), *length).ok()?.into())
}

fn net_v6(record: &[u8]) -> Option<IpNet> {
    let (length, network) = record.split_last()?;
    let network: [u8; 16] = network.try_into().ok()?;
    Some(Ipv6Net::new(Ipv6Addr::from(network), *length).ok()?.into())
}

/// The range of IPv4 addresses that a range of IPv4-mapped addresses stands for.
fn unmapped(net: IpNet) -> IpNet {
    let v4 = |net: Ipv6Net| {
        let address = Ipv6Addr::to_ipv4_mapped(&net.network())?;
        Ipv4Net::new(address, net.prefix_len().checked_sub(96)?).ok()
    };
    match net.trunc() {
        IpNet::V6(net) => v4(net).map_or(IpNet::V6(net), IpNet::V4),
        net @ IpNet::V4(_) => net,
    }
}

/// Ports, in order, two bytes each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports<'a>(&'a [u8]);

impl<'a> Ports<'a> {
    pub(super) fn write(writer: &mut Writer, all: &[u16]) {
        let mut all = all.to_vec();
        all.sort_unstable();
        all.dedup();
        for port in all {
            writer.0.extend_from_slice(&port.to_le_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Self {
        Self(std::mem::take(&mut reader.0))
    }

    pub(super) fn contain(&self, port: u16) -> bool {
        let (ports, _) = self.0.as_chunks::<2>();
        let order = |one: &[u8; 2]| u16::from_le_bytes(*one).cmp(&port);
        ports.binary_search_by(order).is_ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> {
        let (ports, _) = self.0.as_chunks::<2>();
        ports.iter().map(|port| u16::from_le_bytes(*port))
    }
}

/// Issuers and subjects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestPrincipals<'a>(List<'a>);

impl<'a> RequestPrincipals<'a> {
    pub(super) fn write(writer: &mut Writer, all: &[RequestPrincipalMatch]) {
        let mut values: Vec<_> = all
            .iter()
            .map(|one| {
                let mut value = Writer::default();
                let (form, issuer) = form(Some(&one.issuer));
                value.byte(form);
                value.text(issuer);
                let (form, subject) = self::form(one.subject.as_ref());
                value.byte(form);
                value.text(subject);
                value.0
            })
            .collect();
        values.sort_unstable();
        values.dedup();
        List::write(writer, &values);
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        List::read(reader).map(Self)
    }

    /// Looks at each: there are few.
    pub(super) fn fit(&self, issuer: &str, subject: &str) -> bool {
        self.iter().any(|(wanted_issuer, wanted_subject)| {
            wanted_issuer.is_some_and(|wanted| fits(wanted, issuer))
                && match wanted_subject {
                    Some(wanted) => fits(wanted, subject),
                    None => subject.is_empty(),
                }
        })
    }

    /// Issuer and subject of each; `None` stands for the empty text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<Form<'a>>, Option<Form<'a>>)> {
        self.0.iter().map(|value| {
            let mut reader = Reader(value);
            (Form::read(&mut reader), Form::read(&mut reader))
        })
    }
}

/// One comparison with a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    Presence,
}

impl<'a> Form<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let form = reader.byte()?;
        let text = text(reader.text()?);
        match form {
            1 => Some(Self::Exact(text)),
            2 => Some(Self::Prefix(text)),
            3 => Some(Self::Suffix(text)),
            4 => Some(Self::Presence),
            _ => None,
        }
    }

    pub(crate) fn to_spec(self) -> StringMatch {
        match self {
            Self::Exact(text) => StringMatch::Exact(text.into()),
            Self::Prefix(text) => StringMatch::Prefix(text.into()),
            Self::Suffix(text) => StringMatch::Suffix(text.into()),
            Self::Presence => StringMatch::Presence,
        }
    }
}

fn form(text: Option<&StringMatch>) -> (u8, &[u8]) {
    match text {
        None => (0, b""),
        Some(StringMatch::Exact(text)) => (1, text.as_bytes()),
        Some(StringMatch::Prefix(text)) => (2, text.as_bytes()),
        Some(StringMatch::Suffix(text)) => (3, text.as_bytes()),
        Some(StringMatch::Presence) => (4, b""),
    }
}

fn fits(form: Form<'_>, text: &str) -> bool {
    match form {
        Form::Exact(exact) => text == exact,
        Form::Prefix(prefix) => text.starts_with(prefix),
        Form::Suffix(suffix) => text.ends_with(suffix),
        Form::Presence => !text.is_empty(),
    }
}
