//! Random numbers as an input, so that decisions stay pure.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A source of random numbers for decisions that are made by chance.
///
/// Implemented by any closure that returns evenly distributed `u64`s, so a test can give a fixed
/// sequence.
pub trait Random {
    /// The next number, evenly distributed over all of `u64`.
    fn next(&mut self) -> u64;

    /// A number below `bound`; 0 when `bound` is 0.
    fn below(&mut self, bound: u64) -> u64 {
        // Multiply and shift: a bias below 2^-32 for bounds below 2^32.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

impl<F: FnMut() -> u64> Random for F {
    fn next(&mut self) -> u64 {
        self()
    }
}

/// Random numbers for spreading load and for ids: fast, without a lock, not for secrets.
///
/// Every thread has a sequence of its own, seeded by the operating system (through the keys of
/// [`RandomState`]). SplitMix64 of Steele, Lea and Flood, 2014.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "no state of its own")]
pub struct ThreadRandom;

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
}

impl Random for ThreadRandom {
    fn next(&mut self) -> u64 {
        STATE.with(|state| {
            let sum = state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
            state.set(sum);
            let mut z = sum;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, ThreadRandom};

    #[test]
    fn numbers_differ_within_and_between_threads() {
        let draw = || [ThreadRandom.next(), ThreadRandom.next()];
        let here = draw();
        let there = std::thread::spawn(draw).join().unwrap();
        assert_ne!(here[0], here[1]);
        assert_ne!(here, there);
    }
}
