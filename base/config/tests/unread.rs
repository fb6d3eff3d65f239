//! A parameter of the table is read by a program, or docs/differences.md says that it is not (S-CONF): otherwise a setting would be accepted
//! and silently do nothing.

use posthaste_config::advice::{MISSING, fits};
use posthaste_config::expand::names;
use posthaste_config::parameters::{FAMILIES, PARAMETERS};
use posthaste_config::table::parameter;
use std::collections::BTreeSet;
use std::path::Path;

/// These have no effect in Postfix 3.11 either: what they were for is gone, or they are only there to be shown.
const AS_IN_POSTFIX: &[&str] = &["error_service_name", "mail_release_date", "maps_rbl_domains", "process_id_directory"];

#[test]
fn every_parameter_is_read_or_a_known_difference() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut strings = BTreeSet::new();
    for folder in ["base", "protocol", "net", "services", "commands", "bin"] {
        collect(&top.join(folder), &mut strings);
    }
    assert!(strings.len() > 1000, "only {} strings found: does the search still fit the sources?", strings.len());
    let known = differences(&std::fs::read_to_string(top.join("docs/differences.md")).unwrap());
    let read = read(&strings);
    let row = |name: &str| known.iter().any(|pattern| fits(pattern, name));
    let silent: Vec<_> =
        PARAMETERS.iter().map(|p| p.name).filter(|name| !read.contains(name) && !row(name) && !AS_IN_POSTFIX.contains(name)).collect();
    assert!(silent.is_empty(), "nothing reads these, and no row of docs/differences.md names them:\n{}", silent.join("\n"));
    for pattern in MISSING.iter().flat_map(|part| part.parameters) {
        assert!(known.contains(*pattern), "no row of docs/differences.md names `{pattern}`");
    }
}

/// What the first column of the table names in backticks: parameters, or patterns with `*`.
fn differences(text: &str) -> BTreeSet<String> {
    let first = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let named = first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).flat_map(|names| names.split([' ', ',']));
    named.filter(|name| name.trim_matches('*').len() > 2).map(str::to_owned).collect()
}

/// Parameters that some string of the sources names, or the default of one that is read refers to.
fn read(strings: &BTreeSet<String>) -> BTreeSet<&'static str> {
    // Names that are put together: `unverified_{what}_reject_code`, with `what` being a string of the sources too.
    let holes: Vec<(&str, &str)> = strings
        .iter()
        .filter_map(|text| Some((text.split_once('{')?.0, text.rsplit_once('}')?.1)))
        .filter(|(a, b)| a.len() + b.len() > 10)
        .collect();
    let filled = |name: &str| {
        holes
            .iter()
            .any(|(start, end)| name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(|rest| strings.contains(rest)))
    };
    // The same name for two programs, given once without the program, and `SERVICE_` with a suffix that is read for any service.
    let shared = |name: &str| {
        name.split_once('_').is_some_and(|(program, rest)| ["lmtp", "smtp", "smtpd"].contains(&program) && strings.contains(rest))
    };
    let of_service = |name: &str| {
        FAMILIES
            .iter()
            .any(|family| strings.contains(family.suffix) && name.strip_suffix(family.suffix).is_some_and(|service| service.ends_with('_')))
    };
    let named = |name: &str| strings.contains(name) || filled(name) || shared(name) || of_service(name);
    let mut read: BTreeSet<&str> = PARAMETERS.iter().map(|row| row.name).filter(|name| named(name)).collect();
    let families = FAMILIES.iter().filter(|family| strings.contains(family.suffix)).map(|family| family.default);
    let mut waiting: Vec<&str> = PARAMETERS.iter().filter(|row| read.contains(row.name)).map(|row| row.default).chain(families).collect();
    while let Some(default) = waiting.pop() {
        let _ = names(default.as_bytes(), &mut |name| {
            if let Some(row) = parameter(name)
                && read.insert(row.name)
            {
                waiting.push(row.default);
            }
        });
    }
    read
}

/// All string literals without blanks in the Rust files below a folder, but for the table, this module's like, and tests: these name parameters
/// that no program may read.
fn collect(folder: &Path, strings: &mut BTreeSet<String>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let is = |end: &str| path.ends_with(end);
        if path.is_dir() && !is("tests") {
            collect(&path, strings);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !is("tests.rs")
            && !is("base/config/src/parameters.rs")
            && !is("base/config/src/advice.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            strings.extend(code.split('"').filter(|piece| !piece.is_empty() && !piece.contains(char::is_whitespace)).map(str::to_owned));
        }
    }
}
