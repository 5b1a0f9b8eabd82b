//! `[management]`: from where, and with whose certificates, engineers reach the machine. Pure.
//! Nothing written means nobody: the machine then answers at its console only.

use std::net::IpAddr;

/// Offices, a jump host, a spare of each.
const ADDRESSES_MAX: usize = 16;
/// An ECDSA key of 521 bits with its comment.
const SSH_CA_MAX: usize = 400;
/// What OpenSSH calls the kinds of key that an authority may have.
const SSH_KINDS: [&str; 3] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Management {
    /// Addresses or networks.
    pub addresses: Vec<Network>,
    /// The public key of the authority, one line as OpenSSH writes it.
    pub ssh_ca: Option<String>,
}

/// `198.51.100.0/24`; a single address has the longest prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Network {
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
        // The whole internet is no management network.
        (1..=longest).contains(&prefix).then_some(Self { address, prefix })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Key, value and reason in both languages.
pub type Wrong = (&'static str, String, &'static str);

pub fn mean(addresses: &[String], ssh_ca: Option<String>) -> Result<Management, Vec<Wrong>> {
    let mut wrong: Vec<Wrong> = Vec::new();
    if addresses.len() > ADDRESSES_MAX {
        wrong.push(("management.addresses", addresses.len().to_string(), "16個まで / at most 16"));
    }
    let mut networks = Vec::new();
    for text in addresses {
        match Network::parse(text) {
            Some(network) => networks.push(network),
            None => wrong.push((
                "management.addresses",
                text.clone(),
                "番地か網 / an address or a network, e.g. 192.0.2.0/24",
            )),
        }
    }
    if let Some(line) = &ssh_ca
        && !ssh_key_fits(line)
    {
        wrong.push((
            "management.ssh_ca",
            line.chars().take(20).collect(),
            "OpenSSHの公開鍵の一行（ed25519、ecdsa） / one line of a public key of OpenSSH (ed25519, ecdsa)",
        ));
    }
    if wrong.is_empty() { Ok(Management { addresses: networks, ssh_ca }) } else { Err(wrong) }
}

/// One line, a known kind, base64: it is written into a file that sshd believes.
fn ssh_key_fits(line: &str) -> bool {
    let mut words = line.split(' ');
    let kind = words.next().is_some_and(|kind| SSH_KINDS.contains(&kind));
    let body = words.next().is_some_and(|body| {
        body.len() >= 40 && body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    });
    kind && body && line.len() <= SSH_CA_MAX && !line.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_a_prefix_and_never_everybody() {
        assert_eq!(Network::parse("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(Network::parse("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        for bad in ["0.0.0.0/0", "::/0", "192.0.2.0/33", "office", "192.0.2.0/", ""] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    /// The attacker's configuration: a second line would be a second authority.
    #[test]
    fn an_authority_is_one_line_of_a_known_kind() {
        let key = format!("ssh-ed25519 {} ca", "A".repeat(68));
        assert!(mean(&[], Some(key.clone())).is_ok());
        for bad in
            [format!("{key}\n{key}"), format!("cert-authority {key}"), "ssh-ed25519".into(), String::new()]
        {
            assert!(mean(&[], Some(bad.clone())).is_err(), "{bad}");
        }
    }
}
