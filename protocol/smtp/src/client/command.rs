//! The commands of one message as bytes: XFORWARD, MAIL, RCPT.

use super::Features;
use super::features::Xforward;
use crate::xtext;
use bstr::{BStr, ByteSlice};

/// All commands of one message in one buffer.
#[derive(Debug, Default)]
pub struct Commands {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    pub(super) xforward: usize,
}

/// Parameters of MAIL.
#[derive(Clone, Copy, Debug, Default)]
pub struct MailParameters<'a> {
    /// Size of the message, for `SIZE=`; 0 when it is not known.
    pub size: u64,
    /// The content has (or may have) 8-bit bytes: `BODY=8BITMIME`; or its sender said that it has none: `BODY=7BIT`.
    pub eight_bit: Option<bool>,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `ENVID=`, not encoded; empty for none.
    pub envelope_id: &'a [u8],
    /// `RET=`: 1 FULL, 2 HDRS, 0 none.
    pub ret: u8,
    /// `REQUIRETLS`.
    pub requiretls: bool,
    /// `AUTH=<>` (`smtp_send_dummy_mail_auth`).
    pub dummy_auth: bool,
}

/// Parameters of RCPT.
#[derive(Clone, Copy, Debug, Default)]
pub struct RcptParameters<'a> {
    /// `type;address`, the address not encoded; empty for none.
    pub orcpt: &'a [u8],
    /// NOTIFY bits: 1 NEVER, 2 SUCCESS, 4 FAILURE, 8 DELAY.
    pub notify: u8,
}

impl Commands {
    /// Number of commands.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The `i`th command with its line end.
    pub(super) fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }

    pub(super) fn all(&self) -> &[u8] {
        &self.bytes
    }

    fn end(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
        self.ends.push(self.bytes.len());
    }

    fn address(&mut self, address: &[u8]) {
        // An address comes out of the queue file; a line end in it would become a command.
        self.bytes.extend(address.iter().copied().filter(|&c| c != b'\r' && c != b'\n' && c != 0));
    }

    /// An XFORWARD command; before MAIL.
    pub fn xforward(&mut self, command: &[u8]) {
        self.bytes.extend_from_slice(command);
        self.ends.push(self.bytes.len());
        self.xforward += 1;
    }

    /// The MAIL command; `sender` in external form without `<>`. What the server does not offer is left out.
    pub fn mail(&mut self, sender: &[u8], parameters: &MailParameters<'_>, features: &Features) {
        self.bytes.extend_from_slice(b"MAIL FROM:<");
        self.address(sender);
        self.bytes.push(b'>');
        if features.size && parameters.size > 0 {
            self.bytes.extend_from_slice(b" SIZE=");
            self.bytes.extend_from_slice(parameters.size.to_string().as_bytes());
        }
        if let Some(eight_bit) = parameters.eight_bit.filter(|_| features.eight_bit_mime) {
            self.bytes.extend_from_slice(if eight_bit { b" BODY=8BITMIME" } else { b" BODY=7BIT" });
        }
        if features.dsn {
            if !parameters.envelope_id.is_empty() {
                self.bytes.extend_from_slice(b" ENVID=");
                xtext::encode_into(&mut self.bytes, parameters.envelope_id);
            }
            match parameters.ret {
                1 => self.bytes.extend_from_slice(b" RET=FULL"),
                2 => self.bytes.extend_from_slice(b" RET=HDRS"),
                _ => {}
            }
        }
        if parameters.dummy_auth {
            self.bytes.extend_from_slice(b" AUTH=<>");
        }
        if features.smtputf8 && parameters.smtputf8 {
            self.bytes.extend_from_slice(b" SMTPUTF8");
        }
        if features.requiretls && parameters.requiretls {
            self.bytes.extend_from_slice(b" REQUIRETLS");
        }
        self.end();
    }

    /// A RCPT command; `recipient` in external form without `<>`.
    pub fn rcpt(&mut self, recipient: &[u8], parameters: &RcptParameters<'_>, features: &Features) {
        self.bytes.extend_from_slice(b"RCPT TO:<");
        self.address(recipient);
        self.bytes.push(b'>');
        if features.dsn {
            if let Some((kind, address)) = parameters.orcpt.split_once_str(";")
                && !kind.is_empty()
                && !address.is_empty()
            {
                self.bytes.extend_from_slice(b" ORCPT=");
                self.address(kind);
                self.bytes.push(b';');
                // RFC 6533 §3; as \x{…} also where an SMTPUTF8 session could have it as it is, as Postfix does.
                if kind.eq_ignore_ascii_case(b"utf-8") {
                    encode_utf8_into(&mut self.bytes, address);
                } else {
                    xtext::encode_into(&mut self.bytes, address);
                }
            }
            const WORDS: [(u8, &[u8]); 4] = [(1, b"NEVER"), (2, b"SUCCESS"), (4, b"FAILURE"), (8, b"DELAY")];
            let mut separator: &[u8] = b" NOTIFY=";
            for (bit, word) in WORDS {
                if parameters.notify & bit != 0 {
                    self.bytes.extend_from_slice(separator);
                    self.bytes.extend_from_slice(word);
                    separator = b",";
                }
            }
        }
        self.end();
    }
}

/// utf-8-addr-xtext (RFC 6533 §3): what cannot stand in a parameter as `\x{…}`.
fn encode_utf8_into(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let escape = matches!(c, '\0'..=' ' | '+' | '=' | '\\' | '\x7f') || !c.is_ascii();
            if escape {
                out.extend_from_slice(format!("\\x{{{:02X}}}", u32::from(c)).as_bytes());
            } else {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        // Not UTF-8: the encoding has no place for such bytes.
        out.extend(chunk.invalid().iter().map(|_| b'?'));
    }
}

/// What XFORWARD tells of the original client; empty where unknown.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the attributes")]
pub struct Client<'a> {
    pub name: &'a [u8],
    pub addr: &'a [u8],
    pub port: &'a [u8],
    pub proto: &'a [u8],
    pub helo: &'a [u8],
    pub ident: &'a [u8],
    /// `LOCAL` or `REMOTE`.
    pub source: &'a [u8],
}

/// The XFORWARD commands (XFORWARD_README) for what the server takes: name, address and port in one, the rest in another.
pub fn xforward(client: &Client<'_>, takes: Xforward) -> Vec<Vec<u8>> {
    type Attribute<'a> = (bool, &'a [u8], &'a [u8]);
    let groups: [&[Attribute<'_>]; 2] = [
        &[(takes.name, b"NAME", client.name), (takes.addr, b"ADDR", client.addr), (takes.port, b"PORT", client.port)],
        &[
            (takes.proto, b"PROTO", client.proto),
            (takes.helo, b"HELO", client.helo),
            (takes.ident, b"IDENT", client.ident),
            (takes.source, b"SOURCE", client.source),
        ],
    ];
    let mut commands = Vec::new();
    for group in groups {
        let mut line = b"XFORWARD".to_vec();
        for (taken, name, value) in group {
            // What was not found out about the original client is not told either.
            if !taken || value.is_empty() || *value == b"unknown" {
                continue;
            }
            line.push(b' ');
            line.extend_from_slice(name);
            line.push(b'=');
            xtext::encode_into(&mut line, BStr::new(value));
        }
        if line.len() > b"XFORWARD".len() {
            line.extend_from_slice(b"\r\n");
            commands.push(line);
        }
    }
    commands
}
