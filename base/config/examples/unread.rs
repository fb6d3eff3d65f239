//! Lists the parameters of the table that no source file names: those that are accepted and have no effect.
//!
//! `cargo run -p posthaste-config --example unread` in the source tree. A parameter that only another parameter's default refers to counts
//! as read when that other one is.

use posthaste_config::expand::names;
use posthaste_config::parameters::{FAMILIES, PARAMETERS};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

fn main() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut strings = BTreeSet::new();
    for folder in ["base", "protocol", "net", "services", "commands", "bin"] {
        collect(&top.join(folder), &mut strings);
    }
    // Names that are put together, such as `{smtp,lmtp}_connect_timeout`, are found by what follows the program's name.
    let named = |name: &str| {
        strings.contains(name) || name.split_once('_').is_some_and(|(program, rest)| is_prefix(program) && strings.contains(rest))
    };
    let mut read: BTreeSet<&str> = PARAMETERS.iter().map(|row| row.name).filter(|name| named(name)).collect();
    let families = FAMILIES.iter().filter(|family| strings.contains(family.suffix)).map(|family| family.default);
    let mut waiting: Vec<&str> = PARAMETERS.iter().filter(|row| read.contains(row.name)).map(|row| row.default).chain(families).collect();
    while let Some(default) = waiting.pop() {
        let _ = names(default.as_bytes(), &mut |name| {
            if let Some(row) = posthaste_config::table::parameter(name)
                && read.insert(row.name)
            {
                waiting.push(row.default);
            }
        });
    }
    let mut out = String::new();
    let unread: Vec<_> = PARAMETERS.iter().filter(|row| !read.contains(row.name)).collect();
    for row in &unread {
        out.push_str(&format!("{} ({})\n", row.name, row.programs));
    }
    out.push_str(&format!("{} of {} parameters are read by nobody\n", unread.len(), PARAMETERS.len()));
    let _ = std::io::stdout().write_all(out.as_bytes());
}

fn is_prefix(program: &str) -> bool {
    ["lmtp", "postscreen", "smtp", "smtpd", "tlsproxy"].contains(&program)
}

/// All string literals without blanks in the Rust files below a folder, but for the table itself.
fn collect(folder: &Path, strings: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, strings);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("base/config/src/parameters.rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // Tests name parameters that the program itself may not read.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            if !path.ends_with("tests.rs") {
                strings
                    .extend(code.split('"').filter(|piece| !piece.is_empty() && !piece.contains(char::is_whitespace)).map(str::to_owned));
            }
        }
    }
}
