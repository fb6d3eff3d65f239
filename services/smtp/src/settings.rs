//! All parameters of the client, read once at start. smtp and lmtp are one program: most `smtp_…` parameters have an `lmtp_…` twin.

use posthaste_config::ports::Ports;
use posthaste_config::{Config, ConfigError, split_list};
use posthaste_service::Fatal;
use posthaste_smtp_protocol::client::{Discard, Stage};
use posthaste_table::{AddressList, Maps, StringList};
use posthaste_tls::Level;
use std::net::IpAddr;
use std::time::Duration;

/// Which name a host is looked up by (`smtp_host_lookup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLookup {
    /// By the DNS.
    pub dns: bool,
    /// By getaddrinfo's means: hosts file, search list.
    pub native: bool,
}

/// Which addresses come first (`smtp_address_preference`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// As it comes.
    Any,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// `smtp_pix_workarounds`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pix {
    /// HELO instead of EHLO.
    pub disable_esmtp: bool,
    /// Wait before the final dot.
    pub delay_dotcrlf: bool,
}

impl Pix {
    /// From a list of names; unknown ones come back.
    pub fn parse(list: &str) -> Result<Pix, String> {
        let mut pix = Pix::default();
        for word in split_list(list) {
            match word.to_ascii_lowercase().as_str() {
                "disable_esmtp" => pix.disable_esmtp = true,
                "delay_dotcrlf" => pix.delay_dotcrlf = true,
                other => return Err(other.to_owned()),
            }
        }
        Ok(pix)
    }

    /// The workarounds in a list; other words are left out, as the list comes from a table.
    pub fn parse_known(list: &str) -> Pix {
        let has = |name: &str| split_list(list).any(|word| word.eq_ignore_ascii_case(name));
        Pix { disable_esmtp: has("disable_esmtp"), delay_dotcrlf: has("delay_dotcrlf") }
    }

    /// For the log.
    pub fn words(self) -> &'static str {
        match (self.disable_esmtp, self.delay_dotcrlf) {
            (true, true) => "disable_esmtp delay_dotcrlf",
            (true, false) => "disable_esmtp",
            (false, true) => "delay_dotcrlf",
            (false, false) => "",
        }
    }
}

/// `flags=DORX` of the master.cf entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `D`: put `Delivered-To:` in front, and refuse mail that has it already.
    pub delivered_to: bool,
    /// `O`: put `X-Original-To:` in front.
    pub original_to: bool,
    /// `R`: put `Return-Path:` in front.
    pub return_path: bool,
    /// `X`: this is the final delivery.
    pub last: bool,
}

impl Flags {
    /// From the arguments of the master.cf entry.
    pub fn parse(arguments: &[String]) -> Result<Flags, Fatal> {
        let mut flags = Flags::default();
        for argument in arguments {
            let Some(letters) = argument.strip_prefix("flags=") else {
                return Err(Fatal(format!("unknown attribute name: {argument}")));
            };
            for letter in letters.chars() {
                match letter {
                    'D' => flags.delivered_to = true,
                    'O' => flags.original_to = true,
                    'R' => flags.return_path = true,
                    'X' => flags.last = true,
                    other => return Err(Fatal(format!("unknown flag: {other}. Usage: flags=DORX"))),
                }
            }
        }
        Ok(flags)
    }
}

/// Time limits of the conversation.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are those of the parameters")]
pub struct Timeouts {
    pub connect: Duration,
    pub helo: Duration,
    pub starttls: Duration,
    pub xforward: Duration,
    pub mail: Duration,
    pub rcpt: Duration,
    pub data_init: Duration,
    pub data_xfer: Duration,
    pub data_done: Duration,
    pub rset: Duration,
    pub quit: Duration,
}

impl Timeouts {
    /// How long to wait at a stage.
    pub fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Greeting | Stage::Ehlo | Stage::Helo | Stage::Lhlo | Stage::Auth => self.helo,
            Stage::StartTls => self.starttls,
            Stage::XforwardNameAddr | Stage::XforwardProtoHelo => self.xforward,
            Stage::Mail => self.mail,
            Stage::Rcpt => self.rcpt,
            Stage::Data => self.data_init,
            Stage::Body => self.data_xfer,
            Stage::Dot => self.data_done,
            Stage::RsetAbort | Stage::RsetProbe => self.rset,
            Stage::Quit => self.quit,
        }
    }
}

/// Everything.
#[derive(Clone)]
#[allow(missing_docs, reason = "the names are those of the parameters, without smtp_ or lmtp_")]
pub struct Settings {
    pub lmtp: bool,
    pub flags: Flags,
    pub myhostname: String,
    pub helo_name: String,
    pub timeouts: Timeouts,
    pub per_request_deadline: bool,
    pub min_data_rate: u64,
    pub always_send_ehlo: bool,
    pub never_send_ehlo: bool,
    pub skip_5xx_greeting: bool,
    pub skip_quit_response: bool,
    pub line_length_limit: usize,
    pub reply_line_limit: usize,
    pub pix: Pix,
    pub pix_maps: Maps,
    pub pix_threshold: Duration,
    pub pix_delay: Duration,
    pub discard: Discard,
    pub discard_maps: Maps,
    pub reply_filter: Maps,
    pub quote_envelope: bool,
    pub send_xforward: bool,
    pub send_dummy_auth: bool,
    pub assume_final: bool,
    pub verify_target_data: bool,
    pub cache_destinations: Option<StringList>,
    pub cache_on_demand: bool,
    pub cache_time: Duration,
    pub reuse_time: Duration,
    pub reuse_count: u64,
    pub dns_disabled: bool,
    pub dnssec: bool,
    pub host_lookup: HostLookup,
    pub defer_if_no_mx_address: bool,
    pub ignore_mx_lookup_error: bool,
    pub use_srv: Vec<String>,
    pub ignore_srv_lookup_error: bool,
    pub allow_srv_fallback: bool,
    pub preference: Preference,
    pub balance: bool,
    pub randomize: bool,
    pub mx_address_limit: usize,
    pub mx_session_limit: usize,
    pub fallback_relay: Vec<String>,
    pub best_mx_transport: String,
    pub own_addresses: Vec<IpAddr>,
    pub bind4: Option<IpAddr>,
    pub bind6: Option<IpAddr>,
    pub bind_enforce: bool,
    pub tcp_window: u32,
    pub default_port: String,
    pub ports: Ports,
    pub tls_level: Level,
    pub note_starttls_offer: bool,
    pub smtputf8_enable: bool,
    pub cname_overrides: bool,
    pub debug_peers: Option<AddressList>,
}

/// Reads parameters by the name of the program.
struct Reader<'a> {
    config: &'a Config,
    lmtp: bool,
}

impl Reader<'_> {
    fn name<'n>(&self, smtp: &'n str, lmtp: &'n str) -> &'n str {
        if self.lmtp { lmtp } else { smtp }
    }
    fn text(&self, smtp: &str, lmtp: &str) -> Result<String, ConfigError> {
        self.config.text(self.name(smtp, lmtp))
    }
    fn bool(&self, smtp: &str, lmtp: &str) -> Result<bool, ConfigError> {
        self.config.bool(self.name(smtp, lmtp))
    }
    fn time(&self, smtp: &str, lmtp: &str) -> Result<Duration, ConfigError> {
        self.config.time(self.name(smtp, lmtp))
    }
    fn int(&self, smtp: &str, lmtp: &str) -> Result<u64, ConfigError> {
        Ok(u64::try_from(self.config.int(self.name(smtp, lmtp))?).unwrap_or(0))
    }
    fn maps(&self, smtp: &str, lmtp: &str) -> Result<Maps, ConfigError> {
        let name = self.name(smtp, lmtp);
        Ok(Maps::open(name, &self.config.text(name)?, self.config))
    }
    /// One of some words.
    fn choice<T: Copy>(&self, smtp: &str, lmtp: &str, choices: &[(&str, T)]) -> Result<T, Fatal> {
        let name = self.name(smtp, lmtp);
        let value = self.config.text(name)?;
        let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(value.trim()));
        found.map(|(_, choice)| *choice).ok_or_else(|| Fatal(format!("bad \"{name}\" value: {value}")))
    }
}

impl Settings {
    /// From main.cf with the entry's overrides, as `smtp` or as `lmtp`.
    pub fn read(config: &Config, lmtp: bool, arguments: &[String]) -> Result<Settings, Fatal> {
        let r = Reader { config, lmtp };
        let pix_list = r.text("smtp_pix_workarounds", "lmtp_pix_workarounds")?;
        let pix = Pix::parse(&pix_list).map_err(|word| {
            let name = r.name("smtp_pix_workarounds", "lmtp_pix_workarounds");
            Fatal(format!("unknown {name} value \"{word}\" in \"{pix_list}\""))
        })?;
        let destinations = r.text("smtp_connection_cache_destinations", "lmtp_connection_cache_destinations")?;
        let cache_destinations = if destinations.trim().is_empty() {
            None
        } else {
            let title = r.name("smtp_connection_cache_destinations", "lmtp_connection_cache_destinations");
            Some(StringList::open(title, &destinations, config).map_err(|error| Fatal(error.reason))?)
        };
        let (bind4, bind6) = bind_addresses(&r)?;
        let own = config.own_addresses()?.into_iter().map(|own| own.address).chain(config.proxy_addresses()?).collect();
        let host_lookup = host_lookup(&r)?;
        let (dns_disabled, dnssec) = dns_level(&r)?;
        Ok(Settings {
            lmtp,
            flags: Flags::parse(arguments)?,
            myhostname: config.text("myhostname")?,
            helo_name: r.text("smtp_helo_name", "lmtp_lhlo_name")?,
            timeouts: timeouts(&r)?,
            per_request_deadline: r.bool("smtp_per_request_deadline", "lmtp_per_request_deadline")?,
            min_data_rate: r.int("smtp_min_data_rate", "lmtp_min_data_rate")?.max(1),
            always_send_ehlo: lmtp || config.bool("smtp_always_send_ehlo")?,
            never_send_ehlo: !lmtp && config.bool("smtp_never_send_ehlo")?,
            skip_5xx_greeting: r.bool("smtp_skip_5xx_greeting", "lmtp_skip_5xx_greeting")?,
            skip_quit_response: r.bool("smtp_skip_quit_response", "lmtp_skip_quit_response")?,
            line_length_limit: r.int("smtp_line_length_limit", "lmtp_line_length_limit")? as usize,
            reply_line_limit: usize::try_from(config.int("line_length_limit")?).unwrap_or(2048),
            pix,
            pix_maps: r.maps("smtp_pix_workaround_maps", "lmtp_pix_workaround_maps")?,
            pix_threshold: r.time("smtp_pix_workaround_threshold_time", "lmtp_pix_workaround_threshold_time")?,
            pix_delay: r.time("smtp_pix_workaround_delay_time", "lmtp_pix_workaround_delay_time")?,
            discard: Discard::parse(&r.text("smtp_discard_ehlo_keywords", "lmtp_discard_lhlo_keywords")?),
            discard_maps: r.maps("smtp_discard_ehlo_keyword_address_maps", "lmtp_discard_lhlo_keyword_address_maps")?,
            reply_filter: r.maps("smtp_reply_filter", "lmtp_reply_filter")?,
            quote_envelope: r.bool("smtp_quote_rfc821_envelope", "lmtp_quote_rfc821_envelope")?,
            send_xforward: r.bool("smtp_send_xforward_command", "lmtp_send_xforward_command")?,
            send_dummy_auth: r.bool("smtp_send_dummy_mail_auth", "lmtp_send_dummy_mail_auth")?,
            assume_final: lmtp && config.bool("lmtp_assume_final")?,
            verify_target_data: r.choice("smtp_address_verify_target", "lmtp_address_verify_target", &[("rcpt", false), ("data", true)])?,
            cache_destinations,
            cache_on_demand: r.bool("smtp_connection_cache_on_demand", "lmtp_connection_cache_on_demand")?,
            cache_time: r
                .time("smtp_connection_cache_time_limit", "lmtp_connection_cache_time_limit")?
                .min(config.time("connection_cache_ttl_limit")?),
            reuse_time: r.time("smtp_connection_reuse_time_limit", "lmtp_connection_reuse_time_limit")?,
            reuse_count: r.int("smtp_connection_reuse_count_limit", "lmtp_connection_reuse_count_limit")?,
            dns_disabled,
            dnssec,
            host_lookup,
            defer_if_no_mx_address: r.bool("smtp_defer_if_no_mx_address_found", "lmtp_defer_if_no_mx_address_found")?,
            ignore_mx_lookup_error: config.bool("ignore_mx_lookup_error")?,
            use_srv: split_list(&config.text("use_srv_lookup")?).map(str::to_ascii_lowercase).collect(),
            ignore_srv_lookup_error: config.bool("ignore_srv_lookup_error")?,
            allow_srv_fallback: config.bool("allow_srv_lookup_fallback")?,
            preference: r.choice(
                "smtp_address_preference",
                "lmtp_address_preference",
                &[("any", Preference::Any), ("ipv4", Preference::Ipv4), ("ipv6", Preference::Ipv6)],
            )?,
            balance: r.bool("smtp_balance_inet_protocols", "lmtp_balance_inet_protocols")?,
            randomize: r.bool("smtp_randomize_addresses", "lmtp_randomize_addresses")?,
            mx_address_limit: r.int("smtp_mx_address_limit", "lmtp_mx_address_limit")? as usize,
            mx_session_limit: r.int("smtp_mx_session_limit", "lmtp_mx_session_limit")? as usize,
            fallback_relay: split_list(&r.text("smtp_fallback_relay", "lmtp_fallback_relay")?).map(str::to_owned).collect(),
            best_mx_transport: config.text("best_mx_transport")?,
            own_addresses: own,
            bind4,
            bind6,
            bind_enforce: r.bool("smtp_bind_address_enforce", "lmtp_bind_address_enforce")?,
            tcp_window: u32::try_from(config.int("tcp_windowsize")?).unwrap_or(0),
            default_port: r.text("smtp_tcp_port", "lmtp_tcp_port")?,
            ports: Ports::read(config)?,
            tls_level: tls_level(&r)?,
            note_starttls_offer: r.bool("smtp_tls_note_starttls_offer", "lmtp_tls_note_starttls_offer")?,
            smtputf8_enable: config.bool("smtputf8_enable")?,
            cname_overrides: r.bool("smtp_cname_overrides_servername", "lmtp_cname_overrides_servername")?,
            debug_peers: debug_peers(config)?,
        })
    }

    /// Whether this address is ours.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        self.own_addresses.contains(&ip)
    }
}

/// `smtp_dns_resolver_options`: complete short names, search.
pub fn resolver_options(config: &Config, lmtp: bool) -> Result<(bool, bool), Fatal> {
    let r = Reader { config, lmtp };
    let name = r.name("smtp_dns_resolver_options", "lmtp_dns_resolver_options");
    let (mut defnames, mut search) = (false, false);
    let value = config.text(name)?;
    for word in split_list(&value) {
        match word {
            "res_defnames" => defnames = true,
            "res_dnsrch" => search = true,
            other => return Err(Fatal(format!("unknown {name} value \"{other}\" in \"{value}\""))),
        }
    }
    Ok((defnames, search))
}

/// `smtp_dns_reply_filter`.
pub fn dns_reply_filter(config: &Config, lmtp: bool) -> Result<Maps, Fatal> {
    Ok(Reader { config, lmtp }.maps("smtp_dns_reply_filter", "lmtp_dns_reply_filter")?)
}

/// `debug_peer_list`: servers whose conversations are logged.
fn debug_peers(config: &Config) -> Result<Option<AddressList>, Fatal> {
    let value = config.text("debug_peer_list")?;
    if value.trim().is_empty() {
        return Ok(None);
    }
    let parents = config.text("parent_domain_matches_subdomains")?;
    let parents = split_list(&parents).any(|name| name == "debug_peer_list");
    AddressList::open("debug_peer_list", &value, parents, config).map(Some).map_err(|error| Fatal(error.reason))
}

fn timeouts(r: &Reader<'_>) -> Result<Timeouts, ConfigError> {
    Ok(Timeouts {
        connect: r.time("smtp_connect_timeout", "lmtp_connect_timeout")?,
        helo: r.time("smtp_helo_timeout", "lmtp_lhlo_timeout")?,
        starttls: r.time("smtp_starttls_timeout", "lmtp_starttls_timeout")?,
        xforward: r.time("smtp_xforward_timeout", "lmtp_xforward_timeout")?,
        mail: r.time("smtp_mail_timeout", "lmtp_mail_timeout")?,
        rcpt: r.time("smtp_rcpt_timeout", "lmtp_rcpt_timeout")?,
        data_init: r.time("smtp_data_init_timeout", "lmtp_data_init_timeout")?,
        data_xfer: r.time("smtp_data_xfer_timeout", "lmtp_data_xfer_timeout")?,
        data_done: r.time("smtp_data_done_timeout", "lmtp_data_done_timeout")?,
        rset: r.time("smtp_rset_timeout", "lmtp_rset_timeout")?,
        quit: r.time("smtp_quit_timeout", "lmtp_quit_timeout")?,
    })
}

fn dns_level(r: &Reader<'_>) -> Result<(bool, bool), Fatal> {
    let disabled = r.config.bool("disable_dns_lookups")?;
    r.choice(
        "smtp_dns_support_level",
        "lmtp_dns_support_level",
        &[("", (disabled, false)), ("disabled", (true, false)), ("enabled", (false, false)), ("dnssec", (false, true))],
    )
}

fn host_lookup(r: &Reader<'_>) -> Result<HostLookup, Fatal> {
    let name = r.name("smtp_host_lookup", "lmtp_host_lookup");
    let value = r.config.text(name)?;
    let mut lookup = HostLookup { dns: false, native: false };
    for word in split_list(&value) {
        match word.to_ascii_lowercase().as_str() {
            "dns" => lookup.dns = true,
            "native" => lookup.native = true,
            other => return Err(Fatal(format!("unknown {name} value \"{other}\" in \"{value}\""))),
        }
    }
    // Without the DNS, names are found by native means only, whatever this says.
    if dns_level(r)?.0 {
        lookup = HostLookup { dns: false, native: true };
    }
    Ok(lookup)
}

fn tls_level(r: &Reader<'_>) -> Result<Level, Fatal> {
    let name = r.name("smtp_tls_security_level", "lmtp_tls_security_level");
    let value = r.config.text(name)?;
    if let Some(level) = Level::parse(value.trim()) {
        return Ok(level);
    }
    if !value.trim().is_empty() {
        return Err(Fatal(format!("{name}: unknown TLS level \"{value}\"")));
    }
    Ok(match () {
        () if r.bool("smtp_enforce_tls", "lmtp_enforce_tls")? => {
            if r.bool("smtp_tls_enforce_peername", "lmtp_tls_enforce_peername")? {
                Level::Verify
            } else {
                Level::Encrypt
            }
        }
        () if r.bool("smtp_use_tls", "lmtp_use_tls")? => Level::May,
        () => Level::None,
    })
}

/// The addresses to send from: as told, else the only one of `inet_interfaces` of its family, if that is not a loopback address.
fn bind_addresses(r: &Reader<'_>) -> Result<(Option<IpAddr>, Option<IpAddr>), Fatal> {
    let told = |smtp, lmtp, v4: bool| -> Result<Option<IpAddr>, Fatal> {
        let value = r.text(smtp, lmtp)?;
        let text = value.trim().trim_start_matches('[').trim_end_matches(']');
        if text.is_empty() {
            return Ok(None);
        }
        let parsed = text.parse::<IpAddr>().ok().filter(|ip| ip.is_ipv4() == v4);
        parsed.map(Some).ok_or_else(|| Fatal(format!("bad {} parameter: {value}", r.name(smtp, lmtp))))
    };
    let (mut bind4, mut bind6) =
        (told("smtp_bind_address", "lmtp_bind_address", true)?, told("smtp_bind_address6", "lmtp_bind_address6", false)?);
    if !r.config.text("inet_interfaces")?.trim().eq_ignore_ascii_case("all") {
        let own: Vec<IpAddr> = r.config.own_addresses()?.into_iter().map(|own| own.address).collect();
        let only = |v4: bool| {
            let mut of_family = own.iter().filter(|ip| ip.is_ipv4() == v4);
            match (of_family.next(), of_family.next()) {
                (Some(ip), None) if !ip.is_loopback() && !ip.is_unspecified() => Some(*ip),
                _ => None,
            }
        };
        bind4 = bind4.or_else(|| only(true));
        bind6 = bind6.or_else(|| only(false));
    }
    // The unspecified address says: leave it to the kernel, whatever inet_interfaces holds.
    Ok((bind4.filter(|ip| !ip.is_unspecified()), bind6.filter(|ip| !ip.is_unspecified())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_entry() {
        let flags = |text: &str| Flags::parse(&[text.to_owned()]);
        assert_eq!(flags("flags=DR").ok(), Some(Flags { delivered_to: true, return_path: true, ..Flags::default() }));
        assert!(flags("flags=Q").is_err() && flags("user=x").is_err());
    }

    fn read(text: &str, lmtp: bool) -> Result<Settings, Fatal> {
        let config = Config::parse(&format!("myhostname = mail.example.com\ninet_interfaces = loopback-only\n{text}"), "main.cf")?;
        Settings::read(&config, lmtp, &[])
    }

    /// S-LMTP-04, S-CLIENT-04: the twins are read, and the defaults are Postfix's.
    #[test]
    fn smtp_and_lmtp_twins() {
        let text = "smtp_connect_timeout = 7\nlmtp_lhlo_name = other.example\nsmtp_tcp_port = 2525\n";
        let (smtp, lmtp) = (read(text, false).ok().unwrap(), read(text, true).ok().unwrap());
        assert_eq!(smtp.timeouts.connect, Duration::from_secs(7));
        assert_eq!(lmtp.timeouts.connect, Duration::ZERO);
        assert_eq!((smtp.helo_name.as_str(), lmtp.helo_name.as_str()), ("mail.example.com", "other.example"));
        assert_eq!((smtp.default_port.as_str(), lmtp.default_port.as_str()), ("2525", "24"));
        assert_eq!(lmtp.timeouts.data_init, Duration::from_secs(120));
        assert_eq!((smtp.mx_address_limit, smtp.mx_session_limit, smtp.line_length_limit), (5, 2, 998));
    }

    /// S-DNS-13.
    #[test]
    fn dns_levels() {
        assert!(read("disable_dns_lookups = yes\n", false).ok().unwrap().host_lookup.native);
        let enabled = read("disable_dns_lookups = yes\nsmtp_dns_support_level = enabled\n", false).ok().unwrap();
        assert_eq!((enabled.dns_disabled, enabled.host_lookup), (false, HostLookup { dns: true, native: false }));
        assert!(read("smtp_host_lookup = oracle\n", false).is_err());
    }

    #[test]
    fn bad_values_are_fatal_and_name_the_parameter() {
        for (text, part) in [
            ("smtp_pix_workarounds = magic\n", "smtp_pix_workarounds"),
            ("smtp_address_preference = ipx\n", "smtp_address_preference"),
            ("smtp_bind_address = ::1\n", "smtp_bind_address"),
            ("smtp_tls_security_level = total\n", "smtp_tls_security_level"),
        ] {
            let error = read(text, false).err().unwrap().0;
            assert!(error.contains(part), "{error}");
        }
    }
}
