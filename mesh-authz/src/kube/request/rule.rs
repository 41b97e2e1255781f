//! One issuer of tokens.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::name::Name;

use super::duration::duration;
use super::{ClaimToHeader, JwtHeader, JwtRule, keys};
use crate::kube::fault::Fault;
use crate::kube::finding::Findings;
use crate::kube::path::Path;

/// The most claims that are lists of words.
const MAX_SPACE_DELIMITED: usize = 64;

/// How long fetching keys may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest time that fetching keys may be given.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// An issuer of tokens that has been checked.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TokenRule {
    /// The claim `iss`; `None` when it is not compared.
    pub issuer: Option<Name>,
    /// Values of `aud`, of which a token must have one. Empty: any.
    pub audiences: Vec<Name>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Headers with a token.
    pub from_headers: Vec<JwtHeader>,
    /// Query parameters with a token.
    pub from_params: Vec<Name>,
    /// Cookies with a token.
    pub from_cookies: Vec<Name>,
    /// Header that the verified payload is written to.
    pub output_payload_to_header: Option<Name>,
    /// Whether the token is left in the request.
    pub forward_original_token: bool,
    /// Headers that single claims are written to.
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// How long fetching the keys may take; 5 s where nothing is said.
    pub timeout: Duration,
    /// Claims that are lists of words, beside `scope` and `permission`.
    pub space_delimited_claims: Vec<Name>,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum KeySource {
    /// They are given, as a JSON Web Key Set.
    Inline(Box<str>),
    /// They are fetched from here.
    Uri(Box<str>),
    /// They are where the issuer's OpenID configuration says.
    Discovery,
}

/// The rule, unless it has no keys.
pub(super) fn read(from: &JwtRule, at: &Path<'_>, found: &mut Findings) -> Option<TokenRule> {
    let lists = [
        ("audiences", &from.audiences),
        ("fromParams", &from.from_params),
        ("fromCookies", &from.from_cookies),
        ("spaceDelimitedClaims", &from.space_delimited_claims),
    ];
    for (field, list) in lists {
        not_empty(
            list.iter().map(String::as_str),
            &at.field(field),
            None,
            found,
        );
    }
    let headers = from.from_headers.iter().map(|header| header.name.as_str());
    not_empty(headers, &at.field("fromHeaders"), Some("name"), found);
    let words = from.space_delimited_claims.len();
    found.at_most(
        &at.field("spaceDelimitedClaims"),
        MAX_SPACE_DELIMITED,
        words,
    );
    outputs(from, at, found);
    let keys = key_source(from, at, found);
    let names = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
    let some = |text: &str| (!text.is_empty()).then(|| Name::from(text));
    Some(TokenRule {
        issuer: some(&from.issuer),
        audiences: names(&from.audiences),
        from_headers: from.from_headers.clone(),
        from_params: names(&from.from_params),
        from_cookies: names(&from.from_cookies),
        output_payload_to_header: some(&from.output_payload_to_header),
        forward_original_token: from.forward_original_token,
        output_claim_to_headers: from.output_claim_to_headers.clone(),
        timeout: timeout(from.timeout.as_deref(), &at.field("timeout"), found),
        space_delimited_claims: names(&from.space_delimited_claims),
        keys: keys?,
    })
}

fn key_source(from: &JwtRule, at: &Path<'_>, found: &mut Findings) -> Option<KeySource> {
    match (from.jwks_uri.as_str(), from.jwks.as_str()) {
        ("", "") if from.issuer.is_empty() => {
            found.fault(at, Fault::NoIssuer);
            None
        }
        ("", "") => Some(KeySource::Discovery),
        (uri, "") => {
            keys::uri(uri, &at.field("jwksUri"), found);
            Some(KeySource::Uri(uri.into()))
        }
        ("", set) => {
            keys::set(set, &at.field("jwks"), found);
            Some(KeySource::Inline(set.into()))
        }
        _ => {
            found.fault(at, Fault::TwoKeySources);
            None
        }
    }
}

fn timeout(from: Option<&str>, at: &Path<'_>, found: &mut Findings) -> Duration {
    let Some(text) = from else {
        return TIMEOUT;
    };
    let read = duration(text).filter(|read| *read >= MIN_TIMEOUT);
    let fault = Fault::Duration { found: text.into() };
    found.keep(at, read.ok_or(fault)).unwrap_or(TIMEOUT)
}

/// Headers that something is written to: names that HTTP takes, each of them once.
fn outputs(from: &JwtRule, at: &Path<'_>, found: &mut Findings) {
    let payload = from.output_payload_to_header.as_str();
    let payload_at = at.field("outputPayloadToHeader");
    let list = at.field("outputClaimToHeaders");
    let mut seen = BTreeSet::new();
    if !payload.is_empty() {
        output_header(payload, &payload_at, &mut seen, found);
    }
    for (index, each) in from.output_claim_to_headers.iter().enumerate() {
        let at = list.index(index);
        if each.claim.is_empty() {
            found.fault(&at.field("claim"), Fault::EmptyText);
        }
        output_header(&each.header, &at.field("header"), &mut seen, found);
    }
}

fn output_header(header: &str, at: &Path<'_>, seen: &mut BTreeSet<String>, found: &mut Findings) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if header.is_empty() || !header.bytes().all(allowed) {
        found.fault(
            at,
            Fault::OutputHeader {
                found: header.into(),
            },
        );
        return;
    }
    if !seen.insert(header.to_ascii_lowercase()) {
        found.fault(
            at,
            Fault::SameHeader {
                header: header.into(),
            },
        );
    }
}

fn not_empty<'t>(
    texts: impl Iterator<Item = &'t str>,
    at: &Path<'_>,
    field: Option<&'static str>,
    found: &mut Findings,
) {
    for (index, _) in texts.enumerate().filter(|(_, text)| text.is_empty()) {
        let at = at.index(index);
        match field {
            Some(field) => found.fault(&at.field(field), Fault::EmptyText),
            None => found.fault(&at, Fault::EmptyText),
        }
    }
}
