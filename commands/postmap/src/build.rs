//! New tables from their source files, and entries from standard input.

use crate::options::Action;
use crate::{Failed, Place, Program, source};
use bstr::ByteSlice;
use posthaste_config::system_reason;
use posthaste_system::credentials::{Identity, as_user};
use posthaste_table::build::{Build, BuildFlags};
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Builds or extends each table of the command line.
pub fn build(place: &Place) -> Result<ExitCode, Failed> {
    for operand in &place.options.tables {
        let spec = place.spec(operand)?;
        let (kind, path) = spec.split_once(':').unwrap_or(("", &spec));
        let insert = place.options.action == Action::Insert;
        if kind == "proxy" && !insert {
            return Err(place.fail("can't create maps via the proxy service"));
        }
        let (name, mut file) = if insert {
            let input = std::io::stdin();
            let copy = rustix::io::dup(&input).map_err(|e| place.fail(&format!("stdin: {}", system_reason(&e.into()))))?;
            ("stdin", File::from(copy))
        } else {
            (path, File::open(path).map_err(|e| place.fail(&format!("open {path}: {}", system_reason(&e))))?)
        };
        let meta = file.metadata().map_err(|e| place.fail(&format!("fstat {name}: {}", system_reason(&e))))?;
        let mut bytes = Vec::new();
        match file.read_to_end(&mut bytes) {
            Ok(_) => {}
            // A folder has no lines, as for a C program.
            Err(_) if meta.is_dir() => {}
            Err(e) => return Err(place.fail(&format!("read {name}: {}", system_reason(&e)))),
        }
        let mode = match meta.is_file() && !place.options.default_mode {
            true => 0o600 | (meta.mode() & 0o044),
            false => 0o644,
        };
        // A source file that is not root's may be anyone's work, so the table is made with its owner's rights.
        let owner = Identity { uid: meta.uid(), gid: meta.gid() };
        let root = Identity::effective().uid == 0;
        if root && !place.options.keep_root && (owner.uid, owner.gid) != (0, 0) {
            as_user(owner, || table(place, &spec, name, &bytes, mode))
                .map_err(|e| place.fail(&format!("cannot become uid {} gid {}: {}", owner.uid, owner.gid, system_reason(&e))))??;
        } else {
            table(place, &spec, name, &bytes, mode)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(place: &Place, spec: &str, name: &str, bytes: &[u8], mode: u32) -> Result<(), Failed> {
    let options = &place.options;
    let flags = BuildFlags { keep_case: options.keep_case, nulls: options.nulls, on_duplicate: options.on_duplicate, mode };
    let insert = options.action == Action::Insert;
    if spec.starts_with("fail:") {
        // A table to test with: it can be made, and refuses the first entry.
        let refuse = |_: &_, _: &_| Err(place.fail(&format!("table {spec}: write error: Application error")));
        return source::each(place, name, bytes, |_| (), refuse);
    }
    let begun = if insert { Build::update(spec, true, flags, &place.context) } else { Build::create(spec, flags, &place.context) };
    let mut build = begun.map_err(|fault| place.fail(&fault))?;
    let mut progress = Progress::new(spec, bytes.len());
    let filled = source::each(place, name, bytes, |done| progress.show(done), |key, value| build.put(key, value));
    progress.end();
    if let Err(fault) = filled {
        build.discard();
        return Err(place.fail(&fault));
    }
    if place.program == Program::Postalias {
        yellow_pages(place, &mut build, insert).map_err(|fault| place.fail(&fault))?;
    }
    build.finish().map_err(|fault| place.fail(&fault))
}

/// What alias tables hold besides for NIS (and for Sendmail): a mark that the table is complete, when it was made, and where.
fn yellow_pages(place: &Place, build: &mut Build, insert: bool) -> Result<(), String> {
    if insert {
        // Of the table as it was.
        build.delete(b"@".as_bstr());
    }
    build.put(b"@".as_bstr(), b"@".as_bstr())?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    build.put_raw(b"YP_LAST_MODIFIED", now.to_string().as_bytes(), insert)?;
    let host = place.config.text("myhostname").map_err(|e| e.to_string())?;
    build.put_raw(b"YP_MASTER_NAME", host.as_bytes(), insert)
}

/// Shows on a terminal how far a long build has come.
struct Progress<'a> {
    spec: &'a str,
    total: usize,
    start: Instant,
    shown: bool,
    terminal: bool,
}

impl Progress<'_> {
    fn new(spec: &str, total: usize) -> Progress<'_> {
        Progress { spec, total, start: Instant::now(), shown: false, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, done: usize) {
        if self.terminal && self.start.elapsed() > Duration::from_millis(500) {
            self.shown = true;
            let percent = done * 100 / self.total.max(1);
            let bar = "#".repeat(percent / 4);
            let _ = write!(std::io::stderr(), "\r{} [{bar:25}] {percent}%", self.spec);
        }
    }

    fn end(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
