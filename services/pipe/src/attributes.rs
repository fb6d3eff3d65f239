//! The attributes of a pipe(8) entry in master.cf: `flags= user= argv= directory= chroot= eol= null_sender= size=`.

use bstr::BString;
use posthaste_system::credentials::Identity;
use posthaste_system::users;
use std::path::PathBuf;

/// A piece of a command-line argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// `${name}`.
    Macro(String),
}

/// One argument of `argv=`.
pub type Template = Vec<Piece>;

/// The entry.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// The letters of `flags=`.
    pub flags: String,
    /// `user=`.
    pub identity: Identity,
    /// `argv=`.
    pub argv: Vec<Template>,
    /// `directory=`.
    pub directory: Option<PathBuf>,
    /// `chroot=`.
    pub chroot: Option<PathBuf>,
    /// `eol=`, with escapes decoded.
    pub end_of_line: BString,
    /// `null_sender=`.
    pub null_sender: String,
    /// `size=`.
    pub size: Option<u64>,
}

/// Who no command may run as: the mail system itself.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Of `mail_owner`.
    pub uid: u32,
    /// Of `setgid_group`.
    pub gid: u32,
}

impl Attributes {
    /// Reads them; an error is the text after `fatal: `. `own`: as whom no command may run.
    pub fn parse(arguments: &[String], own: Own) -> Result<Attributes, String> {
        let mut flags = String::new();
        let (mut identity, mut argv, mut directory, mut chroot, mut size) = (None, Vec::new(), None, None, None);
        let (mut end_of_line, mut null_sender) = (BString::from("\n"), String::from("MAILER-DAEMON"));
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            match name {
                "flags" => match value.chars().find(|c| !"BDFORXhqu.>".contains(*c)) {
                    None => value.clone_into(&mut flags),
                    Some(c) => return Err(format!("unknown flag: {c} (ignored)")),
                },
                "user" => identity = Some(user(value, own)?),
                "directory" => directory = Some(PathBuf::from(value)),
                "chroot" => chroot = Some(PathBuf::from(value)),
                "eol" => end_of_line = unescape(value),
                "null_sender" => value.clone_into(&mut null_sender),
                "size" => size = Some(value.parse().map_err(|_| format!("get_service_attr: bad size= value: {value}"))?),
                "argv" => {
                    argv.push(template(value));
                    argv.extend(rest.by_ref().map(|a| template(a)));
                }
                _ => return Err(format!("unknown attribute name: {name}={value}")),
            }
        }
        Ok(Attributes {
            flags,
            identity: identity.ok_or("missing user= command-line attribute")?,
            argv: if argv.is_empty() { return Err(String::from("missing argv= command-line attribute")) } else { argv },
            directory,
            chroot,
            end_of_line,
            null_sender,
            size,
        })
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

fn user(value: &str, own: Own) -> Result<Identity, String> {
    let (name, group) = match value.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (value, None),
    };
    let found = users::by_name(name).map_err(|e| format!("user lookup for {name}: {e}"))?;
    let found = found.ok_or_else(|| format!("get_service_attr: unknown username: {name}"))?;
    let gid = match group {
        Some(group) => {
            let found = users::group_by_name(group).map_err(|e| format!("group lookup for {group}: {e}"))?;
            found.ok_or_else(|| format!("get_service_attr: unknown group: {group}"))?.gid
        }
        None => found.gid,
    };
    if found.uid == 0 {
        return Err(String::from("user= command-line attribute specifies root privileges"));
    }
    if gid == 0 {
        return Err(String::from("user= command-line attribute specifies privileged group id 0"));
    }
    // In rootless mode there is but one user.
    if found.uid == own.uid && Identity::effective().uid == 0 {
        return Err(format!("user= command-line attribute specifies mail system owner {name}"));
    }
    if gid == own.gid && Identity::effective().uid == 0 {
        return Err(format!("user= command-line attribute specifies mail system postdrop group id {gid}"));
    }
    Ok(Identity { uid: found.uid, gid })
}

fn unescape(text: &str) -> BString {
    let mut out = Vec::new();
    let mut chars = text.bytes().peekable();
    while let Some(byte) = chars.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match chars.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'v') => out.push(11),
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(next @ b'0'..=b'7') = chars.peek().copied() {
                        value = value * 8 + u32::from(next - b'0');
                        chars.next();
                    }
                }
                out.push(value.to_le_bytes()[0]);
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    out.into()
}

/// `$name`, `${name}`, `$(name)`; `$$` is one `$`.
fn template(text: &str) -> Template {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        literal.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            literal.push('$');
            rest = after;
            continue;
        }
        let close = match rest.as_bytes().first() {
            Some(b'{') => Some('}'),
            Some(b'(') => Some(')'),
            _ => None,
        };
        let (name, after) = match close.and_then(|c| rest[1..].split_once(c)) {
            Some(pair) => pair,
            None => rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())),
        };
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Macro(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macros(text: &str) -> Vec<String> {
        template(text)
            .iter()
            .map(|p| {
                if let Piece::Macro(m) = p {
                    format!("<{m}>")
                } else if let Piece::Text(t) = p {
                    t.clone()
                } else {
                    String::new()
                }
            })
            .collect()
    }

    // S-PIPE-02: macros in argv.
    #[test]
    fn templates() {
        assert_eq!(macros("x${user}y"), ["x", "<user>", "y"]);
        assert_eq!(macros("$(domain)$user-$$z"), ["<domain>", "<user>", "-$z"]);
        assert_eq!(macros(""), [""]);
        assert_eq!(macros("plain"), ["plain"]);
    }

    #[test]
    fn entry() {
        let arguments: Vec<String> =
            "flags=DRhu user=nobody eol=\\r\\n size=10 argv=/bin/x -f ${sender} argv=y".split(' ').map(String::from).collect();
        let a = Attributes::parse(&arguments, Own { uid: 1, gid: 1 }).unwrap();
        assert_eq!((a.flags.as_str(), a.end_of_line.as_slice(), a.size, a.argv.len()), ("DRhu", &b"\r\n"[..], Some(10), 4));
        for (wrong, why) in [
            ("argv=x", "missing user="),
            ("user=nobody", "missing argv="),
            ("user=root argv=x", "root privileges"),
            ("user=nosuchuserhere argv=x", "unknown username"),
            ("user=nobody foo=1 argv=x", "unknown attribute name: foo"),
            ("flags=Z user=nobody argv=x", "unknown flag"),
        ] {
            let arguments: Vec<String> = wrong.split(' ').map(String::from).collect();
            let error = Attributes::parse(&arguments, Own { uid: 1, gid: 1 }).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
