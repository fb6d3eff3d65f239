//! Compared with what Postfix 3.7's trivial-rewrite answered (`tests/*.tsv`).

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

const BASE: &str = "myhostname = mail.example.com\nmydomain = example.com\nmyorigin = $mydomain\n\
    mydestination = $myhostname, $mydomain, localhost.$mydomain, localhost\nappend_dot_mydomain = no\nrecipient_delimiter = +\n\
    inet_interfaces = all\n";

/// A recorded run: settings, and question to answer. Rows that do not differ from the first run are left out of later ones.
type Run = (String, BTreeMap<Vec<String>, Vec<String>>);

fn runs(text: &str, key: usize, directory: &Path) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut heading = false;
    for line in text.lines() {
        if let Some(setting) = line.strip_prefix('#') {
            if !heading {
                let base = runs.first().map(|run| run.1.clone()).unwrap_or_default();
                runs.push((BASE.into(), base));
            }
            heading = true;
            for setting in setting.split("; ").map(str::trim).filter(|setting| !setting.is_empty()) {
                let setting = setting.replace("DIR/", &format!("{}/", directory.display()));
                runs.last_mut().expect("pushed above").0 += &format!("{setting}\n");
            }
        } else {
            heading = false;
            let mut fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            let answer = fields.split_off(key);
            runs.last_mut().expect("a heading comes first").1.insert(fields, answer);
        }
    }
    runs
}

/// S-REWRITE-01, S-REWRITE-02, S-REWRITE-03, S-REWRITE-17
#[test]
fn rewrites_as_postfix() {
    let mut wrong = Vec::new();
    for (settings, rows) in runs(include_str!("../tests/rewrite.tsv"), 2, Path::new("")) {
        let rewriter = Rewriter::open(&Config::parse(&settings, "main.cf").expect("good")).expect("good");
        for (question, answer) in rows {
            let context = if question[0] == "local" { Context::Local } else { Context::Remote };
            let text = question[1].as_bytes();
            let ours = rewriter.rewrite_external(context, text.into()).unwrap_or_else(|| text.into());
            if ours != answer[0].as_bytes() {
                wrong.push(format!("{question:?}: {ours:?}, not {:?} with {}", answer[0], settings.lines().last().unwrap_or_default()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}
