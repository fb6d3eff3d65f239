//! Which records a user may put into maildrop (`docs/queue-file-format.md`, section 10).

use bstr::ByteSlice;
use posthaste_queue::RecordType as T;
use posthaste_queue::record::attribute;

/// What to do with a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes into the file.
    Copy,
    /// It does not, with a warning.
    Skip(String),
    /// It ends the submission.
    Refuse(String),
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Segment {
    #[default]
    Envelope,
    Content,
    Extracted,
}

/// Follows the records of one message.
#[derive(Default)]
pub struct Filter {
    segment: Segment,
    sender: bool,
    recipient: bool,
}

impl Filter {
    /// Judges the next record.
    pub fn judge(&mut self, kind: T, payload: &[u8]) -> Verdict {
        let allowed: &[u8] = match self.segment {
            Segment::Envelope => b"MCFSRVAin",
            Segment::Content => b"XLN",
            Segment::Extracted => b"EAR",
        };
        if !allowed.contains(&kind.0) {
            return Verdict::Refuse(format!("unexpected record type: {}", kind.0));
        }
        // A line break would be a line of its own wherever this is printed: in a log file of recipients, in a header.
        if self.segment != Segment::Content && payload.iter().any(|c| matches!(c, b'\0' | b'\n' | b'\r')) {
            return Verdict::Refuse(format!("line break or null byte in record type: {}", kind.0));
        }
        match kind {
            T::MESSAGE => self.segment = Segment::Content,
            T::EXTRACTED => self.segment = Segment::Extracted,
            T::SENDER => self.sender = true,
            T::RECIPIENT => self.recipient = true,
            T::SIZE if !is_preliminary_size(payload) => return Verdict::Refuse("malformed size record".into()),
            T::ATTRIBUTE => return judge_attribute(payload),
            _ => (),
        }
        Verdict::Copy
    }

    /// Whether a sender and a recipient have been seen.
    pub fn is_complete(&self) -> bool {
        self.sender && self.recipient
    }
}

fn judge_attribute(payload: &[u8]) -> Verdict {
    let Some((name, value)) = attribute(payload) else {
        return Verdict::Skip(format!("ignoring malformed record: missing '=' after attribute name: {}", payload.as_bstr()));
    };
    let number = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    let fine = match name {
        b"encoding" => matches!(value, b"7bit" | b"8bit" | b""),
        b"rewrite_context" => matches!(value, b"local" | b"remote"),
        b"notify_flags" => number.is_some_and(|flags| flags & !15 == 0),
        b"ret_flags" => number.is_some_and(|flags| flags & !3 == 0),
        b"trace_flags" => matches!(number, Some(512 | 1024)),
        b"create_time" => number.is_some(),
        b"envelope_id" | b"dsn_orig_rcpt" => true,
        _ => false,
    };
    if fine { Verdict::Copy } else { Verdict::Skip(format!("ignoring attribute record: {}", payload.as_bstr())) }
}

/// What sendmail(1) sends to pass sender options on: all fields -1 but the sixth.
fn is_preliminary_size(payload: &[u8]) -> bool {
    let fields: Vec<_> = payload.split(|&c| c == b' ').filter(|field| !field.is_empty()).collect();
    let [derived @ .., options] = &fields[..] else { return false };
    derived.len() == 5 && derived.iter().all(|field| *field == b"-1") && options.to_str().is_ok_and(|text| text.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(records: &[(u8, &str)]) -> (Result<bool, String>, Vec<String>) {
        let (mut filter, mut warnings) = (Filter::default(), Vec::new());
        for (kind, payload) in records {
            match filter.judge(T(*kind), payload.as_bytes()) {
                Verdict::Copy => (),
                Verdict::Skip(text) => warnings.push(text),
                Verdict::Refuse(text) => return (Err(text), warnings),
            }
        }
        (Ok(filter.is_complete()), warnings)
    }

    const REST: [(u8, &str); 3] = [(b'M', ""), (b'X', ""), (b'E', "")];

    fn with(first: &[(u8, &str)]) -> (Result<bool, String>, Vec<String>) {
        run(&[first, &REST].concat())
    }

    // As observed of Postfix. S-CMD-12
    #[test]
    fn envelopes() {
        assert_eq!(with(&[(b'S', "a@b"), (b'R', "c@d")]), (Ok(true), vec![]));
        assert_eq!(with(&[(b'R', "c@d"), (b'S', "")]), (Ok(true), vec![]));
        assert_eq!(with(&[(b'S', "a@b")]), (Ok(false), vec![]));
        assert_eq!(with(&[]), (Ok(false), vec![]));
        assert_eq!(run(&[(b'S', "a"), (b'M', ""), (b'N', "x"), (b'L', "y"), (b'X', ""), (b'R', "c"), (b'E', "")]).0, Ok(true));
        for (kind, number) in [(b'T', 84), (b'p', 112), (b'K', 75), (b'N', 78), (b'E', 69), (b'D', 68), (b'O', 79), (b'>', 62)] {
            assert_eq!(with(&[(kind, "0")]).0, Err(format!("unexpected record type: {number}")));
        }
        assert_eq!(run(&[(b'M', ""), (b'M', "")]).0, Err("unexpected record type: 77".into()));
        assert_eq!(run(&[(b'M', ""), (b'X', ""), (b'S', "a")]).0, Err("unexpected record type: 83".into()));
    }

    #[test]
    fn attributes() {
        for good in [
            "encoding=8bit",
            "encoding=",
            "notify_flags=6",
            "ret_flags=1",
            "rewrite_context=remote",
            "trace_flags=512",
            "dsn_orig_rcpt=rfc822;x",
        ] {
            assert_eq!(with(&[(b'A', good)]).1, Vec::<String>::new(), "{good}");
        }
        for bad in
            ["foo=bar", "encoding=foob", "notify_flags=16", "notify_flags=-1", "trace_flags=256", "rewrite_context=x", "log_client_name=x"]
        {
            assert_eq!(with(&[(b'A', bad)]).1, [format!("ignoring attribute record: {bad}")]);
        }
        assert_eq!(with(&[(b'A', "foo")]).1, ["ignoring malformed record: missing '=' after attribute name: foo"]);
    }

    #[test]
    fn nothing_that_breaks_lines() {
        for bad in ["a\nb", "a\rb", "a\0b"] {
            assert_eq!(with(&[(b'R', bad)]).0, Err("line break or null byte in record type: 82".into()));
            assert_eq!(run(&[(b'M', ""), (b'N', bad), (b'X', "")]).0, Ok(false), "content may hold anything");
        }
    }

    #[test]
    fn size_records_only_with_sender_options() {
        let size = format!("{0:>15} {0:>15} {0:>15} {0:>15} {0:>15} {1:>15}", -1, 32);
        assert_eq!(with(&[(b'C', &size)]), (Ok(false), vec![]));
        for bad in ["", "a@b", "351 800 3 0 351 0", "-1 -1 -1 -1 -1", "-1 -1 -1 -1 -1 -1"] {
            assert_eq!(with(&[(b'C', bad)]).0, Err("malformed size record".into()), "{bad}");
        }
    }
}
