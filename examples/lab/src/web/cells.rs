//! What is measured of ways: each cell is one kind of work, and fills rows of the table.

use std::io;
use std::time::Duration;

use super::load::{Found, requests};
use super::way::Open;
use super::world::Version;
use crate::figures::percentile;
use crate::load::Window;
use crate::table::{Better, Row};

/// One kind of work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// One request at a time, HTTP/1.
    Http1Latency,
    /// 64 requests at a time, HTTP/1.
    Http1Requests,
    /// One request at a time, HTTP/2.
    Http2Latency,
    /// 64 requests at a time, HTTP/2.
    Http2Requests,
    /// The memory of what stands in the middle.
    Memory,
}

const AT_ONCE: usize = 64;

impl Cell {
    /// All cells, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Http1Latency,
        Self::Http1Requests,
        Self::Http2Latency,
        Self::Http2Requests,
        Self::Memory,
    ];

    /// The name by which the command line picks the cell.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1Latency => "http1-1",
            Self::Http1Requests => "http1-64",
            Self::Http2Latency => "http2-1",
            Self::Http2Requests => "http2-64",
            Self::Memory => "memory",
        }
    }

    /// The rows that the cell fills, in the order of what [`Cell::run`] returns.
    #[must_use]
    pub fn rows(self) -> &'static [Row] {
        match self {
            Self::Http1Latency => &HTTP1_1,
            Self::Http1Requests => &HTTP1_64,
            Self::Http2Latency => &HTTP2_1,
            Self::Http2Requests => &HTTP2_64,
            Self::Memory => &MEMORY,
        }
    }

    /// Does the work once and returns a figure for each row; not a number where a row does not apply.
    ///
    /// # Errors
    /// When a request fails, and for [`Cell::Memory`], which is measured of fresh processes.
    pub async fn run(self, way: &Open, window: Window) -> io::Result<Vec<f64>> {
        let (version, at_once) = match self {
            Self::Http1Latency => (Version::Http1, 1),
            Self::Http1Requests => (Version::Http1, AT_ONCE),
            Self::Http2Latency => (Version::Http2, 1),
            Self::Http2Requests => (Version::Http2, AT_ONCE),
            Self::Memory => return Err(io::Error::other("memory is that of fresh processes")),
        };
        let found = requests(way, version, at_once, window).await?;
        let [p50, p99] = [50, 99].map(|percent| micros(percentile(&found.times, percent)));
        if at_once == 1 {
            return Ok(vec![p50, p99, each(&found, found.middle)]);
        }
        let count = found.times.len() as f64;
        let rate = count / found.elapsed.as_secs_f64();
        let all = found.middle + found.nodes;
        Ok(vec![
            rate,
            p50,
            p99,
            each(&found, found.middle),
            each(&found, all),
        ])
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Processor time of one request; none means that nobody stands there.
fn each(found: &Found, time: Duration) -> f64 {
    match (found.times.len(), time) {
        (0, _) | (_, Duration::ZERO) => f64::NAN,
        (count, time) => micros(time) / count as f64,
    }
}

const fn time(key: &'static str, title: &'static str) -> Row {
    Row::new(key, title, "us", Better::Lower)
}

const HTTP1_1: [Row; 3] = [
    time("http1-1-p50", "HTTP/1, 1 connection, p50"),
    time("http1-1-p99", "  p99"),
    time("http1-1-cpu", "  processor time of the middle for one"),
];
const HTTP1_64: [Row; 5] = [
    Row::new("http1-64", "HTTP/1, 64 connections", "/s", Better::Higher),
    time("http1-64-p50", "  p50"),
    time("http1-64-p99", "  p99"),
    time("http1-64-cpu", "  processor time of the middle for one"),
    time("http1-64-all", "  of the middle and both nodes"),
];
const HTTP2_1: [Row; 3] = [
    time("http2-1-p50", "HTTP/2, 1 stream, p50"),
    time("http2-1-p99", "  p99"),
    time("http2-1-cpu", "  processor time of the middle for one"),
];
const HTTP2_64: [Row; 5] = [
    Row::new(
        "http2-64",
        "HTTP/2, 64 streams of a connection",
        "/s",
        Better::Higher,
    ),
    time("http2-64-p50", "  p50"),
    time("http2-64-p99", "  p99"),
    time("http2-64-cpu", "  processor time of the middle for one"),
    time("http2-64-all", "  of the middle and both nodes"),
];
const fn memory(key: &'static str, title: &'static str) -> Row {
    Row::new(key, title, "MB", Better::Lower)
}

const MEMORY: [Row; 4] = [
    memory("memory-idle", "memory after one request"),
    memory("memory-idle-own", "  of it in no file"),
    memory("memory-routes", "memory with 5,000 routes"),
    memory("memory-routes-own", "  of it in no file"),
];
