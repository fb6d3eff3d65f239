//! `reject_unverified_sender`, `reject_unverified_recipient` (ADDRESS_VERIFICATION_README): the verify service is asked, and asked again while
//! its probe is under way.

use super::eval::{Evaluation, Outcome};
use super::parse::Subject;
use super::reply::Reject;
use crate::ask::ask;
use bstr::{BString, ByteSlice};
use posthaste_address::Address;
use posthaste_config::{Config, ConfigError};
use posthaste_ipc::verify::{Known, ProbeSender, Query, Status};
use posthaste_log::warn;
use posthaste_route::{Context, Router};
use posthaste_service::Fatal;
use std::path::PathBuf;
use std::time::Duration;

/// Parameters of address verification.
pub struct Verification {
    socket: PathBuf,
    timeout: Duration,
    poll_count: i64,
    poll_delay: Duration,
    /// To whom mail is always let pass.
    pub probe_sender: ProbeSender,
    sender: Kind,
    recipient: Kind,
}

struct Kind {
    reject_code: u16,
    defer_code: u16,
    reason: String,
    defers: bool,
}

impl Verification {
    pub fn open(config: &Config, router: &Router) -> Result<Verification, Fatal> {
        let kind = |what: &str| -> Result<Kind, Fatal> {
            let code = |name: String| -> Result<u16, ConfigError> { Ok(u16::try_from(config.int(&name)?).unwrap_or(0)) };
            let action = format!("unverified_{what}_tempfail_action");
            let value = config.text(&action)?;
            let defers = at_once(&value).ok_or_else(|| Fatal(format!("bad configuration: {action} = {value}")))?;
            Ok(Kind {
                reject_code: code(format!("unverified_{what}_reject_code"))?,
                defer_code: code(format!("unverified_{what}_defer_code"))?,
                reason: config.text(&format!("unverified_{what}_reject_reason"))?,
                defers,
            })
        };
        Ok(Verification {
            socket: PathBuf::from("private").join(config.text("address_verify_service_name")?),
            timeout: config.time("ipc_timeout")?,
            poll_count: config.int("address_verify_poll_count")?,
            poll_delay: config.time("address_verify_poll_delay")?,
            probe_sender: {
                let sender = config.text("address_verify_sender")?;
                let sender = if sender == "<>" { Address::empty() } else { Address::from_external(sender.as_bytes()) };
                ProbeSender::new(router.rewrite(Context::Local, &sender), config.time("address_verify_sender_ttl")?)
            },
            sender: kind("sender")?,
            recipient: kind("recipient")?,
        })
    }
}

/// A `…_tempfail_action`: whether a temporary failure defers at once, or only what would be permitted. `None` for other words.
pub fn at_once(action: &str) -> Option<bool> {
    match action {
        _ if action.eq_ignore_ascii_case("defer") => Some(true),
        _ if action.eq_ignore_ascii_case("defer_if_permit") => Some(false),
        _ => None,
    }
}

impl Evaluation<'_> {
    /// Refuses an address to which mail could not be delivered.
    pub async fn reject_unverified(&mut self, subject: Subject) -> Outcome {
        if let Some(refusal) = self.unresolved(subject) {
            return refusal;
        }
        let verification = &self.rules.verification;
        let (route, address, kind, dsn) = match subject {
            Subject::Sender => {
                let sender = self.session.transaction().map(|transaction| &transaction.sender);
                (self.memory.sender_route.as_ref(), sender, &verification.sender, "1.7")
            }
            _ => (self.route.as_ref(), self.session.recipient(), &verification.recipient, "1.1"),
        };
        // The address as it was given: the probe goes through all rewriting, as the message would.
        let (Some(_), Some(address)) = (route, address.cloned()) else { return Outcome::Dunno };
        let mut known = Known { status: Status::Unknown, text: BString::from("Address verification in progress") };
        for turn in 0..verification.poll_count.max(1) {
            if turn > 0 {
                tokio::time::sleep(verification.poll_delay).await;
            }
            let query = Query { address: address.clone() };
            match ask::<_, Known>(&verification.socket, Query::FRAME, &query, Known::FRAME, verification.timeout).await {
                Ok(answer) if answer.status == Status::Unknown => {}
                Ok(answer) => {
                    known = answer;
                    break;
                }
                Err(error) => {
                    warn!(self.rules.log, "problem talking to service {}: {error}", verification.socket.display());
                    known = Known { status: Status::Deferred, text: "address verification problem".into() };
                    break;
                }
            }
        }
        let reason = if kind.reason.is_empty() { known.text.to_str_lossy().into_owned() } else { kind.reason.clone() };
        let name = self.name_of(subject);
        let reject = |code: u16| {
            let what = if code >= 500 { "undeliverable" } else { "unverified" };
            let digit = if code >= 500 { 5 } else { 4 };
            Reject::new(code, &format!("{digit}.{dsn}"), name.as_bstr(), subject.class(), &format!("{what} address: {reason}"))
        };
        match known.status {
            Status::Deliverable => Outcome::Dunno,
            // A 2xx code means that the address is let through.
            Status::Undeliverable if kind.reject_code < 400 => Outcome::Dunno,
            Status::Deferred | Status::Unknown if kind.defer_code < 400 => Outcome::Dunno,
            status => {
                let code = if status == Status::Undeliverable { kind.reject_code } else { kind.defer_code };
                if code >= 500 || kind.defers {
                    return self.reject(reject(code));
                }
                self.defer_if_permit(reject(code));
                Outcome::Dunno
            }
        }
    }
}
