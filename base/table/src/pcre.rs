//! `pcre:` tables: Perl compatible regular expressions by PCRE2, with limits. This module owns that interface.
//!
//! Patterns come from the administrator, but the text they are held against comes from strangers, and with some patterns a short text can
//! keep a matcher busy for hours. So the work of one match is limited (the safe crate has no such limits); what exceeds them does not match, and
//! a warning says so. Patterns match bytes, not UTF-8 characters, as in Postfix.
#![allow(unsafe_code)]

use crate::pattern::{Engine, Patterns};
use bstr::{BStr, ByteSlice};
use pcre2_sys as sys;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};

/// A `pcre:` table.
pub(crate) type Pcre = Patterns<Perl>;

/// How often the matcher may come back to try another way. A tenth of the library's own limit: at that, one pattern could stop a service that
/// serves all its clients in one thread for a seventh of a second.
const MATCH_LIMIT: u32 = 1_000_000;

/// Memory of one match, in KiB.
const HEAP_LIMIT: u32 = 32 * 1024;

/// A compiled pattern.
pub(crate) struct Perl(NonNull<sys::pcre2_code_8>);

// SAFETY: a compiled pattern is not changed by matching (pcre2api(3), MULTITHREADING).
unsafe impl Send for Perl {}
// SAFETY: as above.
unsafe impl Sync for Perl {}

/// The flags that letters toggle.
#[derive(Clone, Copy)]
pub(crate) struct Flags(u32);

impl Flags {
    /// For patterns whose meaning is that of POSIX. `newline`: the text has lines (`REG_NEWLINE`).
    pub fn posix(ignore_case: bool, newline: bool) -> Flags {
        let case = if ignore_case { sys::PCRE2_CASELESS } else { 0 };
        Flags(case | if newline { sys::PCRE2_MULTILINE } else { sys::PCRE2_DOTALL | sys::PCRE2_DOLLAR_ENDONLY })
    }
}

impl Default for Flags {
    fn default() -> Flags {
        Flags(sys::PCRE2_CASELESS | sys::PCRE2_DOTALL)
    }
}

/// What a thread needs for matching; used for one match after the other.
struct Workspace {
    data: NonNull<sys::pcre2_match_data_8>,
    /// Pairs of offsets that fit in `data`.
    room: u32,
    limits: NonNull<sys::pcre2_match_context_8>,
}

impl Workspace {
    /// `None` when there is no memory.
    fn new(room: u32) -> Option<Workspace> {
        // SAFETY: null selects the library's own allocator.
        let data = NonNull::new(unsafe { sys::pcre2_match_data_create_8(room, null_mut()) })?;
        // SAFETY: as above.
        let Some(limits) = NonNull::new(unsafe { sys::pcre2_match_context_create_8(null_mut()) }) else {
            // SAFETY: made above, not used by anyone.
            unsafe { sys::pcre2_match_data_free_8(data.as_ptr()) };
            return None;
        };
        // SAFETY: the context was made above. These calls cannot fail.
        unsafe {
            sys::pcre2_set_match_limit_8(limits.as_ptr(), MATCH_LIMIT);
            sys::pcre2_set_depth_limit_8(limits.as_ptr(), MATCH_LIMIT);
            sys::pcre2_set_heap_limit_8(limits.as_ptr(), HEAP_LIMIT);
        }
        Some(Workspace { data, room, limits })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // SAFETY: both were made by new() and are freed once.
        unsafe {
            sys::pcre2_match_data_free_8(self.data.as_ptr());
            sys::pcre2_match_context_free_8(self.limits.as_ptr());
        }
    }
}

thread_local! {
    static WORKSPACE: std::cell::RefCell<Option<Workspace>> = const { std::cell::RefCell::new(None) };
}

impl Engine for Perl {
    const KIND: &'static str = "pcre";
    const UNCLOSED: &'static str = "ignoring this rule";
    const OUT_OF_RANGE: &'static str = "out of range";
    const SECOND_PATTERN: bool = false;
    type Flags = Flags;

    fn toggle(flags: &mut Flags, letter: u8) -> Option<bool> {
        flags.0 ^= match letter {
            b'i' => sys::PCRE2_CASELESS,
            b'm' => sys::PCRE2_MULTILINE,
            b's' => sys::PCRE2_DOTALL,
            b'x' => sys::PCRE2_EXTENDED,
            b'A' => sys::PCRE2_ANCHORED,
            b'E' => sys::PCRE2_DOLLAR_ENDONLY,
            b'U' => sys::PCRE2_UNGREEDY,
            // PCRE2 always does what this flag of PCRE1 asked for.
            b'X' => return Some(false),
            _ => return None,
        };
        Some(true)
    }

    fn compile(pattern: &BStr, flags: Flags, _groups: bool) -> Result<Perl, String> {
        let (mut error, mut offset) = (0, 0);
        // SAFETY: pointer and length are those of a live slice; the results go to live variables; null selects the default context.
        let code = unsafe { sys::pcre2_compile_8(pattern.as_ptr(), pattern.len(), flags.0, &mut error, &mut offset, null_mut()) };
        let Some(code) = NonNull::new(code) else {
            return Err(format!("error in regex at offset {offset}: {}", error_text(error)));
        };
        // Where memory may not be made executable (or the processor is not known) patterns are interpreted.
        // SAFETY: the code was compiled above and is not in use yet.
        unsafe { sys::pcre2_jit_compile_8(code.as_ptr(), sys::PCRE2_JIT_COMPLETE) };
        Ok(Perl(code))
    }

    fn groups(&self) -> usize {
        let mut count: u32 = 0;
        // SAFETY: the code is compiled, and this item is a u32.
        let status = unsafe { sys::pcre2_pattern_info_8(self.0.as_ptr(), sys::PCRE2_INFO_CAPTURECOUNT, (&raw mut count).cast()) };
        if status == 0 { count as usize } else { 0 }
    }

    fn matches(&self, key: &[u8], spans: &mut Vec<Option<Range<usize>>>, wanted: usize) -> Result<bool, String> {
        WORKSPACE.with_borrow_mut(|workspace| {
            let need = u32::try_from(wanted + 1).map_err(|error| error.to_string())?;
            if workspace.as_ref().is_none_or(|workspace| workspace.room < need) {
                *workspace = Workspace::new(need.max(16));
            }
            let Some(workspace) = workspace else { return Err("out of memory".into()) };
            let (data, limits) = (workspace.data.as_ptr(), workspace.limits.as_ptr());
            // SAFETY: code, data and context are alive and used by this thread alone (the code: only read); the key is a live slice.
            let run = |options| unsafe { sys::pcre2_match_8(self.0.as_ptr(), key.as_ptr(), key.len(), 0, options, data, limits) };
            let mut status = run(0);
            if status == sys::PCRE2_ERROR_JIT_STACKLIMIT {
                // Compiled code has 32 KBytes of stack; the interpreter takes memory from the heap.
                status = run(sys::PCRE2_NO_JIT);
            }
            if status == sys::PCRE2_ERROR_NOMATCH {
                return Ok(false);
            }
            if status < 0 {
                return Err(error_text(status));
            }
            spans.clear();
            if wanted > 0 {
                // SAFETY: the vector has `room` pairs, of which at least `wanted + 1` exist; after a match all are set, unused ones to PCRE2_UNSET.
                let pairs = unsafe { std::slice::from_raw_parts(sys::pcre2_get_ovector_pointer_8(data), 2 * (wanted + 1)) };
                spans.extend(pairs.chunks(2).map(|pair| (pair[0] != sys::PCRE2_UNSET).then(|| pair[0]..pair[1])));
            }
            Ok(true)
        })
    }
}

impl Drop for Perl {
    fn drop(&mut self) {
        // SAFETY: the code was compiled and is freed once.
        unsafe { sys::pcre2_code_free_8(self.0.as_ptr()) }
    }
}

fn error_text(error: i32) -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: writes at most the length of the buffer, with a final NUL.
    let len = unsafe { sys::pcre2_get_error_message_8(error, buffer.as_mut_ptr(), buffer.len()) };
    match usize::try_from(len) {
        Ok(len) => buffer[..len.min(buffer.len())].to_str_lossy().into_owned(),
        Err(_) => format!("unexpected pcre2 error code {error}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::context::collecting;
    use crate::open::{OpenFlags, open};

    fn ask(table: &str, key: &str) -> (Option<String>, Vec<String>) {
        let (context, lines) = collecting();
        let table = open(table, OpenFlags::default(), &context).unwrap();
        let answer = table.lookup(key.into()).unwrap().map(|value| value.to_string());
        let lines = lines.lock().unwrap().clone();
        (answer, lines)
    }

    // Answers of Postfix, from parity scenario maps/patterns and by postmap -q.
    // S-TABLE-05
    #[test]
    fn flags_and_groups() {
        for (table, key, answer) in [
            ("pcre:{{/^(?<user>[a-z]+)\\+/x named $1}}", "joe+x", Some("named joe")),
            ("pcre:{{/a.b/ dotall}}", "a\nb", Some("dotall")),
            ("pcre:{{/a.b/s no}}", "a\nb", None),
            ("pcre:{{/^b/m ml}}", "a\nb", Some("ml")),
            ("pcre:{{/CASE/ i}}", "case", Some("i")),
            ("pcre:{{/CASE/i no}}", "case", None),
            ("pcre:{{/nchored/A no}}", "anchored", None),
            ("pcre:{{/(a)(b)?(c)?/ [$1][$2][$3]}}", "ab", Some("[a][b][]")),
            ("pcre:{{/(a+)(a*)/U [$1][$2]}}", "aaa", Some("[a][]")),
            ("pcre:{{/a b/x ab}}", "ab", Some("ab")),
            ("pcre:{{/^..$/ two bytes}}", "ö", Some("two bytes")),
            ("pcre:{{!/x/ no x}}", "abc", Some("no x")),
        ] {
            assert_eq!(ask(table, key), (answer.map(str::to_owned), vec![]), "{table} {key}");
        }
    }

    // S-TABLE-05
    #[test]
    fn faults() {
        let (answer, lines) = ask("pcre:{{/(unbalanced/ z}, {/[/ w}, {/x/X ex}, {/z0/ $0}}", "x");
        assert_eq!(answer.as_deref(), Some("ex"));
        let texts: Vec<_> = lines.iter().map(|line| line.split_once("}}, ").unwrap().1).collect();
        assert_eq!(
            texts,
            [
                "line 1: error in regex at offset 11: missing closing parenthesis",
                "line 2: error in regex at offset 1: missing terminating ] for character class",
                "line 3: ignoring obsolete regexp option \"X\"",
                "line 4: out of range replacement index \"0\"",
                "line 4: bad replacement syntax: skipping this rule",
            ]
        );
    }

    #[test]
    fn a_hostile_text_costs_little_and_does_not_match() {
        let text = format!("{}!", "a".repeat(40));
        let start = std::time::Instant::now();
        for rule in ["{/^(a+)+$/ bad}", "{!/^(a+)+$/ bad}"] {
            let (answer, lines) = ask(&format!("pcre:{{{rule}}}"), &text);
            assert_eq!(answer, None);
            assert_eq!(lines, [format!("pcre map {{{rule}}}, line 1: match limit exceeded")]);
        }
        assert!(start.elapsed().as_secs() < 5);
        assert_eq!(ask("pcre:{{/^(a|b)*$/ long}}", &"a".repeat(100_000)).0.as_deref(), Some("long"));
    }
}
