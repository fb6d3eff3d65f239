//! A file as memory: mmap(2).

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// The bytes of a file, read when they are touched. If the file is cut short meanwhile, touching what is no longer there kills the process
/// (SIGBUS): for short-lived commands only, and for files that are replaced and never written in place.
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is only read, and belongs to this value.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the whole file as it is now. An empty file cannot be mapped.
    pub fn of(file: &File) -> io::Result<Mapping> {
        let len = usize::try_from(file.metadata()?.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        match NonNull::new(start.cast()) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED.cast() => Ok(Mapping { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` and `len` are those of the mapping, which lives as long as this value. What others write to the file meanwhile may
        // be seen in parts, which for bytes is no more than a damaged file.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody can hold a slice of it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_file_and_nothing() {
        assert!(Mapping::of(&File::open("/dev/null").unwrap()).is_err());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let mapping = Mapping::of(&File::open(&path).unwrap()).unwrap();
        assert_eq!(mapping[..], std::fs::read(&path).unwrap());
    }
}
