//! bounce(8), also as the services defer and trace: sends non-delivery, delay and delivery reports.
//!
//! The queue manager writes the recipient logs `bounce/ID`, `defer/ID` and `trace/ID` and asks here for a report
//! ([`posthaste_ipc::bounce::Notice`]). The report is made of the log and the message ([`posthaste_dsn`]), goes through the cleanup pipeline into
//! the queue, and only when it is safe there the log is removed and the queue manager hears of it.

pub mod notify;
pub mod settings;

use notify::Notifier;
use posthaste_cleanup_protocol::Profile;
use posthaste_ipc::bounce::{Answer, Notice};
use posthaste_ipc::delivery::DRAINING;
use posthaste_ipc::frame::{self, Decoder};
use posthaste_ipc::qmgr::NewMessage;
use posthaste_ipc::wire::WireError;
use posthaste_log::warn;
use posthaste_queue::Queue;
use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use settings::Settings;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore};

/// Reports made at one time; each waits for the disk.
const THREADS: usize = 8;

/// Runs the daemon with the arguments of its master.cf entry.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let spec = Spec { program: "bounce", privileged: false, connects: false, executes: false };
    posthaste_service::run::<Bounce>(spec, arguments)
}

/// The service.
struct Bounce {
    notifier: Arc<Notifier>,
    threads: Arc<Semaphore>,
    /// Socket of the queue manager, relative to the queue directory.
    queue_manager: String,
    draining: Cell<bool>,
    drain: Notify,
}

/// Frames on their way back to one queue manager.
#[derive(Default)]
struct Outgoing {
    queued: RefCell<Vec<u8>>,
    running: Cell<usize>,
    changed: Notify,
}

impl Service for Bounce {
    fn open(setup: &Setup) -> Result<Bounce, Fatal> {
        let config = &setup.config;
        let notifier = Notifier {
            queue: Queue::open(config)?,
            profile: Profile::open(config)?,
            settings: Settings::from_config(config, &setup.log)?,
            log: setup.log.clone(),
        };
        Ok(Bounce {
            notifier: Arc::new(notifier),
            threads: Arc::new(Semaphore::new(THREADS)),
            queue_manager: format!("public/{}", config.text("queue_service_name")?),
            draining: Cell::new(false),
            drain: Notify::new(),
        })
    }

    async fn serve(self: Rc<Bounce>, client: Connection) {
        let Connection::Unix(stream) = client else { return };
        let (mut reader, mut writer) = stream.into_split();
        let outgoing = Rc::new(Outgoing::default());
        let mut decoder = Decoder::new();
        let mut told = false;
        let mut open = true;
        loop {
            if self.draining.get() && !told {
                told = true;
                let _ = frame::put(&mut outgoing.queued.borrow_mut(), DRAINING, 0, &0u8);
            }
            let batch = outgoing.queued.take();
            if !batch.is_empty() && writer.write_all(&batch).await.is_err() {
                open = false;
            }
            if !open && outgoing.running.get() == 0 {
                return;
            }
            tokio::select! {
                read = reader.read_buf(decoder.buffer()), if open => match read {
                    Ok(0) | Err(_) => open = false,
                    Ok(_) => if let Err(error) = self.take(&mut decoder, &outgoing) {
                        warn!(self.notifier.log, "queue manager: {error}");
                        open = false;
                    },
                },
                () = outgoing.changed.notified() => {}
                () = self.drain.notified() => {}
            }
        }
    }

    fn drain(self: &Rc<Bounce>) {
        self.draining.set(true);
        self.drain.notify_waiters();
    }
}

impl Bounce {
    fn take(self: &Rc<Bounce>, decoder: &mut Decoder, outgoing: &Rc<Outgoing>) -> Result<(), WireError> {
        while let Some(frame) = decoder.frame()? {
            if frame.kind != Notice::FRAME {
                return Err(WireError("not a request for a report"));
            }
            let (number, notice): (u32, Notice) = (frame.request, frame.value()?);
            let (this, outgoing) = (Rc::clone(self), Rc::clone(outgoing));
            outgoing.running.set(outgoing.running.get() + 1);
            tokio::task::spawn_local(async move {
                let permit = this.threads.acquire().await;
                let notifier = Arc::clone(&this.notifier);
                // A panic of the thread leaves the default: not done, to be asked for again.
                let outcome = tokio::task::spawn_blocking(move || notifier.run(&notice)).await.unwrap_or_default();
                drop(permit);
                this.announce(outcome.new).await;
                let _ = frame::put(&mut outgoing.queued.borrow_mut(), Answer::FRAME, number, &Answer { ok: outcome.ok });
                outgoing.running.set(outgoing.running.get() - 1);
                outgoing.changed.notify_one();
            });
        }
        Ok(())
    }

    /// Tells the queue manager of new mail. What is lost here, the scan of `incoming` finds.
    async fn announce(&self, new: Vec<NewMessage>) {
        let mut bytes = Vec::new();
        for message in &new {
            let _ = frame::put(&mut bytes, NewMessage::FRAME, 0, message);
        }
        if !bytes.is_empty()
            && let Ok(mut stream) = UnixStream::connect(&self.queue_manager).await
        {
            let _ = stream.write_all(&bytes).await;
        }
    }
}
