//! What both ends say about themselves (RFC 9113 §6.5).

use super::frame::{DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, MAX};
use super::reason::Broken;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// The settings of this end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    /// Bytes that the peer may send on a stream ahead of its reader.
    pub(crate) window: u32,
    /// The largest payload that the peer may send in a frame.
    pub(crate) frame_size: u32,
    /// Bytes of a header list, as RFC 9113 §6.5.2 counts them.
    pub(crate) header_list: u32,
    /// Streams that the peer may have open at once; `None` for a client, whose peer opens none.
    pub(crate) streams: Option<u32>,
}

impl Local {
    /// As the SETTINGS frame has them. The table of headers is 0: headers of tunnels hardly repeat, and it would only hold
    /// the last ones in memory.
    pub(super) fn values(&self) -> Vec<(u16, u32)> {
        let role = match self.streams {
            Some(streams) => (MAX_CONCURRENT_STREAMS, streams),
            None => (ENABLE_PUSH, 0),
        };
        vec![
            (HEADER_TABLE_SIZE, 0),
            role,
            (INITIAL_WINDOW_SIZE, self.window),
            (MAX_FRAME_SIZE, self.frame_size),
            (MAX_HEADER_LIST_SIZE, self.header_list),
        ]
    }
}

/// The settings of the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Remote {
    pub(super) window: u32,
    pub(super) frame_size: u32,
    pub(super) streams: u32,
    /// Bytes that its decoder keeps of headers.
    pub(super) header_table: u32,
}

impl Remote {
    /// What holds until the peer has spoken. `streams` is what is assumed: the protocol sets no limit.
    pub(super) const fn new(streams: u32) -> Self {
        Self {
            window: DEFAULT_WINDOW,
            frame_size: DEFAULT_FRAME_SIZE,
            streams,
            header_table: 4096,
        }
    }

    /// The settings after a SETTINGS frame with this payload. `first` is whether it is the first: a limit of streams that
    /// it does not name is none at all.
    pub(super) fn after(mut self, payload: &[u8], first: bool, push: bool) -> Result<Self, Broken> {
        if !payload.len().is_multiple_of(6) {
            return Err(Broken::size("SETTINGS that is no list of settings"));
        }
        if first {
            self.streams = u32::MAX;
        }
        for setting in payload.chunks_exact(6) {
            let &[a, b, c, d, e, f] = setting else { break };
            let value = u32::from_be_bytes([c, d, e, f]);
            match u16::from_be_bytes([a, b]) {
                HEADER_TABLE_SIZE => self.header_table = value,
                // Only clients may speak of pushes, and only to allow or forbid them.
                ENABLE_PUSH if value > u32::from(push) => {
                    return Err(Broken::protocol("SETTINGS_ENABLE_PUSH out of range"));
                }
                MAX_CONCURRENT_STREAMS => self.streams = value,
                INITIAL_WINDOW_SIZE if value > MAX => {
                    return Err(Broken::flow("SETTINGS_INITIAL_WINDOW_SIZE out of range"));
                }
                INITIAL_WINDOW_SIZE => self.window = value,
                MAX_FRAME_SIZE => {
                    if !(DEFAULT_FRAME_SIZE..1 << 24).contains(&value) {
                        return Err(Broken::protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
                    }
                    self.frame_size = value;
                }
                // Others are ignored (§6.5.2); so is the largest header list, which is advice.
                _ => {}
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reason::Reason;
    use super::*;

    fn after(values: &[(u16, u32)]) -> Result<Remote, Broken> {
        let mut payload = Vec::new();
        for (name, value) in values {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        Remote::new(100).after(&payload, true, true)
    }

    #[test]
    fn settings_that_are_not_named_stay_and_the_last_of_a_name_counts() {
        let got = after(&[(4, 1), (4, 5), (0x99, 7), (6, 100)]).unwrap();
        assert_eq!(
            got,
            Remote {
                window: 5,
                streams: u32::MAX,
                ..Remote::new(0)
            }
        );
        let later = got.after(&[0, 3, 0, 0, 0, 9], false, true).unwrap();
        assert_eq!((later.window, later.streams), (5, 9));
        assert_eq!(later.after(&[], false, true).unwrap().streams, 9);
    }

    #[test]
    fn values_out_of_range_are_errors_of_rfc_9113_section_6_5_2() {
        for (values, reason) in [
            ([(2, 2)], Reason::PROTOCOL_ERROR),
            ([(4, 1 << 31)], Reason::FLOW_CONTROL_ERROR),
            ([(5, 16_383)], Reason::PROTOCOL_ERROR),
            ([(5, 1 << 24)], Reason::PROTOCOL_ERROR),
        ] {
            assert_eq!(after(&values).unwrap_err().reason, reason, "{values:?}");
        }
        let short = Remote::new(1).after(&[0; 7], true, true).unwrap_err();
        assert_eq!(short.reason, Reason::FRAME_SIZE_ERROR);
        // A server never allows pushes (§6.5.2).
        assert!(
            Remote::new(1)
                .after(&[0, 2, 0, 0, 0, 1], true, false)
                .is_err()
        );
        assert!(after(&[(2, 1)]).is_ok());
        assert!(after(&[(5, (1 << 24) - 1), (4, MAX)]).is_ok());
    }
}
