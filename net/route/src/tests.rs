//! Compared with what Postfix 3.7's trivial-rewrite answered (`tests/*.tsv`).

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

const BASE: &str = "compatibility_level = 3.6\nmyhostname = mail.example.com\nmydomain = example.com\nmyorigin = $mydomain\n\
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

/// The host that answered.
fn router(settings: &str, verify: bool) -> Router {
    let config = Config::parse(settings, "main.cf").expect("good");
    let mut router = Router::open(&config, verify).expect("good");
    if settings.lines().rfind(|line| line.starts_with("inet_interfaces")).is_some_and(|line| line.ends_with("all")) {
        let locals = Arc::get_mut(&mut router.locals).expect("not shared yet");
        locals.addresses.extend(["192.0.2.1", "127.0.0.1", "2001:db8::1"].map(|a| a.parse::<std::net::IpAddr>().expect("good")));
    }
    router
}

fn flags(route: &Route) -> u32 {
    let class = match route.class {
        Class::Local => 256,
        Class::VirtualAlias => 512,
        Class::VirtualMailbox => 1024,
        Class::Relay => 2048,
        Class::Default => 4096,
    };
    class + 2 * u32::from(route.routed) + 4 * u32::from(route.error)
}

fn resolves_as(file: &str) {
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("transport"), include_str!("../tests/transport")).expect("written");
    std::fs::write(directory.path().join("relocated"), include_str!("../tests/relocated")).expect("written");
    let mut wrong = Vec::new();
    for (settings, rows) in runs(file, 3, directory.path()) {
        let routers = [router(&settings, false), router(&settings, true)];
        for (question, answer) in rows {
            let router = &routers[usize::from(question[0] == "vf")];
            let ours = match router.resolve(&Address::new(question[1].as_str()), &Address::new(question[2].as_str())) {
                Err(_) => ["FAIL".into(), "".into(), "".into(), "".into()],
                Ok(route) => {
                    let hop = if route.error { String::new() } else { route.nexthop.to_string() };
                    let transport = if route.error { "ERROR".into() } else { route.transport.clone() };
                    [transport, hop, route.recipient.to_string(), flags(&route).to_string()]
                }
            };
            if ours != answer[..] {
                wrong.push(format!("{question:?}: {ours:?}, not {answer:?} with {}", settings.lines().last().unwrap_or_default()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// S-ID-14, S-CLASS-10
#[test]
fn resolves_address_forms_as_postfix() {
    resolves_as(include_str!("../tests/resolve-forms.tsv"));
}

/// S-CLASS-01, S-CLASS-03, S-CLASS-04, S-CLASS-05, S-CLASS-07, S-ID-17
#[test]
fn resolves_classes_as_postfix() {
    resolves_as(include_str!("../tests/resolve-classes.tsv"));
}

/// S-CLASS-07: relayhost and default transport by sender, and the twins for address verification.
#[test]
fn resolves_by_sender_as_postfix() {
    resolves_as(include_str!("../tests/resolve-senders.tsv"));
}

/// S-CLASS-03, S-CLASS-08
#[test]
fn resolves_transports_as_postfix() {
    resolves_as(include_str!("../tests/resolve-transports.tsv"));
}

proptest::proptest! {
    /// Operators and local domains in any order are taken off in the end, and what is complete is left as it is.
    #[test]
    fn rewriting_and_resolving_end(text in "([ab]|@|%|!|\\.|example\\.com|\"|\\\\|,|:| ){0,16}", dequoted: bool, percent: bool, dots: bool) {
        let yes = |on: bool| if on { "yes" } else { "no" };
        let settings =
            format!("{BASE}resolve_dequoted_address = {}\nallow_percent_hack = {}\nappend_dot_mydomain = {}\n", yes(dequoted), yes(percent), yes(dots));
        let router = router(&settings, false);
        let address = router.rewrite(Context::Local, &Address::new(text));
        let route = router.resolve(&Address::empty(), &address);
        proptest::prop_assert!(route.is_ok_and(|route| !route.transport.is_empty() && !route.nexthop.is_empty()));
    }
}
