//! Quoted-printable (RFC 2045 §6.7), one output line at a time.

/// Longer than this, the line is broken before the next character, so that with `=XX=` it stays within 76.
const WIDTH: usize = 72;

/// Encodes text lines. Pieces of a long line may come one by one.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    line: Vec<u8>,
    /// A blank or tab that is written as it is unless the line ends after it.
    blank: Option<u8>,
}

impl Encoder {
    /// Encodes a line, or a piece of one (`whole` is false); each finished line goes to `out`.
    pub fn text<E>(&mut self, text: &[u8], whole: bool, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        for &c in text {
            if let Some(blank) = self.blank.take() {
                self.room(&mut out)?;
                self.line.push(blank);
            }
            match c {
                b' ' | b'\t' => self.blank = Some(c),
                b'!'..=b'~' if c != b'=' => {
                    self.room(&mut out)?;
                    self.line.push(c);
                }
                _ => self.escape(c, &mut out)?,
            }
        }
        if whole {
            self.flush(out)?;
        }
        Ok(())
    }

    /// Ends the line.
    pub fn flush<E>(&mut self, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if let Some(blank) = self.blank.take() {
            self.escape(blank, &mut out)?;
        }
        out(&self.line)?;
        self.line.clear();
        Ok(())
    }

    /// Whether a line has been begun.
    pub fn is_open(&self) -> bool {
        !self.line.is_empty() || self.blank.is_some()
    }

    fn escape<E>(&mut self, c: u8, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        self.room(out)?;
        self.line.extend([b'=', HEX[usize::from(c >> 4)], HEX[usize::from(c & 15)]]);
        Ok(())
    }

    /// Breaks the line if it is full.
    fn room<E>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.line.len() > WIDTH {
            self.line.push(b'=');
            out(&self.line)?;
            self.line.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(text: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut keep = |line: &[u8]| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok::<_, ()>(())
        };
        Encoder::default().text(text, true, &mut keep).expect("cannot fail");
        lines
    }

    /// As Postfix 3.7 sent these to a server without 8BITMIME.
    #[test]
    fn as_postfix() {
        assert_eq!(encode("é = x".as_bytes()), ["=C3=A9 =3D x"]);
        assert_eq!(encode(b"tab\t"), ["tab=09"]);
        assert_eq!(encode(b"blank "), ["blank=20"]);
        assert_eq!(encode(b"\x01\x7f\x0b"), ["=01=7F=0B"]);
        let a = |n: usize| "a".repeat(n);
        assert_eq!(encode(format!("{}é", a(71)).as_bytes()), [format!("{}=C3=", a(71)), "=A9".into()]);
        assert_eq!(encode(format!("{}é", a(72)).as_bytes()), [format!("{}=C3=", a(72)), "=A9".into()]);
        assert_eq!(encode(format!("{}é", a(73)).as_bytes()), [format!("{}=", a(73)), "=C3=A9".into()]);
        assert_eq!(encode(a(75).as_bytes()), [format!("{}=", a(73)), "aa".into()]);
        assert_eq!(encode(format!("{} ", a(72)).as_bytes()), [format!("{}=20", a(72))]);
        assert_eq!(encode(format!("{} ", a(73)).as_bytes()), [format!("{}=", a(73)), "=20".into()]);
    }

    proptest! {
        /// What comes out is at most 76 printable characters wide, has no blank at its end, and decodes to what went in.
        #[test]
        fn decodes_again(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let lines = encode(&text);
            let mut decoded = Vec::new();
            for line in &lines {
                prop_assert!(line.len() <= 76 && !line.ends_with([' ', '\t']) && line.bytes().all(|c| matches!(c, b'\t' | b' '..=b'~')));
                let line = line.strip_suffix('=').unwrap_or(line);
                let mut bytes = line.bytes();
                while let Some(c) = bytes.next() {
                    decoded.push(match c {
                        b'=' => u8::from_str_radix(&bytes.by_ref().take(2).map(char::from).collect::<String>(), 16).expect("hex"),
                        c => c,
                    });
                }
            }
            prop_assert_eq!(decoded, text);
        }
    }
}
