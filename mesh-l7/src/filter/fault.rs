//! Delays and errors on purpose.

use std::time::Duration;

use http::StatusCode;
use mesh_core::random::Random;

use super::percent::Percent;

/// Faults that are made on purpose, to see how clients bear them.
///
/// Source: Envoy's `HTTPFault`; Istio's `HTTPFaultInjection`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Fault {
    /// A pause before anything else happens.
    pub delay: Option<Delay>,
    /// An error instead of an answer.
    pub abort: Option<Abort>,
}

/// A pause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Delay {
    /// How long it is.
    pub time: Duration,
    /// For how many requests.
    pub share: Percent,
}

/// An error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Abort {
    /// HTTP status, 200..=599; that of a gRPC error is 200.
    pub status: StatusCode,
    /// gRPC status, 0..=16.
    pub grpc: Option<u8>,
    /// For how many requests.
    pub share: Percent,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// A pause, first.
    pub delay: Option<Duration>,
    /// An error, after it.
    pub abort: Option<Abort>,
}

impl Fault {
    /// Decides for one request, about delay and error independently.
    #[must_use]
    pub fn draw(&self, random: &mut impl Random) -> Faults {
        let delay = self.delay.filter(|delay| delay.share.draw(random));
        Faults {
            delay: delay.map(|delay| delay.time),
            abort: self.abort.filter(|abort| abort.share.draw(random)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_and_error_are_drawn_by_themselves() {
        let half = Percent::of(50.0).unwrap();
        let fault = Fault {
            delay: Some(Delay {
                time: Duration::from_secs(1),
                share: half,
            }),
            abort: Some(Abort {
                status: StatusCode::IM_A_TEAPOT,
                grpc: None,
                share: half,
            }),
        };
        let mut counts = [0; 4];
        for (first, second) in [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX)] {
            let mut numbers = [first, second].into_iter();
            let faults = fault.draw(&mut || numbers.next().unwrap());
            counts
                [usize::from(faults.delay.is_some()) * 2 + usize::from(faults.abort.is_some())] +=
                1;
        }
        assert_eq!(counts, [1; 4]);
        assert_eq!(Fault::default().draw(&mut || 0), Faults::default());
    }
}
