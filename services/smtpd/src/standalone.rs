//! `smtpd -S`: a session on standard input and output, for `sendmail -bs`.
//!
//! It runs with the rights of its caller: no access rules, no tables of the administrator's, no queue. A message goes to postdrop(1), and pickup(8)
//! treats it as any other that was submitted on this host. One client, so plain blocking input and output.

use crate::records::{self, Records};
use crate::{date, keywords, mail, settings};
use bstr::{BStr, ByteSlice};
use posthaste_config::{Config, system_reason};
use posthaste_ipc::postdrop::{Ended, PostDrop, status};
use posthaste_log::{Level, Logger, info, warn};
use posthaste_queue::RecordType;
use posthaste_service::{Fatal, Setup, Spec};
use posthaste_smtp_protocol::server::{
    self, Check, Client, Finished, Lost, Message, Recipient, Refusal, Rules, Session, Step, Verdict, notice, received,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// Whether the arguments ask for it.
pub fn wanted(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).any(|argument| argument == "-S")
}

/// Serves the session to its end.
pub fn main(spec: Spec, arguments: Vec<OsString>) -> ExitCode {
    let setup = match posthaste_service::stand_alone(spec, arguments) {
        Ok(setup) => setup,
        Err(status) => return status,
    };
    match Task::new(&setup) {
        Ok(mut task) => {
            task.run();
            ExitCode::SUCCESS
        }
        Err(error) => {
            posthaste_log::fatal!(setup.log, "{}", error.0);
            ExitCode::FAILURE
        }
    }
}

/// A message on its way to postdrop. Dropped, it is cancelled.
struct Submission {
    drop: PostDrop,
    /// No line of the client's content has come yet.
    first_line: bool,
}

impl Records for Submission {
    fn record(&mut self, kind: RecordType, payload: &BStr) {
        self.drop.record(kind, payload);
    }

    fn attribute(&mut self, name: &str, value: &[u8]) {
        self.drop.attribute(name, value);
    }
}

impl Message for Submission {
    fn recipient(&mut self, recipient: &Recipient) {
        records::recipient(self, recipient);
    }

    fn line(&mut self, text: &BStr, whole: bool) {
        let first = std::mem::take(&mut self.first_line);
        records::line(self, text, whole, first);
    }
}

struct Task {
    session: Session<Submission>,
    log: Logger,
    timeout: Duration,
    dates: date::Dates,
    /// Where postdrop is.
    commands: PathBuf,
    /// Where main.cf is.
    directory: PathBuf,
    verbose: u32,
    input_ended: bool,
}

impl Task {
    fn new(setup: &Setup) -> Result<Task, Fatal> {
        let (config, log): (&Config, _) = (&setup.config, &setup.log);
        let protocol = settings::protocol(config, log)?;
        // Nobody reads a transcript: the postmaster is not told of what a local user types. And a file may be the client: it does not wait.
        let protocol = server::Settings { history: None, early_input: server::EarlyInput::Ignore, relay: false, ..protocol };
        // Line ends on a pipe are those of the system, so the rules about bare newlines cannot hold.
        let rules = Rules { discard: keywords::general(config, log)?, bare_newline_excluded: true, ..Rules::default() };
        Ok(Task {
            session: Session::new(Rc::new(protocol), Client::local(), rules),
            log: log.clone(),
            timeout: config.time("smtpd_timeout")?,
            dates: date::Dates::default(),
            commands: config.text("command_directory")?.into(),
            directory: config.directory().to_owned(),
            verbose: setup.verbose,
            input_ended: false,
        })
    }

    fn run(&mut self) {
        let lost = loop {
            let step = self.session.step();
            self.log();
            match step {
                Step::Read => {
                    if let Err(lost) = self.write().and_then(|()| self.read()) {
                        break Some(lost);
                    }
                }
                Step::Pause(time) => std::thread::sleep(time),
                Step::Check(check) => self.check(check),
                Step::Open => self.open(),
                // What this asks for was not turned on.
                Step::Reintroduced | Step::Relay => {}
                Step::StartContent => self.start_content(),
                Step::Finish => {
                    let finished = self.finish();
                    self.session.finished(finished);
                }
                Step::Close => break self.write().err(),
            }
        };
        // The end of the input is how many a program ends such a session: not worth a line.
        if let Some(Lost::Timeout) = lost {
            self.session.lost(Lost::Timeout);
            let _ = self.write();
        }
        self.session.disconnect();
        self.log();
    }

    fn log(&mut self) {
        for (level, line) in self.session.take_log() {
            let level = match level {
                server::Level::Info => Level::Info,
                server::Level::Warning => Level::Warning,
            };
            self.log.log(level, format_args!("{line}"));
        }
    }

    /// Restrictions are not for local users; pickup and cleanup do not have them either.
    fn check(&mut self, check: Check) {
        let verdict = match check {
            Check::Etrn => {
                warn!(self.log, "do not use ETRN in \"sendmail -bs\" mode");
                Verdict::Reply("458 Unable to queue messages".into())
            }
            _ => Verdict::Accept,
        };
        self.session.decide(verdict);
    }

    fn open(&mut self) {
        let started = PostDrop::start(&self.commands, &self.directory, self.verbose).and_then(|mut drop| drop.id().map(|id| (drop, id)));
        let (drop, id) = match started {
            Ok(started) => started,
            Err(error) => {
                warn!(self.log, "{}/postdrop -r: {}", self.commands.display(), system_reason(&error));
                return self.session.opened(Err(mail::write_refusal()));
            }
        };
        let mut submission = Submission { drop, first_line: true };
        info!(self.log, "{id}: {}", self.session.client_line());
        if let Some(transaction) = self.session.transaction() {
            // ENVID and RET are lost here, as in Postfix.
            records::sender(&mut submission, &transaction.sender, &transaction.parameters);
        }
        self.session.opened(Ok((submission, &id)));
    }

    fn start_content(&mut self) {
        let lines = received(&self.session, &[], &self.dates.rfc5322(SystemTime::now()));
        let Some(submission) = self.session.transaction_mut().and_then(|transaction| transaction.message.as_mut()) else { return };
        submission.record(RecordType::MESSAGE, BStr::new(b""));
        for line in &lines {
            submission.record(RecordType::NORMAL, line.as_bstr());
        }
    }

    fn finish(&mut self) -> Finished {
        let submission = self.session.transaction_mut().and_then(|transaction| transaction.message.take());
        let Some(mut submission) = submission else { return Finished::Refused(mail::write_refusal()) };
        submission.record(RecordType::EXTRACTED, BStr::new(b""));
        submission.record(RecordType::END, BStr::new(b""));
        match submission.drop.finish() {
            Ok(Ended { status: status::STORED, broken: false, .. }) => Finished::Queued,
            Ok(ended) => Finished::Refused(refusal(&ended)),
            Err(error) => {
                warn!(self.log, "postdrop: {}", system_reason(&error));
                Finished::Refused(mail::write_refusal())
            }
        }
    }

    /// Sends the replies.
    fn write(&mut self) -> Result<(), Lost> {
        let output = self.session.take_output();
        let mut stdout = io::stdout().lock();
        stdout.write_all(&output).and_then(|()| stdout.flush()).map_err(|_| Lost::Connection)
    }

    /// Waits for input, at most `smtpd_timeout`.
    fn read(&mut self) -> Result<(), Lost> {
        if self.input_ended {
            return Err(Lost::Connection);
        }
        let until = Instant::now() + self.timeout;
        let stdin = io::stdin();
        loop {
            let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).ok();
            match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], left.as_ref()) {
                Ok(0) => return Err(Lost::Timeout),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(Lost::Connection),
            }
        }
        let input = self.session.input();
        let had = input.len();
        let mut buffer = [0; 8192];
        match rustix::io::read(&stdin, &mut buffer) {
            // A last line without line end counts.
            Ok(0) if had > 0 => {
                self.input_ended = true;
                input.push(b'\n');
                Ok(())
            }
            Ok(0) => Err(Lost::Connection),
            Ok(count) => {
                input.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(_) => Err(Lost::Connection),
        }
    }
}

/// What the client hears when postdrop did not store the message.
fn refusal(ended: &Ended) -> Refusal {
    let (code, dsn, text, class) = match ended.status {
        status::BAD => (451, "4.3.0", "internal protocol error", notice::SOFTWARE),
        status::TOO_LARGE => (552, "5.3.4", "message file too big", notice::POLICY),
        status::REFUSED => (550, "5.7.1", "sender not allowed", notice::POLICY),
        _ => (451, "4.3.0", "queue file write error", notice::RESOURCE),
    };
    let text = if ended.reason.is_empty() { text } else { &ended.reason };
    Refusal { reply: format!("{code} {dsn} Error: {text}"), class, log: false }
}
