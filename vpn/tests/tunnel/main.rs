//! The room against the real world: other people's WireGuard as the device, the kernel's TUN and nftables,
//! two network namespaces joined by a veth. Needs root. Everything is in namespaces named `mmt-…` and
//! is gone afterwards, also when the test fails.
//!
//! A thread enters a namespace and whatever it starts (tokio, the loop, nft) is inside: the server is
//! the room itself, not a copy of it in another process.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod device;
mod hands;
mod paths;
mod relay;
mod succession;
mod world;

use std::net::TcpStream;

use vpn::SeatClass;
use vpn::door::{Point, SeatEventKind, SeatRefusal, SeatsAnswer, SeatsQuestion};

use device::{Device, Scene};
use world::{
    DEVICE, DEVICE_V6, HIDDEN_PORT, NEIGHBOUR, SERVER, SERVER_V6, Seated, Server, WIREGUARD, World, config,
    echoes, must_be_root, until,
};

#[test]
fn a_real_device_reaches_what_its_class_may_and_nothing_after_it_is_unseated() {
    must_be_root();
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&world, folder.path());
    let (gateway, open) = (server.plan.gateway(), server.plan.gateway_open());

    // Ruling 5: the bootstrap profile reaches claim and start pages, and nothing else.
    let enrolling = Seated::new("18-0042", SeatClass::Enrolling, 1);
    assert!(matches!(server.ask(enrolling.question()), SeatsAnswer::Seated { generation: 1, .. }));
    let device = Device::up(&world, &server, &enrolling, "mmtd1", folder.path());
    assert!(world.reaches(open, 443) && world.reaches(open, 80), "{:#?}", server.status());
    assert!(!world.reaches(gateway, 443), "the data plane: an enrolling seat and the mutual TLS address");
    assert!(!world.reaches(open, HIDDEN_PORT), "the firewall: a port of no class");
    assert!(server.status().drops["inner-destination"] > 0);
    drop(device);

    // Both places of the slot at once; the final key reaches everything that listens for it.
    let active = Seated::new("18-0042", SeatClass::Active, 2);
    assert!(matches!(server.ask(active.question()), SeatsAnswer::Seated { generation: 2, .. }));
    let device = Device::up(&world, &server, &active, "mmtd2", folder.path());
    assert!(world.reaches(gateway, 443) && world.reaches(open, 443) && world.reaches(open, 80));
    assert!(!world.reaches(gateway, 80) && !world.reaches(open, HIDDEN_PORT));
    assert!(!world.reaches(NEIGHBOUR, 443), "another device's address");
    assert!(server.status().drops["inner-device-to-device"] > 0);
    let SeatsAnswer::Events { events, .. } = server.ask(SeatsQuestion::Events { after: 0, wait_ms: 5_000 })
    else {
        panic!("no events");
    };
    let first = events
        .iter()
        .filter(|e| matches!(e.kind, SeatEventKind::FirstHandshake { endpoint } if endpoint.ip() == DEVICE));
    assert_eq!(
        first.map(|e| (e.class, e.generation)).collect::<Vec<_>>(),
        [(SeatClass::Enrolling, 1), (SeatClass::Active, 2)]
    );

    // Ruling 7: everything of the slot ends at once, in the middle of a connection.
    let mut stream = world.in_device(move || TcpStream::connect((gateway, 443)).unwrap());
    assert!(echoes(&mut stream), "before");
    let unseat =
        SeatsQuestion::Unseat { slot: active.seat.slot, enrolling: true, active: true, generation: 3 };
    for _asked_twice in 0..2 {
        let answer = server.ask(unseat.clone());
        assert!(
            matches!(answer, SeatsAnswer::Unseated { data_plane: true, firewall: Point::Acknowledged, .. }),
            "{answer:?}"
        );
        assert!(!echoes(&mut stream) && !world.reaches(open, 443));
    }
    assert!(matches!(server.ask(active.question()), SeatsAnswer::Refused(SeatRefusal::Stale { .. })));
    drop(device);
    server.stop();
}

#[test]
fn the_firewall_alone_also_stops_a_device_and_what_others_do_to_it_is_repaired() {
    let scene = Scene::new("mmtd1");
    let gateway = scene.gateway();
    let Scene { folder: _folder, world, server, device: _device, .. } = scene;
    assert!(world.reaches(gateway, 443));

    // Ruling 1: a listener is reachable through the TUN only, whatever the routes say.
    world.device(&["ip", "route", "replace", "10.18.255.2/32", "via", &SERVER.to_string()]);
    assert!(!world.reaches(server.plan.gateway_open(), 443), "from outside any tunnel");

    // Somebody empties our set: no `established` shortcut keeps the open connection alive.
    let mut stream = world.in_device(move || TcpStream::connect((gateway, 443)).unwrap());
    assert!(echoes(&mut stream));
    assert_eq!(server.status().mirror_true, Some(true));
    world.server(&["nft", "flush", "set", "inet", "mimamori", "active"]);
    assert!(!echoes(&mut stream));
    let repaired =
        || world.server(&["nft", "list", "set", "inet", "mimamori", "active"]).contains("10.18.0.142");
    assert!(until(repaired), "drift is repaired");
    assert!(until(|| server.status().mirror_true == Some(true)));

    // Somebody takes our rules away and leaves a friend of his own.
    world.server(&["nft", "flush", "chain", "inet", "mimamori", "from_tunnels"]);
    world.server(&["nft", "add", "element", "inet", "mimamori", "active", "{ 10.18.0.199 }"]);
    let rules = || world.server(&["nft", "list", "table", "inet", "mimamori"]);
    assert!(until(|| rules().contains("@enrolling") && !rules().contains("10.18.0.199")));
    server.stop();
    assert!(!world.server(&["nft", "list", "tables"]).contains("mimamori"), "a clean stop leaves no table");
}

#[test]
fn tunnels_rise_from_the_snapshot_without_any_other_process() {
    must_be_root();
    let mut world = World::new();
    world.endpoint = format!("[{SERVER_V6}]:{WIREGUARD}"); // outer IPv6 as well (ruling 3)
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&world, folder.path());
    let gateway = server.plan.gateway();
    let active = Seated::new("18-0042", SeatClass::Active, 5);
    server.ask(active.question());
    let device = Device::up(&world, &server, &active, "mmtd1", folder.path());
    assert!(world.reaches(gateway, 443));
    assert_eq!(server.status().seats[0].endpoint.unwrap().ip().to_string(), DEVICE_V6);
    drop(device);
    server.stop();

    let server = Server::start(&world, folder.path());
    assert_eq!(server.status().seats.len(), 1, "ruling 8: a restart never needs a human");
    let _device = Device::up(&world, &server, &active, "mmtd2", folder.path());
    assert!(world.reaches(gateway, 443));
    let older = Seated::new("18-0042", SeatClass::Active, 4);
    assert!(matches!(server.ask(older.question()), SeatsAnswer::Refused(SeatRefusal::Stale { held: 5, .. })));
    server.stop();

    std::fs::write(folder.path().join("seating"), "torn").unwrap();
    let server = Server::start(&world, folder.path());
    assert!(server.status().seats.is_empty(), "a damaged snapshot is an empty seating");
    let truth = SeatsQuestion::Reconcile { seats: vec![active.seat.clone()] };
    assert_eq!(server.ask(truth), SeatsAnswer::Reconciled { seated: 1, unseated: 0 });
    assert!(until(|| world.reaches(gateway, 443)), "the same device comes back by itself");
    server.stop();
}

#[test]
fn a_firewall_that_cannot_be_installed_means_no_room() {
    must_be_root();
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.nft = "/bin/false".into();
    let opened = world.in_server(move || vpn::open(config).map(|_| ()));
    assert!(opened.unwrap_err().to_string().starts_with("MM-1102"));
    assert!(!world.server(&["ip", "-o", "link"]).contains("mmt0"), "no TUN without its firewall");
}
