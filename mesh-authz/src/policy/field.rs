//! One list of values of a match, and whether it agrees.

use super::bytes::{Reader, Writer};
use super::dimension::Dimension;
use super::values::{Accounts, Ports, Ranges, RequestPrincipals, Texts, text};
use crate::facts::Facts;
use crate::spec::{TemplateCharset, template_matches};
use crate::truth::Truth;

/// What separates the names in the name of a field.
pub(crate) const SEPARATOR: char = '\0';

/// One list of values of a match, never empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) dimension: Dimension,
    /// Whether the values exclude.
    pub(crate) excludes: bool,
    /// Of a header; of a claim, and of those around it, from the outside in; of what was noted: by
    /// whom, under which key, and `[]` for an element of a list.
    pub(crate) name: &'a str,
    values: Reader<'a>,
}

/// The values of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    Texts(Texts<'a>),
    Accounts(Accounts<'a>),
    Ranges(Ranges<'a>),
    Ports(Ports<'a>),
    /// Texts, and texts of templates behind them.
    Paths(Texts<'a>),
    RequestPrincipals(RequestPrincipals<'a>),
}

impl<'a> Field<'a> {
    /// Writes what comes before the values.
    pub(super) fn begin(dimension: Dimension, excludes: bool, name: &str) -> Writer {
        let mut writer = Writer::default();
        writer.byte(dimension.code() << 1 | u8::from(excludes));
        if dimension.is_named() {
            writer.text(name.as_bytes());
        }
        writer
    }

    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let code = reader.byte()?;
        let dimension = Dimension::of(code >> 1)?;
        let name = if dimension.is_named() {
            text(reader.text()?)
        } else {
            ""
        };
        Some(Self {
            dimension,
            excludes: code & 1 == 1,
            name,
            values: reader,
        })
    }

    pub(crate) fn values(&self) -> Option<Values<'a>> {
        let mut reader = self.values;
        Some(match self.dimension {
            Dimension::DestinationPort => Values::Ports(Ports::read(&mut reader)),
            Dimension::DestinationIp | Dimension::SourceIp | Dimension::RemoteIp => {
                Values::Ranges(Ranges::read(&mut reader)?)
            }
            Dimension::ServiceAccount => Values::Accounts(Accounts::read(&mut reader)?),
            Dimension::Path => Values::Paths(Texts::read(&mut reader)?),
            Dimension::RequestPrincipal => {
                Values::RequestPrincipals(RequestPrincipals::read(&mut reader)?)
            }
            Dimension::Namespace
            | Dimension::TrustDomain
            | Dimension::Principal
            | Dimension::Sni
            | Dimension::Method
            | Dimension::Host
            | Dimension::Header
            | Dimension::Claim
            | Dimension::Metadata => Values::Texts(Texts::read(&mut reader)?),
        })
    }

    /// Whether the field agrees. `allows`: whether it is of a policy that allows.
    pub(crate) fn truth(&self, facts: &Facts<'_>, allows: bool) -> Truth {
        if self.dimension.needs_request() && facts.request.is_none() {
            return Truth::Unknown;
        }
        // Where a value that fits leads to a denial, the safer meaning of values is the wider one.
        let wide = allows == self.excludes;
        Truth::from(self.fits(facts, wide) != self.excludes)
    }

    /// Whether one of the values fits; never when what they are compared with is not there.
    fn fits(&self, facts: &Facts<'_>, wide: bool) -> bool {
        match self.values() {
            Some(Values::Ports(ports)) => ports.contain(facts.connection.destination.port()),
            Some(Values::Ranges(ranges)) => {
                let ip = match self.dimension {
                    Dimension::DestinationIp => Some(facts.connection.destination.ip()),
                    dimension => facts.ip(dimension == Dimension::RemoteIp),
                };
                ip.is_some_and(|ip| ranges.contain(ip))
            }
            Some(Values::Accounts(accounts)) => facts
                .account()
                .is_some_and(|account| accounts.contain(account)),
            Some(Values::Texts(texts)) => self.texts_fit(&texts, facts, wide),
            Some(Values::Paths(texts)) => paths_fit(&texts, facts, wide),
            Some(Values::RequestPrincipals(principals)) => {
                let claims = facts.request.and_then(|request| request.claims);
                let parts = claims.and_then(|claims| claims.issuer().zip(claims.subject()));
                parts.is_some_and(|(issuer, subject)| principals.fit(issuer, subject))
            }
            None => false,
        }
    }

    fn texts_fit(&self, texts: &Texts<'_>, facts: &Facts<'_>, wide: bool) -> bool {
        let fits = |text: &[u8]| texts.fit(text, false);
        let one = |text: Option<&[u8]>| text.is_some_and(fits);
        match self.dimension {
            Dimension::Namespace => facts.namespace().is_some_and(|text| {
                let wildcards = facts.semantics.namespace_wildcards;
                fits(text) || wildcards && texts.fit_with_wildcards(text)
            }),
            Dimension::TrustDomain => one(facts.trust_domain()),
            Dimension::Principal => one(facts.principal()),
            Dimension::Sni => one(facts.connection.sni.map(str::as_bytes)),
            Dimension::Method => one(facts.request.map(|request| request.method.as_bytes())),
            Dimension::Host => {
                let bare = wide && facts.semantics.host_without_port;
                fits(facts.host().as_bytes()) || bare && one(facts.bare_host().map(str::as_bytes))
            }
            Dimension::Header => header_fits(self.name, texts, facts, wide),
            Dimension::Claim => {
                let claims = facts.request.and_then(|request| request.claims);
                claims.is_some_and(|claims| {
                    let mut strings = claims.strings_below(self.name.split(SEPARATOR));
                    strings.any(|string| fits(string.as_bytes()))
                })
            }
            Dimension::Metadata => facts.request.is_some_and(|request| {
                let mut parts = self.name.split(SEPARATOR);
                let filter = parts.next().unwrap_or_default();
                let key = parts.next().unwrap_or_default();
                let fits = |text: &str| fits(text.as_bytes());
                if parts.next().is_some() {
                    request.metadata.element(filter, key, &fits)
                } else {
                    request.metadata.text(filter, key, &fits)
                }
            }),
            _ => false,
        }
    }
}

fn paths_fit(texts: &Texts<'_>, facts: &Facts<'_>, wide: bool) -> bool {
    let Some(target) = facts.request.and_then(|request| request.target) else {
        return false;
    };
    let path = target.path();
    let charset = if wide && facts.semantics.wide_templates {
        TemplateCharset::AnyButSlash
    } else {
        TemplateCharset::Compat
    };
    texts.fit(path.as_bytes(), false)
        || texts
            .templates()
            .any(|template| template_matches(text(template), path, charset))
}

/// Whether a line of a header fits, or one of its elements.
fn header_fits(name: &str, texts: &Texts<'_>, facts: &Facts<'_>, wide: bool) -> bool {
    let semantics = facts.semantics;
    let empty = wide || !semantics.header_not_empty;
    let elements = wide && semantics.header_elements;
    header_lines(name, facts).any(|line| {
        texts.fit(line, empty)
            || elements
                && line.contains(&b',')
                && line
                    .split(|byte| *byte == b',')
                    .any(|element| texts.fit(trim(element), empty))
    })
}

/// The lines of a header without spaces around them, or the part of the request that a
/// pseudo-header is.
pub(crate) fn header_lines<'a>(name: &str, facts: &'a Facts<'_>) -> impl Iterator<Item = &'a [u8]> {
    let request = facts.request;
    let pseudo = request.and_then(|request| match name {
        ":method" => Some(request.method),
        ":authority" => Some(request.host),
        ":path" => request.target.map(|target| target.as_str()),
        _ => None,
    });
    let ordinary = request.filter(|_| !name.starts_with(':'));
    let lines = ordinary.map(|request| request.headers.get_all(name).iter());
    let lines = lines.into_iter().flatten().map(|value| value.as_bytes());
    pseudo.map(str::as_bytes).into_iter().chain(lines).map(trim)
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}
