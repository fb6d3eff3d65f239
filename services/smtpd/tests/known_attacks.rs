//! docs/known-attacks.md is kept true: each check, target, file and test that it names exists, and each check of tests/system/attacks.py and
//! recent_attacks.py is named there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The last column of each row.
fn cells(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.filter_map(|row| row.trim_end_matches('|').rsplit(" | ").next().map(|cell| cell.trim().to_owned())).collect()
}

/// Words in capitals, as checks are called: `CVE-2023-51764`, `SLOW TRICKLE`.
fn is_label(word: &str) -> bool {
    word.len() > 2
        && word.contains(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '-' | ' '))
}

/// The checks of the script: what stands before the colon of their text, or is given to `alive`.
fn checks(script: &str) -> BTreeSet<String> {
    let texts = script.split('"').filter_map(|text| text.split_once(": ").map(|(label, _)| label));
    let alive = script.split("alive(\"").skip(1).filter_map(|rest| rest.split('"').next());
    texts.chain(alive).filter(|label| is_label(label)).map(str::to_owned).collect()
}

/// Whether a function of this name is in a Rust file below `folder`.
fn has_function(folder: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        match path.extension() {
            _ if path.is_dir() => has_function(&path, name),
            Some(extension) if extension == "rs" => fs::read_to_string(&path).is_ok_and(|text| text.contains(&format!("fn {name}("))),
            _ => false,
        }
    })
}

#[test]
fn the_page_and_the_tests_agree() {
    let page = read("docs/known-attacks.md");
    let (targets, features) = (read("fuzz/targets/src/lib.rs"), read("docs/features.md"));
    let mut checks = BTreeSet::new();
    for (script, at_least) in [("attacks", 25), ("recent_attacks", 8)] {
        let found = self::checks(&read(&format!("tests/system/{script}.py")));
        assert!(found.len() > at_least, "the checks of {script}.py are not found: {found:?}");
        checks.extend(found);
    }
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    for cell in cells(&page) {
        for item in cell.split("; ") {
            if let Some(list) = item.strip_prefix("fuzz ") {
                wrong.extend(
                    list.split(", ").filter(|target| !targets.contains(&format!("\"{target}\""))).map(|t| format!("no fuzz target {t}")),
                );
                continue;
            }
            // `CVE-…: in detail` and `file S-SEC-03`.
            let words = item.split(':').next().unwrap_or_default();
            for word in words.split([',', '`']).flat_map(|part| part.split(" S-")).map(str::trim).filter(|word| !word.is_empty()) {
                let good = if word.contains('/') {
                    ["", "tests/parity/scenarios/"].iter().any(|folder| {
                        let path = top().join(folder).join(word);
                        path.exists() || path.with_extension("py").exists()
                    })
                } else if word.starts_with("SEC-") || word.starts_with("S-SEC-") {
                    features.contains(&format!("S-{}", word.trim_start_matches("S-")))
                } else if is_label(word) {
                    named.insert(word.to_owned());
                    checks.contains(word)
                } else {
                    ["services", "protocol", "base", "fuzz"].iter().any(|folder| has_function(&top().join(folder), word))
                };
                if !good {
                    wrong.push(format!("\"{word}\" in \"{cell}\" is no test"));
                }
            }
        }
    }
    // A row may name the first of several checks of its kind in the first columns only.
    wrong.extend(
        checks
            .iter()
            .filter(|check| !named.contains(*check) && !page.contains(check.as_str()))
            .map(|check| format!("{check} is not in the page")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
