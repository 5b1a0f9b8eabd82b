//! A stranger at the doors and a prisoner in each jail: the small program that tries what must fail.
//! `probe knock SOCKET` knocks; `probe jail ROOM CONFIG FOLDER free|jailed` enters that room's jail and
//! tries. Prints one word or one line per attempt; touches only what it is given.
//! `probe carry ADDRESS SOCKET` is the wire to a database's server: what comes to the address by TCP goes
//! on to the socket. It ends with its input.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use appliance::jail::{self, Jail};
use appliance::process::{Name, process};
use rustix::net::{AddressFamily, SocketType};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = match words.as_slice() {
        ["knock", socket] => knock(Path::new(socket)),
        ["jail", room, config, folder, inside] => {
            prisoner(room, Path::new(config), Path::new(folder), *inside == "jailed")
        }
        ["carry", address, socket] => carry(address, PathBuf::from(socket)),
        _ => Err("usage: probe knock SOCKET | probe carry ADDRESS SOCKET | probe jail ROOM CONFIG FOLDER free|jailed".to_owned()),
    };
    let (text, code) = match said {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(text) => (text, ExitCode::FAILURE),
    };
    let _ = std::io::stdout().write_all(format!("{text}\n").as_bytes());
    code
}

/// What a knock brings: `forbidden` (the file), `stranger` (the guard), `closed` (a guard without words),
/// or what an attacker would love to read.
fn knock(socket: &Path) -> Result<String, String> {
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok("forbidden".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    // Understood by every door: a frame for the questions, a broken head for HTTP.
    let question = b"\"Status\"";
    let mut frame = u32::try_from(question.len()).unwrap_or_default().to_be_bytes().to_vec();
    frame.extend(question);
    let _ = stream.write_all(&frame);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    let text = String::from_utf8_lossy(&heard);
    Ok(match () {
        () if text.contains("Stranger") => "stranger".to_owned(),
        () if heard.is_empty() => "closed".to_owned(),
        () => format!("answered: {text}"),
    })
}

fn carry(address: &str, socket: PathBuf) -> Result<String, String> {
    let listener = TcpListener::bind(address).map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let socket = socket.clone();
            std::thread::spawn(move || {
                let far = UnixStream::connect(socket)?;
                let (mut from, mut to) = (near.try_clone()?, far.try_clone()?);
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    to.shutdown(Shutdown::Write)
                });
                let (mut from, mut to) = (far, near);
                let _ = std::io::copy(&mut from, &mut to);
                to.shutdown(Shutdown::Both)
            });
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok("carried".to_owned())
}

/// `folder` is open to everybody, with a file `readable` in it: only a jail forbids it.
fn prisoner(room: &str, config: &Path, folder: &Path, jailed: bool) -> Result<String, String> {
    let name = Name::SERVED.into_iter().find(|name| name.as_str() == room).ok_or("no such room")?;
    let row = process(name);
    let text = std::fs::read_to_string(config).map_err(|error| error.to_string())?;
    let config = appliance::config::read(&text).map_err(|faults| format!("{faults:?}"))?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // Of the same user, outside the jail; it ends with its input.
    let mut other = Command::new("cat");
    let mut other =
        other.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    let pid = rustix::process::Pid::from_child(&other);
    let mut lines = Vec::new();
    if jailed {
        let held = jail::enter(&Jail::of(row, &config)).map_err(|error| error.to_string())?;
        lines.push(format!("held={held}"));
    }
    for (what, outcome) in attempts(&config, row.state, folder, address, pid) {
        lines.push(format!("{what}={}", if outcome { "yes" } else { "no" }));
    }
    drop(other.stdin.take());
    other.wait().map_err(|error| error.to_string())?;
    Ok(lines.join("\n"))
}

fn attempts(
    config: &appliance::config::Config,
    state: Option<&str>,
    folder: &Path,
    address: SocketAddr,
    other: rustix::process::Pid,
) -> Vec<(&'static str, bool)> {
    let own = |state: &str| std::fs::write(config.paths.room(state).join("probe"), "x").is_ok();
    let socket = |family: AddressFamily| rustix::net::socket(family, SocketType::DGRAM, None).is_ok();
    let taken = rustix::process::pidfd_open(other, rustix::process::PidfdFlags::empty())
        .and_then(|pidfd| rustix::process::pidfd_getfd(pidfd, 0, rustix::process::PidfdGetfdFlags::empty()))
        .is_ok();
    vec![
        ("own_state", state.is_some_and(own)),
        ("output", std::fs::write(config.paths.output.join("probe"), "x").is_ok()),
        ("foreign_read", std::fs::read(folder.join("readable")).is_ok()),
        ("foreign_write", std::fs::write(folder.join(format!("new-{}", std::process::id())), "x").is_ok()),
        ("exec", Command::new("/bin/true").status().is_ok_and(|status| status.success())),
        ("exec_nft", Command::new(&config.vpn.nft).arg("--version").output().is_ok()),
        ("tcp_connect", TcpStream::connect(address).is_ok()),
        ("tcp_listen", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("udp", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("raw_packets", socket(AddressFamily::PACKET)),
        ("netlink", socket(AddressFamily::NETLINK)),
        ("unix", socket(AddressFamily::UNIX)),
        ("signal_another", rustix::process::test_kill_process(other).is_ok()),
        ("descriptor_of_another", taken),
    ]
}
