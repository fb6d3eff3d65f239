//! Mail that must not go as long as TLS and SASL are not there: what the configuration says of a destination is obeyed by not sending at all, rather
//! than in the clear or without a password, which the server would answer with a refusal for good.
//!
//! [`crate::session`] sees to `smtp_tls_security_level`; here are the settings for single destinations.

use crate::problem::Problem;
use bstr::{BStr, ByteSlice};
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError};
use posthaste_table::{Maps, TableError};
use posthaste_tls::Level;

/// The settings.
pub struct Protection {
    /// Names that begin with `smtp` or `lmtp`, for reasons.
    program: &'static str,
    policy: Maps,
    per_site: Maps,
    wrappermode: bool,
    /// `smtp_sasl_password_maps`, when `smtp_sasl_auth_enable` is on.
    passwords: Option<Maps>,
    by_sender: bool,
    requiretls: bool,
    /// TLS is there, so that only SASL is looked at.
    tls: bool,
}

impl Protection {
    /// From main.cf. `tls`: a TLS library is in use.
    pub fn open(config: &Config, lmtp: bool, tls: bool) -> Result<Protection, ConfigError> {
        let program = if lmtp { "lmtp" } else { "smtp" };
        let maps = |name: &str| {
            let name = format!("{program}_{name}");
            Ok::<_, ConfigError>(Maps::open(&name, &config.text(&name)?, config))
        };
        let bool = |name: &str| config.bool(&format!("{program}_{name}"));
        Ok(Protection {
            program,
            policy: maps("tls_policy_maps")?,
            per_site: maps("tls_per_site")?,
            wrappermode: bool("tls_wrappermode")?,
            passwords: if bool("sasl_auth_enable")? { Some(maps("sasl_password_maps")?) } else { None },
            by_sender: bool("sender_dependent_authentication")?,
            requiretls: config.bool("requiretls_enable")?,
            tls,
        })
    }

    /// Why mail may not go to this server, if so. `nexthop` is the destination with its port (`[mx.example]:25`), `host` the server's name where it is
    /// known. Blocks for as long as the tables do.
    pub fn refusal(&self, nexthop: &str, host: Option<&str>, sender: &Address, requiretls: bool) -> Option<Problem> {
        match self.look(nexthop, host, sender, requiretls) {
            Ok(None) => None,
            Ok(Some((status, text))) => Some(Problem::local(status, text)),
            Err(error) => Some(Problem::local("4.3.0", error.to_string())),
        }
    }

    fn look(
        &self,
        nexthop: &str,
        host: Option<&str>,
        sender: &Address,
        requiretls: bool,
    ) -> Result<Option<(&'static str, String)>, TableError> {
        const UNAVAILABLE: &str = "but our TLS engine is unavailable";
        let program = self.program;
        let shown = nexthop.rsplit_once(':').map_or(nexthop, |(shown, _)| shown);
        let domain = shown.trim_start_matches('[').trim_end_matches(']');
        if !self.tls {
            if self.wrappermode {
                return Ok(Some(("4.7.5", format!("TLS is required ({program}_tls_wrappermode = yes), {UNAVAILABLE}"))));
            }
            if requiretls && self.requiretls {
                return Ok(Some(("4.7.30", format!("REQUIRETLS was asked for, {UNAVAILABLE}"))));
            }
            if let Some(found) = self.policy_of(nexthop, shown)? {
                let word = found.fields_with(|c| c == ',' || c.is_ascii_whitespace()).next().unwrap_or_default().to_str_lossy();
                match Level::parse(&word) {
                    Some(level) if level.is_mandatory() => {
                        return Ok(Some(("4.7.5", format!("TLS is required ({program}_tls_policy_maps: {word}), {UNAVAILABLE}"))));
                    }
                    Some(_) => {}
                    None => return Ok(Some(("4.7.5", format!("client TLS configuration problem: unknown level {word} for {nexthop}")))),
                }
            }
            for key in [Some(domain), host].into_iter().flatten().filter(|_| !self.per_site.is_empty()) {
                if self.per_site.find(key.into())?.is_some_and(|value| value.trim_ascii().to_ascii_uppercase().starts_with(b"MUST")) {
                    return Ok(Some(("4.7.5", format!("TLS is required ({program}_tls_per_site), {UNAVAILABLE}"))));
                }
            }
        }
        let Some(passwords) = &self.passwords else { return Ok(None) };
        let sender = Some(sender.as_bytes().as_bstr()).filter(|sender| self.by_sender && !sender.is_empty());
        let keys = [sender, host.map(BStr::new), Some(nexthop.into()), Some(shown.into())];
        for key in keys.into_iter().flatten() {
            if passwords.find(key)?.is_some() {
                return Ok(Some((
                    "4.7.0",
                    format!("a password is configured for {nexthop} ({program}_sasl_password_maps), but SASL is unavailable"),
                )));
            }
        }
        Ok(None)
    }

    /// `smtp_tls_policy_maps`: the next hop with and without port, or, for a domain, a parent of it as `.parent`.
    fn policy_of(&self, nexthop: &str, shown: &str) -> Result<Option<bstr::BString>, TableError> {
        if self.policy.is_empty() {
            return Ok(None);
        }
        for key in [nexthop, shown] {
            if let Some(found) = self.policy.find(key.into())? {
                return Ok(Some(found));
            }
        }
        let mut rest = shown;
        while let Some(at) = rest.char_indices().skip(1).find(|(_, c)| *c == '.').map(|(at, _)| at).filter(|_| !shown.starts_with('[')) {
            rest = &rest[at..];
            if let Some(found) = self.policy.find(rest.into())? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(main_cf: &str, nexthop: &str) -> String {
        let config = Config::parse(main_cf, "main.cf").unwrap();
        let protection = Protection::open(&config, false, false).unwrap();
        let problem = protection.refusal(nexthop, Some("mx.example.org"), &Address::new("alice@example.com"), false);
        problem.map_or_else(String::new, |problem| format!("{} {}", problem.dsn.status, problem.dsn.reason))
    }

    /// S-TLS-13: a policy for one destination holds, though there is no TLS.
    #[test]
    fn policies_of_destinations() {
        let policy = "smtp_tls_policy_maps = inline:{ {sec.example = encrypt protocols=TLSv1.3} {[h.example]:587 = secure} {.p.example = verify} {o.example=may} }\n";
        let required = |what: &str| format!("4.7.5 TLS is required (smtp_tls_policy_maps: {what}), but our TLS engine is unavailable");
        assert_eq!(refusal(policy, "sec.example:25"), required("encrypt"));
        assert_eq!(refusal(policy, "[h.example]:587"), required("secure"));
        assert_eq!(refusal(policy, "a.b.p.example:25"), required("verify"));
        for free in [
            "o.example:25",
            "h.example:25",
            "[h.example]:25",
            "p.example:25",
            "x.sec.example:25",
            "[x.p.example]:25",
            "[192.0.2.1]:25",
            ".:25",
        ] {
            assert_eq!(refusal(policy, free), "", "{free}");
        }
        assert_eq!(
            refusal("smtp_tls_policy_maps = static:total\n", "x.example:25"),
            "4.7.5 client TLS configuration problem: unknown level total for x.example:25"
        );
        assert_eq!(refusal("smtp_tls_policy_maps = fail:x\n", "x.example:25").split(' ').next(), Some("4.3.0"));
        assert!(refusal("smtp_tls_per_site = inline:{mx.example.org=MUST_NOPEERMATCH}\n", "x:25").starts_with("4.7.5 TLS is required"));
        assert!(refusal("smtp_tls_wrappermode = yes\n", "x:25").starts_with("4.7.5 TLS is required (smtp_tls_wrappermode"));
    }

    #[test]
    fn passwords() {
        let main_cf = "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = inline:{ {[relay.example]:587=u:p} {mx.example.org=u:p} {alice@example.com=a:b} }\n";
        let refused = "4.7.0 a password is configured for [relay.example]:587 (smtp_sasl_password_maps), but SASL is unavailable";
        assert_eq!(refusal(main_cf, "[relay.example]:587"), refused);
        assert!(refusal(main_cf, "other.example:25").starts_with("4.7.0"), "by the server's name");
        assert_eq!(refusal(&main_cf.replace("{mx.example.org=u:p}", ""), "other.example:25"), "");
        let by_sender = main_cf.replace("{mx.example.org=u:p}", "") + "smtp_sender_dependent_authentication = yes\n";
        assert!(refusal(&by_sender, "other.example:25").starts_with("4.7.0"));
        assert_eq!(refusal(&main_cf.replace("enable = yes", "enable = no"), "[relay.example]:587"), "");
        assert_eq!(refusal("", "x:25"), "");
    }
}
