//! A wg(8) configuration, read whole before anything opens; every fault names its line. Pure.

use std::net::Ipv4Addr;

use crate::address::{AddressPlan, Place};
use crate::addressing::{Numbered, NumberingError};
use crate::door::Seat;
use crate::key::{PresharedKey, PublicKey, TunnelKey};
use crate::slot::{SLOTS_PER_SERIES, SeatClass, Series, SlotNumber};

/// As many as the address plan has seats for: eight series.
pub const PEERS_MAX: usize = 8 * SLOTS_PER_SERIES as usize;

const PORT_DEFAULT: u16 = 51_820;

/// A configuration that means something.
pub struct Conf {
    pub private_key: TunnelKey,
    pub port: u16,
    pub seats: Vec<Seat>,
    pub numbered: Numbered,
}

/// What is wrong, and where; 0 is the whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfFault {
    pub line: usize,
    pub found: String,
    pub expected: &'static str,
}

#[derive(Default)]
struct Peer {
    line: usize,
    key: Option<PublicKey>,
    psk: Option<PresharedKey>,
    address: Option<Ipv4Addr>,
}

enum Section {
    Before,
    Interface,
    Peer,
}

/// Reads the text; `[Peer]`s get numbers in their order.
pub fn parse(text: &str) -> Result<Conf, ConfFault> {
    let mut section = Section::Before;
    let (mut private_key, mut port, mut peers) = (None, PORT_DEFAULT, Vec::<Peer>::new());
    for (number, raw) in (1..).zip(text.lines()) {
        let line = raw.split('#').next().unwrap_or("").trim();
        let fault = |found: &str, expected| Err(ConfFault::new(number, found, expected));
        match line.to_ascii_lowercase().as_str() {
            "" => continue,
            "[interface]" => {
                section = Section::Interface;
                continue;
            }
            "[peer]" if peers.len() == PEERS_MAX => return fault(line, "at most 80,000 peers"),
            "[peer]" => {
                section = Section::Peer;
                peers.push(Peer { line: number, ..Peer::default() });
                continue;
            }
            _ => {}
        }
        let Some((name, value)) = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
        else {
            return fault(line, "[Interface], [Peer], or `Name = value`");
        };
        // A key's text is never repeated: it may be the private one.
        match (&section, name.to_ascii_lowercase().as_str(), peers.last_mut()) {
            (Section::Interface, "privatekey", _) => match TunnelKey::parse(value) {
                Ok(key) => private_key = Some(key),
                Err(_) => return fault(name, "a key: 32 bytes in base64 (44 characters)"),
            },
            (Section::Interface, "listenport", _) => match value.parse() {
                Ok(value) => port = value,
                Err(_) => return fault(value, "a port from 0 to 65535"),
            },
            (Section::Peer, "publickey", Some(peer)) => match value.parse::<PublicKey>() {
                Ok(key) if key.is_usable() => peer.key = Some(key),
                Ok(_) => return fault(value, "a public key of full order"),
                Err(_) => return fault(value, "a key: 32 bytes in base64 (44 characters)"),
            },
            (Section::Peer, "presharedkey", Some(peer)) => match value.to_owned().try_into() {
                Ok(psk) => peer.psk = Some(psk),
                Err(_) => return fault(name, "a key: 32 bytes in base64 (44 characters)"),
            },
            (Section::Peer, "allowedips", Some(peer)) => match host(value) {
                Some(address) if peer.address.is_none() => peer.address = Some(address),
                _ => return fault(value, "one IPv4 address, such as 10.0.0.2/32"),
            },
            // What belongs to initiators: a responder needs none of it.
            (Section::Peer, "endpoint" | "persistentkeepalive", _) | (Section::Interface, "fwmark", _) => {}
            _ => {
                return fault(
                    name,
                    "PrivateKey, ListenPort under [Interface]; PublicKey, PresharedKey, AllowedIPs under [Peer]",
                );
            }
        }
    }
    let private_key =
        private_key.ok_or_else(|| ConfFault::new(0, "no PrivateKey", "PrivateKey under [Interface]"))?;
    let (seats, numbered) = number(peers)?;
    Ok(Conf { private_key, port, seats, numbered })
}

fn number(peers: Vec<Peer>) -> Result<(Vec<Seat>, Numbered), ConfFault> {
    let whole = |_| ConfFault::new(0, "too many peers", "at most 80,000 peers");
    let series: Vec<Series> =
        (0..8).map(|n| Series::parse(&format!("{n:02}"))).collect::<Result<_, _>>().map_err(whole)?;
    let blocks = series.iter().copied().zip(0..).collect();
    let plan =
        AddressPlan::new(0, blocks).map_err(|_| ConfFault::new(0, "no plan", "at most 80,000 peers"))?;
    let (mut seats, mut addresses) = (Vec::with_capacity(peers.len()), Vec::with_capacity(peers.len()));
    for (number, peer) in peers.into_iter().enumerate() {
        let missing = |what| ConfFault::new(peer.line, "[Peer]", what);
        let per_series = usize::from(SLOTS_PER_SERIES);
        let slot =
            SlotNumber::new(series[number / per_series], (number % per_series) as u16).map_err(whole)?;
        let key = peer.key.ok_or_else(|| missing("a PublicKey in this [Peer]"))?;
        let address = peer.address.ok_or_else(|| missing("AllowedIPs in this [Peer]"))?;
        let psk = peer.psk.unwrap_or_else(|| PresharedKey::from_bytes([0; 32]));
        addresses.extend(plan.seat_index(slot, Place::Active).map(|index| (address, index)));
        seats.push(Seat { slot, class: SeatClass::Active, key, psk, generation: 1 });
    }
    let numbered = Numbered::new(plan, addresses).map_err(|error| match error {
        NumberingError::Spread => ConfFault::new(0, "AllowedIPs", "addresses within 1,048,576 of each other"),
        NumberingError::Twice(address) => {
            ConfFault::new(0, &address.to_string(), "each AllowedIPs address in one [Peer] only")
        }
    })?;
    Ok((seats, numbered))
}

/// `10.0.0.2/32`, or the address alone.
fn host(value: &str) -> Option<Ipv4Addr> {
    let address = match value.split_once('/') {
        Some((address, "32")) => address,
        Some(_) => return None,
        None => value,
    };
    address.trim().parse().ok()
}

impl ConfFault {
    fn new(line: usize, found: &str, expected: &'static str) -> Self {
        Self { line, found: found.chars().take(60).collect(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

    fn text(peer: &str) -> String {
        format!("# of the bench\n[Interface]\nPrivateKey = {KEY}\nListenPort = 51821\n\n[Peer]\n{peer}\n")
    }

    #[test]
    fn peers_are_numbered_in_their_order() {
        let second = "de9SX2kEsa7mP+LfRDgnLsgxEMnHb/4HMWAEbYVTMTU=";
        let peers = format!(
            "PublicKey = {KEY}\nAllowedIPs = 10.64.1.0/32\nPersistentKeepalive = 25\n[Peer]\n\
             PublicKey={second}\nPresharedKey={KEY}\nallowedips = 10.64.1.9\n"
        );
        let conf = parse(&text(&peers)).unwrap_or_else(|fault| panic!("{fault:?}"));
        assert_eq!(conf.port, 51_821);
        let slots: Vec<_> = conf.seats.iter().map(|seat| seat.slot.to_string()).collect();
        assert_eq!(slots, ["00-0000", "00-0001"]);
    }

    #[test]
    fn a_bad_line_is_named_with_what_was_expected_and_no_secret_is_repeated() {
        let table = [
            ("PublicKey = short", 7, "short"),
            ("PublicKey", 7, "PublicKey"),
            (&format!("PublicKey = {KEY}\nAllowedIPs = 10.0.0.0/24"), 8, "10.0.0.0/24"),
            (
                &format!("PublicKey = {KEY}\nAllowedIPs = 10.0.0.1/32, 10.0.0.2/32"),
                8,
                "10.0.0.1/32, 10.0.0.2/32",
            ),
            (&format!("PublicKey = {KEY}"), 6, "[Peer]"),
            ("AllowedIPs = 10.0.0.1", 6, "[Peer]"),
            ("PresharedKey = verysecret", 7, "PresharedKey"),
            ("Colour = red", 7, "Colour"),
        ];
        for (peer, line, found) in table {
            let Err(fault) = parse(&text(peer)) else { panic!("{peer}") };
            assert_eq!((fault.line, fault.found.as_str()), (line, found), "{peer}");
        }
        let twice = format!(
            "PublicKey = {KEY}\nAllowedIPs = 10.0.0.1\n[Peer]\nPublicKey = {KEY}\nAllowedIPs = 10.0.0.1"
        );
        assert_eq!(parse(&text(&twice)).err().map(|fault| fault.found), Some("10.0.0.1".to_owned()));
        assert_eq!(parse("").err().map(|fault| fault.line), Some(0));
        assert_eq!(parse("PrivateKey = x").err().map(|fault| fault.line), Some(1));
    }
}
