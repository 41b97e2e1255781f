//! HTTP/2 frames by hand (RFC 9113 §4), so that what peers send does not depend on a library.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const CONNECT_ERROR: u32 = 10;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// SETTINGS_MAX_CONCURRENT_STREAMS and its neighbours (§6.5.2).
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The `:status` of a response whose block begins with it, as HPACK's static table has it.
    pub fn status(&self) -> u16 {
        assert_eq!(self.kind, HEADERS, "{self:?}");
        match self.payload[0] {
            0x88 => 200,
            0x8c => 400,
            first => panic!("first byte of the header block: {first:#x}"),
        }
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in values {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn window_update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

pub fn go_away(last: u32, code: u32) -> Vec<u8> {
    let mut payload = last.to_be_bytes().to_vec();
    payload.extend(code.to_be_bytes());
    frame(GOAWAY, 0, 0, &payload)
}

/// A literal header field without indexing, of a static table index (RFC 7541 §6.2.2).
fn literal(index: u8, value: &str) -> Vec<u8> {
    let mut bytes = vec![index, u8::try_from(value.len()).unwrap()];
    assert!(index < 15 && value.len() < 127);
    bytes.extend(value.as_bytes());
    bytes
}

/// The header block of a CONNECT request.
pub fn connect_block(authority: &str) -> Vec<u8> {
    let mut block = literal(2, "CONNECT");
    block.extend(literal(1, authority));
    block
}

/// A CONNECT request on a stream.
pub fn connect(stream: u32, authority: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &connect_block(authority))
}

/// A GET request on a stream.
pub fn get(stream: u32) -> Vec<u8> {
    // :method GET, :scheme http, :path /
    let mut block = vec![0x82, 0x86, 0x84];
    block.extend(literal(1, "10.0.0.1:80"));
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// A response with a status of HPACK's static table.
pub fn response(stream: u32, status: u16, flags: u8) -> Vec<u8> {
    let block = match status {
        200 => vec![0x88],
        400 => vec![0x8c],
        _ => literal(8, &status.to_string()),
    };
    frame(HEADERS, END_HEADERS | flags, stream, &block)
}

pub async fn read_frame<R: AsyncRead + Unpin>(io: &mut R) -> std::io::Result<Frame> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    io.read_exact(&mut payload).await?;
    Ok(Frame {
        kind: head[3],
        flags: head[4],
        stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
        payload,
    })
}

/// One end of an HTTP/2 connection by hand. Frames of the other end are read all the time, so
/// that floods cannot end in a deadlock of the test's own making.
pub struct Wire<IO> {
    write: WriteHalf<IO>,
    frames: UnboundedReceiver<Frame>,
    reader: tokio::task::AbortHandle,
}

impl<IO> Drop for Wire<IO> {
    fn drop(&mut self) {
        // It holds the other half, and with that the socket.
        self.reader.abort();
    }
}

/// The longest that a test waits for something that has to come.
pub const GUARD: Duration = Duration::from_secs(30);

impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> Wire<IO> {
    /// An end that has said nothing.
    pub fn silent(io: IO) -> Self {
        let (mut read, write) = tokio::io::split(io);
        let (send, frames) = unbounded_channel();
        let reader = tokio::spawn(async move {
            while let Ok(frame) = read_frame(&mut read).await {
                if send.send(frame).is_err() {
                    break;
                }
            }
        })
        .abort_handle();
        Self {
            write,
            frames,
            reader,
        }
    }

    /// A client that has sent its preface and empty settings.
    pub async fn client(io: IO) -> Self {
        let mut wire = Self::silent(io);
        wire.send(PREFACE).await;
        wire.send(&settings(&[])).await;
        wire
    }

    /// A server that has read the preface and sent settings.
    pub async fn server(mut io: IO, values: &[(u16, u32)]) -> Self {
        let mut preface = vec![0; PREFACE.len()];
        io.read_exact(&mut preface).await.unwrap();
        assert_eq!(preface, PREFACE);
        let mut wire = Self::silent(io);
        wire.send(&settings(values)).await;
        wire
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        assert!(self.try_send(bytes).await, "the other end has closed");
    }

    /// Whether the connection still takes bytes.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.write.write_all(bytes).await.is_ok() && self.write.flush().await.is_ok()
    }

    /// The next frame; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let next = tokio::time::timeout(GUARD, self.frames.recv());
        next.await.expect("no frame came")
    }

    /// The next frame, however long it takes.
    pub async fn next_or_pending(&mut self) -> Option<Frame> {
        self.frames.recv().await
    }

    /// The next frame of a kind; others are skipped.
    pub async fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection has ended");
            if frame.kind == kind && !(kind == SETTINGS && frame.flags == ACK) {
                return frame;
            }
        }
    }

    /// What came until the connection ended.
    pub async fn ended(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// The code of the GOAWAY with which the connection ended.
    pub async fn ended_with(&mut self) -> Option<u32> {
        let frames = self.ended().await;
        frames
            .iter()
            .rev()
            .find(|f| f.kind == GOAWAY)
            .map(Frame::code)
    }
}
