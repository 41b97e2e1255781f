//! How long to wait before the next stream.

use std::time::Duration;

use mesh_core::random::Random;
use tonic::Code;

use super::observer::Termination;

/// The least wait. Source: Istio.
const LEAST: Duration = Duration::from_millis(10);
/// The longest wait. Source: Istio.
const MOST: Duration = Duration::from_secs(15);
/// The longest wait after a stream that was of use: when a server goes away its clients do not all
/// come back, and ask for everything they missed, at the same moment.
const USUAL: Duration = Duration::from_millis(250);
/// How long a stream has to last after its first response before all is well again: a server that
/// sends everything and ends the stream, again and again, must not be asked for everything at once.
const LASTING: Duration = Duration::from_secs(15);

/// The waits between streams: from 10 ms, doubling up to 15 s, until a stream lasts 15 s from its
/// first response on. After one that did, and ended as streams do, up to 250 ms. A stream that
/// ended as streams do after less makes at least that. Each is drawn at random from the upper half
/// of its range, the 250 ms from all of it.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: LEAST }
    }

    /// The wait after a stream that ended so, so long after its first response, if there was one.
    pub(super) fn after(
        &mut self,
        end: Termination,
        brought: Option<Duration>,
        random: &mut dyn FnMut() -> u64,
    ) -> Duration {
        let mut random = random;
        let mut up_to = |span: Duration| {
            let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            Duration::from_nanos(Random::below(&mut random, nanos.saturating_add(1)))
        };
        let usual = matches!(end, Termination::Complete | Termination::Reconnect);
        let lasting = brought.is_some_and(|time| time >= LASTING);
        if lasting {
            self.next = LEAST;
        }
        let spread = match usual && brought.is_some() {
            true => LEAST + up_to(USUAL - LEAST),
            false => LEAST,
        };
        if usual && lasting {
            return spread;
        }
        self.next = (self.next * 2).min(MOST);
        let half = self.next / 2;
        spread.max(half + up_to(self.next - half))
    }
}

/// What kind of end a status is.
pub(super) fn termination(status: &tonic::Status) -> Termination {
    let goes_away = ["transport is closing", "received prior goaway"];
    match status.code() {
        Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => Termination::Reconnect,
        Code::Unavailable if goes_away.iter().any(|text| status.message().contains(text)) => {
            Termination::Reconnect
        }
        _ => Termination::Error,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Status;

    use super::*;

    #[test]
    fn waits_double_up_to_15_s_while_nothing_works() {
        let mut backoff = Backoff::new();
        let mut longest = || u64::MAX;
        let millis: Vec<_> = (0..13)
            .map(|_| backoff.after(Termination::ConnectionError, None, &mut longest))
            .map(|wait| wait.as_millis())
            .collect();
        let doubled = [
            20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 15_000, 15_000, 15_000,
        ];
        assert_eq!(millis, doubled);
        let mut shortest = || 0;
        let wait = backoff.after(Termination::Error, None, &mut shortest);
        assert_eq!(wait, Duration::from_millis(7500), "never less than half");
    }

    #[test]
    fn a_stream_that_lasted_starts_anew() {
        for (end, expected) in [
            (Termination::Complete, USUAL),
            (Termination::Reconnect, USUAL),
            (Termination::Error, LEAST * 2),
        ] {
            let mut backoff = Backoff::new();
            for _ in 0..10 {
                backoff.after(Termination::ConnectionError, None, &mut || u64::MAX);
            }
            let almost = LASTING - Duration::from_nanos(1);
            let wait = backoff.after(end, Some(almost), &mut || u64::MAX);
            assert_eq!(wait, MOST, "{end:?}");
            let wait = backoff.after(end, Some(LASTING), &mut || u64::MAX);
            assert_eq!(wait, expected, "{end:?}");
        }
    }

    #[test]
    fn streams_that_bring_everything_and_end_soon_are_no_storm() {
        use Termination::{Complete, Error, Reconnect};
        for end in [Complete, Error, Reconnect] {
            let mut backoff = Backoff::new();
            let second = Some(Duration::from_secs(1));
            let waits = (0..20).map(|_| backoff.after(end, second, &mut || u64::MAX));
            assert_eq!(waits.last(), Some(MOST), "{end:?}");
        }
    }

    #[test]
    fn clients_of_a_server_that_goes_away_soon_do_not_come_back_all_at_once() {
        let wait = |number| {
            let brought = Some(Duration::from_secs(1));
            Backoff::new().after(Termination::Complete, brought, &mut || number)
        };
        assert_eq!((wait(0), wait(u64::MAX)), (LEAST, USUAL));
    }

    #[test]
    fn a_server_that_closes_every_stream_at_once_is_not_stormed() {
        let mut backoff = Backoff::new();
        let mut longest = || u64::MAX;
        let waits = (0..20).map(|_| backoff.after(Termination::Complete, None, &mut longest));
        assert_eq!(waits.last(), Some(MOST));
    }

    /// Source: the table of Istio's node proxy.
    #[test]
    fn statuses_are_ends_as_in_istio() {
        use Termination::{Error, Reconnect};
        for (status, expected) in [
            (Status::unknown("x"), Reconnect),
            (Status::cancelled("x"), Reconnect),
            (Status::deadline_exceeded("x"), Reconnect),
            (
                Status::unavailable("error: transport is closing"),
                Reconnect,
            ),
            (
                Status::unavailable("received prior goaway: code"),
                Reconnect,
            ),
            (Status::unavailable("not ready"), Error),
            (Status::permission_denied("x"), Error),
            (Status::unauthenticated("x"), Error),
            (Status::internal("x"), Error),
        ] {
            assert_eq!(termination(&status), expected, "{status:?}");
        }
    }

    proptest! {
        #[test]
        fn there_is_always_a_wait(ends in prop::collection::vec((0..4_u8, prop::option::of(0..60_u64), any::<u64>()), 1..50)) {
            let mut backoff = Backoff::new();
            for (end, brought, number) in ends {
                let end = match end {
                    0 => Termination::ConnectionError,
                    1 => Termination::Error,
                    2 => Termination::Reconnect,
                    _ => Termination::Complete,
                };
                let brought = brought.map(Duration::from_secs);
                let wait = backoff.after(end, brought, &mut || number);
                prop_assert!((LEAST..=MOST).contains(&wait), "{wait:?}");
            }
        }
    }
}
