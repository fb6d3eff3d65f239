//! Requests for delivery now.

use posthaste_config::{Config, ConfigError, system_reason};
use posthaste_ipc::flush::{Answer, Request};
use posthaste_ipc::{frame, trigger};
use posthaste_log::{Logger, warn};
use posthaste_queue::QueueId;
use posthaste_table::{DomainList, ListFault};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

const DOWN: &str = "Cannot flush mail queue - mail system is down";
/// To the queue manager: forget dead destinations, ignore time stamps, scan what is deferred and what came in.
const FLUSH: &[u8] = b"FADI";

fn bad(error: &ConfigError) -> String {
    error.to_string()
}

fn socket(config: &Config, parameter: &str) -> Result<PathBuf, String> {
    Ok(config.queue_directory().join("public").join(config.text(parameter).map_err(|error| bad(&error))?))
}

/// `-f`
pub fn all(config: &Config) -> Result<(), String> {
    let timeout = config.time("trigger_timeout").map_err(|error| bad(&error))?;
    // Mail that is still in maildrop is queued mail too; and the lists of the flush service are of no use once everything is tried. That one of
    // them is not there does not keep the other mail.
    let _ = trigger::send(&socket(config, "pickup_service_name")?, b"W", timeout);
    let _ = ask(config, &Request::Purge);
    trigger::send(&socket(config, "queue_service_name")?, FLUSH, timeout).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => DOWN.into(),
        _ => format!("Cannot flush mail queue: {}", system_reason(&error)),
    })
}

/// `-i`
pub fn file(config: &Config, id: QueueId, log: &Logger) -> Result<(), String> {
    match ask(config, &Request::File(id.clone())) {
        Ok(Answer::Ok) => Ok(()),
        Ok(Answer::Refused) => Err(format!("Cannot flush queue ID - invalid name: \"{id}\"")),
        Ok(Answer::Failed) => Err("Unexpected flush service failure".into()),
        Err(error) => Err(down(config, &error, log)),
    }
}

/// `-s`
pub fn site(config: &Config, site: &str, log: &Logger) -> Result<(), String> {
    if !is_site(site) {
        return Err(format!("Cannot flush mail queue - invalid destination: \"{site}\""));
    }
    let refused = || format!("Flush service is not configured for destination \"{site}\"");
    let name = "fast_flush_domains";
    let domains = config.text(name).map_err(|error| bad(&error))?;
    let subdomains = config.text("parent_domain_matches_subdomains").map_err(|error| bad(&error))?;
    let parents = posthaste_config::split_list(&subdomains).any(|listed| listed == name);
    match DomainList::ask(name, &domains, parents, site.into(), config) {
        Ok(true) if !site.starts_with('[') => {}
        Ok(_) => return Err(refused()),
        Err(ListFault::Open(text)) => return Err(text),
        Err(ListFault::Lookup(text)) => {
            warn!(log, "{text}");
            return Err(DOWN.into());
        }
    }
    match ask(config, &Request::Site(site.into())) {
        Ok(Answer::Ok) => Ok(()),
        Ok(Answer::Refused) => Err(refused()),
        Ok(Answer::Failed) => Err("Unexpected flush service failure".into()),
        Err(error) => Err(down(config, &error, log)),
    }
}

fn down(config: &Config, error: &io::Error, log: &Logger) -> String {
    let service = config.text("flush_service_name").unwrap_or_default();
    warn!(log, "connect to public/{service}: {}", system_reason(error));
    DOWN.into()
}

fn ask(config: &Config, request: &Request) -> io::Result<Answer> {
    let path = socket(config, "flush_service_name").map_err(io::Error::other)?;
    let mut stream = UnixStream::connect(path)?;
    let timeout = config.time("ipc_timeout").ok().filter(|time| !time.is_zero());
    stream.set_read_timeout(timeout)?;
    let mut text = Vec::new();
    frame::put(&mut text, Request::FRAME, 1, request).map_err(io::Error::other)?;
    stream.write_all(&text)?;
    match frame::Reader::new(stream).receive()? {
        Some((kind @ Answer::FRAME, request, payload)) => {
            frame::Frame { kind, request, payload: &payload }.value().map_err(io::Error::other)
        }
        _ => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// A host or domain name, or an address literal of RFC 5321.
fn is_site(site: &str) -> bool {
    if let Some(address) = site.strip_prefix('[') {
        let Some(address) = address.strip_suffix(']') else { return false };
        return match address.get(..5) {
            Some(prefix) if prefix.eq_ignore_ascii_case("IPv6:") => address[5..].parse::<Ipv6Addr>().is_ok(),
            _ => address.parse::<Ipv4Addr>().is_ok(),
        };
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_') || !c.is_ascii())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    site.len() <= 255 && site.split('.').all(label) && !site.bytes().all(|c| c.is_ascii_digit() || c == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites() {
        for good in ["example.org", "bad_domain", "x", "[1.2.3.4]", "[IPv6:2001:db8::1]", "bücher.example"] {
            assert!(is_site(good), "{good}");
        }
        for bad in ["", "a b", "a..b", ".a", "[1.2.3]", "[1.2.3.4", "[2001:db8::1]", "-a.b", "a/b", &"a.".repeat(200)] {
            assert!(!is_site(bad), "{bad}");
        }
    }

    // S-CMD-23
    #[test]
    fn only_destinations_in_fast_flush_domains() {
        let config = Config::parse("fast_flush_domains = example.org\nqueue_directory = /nonexistent\n", "main.cf").unwrap();
        let log = Logger::new("postqueue");
        let answer = |name: &str| site(&config, name, &log).unwrap_err();
        assert_eq!(answer("example.com"), "Flush service is not configured for destination \"example.com\"");
        assert_eq!(answer(""), "Cannot flush mail queue - invalid destination: \"\"");
        assert_eq!(answer("example.org"), "Cannot flush mail queue - mail system is down");
        assert_eq!(answer("sub.example.org"), "Cannot flush mail queue - mail system is down");
        assert_eq!(all(&config).unwrap_err(), "Cannot flush mail queue - mail system is down");
    }
}
