//! All rules for one workload: from a request to its claims.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use mesh_core::name::Name;

use super::error::JwtError;
use super::invalid::{InvalidRule, RuleProblem};
use super::output;
use super::profile::Profile;
use super::provider::Provider;
use super::rule::JwtRule;
use super::store::JwksStore;
use super::token::Token;
use crate::claims::VerifiedClaims;

/// Most rules of one workload (Istio).
const MOST_RULES: usize = 4096;

/// What all RequestAuthentications of one workload say together.
///
/// Rules never demand a token: a request without one passes, without claims. A token that is there
/// must verify with a rule that reads the place where it is; whoever wants a token to be there says
/// so in an authorization policy.
#[derive(Debug, Default)]
pub struct Authenticator {
    providers: Vec<Provider>,
    /// Every header that some rule writes.
    outputs: Vec<HeaderName>,
    profile: Profile,
}

/// What a request proves with its tokens.
#[derive(Clone, Debug, Default)]
#[must_use]
#[non_exhaustive]
pub struct Authenticated {
    /// The claims of the token; `None` without one.
    pub claims: Option<Arc<VerifiedClaims>>,
    /// The place of the rule among those of its workload, ordered by issuer, from 0: Istio's
    /// provider names are `origins-0` and so on.
    pub provider: Option<usize>,
    /// Whether tokens of another issuer or subject verified as well.
    pub ambiguous: bool,
    /// Whether the request is a CORS preflight, whose tokens are not looked at.
    pub preflight: bool,
}

impl Authenticator {
    /// Compiles rules. Their order among equal issuers is kept; otherwise they are tried in the
    /// order of their issuers. Remote keys are shared through `store`.
    ///
    /// # Errors
    /// [`InvalidRule`] with the place and the problem of the first rule that cannot be enforced.
    pub fn new(
        rules: Vec<JwtRule>,
        store: &JwksStore,
        profile: Profile,
    ) -> Result<Self, InvalidRule> {
        if rules.len() > MOST_RULES {
            let problem = RuleProblem::TooMany;
            return Err(InvalidRule {
                rule: MOST_RULES,
                problem,
            });
        }
        let compile = |(rule, given)| {
            Provider::compile(given, store).map_err(|problem| InvalidRule { rule, problem })
        };
        let compiled: Result<Vec<_>, _> = rules.into_iter().enumerate().map(compile).collect();
        let mut providers = compiled?;
        providers.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        let mut outputs: Vec<HeaderName> = providers
            .iter()
            .flat_map(|provider| provider.output.headers().cloned())
            .collect();
        outputs.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        outputs.dedup();
        Ok(Self {
            providers,
            outputs,
            profile,
        })
    }

    /// Issuers of the rules, in the order in which they are tried.
    pub fn issuers(&self) -> impl Iterator<Item = &Name> {
        self.providers.iter().map(|provider| &provider.issuer)
    }

    /// Verifies the tokens of a request at `now`, and changes the request to what the application
    /// gets: headers that rules write are removed, whoever sent them, before anything is read, and
    /// written anew from a verified token, which is then taken out unless its rule forwards it.
    ///
    /// A CORS preflight (the Fetch standard, section 3.2.2) passes without claims: browsers send
    /// none, and policies decide about it all the same.
    ///
    /// # Errors
    /// [`JwtError`] when tokens are there and none of the rules is satisfied. The request must not
    /// go on then; only its headers that rules write have been removed.
    pub fn check(&self, parts: &mut Parts, now: SystemTime) -> Result<Authenticated, JwtError> {
        output::remove(&mut parts.headers, &self.outputs);
        if is_preflight(&parts.method, &parts.headers) {
            return Ok(Authenticated {
                preflight: true,
                ..Authenticated::default()
            });
        }
        let (authenticated, changes) = self.authenticate(&parts.headers, &parts.uri, now)?;
        for &provider in &changes.verified {
            for place in &provider.places {
                place.strip(&mut parts.headers, &mut parts.uri, self.profile);
            }
        }
        for (name, value) in changes.headers {
            parts.headers.insert(name, value);
        }
        Ok(authenticated)
    }

    /// The decision alone: what is proven, and what is to be changed.
    fn authenticate(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        now: SystemTime,
    ) -> Result<(Authenticated, Changes<'_>), JwtError> {
        let mut authenticated = Authenticated::default();
        let mut changes = Changes::default();
        let mut refused: Option<JwtError> = None;
        for (index, provider) in self.providers.iter().enumerate() {
            let token = match self.verified(provider, headers, uri, now) {
                Ok(None) => continue,
                Ok(Some(token)) => token,
                Err(error) => {
                    // Another rule's token tells less than one that was meant for this rule.
                    if refused.is_none_or(JwtError::is_foreign) {
                        refused = Some(error);
                    }
                    continue;
                }
            };
            if !provider.forward {
                changes.verified.push(provider);
            }
            authenticated.ambiguous |= token.ambiguous;
            if let Some(first) = &authenticated.claims {
                authenticated.ambiguous |= !same_identity(first, &token.claims);
                continue;
            }
            authenticated.provider = Some(index);
            authenticated.claims = Some(token.claims);
            changes.headers = token.headers;
        }
        match refused {
            Some(error) if authenticated.claims.is_none() => Err(error),
            _ if authenticated.ambiguous && self.profile.one_identity => Err(JwtError::Ambiguous),
            _ => Ok((authenticated, changes)),
        }
    }

    /// The first token in the places of a rule, when all that are there verify.
    fn verified(
        &self,
        provider: &Provider,
        headers: &HeaderMap,
        uri: &Uri,
        now: SystemTime,
    ) -> Result<Option<Verified>, JwtError> {
        let mut first: Option<Verified> = None;
        for place in &provider.places {
            let Some(text) = place.token(headers, uri, self.profile)? else {
                continue;
            };
            let token = Token::parse(&text)?;
            provider.verify(&token, self.profile, now)?;
            let verified = Verified::of(token, provider);
            match &mut first {
                None => first = Some(verified),
                Some(other) => {
                    other.ambiguous |= !same_identity(&other.claims, &verified.claims);
                }
            }
        }
        Ok(first)
    }
}

/// A token that verified.
struct Verified {
    claims: Arc<VerifiedClaims>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether another token of the same rule is of someone else.
    ambiguous: bool,
}

impl Verified {
    fn of(token: Token<'_>, provider: &Provider) -> Self {
        let headers = provider.output.of(&token);
        let claims = VerifiedClaims::new(token.claims, provider.space_delimited.clone());
        Self {
            claims: Arc::new(claims),
            headers,
            ambiguous: false,
        }
    }
}

/// What becomes of a request with verified tokens.
#[derive(Default)]
struct Changes<'a> {
    /// Rules that were satisfied and do not forward their token.
    verified: Vec<&'a Provider>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

fn same_identity(one: &VerifiedClaims, other: &VerifiedClaims) -> bool {
    (one.issuer(), one.subject()) == (other.issuer(), other.subject())
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
