//! One rule, compiled: from a token to its claims.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::HeaderName;
use mesh_core::name::Name;

use super::error::JwtError;
use super::invalid::RuleProblem;
use super::keys::Jwks;
use super::output::Output;
use super::place::Place;
use super::profile::Profile;
use super::remote::RemoteKeys;
use super::rule::{JwtRule, KeySource};
use super::source::JwksSource;
use super::store::JwksStore;
use super::token::Token;
use crate::claims::SpaceDelimited;

/// How far clocks may be apart, both ways, in seconds.
const CLOCK_SKEW: u64 = 60;

/// A rule that tokens are verified by.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) issuer: Name,
    audiences: Vec<Name>,
    keys: Keys,
    pub(super) places: Vec<Place>,
    pub(super) output: Output,
    pub(super) forward: bool,
    pub(super) space_delimited: SpaceDelimited,
}

#[derive(Debug)]
enum Keys {
    Inline(Jwks),
    Remote(Arc<RemoteKeys>),
    /// The issuer is no address at which keys could be.
    Nowhere,
}

impl Provider {
    pub(super) fn compile(rule: JwtRule, store: &JwksStore) -> Result<Self, RuleProblem> {
        if rule.issuer.is_empty() && matches!(rule.keys, KeySource::Discovery) {
            return Err(RuleProblem::NoIssuer);
        }
        let lists = [
            ("`audiences`", &rule.audiences),
            ("`fromParams`", &rule.from_params),
            ("`fromCookies`", &rule.from_cookies),
        ];
        for (field, names) in lists {
            if names.iter().any(|name| name.is_empty()) {
                return Err(RuleProblem::Empty(field));
            }
        }
        let places = places(&rule)?;
        let output = output(&rule)?;
        let keys = match rule.keys {
            KeySource::Inline(jwks) => Keys::Inline(jwks),
            KeySource::Remote(uri) => {
                let source = JwksSource::uri(&uri).map_err(RuleProblem::Uri)?;
                Keys::Remote(store.remote(source, rule.timeout))
            }
            // Such rules are valid, and their tokens are refused for want of keys.
            KeySource::Discovery => JwksSource::issuer(&rule.issuer)
                .map_or(Keys::Nowhere, |source| {
                    Keys::Remote(store.remote(source, rule.timeout))
                }),
        };
        Ok(Self {
            issuer: rule.issuer,
            audiences: rule.audiences,
            keys,
            places,
            output,
            forward: rule.forward_original_token,
            space_delimited: rule.space_delimited,
        })
    }

    /// Verifies a token: issuer, times, audience and signature, in this order.
    pub(super) fn verify(
        &self,
        token: &Token<'_>,
        profile: Profile,
        now: SystemTime,
    ) -> Result<(), JwtError> {
        if token.algorithm.is_symmetric() && !profile.symmetric_keys {
            return Err(JwtError::AlgorithmUnsupported);
        }
        if !self.issuer.is_empty() && self.issuer != *token.issuer() {
            return Err(JwtError::UnknownIssuer);
        }
        check_times(token, profile, now)?;
        self.check_audience(token, profile)?;
        match &self.keys {
            Keys::Inline(jwks) => jwks.verify(token),
            Keys::Remote(remote) => remote.verify(token, now),
            Keys::Nowhere => Err(JwtError::KeysUnavailable),
        }
    }

    fn check_audience(&self, token: &Token<'_>, profile: Profile) -> Result<(), JwtError> {
        let same = |wanted: &Name, given: &str| match profile.exact_audiences {
            true => *wanted == *given,
            false => bare(wanted) == bare(given),
        };
        let allowed = |given: &str| self.audiences.iter().any(|wanted| same(wanted, given));
        if self.audiences.is_empty() || token.audiences().any(allowed) {
            Ok(())
        } else {
            Err(JwtError::AudienceNotAllowed)
        }
    }
}

/// An audience without its scheme and one slash at its end.
fn bare(audience: &str) -> &str {
    let schemes = ["https://", "http://"];
    let rest = schemes
        .iter()
        .find_map(|scheme| audience.strip_prefix(scheme));
    let rest = rest.unwrap_or(audience);
    rest.strip_suffix('/').unwrap_or(rest)
}

fn check_times(token: &Token<'_>, profile: Profile, now: SystemTime) -> Result<(), JwtError> {
    // A clock before 1970 is as good as none: everything with `nbf` is in the future then.
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    match token.expiry {
        None if profile.expiry_required => return Err(JwtError::ExpiryMissing),
        Some(expiry) if now > expiry.saturating_add(CLOCK_SKEW) => return Err(JwtError::Expired),
        _ => {}
    }
    match token.not_before {
        Some(start) if now < start.saturating_sub(CLOCK_SKEW) => Err(JwtError::NotYetValid),
        _ => Ok(()),
    }
}

fn places(rule: &JwtRule) -> Result<Vec<Place>, RuleProblem> {
    let mut places = Vec::new();
    for place in &rule.from_headers {
        let name = HeaderName::from_bytes(place.name.as_bytes())
            .map_err(|_| RuleProblem::HeaderName("`fromHeaders`", place.name.to_string()))?;
        places.push(Place::Header(name, place.prefix.clone()));
    }
    places.extend(rule.from_params.iter().cloned().map(Place::Param));
    places.extend(rule.from_cookies.iter().cloned().map(Place::Cookie));
    if places.is_empty() {
        places = Place::defaults();
    }
    Ok(places)
}

fn output(rule: &JwtRule) -> Result<Output, RuleProblem> {
    let mut output = Output::default();
    if let Some(name) = &rule.output_payload_to_header {
        output.payload = Some(written("`outputPayloadToHeader`", name)?);
    }
    for entry in &rule.output_claim_to_headers {
        if entry.claim.is_empty() {
            return Err(RuleProblem::Empty("`outputClaimToHeaders`"));
        }
        let header = written("`outputClaimToHeaders`", &entry.header)?;
        let path = entry.claim.split('.').map(str::to_owned).collect();
        output.claims.push((header, path));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = output.headers().find(|&header| !seen.insert(header)) {
        return Err(RuleProblem::SameHeader(twice.to_string()));
    }
    Ok(output)
}

/// The name of a header that is written.
fn written(field: &'static str, name: &str) -> Result<HeaderName, RuleProblem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    parsed
        .filter(|_| name.bytes().all(plain))
        .ok_or_else(|| RuleProblem::HeaderName(field, name.to_owned()))
}
