//! How long the seating takes: a whole series from its snapshot, one change in a running loop of 10,000
//! seats, the status of all, a planned restart with all connected. Needs a TUN, so it runs in the server's namespace.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use vpn::address::Place;
use vpn::addressing::Addressing;
use vpn::door::Seat;
use vpn::journal::Journal;
use vpn::plane::{Command, Plane};
use vpn::receiver::Receivers;
use vpn::server::{self, Export};
use vpn::shaker::Shaker;
use vpn::tun::TunDevice;
use vpn::udp::UdpListener;
use vpn::{AddressPlan, PresharedKey, SeatClass, Series, SlotNumber, TunnelKey, snapshot};

use crate::device::{public, server_secret};
use crate::{Words, handing};

const CHANGES: usize = 500;
const STATUSES: usize = 20;

pub fn run(words: &Words) {
    let count = words.number("count", 10_000).min(10_000);
    let series = Series::parse("18").unwrap();
    let seat = |number: usize, key: usize, psk: u8, generation: u64| Seat {
        slot: SlotNumber::new(series, number as u16).unwrap(),
        class: SeatClass::Active,
        key: vpn::PublicKey::from_bytes(public(key)),
        psk: PresharedKey::from_bytes([psk; 32]),
        generation,
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seating");
    let seats: Vec<Seat> = (0..count).map(|n| seat(n, n, 1, 1)).collect();
    let plan = AddressPlan::new(10, vec![(series, 18)]).unwrap();
    let (left, taken, megabytes) = handing::over(&plan, &seats, folder.path());
    snapshot::write(&file, &Export { seats, closed: Vec::new() }).unwrap();
    let strangers: Vec<Seat> = (0..CHANGES).map(|n| seat(n, count + n, 2, 3)).collect();

    let begun = Instant::now();
    let receivers = Receivers::new([7; 16]);
    let mut plane = Plane::new(Addressing::Realm(plan), receivers);
    let key = TunnelKey::generate(server_secret().to_bytes());
    let mut shaker = Shaker::new(&key, receivers, begun, [7; 32]).ok().unwrap();
    for seat in snapshot::read(&file).unwrap().unwrap().seats {
        plane.handle_command(Command::Seat(seat)).unwrap();
    }
    plane.poll_changes().into_iter().for_each(|change| shaker.handle_change(change));
    let loading = begun.elapsed();

    let tun = TunDevice::bare("mmtseats", true).unwrap();
    let sockets = vec![UdpListener::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap()];
    let (helm, thread) = server::start(plane, shaker, tun, sockets, Arc::new(Journal::new(0))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let changed = |command: Command| timed(&runtime, async { helm.command(command).await.unwrap().unwrap() });
    let (mut unseating, mut seating, mut psks) = (Vec::new(), Vec::new(), Vec::new());
    for (number, stranger) in strangers.into_iter().enumerate() {
        let slot = stranger.slot;
        let places = vec![Place::Active, Place::Enrolling];
        unseating.push(changed(Command::Unseat { slot, places, generation: 2 }));
        let renewed = Seat { psk: PresharedKey::from_bytes([3; 32]), generation: 4, ..stranger.clone() };
        seating.push(changed(Command::Seat(stranger)));
        psks.push(changed(Command::Seat(renewed)));
        assert!(number < count);
    }
    let mut statuses = Vec::new();
    for _ in 0..STATUSES {
        statuses.push(timed(&runtime, async { assert_eq!(helm.status().await.unwrap().seats.len(), count) }));
    }
    drop(helm);
    thread.join().unwrap().unwrap();
    println!(
        "{}",
        serde_json::json!({
            "load_ms": loading.as_secs_f64() * 1e3,
            "unseat_median_ms": median(&mut unseating), "seat_median_ms": median(&mut seating),
            "psk_median_ms": median(&mut psks), "status_median_ms": median(&mut statuses),
            "handover_left_ms": left, "handover_taken_ms": taken, "handover_mb": megabytes,
            "change_p99_ms": p99([unseating, seating, psks].concat()),
        })
    );
}

fn timed(runtime: &tokio::runtime::Runtime, work: impl Future) -> f64 {
    let begun = Instant::now();
    runtime.block_on(work);
    begun.elapsed().as_secs_f64() * 1e3
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}
