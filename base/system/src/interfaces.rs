//! The addresses of this host's network interfaces, from getifaddrs(3).
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of a network interface that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// Length of its network's prefix, 0 to 32 or 128.
    pub prefix: u8,
}

impl InterfaceAddress {
    /// The network's address: all host bits zero.
    pub fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        }
    }
}

/// All IPv4 and IPv6 addresses of interfaces that are up, in the system's order, each once.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `list` is a valid place for the result.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: getifaddrs made a list whose entries are valid until freeifaddrs below.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        if entry.ifa_flags & libc::IFF_UP as libc::c_uint == 0 {
            continue;
        }
        // SAFETY: both pointers are null or point to a socket address of the family they name.
        let (address, mask) = unsafe { (ip_of(entry.ifa_addr), ip_of(entry.ifa_netmask)) };
        let Some(address) = address else { continue };
        let prefix = match mask {
            Some(IpAddr::V4(mask)) => u32::from(mask).leading_ones(),
            Some(IpAddr::V6(mask)) => u128::from(mask).leading_ones(),
            None if address.is_ipv4() => 32,
            None => 128,
        };
        // At most 128.
        let entry = InterfaceAddress { address, prefix: prefix as u8 };
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    // SAFETY: `list` came from getifaddrs, and nothing refers to it any more.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// # Safety
/// `address` must be null or point to a socket address as long as its family demands.
unsafe fn ip_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: every socket address begins with its family.
    match i32::from(unsafe { (*address).sa_family }) {
        libc::AF_INET => {
            // SAFETY: the family says that this is a sockaddr_in.
            let address = unsafe { &*address.cast::<libc::sockaddr_in>() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that this is a sockaddr_in6.
            let address = unsafe { &*address.cast::<libc::sockaddr_in6>() };
            Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there() {
        let found = interface_addresses().unwrap();
        let loopback = found.iter().find(|entry| entry.address == IpAddr::from([127, 0, 0, 1]));
        assert_eq!(loopback.map(|entry| (entry.prefix, entry.network())), Some((8, IpAddr::from([127, 0, 0, 0]))));
    }

    #[test]
    fn networks_have_no_host_bits() {
        let network = |text: &str, prefix| InterfaceAddress { address: text.parse().unwrap(), prefix }.network().to_string();
        assert_eq!(network("192.0.2.77", 26), "192.0.2.64");
        assert_eq!(network("192.0.2.77", 32), "192.0.2.77");
        assert_eq!(network("192.0.2.77", 0), "0.0.0.0");
        assert_eq!(network("2001:db8::1:2", 64), "2001:db8::");
        assert_eq!(network("2001:db8::1", 128), "2001:db8::1");
        assert_eq!(network("2001:db8::1", 0), "::");
    }
}
