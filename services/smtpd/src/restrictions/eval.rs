//! The evaluation of one list after the other, with what they share: deferrals, `warn_if_reject`, actions.

use super::parse::{Item, Restriction, Subject};
use super::reply::Reject;
use super::{Memory, Rules, parse};
use crate::mail::Mail;
use bstr::{BStr, BString, ByteSlice};
use posthaste_log::{info, warn};
use posthaste_route::Route;
use posthaste_smtp_protocol::server::{Action, Session, Verdict, notice};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What a restriction or a list came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: go on.
    Dunno,
    /// This list permits.
    Permit,
    /// The message will be thrown away: nothing more is looked at.
    Discard,
    /// Refused; no more lists.
    Reject(Reject),
    /// The address is no address.
    BadAddress,
    /// `HANGUP`.
    HangUp,
}

impl Outcome {
    /// Whether no further list is looked at.
    pub fn ends(&self) -> bool {
        !matches!(self, Outcome::Dunno | Outcome::Permit)
    }
}

/// One check being evaluated.
pub struct Evaluation<'a> {
    pub rules: &'a Rules,
    pub session: &'a Session<Mail>,
    pub memory: Memory,
    pub actions: Vec<Action>,
    /// Turns a permit into this.
    pub defer_if_permit: Option<Reject>,
    /// Turns a reject into this.
    pub defer_if_reject: Option<Reject>,
    /// The next restriction only warns. Counts, because it may be a class or a table whose result is a list.
    warn_depth: u32,
    /// Notice bits of the refusals that were only warned of.
    pub trouble: u8,
    depth: u32,
    /// What the parameter under evaluation is about, whatever a table in it looked up.
    about: Subject,
    pub sender_checked: bool,
    pub recipient_checked: bool,
    /// Where the recipient would be sent.
    pub route: Option<Route>,
}

/// Tables may lead to lists that lead to tables; deeper than this is a mistake.
pub const MAX_DEPTH: u32 = 100;

impl<'a> Evaluation<'a> {
    pub fn new(rules: &'a Rules, session: &'a Session<Mail>, memory: Memory) -> Evaluation<'a> {
        Evaluation {
            rules,
            session,
            memory,
            actions: Vec::new(),
            defer_if_permit: None,
            defer_if_reject: None,
            warn_depth: 0,
            trouble: 0,
            depth: 0,
            about: Subject::Client,
            sender_checked: false,
            recipient_checked: false,
            route: None,
        }
    }

    /// The verdict, and what later checks are to remember.
    pub fn finish(self, outcome: Outcome, memory: &mut Memory) -> (Verdict, Vec<Action>) {
        *memory = self.memory;
        let refuse = |reject: Reject| Verdict::Refuse(self.rules.refusal(reject));
        let verdict = match outcome {
            Outcome::Dunno | Outcome::Permit | Outcome::Discard => match self.defer_if_permit {
                Some(reject) => refuse(reject),
                None => Verdict::Accept,
            },
            Outcome::Reject(reject) => refuse(reject),
            Outcome::BadAddress => Verdict::BadAddress,
            Outcome::HangUp => Verdict::HangUp,
        };
        (verdict, self.actions)
    }

    /// A stage before RCPT: its deferral counts later, not now.
    pub fn keep_deferral(&mut self, outcome: Outcome) -> Outcome {
        self.defer_if_permit = None;
        outcome
    }

    /// Takes up the deferrals of earlier stages.
    pub fn recall(&mut self, stages: &[Subject]) {
        for stage in stages {
            let kept = match stage {
                Subject::Client => &self.memory.client,
                Subject::Helo => &self.memory.helo,
                _ => &self.memory.sender,
            };
            if self.defer_if_permit.is_none() {
                self.defer_if_permit.clone_from(kept);
            }
        }
    }

    /// Evaluates a list; `subject` is what `reject` and the like complain about.
    pub async fn list(&mut self, list: &[Item], subject: Subject) -> Outcome {
        if self.depth == 0 {
            self.about = subject;
        }
        for (at, item) in list.iter().enumerate() {
            if matches!(item.rule, Restriction::WarnIfReject) {
                if self.warn_depth == 0 {
                    self.warn_depth = self.depth + 1;
                }
                continue;
            }
            let outcome = self.one(item, subject).await;
            if self.warn_depth == self.depth + 1 {
                self.warn_depth = 0;
            }
            if outcome != Outcome::Dunno {
                let ends_all = matches!(item.rule, Restriction::Permit | Restriction::Reject | Restriction::Defer);
                if ends_all && let Some(next) = list.get(at + 1) {
                    warn!(self.rules.log, "restriction `{}' after `{}' is ignored", next.name, item.name.to_ascii_lowercase());
                }
                return outcome;
            }
            // The list that follows has its say all the same.
            if self.deferred_either_way() {
                break;
            }
        }
        Outcome::Dunno
    }

    /// Begins the checks of a command. What a failed permit-type test of an earlier command's checks left does not concern these.
    pub fn begin_stage(&mut self) {
        self.defer_if_reject = None;
    }

    /// Whether what is left of the list no longer matters: permit and reject would both be deferrals.
    fn deferred_either_way(&self) -> bool {
        self.defer_if_reject.is_some() && self.defer_if_permit.is_some()
    }

    /// A list inside a list: a class, or the result of a table.
    ///
    /// `source` names it in the log, should it lead to itself.
    pub fn nested<'b>(
        &'b mut self,
        list: &'b [Item],
        subject: Subject,
        source: fmt::Arguments<'b>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + 'b>> {
        Box::pin(async move {
            if self.depth >= MAX_DEPTH {
                warn!(self.rules.log, "{source} causes unreasonable recursion");
                return self.misconfigured();
            }
            self.depth += 1;
            let outcome = self.list(list, subject).await;
            self.depth -= 1;
            outcome
        })
    }

    async fn one(&mut self, item: &Item, subject: Subject) -> Outcome {
        use Restriction as R;
        let codes = &self.rules.codes;
        match &item.rule {
            R::WarnIfReject | R::Obsolete(_) => Outcome::Dunno,
            R::Skipped(text) => {
                warn!(self.rules.log, "{text}");
                Outcome::Dunno
            }
            R::Permit => self.permit(&item.name, subject),
            R::Reject => self.reject_subject(subject, codes.reject, "5.7.1", "Access denied"),
            R::Defer => self.reject_subject(subject, codes.defer, "4.3.2", "Try again later"),
            R::DeferIfPermit => {
                let reject = Reject::new(450, "4.7.0", self.name_of(subject).as_bstr(), subject.class(), "defer_if_permit requested");
                self.defer_if_permit(reject);
                Outcome::Dunno
            }
            R::DeferIfReject => {
                let reject = Reject::new(450, "4.7.0", self.name_of(subject).as_bstr(), subject.class(), "defer_if_reject requested");
                self.defer_if_reject(reject);
                Outcome::Dunno
            }
            R::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Outcome::Dunno
            }
            // Boxed, so that lists in lists take little stack.
            R::Access(what, maps) => Box::pin(self.access(*what, maps)).await,
            R::HostAccess(what, hosts, maps) => Box::pin(self.host_access(*what, *hosts, maps, &item.name)).await,
            R::BareTable(maps) if matches!(self.about, Subject::Data | Subject::EndOfData) => {
                warn!(
                    self.rules.log,
                    "specify one of (check_client_access, check_reverse_client_hostname_access, check_helo_access, check_sender_access, \
                     check_recipient_access, check_etrn_access) before {} restriction \"{}\"",
                    subject.class(),
                    maps.title()
                );
                self.misconfigured()
            }
            R::BareTable(maps) => Box::pin(self.access(self.about, maps)).await,
            R::TableInTable => {
                warn!(self.rules.log, "do not specify lookup tables inside SMTPD access maps");
                warn!(self.rules.log, "define a restriction class and specify its name instead.");
                self.misconfigured()
            }
            R::CertificateAccess => {
                warn!(self.rules.log, "{} is requested, but \"smtpd_tls_ask_ccert = no\"", item.name);
                Outcome::Dunno
            }
            R::SaslAccess => {
                warn!(self.rules.log, "restriction `{}' ignored: no SASL support", item.name);
                Outcome::Dunno
            }
            R::PermitAuthDestination => match self.authorized_destination() {
                Ok(true) => self.permit("permit_auth_destination", subject),
                Ok(false) => Outcome::Dunno,
                Err(outcome) => outcome,
            },
            R::RejectUnauthDestination { defer } => self.reject_unauth_destination(*defer),
            R::PermitInetInterfaces => {
                if self.rules.is_own_address(self.session.client().peer) {
                    self.permit("permit_inet_interfaces", subject)
                } else {
                    Outcome::Dunno
                }
            }
            R::PermitMynetworks => {
                let client = self.session.client();
                match self.rules.mynetworks.matches(client.name.as_bstr(), client.address.as_bstr()) {
                    Ok(true) => self.permit("permit_mynetworks", subject),
                    Ok(false) => Outcome::Dunno,
                    Err(_) => {
                        let reject = self.temporary_lookup_failure(self.name_of(subject).as_bstr());
                        self.reject(reject)
                    }
                }
            }
            R::PermitMxBackup => Box::pin(self.permit_mx_backup()).await,
            // A login that a proxy tells of counts only where clients could log in themselves.
            R::PermitSaslAuthenticated => match self.session.login().filter(|_| self.rules.sasl) {
                Some(_) => self.permit(&item.name, subject),
                None => Outcome::Dunno,
            },
            // There are no certificates yet.
            R::PermitTlsClientCerts => Outcome::Dunno,
            R::SenderLogin(names) => {
                for name in *names {
                    warn!(self.rules.log, "restriction `{name}' ignored: no SASL support");
                }
                Outcome::Dunno
            }
            R::RejectPlaintextSession => self.reject(Reject::plain(codes.plaintext, "4.7.1 Session encryption is required")),
            R::RejectInvalidHelo => self.reject_invalid_helo(),
            R::RejectNonFqdn(what) => self.reject_non_fqdn(*what),
            R::RejectUnknownHelo => Box::pin(self.reject_unknown_helo()).await,
            R::RejectUnknownClient => self.reject_unknown_client(),
            R::RejectUnknownReverseClient => self.reject_unknown_reverse_client(),
            R::RejectUnknownDomain(what) => Box::pin(self.reject_unknown_domain(*what)).await,
            R::RejectMultiRecipientBounce => {
                let Some(transaction) = self.session.transaction() else { return Outcome::Dunno };
                let recipients = transaction.recipients + u32::from(self.session.candidate().is_some());
                if transaction.sender.is_empty() && recipients > 1 {
                    return self.reject_subject(subject, codes.multi_recipient_bounce, "5.5.3", "Multi-recipient bounce");
                }
                Outcome::Dunno
            }
            R::RejectUnauthPipelining => {
                let early = !self.session.pending_input().is_empty();
                // What follows BDAT is its chunk; as in Postfix that counts after EHLO only.
                let may = self.session.esmtp() && matches!(self.session.place(), "MAIL" | "RCPT" | "BDAT");
                if early && !may {
                    return self.reject_subject(subject, 503, "5.5.0", "Improper use of SMTP command pipelining");
                }
                Outcome::Dunno
            }
            R::RejectUnlisted(Subject::Sender) => {
                // One that only warns leaves the check that no parameter lists (smtpd_reject_unlisted_sender) to be made.
                self.sender_checked |= self.warn_depth == 0;
                Box::pin(self.reject_unlisted_sender()).await
            }
            R::RejectUnlisted(_) => {
                self.recipient_checked |= self.warn_depth == 0;
                Box::pin(self.reject_unlisted_recipient()).await
            }
            R::RejectDnsListAddress(list) => Box::pin(self.reject_address_list(list)).await,
            R::PermitDnsListAddress(list) => Box::pin(self.permit_address_list(list)).await,
            R::RejectDnsList(what, list) => Box::pin(self.reject_name_list(*what, list)).await,
            R::PermitDnsList(what, list) => Box::pin(self.permit_name_list(*what, list)).await,
            R::RejectUnverified(what) => Box::pin(self.reject_unverified(*what)).await,
            R::Policy(policy) => Box::pin(self.policy(policy, subject)).await,
            R::Class(name) => match self.rules.classes.get(name) {
                Some(list) => self.nested(list, subject, format_args!("restriction class {name}")).await,
                None => Outcome::Dunno,
            },
            R::Unknown(name) | R::Braced(name) => {
                warn!(self.rules.log, "unknown smtpd restriction: \"{name}\"");
                self.misconfigured()
            }
            R::Broken(text) => {
                warn!(self.rules.log, "{text}");
                self.misconfigured()
            }
        }
    }

    /// A fault of the lists. It is not softened by `warn_if_reject`: what the list means is not known.
    pub fn misconfigured(&self) -> Outcome {
        Outcome::Reject(Reject::plain(451, "4.3.5 Server configuration error").software())
    }

    /// Permits, with a log line if `smtpd_log_access_permit_actions` wants one.
    pub fn permit(&self, action: &str, subject: Subject) -> Outcome {
        self.permit_from(action, subject, "")
    }

    /// As [`Evaluation::permit`]; `source` is ` from TABLE` where a table said so.
    pub fn permit_from(&self, action: &str, subject: Subject, source: &str) -> Outcome {
        if let Some(actions) = &self.rules.log_permit
            && actions.matches(BStr::new(action.as_bytes())).unwrap_or(false)
        {
            let text = format!("action={action} for {}={} {source}", subject.class(), self.name_of(subject));
            info!(self.rules.log, "{}", self.session.describe("permit", self.session.place(), &text));
        }
        Outcome::Permit
    }

    /// `CODE DSN <NAME>: CLASS rejected: TEXT`.
    pub fn reject_subject(&mut self, subject: Subject, code: u16, dsn: &str, text: &str) -> Outcome {
        let name = self.name_of(subject);
        self.reject(Reject::new(code, dsn, name.as_bstr(), subject.class(), text))
    }

    /// Refuses, or under `warn_if_reject` says that it would. A 5xx after a failed permit-type test becomes the deferral that the test left.
    pub fn reject(&mut self, reject: Reject) -> Outcome {
        if self.warn_depth > 0 {
            self.only_warn(reject);
            return Outcome::Dunno;
        }
        match &self.defer_if_reject {
            Some(deferral) if (500..600).contains(&reject.code) => Outcome::Reject(deferral.clone()),
            _ => Outcome::Reject(reject),
        }
    }

    /// Says that it would refuse.
    fn only_warn(&mut self, reject: Reject) {
        let refusal = reject.into_refusal(&self.rules.log);
        self.trouble |= refusal.class;
        let reply = self.session.softened(&refusal.reply);
        info!(self.rules.log, "{}", self.session.describe("reject_warning", self.session.place(), &reply));
    }

    /// Remembers a failed reject-type test.
    pub fn defer_if_permit(&mut self, reject: Reject) {
        if self.warn_depth > 0 {
            self.only_warn(reject);
        } else if self.defer_if_permit.is_none() {
            self.defer_if_permit = Some(reject);
        }
    }

    /// Remembers a failed permit-type test.
    pub fn defer_if_reject(&mut self, reject: Reject) {
        if self.defer_if_reject.is_none() {
            self.defer_if_reject = Some(reject);
        }
    }

    /// What stands in `<…>` of a reply.
    pub fn name_of(&self, subject: Subject) -> BString {
        match subject {
            Subject::Client => BString::from(self.session.label()),
            Subject::ReverseClient => self.session.client().reverse_name.clone(),
            Subject::Helo => self.session.helo().unwrap_or_default().to_owned(),
            Subject::Sender => {
                self.session.transaction().map_or_else(BString::default, |transaction| transaction.sender.as_bytes().to_owned())
            }
            Subject::Recipient => self.session.recipient().map_or_else(BString::default, |address| address.as_bytes().to_owned()),
            Subject::Data => "DATA".into(),
            Subject::EndOfData => "END-OF-MESSAGE".into(),
            Subject::Etrn => self.session.written().to_owned(),
        }
    }

    /// A table could not be asked.
    pub fn temporary_lookup_failure(&self, name: &BStr) -> Reject {
        let mut reject = Reject::plain(451, &format!("4.3.0 <{name}>: Temporary lookup failure"));
        reject.class = notice::DATA;
        reject
    }

    /// Evaluates the text of a table as a list of restrictions.
    pub async fn result_list(&mut self, text: &str, subject: Subject, table: &str) -> Outcome {
        let list = parse::parse_result(text, &self.rules.class_names);
        if list.iter().any(|item| matches!(item.rule, Restriction::TableInTable)) {
            warn!(self.rules.log, "access table {table} has entry with lookup table: {text}");
        }
        // A class that leads here and back is the table's fault.
        let source = format_args!("access table {table} entry {text}");
        if self.depth + 2 >= MAX_DEPTH {
            warn!(self.rules.log, "{source} causes unreasonable recursion");
            return self.misconfigured();
        }
        self.nested(&list, subject, source).await
    }
}
