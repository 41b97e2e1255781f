//! Small files that are read again and again.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Reads a regular file of at most `limit` bytes, away from the runtime's own threads.
pub(super) async fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read_now(path, limit))
        .await
        .map_err(io::Error::other)?
}

fn read_now(path: PathBuf, limit: u64) -> io::Result<Vec<u8>> {
    // Looked at first: opening a pipe would wait for its other end.
    if !std::fs::metadata(&path)?.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    let mut content = Vec::new();
    let length = File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    if u64::try_from(length).is_ok_and(|length| length > limit) {
        let reason = format!("it has more than {limit} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    Ok(content)
}
