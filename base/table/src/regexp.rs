//! `regexp:` tables: POSIX regular expressions, matched by the C library, whose leftmost-longest meaning and locale
//! rules no other library has. This module owns that interface: regcomp(3), regexec(3), regerror(3), regfree(3).
//! Patterns with back references are matched by PCRE2, which has limits.
#![allow(unsafe_code)]

use crate::backrefs;
use crate::pattern::{Engine, Patterns};
use crate::pcre::{self, Perl};
use bstr::{BStr, ByteSlice};
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A `regexp:` table.
pub(crate) type Regexp = Patterns<Posix>;

/// Not in the libc crate for all C libraries: match the part of the text that the first span tells, which need not end with NUL.
const REG_STARTEND: libc::c_int = 4;

/// Where `re_nsub` lies in `regex_t`, counted in words; the libc crate does not show it. A test compares with patterns.
const RE_NSUB: usize = if cfg!(target_env = "gnu") { 6 } else { 0 };

/// A compiled pattern. It is on the heap since the C library may keep pointers into it.
pub(crate) struct Posix(Box<libc::regex_t>, Option<Perl>);

// SAFETY: regexec() does not change the pattern in a way that others could see (POSIX: it is thread-safe; glibc takes a lock inside).
unsafe impl Send for Posix {}
// SAFETY: as above.
unsafe impl Sync for Posix {}

/// The flags that letters toggle.
#[derive(Clone, Copy)]
pub(crate) struct Flags(libc::c_int);

impl Default for Flags {
    fn default() -> Flags {
        Flags(libc::REG_EXTENDED | libc::REG_ICASE)
    }
}

impl Engine for Posix {
    const KIND: &'static str = "regexp";
    const UNCLOSED: &'static str = "skipping this rule";
    const OUT_OF_RANGE: &'static str = "out-of-range";
    const SECOND_PATTERN: bool = true;
    type Flags = Flags;

    fn toggle(flags: &mut Flags, letter: u8) -> Option<bool> {
        flags.0 ^= match letter {
            b'i' => libc::REG_ICASE,
            b'm' => libc::REG_NEWLINE,
            b'x' => libc::REG_EXTENDED,
            _ => return None,
        };
        Some(true)
    }

    fn compile(pattern: &BStr, flags: Flags, groups: bool) -> Result<Posix, String> {
        // The text of a pattern ends at a NUL, as for every C program.
        let end = pattern.find_byte(0).unwrap_or(pattern.len());
        let mut posix = Posix::library(&pattern[..end], flags, groups)?;
        if let Some(perl) = backrefs::translate(&pattern[..end], flags.0 & libc::REG_EXTENDED != 0) {
            let flags = pcre::Flags::posix(flags.0 & libc::REG_ICASE != 0, flags.0 & libc::REG_NEWLINE != 0);
            posix.1 = Some(Perl::compile(BStr::new(&perl), flags, groups)?);
        }
        Ok(posix)
    }

    fn groups(&self) -> usize {
        // SAFETY: the member lies within the structure, at an address that is a multiple of its size, and regcomp() has filled it in.
        unsafe { (&raw const *self.0).cast::<usize>().add(RE_NSUB).read() }
    }

    fn matches(&self, key: &[u8], spans: &mut Vec<Option<Range<usize>>>, wanted: usize) -> Result<bool, String> {
        if let Some(perl) = &self.1 {
            return perl.matches(key, spans, wanted);
        }
        let none = libc::regmatch_t { rm_so: -1, rm_eo: -1 };
        let (mut few, mut many) = ([none; 10], Vec::new());
        let places = if wanted < few.len() {
            &mut few[..=wanted]
        } else {
            many.resize(wanted + 1, none);
            &mut many[..]
        };
        let Ok(end) = libc::regoff_t::try_from(key.len()) else { return Err("key too long".into()) };
        places[0] = libc::regmatch_t { rm_so: 0, rm_eo: end };
        let room = if wanted > 0 { places.len() } else { 0 };
        // SAFETY: the pattern was compiled; REG_STARTEND makes regexec() read `places[0]` (also when the room is 0) and then no byte outside of
        // `key`; it writes at most `room` elements of `places`.
        let status = unsafe { libc::regexec(&raw const *self.0, key.as_ptr().cast(), room, places.as_mut_ptr(), REG_STARTEND) };
        match status {
            0 => {
                spans.clear();
                if wanted > 0 {
                    spans.extend(places.iter().map(|place| Some(usize::try_from(place.rm_so).ok()?..usize::try_from(place.rm_eo).ok()?)));
                }
                Ok(true)
            }
            libc::REG_NOMATCH => Ok(false),
            status => {
                // regerror() wants a pattern for nothing but its locale.
                Err(error_text(status, &MaybeUninit::zeroed()))
            }
        }
    }
}

impl Posix {
    /// A pattern for the C library alone.
    pub fn library(pattern: &[u8], flags: Flags, groups: bool) -> Result<Posix, String> {
        let pattern = CString::new(pattern).map_err(|error| error.to_string())?;
        let flags = flags.0 | if groups { 0 } else { libc::REG_NOSUB };
        let mut regex: Box<MaybeUninit<libc::regex_t>> = Box::new(MaybeUninit::zeroed());
        // SAFETY: `regex` has the size and alignment that regcomp() fills; `pattern` is a live C string.
        let status = unsafe { libc::regcomp(regex.as_mut_ptr(), pattern.as_ptr(), flags) };
        if status != 0 {
            return Err(error_text(status, &regex));
        }
        // SAFETY: status 0 says that it has been filled in.
        Ok(Posix(unsafe { regex.assume_init() }, None))
    }
}

impl Drop for Posix {
    fn drop(&mut self) {
        // SAFETY: the pattern was compiled and is freed once.
        unsafe { libc::regfree(&raw mut *self.0) }
    }
}

fn error_text(status: libc::c_int, regex: &MaybeUninit<libc::regex_t>) -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: writes at most the length of the buffer, with a final NUL; the pattern may be one that failed to compile (regerror(3)).
    let len = unsafe { libc::regerror(status, regex.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let len = len.saturating_sub(1).min(buffer.len() - 1);
    buffer[..len].to_str_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};

    // Tables and answers of parity scenario maps/patterns.
    const RULES: &str = r"# comment
/^postmaster@/          OK
/^(.*)@(.*)\.example$/  $2 has $1, ${1}! $$
!/@/                    no at sign
/CASE/i                 toggled
/case/                  insensitive by default
if /^list-/
/^list-(.*)@/           list $1
if !/x/
/^list/                 nested
endif
endif
/slash\/inside/         slashes
|alt|                   other delimiter
/two  words/            continued
  value here
";

    // S-TABLE-05
    #[test]
    fn rules() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regexp");
        std::fs::write(&path, RULES).unwrap();
        let table = open(&format!("regexp:{}", path.display()), OpenFlags::default(), &collecting().0).unwrap();
        for (key, answer) in [
            ("POSTMASTER@X", "OK"),
            ("joe@shop.example", "shop has joe, joe! $"),
            ("nothing", "no at sign"),
            ("a@CASE", "toggled"),
            ("a@case", "insensitive by default"),
            ("list-one@x.org", "list one"),
            ("slash/inside@", "slashes"),
            ("alt@", "other delimiter"),
            ("two  words@", "continued  value here"),
        ] {
            assert_eq!(table.lookup(key.into()).unwrap(), Some(answer.into()), "{key}");
        }
        assert_eq!(table.lookup("@".into()).unwrap(), None);
    }

    // S-TABLE-05
    #[test]
    fn faults() {
        let bad = r"/unclosed   x
/good/      y
/(unbalanced/   z
/novalue/
/sub/       $3
endif
/flag/Q     q
if /never closed/
/z0/ $0
!/z7/ $1
unknown
";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad");
        std::fs::write(&path, bad).unwrap();
        let (context, lines) = collecting();
        let table = open(&format!("regexp:{}", path.display()), OpenFlags::default(), &context).unwrap();
        assert_eq!(table.lookup("good".into()).unwrap(), Some("y".into()));
        assert_eq!(table.lookup("novalue".into()).unwrap(), Some("".into()));
        assert_eq!(table.lookup("sub".into()).unwrap(), None);
        let start = format!("regexp map {}, line", path.display());
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "1: no closing regexp delimiter \"/\": skipping this rule",
                "3: Unmatched ( or \\(",
                "4: no replacement text: using empty string",
                "5: out of range replacement index \"3\": skipping this rule",
                "6: ignoring ENDIF without matching IF",
                "7: unknown regexp option \"Q\": skipping this rule",
                "9: out-of-range replacement index \"0\"",
                "9: bad replacement syntax: skipping this rule",
                "10: $number found in negative match replacement text: skipping this rule",
                "11: ignoring unrecognized request",
                "8: IF has no matching ENDIF",
            ]
            .map(|text| format!("{start} {text}"))
        );
    }

    #[test]
    fn no_substitution_where_results_name_commands() {
        let (context, lines) = collecting();
        let flags = OpenFlags { no_substitution: true, ..OpenFlags::default() };
        let table = open("regexp:{{/^(.*)$/ |cmd $1}, {/./ safe}}", flags, &context).unwrap();
        assert_eq!(table.lookup("x".into()).unwrap(), Some("safe".into()));
        assert_eq!(lines.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_key_needs_no_nul_and_may_hold_one() {
        let mut spans = Vec::new();
        let regex = Posix::compile("b(.)z".into(), Flags::default(), true).unwrap();
        let groups = |pattern: &str| Posix::compile(pattern.into(), Flags::default(), true).unwrap().groups();
        assert_eq!((regex.groups(), groups("x"), groups("((a)|(b[(]))")), (1, 0, 3));
        assert_eq!(regex.matches(&b"a\0bxz!"[..5], &mut spans, 1), Ok(true));
        assert_eq!(spans[1], Some(3..4));
        let regex = Posix::compile("z$".into(), Flags::default(), false).unwrap();
        assert_eq!(regex.matches(&b"az!"[..2], &mut spans, 0), Ok(true));
        assert_eq!(regex.matches(b"az!", &mut spans, 0), Ok(false));
    }
}
