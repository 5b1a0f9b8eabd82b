//! The other ends: three hands that never saw ours. Debian's `wireguard-go` is a process; `boringtun-cli` and
//! `gotatun` are thin programs around a library, and that library's device runs here, in a thread of the
//! device's namespace, as those programs start it.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use boringtun::device::{DeviceConfig, DeviceHandle};
use gotatun::device::DeviceBuilder;
use gotatun::device::uapi::UapiServer;
use gotatun::tun::tun_async_device::TunDevice;

use super::world::{NEIGHBOUR, Seated, Server, World, inside, must_be_root, until};

#[derive(Clone, Copy, Debug)]
pub enum Hand {
    WireguardGo,
    Boringtun,
    Gotatun,
}

/// One of them in the device's namespace; its interface goes with it.
pub struct Device {
    pub interface: String,
    running: Running,
}

enum Running {
    WireguardGo(Child),
    Boringtun(Option<DeviceHandle>),
    Gotatun(Option<tokio::sync::oneshot::Sender<()>>, Option<JoinHandle<()>>),
}

impl Device {
    /// `wireguard-go`, configured and raised.
    pub fn up(world: &World, server: &Server, seated: &Seated, interface: &str, folder: &Path) -> Self {
        let device = Self::begin(world, Hand::WireguardGo, interface);
        device.configure(world, &seated.conf(server, &world.endpoint, ""), folder);
        device.raise(world, server, seated, 100);
        device
    }

    /// The interface exists when this returns, and can be configured.
    pub fn begin(world: &World, hand: Hand, interface: &str) -> Self {
        // The control socket lies in a folder that all namespaces share, so the name must be unique.
        let interface = format!("{interface}{}", &world.id[world.id.len().saturating_sub(7)..]);
        let running = match hand {
            Hand::WireguardGo => Running::WireguardGo(wireguard_go(world, &interface)),
            Hand::Boringtun => {
                let name = interface.clone();
                let device = world.in_device(move || DeviceHandle::new(&name, DeviceConfig::default()));
                Running::Boringtun(Some(device.expect("boringtun's device")))
            }
            Hand::Gotatun => gotatun(world, interface.clone()),
        };
        let device = Self { interface, running };
        assert!(until(|| device.control().exists()), "{hand:?} did not start");
        device
    }

    pub fn configure(&self, world: &World, conf: &str, folder: &Path) {
        let file = folder.join(format!("{}.conf", self.interface));
        std::fs::write(&file, conf).unwrap();
        world.device(&["wg", "setconf", &self.interface, file.to_str().unwrap()]);
    }

    /// Its own address, and routes of this metric to the gateway and to a neighbour.
    pub fn raise(&self, world: &World, server: &Server, seated: &Seated, metric: u32) {
        let own = server.plan.address(seated.seat.slot, seated.seat.class.into()).unwrap();
        let (interface, metric) = (self.interface.as_str(), metric.to_string());
        world.device(&["ip", "address", "add", &format!("{own}/32"), "dev", interface]);
        world.device(&["ip", "link", "set", interface, "mtu", "1280", "up"]);
        let addresses: [Ipv4Addr; 3] = [server.plan.gateway(), server.plan.gateway_open(), NEIGHBOUR];
        for address in addresses.map(|address| address.to_string()) {
            let own = own.to_string();
            let route =
                ["ip", "route", "replace", &address, "dev", interface, "src", &own, "metric", &metric];
            world.device(&route);
        }
    }

    /// From now on the device speaks from this port.
    pub fn listen(&self, port: u16) {
        let mut control = UnixStream::connect(self.control()).unwrap();
        write!(control, "set=1\nlisten_port={port}\n\n").unwrap();
        let mut answer = [0; 9];
        control.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"errno=0\n\n", "{port}");
    }

    fn control(&self) -> PathBuf {
        Path::new("/var/run/wireguard").join(format!("{}.sock", self.interface))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        match &mut self.running {
            // `ip netns exec` has become wireguard-go; SIGTERM lets it remove its control socket.
            Running::WireguardGo(process) => {
                let pid = rustix::process::Pid::from_child(process);
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                let _ = process.wait();
            }
            Running::Boringtun(device) => drop(device.take()),
            Running::Gotatun(stop, thread) => {
                drop(stop.take());
                let _ = thread.take().map(JoinHandle::join);
            }
        }
        let _ = std::fs::remove_file(self.control());
    }
}

fn wireguard_go(world: &World, interface: &str) -> Child {
    Command::new("ip")
        .args(["netns", "exec", &world.name("d"), "wireguard-go", "-f", interface])
        .env("WG_PROCESS_FOREGROUND", "1")
        .env("LOG_LEVEL", "error")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("wireguard-go and iproute2 are installed")
}

fn gotatun(world: &World, interface: String) -> Running {
    let (stop, told) = tokio::sync::oneshot::channel();
    let (ready, started) = mpsc::channel();
    let thread = inside(world.name("d"), move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let tun = TunDevice::from_name(&interface).expect("gotatun's TUN");
            let control = UapiServer::default_unix_socket(&interface, None, None).expect("gotatun's socket");
            let device = DeviceBuilder::new().with_uapi(control).with_default_udp().with_ip(tun);
            let device = device.build().await.expect("gotatun's device");
            ready.send(()).unwrap();
            // The sender is dropped with the device.
            let _: Result<(), _> = told.await;
            device.stop().await;
        });
    });
    started.recv().expect("gotatun did not start; its panic is above");
    Running::Gotatun(Some(stop), Some(thread))
}

/// What most of these tests begin with: the room, one active seat, its device configured.
pub struct Scene {
    pub device: Device,
    pub server: Server,
    pub world: World,
    pub folder: tempfile::TempDir,
}

impl Scene {
    pub fn new(interface: &str) -> Self {
        must_be_root();
        Self::of(World::new(), interface, true)
    }

    /// `echoes`: the room's listeners answer, and end with the room.
    pub fn of(world: World, interface: &str, echoes: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::begin(&world, folder.path(), None, echoes);
        let active = Seated::new("18-0042", vpn::SeatClass::Active, 1);
        server.ask(active.question());
        let device = Device::up(&world, &server, &active, interface, folder.path());
        Self { device, server, world, folder }
    }

    pub fn gateway(&self) -> Ipv4Addr {
        self.server.plan.gateway()
    }
}
