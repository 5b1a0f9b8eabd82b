//! How long a cut takes: the whole room with its doubles, many connections of many slots, each with an
//! open stream of events; slot after slot is cut, from the question to the last victim's last byte.
//! A bystander counts its events meanwhile. Prints the figures as JSON.
//!
//! ```text
//! cut [CONNECTIONS_PER_SLOT] [SLOTS] [SECONDS_BEFORE]
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used, dead_code)] // a program for a terminal; doubles of the tests

#[path = "../../tests/support/postgres.rs"]
mod postgres_server;
#[path = "../tests/it"]
mod it {
    pub mod world;

    const ON_SERVER: bool = false;
}

use std::sync::Arc;
use std::time::Instant;

use gateway::CutQuestion;
use it::world::client::next_event;
use it::world::doubles::Grants;
use it::world::{World, slot};

#[tokio::main]
async fn main() {
    let mut given = std::env::args().skip(1).map(|text| text.parse::<u16>().unwrap());
    let (each, slots, age) =
        (given.next().unwrap_or(20), given.next().unwrap_or(24), given.next().unwrap_or(0));
    let grants = Arc::new(Grants::default());
    for n in 1..=slots + 1 {
        grants.hold(n, n as u8, 5);
        // The doubles know nine people; a slot of facility n lets in whom its holder allows.
        grants.slot(n, Some((n as u8, vpn::slot::SeatClass::Active, vec![1])), 5);
    }
    grants.member(1, 1, true);
    let world = World::with(grants).await;
    let mut held = Vec::new();
    for n in 1..=slots + 1 {
        let mut client = world.client(n).await;
        assert_eq!(client.sign_in(1).await.status, 200);
        let mut streams = Vec::new();
        for _ in 0..if n > slots { 1 } else { each } {
            streams.push(client.events().await);
        }
        held.push(streams);
    }
    tokio::time::sleep(std::time::Duration::from_secs(age.into())).await;
    let connections = world.live().await.len();
    let lost: Vec<String> =
        world.audit().lines().filter(|line| line.contains("refused")).map(str::to_owned).collect();
    assert_eq!(connections, usize::from(each) * usize::from(slots) + 1, "{lost:#?}");
    let (_kept, mut bystander) = held.pop().unwrap().pop().unwrap();
    let mut took = Vec::new();
    for (n, streams) in (1..).zip(held) {
        let victims = streams.into_iter().map(|(kept, mut stream)| {
            tokio::spawn(async move {
                while next_event(&mut stream).await.is_some() {}
                drop(kept);
                Instant::now()
            })
        });
        let victims: Vec<_> = victims.collect();
        let began = Instant::now();
        let answer = world.room.cut(CutQuestion::Slot { slot: slot(n), generation: 5 }).await;
        let acknowledged = began.elapsed();
        let told = || world.audit().lines().rev().take(6).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(answer.connections, u32::from(each), "slot {n}: {:#?}", told());
        let mut last = began;
        for victim in victims {
            last = last.max(victim.await.unwrap());
        }
        took.push((last.duration_since(began), acknowledged));
        world.upstream.say(&n.to_string());
        assert_eq!(next_event(&mut bystander).await.unwrap(), format!("data: {n}\n\n"), "a frame was lost");
    }
    let figure = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| values[((values.len() - 1) as f64 * part) as usize];
        serde_json::json!({ "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0) })
    };
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
    let report = serde_json::json!({
        "connections": connections, "cuts": took.len(), "per_slot": each,
        "last_byte": figure(took.iter().map(|(last, _)| ms(*last)).collect()),
        "acknowledged": figure(took.iter().map(|(_, acknowledged)| ms(*acknowledged)).collect()),
        "bystander_frames_lost": 0,
    });
    println!("{report}");
}
