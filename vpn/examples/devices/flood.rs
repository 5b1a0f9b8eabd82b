//! Forged initiations: a right mac1, from addresses that are nobody's. Runs only in a named namespace that
//! has no way out, and stops with the storm beside it.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use vpn::handshake::mac1_key;
use vpn::hashes::mac16;
use vpn::{PublicKey, TunnelKey};

use crate::device::server_secret;

const HEADERS: usize = 28;
const MESSAGE: usize = 148;

/// Sends until `stop`; answers the rate that it reached.
pub fn start(server: SocketAddr, rate: u64, stop: Arc<AtomicBool>) -> thread::JoinHandle<f64> {
    enclosed().expect("forging is refused here");
    let public: PublicKey = TunnelKey::generate(server_secret().to_bytes()).public();
    let key = mac1_key(&public);
    let SocketAddr::V4(to) = server else { panic!("the flood speaks IPv4") };
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).expect("root");
    socket.set_header_included_v4(true).unwrap();
    thread::spawn(move || {
        let (begun, mut sent) = (Instant::now(), 0u64);
        while !stop.load(Ordering::Relaxed) {
            let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
            // Late by more than a tenth of a second: given up, no burst.
            for _ in 0..due.saturating_sub(sent).min(rate / 10) {
                let _ = socket.send_to(&forge(sent, &key, to), &server.into());
                sent += 1;
            }
            sent = sent.max(due.saturating_sub(rate / 10));
            thread::park_timeout(Duration::from_micros(300));
        }
        sent as f64 / begun.elapsed().as_secs_f64()
    })
}

fn forge(number: u64, key: &[u8; 32], to: std::net::SocketAddrV4) -> [u8; HEADERS + MESSAGE] {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut packet = [0; HEADERS + MESSAGE];
    packet[..2].copy_from_slice(&[0x45, 0]);
    packet[8..10].copy_from_slice(&[64, 17]);
    packet[12..16].copy_from_slice(&(0x0ad0_0000 | (mixed as u32 & 0x000f_ffff)).to_be_bytes());
    packet[16..20].copy_from_slice(&to.ip().octets());
    packet[20..22].copy_from_slice(&(1024 + (mixed >> 48) as u16 % 60_000).to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[24..26].copy_from_slice(&((8 + MESSAGE) as u16).to_be_bytes());
    let message = &mut packet[HEADERS..];
    message[0] = 1;
    for (at, word) in message[4..116].chunks_mut(8).enumerate() {
        let noise = mixed.rotate_left(at as u32 * 5).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes();
        word.copy_from_slice(&noise[..word.len()]);
    }
    let mac1 = mac16(key, &[&message[..116]]);
    message[116..132].copy_from_slice(&mac1);
    packet
}

/// A namespace with a name, and no default route in it; whatever cannot be read is a refusal.
fn enclosed() -> Result<(), String> {
    let number =
        |path: &str| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).map_err(|e| format!("{path}: {e}"));
    let own = number("/proc/self/ns/net")?;
    let names = std::fs::read_dir("/run/netns").map_err(|error| error.to_string())?;
    let named = names.flatten().any(|name| number(&name.path().display().to_string()) == Ok(own));
    let routes = std::fs::read_to_string("/proc/self/net/route").map_err(|error| error.to_string())?;
    // Blackholes (flag 0x200) lead nowhere.
    let way_out = routes.lines().skip(1).any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let flags = fields.get(3).and_then(|flags| u32::from_str_radix(flags, 16).ok()).unwrap_or(0);
        fields.get(7).is_none_or(|mask| *mask == "00000000") && flags & 0x200 == 0
    });
    match (named, way_out) {
        (true, false) => Ok(()),
        (false, _) => Err("not in a namespace with a name".into()),
        (_, true) => Err("the namespace has a default route".into()),
    }
}
