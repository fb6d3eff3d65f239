//! Changes to `main.cf` and `master.cf` that keep comments, order and everything else as it is.
//!
//! The functions on text work on bytes, so that a comment in another character set survives. [`replace`] puts a new text in the place of
//! a file: readers see the old text or the new one, never half of it.

use crate::lines::{LogicalLine, is_blank, split_name_value};
use crate::master_cf::MasterLine;
use crate::{ConfigError, braced};
use rustix::fs::{FlockOperation, fchown, flock};
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// One change to main.cf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `postconf -#`: puts `#` before each line of the parameter.
    CommentOut(String),
    /// `postconf -X`: removes the parameter.
    Remove(String),
    /// `postconf -e`: gives the parameter this value; it is added at the end when it is not there.
    Set(String, String),
}

impl Change {
    fn name(&self) -> &str {
        match self {
            Change::CommentOut(name) | Change::Remove(name) | Change::Set(name, _) => name,
        }
    }
}

/// The text of main.cf with these changes, and warnings: about parameters that are there several times (all of them are changed). `file` is the
/// name used in warnings.
pub fn edit_main(text: &[u8], file: &str, changes: &[Change]) -> (Vec<u8>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut used = vec![0_usize; changes.len()];
    let mut out = rewrite(text, |line| {
        let Ok((name, _)) = split_name_value(&line.text) else { return Action::Keep };
        let Some(at) = changes.iter().rposition(|change| change.name() == name) else { return Action::Keep };
        used[at] += 1;
        if used[at] == 2 {
            warnings.push(format!("{file}: multiple entries for \"{name}\""));
        }
        match &changes[at] {
            Change::CommentOut(_) => Action::CommentOut,
            Change::Remove(_) => Action::Remove,
            Change::Set(name, value) => Action::ReplaceFirst(format!("{name} = {value}")),
        }
    });
    for (at, change) in changes.iter().enumerate() {
        if let Change::Set(name, value) = change
            && used[at] == 0
            && !changes[at + 1..].iter().any(|later| later.name() == name)
        {
            append(&mut out, &format!("{name} = {value}"));
        }
    }
    (out, warnings)
}

/// What to do with one entry of master.cf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryAction {
    /// Puts `#` before each of its lines.
    CommentOut,
    /// Nothing.
    Keep,
    /// Removes its lines.
    Remove,
    /// Another entry in its place; comments within the old one follow it.
    Replace(MasterLine),
    /// The entry after a change to some of it. Comments within the old one and after it come first, which is Postfix's quirk: those after it
    /// mostly belong to the next entry.
    Update(MasterLine),
}

/// The text of master.cf after `edit` has decided on each entry. Lines that are no entry stay as they are.
pub fn edit_master(text: &[u8], edit: &mut dyn FnMut(&MasterLine) -> EntryAction) -> Vec<u8> {
    rewrite(text, |line| {
        let Ok(entry) = MasterLine::parse(line) else { return Action::Keep };
        match edit(&entry) {
            EntryAction::CommentOut => Action::CommentOut,
            EntryAction::Keep => Action::Keep,
            EntryAction::Remove => Action::Remove,
            EntryAction::Replace(entry) => Action::ReplaceFirst(entry.display(true)),
            EntryAction::Update(entry) => Action::ReplaceLast(entry.display(true)),
        }
    })
}

/// Adds a line at the end. When the last line has no line end, it is glued to that one, as Postfix does it.
pub fn append(text: &mut Vec<u8>, line: &str) {
    text.extend_from_slice(line.as_bytes());
    text.push(b'\n');
}

enum Action {
    CommentOut,
    Keep,
    Remove,
    ReplaceFirst(String),
    ReplaceLast(String),
}

/// Goes through the logical lines; ignored lines (comments, blank ones) are kept whatever happens around them.
fn rewrite(text: &[u8], mut decide: impl FnMut(&LogicalLine) -> Action) -> Vec<u8> {
    let physical: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let kinds: Vec<PhysicalKind> = physical.iter().map(|line| PhysicalKind::of(line)).collect();
    let mut out = Vec::with_capacity(text.len() + 100);
    let mut at = 0;
    while at < physical.len() {
        if kinds[at] == PhysicalKind::Ignored {
            out.extend_from_slice(physical[at]);
            at += 1;
            continue;
        }
        // The logical line is `at`, the continuations after it, and all comments up to the next one, as Postfix counts.
        let end = (at + 1..physical.len()).find(|line| kinds[*line] == PhysicalKind::Start).unwrap_or(physical.len());
        let parts = || (at..end).filter(|line| kinds[*line] != PhysicalKind::Ignored);
        let mut logical = LogicalLine { text: String::new(), first: at + 1, last: end };
        for line in parts() {
            logical.text.push_str(String::from_utf8_lossy(physical[line]).trim_end_matches(['\n', '\r']));
        }
        let action = if logical.is_misplaced() { Action::Keep } else { decide(&logical) };
        if let Action::ReplaceFirst(new) = &action {
            append(&mut out, new);
        }
        for line in at..end {
            match (&action, kinds[line]) {
                (_, PhysicalKind::Ignored) | (Action::Keep, _) => out.extend_from_slice(physical[line]),
                (Action::CommentOut, _) => {
                    out.push(b'#');
                    out.extend_from_slice(physical[line]);
                }
                _ => {}
            }
        }
        if let Action::ReplaceLast(new) = &action {
            append(&mut out, new);
        }
        at = end;
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PhysicalKind {
    Continuation,
    Ignored,
    Start,
}

impl PhysicalKind {
    fn of(line: &[u8]) -> PhysicalKind {
        match line.iter().position(|byte| !is_blank(char::from(*byte))) {
            None => PhysicalKind::Ignored,
            Some(at) if line[at] == b'#' => PhysicalKind::Ignored,
            Some(0) => PhysicalKind::Start,
            Some(_) => PhysicalKind::Continuation,
        }
    }
}

/// Lines of master.cf are folded before this column.
const MASTER_WIDTH: usize = 80;

/// Where the fields of master.cf after the first, and the command, begin.
const MASTER_COLUMNS: [usize; 7] = [11, 17, 25, 33, 41, 49, 57];

impl MasterLine {
    /// The entry as `postconf -M` shows it, on one line, or folded as `postconf -Mf` does and as it is written into the file.
    pub fn display(&self, fold: bool) -> String {
        // Columns of the line, not widths: behind a long field those that follow stand in their places again as soon as there is room.
        let mut start = String::new();
        for (column, field) in MASTER_COLUMNS.iter().zip(&self.fields) {
            start.push_str(field);
            let length = start.chars().count();
            start.extend(std::iter::repeat_n(' ', column.saturating_sub(length).max(1)));
        }
        self.with_command(start, fold)
    }

    /// The command and its arguments, as `postconf -F` shows them.
    pub fn display_command(&self) -> String {
        self.with_command(String::new(), false)
    }

    /// `start` and the command. Each `-o` begins a line of its own when folding, and what follows it begins the next.
    pub fn with_command(&self, start: String, fold: bool) -> String {
        let mut text = start;
        let mut words = self.command.iter();
        text.extend(words.next().map(String::as_str));
        let mut width = text.len();
        let mut options = true;
        let mut break_next = false;
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            options &= word.starts_with('-');
            let mut piece = quoted(word);
            let is_override = options && word.starts_with("-o");
            if is_override {
                let (joined, separate) = (&word[2..], words.peek());
                if !joined.is_empty() {
                    piece = format!("-o {}", quoted(joined));
                } else if let Some(value) = separate {
                    piece = format!("-o {}", quoted(value));
                    words.next();
                }
            }
            if fold && (is_override || break_next || width + 1 + piece.len() >= MASTER_WIDTH) {
                text.push_str("\n    ");
                width = 4 + piece.len();
            } else {
                text.push(' ');
                width += 1 + piece.len();
            }
            text.push_str(&piece);
            break_next = is_override;
        }
        text
    }
}

/// An argument as it must be written to be read back.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && !word.contains(is_blank) && braced(word).is_none();
    if plain { word.to_owned() } else { format!("{{{word}}}") }
}

/// A file that is being replaced: the new text goes to `FILE.tmp`, which is locked against another editor.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

/// Begins to replace a file; waits while another process does the same. The text must be read after this, so that no change is lost.
pub fn replace(path: &Path) -> Result<Replacement, ConfigError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let open_error = |source| ConfigError::Open { path: temporary.clone(), source };
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&temporary).map_err(open_error)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| open_error(error.into()))?;
        // The one before us may have renamed this very file into place while we waited for its lock.
        let ours = file.metadata().map_err(open_error)?;
        if std::fs::symlink_metadata(&temporary).is_ok_and(|now| (now.dev(), now.ino()) == (ours.dev(), ours.ino())) {
            return Ok(Replacement { path: path.to_owned(), temporary, file });
        }
    }
}

impl Replacement {
    /// The text to be replaced.
    pub fn current(&self) -> Result<Vec<u8>, ConfigError> {
        std::fs::read(&self.path).map_err(|source| {
            let _ = std::fs::remove_file(&self.temporary);
            ConfigError::Open { path: self.path.clone(), source }
        })
    }

    /// Puts the new text in place, with owner and mode of the old file. Syncs the file before the rename.
    pub fn commit(mut self, text: &[u8]) -> Result<(), ConfigError> {
        self.write(text).map_err(|error| {
            let _ = std::fs::remove_file(&self.temporary);
            ConfigError::Bad(format!("write {}: {}", self.temporary.display(), crate::system_reason(&error)))
        })
    }

    /// Gives up; the file stays as it is.
    pub fn abandon(self) {
        let _ = std::fs::remove_file(&self.temporary);
    }

    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        let old = std::fs::metadata(&self.path)?;
        self.file.set_len(0)?;
        self.file.write_all(text)?;
        let ours = self.file.metadata()?;
        if (ours.uid(), ours.gid()) != (old.uid(), old.gid()) {
            let (user, group) = (rustix::fs::Uid::from_raw(old.uid()), rustix::fs::Gid::from_raw(old.gid()));
            fchown(&self.file, Some(user), Some(group))?;
        }
        self.file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_cf::MasterFile;

    fn main_cf(text: &str, changes: &[Change]) -> (String, Vec<String>) {
        let (out, warnings) = edit_main(text.as_bytes(), "main.cf", changes);
        (String::from_utf8(out).unwrap(), warnings)
    }

    fn set(name: &str, value: &str) -> Change {
        Change::Set(name.into(), value.into())
    }

    const TEXT: &str = "a = b\n  # in\n c\n\n#x\n  d\ne=f\n";

    // S-CONF-30; the results are those of postconf 3.7.11.
    #[test]
    fn comments_stay_where_they_are() {
        assert_eq!(main_cf(TEXT, &[set("a", "x")]).0, "a = x\n  # in\n\n#x\ne=f\n");
        assert_eq!(main_cf(TEXT, &[Change::Remove("a".into())]).0, "  # in\n\n#x\ne=f\n");
        assert_eq!(main_cf(TEXT, &[Change::CommentOut("a".into())]).0, "#a = b\n  # in\n# c\n\n#x\n#  d\ne=f\n");
        assert_eq!(main_cf(TEXT, &[Change::Remove("nosuch".into())]).0, TEXT);
    }

    #[test]
    fn new_parameters_go_to_the_end() {
        let (text, _) = main_cf("a = b\n", &[set("z", "1"), set("y", ""), set("z", "2")]);
        assert_eq!(text, "a = b\ny = \nz = 2\n");
        assert_eq!(main_cf("", &[set("a", "x")]).0, "a = x\n");
        // As postconf 3.7.11 does it, though it spoils both.
        assert_eq!(main_cf("a = b", &[set("x", "y"), set("z", "1")]).0, "a = bx = y\nz = 1\n");
        assert_eq!(main_cf("a = b\n# c", &[set("x", "y")]).0, "a = b\n# cx = y\n");
        assert_eq!(main_cf("a = b\nc = d", &[set("c", "c")]).0, "a = b\nc = c\n");
        assert_eq!(main_cf("a = b\nc = d\n # x", &[set("c", "c")]).0, "a = b\nc = c\n # x");
        assert_eq!(main_cf("a = b\nc = d", &[Change::CommentOut("c".into())]).0, "a = b\n#c = d");
    }

    #[test]
    fn all_of_several_entries_are_changed() {
        let (text, warnings) = main_cf("a = b\nc = d\na = e\na = f\n", &[set("a", "x")]);
        assert_eq!(text, "a = x\nc = d\na = x\na = x\n");
        assert_eq!(warnings, ["main.cf: multiple entries for \"a\""]);
    }

    #[test]
    fn other_character_sets_and_odd_lines_survive() {
        let text = b"# \xe9\n  misplaced\nbad line\nb = \xe9\na = c\r\n";
        let (out, _) = edit_main(text, "main.cf", &[set("a", "x")]);
        assert_eq!(out, b"# \xe9\n  misplaced\nbad line\nb = \xe9\na = x\n");
    }

    /// What `postconf -F */unix/chroot=y` of 3.7.11 makes of comments after entries.
    #[test]
    fn comments_after_an_updated_entry_come_first() {
        let text = b"foo unix - - n - - pipe\n# c\nbaz inet - - - - - pipe\n# d\nbar unix - - n - - pipe\n# e";
        let out = edit_master(text, &mut |entry| {
            if entry.fields[1] == "unix" { EntryAction::Update(entry.clone()) } else { EntryAction::Keep }
        });
        let line = |name: &str| format!("{name}        unix  -       -       n       -       -       pipe\n");
        let expected = format!("# c\n{}baz inet - - - - - pipe\n# d\n# e{}", line("foo"), line("bar"));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    const MASTER: &str = "# top\nsmtp inet n - n - - smtpd\n  -o a=b\n# in\n\n  -o c=d\nfoo unix - - n - - pipe flags=R\n# end\n";

    fn master_cf(edit: &mut dyn FnMut(&MasterLine) -> EntryAction) -> String {
        String::from_utf8(edit_master(MASTER.as_bytes(), edit)).unwrap()
    }

    fn on_smtp(action: impl Fn(&MasterLine) -> EntryAction) -> String {
        master_cf(&mut |entry| if entry.fields[0] == "smtp" { action(entry) } else { EntryAction::Keep })
    }

    #[test]
    fn entries_of_master_cf() {
        let rest = "foo unix - - n - - pipe flags=R\n# end\n";
        assert_eq!(on_smtp(|_| EntryAction::Remove), format!("# top\n# in\n\n{rest}"));
        assert_eq!(
            on_smtp(|_| EntryAction::CommentOut),
            format!("# top\n#smtp inet n - n - - smtpd\n#  -o a=b\n# in\n\n#  -o c=d\n{rest}")
        );
        let folded = "smtp       inet  n       -       n       -       -       smtpd\n    -o a=b\n    -o c=d\n";
        assert_eq!(on_smtp(|entry| EntryAction::Replace(entry.clone())), format!("# top\n{folded}# in\n\n{rest}"));
        assert_eq!(on_smtp(|entry| EntryAction::Update(entry.clone())), format!("# top\n# in\n\n{folded}{rest}"));
        assert_eq!(on_smtp(|_| EntryAction::Keep), MASTER);
    }

    #[test]
    fn long_entries_are_folded() {
        let line = |text: &str| MasterFile::parse(text, "m").unwrap().lines.remove(0);
        let start = "pipe1      unix  -       n       n       -       -       pipe flags=R";
        let folded = |text: &str| line(&format!("pipe1 unix - n n - - pipe {text}")).display(true);
        assert_eq!(folded("flags=R aaaaaaaaa b"), format!("{start} aaaaaaaaa\n    b"));
        assert_eq!(folded("flags=R aaaaaaaaaa b"), format!("{start}\n    aaaaaaaaaa b"));
        assert_eq!(folded("flags=R -o a=b"), format!("{start} -o a=b"));
        let head = start.strip_suffix(" flags=R").unwrap();
        assert_eq!(folded("-v -o { c = d  e } {f g} {{x}} {}"), format!("{head} -v\n    -o {{c=d  e}}\n    {{f g}} {{{{x}}}} {{}}"));
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        for arguments in ["-o {c=x{d e}} -o {c={d} e} -va=b", "{ } {} {{a} b} a{ b } {{x}}", "-oa=b -o c -o", "x -o {a = b}"] {
            let text = format!("s unix - - n - - p {arguments}");
            let line = MasterFile::parse(&text, "m").unwrap().lines.remove(0);
            let again = MasterFile::parse(&line.display(true), "m").unwrap().lines.remove(0);
            let apart = |line: &MasterLine| line.command.join("\n").replace("-oa=b", "-o\na=b");
            assert_eq!(apart(&again), apart(&line), "{text}");
        }
    }

    #[test]
    fn a_file_is_replaced_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("main.cf");
        std::fs::write(&path, "a = b\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let replacement = replace(&path).unwrap();
        assert_eq!(replacement.current().unwrap(), b"a = b\n");
        replacement.commit(b"c = d\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"c = d\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        replace(&path).unwrap().abandon();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = replace(Path::new("/nosuch/main.cf")).unwrap_err().to_string();
        assert_eq!(error, "open /nosuch/main.cf.tmp: No such file or directory");
    }
}
