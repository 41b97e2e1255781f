//! Figures about the process itself.

/// How many files are open, where the system tells.
pub(super) fn open_files() -> Option<u64> {
    // The directory that is read is itself an open file.
    let entries = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(entries.saturating_sub(1)).ok()
}

/// How many files may be open.
pub(super) fn most_open_files() -> Option<u64> {
    rlimit::Resource::NOFILE.get_soft().ok()
}
