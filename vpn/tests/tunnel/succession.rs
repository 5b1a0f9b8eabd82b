//! A planned restart under a running stream, and a device that changes its address all the time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::device::Scene;
use super::world::{DEVICE, SERVER, Server, World, must_be_root, until};

/// A stream from the device that is echoed, block after block, until it is told to stop.
struct Stream {
    blocks: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), String>>,
}

impl Stream {
    fn start(world: &World, to: Ipv4Addr) -> Self {
        let (blocks, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, told) = (blocks.clone(), stop.clone());
        let mut stream = world.in_device(move || TcpStream::connect((to, 443)).unwrap());
        let thread = std::thread::spawn(move || {
            let (mut sent, mut heard) = (vec![0u8; 20_000], vec![0u8; 20_000]);
            while !told.load(Ordering::Relaxed) {
                let number = counted.load(Ordering::Relaxed);
                sent.iter_mut().zip(number..).for_each(|(byte, value)| *byte = value as u8);
                stream.write_all(&sent).map_err(|error| error.to_string())?;
                stream.read_exact(&mut heard).map_err(|error| error.to_string())?;
                if sent != heard {
                    return Err(format!("block {number} came back changed"));
                }
                counted.store(number + 1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { blocks, stop, thread }
    }

    /// Waits until some more blocks have gone there and back.
    fn goes_on(&self) -> bool {
        let wanted = self.blocks.load(Ordering::Relaxed) + 5;
        until(|| self.blocks.load(Ordering::Relaxed) >= wanted || self.thread.is_finished())
            && !self.thread.is_finished()
    }

    fn end(self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn a_planned_restart_under_a_running_stream_hands_the_sessions_over() {
    must_be_root();
    let scene = Scene::of(World::new(), "mmts1", false);
    let gateway = scene.gateway();
    let Scene { folder, world, mut server, device: _device, .. } = scene;
    world.echo(gateway, 443);
    let stream = Stream::start(&world, gateway);
    assert!(stream.goes_on());
    for restart in 1..=3 {
        let before = server.status();
        server = Server::begin(&world, folder.path(), Some(server.release()), false);
        let after = server.status();
        assert_eq!(after.seats[0].endpoint, before.seats[0].endpoint, "restart {restart}");
        assert_eq!(after.seats[0].last_handshake_ms, before.seats[0].last_handshake_ms, "restart {restart}");
        assert!(after.seats[0].rx_bytes >= before.seats[0].rx_bytes, "restart {restart}");
        assert!(stream.goes_on(), "restart {restart}: {:?}", server.status());
    }
    stream.end().unwrap();

    // The table stood all the time, and a stop takes everything away as ever.
    assert!(world.server(&["nft", "list", "set", "inet", "mimamori", "active"]).contains("10.18.0.142"));
    server.stop();
    assert!(!world.server(&["nft", "list", "tables"]).contains("mimamori"));
    assert!(!world.server(&["ip", "-o", "link"]).contains("mmt0"));
}

#[test]
fn what_is_left_for_another_configuration_is_not_taken_up() {
    must_be_root();
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&world, folder.path());
    let mut left = server.release();
    left.state.truncate(40);
    let server = Server::begin(&world, folder.path(), Some(left), true);
    assert!(server.status().seats.is_empty(), "opened anew, with what the snapshot says");
    server.stop();
}

/// A service manager drops what nobody comes for: then a firewall stands that lets nobody in (fail closed), and
/// whoever is started later begins anew.
#[test]
fn what_nobody_comes_for_ends_and_the_firewall_stays_shut() {
    let scene = Scene::new("mmtl1");
    let gateway = scene.gateway();
    let Scene { folder, world, server, device: _device } = scene;
    assert!(world.reaches(gateway, 443));
    drop(server.release());
    assert!(
        until(|| !world.server(&["ip", "-o", "link"]).contains("mmt0")),
        "the TUN goes with its last owner"
    );
    // The listeners' address outlives the tunnels on some other link, and whoever is outside knows a way to it.
    world.server(&["ip", "address", "add", &format!("{gateway}/32"), "dev", "lo"]);
    world.echo(gateway, 443);
    assert!(world.server(&["nft", "list", "tables"]).contains("mimamori"));
    world.device(&["ip", "route", "replace", &format!("{gateway}/32"), "via", &SERVER.to_string()]);
    assert!(!world.reaches(gateway, 443), "past the tunnels");
    world.server(&["nft", "delete", "table", "inet", "mimamori"]);
    assert!(until(|| world.reaches(gateway, 443)), "nothing but the firewall stood before it");
    world.server(&["ip", "address", "delete", &format!("{gateway}/32"), "dev", "lo"]);
    world.device(&["ip", "route", "delete", &format!("{gateway}/32"), "via", &SERVER.to_string()]);

    let server = Server::begin(&world, folder.path(), None, false);
    assert_eq!(server.status().seats.len(), 1);
    assert!(until(|| world.reaches(gateway, 443)), "the device comes back by itself: {:?}", server.status());
    server.stop();
    assert!(!world.server(&["nft", "list", "tables"]).contains("mimamori"), "a clean stop leaves no table");
}

/// Roaming (issue: 1,000 changes of the outer address under a running stream, nothing lost).
#[test]
fn a_thousand_changes_of_the_outer_address_under_a_running_stream() {
    let scene = Scene::new("mmtr1");
    let gateway = scene.gateway();
    let Scene { folder: _folder, world, server, device, .. } = scene;
    let stream = Stream::start(&world, gateway);
    assert!(stream.goes_on());
    // A port is a place, too: behind a carrier's NAT it is all that changes.
    (20_001..=21_000).for_each(|port| device.listen(port));
    assert!(stream.goes_on(), "{:?}", server.status());
    let last = std::net::SocketAddr::from((DEVICE, 21_000));
    assert!(until(|| server.status().seats[0].endpoint == Some(last)), "{:?}", server.status());
    assert_eq!(server.status().meters["rivals"], 0);
    stream.end().unwrap();
    server.stop();
}
