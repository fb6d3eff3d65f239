//! Access restrictions (SMTPD_ACCESS_README, postconf(5), access(5)): `smtpd_…_restrictions` and the checks built into each command.
//!
//! The lists are parsed and their tables opened once ([`Rules::open`]). [`Rules::check`] evaluates what the engine asks for, in Postfix's order; what
//! an evaluation remembers between two commands (`defer_if_permit` of an earlier stage) is in [`Memory`], which belongs to the session.

mod access;
mod destination;
mod dnslist;
mod eval;
mod expand;
mod hostaccess;
mod hosts;
mod lookup;
mod parse;
mod policy;
mod recipients;
mod reply;
mod unverified;

use crate::mail::Mail;
use bstr::ByteSlice;
use eval::{Evaluation, Outcome};
use parse::{Item, Parser, Restriction, Subject};
use posthaste_config::{Config, ConfigError, split_list};
use posthaste_dns::Resolver;
use posthaste_log::{Logger, warn};
use posthaste_route::{Route, Router};
use posthaste_service::Fatal;
use posthaste_smtp_protocol::server::{Action, Check, Client, Refusal, Session, Verdict};
use posthaste_table::{AddressList, DomainList, Maps};
use recipients::Recipients;
use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

pub use expand::{address_value, client_value, filtered, is_address_name, unescape, unknown_name};
pub use reply::Reject;

/// See [`crate::fuzzing`].
pub fn parse_policy_reply(reply: &[u8]) -> Option<(bstr::BString, usize)> {
    match policy::parse_reply(reply) {
        policy::Reply::Action { action, end } => Some((action.into(), end)),
        policy::Reply::Incomplete | policy::Reply::NoAction => None,
    }
}

/// See [`crate::fuzzing`].
pub fn result_list(answer: &str) -> Vec<String> {
    parse::parse_result(answer, &[]).iter().map(|item| format!("{} {:?}", item.name, item.rule)).collect()
}

/// All that the restrictions need of the configuration.
pub struct Rules {
    client: Vec<Item>,
    helo: Vec<Item>,
    sender: Vec<Item>,
    relay: Vec<Item>,
    recipient: Vec<Item>,
    data: Vec<Item>,
    end_of_data: Vec<Item>,
    etrn: Vec<Item>,
    classes: HashMap<Rc<str>, Rc<[Item]>>,
    class_names: Vec<String>,
    relay_first: bool,
    delay_reject: bool,
    reject_unlisted_recipient: bool,
    reject_unlisted_sender: bool,
    mynetworks: AddressList,
    own_addresses: Vec<IpAddr>,
    mx_backup_networks: AddressList,
    has_mx_backup_networks: bool,
    access_parents: bool,
    delimiters: String,
    owner_request_special: bool,
    null_key: String,
    allow_untrusted_routing: bool,
    show_table_name: bool,
    no_unknown_recipient_checks: bool,
    log_permit: Option<DomainList>,
    recipients: Arc<Recipients>,
    rbl_reply_maps: Arc<Maps>,
    default_rbl_reply: String,
    expansion_filter: Vec<u8>,
    codes: Codes,
    maps_rbl_reject_code: u16,
    double_bounce: String,
    verification: unverified::Verification,
    /// The value of `$stress`, for policy servers.
    stress: String,
    /// The same: `compatibility_level`, `mail_version`.
    compatibility_level: String,
    mail_version: String,
    smtputf8: bool,
    /// `smtpd_sasl_auth_enable`.
    sasl: bool,
    instances: Cell<u32>,
    router: Arc<Router>,
    resolver: Resolver,
    /// For what trivial-rewrite would say.
    log: Logger,
}

/// `…_reject_code` and `…_tempfail_action`.
struct Codes {
    reject: u16,
    defer: u16,
    access_map_reject: u16,
    access_map_defer: u16,
    invalid_hostname: u16,
    non_fqdn: u16,
    unknown_hostname: u16,
    unknown_client: u16,
    unknown_address: u16,
    relay_domains: u16,
    unknown_local: u16,
    unknown_alias: u16,
    unknown_mailbox: u16,
    unknown_relay: u16,
    multi_recipient_bounce: u16,
    plaintext: u16,
    unknown_address_defers: bool,
    unknown_helo_defers: bool,
}

/// What checks remember for later ones of the same session.
#[derive(Default)]
pub struct Memory {
    client: Option<Reject>,
    helo: Option<Reject>,
    sender: Option<Reject>,
    /// Where the present sender would be sent, from MAIL on.
    sender_route: Option<Route>,
    /// That could not be found out: a table failed.
    sender_unresolved: bool,
    /// Where the recipient of the present RCPT would be sent.
    recipient_route: Option<Route>,
    /// That could not be found out: a table failed.
    recipient_unresolved: bool,
    /// Names the present message for policy servers; empty until one is asked.
    instance: String,
}

/// The result of a check.
pub struct Checked {
    /// For the engine.
    pub verdict: Verdict,
    /// For the transaction.
    pub actions: Vec<Action>,
    /// Notice bits of what was only warned of.
    pub trouble: u8,
}

const NEED_PROTECTION: &str = "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance of: \
    reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or check_relay_domains";

impl Rules {
    /// Parses the lists and opens the tables. Fatal when nothing keeps strangers from relaying.
    pub fn open(config: &Config, router: Arc<Router>, resolver: Resolver, log: Logger) -> Result<Rules, Fatal> {
        let mut parser = Parser::new(config)?;
        let relay = parser.parameter("smtpd_relay_restrictions")?;
        let recipient = parser.parameter("smtpd_recipient_restrictions")?;
        let classes = parser.classes()?;
        let ignored = |next: &str, permit: &str| warn!(log, "restriction `{next}' after `{permit}' is ignored");
        if ![&recipient, &relay].into_iter().any(|list| parse::protects_relay(list, &classes, eval::MAX_DEPTH, &ignored)) {
            return Err(Fatal(NEED_PROTECTION.into()));
        }
        let parents = config.text("parent_domain_matches_subdomains")?;
        let has_parents = |list: &str| split_list(&parents).any(|word| word == list);
        let address_list = |name: &str| -> Result<AddressList, Fatal> {
            AddressList::open(name, &config.text(name)?, has_parents(name), config).map_err(|error| Fatal(error.reason))
        };
        let code = |name: &str| -> Result<u16, ConfigError> { Ok(u16::try_from(config.int(name)?).unwrap_or(0)) };
        let defers = |name: &str| -> Result<bool, Fatal> {
            let value = config.text(name)?;
            unverified::at_once(&value).ok_or_else(|| Fatal(format!("bad configuration: {name} = {value}")))
        };
        let permit_actions = config.text("smtpd_log_access_permit_actions")?;
        let log_permit = match permit_actions.is_empty() {
            true => None,
            false => Some(
                DomainList::open("smtpd_log_access_permit_actions", &permit_actions, false, config).map_err(|error| Fatal(error.reason))?,
            ),
        };
        let overrides = config.text("receive_override_options")?;
        Ok(Rules {
            client: parser.parameter("smtpd_client_restrictions")?,
            helo: parser.parameter("smtpd_helo_restrictions")?,
            sender: parser.parameter("smtpd_sender_restrictions")?,
            relay,
            recipient,
            data: parser.parameter("smtpd_data_restrictions")?,
            end_of_data: parser.parameter("smtpd_end_of_data_restrictions")?,
            etrn: parser.parameter("smtpd_etrn_restrictions")?,
            classes,
            class_names: split_list(&config.text("smtpd_restriction_classes")?).map(str::to_owned).collect(),
            relay_first: config.bool("smtpd_relay_before_recipient_restrictions")?,
            delay_reject: config.bool("smtpd_delay_reject")?,
            reject_unlisted_recipient: config.bool("smtpd_reject_unlisted_recipient")?,
            reject_unlisted_sender: config.bool("smtpd_reject_unlisted_sender")?,
            mynetworks: address_list("mynetworks")?,
            own_addresses: config.own_addresses()?.into_iter().map(|entry| entry.address).chain(config.proxy_addresses()?).collect(),
            mx_backup_networks: address_list("permit_mx_backup_networks")?,
            has_mx_backup_networks: !config.text("permit_mx_backup_networks")?.is_empty(),
            access_parents: has_parents("smtpd_access_maps"),
            delimiters: config.text("recipient_delimiter")?,
            owner_request_special: config.bool("owner_request_special")?,
            null_key: config.text("smtpd_null_access_lookup_key")?,
            allow_untrusted_routing: config.bool("allow_untrusted_routing")?,
            show_table_name: config.bool("show_user_unknown_table_name")?,
            no_unknown_recipient_checks: split_list(&overrides).any(|word| word == "no_unknown_recipient_checks"),
            log_permit,
            recipients: Arc::new(Recipients::open(config, Arc::clone(&router))?),
            rbl_reply_maps: Arc::new(Maps::open("rbl_reply_maps", &config.text("rbl_reply_maps")?, config)),
            default_rbl_reply: config.text("default_rbl_reply")?,
            expansion_filter: expand::unescape(&config.text("smtpd_expansion_filter")?),
            codes: Codes {
                reject: code("reject_code")?,
                defer: code("defer_code")?,
                access_map_reject: code("access_map_reject_code")?,
                access_map_defer: code("access_map_defer_code")?,
                invalid_hostname: code("invalid_hostname_reject_code")?,
                non_fqdn: code("non_fqdn_reject_code")?,
                unknown_hostname: code("unknown_hostname_reject_code")?,
                unknown_client: code("unknown_client_reject_code")?,
                unknown_address: code("unknown_address_reject_code")?,
                relay_domains: code("relay_domains_reject_code")?,
                unknown_local: code("unknown_local_recipient_reject_code")?,
                unknown_alias: code("unknown_virtual_alias_reject_code")?,
                unknown_mailbox: code("unknown_virtual_mailbox_reject_code")?,
                unknown_relay: code("unknown_relay_recipient_reject_code")?,
                multi_recipient_bounce: code("multi_recipient_bounce_reject_code")?,
                plaintext: code("plaintext_reject_code")?,
                unknown_helo_defers: defers("unknown_helo_hostname_tempfail_action")?,
                unknown_address_defers: defers("unknown_address_tempfail_action")?,
            },
            maps_rbl_reject_code: code("maps_rbl_reject_code")?,
            verification: unverified::Verification::open(config, &router)?,
            stress: config.lookup("stress")?.unwrap_or_default(),
            compatibility_level: config.text("compatibility_level")?,
            mail_version: config.text("mail_version")?,
            smtputf8: config.bool("smtputf8_enable")?,
            sasl: config.bool("smtpd_sasl_auth_enable")?,
            instances: Cell::new(0),
            double_bounce: config.text("double_bounce_sender")?,
            router,
            resolver,
            log,
        })
    }

    /// The final reply. Without `smtputf8_enable` it has no bytes outside ASCII.
    fn refusal(&self, reject: Reject) -> Refusal {
        let mut refusal = reject.into_refusal(&self.log);
        if !self.smtputf8 {
            refusal.reply = refusal.reply.bytes().map(|c| if c.is_ascii() { char::from(c) } else { ' ' }).collect();
        }
        refusal
    }

    /// The clients that may relay.
    pub fn mynetworks(&self) -> &AddressList {
        &self.mynetworks
    }

    /// Whether the address is one of this host.
    pub fn is_own_address(&self, ip: Option<IpAddr>) -> bool {
        ip.is_some_and(|ip| self.own_addresses.contains(&ip))
    }

    /// Whether a table has the client's address, whatever it says of it.
    pub fn in_client_table(&self, maps: &Maps, client: &Client) -> bool {
        matches!(maps.find(client.address.as_bstr()), Ok(Some(_)))
    }

    /// Makes a check for the engine.
    pub async fn check(&self, check: Check, session: &Session<Mail>, memory: &mut Memory) -> Checked {
        let mut evaluation = Evaluation::new(self, session, std::mem::take(memory));
        let outcome = self.stage(check, &mut evaluation).await;
        let trouble = evaluation.trouble;
        let (verdict, actions) = evaluation.finish(outcome, memory);
        Checked { verdict, actions, trouble }
    }

    async fn stage(&self, check: Check, evaluation: &mut Evaluation<'_>) -> Outcome {
        if evaluation.session.transaction().is_none() {
            // That of a MAIL that was refused.
            (evaluation.memory.sender_route, evaluation.memory.sender_unresolved) = (None, false);
        }
        let discarded = evaluation.session.transaction().is_some_and(|transaction| transaction.actions.contains(&Action::Discard));
        match check {
            // Whoever it is for, it will be thrown away.
            Check::Recipient | Check::Data | Check::EndOfMessage if discarded => Outcome::Discard,
            // RFC 5321 §4.5.1: whatever the lists say. And who verifies the sender of our probes shall find it to exist.
            Check::Recipient if evaluation.to_postmaster() || evaluation.to_probe_sender() => Outcome::Permit,
            Check::Connect => {
                let outcome = evaluation.list(&self.client, Subject::Client).await;
                evaluation.memory.client = evaluation.defer_if_permit.clone();
                evaluation.keep_deferral(outcome)
            }
            Check::Helo => {
                evaluation.recall(&[Subject::Client]);
                let outcome = evaluation.list(&self.helo, Subject::Helo).await;
                evaluation.memory.helo = evaluation.defer_if_permit.clone();
                evaluation.keep_deferral(outcome)
            }
            Check::SenderAddress => {
                evaluation.memory.instance.clear();
                evaluation.sender_address().await
            }
            Check::RecipientAddress => {
                let outcome = evaluation.recipient_address().await;
                evaluation.memory.recipient_route = evaluation.route.take();
                outcome
            }
            Check::Mail => {
                if self.delay_reject {
                    return Outcome::Dunno;
                }
                evaluation.recall(&[Subject::Client, Subject::Helo]);
                let mut outcome = evaluation.list(&self.sender, Subject::Sender).await;
                if !outcome.ends() && self.reject_unlisted_sender && !evaluation.sender_checked {
                    outcome = evaluation.reject_unlisted_sender().await;
                }
                evaluation.memory.sender = evaluation.defer_if_permit.clone();
                evaluation.keep_deferral(outcome)
            }
            Check::Recipient => {
                evaluation.route = evaluation.memory.recipient_route.take();
                self.recipient_stage(evaluation).await
            }
            Check::Verify => {
                let outcome = evaluation.recipient_address().await;
                if outcome.ends() || discarded || evaluation.to_postmaster() {
                    return outcome;
                }
                self.recipient_stage(evaluation).await
            }
            Check::Data => self.late_stage(evaluation, &self.data, Subject::Data).await,
            Check::EndOfMessage => self.late_stage(evaluation, &self.end_of_data, Subject::EndOfData).await,
            Check::Etrn => {
                if self.delay_reject {
                    for (list, subject) in [(&self.client, Subject::Client), (&self.helo, Subject::Helo)] {
                        evaluation.begin_stage();
                        let outcome = evaluation.list(list, subject).await;
                        if outcome.ends() {
                            return outcome;
                        }
                    }
                } else {
                    evaluation.recall(&[Subject::Client, Subject::Helo]);
                }
                evaluation.begin_stage();
                evaluation.list(&self.etrn, Subject::Etrn).await
            }
        }
    }

    /// DATA and end of data: the recipient counts if there is only one.
    async fn late_stage(&self, evaluation: &mut Evaluation<'_>, list: &[Item], subject: Subject) -> Outcome {
        if !list.is_empty() {
            evaluation.recipient_address().await;
        }
        evaluation.list(list, subject).await
    }

    async fn recipient_stage(&self, evaluation: &mut Evaluation<'_>) -> Outcome {
        if self.delay_reject {
            for (list, subject) in [(&self.client, Subject::Client), (&self.helo, Subject::Helo), (&self.sender, Subject::Sender)] {
                // A client that did not say HELO is not judged by it, nor by its sender before MAIL (VRFY).
                let unknown = match subject {
                    Subject::Helo => evaluation.session.helo().is_none(),
                    Subject::Sender => evaluation.session.transaction().is_none(),
                    _ => false,
                };
                if unknown {
                    // As in Postfix: what is pending goes from list to list, and the recipient's lists get what the sender's left.
                    if subject == Subject::Sender {
                        evaluation.defer_if_permit = None;
                    }
                    continue;
                }
                evaluation.begin_stage();
                let outcome = evaluation.list(list, subject).await;
                if outcome.ends() {
                    return outcome;
                }
            }
            if self.reject_unlisted_sender && !evaluation.sender_checked {
                let outcome = evaluation.reject_unlisted_sender().await;
                if outcome.ends() {
                    return outcome;
                }
            }
        } else {
            evaluation.recall(&[Subject::Client, Subject::Helo, Subject::Sender]);
        }
        evaluation.begin_stage();
        let lists = if self.relay_first { [&self.relay, &self.recipient] } else { [&self.recipient, &self.relay] };
        for list in lists {
            let outcome = evaluation.list(list, Subject::Recipient).await;
            if outcome.ends() {
                return outcome;
            }
        }
        // Whether there is such a recipient is for later when it is deferred anyhow.
        if self.reject_unlisted_recipient && !evaluation.recipient_checked && evaluation.defer_if_permit.is_none() {
            return evaluation.reject_unlisted_recipient().await;
        }
        Outcome::Dunno
    }

    /// Says once per start what in the lists will never do what its author thinks.
    pub fn warn_of_faults(&self) {
        for item in [&self.client, &self.helo, &self.sender, &self.relay, &self.recipient, &self.data, &self.end_of_data, &self.etrn]
            .into_iter()
            .flatten()
            .chain(self.classes.values().flat_map(|list| list.iter()))
        {
            match &item.rule {
                Restriction::Obsolete(text) => warn!(self.log, "{text}"),
                Restriction::Braced(text) => {
                    let inner = text.trim_start_matches('{').trim_end_matches('}');
                    let word = split_list(inner).next().unwrap_or_default();
                    warn!(self.log, "expected maptype:mapname instead of '{word}'");
                    warn!(self.log, "malformed map specification: '{text}'");
                }
                _ => {}
            }
        }
    }
}
