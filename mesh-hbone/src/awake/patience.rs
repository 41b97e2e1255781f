//! Whether looking for more traffic pays.

/// Looks in vain, in a row or nearly, after which looking stops for a while.
const CREDIT: u32 = 8;

/// The longest pause, in times that something was received. A few looks in vain in so many cost little.
const LONGEST: u64 = 4096;

/// The first pause, in times that something was received.
const FIRST: u64 = 64;

/// Judges looking by what it came to lately.
///
/// A look that finds something earns the next one; those in vain use the credit up. Without credit,
/// the worker sleeps as if it had never looked, for a number of receptions that doubles until a look
/// finds something again.
#[derive(Debug)]
pub(super) struct Patience {
    credit: u32,
    pause: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            credit: CREDIT,
            pause: FIRST,
        }
    }
}

impl Patience {
    /// Something came in time.
    pub(super) fn found(&mut self) {
        self.credit = (self.credit + 1).min(CREDIT);
        self.pause = FIRST;
    }

    /// Nothing came in time. For how many receptions there is to be no look.
    pub(super) fn in_vain(&mut self) -> u64 {
        self.credit = self.credit.saturating_sub(1);
        if self.credit > 0 {
            return 0;
        }
        let pause = self.pause;
        // Several looks decide whether the pause goes on: the other worker on a message's way has paused as
        // often, and what one of them finds in time depends on both being awake.
        self.credit = CREDIT;
        self.pause = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses after a series of looks: `+` found something, `-` did not.
    fn pauses(looks: &str) -> Vec<u64> {
        let mut patience = Patience::default();
        looks
            .chars()
            .filter_map(|look| match look {
                '+' => {
                    patience.found();
                    None
                }
                _ => Some(patience.in_vain()),
            })
            .filter(|pause| *pause > 0)
            .collect()
    }

    #[test]
    fn looks_in_vain_become_rare_and_one_in_time_brings_them_back() {
        for (case, looks, expected) in [
            ("all in time", "++++++++++++", vec![]),
            (
                "every second one in time",
                "+-+-+-+-+-+-+-+-+-+-+-+-",
                vec![],
            ),
            ("seven in vain", "-------", vec![]),
            ("eight in vain", "--------", vec![64]),
            ("more", "------------------------", vec![64, 128, 256]),
            ("in time after a pause", "--------+---------", vec![64, 64]),
        ] {
            assert_eq!(pauses(looks), expected, "{case}");
        }
    }

    #[test]
    fn a_pause_does_not_grow_for_ever() {
        assert_eq!(pauses(&"-".repeat(100)).last(), Some(&LONGEST));
    }
}
