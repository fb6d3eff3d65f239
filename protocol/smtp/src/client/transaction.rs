//! One message: XFORWARD, MAIL, RCPT, DATA, content, and the replies to all of them, in one go or one by one.

use super::{Commands, Features, Reply, Stage};

/// How far a message is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the end.
    Deliver,
    /// Only ask whether the recipients are welcome.
    ProbeRecipients,
    /// The same, and see what DATA is answered; nothing is sent then.
    ProbeData,
}

/// What follows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// QUIT, and its reply is not waited for (`smtp_skip_quit_response`).
    Quit,
    /// QUIT and its reply.
    QuitAndWait,
    /// The connection stays, for the next message.
    Keep,
}

/// What a reply meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// As expected.
    Progress,
    /// RSET on a kept connection was not accepted: it is of no use. Nothing has been sent that matters.
    Stale,
    /// XFORWARD was not accepted; the message goes on.
    XforwardRefused(Stage, Reply),
    /// MAIL, DATA or the end of data was refused: concerns all recipients without a result.
    Refused(Stage, Reply),
    /// This recipient was refused, at RCPT, or (LMTP) at the end of data.
    RecipientRefused(u32, Stage, Reply),
    /// (Probe) This recipient is welcome.
    Welcome(u32, Reply),
    /// The server waits for the content: send it, then call [`Transaction::content_sent`].
    SendContent,
    /// The message was accepted for all recipients without a result.
    Accepted(Reply),
    /// (LMTP) The message was delivered to this recipient.
    RecipientAccepted(u32, Reply),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipient {
    /// No reply yet.
    Unknown,
    /// RCPT accepted.
    Good,
    /// Refused, or otherwise done.
    Done,
}

/// The engine. Recipients are known by their position in the list of RCPT commands.
#[derive(Debug)]
pub struct Transaction {
    commands: Commands,
    pipelining: bool,
    lmtp: bool,
    target: Target,
    ending: Ending,
    recipients: Vec<Recipient>,
    /// Command whose reply is waited for; in the order of `commands`, with RSET before and DATA after them.
    next: usize,
    probing: bool,
    state: State,
    refused: bool,
    broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Replies to the commands up to RCPT.
    Envelope,
    Data,
    Content,
    /// Reply number n to the end of data.
    Dot(usize),
    RsetAbort,
    Quit,
    Done,
}

impl Transaction {
    /// Appends the first commands to `out`. `probe_first`: the connection was kept from an earlier message, so RSET comes first and tells whether it is still good.
    pub fn new(
        commands: Commands,
        features: &Features,
        lmtp: bool,
        target: Target,
        ending: Ending,
        probe_first: bool,
        out: &mut Vec<u8>,
    ) -> Transaction {
        let recipients = vec![Recipient::Unknown; commands.len().saturating_sub(commands.xforward + 1)];
        let this = Transaction {
            commands,
            pipelining: features.pipelining,
            lmtp,
            target,
            ending,
            recipients,
            next: 0,
            probing: probe_first,
            state: State::Envelope,
            refused: false,
            broken: false,
        };
        if probe_first {
            out.extend_from_slice(b"RSET\r\n");
        }
        if this.pipelining {
            out.extend_from_slice(this.commands.all());
            if target == Target::ProbeRecipients {
                this.put_reset(out);
            } else {
                out.extend_from_slice(b"DATA\r\n");
            }
        } else if !probe_first {
            out.extend_from_slice(this.commands.get(0));
        }
        this
    }

    /// What is waited for; `None` when all is done.
    pub fn stage(&self) -> Option<Stage> {
        Some(match self.state {
            State::Envelope if self.probing => Stage::RsetProbe,
            State::Envelope => match self.next.checked_sub(self.commands.xforward) {
                // Two commands: name and address first. A server that takes only the second sort gets one.
                None if self.is_name_addr() => Stage::XforwardNameAddr,
                None => Stage::XforwardProtoHelo,
                Some(0) => Stage::Mail,
                Some(_) => Stage::Rcpt,
            },
            State::Data => Stage::Data,
            State::Content => Stage::Body,
            State::Dot(_) => Stage::Dot,
            State::RsetAbort => Stage::RsetAbort,
            State::Quit => Stage::Quit,
            State::Done => return None,
        })
    }

    fn is_name_addr(&self) -> bool {
        let command = self.commands.get(self.next);
        [&b" NAME="[..], b" ADDR=", b" PORT="].iter().any(|word| command[8..].starts_with(word))
    }

    /// Whether the connection may serve another message: all went in order and nothing is left open.
    pub fn may_be_kept(&self) -> bool {
        self.state == State::Done && self.ending == Ending::Keep && !self.broken
    }

    /// Recipients whose RCPT was accepted and that have no result yet.
    pub fn open_recipients(&self) -> impl Iterator<Item = u32> + '_ {
        self.recipients.iter().enumerate().filter(|(_, r)| **r == Recipient::Good).map(|(i, _)| i as u32)
    }

    fn any_good(&self) -> bool {
        self.recipients.contains(&Recipient::Good)
    }

    /// Takes the reply waited for; appends to `out` what is to be sent.
    pub fn reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> Event {
        // The server is going to hang up, or does not understand us: whatever comes of this message, it is the last one here.
        if matches!(reply.code, 421 | 500..=504) {
            self.broken = true;
        }
        match self.state {
            State::Envelope if self.probing => {
                self.probing = false;
                if !reply.is_positive() {
                    self.state = State::Done;
                    self.broken = true;
                    return Event::Stale;
                }
                if !self.pipelining {
                    out.extend_from_slice(self.commands.get(0));
                }
                Event::Progress
            }
            State::Envelope => self.envelope(reply, out),
            State::Data => self.data(reply, out),
            State::Dot(n) => self.dot(n, reply, out),
            State::RsetAbort => {
                // Without a clean state the connection cannot serve another message.
                self.broken |= !reply.is_positive();
                self.state = match self.ending {
                    Ending::Keep if !self.broken => State::Done,
                    _ if self.pipelining => self.after_quit(),
                    _ => self.quit(out),
                };
                Event::Progress
            }
            State::Quit | State::Done | State::Content => {
                self.state = State::Done;
                Event::Progress
            }
        }
    }

    fn envelope(&mut self, reply: Reply, out: &mut Vec<u8>) -> Event {
        let stage = self.stage().unwrap_or(Stage::Rcpt);
        let position = self.next.checked_sub(self.commands.xforward);
        self.next += 1;
        let event = match position {
            None if reply.is_positive() => Event::Progress,
            None => Event::XforwardRefused(stage, reply),
            Some(0) if reply.is_positive() => Event::Progress,
            Some(0) => {
                self.refused = true;
                Event::Refused(stage, reply)
            }
            Some(n) => {
                let good = reply.is_positive() && !self.refused;
                let recipient = &mut self.recipients[n - 1];
                *recipient = if good { Recipient::Good } else { Recipient::Done };
                match (good, self.refused) {
                    (true, _) if self.target == Target::ProbeRecipients => {
                        *recipient = Recipient::Done;
                        Event::Welcome(n as u32 - 1, reply)
                    }
                    (true, _) => Event::Progress,
                    // After a refused MAIL these replies mean nothing.
                    (false, true) => Event::Progress,
                    (false, false) => Event::RecipientRefused(n as u32 - 1, stage, reply),
                }
            }
        };
        if self.next < self.commands.len() {
            if !self.pipelining {
                if self.refused {
                    self.abort(out);
                } else {
                    out.extend_from_slice(self.commands.get(self.next));
                }
            }
        } else if self.target == Target::ProbeRecipients && self.pipelining {
            self.state = State::RsetAbort;
        } else if self.target == Target::ProbeRecipients {
            self.abort(out);
        } else if self.pipelining {
            self.state = State::Data;
        } else if self.any_good() {
            self.state = State::Data;
            out.extend_from_slice(b"DATA\r\n");
        } else {
            self.abort(out);
        }
        event
    }

    fn data(&mut self, reply: Reply, out: &mut Vec<u8>) -> Event {
        let go = reply.class() == 3;
        if !self.any_good() {
            if go {
                // RFC 2920 §3.1: DATA was pipelined and accepted though no recipient was. An empty message goes to nobody.
                self.end_of_data(out);
                self.state = State::Dot(0);
            } else {
                self.abort(out);
            }
            return Event::Progress;
        }
        if !go {
            self.abort(out);
            return Event::Refused(Stage::Data, reply);
        }
        if self.target == Target::ProbeData {
            // There is no way back from here but to hang up.
            self.state = State::Done;
            self.broken = true;
            return Event::Accepted(reply);
        }
        self.state = State::Content;
        Event::SendContent
    }

    /// The content is out (or in `out`): appends the final dot, and QUIT where it may follow at once.
    pub fn content_sent(&mut self, out: &mut Vec<u8>) {
        self.end_of_data(out);
        self.state = State::Dot(0);
    }

    fn end_of_data(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b".\r\n");
        if self.pipelining && self.ending != Ending::Keep {
            out.extend_from_slice(b"QUIT\r\n");
        }
    }

    fn dot(&mut self, n: usize, reply: Reply, out: &mut Vec<u8>) -> Event {
        if !self.lmtp || !self.any_good() {
            self.finished(out);
            return match (self.any_good(), reply.is_positive()) {
                (false, _) => Event::Progress,
                (true, true) => Event::Accepted(reply),
                (true, false) => Event::Refused(Stage::Dot, reply),
            };
        }
        // RFC 2033 §4.2: one reply for each accepted recipient, in order.
        let index = self.recipients.iter().enumerate().filter(|(_, r)| **r == Recipient::Good).map(|(i, _)| i).next();
        let Some(index) = index else {
            self.finished(out);
            return Event::Progress;
        };
        self.recipients[index] = Recipient::Done;
        self.state = State::Dot(n + 1);
        if !self.any_good() {
            self.finished(out);
        }
        if reply.is_positive() {
            Event::RecipientAccepted(index as u32, reply)
        } else {
            Event::RecipientRefused(index as u32, Stage::Dot, reply)
        }
    }

    fn finished(&mut self, out: &mut Vec<u8>) {
        self.state = match self.ending {
            Ending::Keep if !self.broken => State::Done,
            Ending::Keep => self.quit(out),
            _ if self.pipelining => self.after_quit(),
            _ => self.quit(out),
        };
    }

    /// QUIT is out.
    fn after_quit(&self) -> State {
        if self.ending == Ending::QuitAndWait { State::Quit } else { State::Done }
    }

    fn quit(&mut self, out: &mut Vec<u8>) -> State {
        out.extend_from_slice(b"QUIT\r\n");
        self.after_quit()
    }

    fn abort(&mut self, out: &mut Vec<u8>) {
        self.put_reset(out);
        self.state = State::RsetAbort;
    }

    fn put_reset(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"RSET\r\n");
        if self.pipelining && self.ending != Ending::Keep {
            out.extend_from_slice(b"QUIT\r\n");
        }
    }
}
