//! From the greeting to a session that is ready for mail: EHLO, HELO or LHLO, and the places of STARTTLS and AUTH.

use super::{Discard, Features, Reply, Stage};
use bstr::ByteSlice;

/// Whether the session is to be encrypted by STARTTLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTls {
    /// Never.
    #[default]
    Never,
    /// Where it is offered.
    May,
    /// Or no mail is sent.
    Must,
}

/// How to introduce oneself.
#[derive(Clone, Debug)]
pub struct HelloOptions {
    /// Name in EHLO, HELO or LHLO (`smtp_helo_name`).
    pub name: String,
    /// LMTP: LHLO, and no way back to HELO.
    pub lmtp: bool,
    /// `smtp_always_send_ehlo`; else EHLO is sent only when the greeting says `ESMTP`.
    pub always_ehlo: bool,
    /// `smtp_never_send_ehlo`.
    pub never_ehlo: bool,
    /// A server that calls itself so is ourselves; `None` where that is not to be checked.
    pub own_name: Option<String>,
    /// HELO to servers behind a firewall that masks its greeting (`disable_esmtp` of `smtp_pix_workarounds`).
    pub masked_means_helo: bool,
    /// Keywords not to be used.
    pub discard: Discard,
    /// Encryption.
    pub starttls: StartTls,
}

impl Default for HelloOptions {
    fn default() -> HelloOptions {
        HelloOptions {
            name: String::new(),
            lmtp: false,
            always_ehlo: true,
            never_ehlo: false,
            own_name: None,
            masked_means_helo: false,
            discard: Discard::default(),
            starttls: StartTls::Never,
        }
    }
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum HelloStep {
    /// Send what was put out, wait for the reply at [`Hello::stage`].
    Wait,
    /// Make the TLS handshake, then call [`Hello::secured`].
    Handshake,
    /// The session is ready for mail.
    Ready,
    /// The server does not want to talk to us: the reply in question is the one just given. In the greeting a refusal counts as
    /// temporary where `smtp_skip_5xx_greeting` says so.
    Refused,
    /// The server did not offer STARTTLS, which must be.
    TlsNotOffered,
    /// The server is ourselves: it called itself so in its reply to HELO or EHLO.
    Myself,
}

/// The engine.
#[derive(Debug)]
pub struct Hello {
    options: HelloOptions,
    stage: Stage,
    features: Features,
    masked: bool,
    greeted_as_me: bool,
    secure: bool,
}

impl Hello {
    /// Waits for the greeting.
    pub fn new(options: HelloOptions) -> Hello {
        Hello { options, stage: Stage::Greeting, features: Features::default(), masked: false, greeted_as_me: false, secure: false }
    }

    /// What is waited for.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What the server offers; of use when ready.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The features, and no more of the engine.
    pub fn into_features(self) -> Features {
        self.features
    }

    /// What to leave out, known only when the server has greeted. To be called before the reply to EHLO is given.
    pub fn discard(&mut self, discard: Discard) {
        self.options.discard = discard;
    }

    /// As [`HelloOptions::masked_means_helo`], known only when the server has greeted. To be called before the greeting is given.
    pub fn masked_means_helo(&mut self, yes: bool) {
        self.options.masked_means_helo = yes;
    }

    /// The greeting was made unreadable by a firewall (CISCO PIX "smtp fixup").
    pub fn masked(&self) -> bool {
        self.masked
    }

    /// The greeting had our own name: worth a warning, no more.
    pub fn greeted_as_me(&self) -> bool {
        self.greeted_as_me
    }

    /// Takes the reply waited for; appends to `out` what is to be sent.
    pub fn reply(&mut self, reply: &Reply, out: &mut Vec<u8>) -> HelloStep {
        match self.stage {
            Stage::Greeting => self.greeting(reply, out),
            Stage::Ehlo | Stage::Lhlo if reply.is_positive() => self.ehlo_accepted(reply, out),
            // 421: the server is about to hang up, asking again makes no sense.
            Stage::Ehlo if reply.code != 421 && !self.secure && self.options.starttls != StartTls::Must => {
                self.send("HELO", Stage::Helo, out)
            }
            Stage::Helo if reply.is_positive() => {
                let name = reply.lines().next().and_then(|line| words(line).next()).unwrap_or_default();
                if self.is_me(name) {
                    return HelloStep::Myself;
                }
                if self.options.starttls == StartTls::Must { HelloStep::TlsNotOffered } else { HelloStep::Ready }
            }
            Stage::StartTls if reply.is_positive() => HelloStep::Handshake,
            Stage::StartTls if self.options.starttls == StartTls::May => HelloStep::Ready,
            _ => HelloStep::Refused,
        }
    }

    /// The TLS handshake is done: what the server said before does not count any more (RFC 3207 §4.2).
    pub fn secured(&mut self, out: &mut Vec<u8>) -> HelloStep {
        self.secure = true;
        self.features = Features::default();
        self.first_command(true, out)
    }

    fn greeting(&mut self, reply: &Reply, out: &mut Vec<u8>) -> HelloStep {
        if !reply.is_positive() {
            return HelloStep::Refused;
        }
        let text = greeting_text(reply);
        // Only the reply to HELO or EHLO decides: a relay in front of another server may well greet in our name.
        self.greeted_as_me = words(text).next().is_some_and(|name| self.is_me(name));
        self.masked = is_masked(reply);
        let esmtp = self.options.always_ehlo || words(text).any(|word| word.eq_ignore_ascii_case(b"ESMTP"));
        self.first_command(esmtp, out)
    }

    fn first_command(&mut self, esmtp: bool, out: &mut Vec<u8>) -> HelloStep {
        if self.options.lmtp {
            self.send("LHLO", Stage::Lhlo, out)
        } else if esmtp && !self.options.never_ehlo && !(self.masked && self.options.masked_means_helo) {
            self.send("EHLO", Stage::Ehlo, out)
        } else {
            self.send("HELO", Stage::Helo, out)
        }
    }

    fn ehlo_accepted(&mut self, reply: &Reply, out: &mut Vec<u8>) -> HelloStep {
        let (features, name) = Features::parse(reply, &self.options.discard);
        let me = self.is_me(name);
        self.features = features;
        if me {
            return HelloStep::Myself;
        }
        match self.options.starttls {
            StartTls::May | StartTls::Must if !self.secure && self.features.starttls => {
                self.stage = Stage::StartTls;
                out.extend_from_slice(b"STARTTLS\r\n");
                HelloStep::Wait
            }
            StartTls::Must if !self.secure => HelloStep::TlsNotOffered,
            _ => HelloStep::Ready,
        }
    }

    fn is_me(&self, name: &[u8]) -> bool {
        self.options.own_name.as_ref().is_some_and(|own| name.eq_ignore_ascii_case(own.as_bytes()))
    }

    fn send(&mut self, verb: &str, stage: Stage, out: &mut Vec<u8>) -> HelloStep {
        self.stage = stage;
        out.extend_from_slice(verb.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.options.name.as_bytes());
        out.extend_from_slice(b"\r\n");
        HelloStep::Wait
    }
}

fn greeting_text(reply: &Reply) -> &[u8] {
    reply.text.rsplit_str("\n").next().and_then(|line| line.get(3..)).unwrap_or_default()
}

/// Whether a firewall has made the greeting unreadable: it turns all but a few characters into stars. Postfix takes an empty one for such a one, too.
pub fn is_masked(greeting: &Reply) -> bool {
    greeting.is_positive() && greeting.lines().count() == 1 && greeting_text(greeting).iter().all(|c| b" *02".contains(c))
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}
