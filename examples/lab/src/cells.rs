//! What is measured: each cell is one kind of work, and fills one or more rows of the table.

use std::io;

use crate::application::Application;
use crate::figures::percentile;
use crate::load::{Direction, Window, Work, bulk, connections, latencies, requests};
use crate::path::Path;
use crate::table::{Better, Row};

/// One kind of work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// Bytes to the application over one connection.
    Bulk1,
    /// Bytes to the application over sixteen connections.
    Bulk16,
    /// Bytes from the application over one connection.
    Download1,
    /// 1 KiB there and back, one connection.
    Latency,
    /// 1 KiB there and back, 64 connections.
    Requests64,
    /// Connect, one byte there and back, close; sixteen at a time.
    Connections,
    /// Idle connections.
    Memory,
}

/// How many short connections are under way at a time.
const AT_ONCE: usize = 16;

impl Cell {
    /// All cells, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Bulk1,
        Self::Bulk16,
        Self::Download1,
        Self::Latency,
        Self::Requests64,
        Self::Connections,
        Self::Memory,
    ];

    /// The name by which the command line picks the cell.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bulk1 => "bulk-1",
            Self::Bulk16 => "bulk-16",
            Self::Download1 => "download-1",
            Self::Latency => "latency-1",
            Self::Requests64 => "requests-64",
            Self::Connections => "connections",
            Self::Memory => "memory",
        }
    }

    /// The rows that the cell fills, in the order of what [`Cell::run`] returns.
    #[must_use]
    pub fn rows(self) -> &'static [Row] {
        match self {
            Self::Bulk1 => &BULK_1,
            Self::Bulk16 => &BULK_16,
            Self::Download1 => &DOWNLOAD_1,
            Self::Latency => &LATENCY,
            Self::Requests64 => &REQUESTS_64,
            Self::Connections => &CONNECTIONS,
            Self::Memory => &MEMORY,
        }
    }

    /// Does the work once and returns a figure for each row; not a number where a row does not apply.
    ///
    /// # Errors
    /// When a connection fails, and for [`Cell::Memory`], which needs a process of its own ([`crate::memory`]).
    pub async fn run(
        self,
        application: &Application,
        path: &Path,
        window: Window,
    ) -> io::Result<Vec<f64>> {
        match self {
            Self::Bulk1 => Ok(gigabits(
                bulk(application, path, Direction::Up, 1, window).await?,
            )),
            Self::Bulk16 => Ok(gigabits(
                bulk(application, path, Direction::Up, 16, window).await?,
            )),
            Self::Download1 => Ok(gigabits(
                bulk(application, path, Direction::Down, 1, window).await?,
            )),
            Self::Latency => {
                let mut found = latencies(application, path, window).await?;
                found.sort_unstable();
                let micros = |percent| percentile(&found, percent).as_secs_f64() * 1e6;
                Ok([50, 90, 99].map(micros).to_vec())
            }
            Self::Requests64 => Ok(events(requests(application, path, 64, window).await?)),
            Self::Connections => Ok(events(
                connections(application, path, AT_ONCE, window).await?,
            )),
            Self::Memory => Err(io::Error::other(
                "memory is measured in a process of its own",
            )),
        }
    }
}

fn gigabits(work: Work) -> Vec<f64> {
    let bits = work.done * 8.0 / 1e9;
    vec![
        bits / work.elapsed.as_secs_f64(),
        ratio(bits, work.processor.as_secs_f64()),
    ]
}

fn events(work: Work) -> Vec<f64> {
    vec![
        work.rate(),
        ratio(work.processor.as_secs_f64() * 1e6, work.done),
    ]
}

/// Zero processor time means that there was no hop to measure.
fn ratio(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 {
        f64::NAN
    } else {
        a / b
    }
}

const BULK_1: [Row; 2] = [
    Row::new(
        "bulk-1",
        "bulk to the server, 1 stream",
        "Gbit/s",
        Better::Higher,
    ),
    Row::new(
        "bulk-1-cpu",
        "  per processor second of both hops",
        "Gbit",
        Better::Higher,
    ),
];
const BULK_16: [Row; 2] = [
    Row::new(
        "bulk-16",
        "bulk to the server, 16 streams",
        "Gbit/s",
        Better::Higher,
    ),
    Row::new(
        "bulk-16-cpu",
        "  per processor second of both hops",
        "Gbit",
        Better::Higher,
    ),
];
const DOWNLOAD_1: [Row; 2] = [
    Row::new(
        "download-1",
        "bulk to the client, 1 stream",
        "Gbit/s",
        Better::Higher,
    ),
    Row::new(
        "download-1-cpu",
        "  per processor second of both hops",
        "Gbit",
        Better::Higher,
    ),
];
const LATENCY: [Row; 3] = [
    Row::new(
        "latency-1-p50",
        "1 KiB request, 1 connection, p50",
        "us",
        Better::Lower,
    ),
    Row::new(
        "latency-1-p90",
        "1 KiB request, 1 connection, p90",
        "us",
        Better::Lower,
    ),
    Row::new(
        "latency-1-p99",
        "1 KiB request, 1 connection, p99",
        "us",
        Better::Lower,
    ),
];
const REQUESTS_64: [Row; 2] = [
    Row::new(
        "requests-64",
        "1 KiB requests, 64 connections",
        "/s",
        Better::Higher,
    ),
    Row::new(
        "requests-64-cpu",
        "  processor time of both hops for one",
        "us",
        Better::Lower,
    ),
];
const CONNECTIONS: [Row; 2] = [
    Row::new("connections", "new connections", "/s", Better::Higher),
    Row::new(
        "connections-cpu",
        "  processor time of both hops for one",
        "us",
        Better::Lower,
    ),
];
const MEMORY: [Row; 1] = [Row::new(
    "memory",
    "memory of one hop per idle connection",
    "B",
    Better::Lower,
)];
