//! Memory per idle connection, as the kernel counts the process' own pages.

use std::fs;
use std::io;

use crate::application::Application;
use crate::load::hold;
use crate::path::{Contender, Layout};
use crate::worker::runtime;

/// By how many bytes this process grows for each of `connections` idle connections through `contender`.
///
/// Client, application and both hops live in the process; subtract the figure of [`Contender::Direct`] to be
/// left with the hops. Measure in a fresh process: memory that was freed before would be used again and not seen.
///
/// # Errors
/// When a connection fails, for instance because there are too few file descriptors.
pub fn per_connection(contender: Contender, layout: Layout, connections: usize) -> io::Result<f64> {
    let application = Application::start()?;
    let path = contender.start(application.address(), layout)?;
    runtime()?.block_on(async {
        // What the first connections bring with them (pools, tunnels, lazy tables) is not per connection.
        let warm = hold(path.entry(), 64).await?;
        let before = resident()?;
        let held = hold(path.entry(), connections).await?;
        let grown = resident()?.saturating_sub(before);
        drop((warm, held));
        Ok(grown as f64 / connections as f64)
    })
}

/// The anonymous (heap and stack) resident memory of this process, in bytes.
fn resident() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes
        .map(|k| k * 1024)
        .ok_or_else(|| io::Error::other("no Anonymous in smaps_rollup"))
}
