//! postlogd(8): writes `maillog_file` on behalf of processes that may not open it.
//!
//! A datagram on `public/postlog` is one line, complete but for its end. Lines that are waiting together are written together.

#![forbid(unsafe_code)]

use posthaste_service::{Event, Fatal, Plain, Spec, run_plain};
use rustix::net::{RecvFlags, recv};
use std::ffi::OsString;
use std::process::ExitCode;

/// Longer lines are cut; ours are shorter.
const LINE_LIMIT: usize = 16 * 1024;
/// Written at one time.
const BATCH: usize = 64 * 1024;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let spec = Spec { program: "postlogd", privileged: false, connects: false, executes: false };
    run_plain(spec, arguments, |_| Ok(()), |(), plain| serve(plain))
}

fn serve(mut plain: Plain) -> Result<(), Fatal> {
    let mut batch = Vec::new();
    loop {
        let event = plain.wait(plain.max_idle);
        // Also before the process goes: who has sent a line does not send it again.
        for socket in &plain.sockets {
            let mut line = [0; LINE_LIMIT];
            while let Ok((n, _)) = recv(socket, &mut line, RecvFlags::DONTWAIT) {
                append(&mut batch, &line[..n]);
                if batch.len() >= BATCH {
                    posthaste_log::relay(&batch);
                    batch.clear();
                }
            }
        }
        if !batch.is_empty() {
            posthaste_log::relay(&batch);
            batch.clear();
        }
        if !matches!(event, Event::Socket(_)) {
            return Ok(());
        }
    }
}

/// Adds a line. Any member of the set-gid group can send one: it stays one line, and cannot steer a terminal.
fn append(batch: &mut Vec<u8>, line: &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    batch.extend(line.iter().map(|&byte| if byte < b' ' || byte == 0x7f { b'?' } else { byte }));
    batch.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-DAEMON-26: one datagram is one line, whatever is in it.
    #[test]
    fn a_line_stays_a_line() {
        let mut batch = Vec::new();
        append(&mut batch, b"Nov 21 06:00:00 mail postfix/postdrop[1]: a\nNov 21 forged\x1b[2J");
        append(&mut batch, "p\u{f6}st\n".as_bytes());
        assert_eq!(batch, "Nov 21 06:00:00 mail postfix/postdrop[1]: a?Nov 21 forged?[2J\np\u{f6}st\n".as_bytes());
    }
}
