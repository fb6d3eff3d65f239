//! Users and groups, as the name service switch knows them (files, LDAP, ...): getpwnam_r(3) and its siblings.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A row of the password database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// The password field, `x` where passwords are shadowed.
    pub password: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Full name and so on, as it stands there.
    pub gecos: String,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell; may be empty.
    pub shell: PathBuf,
}

/// A row of the group database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// The password field, mostly `x`.
    pub password: String,
    /// Group id.
    pub gid: u32,
    /// Names of those who are in the group besides those whose primary group it is.
    pub members: Vec<String>,
}

/// The user of that name; `Ok(None)` when there is none. An error means that the database could not be asked: try later. May block.
pub fn by_name(name: &str) -> io::Result<Option<User>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    // SAFETY: see `entry`; name is a live C string.
    entry(|row, buffer, found| unsafe { libc::getpwnam_r(name.as_ptr(), row, buffer.as_mut_ptr().cast(), buffer.len(), found) }, user)
}

/// The user with that id.
pub fn by_uid(uid: u32) -> io::Result<Option<User>> {
    // SAFETY: see `entry`.
    entry(|row, buffer, found| unsafe { libc::getpwuid_r(uid, row, buffer.as_mut_ptr().cast(), buffer.len(), found) }, user)
}

/// The group of that name.
pub fn group_by_name(name: &str) -> io::Result<Option<Group>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    // SAFETY: see `entry`; name is a live C string.
    entry(|row, buffer, found| unsafe { libc::getgrnam_r(name.as_ptr(), row, buffer.as_mut_ptr().cast(), buffer.len(), found) }, group)
}

/// The group with that id.
pub fn group_by_gid(gid: u32) -> io::Result<Option<Group>> {
    // SAFETY: see `entry`.
    entry(|row, buffer, found| unsafe { libc::getgrgid_r(gid, row, buffer.as_mut_ptr().cast(), buffer.len(), found) }, group)
}

/// Calls one of the `…_r` functions with a buffer that grows until the row fits, and converts the row while the buffer lives.
fn entry<Row, T>(call: impl Fn(*mut Row, &mut [u8], *mut *mut Row) -> libc::c_int, convert: impl Fn(&Row) -> T) -> io::Result<Option<T>> {
    let mut buffer = vec![0_u8; 1024];
    loop {
        let mut row = std::mem::MaybeUninit::<Row>::uninit();
        let mut found: *mut Row = std::ptr::null_mut();
        // The functions fill `row` with pointers into `buffer`, and set `found` to `row` or to null. All three outlive the call.
        match call(row.as_mut_ptr(), &mut buffer, &mut found) {
            0 if found.is_null() => return Ok(None),
            // SAFETY: status 0 with a pointer that is not null says that the row has been filled in.
            0 => return Ok(Some(convert(unsafe { &*found }))),
            libc::ERANGE if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            libc::EINTR => {}
            // "The given name was not found", in the words of some libraries (getpwnam(3)).
            libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn text(pointer: *const libc::c_char) -> Vec<u8> {
    if pointer.is_null() {
        return Vec::new();
    }
    // SAFETY: not null, and the row's pointers are to C strings in the buffer, which is still alive.
    unsafe { CStr::from_ptr(pointer) }.to_bytes().to_vec()
}

fn string(pointer: *const libc::c_char) -> String {
    String::from_utf8_lossy(&text(pointer)).into_owned()
}

fn user(row: &libc::passwd) -> User {
    User {
        name: string(row.pw_name),
        password: string(row.pw_passwd),
        uid: row.pw_uid,
        gid: row.pw_gid,
        gecos: string(row.pw_gecos),
        home: PathBuf::from(OsStr::from_bytes(&text(row.pw_dir))),
        shell: PathBuf::from(OsStr::from_bytes(&text(row.pw_shell))),
    }
}

fn group(row: &libc::group) -> Group {
    Group { name: string(row.gr_name), password: string(row.gr_passwd), gid: row.gr_gid, members: strings(row.gr_mem) }
}

/// A list of C strings that ends with a null pointer.
fn strings(list: *mut *mut libc::c_char) -> Vec<String> {
    let mut out = Vec::new();
    if !list.is_null() {
        // SAFETY: the row's list is in the buffer, which is still alive, and ends with a null pointer.
        while let Some(pointer) = unsafe { list.add(out.len()).as_ref() }.filter(|pointer| !pointer.is_null()) {
            out.push(string(*pointer));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_there_both_ways() {
        let root = by_name("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(by_uid(0).unwrap(), Some(root));
        assert_eq!(group_by_gid(0).unwrap(), group_by_name("root").unwrap());
    }

    #[test]
    fn strangers_are_not_found() {
        assert_eq!(by_name("no such user").unwrap(), None);
        assert_eq!(by_name("nul\0inside").unwrap(), None);
        assert_eq!(group_by_name("no such group").unwrap(), None);
    }
}
