//! Network patterns as in `cidr:` tables and `mynetworks`: `192.168.0.0/16`, `[2001:db8::]/32`, a single address.

use std::net::IpAddr;

/// An address with the number of leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    bits: u8,
}

impl Net {
    /// From its text form (cidr_table(5), ADDRESS PATTERN SYNTAX). The error is Postfix's text.
    pub fn parse(pattern: &str) -> Result<Net, String> {
        // Brackets may stand around the address alone or around the whole pattern.
        let unbracketed = match pattern.strip_prefix('[') {
            Some(rest) => {
                let (inner, after) = rest.split_once(']').ok_or_else(|| format!("missing ']' character after \"{pattern}\""))?;
                format!("{inner}{after}")
            }
            None => pattern.to_owned(),
        };
        let Some((address, mask)) = unbracketed.split_once('/') else {
            let address = unbracketed.parse().map_err(|_| format!("bad address pattern: \"{pattern}\""))?;
            return Ok(Net { address, bits: width(address) });
        };
        if mask.is_empty() || !mask.bytes().all(|c| c.is_ascii_digit()) {
            return Err(format!("bad mask value in \"{pattern}\""));
        }
        let address: IpAddr = address.parse().map_err(|_| format!("bad network value in \"{pattern}\""))?;
        let bits = mask.parse().ok().filter(|bits| *bits <= width(address)).ok_or_else(|| format!("bad mask length in \"{pattern}\""))?;
        let net = Net { address, bits };
        let network = net.network();
        if network != address {
            return Err(format!(
                "non-null host address bits in \"{pattern}\", perhaps you should use \"{}/{bits}\" instead",
                if pattern.starts_with('[') { format!("[{network}]") } else { network.to_string() }
            ));
        }
        Ok(net)
    }

    /// Whether `address` is of the same kind as this network's.
    pub fn same_family(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
    }

    /// Whether `address` is of this network. Families are never mixed: `::ffff:1.2.3.4` is an IPv6 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => (u32::from(net) ^ u32::from(ip)) & mask32(self.bits) == 0,
            (IpAddr::V6(net), IpAddr::V6(ip)) => (u128::from(net) ^ u128::from(ip)) & mask128(self.bits) == 0,
            _ => false,
        }
    }

    fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) & mask32(self.bits)).into()),
            IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & mask128(self.bits)).into()),
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask32(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask128(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(net: &str, address: &str) -> bool {
        Net::parse(net).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn networks() {
        assert!(holds("10.0.0.0/8", "10.255.1.2"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("[2001:db8:1::]/48", "2001:db8:1::5"));
        assert!(holds("[::1/128]", "::1"));
        assert!(holds("[::1]", "0::1"));
        assert!(holds("1.2.3.4", "1.2.3.4"));
        assert!(!holds("192.168.1.0/25", "192.168.1.128"));
    }

    // S-TABLE-07
    #[test]
    fn faults_in_postfix_words() {
        for (pattern, error) in [
            ("10.0.0.1/8", "non-null host address bits in \"10.0.0.1/8\", perhaps you should use \"10.0.0.0/8\" instead"),
            ("300.1.1.1", "bad address pattern: \"300.1.1.1\""),
            ("010.0.0.1", "bad address pattern: \"010.0.0.1\""),
            ("1.2.3.0/33", "bad mask length in \"1.2.3.0/33\""),
            ("1.2.3.4/abc", "bad mask value in \"1.2.3.4/abc\""),
            ("1.2.3.4/", "bad mask value in \"1.2.3.4/\""),
            ("1.2/16", "bad network value in \"1.2/16\""),
            ("/32", "bad network value in \"/32\""),
            ("[1.2.3.4", "missing ']' character after \"[1.2.3.4\""),
            ("1.2.3.4]", "bad address pattern: \"1.2.3.4]\""),
        ] {
            assert_eq!(Net::parse(pattern), Err(error.into()));
        }
    }
}
