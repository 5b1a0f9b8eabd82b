//! What lies between a device and us: blocked ports, both families, a path that carries 1280 bytes and says nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use vpn::door::SeatsQuestion;

use super::device::Scene;
use super::world::{PORTS, SERVER, SERVER_V6, World, must_be_root, until};

#[test]
fn every_port_of_both_families_leads_to_the_same_tunnel_and_the_session_roams_between_them() {
    let scene = Scene::new("mmtp1");
    let gateway = scene.gateway();
    let Scene { folder: _folder, world, server, device, .. } = scene;
    assert!(world.reaches(gateway, 443));
    let key = server.status().public_key.to_string();
    for port in PORTS {
        for endpoint in [format!("{SERVER}:{port}"), format!("[{SERVER_V6}]:{port}")] {
            world.device(&["wg", "set", &device.interface, "peer", &key, "endpoint", &endpoint]);
            assert!(until(|| world.reaches(gateway, 443)), "{endpoint}");
            let family = server.status().seats[0].endpoint.map(|seen| seen.is_ipv6());
            assert_eq!(family, Some(endpoint.starts_with('[')), "{endpoint}");
        }
    }
    server.stop();
}

#[test]
fn a_path_of_1280_bytes_that_swallows_icmp_carries_a_stream_both_ways_without_a_fragment() {
    must_be_root();
    for endpoint in [format!("{SERVER}:{}", PORTS[0]), format!("[{SERVER_V6}]:{}", PORTS[0])] {
        let mut world = World::new();
        world.endpoint = endpoint;
        // Longer datagrams die on the way, and nobody is told; super-packets are cut before, as by a card.
        world.narrow(1280);
        let scene = Scene::of(world, "mmtq1", true);
        let gateway = scene.gateway();
        let Scene { folder: _folder, world, server, device, .. } = scene;
        assert!(world.reaches(gateway, 443));
        let came_back = world.in_device(move || {
            let mut sending = TcpStream::connect((gateway, 443)).unwrap();
            let mut reading = sending.try_clone().unwrap();
            let sent: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
            let expected = sent.clone();
            let sender = std::thread::spawn(move || sending.write_all(&sent));
            let mut heard = vec![0; expected.len()];
            reading.set_read_timeout(Some(super::world::PASSES_WITHIN)).unwrap();
            let read = reading.read_exact(&mut heard);
            sender.join().unwrap().unwrap();
            read.is_ok() && heard == expected
        });
        assert!(came_back, "{}: {:?}", world.endpoint, server.status());
        for counters in [world.server(&["cat", "/proc/net/snmp"]), world.device(&["cat", "/proc/net/snmp"])] {
            assert_eq!(counter(&counters, "Ip:", "FragCreates"), 0, "no outer fragments");
        }
        assert!(matches!(server.ask(SeatsQuestion::Status), vpn::door::SeatsAnswer::Status(_)));
        drop(device);
        server.stop();
    }
}

/// A figure of /proc/net/snmp: a line of names, then a line of numbers.
fn counter(text: &str, group: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, numbers) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split_whitespace().position(|n| n == name).unwrap();
    numbers.split_whitespace().nth(place).unwrap().parse().unwrap()
}
