//! The data plane alone, from a wg(8) file, for an engineer and for comparison: no firewall, no plan, no
//! other room. An edge (file, sockets, TUN); ends when `stop` resolves or the loop fails, and the interface
//! with it.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::addressing::Addressing;
use crate::conf::{self, Conf, ConfFault};
use crate::journal::Journal;
use crate::plane::Command;
use crate::room::{EngineError, engine};
use crate::server;
use crate::tun::TunDevice;
use crate::udp::UdpListener;

/// The largest file worth reading: 80,000 peers with everything written out.
const FILE_MAX: u64 = 32 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ForegroundError {
    #[error("{path}: {why}")]
    File { path: String, why: String },
    #[error("{path}, line {}: found `{}`, expected {}", fault.line, fault.found, fault.expected)]
    Conf { path: String, fault: ConfFault },
    #[error("{0}")]
    Seat(String),
    #[error("udp port {port}: {why}; free it or choose another")]
    Listen { port: u16, why: String },
    #[error("interface {interface}: {why}; it needs CAP_NET_ADMIN and /dev/net/tun")]
    Tun { interface: String, why: String },
    #[error("no randomness: {0}")]
    Random(String),
    #[error("the PrivateKey is no usable key")]
    Key,
    #[error("the data plane has ended: {0}")]
    Ended(String),
}

/// Opens everything and serves until `stop` resolves. `offload` off: one packet a call, for kernels and
/// cards that misbehave.
pub async fn run(
    interface: &str,
    file: &Path,
    offload: bool,
    stop: impl Future<Output = ()>,
) -> Result<(), ForegroundError> {
    let path = file.display().to_string();
    let text =
        read(file).map_err(|error| ForegroundError::File { path: path.clone(), why: error.to_string() })?;
    let conf = conf::parse(&text).map_err(|fault| ForegroundError::Conf { path, fault })?;
    let Conf { private_key, port, seats, numbered } = conf;
    let engine = engine(Addressing::File(numbered), &private_key);
    let (mut plane, shaker) = engine.map_err(|error| match error {
        EngineError::Random(why) => ForegroundError::Random(why),
        EngineError::Key => ForegroundError::Key,
    })?;
    for seat in seats {
        plane
            .handle_command(Command::Seat(seat))
            .map_err(|refusal| ForegroundError::Seat(refusal.to_string()))?;
    }
    let listen: [SocketAddr; 2] =
        [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()];
    let mut sockets = Vec::new();
    for local in listen {
        match UdpListener::bind(local, &listen) {
            Ok(socket) => sockets.push(socket),
            // A machine without IPv6 is served over IPv4.
            Err(_) if local.is_ipv6() => {}
            Err(error) => return Err(ForegroundError::Listen { port, why: error.to_string() }),
        }
    }
    if !offload {
        sockets.iter().for_each(UdpListener::refuse_trains);
    }
    let tun = TunDevice::bare(interface, offload)
        .map_err(|error| ForegroundError::Tun { interface: interface.to_owned(), why: error.to_string() })?;
    let journal = Arc::new(Journal::new(server::now().unix_ms));
    let ended = |why: String| ForegroundError::Ended(why);
    let (helm, thread) =
        server::start(plane, shaker, tun, sockets, journal).map_err(|error| ended(error.to_string()))?;
    let mut loop_ends = tokio::task::spawn_blocking(move || thread.join());
    let how = tokio::select! {
        () = stop => {
            helm.stop();
            loop_ends.await
        }
        how = &mut loop_ends => how,
    };
    match how {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(ended(error.to_string())),
        _ => Err(ended("it panicked".to_owned())),
    }
}

fn read(file: &Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(file)?.take(FILE_MAX).read_to_string(&mut text)?;
    Ok(text)
}
