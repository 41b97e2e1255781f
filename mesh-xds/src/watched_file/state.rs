//! When a watched file is to be read again: a pure decision on what successive looks saw.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    /// Device and inode: another file has taken the path, by rename or by a swapped symbolic link.
    identity: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(file: &Metadata) -> Self {
        Self {
            identity: (file.dev(), file.ino()),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// What the file was at the last look, and whether that state was taken over.
///
/// A file that another file replaced is complete and read at once. A file that is written in
/// place may be half written, so it is read when two looks find it the same. A file that appears is
/// read at once, unless it is expected to be written in place as well.
#[derive(Debug, Default)]
pub(super) struct FileState {
    seen: Option<Option<Stamp>>,
    settled: bool,
    new_in_place: bool,
}

impl FileState {
    /// A file that may be written in place where there was none.
    pub(super) fn new_in_place() -> Self {
        Self {
            new_in_place: true,
            ..Self::default()
        }
    }

    /// Whether the file is to be read now. `None` = there is no file.
    pub(super) fn look(&mut self, stamp: Option<Stamp>) -> bool {
        let before = self.seen.replace(stamp);
        if before == Some(stamp) {
            return !std::mem::replace(&mut self.settled, true);
        }
        let in_place = match (before.flatten(), stamp) {
            (Some(before), Some(now)) => before.identity == now.identity,
            (None, Some(_)) => self.new_in_place,
            (_, None) => false,
        };
        self.settled = !in_place;
        self.settled
    }

    /// The file changed while it was read: what was read does not count.
    pub(super) fn unsettle(&mut self) {
        self.settled = false;
    }
}

#[cfg(test)]
mod tests {
    use super::{FileState, Stamp};

    fn stamp(inode: u64, length: u64, modified: i64) -> Option<Stamp> {
        Some(Stamp {
            identity: (1, inode),
            length,
            modified: (modified, 0),
            changed: (modified, 0),
        })
    }

    #[test]
    fn each_state_of_the_file_is_read_once() {
        type Look = (Option<Stamp>, bool);
        let first = stamp(1, 10, 0);
        let cases: &[(&str, &[Look])] = &[
            (
                "the first look reads",
                &[(first, true), (first, false), (first, false)],
            ),
            (
                "a replaced file is read at once",
                &[
                    (first, true),
                    (stamp(2, 10, 0), true),
                    (stamp(2, 10, 0), false),
                ],
            ),
            (
                "a file written in place is read when it has settled",
                &[
                    (first, true),
                    (stamp(1, 20, 1), false),
                    (stamp(1, 30, 2), false),
                    (stamp(1, 30, 2), true),
                    (stamp(1, 30, 2), false),
                ],
            ),
            (
                "a file that vanishes and comes back is reported and read",
                &[
                    (first, true),
                    (None, true),
                    (None, false),
                    (first, true),
                    (first, false),
                ],
            ),
            (
                "a file that is not there is reported once",
                &[(None, true), (None, false)],
            ),
        ];
        for (name, looks) in cases {
            let mut state = FileState::default();
            for (at, (stamp, read)) in looks.iter().enumerate() {
                assert_eq!(state.look(*stamp), *read, "{name}, look {at}");
            }
        }
    }

    #[test]
    fn a_new_file_that_may_be_half_written_is_read_when_it_has_settled() {
        let mut state = FileState::new_in_place();
        assert!(!state.look(stamp(1, 10, 0)));
        assert!(!state.look(stamp(1, 20, 1)));
        assert!(state.look(stamp(1, 20, 1)));
        assert!(!state.look(stamp(1, 20, 1)));
        // One that takes the place of another one is complete.
        assert!(state.look(stamp(2, 20, 1)));
    }

    #[test]
    fn a_read_that_raced_with_a_write_is_repeated() {
        let mut state = FileState::default();
        assert!(state.look(stamp(1, 10, 0)));
        state.unsettle();
        assert!(state.look(stamp(1, 10, 0)));
    }
}
