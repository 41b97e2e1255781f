//! Where requests are forwarded to.

use http::StatusCode;
use mesh_core::random::Random;

use crate::filter::HeaderEdits;
use crate::target::ServiceTarget;

/// Destinations with weights: each request goes to one of them, independently of others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backends {
    entries: Box<[Backend]>,
    /// Sum of all weights.
    total: u64,
}

/// A destination.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Backend {
    /// What it is.
    pub target: BackendTarget,
    /// Its share in relation to the others: 0..=1,000,000 in the Gateway API, where 0 gets nothing.
    pub weight: u32,
    /// Edits of the request's headers, after those of the rule.
    pub request_headers: HeaderEdits,
    /// Edits of the response's headers, before those of the rule.
    pub response_headers: HeaderEdits,
}

/// What a destination is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a router must handle every target")]
pub enum BackendTarget {
    /// A service.
    Service(ServiceTarget),
    /// Something that cannot be used, whose share of the requests is answered with an error.
    Invalid(InvalidBackend),
}

/// Why a destination cannot be used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "reasons of the Gateway API, and one of Istio"
)]
pub enum InvalidBackend {
    /// It does not exist.
    #[error("the backend does not exist")]
    NotFound,
    /// It is of a kind that requests are not forwarded to.
    #[error("requests are not forwarded to this kind of backend")]
    Kind,
    /// It is in another namespace, which does not allow it.
    #[error("no ReferenceGrant allows the reference")]
    NotPermitted,
    /// It speaks a protocol that requests are not forwarded in.
    #[error("requests are not forwarded in the backend's protocol")]
    Protocol,
    /// It exists, but not the part of it that is named.
    #[error("the backend has no such subset")]
    Subset,
}

impl Backends {
    /// Destinations with their weights. Where there is one only, its weight says nothing unless it is
    /// 0.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Backend>) -> Self {
        let entries: Box<[Backend]> = entries.into_iter().collect();
        let total = entries.iter().map(|entry| u64::from(entry.weight)).sum();
        Self { entries, total }
    }

    /// All destinations.
    #[must_use]
    pub fn entries(&self) -> &[Backend] {
        &self.entries
    }

    /// Draws a destination; `None` when none has a weight: such requests are answered with 500.
    #[must_use]
    pub fn draw(&self, random: &mut impl Random) -> Option<&Backend> {
        let mut left = match &*self.entries {
            [only] if only.weight > 0 => return Some(only),
            _ => random.below(self.total),
        };
        self.entries.iter().find(|entry| {
            let weight = u64::from(entry.weight);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        })
    }
}

impl Backend {
    /// A destination of weight 1.
    #[must_use]
    pub fn new(target: BackendTarget) -> Self {
        Self {
            target,
            weight: 1,
            request_headers: HeaderEdits::default(),
            response_headers: HeaderEdits::default(),
        }
    }
}

impl InvalidBackend {
    /// What a request is answered with: 500, as the Gateway API says.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends(weights: &[u32]) -> Backends {
        Backends::new(weights.iter().map(|weight| Backend {
            weight: *weight,
            ..Backend::new(BackendTarget::Invalid(InvalidBackend::NotFound))
        }))
    }

    /// Shares over an even grid of numbers.
    fn shares(weights: &[u32]) -> Vec<u64> {
        const DRAWS: u64 = 1_000;
        let backends = backends(weights);
        let mut counts = vec![0; weights.len()];
        for draw in 0..DRAWS {
            let number = ((u128::from(draw) << 64) / u128::from(DRAWS)) as u64 + 1;
            let mut random = || number;
            if let Some(drawn) = backends.draw(&mut random) {
                let at = backends
                    .entries()
                    .iter()
                    .position(|entry| std::ptr::eq(entry, drawn));
                counts[at.unwrap()] += 1;
            }
        }
        counts
    }

    #[test]
    fn each_destination_gets_its_share() {
        let cases: [(&[u32], &[u64]); 6] = [
            (&[1], &[1_000]),
            (&[7], &[1_000]),
            (&[0], &[0]),
            (&[0, 0], &[0, 0]),
            (&[90, 10], &[900, 100]),
            (&[0, 1, 3], &[0, 250, 750]),
        ];
        for (weights, expected) in cases {
            assert_eq!(shares(weights), expected, "{weights:?}");
        }
        assert!(Backends::default().draw(&mut || 0).is_none());
    }
}
