//! postcat(1): shows queue files.

mod show;

pub use show::{Options, ShowError, show};

use posthaste_cli::{Getopt, Manual, Opt};
use posthaste_config::{Config, system_reason};
use posthaste_log::{Logger, fatal, warn};
use posthaste_queue::disk::{Access, DiskFile, ReadAt};
use posthaste_queue::{Queue, QueueId, QueueName};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The manual.
pub const MANUAL: Manual = Manual {
    name: "postcat",
    section: 1,
    summary: "show Postfix queue file contents",
    synopsis: &["postcat [-bdehnoqrv] [-c config_dir] [-s offset] [file...]"],
    description: "Prints the contents of the named queue files in human-readable form; without files, of standard input.\n\n\
                  By default envelope and message content are shown, as with -beh. For the message content only, use -bh.",
    options: &[
        Opt { flag: "-b", argument: "", text: "Show the body: from the first line that is no header to the end of the message." },
        Opt { flag: "-c", argument: "config_dir", text: "The directory of main.cf." },
        Opt { flag: "-d", argument: "", text: "Print the decimal type of each record." },
        Opt { flag: "-e", argument: "", text: "Show the envelope." },
        Opt { flag: "-h", argument: "", text: "Show the headers of the message, up to the first line that is no header." },
        Opt { flag: "-o", argument: "", text: "Print the queue file offset of each record." },
        Opt { flag: "-q", argument: "", text: "The files are queue ids, to be searched in the queue." },
        Opt { flag: "-r", argument: "", text: "With -v: print records in file order and do not follow pointer records." },
        Opt { flag: "-s", argument: "offset", text: "Begin at this offset in the file." },
        Opt { flag: "-v", argument: "", text: "Show all records by name, also pointers and padding." },
    ],
    sections: &[
        ("EXIT STATUS", "0, or 1 when a file could not be read."),
        ("ENVIRONMENT", "MAIL_CONFIG: the directory of main.cf."),
        ("SEE ALSO", "postsuper(1), postqueue(1), postconf(5)"),
    ],
};

const USAGE: &str = "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] [-h (header text)] \
                     [-q (access queue)] [-v] [file(s)...]";

/// Where `-q` looks, in this order.
const QUEUES: [QueueName; 6] =
    [QueueName::Maildrop, QueueName::Hold, QueueName::Incoming, QueueName::Active, QueueName::Deferred, QueueName::Saved];

/// Runs the command; `arguments[0]` is the name it was called by.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    // Problems go to standard error only: nothing that it finds concerns the mail system.
    posthaste_log::early(false, true);
    let log = Logger::new("postcat");
    match run(arguments, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            fatal!(log, "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<OsString>, log: &Logger) -> Result<(), String> {
    if arguments.iter().skip(1).any(|argument| argument == "--help") {
        return write_all(MANUAL.help().as_bytes());
    }
    let (mut options, mut directory, mut by_id) = (Options::default(), None, false);
    let mut getopt = Getopt::new(arguments, "bc:dehnoqrs:v");
    for option in getopt.by_ref() {
        match option {
            Ok((b'b', _)) => options.body = true,
            Ok((b'c', value)) => directory = value.map(PathBuf::from),
            Ok((b'd', _)) => options.decimal = true,
            Ok((b'e', _)) => options.envelope = true,
            Ok((b'h', _)) => options.header = true,
            // In the synopsis of every version, with no effect in any.
            Ok((b'n', _)) => (),
            Ok((b'o', _)) => options.offsets = true,
            Ok((b'q', _)) => by_id = true,
            Ok((b'r', _)) => options.raw = true,
            Ok((b's', value)) => {
                let text = value.unwrap_or_default();
                let text = text.to_string_lossy();
                options.skip = Some(text.parse().map_err(|_| format!("bad offset: {text}"))?);
            }
            Ok((_, _)) => options.verbose = true,
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                return Err(USAGE.into());
            }
        }
    }
    if !(options.body || options.envelope || options.header) {
        (options.body, options.envelope, options.header) = (true, true, true);
    }
    let directory = posthaste_config::directory::config_directory(directory.as_deref());
    let config = Config::open(&directory).map_err(|error| error.to_string())?.with_identity("postcat", "");
    let files = getopt.operands();
    let mut out = BufWriter::new(io::stdout().lock());
    if by_id {
        let queue = Queue::open(&config).map_err(|error| error.to_string())?;
        for name in &files {
            let (path, file) = find(&queue, &name.to_string_lossy())?;
            show_one(&path.display().to_string(), &file, &options, &mut out, log)?;
        }
    } else if files.is_empty() {
        show_one("stdin", &stdin(options.skip.unwrap_or(0))?, &options, &mut out, log)?;
    } else {
        for name in files {
            let path = Path::new(&name);
            let file = File::open(path).map_err(|error| format!("open {}: {}", path.display(), system_reason(&error)))?;
            if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                warn!(log, "close {}: Is a directory", path.display());
                continue;
            }
            show_one(&path.display().to_string(), &Plain(file), &options, &mut out, log)?;
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("write error: {}", system_reason(&error))),
        _ => Ok(()),
    }
}

fn show_one(name: &str, file: &dyn ReadAt, options: &Options, out: &mut dyn Write, log: &Logger) -> Result<(), String> {
    match show(name, file, options, out, &mut |text| warn!(log, "{text}")) {
        Ok(()) => Ok(()),
        // Whoever reads our output has seen enough.
        Err(ShowError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            let _ = out.flush();
            if let ShowError::Record(reason) = &error {
                warn!(log, "{name}: {reason}");
            }
            Err(error.to_string())
        }
    }
}

fn find(queue: &Queue, name: &str) -> Result<(PathBuf, Box<dyn DiskFile>), String> {
    let id = QueueId::parse(name).ok_or_else(|| format!("bad mail queue ID: {name}"))?;
    for folder in QUEUES {
        let path = queue.path(folder, &id);
        match queue.disk.open(&path, Access::Read) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => return Err(format!("open queue file {}: {}", path.display(), system_reason(&error))),
        }
    }
    Err(format!("open queue file {name}: No such file or directory"))
}

/// A file that was named, wherever it is.
struct Plain(File);

impl ReadAt for Plain {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

/// Standard input: a file in place; a pipe, which cannot go back where a pointer says, in memory. `skip` bytes of it have to be there.
fn stdin(skip: u64) -> Result<Box<dyn ReadAt>, String> {
    let input = io::stdin();
    let enough = |size: u64| if size < skip { Err(format!("stdin: skip {skip} bytes failed after {size}")) } else { Ok(()) };
    if rustix::fs::seek(&input, rustix::fs::SeekFrom::Current(0)).is_ok() {
        let file = File::from(rustix::io::dup(&input).map_err(|error| format!("standard input: {error}"))?);
        enough(file.metadata().map_or(u64::MAX, |meta| if meta.is_file() { meta.len() } else { u64::MAX }))?;
        return Ok(Box::new(Plain(file)));
    }
    let mut bytes = Vec::new();
    input.lock().read_to_end(&mut bytes).map_err(|error| format!("read standard input: {}", system_reason(&error)))?;
    enough(bytes.len() as u64)?;
    Ok(Box::new(bytes))
}

fn write_all(text: &[u8]) -> Result<(), String> {
    io::stdout().write_all(text).map_err(|error| format!("write error: {}", system_reason(&error)))
}
