//! One event of the log as a line of text.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::format::LogFormat;
use crate::timestamp::Timestamp;

/// Writes an event as one line, with the line feed.
pub(super) fn write(format: LogFormat, event: &Event<'_>, now: SystemTime, line: &mut String) {
    let metadata = event.metadata();
    let mut fields = Fields {
        format,
        message: String::new(),
        rest: String::new(),
    };
    event.record(&mut fields);
    let level = level(*metadata.level());
    let scope = metadata.target();
    let time = Timestamp(now);
    let Fields { message, rest, .. } = fields;
    // Writing to a String does not fail.
    let _ = match format {
        LogFormat::Plain => writeln!(line, "{time}\t{level}\t{scope}\t{message}{rest}"),
        LogFormat::Json => {
            let (scope, message) = (Json(scope), Json(&message));
            writeln!(
                line,
                r#"{{"level":"{level}","time":"{time}","scope":{scope},"message":{message}{rest}}}"#
            )
        }
    };
}

pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct Fields {
    format: LogFormat,
    message: String,
    rest: String,
}

impl Fields {
    /// `value` is shown as it is where that is unambiguous.
    fn bare(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name();
        let _ = match (self.format, name) {
            (_, "message") => write!(self.message, "{}", OneLine(&value.to_string())),
            (LogFormat::Plain, _) => {
                let separator = self.separator();
                write!(self.rest, "{separator}{name}={value}")
            }
            (LogFormat::Json, _) => write!(self.rest, ",{}:{value}", Json(name)),
        };
    }

    fn text(&mut self, field: &Field, value: &str) {
        let name = field.name();
        let _ = match (self.format, name) {
            (_, "message") => write!(self.message, "{}", OneLine(value)),
            (LogFormat::Plain, _) => {
                let separator = self.separator();
                write!(self.rest, "{separator}{name}={}", Json(value))
            }
            (LogFormat::Json, _) => write!(self.rest, ",{}:{}", Json(name), Json(value)),
        };
    }

    fn separator(&self) -> char {
        if self.rest.is_empty() { '\t' } else { ' ' }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &Chain(value).to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\' && b != b'=';
        if self.format == LogFormat::Plain && !text.is_empty() && text.bytes().all(plain) {
            self.bare(field, format_args!("{text}"));
        } else {
            self.text(field, &text);
        }
    }
}

/// An error with its causes: `outer: inner: innermost`.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a wrapper")]
pub struct Chain<'a>(
    /// The outermost one.
    pub &'a (dyn std::error::Error + 'static),
);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A text as a JSON string; also the quoted form of plain lines.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c) => {
                    write!(f, "\\u{:04x}", u32::from(c))?;
                }
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// A message that cannot forge another line.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| f.write_char(if c.is_control() { ' ' } else { c }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    struct Capture(LogFormat, Arc<Mutex<String>>);

    impl<S: tracing::Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let now = UNIX_EPOCH + Duration::from_secs(1_787_392_800);
            write(self.0, event, now, &mut self.1.lock().unwrap());
        }
    }

    fn lines(format: LogFormat, emit: impl FnOnce()) -> String {
        let text = Arc::new(Mutex::new(String::new()));
        let capture = Capture(format, text.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(capture), emit);
        text.lock().unwrap().clone()
    }

    fn emit() {
        let error = std::io::Error::other("no \"route\"");
        let error = &error as &(dyn std::error::Error + 'static);
        let address = std::net::SocketAddr::from(([10, 0, 0, 1], 80));
        let absent: Option<u64> = None;
        tracing::info!(
            target: "access",
            {
                src.addr = %address, src.workload = "a b", bytes_sent = 11_u64, absent, error,
                forged = %"x\ny=1",
            },
            "connection complete"
        );
        tracing::warn!(target: "ztunnel", "two\nlines");
    }

    #[test]
    fn plain_lines_have_tabs_and_quoted_texts() {
        assert_eq!(
            lines(LogFormat::Plain, emit),
            "2026-08-22T10:00:00.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:80 \
             src.workload=\"a b\" bytes_sent=11 error=\"no \\\"route\\\"\" forged=\"x\\ny=1\"\n\
             2026-08-22T10:00:00.000000Z\twarn\tztunnel\ttwo lines\n"
        );
    }

    #[test]
    fn json_lines_are_objects_with_typed_values() {
        let text = lines(LogFormat::Json, emit);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(
            first,
            serde_json::json!({
                "level": "info",
                "time": "2026-08-22T10:00:00.000000Z",
                "scope": "access",
                "message": "connection complete",
                "src.addr": "10.0.0.1:80",
                "src.workload": "a b",
                "bytes_sent": 11,
                "error": "no \"route\"",
                "forged": "x\ny=1",
            })
        );
    }
}
