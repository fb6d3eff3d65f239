//! The message on its way: CR LF line ends, a dot before lines that begin with one (RFC 5321 §4.5.2), and no line longer than the limit.

/// Writes lines of a message in the form of DATA.
#[derive(Clone, Copy, Debug)]
pub struct BodyWriter {
    limit: usize,
    /// Bytes of the current line that are written.
    column: usize,
    in_line: bool,
    broken: bool,
}

impl BodyWriter {
    /// `limit` is `smtp_line_length_limit`: longer lines are broken by CR LF and a blank; 0 means no limit, 1 is taken for 2.
    pub fn new(limit: usize) -> BodyWriter {
        BodyWriter { limit: if limit == 0 { usize::MAX } else { limit.max(2) }, column: 0, in_line: false, broken: false }
    }

    /// A whole line, or the last piece of one, without its end.
    pub fn line(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.piece(text, out);
        self.end_line(out);
    }

    /// A piece of a line that goes on.
    pub fn piece(&mut self, mut text: &[u8], out: &mut Vec<u8>) {
        // An empty piece does not begin a line: the dot may come with the next one.
        if !self.in_line && !text.is_empty() {
            self.in_line = true;
            if text.first() == Some(&b'.') {
                out.push(b'.');
            }
        }
        while text.len() > self.limit - self.column {
            let (head, tail) = text.split_at(self.limit - self.column);
            out.extend_from_slice(head);
            out.extend_from_slice(b"\r\n ");
            // The blank counts.
            self.column = 1;
            self.broken = true;
            text = tail;
        }
        out.extend_from_slice(text);
        self.column += text.len();
    }

    /// The end of the line.
    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.column = 0;
        self.in_line = false;
    }

    /// Whether some line had to be broken.
    pub fn has_broken_lines(&self) -> bool {
        self.broken
    }

    /// The end of the message: closes a line that lacks its end. The final dot is the transaction's.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.in_line {
            self.end_line(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(limit: usize, lines: &[&str]) -> String {
        let (mut writer, mut out) = (BodyWriter::new(limit), Vec::new());
        lines.iter().for_each(|line| writer.line(line.as_bytes(), &mut out));
        writer.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dots_are_doubled_at_the_start_of_lines() {
        assert_eq!(write(0, &[".", "..a", "a.", "", ".leading dot"]), "..\r\n...a\r\na.\r\n\r\n..leading dot\r\n");
    }

    /// As observed: the blank of a broken line counts, the doubled dot does not.
    #[test]
    fn long_lines_are_broken() {
        assert_eq!(
            write(5, &["12345", "123456", "123456789012", "......"]),
            "12345\r\n12345\r\n 6\r\n12345\r\n 6789\r\n 012\r\n......\r\n .\r\n"
        );
    }

    #[test]
    fn a_line_in_pieces_is_one_line() {
        let (mut writer, mut out) = (BodyWriter::new(0), Vec::new());
        writer.piece(b"ab", &mut out);
        writer.piece(b".c", &mut out);
        writer.line(b".d", &mut out);
        writer.piece(b".e", &mut out);
        writer.finish(&mut out);
        assert_eq!(out, b"ab.c.d\r\n..e\r\n");
    }

    /// A dot that comes in the second piece of a line, after an empty first one, is doubled too: it would end the message at the next server.
    #[test]
    fn empty_pieces_hide_no_dot() {
        let (mut writer, mut out) = (BodyWriter::new(0), Vec::new());
        writer.piece(b"", &mut out);
        writer.line(b".", &mut out);
        writer.line(b"QUIT", &mut out);
        assert_eq!(out, b"..\r\nQUIT\r\n");
    }

    proptest::proptest! {
        /// Undoing what a server undoes gives the text back: nothing is lost whatever the pieces.
        #[test]
        fn nothing_is_lost(lines in proptest::collection::vec("[.a ]{0,30}", 0..8), limit in 5usize..12) {
            let refs: Vec<&str> = lines.iter().map(String::as_str).collect();
            let sent = write(limit, &refs);
            for line in sent.split_inclusive("\r\n") {
                proptest::prop_assert!(line.len() <= limit + 3, "{line:?}");
            }
            // Stuffing undone, then all line ends and blanks taken away: a break cannot be told from a line that begins with a blank.
            let received: String = sent.split("\r\n").map(|l| l.strip_prefix('.').unwrap_or(l)).collect::<String>().replace(' ', "");
            proptest::prop_assert_eq!(lines.concat().replace(' ', ""), received);
        }
    }
}
