//! Formats of access logs: any text is a format, or a problem with its place; what a peer sends never ends a
//! line, and is JSON where JSON is written.
#![no_main]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use mesh_l7::record::{Entry, RequestHead};
use mesh_l7::telemetry::{AccessLog, Format, LogWriter, Sink, Surroundings};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, entry: &Entry) -> Vec<u8> {
    let output = Output::default();
    let (writer, thread) = LogWriter::start(output.clone(), 1).unwrap();
    AccessLog::new(format, writer).complete(entry);
    thread.join().unwrap();
    let written = output.0.lock().unwrap().clone();
    written
}

fuzz_target!(|input: &[u8]| {
    // A format, a line feed, and a header's value.
    let (format, value) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &b"curl"[..]),
    };
    let Ok(format) = std::str::from_utf8(format) else {
        return;
    };
    let around = Surroundings::default();
    let text = match Format::text(format, &around) {
        Ok(text) => text,
        Err(bad) => {
            assert!(format.is_char_boundary(bad.position));
            assert!(format[bad.position..].starts_with('%'));
            return;
        }
    };
    let json = Format::json([("key", format), ("agent", "%REQ(USER-AGENT)%")], &around).unwrap();
    let mut entry = Entry::new(Instant::now());
    let request = http::Request::get("/?password=x").header("user-agent", value);
    if let Ok(request) = request.body(()) {
        let wanted = ["user-agent".parse().unwrap()];
        entry.request = Some(RequestHead::of(&request, &wanted));
    }
    let line = written(text, &entry);
    let breaks = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(breaks(&line), 0, "the format has none");
    let line = written(json, &entry);
    assert_eq!(breaks(&line), 1);
    let _: serde_json::Value = serde_json::from_slice(&line).unwrap();
});
