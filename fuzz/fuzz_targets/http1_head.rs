//! HTTP/1 heads and connections: what is accepted does not depend on how bytes are cut, and is framed
//! one way only.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_l7::hygiene::{BadHead, Body, HygieneRules, RequestStream, check, check_response};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let rules = HygieneRules {
        head_bytes: 512,
        lines: 8,
        chunk_bytes: 16,
        ..HygieneRules::default()
    };
    if let Ok(framing) = check(bytes, &rules) {
        assert!(bytes.ends_with(b"\r\n\r\n") && !bytes.contains(&0));
        assert!(
            bytes
                .windows(2)
                .all(|pair| pair[1] != b'\n' || pair[0] == b'\r')
        );
        let lower = bytes.to_ascii_lowercase();
        let times = |name: &[u8]| lower.windows(name.len()).filter(|w| *w == name).count();
        assert!(framing.body != Body::UntilClose);
        assert!(framing.body != Body::Chunked || times(b"\r\ncontent-length:") == 0);
        assert!(times(b"\r\nhost:") <= 1 && times(b"\r\ncontent-length:") <= 1);
    }
    let _ = check_response(bytes, "GET", false, &rules);

    let mut whole = RequestStream::new(rules.clone());
    let mut at_once = 0;
    let fault = loop {
        match whole.accept(&bytes[at_once..]) {
            Ok(0) => break None,
            Ok(more) => at_once += more,
            Err(fault) => break Some(fault),
        }
    };
    let mut pieces = RequestStream::new(rules);
    let (mut accepted, mut available, mut found) = (0, 0, None);
    while found.is_none() && (available < bytes.len() || accepted < at_once) {
        available = (available + usize::from(cut) + 1).min(bytes.len());
        match pieces.accept(&bytes[accepted..available]) {
            Ok(0) if available == bytes.len() => break,
            Ok(more) => accepted += more,
            Err(fault) => found = Some(fault),
        }
    }
    if found.is_none()
        && let Err(fault) = pieces.accept(&bytes[accepted..])
    {
        found = Some(fault);
    }
    assert_eq!(found, fault);
    assert!(accepted == at_once || fault == Some(BadHead::Chunk));
});
