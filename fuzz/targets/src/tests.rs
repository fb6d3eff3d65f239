//! Each target over its corpus and over mutations of it: always the same, so that a failure comes again.

use super::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Mutations of each target.
const MUTATIONS: usize = 4000;
/// And of the one in which a few bytes can lead back ten thousand times.
const MUTATIONS_WITH_POINTERS: usize = 200;
/// Inputs are no longer than this.
const LONGEST: usize = 4096;

/// What means something to one parser or another.
const WORDS: [&str; 40] = [
    "\r\n",
    "\n",
    "\r",
    ".\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "\r\n.\n",
    "\n.\r\n",
    "\r.\r",
    "\0",
    "\u{7f}",
    "\u{fc}",
    "MAIL FROM:<",
    "RCPT TO:<",
    "DATA\r\n",
    "BDAT 5\r\n",
    "BDAT 0 LAST\r\n",
    "BDAT 99999999999999999999\r\n",
    "RSET\r\n",
    "EHLO x\r\n",
    "XCLIENT ADDR=1.2.3.4 NAME=x\r\n",
    "XFORWARD NAME=",
    "QUIT\r\n",
    "bad",
    "gone",
    "hang",
    "<>",
    "@",
    "\"",
    "\\",
    "(",
    ")",
    ",",
    ":",
    "0",
    "9",
    "=",
    "+0A",
    "Content-Type: multipart/mixed; boundary=x\n",
    "--x",
];

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or(0)
    }

    /// A part of something that has `length` bytes.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..from + self.below((length - from).min(40) + 1)
    }
}

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
            2 => {
                let range = random.range(input.len());
                input.drain(range);
            }
            3 => {
                let copy = input[random.range(input.len())].to_vec();
                input.splice(at..at, copy);
            }
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let copy = other[random.range(other.len())].to_vec();
                input.splice(at..at, copy);
            }
            5 => {
                let copy = input[random.range(input.len())].repeat(random.below(30));
                input.splice(at..at, copy);
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                input.splice(at..at, word.bytes());
            }
        }
    }
    input.truncate(LONGEST);
    input
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).expect("each target has a corpus").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn run(name: &str) {
    // A length that is believed before its bytes come shall fail here.
    let limit = rustix::process::Rlimit { current: Some(2 << 30), maximum: None };
    let _ = rustix::process::setrlimit(rustix::process::Resource::As, limit);
    let target: Target = TARGETS.iter().find(|(known, _)| *known == name).unwrap().1;
    let corpus = corpus(name);
    let count = if name == "queue_envelope" { MUTATIONS_WITH_POINTERS } else { MUTATIONS };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mutated: Vec<_> = (0..count).map(|_| mutate(&mut random, &corpus)).collect();
    for input in corpus.iter().chain(&mutated) {
        if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
            panic!("{name} fails on \"{}\"", input.escape_ascii());
        }
    }
}

macro_rules! over_the_corpus {
    ($($name:ident),*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn all_are_here() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

over_the_corpus!(
    address,
    alias_lines,
    client_replies,
    configuration,
    dns_reply,
    haproxy,
    header_and_mime,
    ipc_frames,
    maildrop,
    outbound_content,
    policy_and_actions,
    qmqp,
    queue_envelope,
    queue_file,
    recipient_log,
    smtp_server,
    table_file
);
