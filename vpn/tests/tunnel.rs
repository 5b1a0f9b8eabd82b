//! The room against the real world: `wireguard-go` and `wg` as the device, the kernel's TUN and nftables,
//! two network namespaces joined by a veth. Needs root. Everything is in namespaces named `mmt-…` and
//! is gone afterwards, also when the test fails.
//!
//! A thread enters a namespace and whatever it starts (tokio, the loop, nft) is inside: the server is
//! the room itself, not a copy of it in another process.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use vpn::door::{Point, Seat, SeatEventKind, SeatRefusal, SeatsAnswer, SeatsQuestion, VpnStatus};
use vpn::{AddressPlan, Config, PresharedKey, Room, SeatClass, Series, SlotNumber, TunnelKey};

const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 2);
const SERVER_V6: &str = "fd77::1";
const DEVICE_V6: &str = "fd77::2";
const WIREGUARD: u16 = 51_820;

/// Something that must not pass is tried for this long; something that must pass has as long as it needs.
const REFUSED_FOR: Duration = Duration::from_millis(1_200);
const PASSES_WITHIN: Duration = Duration::from_secs(30);

/// A port that listens but that no class may reach: only the firewall stands before it.
const HIDDEN_PORT: u16 = 2222;

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
    assert!(!world.reaches(Ipv4Addr::new(10, 18, 0, 143), 443), "another device's address");
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
    must_be_root();
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&world, folder.path());
    let gateway = server.plan.gateway();
    let active = Seated::new("18-0042", SeatClass::Active, 1);
    server.ask(active.question());
    let _device = Device::up(&world, &server, &active, "mmtd1", folder.path());
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

// The helpers are not important.

fn must_be_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "run this test as root: it makes network namespaces, a TUN and firewall rules"
    );
}

/// Two namespaces joined by a veth.
struct World {
    id: String,
    /// Where the device believes the server to be.
    endpoint: String,
}

impl World {
    fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = format!("{}{count}", std::process::id());
        let world = Self { id, endpoint: format!("{SERVER}:{WIREGUARD}") };
        let (server, device) = (world.name("s"), world.name("d"));
        let (left, right) = (format!("mmts{}", world.id), format!("mmtd{}", world.id));
        run(&["ip", "netns", "add", &server]);
        run(&["ip", "netns", "add", &device]);
        run(&[
            "ip", "link", "add", &left, "netns", &server, "type", "veth", "peer", "name", &right, "netns",
            &device,
        ]);
        for (name, link, address) in [(&server, &left, SERVER), (&device, &right, DEVICE)] {
            run(&["ip", "-n", name, "address", "add", &format!("{address}/24"), "dev", link]);
            let v6 = if address == SERVER { SERVER_V6 } else { DEVICE_V6 };
            run(&["ip", "-n", name, "address", "add", &format!("{v6}/64"), "dev", link, "nodad"]);
            run(&["ip", "-n", name, "link", "set", link, "up"]);
            run(&["ip", "-n", name, "link", "set", "lo", "up"]);
        }
        world
    }

    fn name(&self, side: &str) -> String {
        format!("mmt-{}{side}", self.id)
    }

    fn server(&self, command: &[&str]) -> String {
        run(&[&["ip", "netns", "exec", &self.name("s")], command].concat())
    }

    fn device(&self, command: &[&str]) -> String {
        run(&[&["ip", "netns", "exec", &self.name("d")], command].concat())
    }

    fn in_server<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        inside(self.name("s"), work).join().unwrap()
    }

    fn in_device<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        inside(self.name("d"), work).join().unwrap()
    }

    /// Does a connection from the device get an echo?
    fn reaches(&self, address: Ipv4Addr, port: u16) -> bool {
        self.in_device(move || {
            let address = SocketAddr::from((address, port));
            TcpStream::connect_timeout(&address, REFUSED_FOR).is_ok_and(|mut stream| echoes(&mut stream))
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for side in ["s", "d"] {
            let _ = Command::new("ip").args(["netns", "delete", &self.name(side)]).status();
        }
    }
}

/// A thread inside a namespace; threads and processes that it starts are inside too.
fn inside<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(move || {
        let namespace = std::fs::File::open(Path::new("/run/netns").join(name)).unwrap();
        let network = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(namespace.as_fd(), network).unwrap();
        work()
    })
}

fn config(folder: &Path) -> Config {
    Config {
        plan: AddressPlan::new(10, vec![(Series::parse("18").unwrap(), 18)]).unwrap(),
        listen: vec![
            SocketAddr::from(([0, 0, 0, 0], WIREGUARD)),
            format!("[::]:{WIREGUARD}").parse().unwrap(),
        ],
        interface: "mmt0".into(),
        private_key: TunnelKey::generate([3; 32]),
        snapshot: folder.join("seating"),
        nft: "nft".into(),
    }
}

/// The room in its namespace, with an echo behind each listener's address.
struct Server {
    plan: AddressPlan,
    questions: Option<mpsc::Sender<(SeatsQuestion, mpsc::Sender<SeatsAnswer>)>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(world: &World, folder: &Path) -> Self {
        let config = config(folder);
        let plan = config.plan.clone();
        let (questions, inbox) = mpsc::channel::<(SeatsQuestion, mpsc::Sender<SeatsAnswer>)>();
        let (ready, started) = mpsc::channel();
        let thread = inside(world.name("s"), move || {
            let plan = config.plan.clone();
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let room: Room = runtime.block_on(async { vpn::open(config).unwrap().start().await.unwrap() });
            let listening = [
                (plan.gateway(), 443),
                (plan.gateway(), 80),
                (plan.gateway_open(), 443),
                (plan.gateway_open(), 80),
                (plan.gateway_open(), HIDDEN_PORT),
            ];
            runtime.block_on(async {
                for address in listening {
                    tokio::spawn(echo(tokio::net::TcpListener::bind(address).await.unwrap()));
                }
            });
            ready.send(()).unwrap();
            while let Ok((question, answer)) = inbox.recv() {
                let _ = answer.send(runtime.block_on(room.answer(question)));
            }
            runtime.block_on(room.stop());
        });
        started.recv().expect("the room did not start; its panic is above");
        Self { plan, questions: Some(questions), thread: Some(thread) }
    }

    fn ask(&self, question: SeatsQuestion) -> SeatsAnswer {
        let (answer, back) = mpsc::channel();
        self.questions.as_ref().unwrap().send((question, answer)).unwrap();
        back.recv().unwrap()
    }

    fn status(&self) -> VpnStatus {
        match self.ask(SeatsQuestion::Status) {
            SeatsAnswer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn stop(mut self) {
        drop(self.questions.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.questions.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers every byte; ends with its runtime.
async fn echo(listener: tokio::net::TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (mut from, mut to) = stream.into_split();
            tokio::io::copy(&mut from, &mut to).await
        });
    }
}

fn echoes(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(REFUSED_FOR)).unwrap();
    stream.write_all(b"x").is_ok() && matches!(stream.read(&mut [0; 8]), Ok(1..))
}

/// A seat and the secret that belongs in the device.
struct Seated {
    seat: Seat,
    secret: TunnelKey,
}

impl Seated {
    fn new(slot: &str, class: SeatClass, generation: u64) -> Self {
        let secret = TunnelKey::generate([generation as u8 + 40; 32]);
        let slot: SlotNumber = slot.parse().unwrap();
        let psk = PresharedKey::from_bytes([generation as u8; 32]);
        Self { seat: Seat { slot, class, key: secret.public(), psk, generation }, secret }
    }

    fn question(&self) -> SeatsQuestion {
        SeatsQuestion::Seat(self.seat.clone())
    }
}

/// `wireguard-go` in the device's namespace; its interface goes with it.
struct Device {
    process: Child,
}

impl Device {
    fn up(world: &World, server: &Server, seated: &Seated, interface: &str, folder: &Path) -> Self {
        // The control socket lies in a folder that all namespaces share, so the name must be unique.
        let interface = format!("{interface}{}", &world.id[world.id.len().saturating_sub(7)..]);
        let place = seated.seat.class.into();
        let own = server.plan.address(seated.seat.slot, place).unwrap();
        let (gateway, open) = (server.plan.gateway(), server.plan.gateway_open());
        let file = folder.join(format!("{interface}.conf"));
        // Another device's address too: the device may lie about what it is allowed.
        let lines = format!(
            "[Interface]\nPrivateKey = {}[Peer]\nPublicKey = {}\nPresharedKey = {}\nEndpoint = {}\n\
             AllowedIPs = {gateway}/32, {open}/32, 10.18.0.143/32\n",
            *seated.secret.expose_line(),
            server.status().public_key,
            seated.seat.psk.expose_base64(),
            world.endpoint,
        );
        std::fs::write(&file, lines).unwrap();
        let process = Command::new("ip")
            .args(["netns", "exec", &world.name("d"), "wireguard-go", "-f", &interface])
            .env("WG_PROCESS_FOREGROUND", "1")
            .env("LOG_LEVEL", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("wireguard-go and iproute2 are installed");
        let device = Self { process };
        let control = Path::new("/var/run/wireguard").join(format!("{interface}.sock"));
        assert!(until(|| control.exists()), "wireguard-go did not start");
        world.device(&["wg", "setconf", &interface, file.to_str().unwrap()]);
        world.device(&["ip", "address", "add", &format!("{own}/32"), "dev", &interface]);
        world.device(&["ip", "link", "set", &interface, "mtu", "1280", "up"]);
        for address in [gateway, open, Ipv4Addr::new(10, 18, 0, 143)] {
            world.device(&["ip", "route", "replace", &address.to_string(), "dev", &interface]);
        }
        device
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // `ip netns exec` has become wireguard-go; SIGTERM lets it remove its control socket.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

fn until(holds: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PASSES_WITHIN;
    while Instant::now() < end {
        if holds() {
            return true;
        }
        thread::park_timeout(Duration::from_millis(50));
    }
    false
}

fn run(command: &[&str]) -> String {
    let output = Command::new(command[0])
        .args(&command[1..])
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {err}");
    out.into_owned()
}
