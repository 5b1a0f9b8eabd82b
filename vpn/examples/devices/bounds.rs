//! What the machine can do at best, by the CPU clock of one thread: sealing, opening, X25519, trains of
//! datagrams sent and taken. The TUN's bound is measured from outside, by `pipe`.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use vpn::batch::Path;
use vpn::udp::{Arena, UdpListener};

const PACKET: usize = 1_420;

/// One train of datagrams, and how many wait in the kernel at most.
const TRAIN: usize = 44 * SEGMENT;
const SEGMENT: usize = 1_452;
const WAITING: usize = 16;

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
    let (send, receive) = trains();
    let per_gbit = |seconds: f64, bytes: usize| seconds / (bytes as f64 * 8.0 / 1e9);
    println!(
        "{}",
        serde_json::json!({
            "seal_cpu_s_per_gbit": per_gbit(seal, PACKET), "open_cpu_s_per_gbit": per_gbit(open, PACKET),
            "x25519_us": x25519 * 1e6, "send_cpu_s_per_gbit": per_gbit(send, TRAIN), "receive_cpu_s_per_gbit": per_gbit(receive, TRAIN),
        })
    );
}

/// Seconds for sending a train over loopback (the kernel's part of receiving included), and for taking it.
fn trains() -> (f64, f64) {
    let bind = || UdpListener::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap();
    let (sender, receiver, mut arena) = (bind(), bind(), Arena::new());
    let path = Path { socket: 0, peer: receiver.local(), local: None };
    let train = vec![0u8; TRAIN];
    let mut round = || {
        let start = own_cpu();
        (0..WAITING).for_each(|_| assert_eq!(sender.send(&path, &train, SEGMENT), 0));
        let sent = own_cpu();
        let mut bytes = 0;
        while bytes < WAITING * TRAIN {
            receiver.receive(0, &mut arena);
            bytes += arena.received.iter().map(|received| received.at.len()).sum::<usize>();
        }
        let taken = own_cpu();
        ((sent - start).as_secs_f64() / WAITING as f64, (taken - sent).as_secs_f64() / WAITING as f64)
    };
    (0..500)
        .map(|_| round())
        .fold((f64::INFINITY, f64::INFINITY), |best, one| (f64::min(best.0, one.0), f64::min(best.1, one.1)))
}

/// Seconds of this thread's CPU for one turn; the best of five tries.
fn best(mut turn: impl FnMut()) -> f64 {
    let mut one = || {
        let (mut turns, before) = (0u32, own_cpu());
        while own_cpu() - before < Duration::from_millis(100) {
            (0..256).for_each(|_| turn());
            turns += 256;
        }
        (own_cpu() - before).as_secs_f64() / f64::from(turns)
    };
    (0..5).map(|_| one()).fold(f64::INFINITY, f64::min)
}

fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
