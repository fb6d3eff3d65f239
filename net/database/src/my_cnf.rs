//! The options files of MySQL's and MariaDB's clients (`my.cnf`): `option_file` and `option_group` of mysql_table(5).

use std::collections::HashMap;
use std::path::Path;

/// Options by name; `_` in names is `-`.
pub(crate) type Options = HashMap<String, String>;

/// Where the client libraries look.
const DEFAULTS: [&str; 3] = ["/etc/my.cnf", "/etc/mysql/my.cnf", "/root/.my.cnf"];

/// How deep files may include one another.
const DEPTH: usize = 10;

/// Reads the group `client` and, after it, `group`; from `file`, or from the usual places when that is empty. With neither file nor group nothing is
/// read. A file that was named must be there.
pub(crate) fn read(file: &str, group: &str) -> Result<Options, String> {
    let mut options = Options::new();
    if file.is_empty() && group.is_empty() {
        return Ok(options);
    }
    let groups: &[&str] = if group.is_empty() || group == "client" { &["client"] } else { &["client", group] };
    if !file.is_empty() {
        let text = std::fs::read_to_string(file).map_err(|error| format!("open {file}: {}", posthaste_config::system_reason(&error)))?;
        parse(&text, groups, 0, &mut options);
        return Ok(options);
    }
    for file in DEFAULTS {
        if let Ok(text) = std::fs::read_to_string(file) {
            parse(&text, groups, 0, &mut options);
        }
    }
    Ok(options)
}

fn parse(text: &str, groups: &[&str], depth: usize, options: &mut Options) {
    // A later group of the list counts more than an earlier one, wherever it stands in the file.
    for group in groups {
        let mut wanted = false;
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(directive) = line.strip_prefix('!') {
                if depth < DEPTH {
                    include(directive, group, depth + 1, options);
                }
            } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                wanted = name.trim() == *group;
            } else if wanted {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                options.insert(name.trim().replace('_', "-"), unquoted(value.trim()));
            }
        }
    }
}

fn include(directive: &str, group: &str, depth: usize, options: &mut Options) {
    let mut read = |path: &Path| {
        if let Ok(text) = std::fs::read_to_string(path) {
            parse(&text, &[group], depth, options);
        }
    };
    if let Some(folder) = directive.strip_prefix("includedir ") {
        let Ok(entries) = std::fs::read_dir(folder.trim()) else { return };
        let mut paths: Vec<_> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "cnf")).collect();
        paths.sort();
        paths.iter().for_each(|path| read(path));
    } else if let Some(path) = directive.strip_prefix("include ") {
        read(Path::new(path.trim()));
    }
}

/// Without the quotes around it, or without a comment after it.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && let Some(end) = rest.rfind(quote)
        {
            return rest[..end].to_owned();
        }
    }
    match value.find(" #") {
        Some(at) => value[..at].trim_end().to_owned(),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_includes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("more.cnf"), "[client]\nsocket = /s\n[mail]\nuser=included\n").unwrap();
        let text = format!(
            "# comment\n[mysqld]\nport=1\n[mail]\npassword = 'p #1'\n[client]\nuser = u # me\nssl_ca=/ca\npassword=x\n!includedir {}\n",
            folder.path().display()
        );
        std::fs::write(path("my"), text).unwrap();
        let client = read(&path("my"), "client").unwrap();
        assert_eq!((client["user"].as_str(), client["password"].as_str(), client["ssl-ca"].as_str()), ("u", "x", "/ca"));
        assert_eq!(client["socket"], "/s");
        assert!(!client.contains_key("port"));
        let mail = read(&path("my"), "mail").unwrap();
        assert_eq!((mail["user"].as_str(), mail["password"].as_str()), ("included", "p #1"));
        assert_eq!(read("", "").unwrap(), Options::new());
        assert_eq!(read("/nosuch", "client").unwrap_err(), "open /nosuch: No such file or directory");
    }
}
