//! The values of a field, as they are looked up.

use std::net::IpAddr;

use super::keys::Keys;
use super::probe::{Part, network, tag};
use crate::policy::{Dimension, Field, Form, Texts, Values, text};
use crate::spec::template_prefix;

/// A value, or a part of one that every part of a connection has that fits it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Presence,
    All(&'a [u8], &'a [u8]),
    Port(u16),
    First(&'a [u8]),
    Last(&'a [u8]),
    Network(IpAddr, u8),
    Issuer(&'a [u8]),
    Segment(u8, &'a [u8]),
}

impl Value<'_> {
    /// The part that it is compared with. Texts that are longer than any part are cut: only what
    /// asks for them may be looked up so.
    pub(super) fn part(&self) -> Part {
        let length = |text: &[u8]| u16::try_from(text.len()).unwrap_or(u16::MAX);
        match self {
            Self::Presence => Part::Presence,
            Self::All(..) | Self::Port(_) => Part::All,
            Self::First(text) => Part::First(length(text)),
            Self::Last(text) => Part::Last(length(text)),
            Self::Network(IpAddr::V4(_), bits) => Part::Bits4(*bits),
            Self::Network(IpAddr::V6(_), bits) => Part::Bits6(*bits),
            Self::Issuer(_) => Part::Issuer,
            Self::Segment(at, _) => Part::Segment(*at),
        }
    }

    /// Whether a part of a connection or request that has it always fits the value.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::First(text) | Self::Last(text) => u16::try_from(text.len()).is_ok(),
            Self::Issuer(_) | Self::Segment(..) => false,
            Self::Presence | Self::All(..) | Self::Port(_) | Self::Network(..) => true,
        }
    }

    /// The number that it is found by with its [part](Self::part), or with a shorter one.
    pub(super) fn tag(&self, keys: &Keys, field: &Field<'_>, part: Part) -> Option<u32> {
        let of = |value| tag(keys, field.dimension, field.name, part, value);
        Some(match self {
            Self::Presence => of((&[], &[])),
            Self::All(first, second) => of((first, second)),
            Self::Port(port) => of((&port.to_le_bytes(), &[])),
            Self::First(text) | Self::Last(text) => of((part.of(text)?, &[])),
            Self::Network(ip, _) => {
                let (bytes, length) = network(*ip, part)?;
                of((bytes.get(..length)?, &[]))
            }
            Self::Issuer(text) | Self::Segment(_, text) => of((text, &[])),
        })
    }
}

/// Calls `visit` with each value of a field. Whether a connection or request that fits the field
/// always has one of these.
///
/// `exact`: only with values that fit whatever they are found by.
pub(super) fn each_value<'a>(
    field: &Field<'a>,
    exact: bool,
    mut visit: impl FnMut(Value<'a>),
) -> bool {
    match field.values() {
        Some(Values::Texts(_)) if field.dimension == Dimension::Metadata => false,
        Some(Values::Texts(texts)) if field.dimension == Dimension::Namespace && texts.stars => {
            each_text(&texts, |value| {
                if let Some(value) = without_stars(value, exact) {
                    visit(value);
                }
            });
            true
        }
        Some(Values::Texts(texts)) => {
            each_text(&texts, visit);
            true
        }
        Some(Values::Accounts(accounts)) => {
            accounts
                .iter()
                .for_each(|(ns, name)| visit(Value::All(ns, name)));
            true
        }
        Some(Values::Ranges(ranges)) => {
            let ranges = ranges.iter();
            ranges.for_each(|net| visit(Value::Network(net.network(), net.prefix_len())));
            true
        }
        Some(Values::Ports(ports)) => {
            ports.iter().for_each(|port| visit(Value::Port(port)));
            true
        }
        Some(Values::Paths(texts)) => {
            each_text(&texts, &mut visit);
            if !exact {
                for template in texts.templates() {
                    visit(template_value(text(template)));
                }
            }
            true
        }
        Some(Values::RequestPrincipals(principals)) => {
            let mut all = true;
            for one in principals.iter() {
                match one {
                    (Some(Form::Exact(issuer)), Some(Form::Exact(subject))) => {
                        visit(Value::All(issuer.as_bytes(), subject.as_bytes()));
                    }
                    (Some(Form::Exact(issuer)), None) => {
                        visit(Value::All(issuer.as_bytes(), &[]));
                    }
                    (Some(Form::Exact(issuer)), Some(_)) if !exact => {
                        visit(Value::Issuer(issuer.as_bytes()));
                    }
                    _ => all = false,
                }
            }
            all
        }
        None => false,
    }
}

/// The longest of what every path has that fits a template: what it begins with, or a segment.
fn template_value(template: &str) -> Value<'_> {
    let prefix = template_prefix(template);
    let before_any = template.split("{**}").next().unwrap_or_default();
    // The last is not whole when `{**}` follows, and is looked up by what the path begins with.
    let whole = before_any.rsplit_once('/').map_or("", |(whole, _)| whole);
    let segments = (0_u8..=u8::MAX).zip(whole.split('/').skip(1));
    let literal = segments.filter(|(_, segment)| !segment.contains('{'));
    match literal.max_by_key(|(_, segment)| segment.len()) {
        Some((at, segment)) if segment.len() > prefix.len() => {
            Value::Segment(at, segment.as_bytes())
        }
        _ => Value::First(prefix.as_bytes()),
    }
}

/// What every text begins or ends with that fits a value when its stars stand for anything; `None` when it
/// has stars and only what fits as a whole is wanted.
fn without_stars(value: Value<'_>, exact: bool) -> Option<Value<'_>> {
    let star = |text: &[u8]| text.iter().position(|byte| *byte == b'*');
    let is_star = |byte: &u8| *byte == b'*';
    let part = match value {
        Value::All(text, []) | Value::First(text) if star(text).is_some() => {
            Value::First(text.split(is_star).next()?)
        }
        Value::Last(text) if star(text).is_some() => Value::Last(text.rsplit(is_star).next()?),
        value => return Some(value),
    };
    (!exact).then_some(part)
}

fn each_text<'a>(texts: &Texts<'a>, mut visit: impl FnMut(Value<'a>)) {
    if texts.presence {
        visit(Value::Presence);
    }
    texts.exact().for_each(|text| visit(Value::All(text, &[])));
    texts.prefixes().for_each(|text| visit(Value::First(text)));
    texts.suffixes().for_each(|text| visit(Value::Last(text)));
}
