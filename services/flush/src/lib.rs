//! flush(8): remembers which deferred mail is for which destination, and sends it on request (ETRN_README).
//!
//! The queue manager tells it of deferred mail; the SMTP server (ETRN), `postqueue -s`, `-i` and `-f` ask it to send
//! ([`posthaste_ipc::flush::Request`]). Postfix's trigger byte on its socket, from master's wake-up, is a request to refresh.

pub mod lists;

use bstr::ByteSlice;
use lists::Lists;
use posthaste_config::{split_list, system_reason};
use posthaste_ipc::flush::{Answer, Request};
use posthaste_ipc::frame::{self, Decoder};
use posthaste_ipc::trigger;
use posthaste_ipc::wire::WireError;
use posthaste_log::warn;
use posthaste_queue::Queue;
use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use posthaste_table::DomainList;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let spec = Spec { program: "flush", privileged: false, connects: false, executes: false };
    posthaste_service::run::<Flush>(spec, arguments)
}

/// The service.
struct Flush {
    lists: Arc<Lists>,
    queue_manager: PathBuf,
    trigger_timeout: Duration,
    /// One at a time: requests touch the same files.
    turn: Mutex<()>,
}

impl Service for Flush {
    fn open(setup: &Setup) -> Result<Flush, Fatal> {
        let config = &setup.config;
        let parents = split_list(&config.text("parent_domain_matches_subdomains")?).any(|name| name == "fast_flush_domains");
        let domains = DomainList::open("fast_flush_domains", &config.text("fast_flush_domains")?, parents, config);
        let domains = domains.map_err(|error| Fatal(error.to_string()))?;
        Ok(Flush {
            lists: Arc::new(Lists {
                queue: Queue::open(config)?,
                // As in Postfix: an address in brackets is not, whatever the list says.
                eligible: Box::new(move |site| Ok(!site.starts_with(b"[") && domains.matches(site).map_err(|error| error.to_string())?)),
                refresh_after: config.time("fast_flush_refresh_time")?,
                purge_after: config.time("fast_flush_purge_time")?,
                log: setup.log.clone(),
            }),
            queue_manager: PathBuf::from("public").join(config.text("queue_service_name")?),
            trigger_timeout: config.time("trigger_timeout")?,
            turn: Mutex::new(()),
        })
    }

    async fn serve(self: Rc<Flush>, client: Connection) {
        let Connection::Unix(mut stream) = client else { return };
        let mut decoder = Decoder::new();
        loop {
            match stream.read_buf(decoder.buffer()).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if decoder.peek().is_some_and(|first| first != 0) {
                decoder.buffer().clear();
                self.perform(Request::Refresh).await;
                continue;
            }
            let mut answers = Vec::new();
            loop {
                match next(&mut decoder) {
                    Ok(None) => break,
                    Ok(Some((number, request))) => {
                        let answered = !matches!(request, Request::Add { .. });
                        let answer = self.perform(request).await;
                        if answered {
                            let _ = frame::put(&mut answers, Answer::FRAME, number, &answer);
                        }
                    }
                    Err(error) => return warn!(self.lists.log, "{error}"),
                }
            }
            if !answers.is_empty() && stream.write_all(&answers).await.is_err() {
                return;
            }
        }
    }
}

fn next(decoder: &mut Decoder) -> Result<Option<(u32, Request)>, WireError> {
    match decoder.frame()? {
        None => Ok(None),
        Some(frame) if frame.kind == Request::FRAME => Ok(Some((frame.request, frame.value()?))),
        Some(_) => Err(WireError("not a flush request")),
    }
}

impl Flush {
    async fn perform(&self, request: Request) -> Answer {
        let _turn = self.turn.lock().await;
        if let Request::Add { site, id } = request {
            // Short, and often: not worth a thread.
            self.lists.add(site.as_bstr(), &id);
            return Answer::Ok;
        }
        let lists = Arc::clone(&self.lists);
        let (queue_manager, timeout) = (self.queue_manager.clone(), self.trigger_timeout);
        let work = move || {
            let answer = match request {
                Request::Site(site) => lists.send_site(site.as_bstr()),
                Request::File(id) => lists.send_file(&id),
                Request::Purge => lists.refresh(true),
                Request::Refresh => lists.refresh(false),
                Request::Add { .. } => Answer::Ok,
            };
            if answer != Answer::Refused
                && let Err(error) = trigger::send(&queue_manager, b"I", timeout)
            {
                warn!(lists.log, "{}: {}", queue_manager.display(), system_reason(&error));
            }
            answer
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Answer::Failed)
    }
}
