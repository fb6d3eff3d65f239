//! A user's mail: `.forward`, then the transports, commands and mailboxes of main.cf in the order that local(8) gives.

use crate::deliver::{Delivery, Target};
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::Address;
use posthaste_log::warn;
use posthaste_route::Context;
use posthaste_system::credentials::{Identity, as_user};
use posthaste_system::users::{self, User};
use posthaste_table::Maps;

impl Delivery<'_> {
    /// A name that is no alias.
    pub fn user(&mut self, target: &Target) {
        let name = self.user_name(&target.recipient.address);
        let user = match self.find_user(&name) {
            Ok(user) => user,
            Err(()) => return self.failed(target, "4.3.0", "user database lookup error"),
        };
        if let Some(user) = &user
            && let Err(error) = self.check_home(user)
        {
            let (home, why) = (user.home.display(), posthaste_config::system_reason(&error));
            return self.failed(target, "4.3.0", format!("cannot access home directory {home}: {why}"));
        }
        if let Some(user) = &user
            && self.dot_forward(target, user)
        {
            return;
        }
        self.mailbox(target, &name, user.as_ref());
    }

    /// The mailbox itself: neither alias nor `.forward`.
    pub fn mailbox_of(&mut self, target: &Target, name: &BString) {
        match self.find_user(name) {
            Ok(user) => self.mailbox(target, name, user.as_ref()),
            Err(()) => self.failed(target, "4.3.0", "user database lookup error"),
        }
    }

    /// `require_home_directory`: the user can reach the home directory. Imported from another machine, it may not be there now, and with
    /// it the `.forward` file.
    fn check_home(&self, user: &User) -> std::io::Result<()> {
        if !self.local.parameters.require_home_directory {
            return Ok(());
        }
        as_user(Identity { uid: user.uid, gid: user.gid }, || std::fs::metadata(&user.home).map(drop))?
    }

    fn find_user(&self, name: &BString) -> Result<Option<User>, ()> {
        let Ok(text) = name.to_str() else { return Ok(None) };
        users::by_name(text).map_err(|error| warn!(self.local.log, "error looking up passwd info for {name}: {error}"))
    }

    fn mailbox(&mut self, target: &Target, name: &BString, user: Option<&User>) {
        let p = &self.local.parameters;
        if self.transport(target, name, &self.local.mailbox_transport_maps, &p.mailbox_transport) {
            return;
        }
        let Some(user) = user else {
            if self.transport(target, name, &self.local.fallback_transport_maps, &p.fallback_transport) {
                return;
            }
            if !p.luser_relay.is_empty() && target.depth < 50 {
                return self.luser_relay(target);
            }
            return self.failed(target, "5.1.1", format!("unknown user: \"{name}\""));
        };
        if self.is_duplicate(&format!("mailbox:{}", target.recipient.address.as_bytes().to_ascii_lowercase().as_bstr())) {
            return;
        }
        let command = match self.local.mailbox_command_maps.find(name.as_bstr()) {
            Ok(command) => command,
            Err(_) => return self.failed(target, "4.3.0", "mailbox_command_maps lookup failure"),
        };
        let p = &self.local.parameters;
        if let Some(command) = command {
            return self.mailbox_command(target, &command.to_str_lossy(), user);
        }
        if !p.mailbox_command.is_empty() {
            return self.mailbox_command(target, &p.mailbox_command, user);
        }
        if !p.home_mailbox.is_empty() {
            let path = format!("{}/{}", user.home.display(), p.home_mailbox);
            return self.home_mailbox(target, &path, user);
        }
        self.spool_mailbox(target, user);
    }

    /// Hands the recipient to the transport that the table or else the parameter names; false when neither does.
    fn transport(&mut self, target: &Target, name: &BString, maps: &Maps, parameter: &str) -> bool {
        let found = match maps.find(name.as_bstr()) {
            Ok(found) => found,
            Err(_) => {
                self.failed(target, "4.3.0", "table lookup failure");
                return true;
            }
        };
        let destination = found.unwrap_or_else(|| parameter.into());
        if destination.is_empty() {
            return false;
        }
        let (transport, nexthop): (&BStr, &BStr) = match destination.find_byte(b':') {
            Some(at) => (destination[..at].as_bstr(), destination[at + 1..].as_bstr()),
            None => (destination.as_bstr(), BStr::new("")),
        };
        let nexthop = if nexthop.is_empty() { target.recipient.address.domain().unwrap_or_default() } else { nexthop };
        let (transport, nexthop) = (transport.to_str_lossy().into_owned(), BString::from(nexthop));
        self.pass(target, &transport, &nexthop);
        true
    }

    fn luser_relay(&mut self, target: &Target) {
        let p = &self.local.parameters;
        let text = self.expand_for(&p.luser_relay, "", target, None);
        let address = self.local.router.rewrite(Context::Local, &Address::from_external(text.as_bytes()));
        if address == target.recipient.address {
            let name = self.user_name(&target.recipient.address);
            return self.failed(target, "5.1.1", format!("unknown user: \"{name}\""));
        }
        let mut next = target.clone();
        next.depth += 1;
        self.expanded = true;
        match self.local.router.resolve(&target.sender, &address) {
            Ok(route) if route.transport == self.local.service && !route.error => {
                next.recipient.address = route.recipient;
                self.recipient(&next);
            }
            Ok(_) => self.forwards.add(&target.sender, target, &address),
            Err(error) => {
                warn!(self.local.log, "{error}");
                self.failed(target, "4.3.0", "address resolver failure");
            }
        }
    }
}
