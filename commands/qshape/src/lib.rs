//! qshape(1): how the mail in the queue is distributed over domains and age.

mod table;

use posthaste_cli::{Getopt, Manual, Opt};
use posthaste_config::{Config, directory, system_reason};
use posthaste_queue::disk::ReadAt;
use posthaste_queue::read::RecordReader;
use posthaste_queue::record::SizeRecord;
use posthaste_queue::{QueueId, ReadError, RecordType};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use table::Table;

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "qshape",
    section: 1,
    summary: "print Postfix queue domain and age distribution",
    synopsis: &["qshape [-lps] [-b buckets] [-c config_dir] [-m subdomains] [-N messages] [-n domains] [-t minutes] [-w width] [queue...]"],
    description: "Shows how many recipients (with -s: messages by sender) each domain has in the named queues, and how long they have been there. \
                  Without arguments the incoming and active queues are meant; an absolute path names any directory of queue files.\n\n\
                  One line for each domain, that with most mail first. The column T has the total, each other column the mail that is younger than the \
                  minutes at its head and not younger than those of the column before it. A domain far ahead of the others is where the queue \
                  is stuck; many domains with a little each are a queue that works.",
    options: &[
        Opt {
            flag: "-b",
            argument: "buckets",
            text: "Number of age columns (default 10). Each goes to twice the age of the one before; the last has no limit.",
        },
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf." },
        Opt { flag: "-l", argument: "", text: "Age columns of the same width: multiples of the minutes of -t." },
        Opt {
            flag: "-m",
            argument: "subdomains",
            text: "With -p: a parent domain needs so many domains below it to be shown (default 5).",
        },
        Opt { flag: "-N", argument: "messages", text: "On a terminal: show what is known after each so many messages (default 1000)." },
        Opt { flag: "-n", argument: "domains", text: "On a terminal: show only so many domains (default 20)." },
        Opt {
            flag: "-p",
            argument: "",
            text: "Show also parent domains, as .example.com, with the sums of all domains below; no top-level domains.",
        },
        Opt { flag: "-s", argument: "", text: "Count messages by the sender's domain, not recipients." },
        Opt { flag: "-t", argument: "minutes", text: "The age limit of the first column (default 5)." },
        Opt {
            flag: "-w",
            argument: "width",
            text: "Width of the output (default and least 80). Names that do not fit lose their beginning, marked with +.",
        },
    ],
    sections: &[
        ("EXIT STATUS", "0, or 1 when options are wrong or main.cf cannot be read. A directory that cannot be read is told and left out."),
        ("SEE ALSO", "mailq(1), postqueue(1), postcat(1)"),
    ],
};

/// What to count, and how to show it.
struct Options {
    buckets: usize,
    directory: Option<PathBuf>,
    linear: bool,
    minimum: usize,
    batch: usize,
    top: usize,
    parents: bool,
    senders: bool,
    minutes: u64,
    width: usize,
}

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("qshape: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>) -> Result<(), String> {
    if arguments.iter().skip(1).any(|argument| argument == "--help") {
        return print(&MANUAL.help());
    }
    let mut options = Options {
        buckets: 10,
        directory: None,
        linear: false,
        minimum: 5,
        batch: 1000,
        top: 20,
        parents: false,
        senders: false,
        minutes: 5,
        width: 80,
    };
    let mut getopt = Getopt::new(arguments, "b:c:lm:N:n:pst:w:");
    for option in getopt.by_ref() {
        let (letter, value) = option.map_err(|bad| format!("{bad}\n{}", MANUAL.help()))?;
        // 0 stands for the default, as in Postfix.
        let number = |default: usize| match value.as_ref().and_then(|value| value.to_str()).map(str::parse::<u32>) {
            Some(Ok(0)) => Ok(default),
            Some(Ok(number)) => Ok(number as usize),
            _ => Err(format!("-{} needs a number", letter as char)),
        };
        match letter {
            b'b' => options.buckets = number(10)?,
            b'c' => options.directory = value.map(PathBuf::from),
            b'l' => options.linear = true,
            b'm' => options.minimum = number(5)?,
            b'N' => options.batch = number(1000)?,
            b'n' => options.top = number(20)?,
            b'p' => options.parents = true,
            b's' => options.senders = true,
            b't' => options.minutes = number(5)? as u64,
            _ => options.width = number(80)?.max(80),
        }
    }
    let config = Config::load(&directory::config_directory(options.directory.as_deref())).map_err(|error| error.to_string())?;
    let mut queues: Vec<PathBuf> = getopt.operands().into_iter().map(|name| config.queue_directory().join(name)).collect();
    if queues.is_empty() {
        queues = ["incoming", "active"].map(|name| config.queue_directory().join(name)).to_vec();
    }
    shape(&options, &queues)
}

/// Counts and prints.
fn shape(options: &Options, queues: &[PathBuf]) -> Result<(), String> {
    let mut table = Table::new(options.buckets, options.minutes * 60, options.linear);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let terminal = io::stdout().is_terminal();
    let mut messages = 0;
    let mut todo: Vec<PathBuf> = queues.to_vec();
    while let Some(folder) = todo.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                eprintln!("qshape: {}: {}", folder.display(), system_reason(&error));
                continue;
            }
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.len() == 1 {
                todo.push(entry.path());
            } else if QueueId::parse(name).is_some()
                // A file that has gone, is being written or is damaged is nothing to count.
                && let Ok(message) = Message::read(&entry.path())
            {
                let age = now.saturating_sub(message.arrival);
                if options.senders {
                    table.count(&domain(&message.sender), age);
                } else {
                    message.recipients.iter().for_each(|recipient| table.count(&domain(recipient), age));
                }
                messages += 1;
                if terminal && messages % options.batch == 0 {
                    print(&format!(
                        "\x1b[H\x1b[2J{}",
                        table.show(options.width, options.parents.then_some(options.minimum), Some(options.top))
                    ))?;
                }
            }
        }
    }
    print(&table.show(options.width, options.parents.then_some(options.minimum), terminal.then_some(options.top)))
}

/// What is counted of a queue file.
#[derive(Debug, Default, PartialEq)]
struct Message {
    arrival: u64,
    sender: Vec<u8>,
    /// Those that are not done.
    recipients: Vec<Vec<u8>>,
}

/// A file, read in place.
struct Plain(File);

impl ReadAt for Plain {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

impl Message {
    /// Of the envelope records before and after the content, which is skipped.
    fn read(path: &Path) -> Result<Message, ReadError> {
        let mut reader = RecordReader::new(Plain(File::open(path)?), 0);
        let mut message = Message::default();
        let mut after_content = None;
        loop {
            let record = reader.next_followed()?;
            match record.kind {
                RecordType::SIZE => {
                    after_content = SizeRecord::parse(record.payload).ok().map(|size| size.content_offset + size.content_length);
                }
                RecordType::TIME => {
                    let digits = record.payload.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
                    message.arrival = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
                }
                RecordType::SENDER => message.sender = record.payload.to_vec(),
                RecordType::RECIPIENT => message.recipients.push(record.payload.to_vec()),
                // In maildrop there is no size record: recipients come before the content, or are in it.
                RecordType::MESSAGE => match after_content {
                    Some(offset) => reader.seek(offset),
                    None => return Ok(message),
                },
                RecordType::END => return Ok(message),
                _ => {}
            }
        }
    }
}

/// The domain an address is counted under.
fn domain(address: &[u8]) -> String {
    if address.is_empty() {
        return "MAILER-DAEMON".into();
    }
    let at = address.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    // What stands there may be anything; a terminal shall get text.
    String::from_utf8_lossy(&address[at..]).to_lowercase().replace(char::is_control, "?")
}

fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(system_reason(&error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_queue::record::put_record;

    // S-CMD-32
    #[test]
    fn recipients_that_are_done_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ABCDEF12");
        let mut text = Vec::new();
        for (kind, payload) in [
            (RecordType::TIME, &b"1700000000 5"[..]),
            (RecordType::SENDER, b"s@a.test"),
            (RecordType::RECIPIENT, b"r@b.test"),
            (RecordType::DONE, b"d@b.test"),
            (RecordType::MESSAGE, b""),
        ] {
            put_record(&mut text, kind, payload);
        }
        std::fs::write(&path, &text).unwrap();
        let message = Message { arrival: 1_700_000_000, sender: b"s@a.test".to_vec(), recipients: vec![b"r@b.test".to_vec()] };
        assert_eq!(Message::read(&path).unwrap(), message);
        std::fs::write(&path, &text[..30]).unwrap();
        assert!(Message::read(&path).is_err(), "a file that is cut off");
    }

    #[test]
    fn domains_of_addresses() {
        for (address, expected) in
            [("", "MAILER-DAEMON"), ("a@B.Example", "b.example"), ("alone", "alone"), ("\"a@b\"@c", "c"), ("x@\x1b[2J", "?[2j")]
        {
            assert_eq!(domain(address.as_bytes()), expected);
        }
    }
}
