//! Random numbers as an input, so that decisions stay pure.

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
