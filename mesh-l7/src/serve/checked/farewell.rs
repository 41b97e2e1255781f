//! The end of a connection: what is still said, and what is still listened to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::super::fault::Fault;

/// How long a client that goes on sending is listened to after its last answer, and how long one that
/// says nothing. Closing a connection on which something arrives would reset it, and the answer could be
/// lost on the way (RFC 9112 §9.6). What arrives is dropped, so there is no limit of bytes: a client that
/// reads nothing before it has sent everything is to have its answer as well.
const LINGER: Duration = Duration::from_secs(10);
const LINGER_SILENT: Duration = Duration::from_secs(1);

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
    Listening {
        silence: Pin<Box<Sleep>>,
        until: Instant,
    },
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
                        true => Stage::Listening {
                            silence: Box::pin(sleep(LINGER_SILENT)),
                            until: Instant::now() + LINGER,
                        },
                        false => Stage::Done,
                    };
                }
                Stage::Listening { silence, until } => {
                    let mut space = [0; 4096];
                    let mut buf = ReadBuf::new(&mut space);
                    let read = Pin::new(&mut *io).poll_read(cx, &mut buf);
                    let goes_on = match read {
                        Poll::Pending => {
                            ready!(silence.as_mut().poll(cx));
                            false
                        }
                        Poll::Ready(Ok(())) => !buf.filled().is_empty(),
                        Poll::Ready(Err(_)) => false,
                    };
                    let now = Instant::now();
                    if goes_on && now < *until {
                        silence.as_mut().reset((now + LINGER_SILENT).min(*until));
                    } else {
                        self.stage = Stage::Done;
                    }
                }
                Stage::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}
