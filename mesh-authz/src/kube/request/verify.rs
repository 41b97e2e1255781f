//! Rules of objects as the verifier of tokens takes them.

use super::{KeySource, TokenRule};
use crate::claims::SpaceDelimited;
use crate::jwt::{self, HeaderPlace, InvalidJwks, Jwks, JwtRule};

impl TryFrom<&TokenRule> for JwtRule {
    type Error = InvalidJwks;

    /// # Errors
    /// [`InvalidJwks`] when the keys that are given cannot be used.
    fn try_from(from: &TokenRule) -> Result<Self, InvalidJwks> {
        let keys = match &from.keys {
            KeySource::Inline(set) => jwt::KeySource::Inline(Jwks::parse(set.as_bytes())?),
            KeySource::Uri(uri) => jwt::KeySource::Remote((&**uri).into()),
            KeySource::Discovery => jwt::KeySource::Discovery,
        };
        let mut rule = Self::new(from.issuer.clone().unwrap_or_default(), keys);
        rule.audiences.clone_from(&from.audiences);
        let headers = from.from_headers.iter();
        rule.from_headers = headers
            .map(|header| HeaderPlace::new(header.name.as_str(), header.prefix.as_str()))
            .collect();
        rule.from_params.clone_from(&from.from_params);
        rule.from_cookies.clone_from(&from.from_cookies);
        rule.output_payload_to_header
            .clone_from(&from.output_payload_to_header);
        let outputs = from.output_claim_to_headers.iter();
        rule.output_claim_to_headers = outputs
            .map(|each| jwt::ClaimToHeader::new(each.header.as_str(), each.claim.as_str()))
            .collect();
        rule.forward_original_token = from.forward_original_token;
        rule.space_delimited = SpaceDelimited::with(from.space_delimited_claims.iter().cloned());
        rule.timeout = from.timeout;
        Ok(rule)
    }
}
