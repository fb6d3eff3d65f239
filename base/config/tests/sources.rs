//! Every parameter that the sources ask for by a literal name is in the table and has the type that is asked for: `config.int("x")` panics
//! otherwise, and that must be found here and not by a user.

use posthaste_config::parameters::FAMILIES;
use posthaste_config::table::{Kind, parameter};
use std::path::Path;

#[test]
fn names_in_the_sources_are_in_the_table() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut faults = Vec::new();
    let mut calls = 0;
    for folder in ["base", "protocol", "net", "services", "commands", "bin"] {
        visit(&top.join(folder), &mut faults, &mut calls);
    }
    assert!(calls > 20, "only {calls} calls found: does the search still fit the sources?");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn visit(folder: &Path, faults: &mut Vec<String>, calls: &mut usize) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, faults, calls);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for (method, name, line) in accessor_calls(&text) {
                *calls += 1;
                if !fits(method, name) {
                    faults.push(format!("{}:{line}: config.{method}(\"{name}\")", path.display()));
                }
            }
        }
    }
}

/// Calls of accessors on something called `config`: method, name and line.
fn accessor_calls(text: &str) -> Vec<(&str, &str, usize)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("config.") {
            let rest = &line[at + "config.".len()..];
            let Some((method, rest)) = rest.split_once("(\"") else { continue };
            let Some((name, _)) = rest.split_once('"') else { continue };
            if ["bool", "int", "text", "time", "service_int", "service_text", "service_time"].contains(&method) {
                found.push((method, name, number + 1));
            }
        }
    }
    found
}

fn fits(method: &str, name: &str) -> bool {
    // The first argument of these is a service; the second is checked when it is used.
    if method.starts_with("service_") {
        return FAMILIES.iter().all(|family| family.suffix != name);
    }
    let Some(row) = parameter(name) else { return false };
    match row.kind {
        Kind::Bool => method == "bool",
        Kind::Int { .. } | Kind::Long { .. } => method == "int",
        Kind::Raw { .. } | Kind::Text { .. } => method == "text",
        Kind::Time { .. } => method == "time",
    }
}
