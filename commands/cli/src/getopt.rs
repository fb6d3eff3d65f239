//! Options as getopt(3) of the GNU C library takes them, which is what Postfix's commands use: options and operands in any order,
//! `-abc` is `-a -b -c`, an argument is joined (`-cDIR`) or the next word (`-c DIR`), `--` ends the options.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Takes options off a command line one by one; what is left are the operands.
///
/// ```
/// use posthaste_cli::Getopt;
/// let words = ["postsuper", "-v", "-dALL", "deferred"].map(Into::into);
/// let mut options = Getopt::new(words.into(), "d:v");
/// assert_eq!(options.next(), Some(Ok((b'v', None))));
/// assert_eq!(options.next(), Some(Ok((b'd', Some("ALL".into())))));
/// assert_eq!(options.next(), None);
/// assert_eq!(options.operands(), ["deferred"]);
/// ```
#[derive(Debug)]
pub struct Getopt {
    program: String,
    options: &'static [u8],
    words: VecDeque<OsString>,
    /// What is left of a word of several options.
    cluster: Vec<u8>,
    operands: Vec<OsString>,
}

/// A bad option; `Display` is the line that getopt(3) prints. [`Getopt::next`] has not printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadOption(String);

impl std::fmt::Display for BadOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Getopt {
    /// `arguments` with the program's name in front; `options` as for getopt(3): letters, with `:` after those that take an argument.
    pub fn new(arguments: Vec<OsString>, options: &'static str) -> Getopt {
        let mut words = VecDeque::from(arguments);
        let program = words.pop_front().unwrap_or_default().to_string_lossy().into_owned();
        Getopt { program, options: options.as_bytes(), words, cluster: Vec::new(), operands: Vec::new() }
    }

    /// The operands; complete once [`Getopt::next`] has given `None`.
    pub fn operands(self) -> Vec<OsString> {
        self.operands
    }

    fn bad(&self, text: &str, option: u8) -> BadOption {
        BadOption(format!("{}: {text} -- '{}'", self.program, char::from(option)))
    }
}

impl Iterator for Getopt {
    /// The letter and its argument.
    type Item = Result<(u8, Option<OsString>), BadOption>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.cluster.is_empty() {
            let word = self.words.pop_front()?;
            if word == OsStr::new("--") {
                self.operands.extend(self.words.drain(..));
                return None;
            }
            match word.as_bytes() {
                [b'-', letters @ ..] if !letters.is_empty() => self.cluster = letters.to_vec(),
                _ => self.operands.push(word),
            }
        }
        let option = self.cluster.remove(0);
        let found = self.options.iter().position(|&c| c == option && c != b':');
        let Some(at) = found else { return Some(Err(self.bad("invalid option", option))) };
        if self.options.get(at + 1) != Some(&b':') {
            return Some(Ok((option, None)));
        }
        if !self.cluster.is_empty() {
            return Some(Ok((option, Some(OsString::from_vec(std::mem::take(&mut self.cluster))))));
        }
        match self.words.pop_front() {
            Some(argument) => Some(Ok((option, Some(argument)))),
            None => Some(Err(self.bad("option requires an argument", option))),
        }
    }
}

/// The options before the first operand, and all words from that on: what follows a command is the command's own. `taking`: the options with
/// an argument.
pub fn until_operand(arguments: Vec<OsString>, taking: &[char]) -> (Vec<OsString>, Vec<OsString>) {
    let mut at = 1;
    while let Some(word) = arguments.get(at).and_then(|word| word.to_str()).filter(|word| word.starts_with('-') && word.len() > 1) {
        at += 1;
        if word == "--" {
            break;
        }
        // An argument is the next word, unless it is joined.
        let takes_next = word[1..].find(taking).is_some_and(|found| found + 2 == word.len());
        at += usize::from(takes_next);
    }
    let operands = arguments.get(at..).unwrap_or_default().to_vec();
    let mut options = arguments;
    options.truncate(at);
    (options, operands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> (Vec<String>, Vec<OsString>) {
        let mut getopt = Getopt::new(words.iter().map(Into::into).collect(), "ab:v");
        let mut seen = Vec::new();
        for item in getopt.by_ref() {
            seen.push(match item {
                Ok((letter, None)) => char::from(letter).to_string(),
                Ok((letter, Some(argument))) => format!("{}={}", char::from(letter), argument.to_string_lossy()),
                Err(error) => error.to_string(),
            });
        }
        (seen, getopt.operands())
    }

    #[test]
    fn as_getopt_of_glibc() {
        let (seen, operands) = all(&["p", "x", "-avb", "1", "-b2", "-", "-b", "-a", "y", "--", "-v"]);
        assert_eq!(seen, ["a", "v", "b=1", "b=2", "b=-a"]);
        assert_eq!(operands, ["x", "-", "y", "-v"]);
        let (seen, _) = all(&["/usr/sbin/p", "-xa:", "--help", "-b"]);
        assert_eq!(seen[..3], ["/usr/sbin/p: invalid option -- 'x'", "a", "/usr/sbin/p: invalid option -- ':'"]);
        assert_eq!(seen.last().unwrap(), "/usr/sbin/p: option requires an argument -- 'b'");
    }
}
