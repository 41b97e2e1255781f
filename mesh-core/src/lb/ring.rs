//! Hosts on a ring of hashes.

use std::fmt::Write;

use xxhash_rust::xxh64::xxh64;

/// Bounds of the size of a ring.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain settings")]
pub struct RingSize {
    /// Entries at least, so that shares come out well: 1..=8,388,608, default 1024.
    pub min: u32,
    /// Entries at most: 1..=8,388,608, default 8,388,608.
    pub max: u32,
}

impl RingSize {
    /// The largest that a ring can be.
    pub const LARGEST: u32 = 8 * 1024 * 1024;
}

impl Default for RingSize {
    fn default() -> Self {
        Self {
            min: 1024,
            max: Self::LARGEST,
        }
    }
}

/// A ring of hashes, on which a host has a number of places in proportion to its weight.
///
/// Places equal Envoy's for the same texts, weights, order and sizes. When a host comes or goes, only
/// the keys next to its places move.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    /// Hash and host, by hash.
    places: Box<[(u64, u32)]>,
}

impl Ring {
    /// A ring of hosts, given by the text that stands for each (`ip:port`) and its weight.
    pub(super) fn new<'h>(
        hosts: impl Iterator<Item = (&'h str, f64)> + Clone,
        size: RingSize,
    ) -> Self {
        let sum: f64 = hosts.clone().map(|(_, weight)| weight).sum();
        let least = hosts.clone().map(|(_, weight)| weight / sum);
        let least = least.fold(f64::INFINITY, f64::min);
        if !(sum > 0.0 && least > 0.0) {
            return Self::default();
        }
        let max = f64::from(size.max.clamp(1, RingSize::LARGEST));
        let min = f64::from(size.min).min(max);
        let scale = ((least * min).ceil() / least).min(max);
        let mut places = Vec::with_capacity(scale.ceil() as usize);
        let (mut current, mut target) = (0.0, 0.0);
        let mut text = String::new();
        for (host, (key, weight)) in (0_u32..).zip(hosts) {
            target += scale * (weight / sum);
            let mut copy = 0_u32;
            while current < target {
                text.clear();
                // Writing to a string does not fail.
                let _ = write!(text, "{key}_{copy}");
                places.push((xxh64(text.as_bytes(), 0), host));
                copy += 1;
                current += 1.0;
            }
        }
        places.sort_unstable();
        Self {
            places: places.into(),
        }
    }

    /// The host at a hash; for retry `attempt` the one that many places further on.
    pub(super) fn host(&self, hash: u64, attempt: u32) -> Option<u32> {
        let first = self.places.partition_point(|(place, _)| *place < hash);
        let at = (first + attempt as usize).checked_rem(self.places.len())?;
        self.places.get(at).map(|(_, host)| *host)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: [&str; 6] = [
        "127.0.0.1:90",
        "127.0.0.1:91",
        "127.0.0.1:92",
        "127.0.0.1:93",
        "127.0.0.1:94",
        "127.0.0.1:95",
    ];

    fn equal<'h>(keys: &'h [&'h str]) -> impl Iterator<Item = (&'h str, f64)> + Clone {
        keys.iter().map(|key| (*key, 1.0))
    }

    /// Places as published in Envoy's `ring_hash_lb_test.cc`, `Basic`: a ring of at least 12.
    #[test]
    fn places_are_those_of_envoy() {
        let published: [(u64, u32); 12] = [
            (833437586790550860, 4),
            (928266305478181108, 2),
            (1033482794131418490, 0),
            (3551244743356806947, 5),
            (3851675632748031481, 3),
            (5583722120771150861, 1),
            (6311230543546372928, 1),
            (7700377290971790572, 3),
            (13144177310400110813, 5),
            (13444792449719432967, 2),
            (15516499411664133160, 4),
            (16117243373044804889, 0),
        ];
        let ring = Ring::new(
            equal(&SIX),
            RingSize {
                min: 12,
                ..RingSize::default()
            },
        );
        assert_eq!(*ring.places, published);
        let cases = [
            (0, 4),
            (u64::MAX, 4),
            (3551244743356806947, 5),
            (3551244743356806948, 3),
        ];
        for (hash, host) in cases {
            assert_eq!(ring.host(hash, 0), Some(host), "{hash}");
        }
        assert_eq!(ring.host(0, 1), Some(2), "a retry goes to the next place");
        assert_eq!(ring.host(u64::MAX, 12), Some(4), "once around");
    }

    /// Sizes as published there for weights, and as measured with Envoy 1.40 for 1, 1, 3.
    #[test]
    fn weights_give_shares_of_the_ring() {
        let weighted = [
            ("127.0.0.1:90", 1.0),
            ("127.0.0.1:91", 1.0),
            ("127.0.0.1:92", 3.0),
        ];
        let ring = Ring::new(weighted.into_iter(), RingSize::default());
        assert_eq!(ring.len(), 1025);
        let of = |host| ring.places.iter().filter(|(_, of)| *of == host).count();
        assert_eq!([of(0), of(1), of(2)], [205, 205, 615]);
    }

    #[test]
    fn a_ring_stays_within_its_largest_size_and_may_have_no_host() {
        let ring = Ring::new(equal(&SIX), RingSize { min: 1024, max: 7 });
        assert_eq!(ring.len(), 7);
        let none = Ring::new(std::iter::empty(), RingSize::default());
        assert_eq!(none.host(1, 0), None);
    }
}
