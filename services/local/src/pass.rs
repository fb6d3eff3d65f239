//! Handing a recipient to another transport (`mailbox_transport`, `fallback_transport`): the same request that the queue manager would send.

use crate::deliver::{Delivery, Target};
use bstr::BString;
use posthaste_ipc::delivery::{Done, Outcome, Report, Request};
use posthaste_ipc::frame::{self, Reader};
use posthaste_ipc::wire::Wire;
use posthaste_log::{info, warn};
use posthaste_queue::Recipient;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;

impl Delivery<'_> {
    /// Sends the recipient to `private/transport` and passes on what that reports. The other agent logs, and marks the recipient done.
    pub fn pass(&mut self, target: &Target, transport: &str, nexthop: &BString) {
        let id = &self.request.id;
        info!(self.local.log, "{id}: passing <{}> to transport={transport}", target.recipient.address.external());
        // A recipient that was expanded is marked here, when all its parts are done.
        let offset = if self.expanded { None } else { target.recipient.offset };
        let recipient = Recipient { offset, ..target.recipient.clone() };
        let request =
            Request { nexthop: nexthop.clone(), sender: target.sender.clone(), recipients: vec![recipient], ..self.request.clone() };
        match self.exchange(transport, &request) {
            Ok(Some(report)) if !self.expanded => (self.report)(Report { recipient: self.index, ..report }),
            Ok(Some(report)) => {
                self.deferred |= report.outcome == Outcome::Deferred;
                (self.report)(Report { recipient: self.index, part: Some(target.recipient.clone()), ..report });
            }
            Ok(None) => self.failed(target, "4.3.0", "mail transport unavailable"),
            Err(error) => {
                warn!(self.local.log, "connect to transport private/{transport}: {}", posthaste_config::system_reason(&error));
                self.failed(target, "4.3.0", "mail transport unavailable");
            }
        }
    }

    fn exchange(&self, transport: &str, request: &Request) -> io::Result<Option<Report>> {
        let mut reader = self.send_to(transport, Request::FRAME, request)?;
        let mut result = None;
        while let Some((kind, _, payload)) = reader.receive()? {
            let mut payload = payload.as_slice();
            if kind == Report::FRAME {
                result = Some(Report::take(&mut payload).map_err(io::Error::other)?);
            } else if kind == Done::FRAME {
                break;
            }
        }
        Ok(result)
    }

    /// Sends one request to `private/service`; what it answers can be read.
    pub fn send_to<T: Wire>(&self, service: &str, kind: u8, request: &T) -> io::Result<Reader<UnixStream>> {
        // The name may come from a table: it must stay within private/.
        if service.contains('/') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "bad service name"));
        }
        let mut stream = UnixStream::connect(self.local.queue_directory.join("private").join(service))?;
        let mut bytes = Vec::new();
        frame::put(&mut bytes, kind, 1, request).map_err(io::Error::other)?;
        stream.write_all(&bytes)?;
        Ok(Reader::new(stream))
    }
}
