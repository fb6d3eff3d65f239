//! The disk as a parameter: the real one, and a simulated one that loses what was not synced.

/// The file operations that the queue needs. All paths are relative to the queue directory.
pub trait Disk: Send + Sync {}
