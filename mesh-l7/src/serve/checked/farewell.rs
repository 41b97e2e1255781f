//! The end of a connection: what is still said, and what is still listened to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::super::fault::Fault;

/// How long, and for how much, a client is listened to after its last answer. Closing a connection on
/// which something arrives would reset it, and the answer could be lost on the way (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;

#[derive(Default)]
pub(super) struct Farewell {
    answer: Bytes,
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    #[default]
    Answering,
    Closing,
    Listening(Pin<Box<Sleep>>, usize),
    Done,
}

impl Farewell {
    pub(super) fn answer(&mut self, fault: &Fault) {
        self.answer = fault.answer();
    }

    /// Writes what is to be written, closes the direction, and listens for a while to a client that is
    /// `sending`.
    pub(super) fn poll_said<IO>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
        sending: bool,
    ) -> Poll<io::Result<()>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            match &mut self.stage {
                Stage::Answering if self.answer.is_empty() => self.stage = Stage::Closing,
                Stage::Answering => {
                    let written = ready!(Pin::new(&mut *io).poll_write(cx, &self.answer))?;
                    if written == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    self.answer.advance(written.min(self.answer.len()));
                }
                Stage::Closing => {
                    ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
                    self.stage = match sending {
                        true => Stage::Listening(Box::pin(sleep(LINGER)), 0),
                        false => Stage::Done,
                    };
                }
                Stage::Listening(end, heard) => {
                    if *heard >= LINGER_BYTES || end.as_mut().poll(cx).is_ready() {
                        self.stage = Stage::Done;
                        continue;
                    }
                    let mut space = [0; 4096];
                    let mut buf = ReadBuf::new(&mut space);
                    let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buf));
                    match buf.filled().len() {
                        0 => self.stage = Stage::Done,
                        _ if read.is_err() => self.stage = Stage::Done,
                        more => *heard = heard.saturating_add(more),
                    }
                }
                Stage::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
