use proptest::prelude::*;

use super::*;

#[test]
fn a_chunked_body_ends_after_its_trailers() {
    for (body, length) in [
        ("0\r\n\r\n", 5),
        ("0\r\n\r\nGET", 5),
        ("3\r\nabc\r\n0\r\n\r\n", 13),
        ("A;x=y\r\n0123456789\r\n0;z\r\n\r\n", 26),
        ("3 ;x\r\nabc\r\n000\r\n\r\n", 18),
        ("0\r\na: b\r\nc: d\r\n\r\nX", 17),
        ("2\r\n\r\n\r\n0\r\n\r\n", 12),
    ] {
        let mut chunked = ChunkedBody::new(&HygieneRules::default());
        assert_eq!(chunked.take(body.as_bytes()), Ok(length), "{body:?}");
        assert!(chunked.is_finished(), "{body:?}");
        assert_eq!(chunked.take(b"more"), Ok(0));
    }
}

#[test]
fn trailers_are_lines_within_a_bound() {
    for body in [
        "0\r\n a: b\r\n\r\n",
        "0\r\na: \0\r\n\r\n",
        "0\r\na: b\n",
        "0\r\na\r: b",
    ] {
        let mut chunked = ChunkedBody::new(&HygieneRules::default());
        assert_eq!(
            chunked.take(body.as_bytes()),
            Err(BadHead::Chunk),
            "{body:?}"
        );
    }
    let rules = HygieneRules {
        chunk_bytes: 4,
        ..HygieneRules::default()
    };
    let mut chunked = ChunkedBody::new(&rules);
    assert_eq!(chunked.take(b"0\r\na: b\r\n\r\n"), Ok(11));
    let mut chunked = ChunkedBody::new(&rules);
    assert_eq!(chunked.take(b"0\r\na: bc\r\n\r\n"), Err(BadHead::Chunk));
}

#[test]
fn nothing_after_a_fault_is_accepted() {
    let mut requests = RequestStream::new(HygieneRules::default());
    let good = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n";
    let bad = b"GET / HTTP/1.1\r\n\r\n";
    let both = [&good[..], bad, good].concat();
    assert_eq!(requests.accept(&both), Ok(good.len()));
    assert_eq!(requests.accept(&both[good.len()..]), Err(BadHead::NoHost));
    assert_eq!(requests.accept(good), Err(BadHead::NoHost));
}

#[test]
fn nothing_after_the_last_request_is_accepted() {
    let mut requests = RequestStream::new(HygieneRules::default());
    let last = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    assert_eq!(requests.accept(&[&last[..], last].concat()), Ok(last.len()));
    assert_eq!(requests.accept(last), Ok(0));
}

#[test]
fn after_a_request_to_switch_protocols_its_answer_is_waited_for() {
    let ask = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let all = [&ask[..], b"\x81\x00\n"].concat();
    for (switched, accepted) in [(true, Ok(3)), (false, Err(BadHead::BareLineFeed))] {
        let mut requests = RequestStream::new(HygieneRules::default());
        assert_eq!(requests.accept(&all), Ok(ask.len()));
        assert_eq!(requests.accept(&all[ask.len()..]), Ok(0));
        requests.answered(switched);
        assert_eq!(requests.accept(&all[ask.len()..]), accepted);
    }
}

#[test]
fn a_head_without_end_is_refused_at_the_limit() {
    let rules = HygieneRules {
        head_bytes: 64,
        ..HygieneRules::default()
    };
    let mut requests = RequestStream::new(rules);
    assert_eq!(requests.accept(&[b'a'; 63]), Ok(0));
    assert_eq!(
        requests.accept(&[b'a'; 64]),
        Err(BadHead::TooLong { limit: 64 })
    );
}

/// Requests and faults, of which many are put one after the other.
fn received() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "4\r\n",
        "abcd",
        "\r\n",
        "0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "x: y\r\n",
        "\0",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn what_is_accepted_does_not_depend_on_how_bytes_are_cut(
        all in received(),
        cuts in prop::collection::vec(1..40_usize, 0..20),
    ) {
        let mut whole = RequestStream::new(HygieneRules::default());
        let mut at_once = 0;
        let end = loop {
            match whole.accept(&all[at_once..]) {
                Ok(0) => break None,
                Ok(accepted) => at_once += accepted,
                Err(fault) => break Some(fault),
            }
        };
        let mut pieces = RequestStream::new(HygieneRules::default());
        let (mut accepted, mut available, mut fault) = (0, 0, None);
        for cut in cuts.into_iter().chain([all.len(), 0, 0]) {
            available = (available + cut).min(all.len());
            match pieces.accept(&all[accepted..available]) {
                Ok(more) => accepted += more,
                Err(found) => fault = Some(found),
            }
        }
        // Of a chunk with a fault, less or more may have passed before the fault came.
        let in_chunk = end == Some(BadHead::Chunk) && accepted >= at_once;
        prop_assert!(accepted == at_once || in_chunk);
        prop_assert_eq!(fault, end);
    }
}
