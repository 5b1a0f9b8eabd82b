//! The helpers of these tests: two namespaces, the room in one, the devices in the other.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use vpn::door::{Seat, SeatsAnswer, SeatsQuestion, VpnStatus};
use vpn::{AddressPlan, Config, Handover, PresharedKey, Room, SeatClass, Series, SlotNumber, TunnelKey};

pub const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 1);
pub const DEVICE: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 2);
pub const SERVER_V6: &str = "fd77::1";
pub const DEVICE_V6: &str = "fd77::2";
pub const WIREGUARD: u16 = 51_820;
/// Hospitals that block the first let one of the others through.
pub const PORTS: [u16; 3] = [WIREGUARD, 443, 4_500];

/// Something that must not pass is tried for this long; something that must pass has as long as it needs.
pub const REFUSED_FOR: Duration = Duration::from_millis(1_200);
pub const PASSES_WITHIN: Duration = Duration::from_secs(90);

/// Another device's address.
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 18, 0, 143);

/// A port that listens but that no class may reach: only the firewall stands before it.
pub const HIDDEN_PORT: u16 = 2222;

pub fn must_be_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "run this test as root: it makes network namespaces, a TUN and firewall rules"
    );
}

/// Two namespaces joined by a veth.
pub struct World {
    pub id: String,
    /// Where the device believes the server to be.
    pub endpoint: String,
}

impl World {
    pub fn new() -> Self {
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

    /// From now on the device's link carries datagrams of at most `mtu` bytes, one by one.
    pub fn narrow(&self, mtu: u16) {
        let (left, right) = (format!("mmts{}", self.id), format!("mmtd{}", self.id));
        self.server(&["ip", "link", "set", &left, "gso_max_segs", "1"]);
        self.device(&["ip", "link", "set", &right, "gso_max_segs", "1", "mtu", &mtu.to_string()]);
    }

    pub fn name(&self, side: &str) -> String {
        format!("mmt-{}{side}", self.id)
    }

    pub fn server(&self, command: &[&str]) -> String {
        run(&[&["ip", "netns", "exec", &self.name("s")], command].concat())
    }

    pub fn device(&self, command: &[&str]) -> String {
        run(&[&["ip", "netns", "exec", &self.name("d")], command].concat())
    }

    pub fn in_server<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        inside(self.name("s"), work).join().unwrap()
    }

    pub fn in_device<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        inside(self.name("d"), work).join().unwrap()
    }

    /// An echo at the server's side that belongs to no room; it ends with the test's process.
    pub fn echo(&self, address: Ipv4Addr, port: u16) {
        let (ready, listening) = mpsc::channel();
        inside(self.name("s"), move || {
            let listener = std::net::TcpListener::bind((address, port)).unwrap();
            ready.send(()).unwrap();
            for stream in listener.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        listening.recv().unwrap();
    }

    /// Does a connection from the device get an echo?
    pub fn reaches(&self, address: Ipv4Addr, port: u16) -> bool {
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
pub fn inside<T: Send + 'static>(
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

pub fn config(folder: &Path) -> Config {
    Config {
        plan: AddressPlan::new(10, vec![(Series::parse("18").unwrap(), 18)]).unwrap(),
        listen: PORTS
            .iter()
            .flat_map(|port| [format!("0.0.0.0:{port}"), format!("[::]:{port}")])
            .map(|local| local.parse().unwrap())
            .collect(),
        interface: "mmt0".into(),
        private_key: TunnelKey::generate([3; 32]),
        snapshot: folder.join("seating"),
        nft: "nft".into(),
    }
}

/// The room in its namespace.
pub struct Server {
    pub plan: AddressPlan,
    questions: Option<mpsc::Sender<(SeatsQuestion, mpsc::Sender<SeatsAnswer>)>>,
    /// Ends the room; whether it leaves everything to a successor.
    ending: mpsc::Sender<bool>,
    thread: Option<thread::JoinHandle<Option<Handover>>>,
}

impl Server {
    /// With an echo behind each listener's address.
    pub fn start(world: &World, folder: &Path) -> Self {
        Self::begin(world, folder, None, true)
    }

    /// Takes up what a predecessor has left.
    pub fn begin(world: &World, folder: &Path, left: Option<Handover>, echoes: bool) -> Self {
        let config = config(folder);
        let plan = config.plan.clone();
        let (questions, inbox) = mpsc::channel::<(SeatsQuestion, mpsc::Sender<SeatsAnswer>)>();
        let (ready, started) = mpsc::channel();
        let (ending, ends) = mpsc::channel();
        let thread = inside(world.name("s"), move || {
            let plan = config.plan.clone();
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let firewall = vpn::firewall::Firewall::new(&config.nft, &config.plan, &config.interface);
            let opened = match left {
                Some(left) => {
                    vpn::open_from(config, left, |all| firewall.install(all).map_err(|e| e.to_string()))
                }
                None => vpn::open(config),
            };
            let room: Room = runtime.block_on(async { opened.unwrap().start().await.unwrap() });
            let listening = [
                (plan.gateway(), 443),
                (plan.gateway(), 80),
                (plan.gateway_open(), 443),
                (plan.gateway_open(), 80),
                (plan.gateway_open(), HIDDEN_PORT),
            ];
            runtime.block_on(async {
                for address in listening.into_iter().filter(|_| echoes) {
                    tokio::spawn(echo(tokio::net::TcpListener::bind(address).await.unwrap()));
                }
            });
            ready.send(()).unwrap();
            while let Ok((question, answer)) = inbox.recv() {
                let _ = answer.send(runtime.block_on(room.answer(question)));
            }
            match ends.recv() {
                Ok(true) => Some(runtime.block_on(room.release()).unwrap()),
                _ => {
                    runtime.block_on(room.stop());
                    None
                }
            }
        });
        started.recv().expect("the room did not start; its panic is above");
        Self { plan, questions: Some(questions), ending, thread: Some(thread) }
    }

    /// Ends the room and its threads; what it leaves is a successor's.
    pub fn release(mut self) -> Handover {
        self.ending.send(true).unwrap();
        drop(self.questions.take());
        self.thread.take().unwrap().join().unwrap().unwrap()
    }

    pub fn ask(&self, question: SeatsQuestion) -> SeatsAnswer {
        let (answer, back) = mpsc::channel();
        self.questions.as_ref().unwrap().send((question, answer)).unwrap();
        back.recv().unwrap()
    }

    pub fn status(&self) -> VpnStatus {
        match self.ask(SeatsQuestion::Status) {
            SeatsAnswer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    pub fn stop(mut self) {
        let _ = self.ending.send(false);
        drop(self.questions.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.ending.send(false);
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

pub fn echoes(stream: &mut TcpStream) -> bool {
    echoes_within(stream, REFUSED_FOR)
}

pub fn echoes_within(stream: &mut TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(b"x").is_ok() && matches!(stream.read(&mut [0; 8]), Ok(1..))
}

/// A seat and the secret that belongs in the device.
pub struct Seated {
    pub seat: Seat,
    secret: TunnelKey,
}

impl Seated {
    pub fn new(slot: &str, class: SeatClass, generation: u64) -> Self {
        let secret = TunnelKey::generate([generation as u8 + 40; 32]);
        let slot: SlotNumber = slot.parse().unwrap();
        let psk = PresharedKey::from_bytes([generation as u8; 32]);
        Self { seat: Seat { slot, class, key: secret.public(), psk, generation }, secret }
    }

    pub fn question(&self) -> SeatsQuestion {
        SeatsQuestion::Seat(self.seat.clone())
    }

    /// What the device is configured with (wg(8)); `more` are further lines of its peer.
    pub fn conf(&self, server: &Server, endpoint: &str, more: &str) -> String {
        // Another device's address too: the device may lie about what it is allowed.
        let allowed =
            [server.plan.gateway(), server.plan.gateway_open(), NEIGHBOUR].map(|a| format!("{a}/32"));
        format!(
            "[Interface]\nPrivateKey = {}[Peer]\nPublicKey = {}\nPresharedKey = {}\nEndpoint = {endpoint}\n\
             AllowedIPs = {}\n{more}",
            *self.secret.expose_line(),
            server.status().public_key,
            self.seat.psk.expose_base64(),
            allowed.join(", "),
        )
    }
}

pub fn until(holds: impl Fn() -> bool) -> bool {
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
