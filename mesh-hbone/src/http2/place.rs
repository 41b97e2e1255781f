//! How far the reading of the peer's bytes is.

use bytes::BytesMut;

use super::frame::Head;

/// Where in the bytes of the peer a connection is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) stage: Stage,
    /// The head of the frame that is being read.
    pub(super) frame: Head,
    /// What has come of the head, or of a payload that has to be complete.
    pub(super) partial: BytesMut,
    /// A header block that goes on in CONTINUATION frames.
    pub(super) block: Option<Box<Block>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// The client's first bytes, and how many of them have come.
    Preface(usize),
    Head,
    /// A DATA frame whose first byte says how much padding it has.
    PadLength,
    /// A DATA frame: bytes of data and of padding that are still to come, and whether somebody wants them.
    Data {
        data: u32,
        padding: u32,
        wanted: bool,
    },
    /// A frame that is handled when all of it is there.
    Whole,
    /// Bytes that are passed over.
    Skip(u32),
}

/// A header block in several frames.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) end_stream: bool,
    pub(super) bytes: BytesMut,
    pub(super) frames: u32,
}

impl Place {
    pub(super) fn client() -> Self {
        Self {
            stage: Stage::Head,
            frame: Head::default(),
            partial: BytesMut::new(),
            block: None,
        }
    }

    pub(super) fn server() -> Self {
        Self {
            stage: Stage::Preface(0),
            ..Self::client()
        }
    }

    /// Whether the bytes so far end with a frame.
    pub(super) fn is_between_frames(&self) -> bool {
        self.stage == Stage::Head && self.partial.is_empty() && self.block.is_none()
    }
}
