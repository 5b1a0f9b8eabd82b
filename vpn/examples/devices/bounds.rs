//! What the machine can do at best, by the CPU clock of one thread: sealing, opening, X25519, trains of
//! datagrams to a socket that nobody reads.

use std::hint::black_box;
use std::net::UdpSocket;
use std::time::Duration;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use vpn::batch::Path;
use vpn::udp::UdpListener;

const PACKET: usize = 1_420;

pub fn print() {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).unwrap());
    let nonce = || Nonce::assume_unique_for_key([0; 12]);
    let mut room = vec![0u8; PACKET + 16];
    let seal = best(|| {
        let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut room[..PACKET]).unwrap();
        let _ = black_box(tag);
    });
    let mut sealed = room.clone();
    let tag = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed[..PACKET]).unwrap();
    sealed[PACKET..].copy_from_slice(tag.as_ref());
    let open = best(|| {
        room.copy_from_slice(&sealed);
        let _ = black_box(key.open_in_place(nonce(), Aad::empty(), &mut room).unwrap().len());
    });
    let private = PrivateKey::from_private_key(&X25519, &[9; 32]).unwrap();
    let public = private.compute_public_key().unwrap();
    let x25519 = best(|| {
        let _ = black_box(agree(&private, UnparsedPublicKey::new(&X25519, public.as_ref()), (), |_| Ok(())));
    });
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpListener::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap();
    let path = Path { socket: 0, peer: silent.local_addr().unwrap(), local: None };
    let train = vec![0u8; 44 * 1_452];
    let send = best(|| {
        let _ = black_box(sender.send(&path, &train, 1_452));
    });
    let per_gbit = |seconds: f64, bytes: usize| seconds / (bytes as f64 * 8.0 / 1e9);
    println!(
        "{}",
        serde_json::json!({
            "seal_cpu_s_per_gbit": per_gbit(seal, PACKET), "open_cpu_s_per_gbit": per_gbit(open, PACKET),
            "x25519_us": x25519 * 1e6, "udp_train_cpu_s_per_gbit": per_gbit(send, train.len()),
        })
    );
}

/// Seconds of this thread's CPU for one turn; the best of five tries. The kernel brings the figure up to date
/// a few times in a hundredth of a second, so each try lasts a fifth of one.
fn best(mut turn: impl FnMut()) -> f64 {
    let mut one = || {
        let (mut turns, before) = (0u32, own_cpu());
        while own_cpu() - before < Duration::from_millis(200) {
            (0..256).for_each(|_| turn());
            turns += 256;
        }
        (own_cpu() - before).as_secs_f64() / f64::from(turns)
    };
    (0..5).map(|_| one()).fold(f64::INFINITY, f64::min)
}

fn own_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}
