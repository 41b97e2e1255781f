//! Hosts in a table that a hash is looked up in.

use xxhash_rust::xxh64::xxh64;

/// The number of slots of a table: a prime up to 5,000,011.
///
/// ```
/// use mesh_core::lb::TableSize;
///
/// assert!(TableSize::new(65_537).is_some());
/// assert!(TableSize::new(65_536).is_none(), "not a prime");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TableSize(u32);

impl TableSize {
    /// The largest table.
    pub const LARGEST: u32 = 5_000_011;

    /// A size; `None` when it is not a prime of at most 5,000,011.
    #[must_use]
    pub fn new(size: u32) -> Option<Self> {
        let no_factor = |size: u32| {
            (2..)
                .take_while(|f| f * f <= size)
                .all(|f| !size.is_multiple_of(f))
        };
        ((2..=Self::LARGEST).contains(&size) && no_factor(size)).then_some(Self(size))
    }
}

/// 65,537, as everywhere.
impl Default for TableSize {
    fn default() -> Self {
        Self(65_537)
    }
}

/// A table whose slots the hosts took in turn, each by its own permutation, in proportion to their
/// weights: Maglev hashing.
///
/// Slots equal Envoy's for the same texts, weights and size. Compared with a ring a look-up is one
/// memory access, shares are more even, and a change of hosts moves a few more keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Maglev {
    slots: Box<[u32]>,
}

struct Entry {
    host: u32,
    offset: u64,
    skip: u64,
    weight: f64,
    target: f64,
    next: u64,
}

const FREE: u32 = u32::MAX;

impl Maglev {
    /// A table of hosts, given by the text that stands for each (`ip:port`) and its weight.
    pub(super) fn new<'h>(hosts: impl Iterator<Item = (&'h str, f64)>, size: TableSize) -> Self {
        let size = u64::from(size.0);
        let mut sorted: Vec<_> = (0_u32..)
            .zip(hosts)
            .map(|(i, (key, w))| (key, i, w))
            .collect();
        // By text, so that the table does not depend on the order of the configuration.
        sorted.sort_unstable_by_key(|(key, host, _)| (*key, *host));
        let most = sorted
            .iter()
            .map(|(_, _, weight)| *weight)
            .fold(0.0, f64::max);
        let entry = |(key, host, weight): (&str, u32, f64)| Entry {
            host,
            offset: xxh64(key.as_bytes(), 0) % size,
            skip: xxh64(key.as_bytes(), 1) % (size - 1) + 1,
            weight,
            target: 0.0,
            next: 0,
        };
        let mut entries: Vec<_> = sorted.into_iter().map(entry).collect();
        if !(most > 0.0 && entries.iter().all(|entry| entry.weight > 0.0)) {
            return Self::default();
        }
        let mut slots = vec![FREE; size as usize];
        let mut free = slots.len();
        let mut round = 0.0;
        while free > 0 {
            round += 1.0;
            for entry in &mut entries {
                if free == 0 || round * entry.weight < entry.target {
                    continue;
                }
                entry.target += most;
                entry.claim(&mut slots);
                free -= 1;
            }
        }
        Self {
            slots: slots.into(),
        }
    }

    /// The host of a hash; for retry `attempt` that of the hash with most of its bits turned.
    pub(super) fn host(&self, hash: u64, attempt: u32) -> Option<u32> {
        let hash = match attempt {
            0 => hash,
            attempt => hash ^ (u64::MAX - u64::from(attempt) + 1),
        };
        let slot = hash.checked_rem(self.slots.len() as u64)?;
        self.slots.get(usize::try_from(slot).ok()?).copied()
    }
}

impl Entry {
    /// Takes the next free slot of the host's permutation. There is one.
    fn claim(&mut self, slots: &mut [u32]) {
        let size = slots.len() as u64;
        loop {
            let slot = (self.offset + self.skip * self.next) % size;
            self.next += 1;
            if let Some(slot) = slots.get_mut(slot as usize).filter(|slot| **slot == FREE) {
                *slot = self.host;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: &[&'static str], size: u32) -> Maglev {
        let hosts = keys.iter().map(|key| (*key, 1.0));
        Maglev::new(hosts, TableSize::new(size).unwrap())
    }

    /// Slots as published in Envoy's `maglev_lb_test.cc`, `Basic` and `BasicWithHostName`.
    #[test]
    fn slots_are_those_of_envoy() {
        let cases: [([&str; 6], [u32; 7]); 2] = [
            (
                [
                    "127.0.0.1:90",
                    "127.0.0.1:91",
                    "127.0.0.1:92",
                    "127.0.0.1:93",
                    "127.0.0.1:94",
                    "127.0.0.1:95",
                ],
                [2, 4, 0, 1, 5, 0, 3],
            ),
            (["90", "91", "92", "93", "94", "95"], [2, 5, 0, 3, 4, 1, 0]),
        ];
        for (keys, slots) in cases {
            assert_eq!(*table(&keys, 7).slots, slots);
        }
    }

    #[test]
    fn the_order_of_the_hosts_does_not_matter() {
        let forth = table(&["a:1", "b:1", "c:1"], 251);
        let back = table(&["c:1", "b:1", "a:1"], 251);
        let turned: Vec<_> = back.slots.iter().map(|host| 2 - host).collect();
        assert_eq!(*forth.slots, *turned);
    }

    #[test]
    fn weights_give_shares_of_the_table() {
        let hosts = [("a:1", 1.0), ("b:1", 1.0), ("c:1", 2.0)];
        let table = Maglev::new(hosts.into_iter(), TableSize::default());
        let of = |host| table.slots.iter().filter(|of| **of == host).count();
        assert!(of(0).abs_diff(of(1)) <= 1 && of(2).abs_diff(2 * of(0)) <= 4);
    }

    #[test]
    fn a_retry_looks_elsewhere_and_no_host_is_no_slot() {
        let table = table(&["a:1", "b:1", "c:1"], 65_537);
        let moved = (0..1_000_u64).filter(|hash| table.host(*hash, 0) != table.host(*hash, 1));
        assert!(moved.count() > 500);
        let none = Maglev::new(std::iter::empty(), TableSize::default());
        assert_eq!(none.host(1, 0), None);
    }

    #[test]
    fn sizes_that_are_no_primes_are_refused() {
        for size in [0, 1, 8, 65_536, 5_000_013] {
            assert_eq!(TableSize::new(size), None, "{size}");
        }
    }
}
