//! The state of a connection, fed by hand: what RFC 9113 asks for, and what this one promises beyond it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Head, PADDED, PING, PREFACE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use super::handle::{Core, Handle};
use super::reason::{Broken, Http2Error, Reason};
use super::send::Batch;
use super::settings::Local;
use super::state::{Opened, State};

const WINDOW: u32 = 64 * 1024;

fn local(streams: Option<u32>) -> Local {
    Local {
        window: WINDOW,
        frame_size: 64 * 1024,
        header_list: 16 * 1024,
        streams,
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [
        &Head {
            length,
            kind,
            flags,
            stream,
        }
        .bytes()[..],
        payload,
    ]
    .concat()
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A header block of literals with names of HPACK's static table (RFC 7541 §6.2.2, Appendix A).
fn connect_block() -> Vec<u8> {
    [b"\x02\x07CONNECT", &b"\x01\x03a:1"[..]].concat()
}

fn connect(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &connect_block())
}

/// `:status 200`.
fn answer(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &[0x88])
}

struct End(Arc<Core>);

impl End {
    /// A server whose client has sent its preface and empty settings.
    fn server() -> Self {
        let end = Self(Arc::new(Core(Mutex::new(State::server(local(Some(5)))))));
        end.feed(PREFACE).unwrap();
        end.feed(&frame(SETTINGS, 0, 0, &[])).unwrap();
        end.sent();
        end
    }

    /// A client whose server has sent these settings.
    fn client(settings: &[u8]) -> Self {
        let end = Self(Arc::new(Core(Mutex::new(State::client(local(None), 100)))));
        end.feed(&frame(SETTINGS, 0, 0, settings)).unwrap();
        end.sent();
        end
    }

    fn feed(&self, bytes: &[u8]) -> Result<(), Broken> {
        let mut landing = BytesMut::new();
        let taken = self.0.0.lock().receive(bytes, &mut landing)?;
        assert_eq!(taken, bytes.len(), "choked");
        Ok(())
    }

    fn broken(&self, bytes: &[u8]) -> Reason {
        self.feed(bytes).expect_err("taken").reason
    }

    /// A stream that the peer opens.
    fn taken(&self, stream: u32) -> Handle {
        self.feed(&connect(stream)).unwrap();
        self.next().expect("a request")
    }

    fn next(&self) -> Option<Handle> {
        let mut state = self.0.0.lock();
        let Opened { id, .. } = state.requests.pop_front()?;
        state.streams.get_mut(&id).unwrap().unseen = false;
        Some(Handle {
            core: self.0.clone(),
            id,
        })
    }

    /// The frames that go out now.
    fn sent(&self) -> Vec<(Head, Vec<u8>)> {
        let mut bytes = Vec::new();
        loop {
            let mut batch = Batch::default();
            self.0.0.lock().take_batch(&mut batch, 100_000);
            if batch.is_empty() {
                break;
            }
            bytes.extend(&batch.control);
            for (head, payload) in &batch.frames {
                bytes.extend(head);
                bytes.extend(payload);
            }
        }
        let mut rest = &bytes[..];
        if rest.starts_with(PREFACE) {
            rest = &rest[PREFACE.len()..];
        }
        let mut frames = Vec::new();
        while !rest.is_empty() {
            let head = Head::parse(rest[..9].try_into().unwrap());
            let end = 9 + head.length as usize;
            frames.push((head, rest[9..end].to_vec()));
            rest = &rest[end..];
        }
        frames
    }

    /// The streams and codes of the RST_STREAM frames that go out now.
    fn resets(&self) -> Vec<(u32, u32)> {
        let sent = self
            .sent()
            .into_iter()
            .filter(|(head, _)| head.kind == RST_STREAM);
        let code = |payload: Vec<u8>| u32::from_be_bytes(payload.try_into().unwrap());
        sent.map(|(head, payload)| (head.stream, code(payload)))
            .collect()
    }

    fn active(&self) -> usize {
        let state = self.0.0.lock();
        assert_eq!(
            state.active,
            state
                .streams
                .values()
                .filter(|stream| stream.counted)
                .count()
        );
        state.active
    }

    fn known(&self) -> usize {
        self.0.0.lock().streams.len()
    }
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn read(handle: &mut Handle) -> Poll<Result<Option<Bytes>, Http2Error>> {
    handle.poll_data(&cx())
}

fn got(handle: &mut Handle) -> Vec<u8> {
    let mut all = Vec::new();
    while let Poll::Ready(Ok(Some(bytes))) = read(handle) {
        handle.release(u32::try_from(bytes.len()).unwrap());
        all.extend(bytes);
    }
    all
}

fn send(handle: &mut Handle, bytes: &'static [u8]) -> usize {
    let mut chunk = Bytes::from_static(bytes);
    match handle.poll_send(&cx(), &mut chunk) {
        Poll::Ready(sent) => sent.unwrap(),
        Poll::Pending => 0,
    }
}

#[test]
fn data_is_passed_on_before_its_frame_is_complete() {
    let end = End::server();
    let mut stream = end.taken(1);
    let whole = frame(DATA, END_STREAM, 1, b"hello world");
    end.feed(&whole[..14]).unwrap();
    assert_eq!(got(&mut stream), b"hello");
    assert!(read(&mut stream).is_pending());
    end.feed(&whole[14..]).unwrap();
    assert_eq!(got(&mut stream), b" world");
    assert!(matches!(read(&mut stream), Poll::Ready(Ok(None))));
}

#[test]
fn every_split_of_the_same_bytes_means_the_same() {
    let mut padded = vec![3];
    padded.extend(b"padded\0\0\0");
    let block = connect_block();
    let bytes = [
        frame(HEADERS, 0, 1, &block[..4]),
        frame(CONTINUATION, 0, 1, &block[4..6]),
        frame(CONTINUATION, END_HEADERS, 1, &block[6..]),
        frame(DATA, PADDED, 1, &padded),
        frame(0xfa, 0xff, 1, b"what nobody knows"),
        frame(DATA, 0, 1, &[]),
        frame(DATA, END_STREAM, 1, b" and plain"),
        frame(PING, 0, 0, b"12345678"),
    ]
    .concat();
    for at in 0..bytes.len() {
        for second in [at, (at + 1).min(bytes.len()), (at + 9).min(bytes.len())] {
            let end = End::server();
            for part in [&bytes[..at], &bytes[at..second], &bytes[second..]] {
                end.feed(part).unwrap();
            }
            let mut stream = end.next().unwrap();
            assert_eq!(got(&mut stream), b"padded and plain", "{at} {second}");
            assert!(matches!(read(&mut stream), Poll::Ready(Ok(None))));
            let pong = end
                .sent()
                .into_iter()
                .find(|(head, _)| head.kind == PING)
                .unwrap();
            assert_eq!((pong.0.flags, &pong.1[..]), (ACK, &b"12345678"[..]));
        }
    }
}

#[test]
fn streams_take_turns_frame_by_frame() {
    let end = End::server();
    end.feed(&frame(WINDOW_UPDATE, 0, 0, &1_000_000u32.to_be_bytes()))
        .unwrap();
    let (mut first, mut second) = (end.taken(1), end.taken(3));
    for handle in [&mut first, &mut second] {
        handle
            .respond(StatusCode::OK, &HeaderMap::new(), false)
            .unwrap();
    }
    assert_eq!(send(&mut first, &[1; 40_000]), 40_000);
    assert_eq!(send(&mut second, &[2; 5]), 5);
    second.end().unwrap();
    let data: Vec<_> = end
        .sent()
        .into_iter()
        .map(|(head, _)| head)
        .filter(|head| head.kind == DATA)
        .collect();
    let seen: Vec<_> = data
        .iter()
        .map(|head| (head.stream, head.length, head.flags))
        .collect();
    // Frames of 16,384 bytes, as the peer has not asked for larger ones (RFC 9113 §4.2).
    assert_eq!(
        seen,
        [
            (1, 16_384, 0),
            (3, 5, END_STREAM),
            (1, 16_384, 0),
            (1, 7_232, 0)
        ]
    );
}

#[test]
fn what_a_reset_stream_had_queued_gives_the_connection_its_window_back() {
    let end = End::server();
    let (mut first, mut second) = (end.taken(1), end.taken(3));
    // The connection's window is 65,535, all of which the first one takes.
    assert_eq!(send(&mut first, &[0; 100_000]), 65_535);
    assert_eq!(send(&mut second, b"x"), 0);
    first.reset(Reason::CANCEL);
    assert_eq!(send(&mut second, b"x"), 1);
    assert_eq!(end.resets(), [(1, 8)]);
    // Late frames of it are nobody's mistake (§5.1).
    end.feed(&frame(DATA, 0, 1, b"late")).unwrap();
    end.feed(&frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()))
        .unwrap();
    drop(first);
    end.feed(&frame(DATA, END_STREAM, 1, b"later")).unwrap();
    assert_eq!(end.resets(), []);
    assert_eq!((end.active(), end.known()), (1, 1));
}

#[test]
fn a_stream_that_nobody_holds_sends_what_it_has_and_is_reset() {
    let end = End::server();
    let mut stream = end.taken(1);
    stream
        .respond(StatusCode::OK, &HeaderMap::new(), false)
        .unwrap();
    send(&mut stream, b"last words");
    drop(stream);
    let kinds: Vec<_> = end
        .sent()
        .iter()
        .map(|(head, _)| (head.kind, head.flags))
        .collect();
    assert_eq!(kinds, [(HEADERS, END_HEADERS), (DATA, 0), (RST_STREAM, 0)]);
    assert_eq!((end.active(), end.known()), (0, 0));
    // One that has said everything wants no more, which is no error (§8.1).
    let mut stream = end.taken(3);
    stream
        .respond(StatusCode::BAD_REQUEST, &HeaderMap::new(), true)
        .unwrap();
    drop(stream);
    assert_eq!(end.resets(), [(3, 0)]);
    // One that has ended on both sides is not reset.
    let mut stream = end.taken(5);
    end.feed(&frame(DATA, END_STREAM, 5, b"")).unwrap();
    stream
        .respond(StatusCode::OK, &HeaderMap::new(), false)
        .unwrap();
    stream.end().unwrap();
    drop(stream);
    assert_eq!(end.resets(), []);
    assert_eq!((end.active(), end.known()), (0, 0));
}

#[test]
fn requests_wait_for_the_limit_of_the_server_in_their_order() {
    let end = End::client(&setting(3, 2));
    let open = || end.0.open("a:1", &HeaderMap::new()).unwrap();
    let mut handles: Vec<_> = (0..4).map(|_| open()).collect();
    let opened = |end: &End| -> Vec<u32> {
        let sent = end.sent().into_iter().map(|(head, _)| head);
        sent.filter(|head| head.kind == HEADERS)
            .map(|head| head.stream)
            .collect()
    };
    assert_eq!(opened(&end), [1, 3]);
    // One that is given up before it was sent is never sent.
    drop(handles.remove(2));
    assert_eq!(end.resets(), []);
    end.feed(&answer(1, END_STREAM)).unwrap();
    handles[0].end().unwrap();
    assert_eq!(opened(&end), [7]);
    assert_eq!(end.active(), 2);
}

#[test]
fn a_goaway_takes_back_what_the_server_has_not_seen() {
    let end = End::client(&setting(3, 2));
    let mut handles: Vec<_> = (0..3)
        .map(|_| end.0.open("a:1", &HeaderMap::new()).unwrap())
        .collect();
    end.feed(&frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]))
        .unwrap();
    let fate = |handle: &mut Handle| handle.poll_answer(&cx());
    assert!(fate(&mut handles[0]).is_pending());
    for handle in &mut handles[1..] {
        let Poll::Ready(Err(error)) = fate(handle) else {
            panic!("no end")
        };
        assert!(error.is_unprocessed(), "{error}");
    }
    assert!(
        end.0
            .open("a:1", &HeaderMap::new())
            .unwrap_err()
            .is_unprocessed()
    );
    end.feed(&answer(1, 0)).unwrap();
    assert!(matches!(fate(&mut handles[0]), Poll::Ready(Ok(answer)) if answer.status == 200));
}

#[test]
fn a_smaller_table_of_the_peer_is_acknowledged_by_the_next_block() {
    // RFC 7541 §4.2: an update of the table's size begins the next block.
    let end = End::client(&setting(1, 0));
    let first_byte = |end: &End| {
        end.sent()
            .into_iter()
            .find(|(head, _)| head.kind == HEADERS)
            .unwrap()
            .1[0]
    };
    let _first = end.0.open("a:1", &HeaderMap::new()).unwrap();
    assert_eq!(first_byte(&end), 0x20);
    let _second = end.0.open("a:1", &HeaderMap::new()).unwrap();
    assert_ne!(first_byte(&end), 0x20);
}

#[test]
fn errors_of_a_stream_reset_it_and_errors_of_the_connection_end_it() {
    let stream_errors: [(&str, Vec<u8>, Reason); 5] = [
        (
            "more than the window",
            frame(DATA, 0, 1, &[0; 65_536]).repeat(2),
            Reason::FLOW_CONTROL_ERROR,
        ),
        (
            "a window of 2^31",
            frame(WINDOW_UPDATE, 0, 1, &0x7fff_ffffu32.to_be_bytes()),
            Reason::FLOW_CONTROL_ERROR,
        ),
        (
            "a window that opens by nothing",
            frame(WINDOW_UPDATE, 0, 1, &[0; 4]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "trailers that are not the end",
            frame(HEADERS, END_HEADERS, 1, &[]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "data after the end",
            [frame(DATA, END_STREAM, 1, b"a"), frame(DATA, 0, 1, b"b")].concat(),
            Reason::STREAM_CLOSED,
        ),
    ];
    for (case, bytes, reason) in stream_errors {
        let end = End::server();
        let mut stream = end.taken(1);
        end.feed(&bytes).unwrap();
        assert_eq!(end.resets(), [(1, reason.code())], "{case}");
        assert!(
            matches!(stream.poll_reset(&cx()), Poll::Ready(Ok(got)) if got == reason),
            "{case}"
        );
        assert_eq!(end.active(), 0, "{case}");
    }
    let connection_errors: [(&str, Vec<u8>, Reason); 8] = [
        (
            "DATA on an idle stream",
            frame(DATA, 0, 9, b"x"),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "RST_STREAM on an idle stream",
            frame(RST_STREAM, 0, 9, &[0; 4]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "WINDOW_UPDATE on an idle stream",
            frame(WINDOW_UPDATE, 0, 9, &[0, 0, 0, 1]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "PING on a stream",
            frame(PING, 0, 1, &[0; 8]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "SETTINGS on a stream",
            frame(SETTINGS, 0, 1, &[]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "an ACK that says something",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            Reason::FRAME_SIZE_ERROR,
        ),
        (
            "more padding than frame",
            frame(DATA, PADDED, 1, &[9; 9]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            "a frame between HEADERS and CONTINUATION",
            [frame(HEADERS, 0, 3, &[]), frame(DATA, 0, 1, b"x")].concat(),
            Reason::PROTOCOL_ERROR,
        ),
    ];
    for (case, bytes, reason) in connection_errors {
        let end = End::server();
        let _stream = end.taken(1);
        assert_eq!(end.broken(&bytes), reason, "{case}");
    }
    // A client's peer opens no streams, and its answers come before its data.
    let end = End::client(&[]);
    let _stream = end.0.open("a:1", &HeaderMap::new()).unwrap();
    end.feed(&frame(DATA, 0, 1, b"x")).unwrap();
    assert_eq!(end.resets(), [(1, 1)]);
    assert_eq!(end.broken(&answer(2, 0)), Reason::PROTOCOL_ERROR);
}

#[test]
fn a_peer_whose_streams_keep_failing_is_sent_away_and_one_whose_streams_mostly_work_is_not() {
    let malformed = |n: u32| frame(HEADERS, END_HEADERS, 1 + 2 * n, &[0x82]);
    let end = End::server();
    let result = (0..2000).try_for_each(|n| {
        end.feed(&malformed(n))?;
        end.sent();
        Ok(())
    });
    assert_eq!(result, Err(Broken::calm("too many errors of streams")));
    let end = End::server();
    for stream in (1..10_001).step_by(2) {
        end.feed(&connect(stream)).unwrap();
        let mut handle = end.next().unwrap();
        handle
            .respond(StatusCode::OK, &HeaderMap::new(), false)
            .unwrap();
        end.feed(&frame(WINDOW_UPDATE, 0, stream, &[0; 4])).unwrap();
        end.sent();
    }
    assert_eq!((end.active(), end.known()), (0, 0));
}

#[test]
fn nothing_is_read_while_too_much_waits_to_be_answered() {
    let end = End::server();
    let flood = frame(PING, 0, 0, &[0; 8]).repeat(4000);
    let mut landing = BytesMut::new();
    let taken = end.0.0.lock().receive(&flood, &mut landing).unwrap();
    assert!((16 * 1024..17 * 1024).contains(&taken), "{taken}");
    end.sent();
    assert!(
        end.0
            .0
            .lock()
            .receive(&flood[taken..], &mut landing)
            .unwrap()
            > 0
    );
}

proptest! {
    /// Whatever comes, in whatever pieces: no panic, and what is held is bounded by windows and limits.
    #[test]
    fn arbitrary_frames_are_survived(
        client in any::<bool>(),
        frames in proptest::collection::vec(
            (0..11u8, any::<u8>(), 0..9u32, proptest::collection::vec(any::<u8>(), 0..64)),
            0..80,
        ),
        piece in 1..40usize,
    ) {
        let end = if client { End::client(&[]) } else { End::server() };
        let mut handles = Vec::new();
        if client {
            handles.extend((0..3).map(|_| end.0.open("a:1", &HeaderMap::new()).unwrap()));
        }
        let mut bytes = Vec::new();
        for (kind, flags, stream, payload) in &frames {
            bytes.extend(match kind {
                // Some that make sense, so that the others find streams to be about.
                10 if !client => connect(stream | 1),
                10 => answer(stream | 1, 0),
                _ => frame(*kind, *flags, *stream, payload),
            });
        }
        for part in bytes.chunks(piece) {
            let mut landing = BytesMut::new();
            let result = end.0.0.lock().receive(part, &mut landing);
            while let Some(mut handle) = end.next() {
                let _ = handle.respond(StatusCode::OK, &HeaderMap::new(), false);
                send(&mut handle, b"hello");
                handles.push(handle);
            }
            if handles.len() > 4 {
                handles.remove(0);
            }
            for handle in &mut handles {
                let _ = handle.poll_answer(&cx());
                prop_assert!(got(handle).len() <= WINDOW as usize);
            }
            end.sent();
            end.active();
            prop_assert!(end.known() <= 5 + handles.len());
            if result.is_err() {
                break;
            }
        }
        handles.clear();
        end.sent();
        end.active();
    }
}

/// CVE-2025-8671: errors that the peer makes this side reset streams for are resets of the peer.
#[test]
fn requests_that_are_made_to_be_reset_before_anybody_looks_are_forgotten_and_counted() {
    let end = End::server();
    for stream in (1..41).step_by(2) {
        end.feed(&connect(stream)).unwrap();
        end.feed(&frame(WINDOW_UPDATE, 0, stream, &[0; 4])).unwrap();
    }
    assert_eq!((end.active(), end.known()), (0, 0));
    assert!(end.next().is_none());
    end.feed(&connect(41)).unwrap();
    assert!(end.feed(&frame(WINDOW_UPDATE, 0, 41, &[0; 4])).is_err());
}

#[test]
fn a_stream_that_waits_for_the_window_of_the_connection_and_is_reset_waits_no_more() {
    let end = End::server();
    for stream in (1..2001).step_by(2) {
        end.feed(&connect(stream)).unwrap();
        let mut handle = end.next().unwrap();
        handle
            .respond(StatusCode::OK, &HeaderMap::new(), false)
            .unwrap();
        end.0.0.lock().window_out = 0;
        let mut bytes = Bytes::from_static(b"x");
        assert!(handle.poll_send(&cx(), &mut bytes).is_pending());
        end.feed(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]))
            .unwrap();
    }
    assert!(end.0.0.lock().blocked.is_empty());
}

#[test]
fn a_queue_is_of_few_pieces() {
    let end = End::server();
    end.feed(&connect(1)).unwrap();
    let mut handle = end.next().unwrap();
    let mut queued = 0;
    while let Poll::Ready(Ok(sent)) = handle.poll_send_copy(&cx(), b"x") {
        queued += sent;
    }
    assert_eq!(queued, 64);
    assert!(!end.sent().is_empty());
    assert!(handle.poll_send_copy(&cx(), b"x").is_ready());
}

#[test]
fn no_more_is_released_than_was_taken() {
    let end = End::server();
    end.feed(&connect(1)).unwrap();
    let mut handle = end.next().unwrap();
    handle.release(u32::MAX);
    assert!(
        end.sent()
            .iter()
            .all(|(head, _)| head.kind != WINDOW_UPDATE || head.stream == 0)
    );
    end.feed(&frame(DATA, 0, 1, &[0; 16_000])).unwrap();
    end.feed(&frame(DATA, 0, 1, &[0; 16_000])).unwrap();
    end.feed(&frame(DATA, 0, 1, &[0; 768])).unwrap();
    handle.release(u32::MAX);
    let told: Vec<_> = end
        .sent()
        .into_iter()
        .filter(|(head, _)| head.kind == WINDOW_UPDATE)
        .map(|(_, payload)| payload)
        .collect();
    assert_eq!(told, [32_768_u32.to_be_bytes().to_vec()]);
}

#[test]
fn requests_that_were_never_sent_are_known_to_be_when_the_connection_ends() {
    let end = End::client(&setting(3, 1));
    let mut handles = [(); 2].map(|()| end.0.open("a:1", &HeaderMap::new()).unwrap());
    let ended = Http2Error::io(std::io::ErrorKind::UnexpectedEof.into());
    end.0.0.lock().fail(ended);
    let unprocessed = |handle: &mut Handle| match handle.poll_answer(&cx()) {
        Poll::Ready(Err(error)) => error.is_unprocessed(),
        other => panic!("{other:?}"),
    };
    assert!(!unprocessed(&mut handles[0]));
    assert!(unprocessed(&mut handles[1]));
}

#[test]
fn a_stream_that_nobody_reads_keeps_one_read_buffer_and_not_one_for_each_piece() {
    let end = End::server();
    for stream in [1, 3] {
        end.feed(&connect(stream)).unwrap();
    }
    let handles = (end.next().unwrap(), end.next().unwrap());
    let mut held = Vec::new();
    for _ in 0..12 {
        end.feed(&frame(DATA, 0, 1, &[0; 4096])).unwrap();
        end.feed(&frame(DATA, 0, 3, &[0; 4096])).unwrap();
        held.push(end.0.0.lock().streams[&1].received.pieces());
    }
    assert!(held.iter().all(|pieces| *pieces <= 2), "{held:?}");
    drop(handles);
}
