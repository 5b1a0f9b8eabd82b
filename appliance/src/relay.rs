//! What a room leaves to its own next process, in systemd's keeping meanwhile (FDSTORE): of the vpn the TUN, the
//! sockets, and the sessions in sealed memory that no disk sees; of the gateway the listening sockets, so that
//! the kernel holds whoever connects between two processes, after a crash too. An edge, and the one place where
//! a number from outside becomes a descriptor. Owns nothing: systemd gives it all back with LISTEN_FDS at the
//! next start, and drops it when the service is stopped for good.

use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

use gateway::listeners::Listeners;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use sd_notify::NotifyState;
use vpn::Handover;
use zeroize::Zeroizing;

const STATE: &str = "vpn-state";
const TUN: &str = "vpn-tun";
const SOCKET: &str = "vpn-socket-";

/// Eight series of sessions with full windows are a quarter of this.
const STATE_MAX: u64 = 512 << 20;

/// Is somebody there who keeps descriptors for the next process?
pub fn is_possible() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Gives everything to systemd.
pub fn keep(handover: &Handover) -> io::Result<()> {
    let Some(manager) = manager()? else { return Ok(()) };
    give(handover, |name, descriptor| send(&manager, name, descriptor))
}

/// Gives systemd the listening sockets that it does not have yet, for as long as the service is not stopped.
pub fn keep_listeners(listeners: &Listeners) {
    let kept = manager().and_then(|manager| manager.map_or(Ok(()), |manager| store(listeners, &manager)));
    if let Err(error) = kept {
        log::warn!("the listeners are not kept for a restart: {error}");
    }
}

fn store(listeners: &Listeners, manager: &UnixDatagram) -> io::Result<()> {
    for (name, socket, was_kept) in listeners.names() {
        if !was_kept {
            // One that stood elsewhere is of no use any more.
            manager.send(forgotten(name).as_bytes())?;
            send(manager, name, socket)?;
        }
    }
    Ok(())
}

fn manager() -> io::Result<Option<UnixDatagram>> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
    let manager = UnixDatagram::unbound()?;
    manager.connect(path)?;
    Ok(Some(manager))
}

fn forgotten(name: &str) -> String {
    format!("FDSTOREREMOVE=1\nFDNAME={name}")
}

/// The state goes last: who finds it finds the rest.
fn give(handover: &Handover, mut to: impl FnMut(&str, BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
    to(TUN, handover.tun.as_fd())?;
    for (number, socket) in handover.sockets.iter().enumerate() {
        to(&format!("{SOCKET}{number}"), socket.as_fd())?;
    }
    let mut memory = File::from(memfd_create(STATE, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    memory.write_all(&handover.state)?;
    fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    to(STATE, memory.as_fd())
}

/// One descriptor under its name. It is not watched: a pending ICMP error would look like its end.
fn send(manager: &UnixDatagram, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let text = format!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}\n");
    let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut room);
    let descriptors = [descriptor];
    rights.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(manager, &[IoSlice::new(text.as_bytes())], &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// What was kept, by name; nothing when anything is missing. From now on it is ours: systemd forgets it, so
/// that a crash later does not bring back sessions that are older than their counters.
pub fn take(mut find: impl FnMut(&str) -> Option<OwnedFd>) -> Option<Handover> {
    let (state, tun) = (find(STATE), find(TUN));
    let sockets: Vec<OwnedFd> = (0..).map_while(|number| find(&format!("{SOCKET}{number}"))).collect();
    let names = (0..sockets.len()).map(|number| format!("{SOCKET}{number}"));
    for name in names.chain([STATE.to_owned(), TUN.to_owned()]) {
        if is_possible() {
            let _ = sd_notify::notify(&[NotifyState::Custom(&forgotten(&name))]);
        }
    }
    let (state, tun) = (state?, tun?);
    match read(state) {
        Ok(state) => Some(Handover { state, tun, sockets }),
        Err(error) => {
            log::warn!("what the last process left cannot be read: {error}");
            None
        }
    }
}

fn read(state: OwnedFd) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut state = File::from(state);
    state.rewind()?;
    // The whole room at once: a buffer that grows leaves copies behind.
    let len = state.metadata()?.len().min(STATE_MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(len as usize));
    state.take(STATE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A descriptor that LISTEN_FDS counts; no other process of ours inherits it.
#[allow(unsafe_code, reason = "R8: LISTEN_FDS hands over numbers; whoever is asked for one gives it once")]
pub fn adopt(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: `ListenFd::take_raw_fd` gives each number at most once, and nothing else of ours knows it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC).ok().map(|()| descriptor)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use gateway::{Kept, Listen};

    use super::*;

    fn handover() -> Handover {
        let file = || OwnedFd::from(File::open("/dev/null").unwrap());
        Handover { state: Zeroizing::new(b"sessions".to_vec()), tun: file(), sockets: vec![file(), file()] }
    }

    #[test]
    fn what_is_given_comes_back_and_nothing_when_anything_is_missing() {
        let mut kept = BTreeMap::new();
        let give_all = |kept: &mut BTreeMap<String, OwnedFd>| {
            give(&handover(), |name, descriptor| {
                kept.insert(name.to_owned(), descriptor.try_clone_to_owned()?);
                Ok(())
            })
            .unwrap();
        };
        give_all(&mut kept);
        let names: Vec<_> = kept.keys().cloned().collect();
        assert_eq!(names, ["vpn-socket-0", "vpn-socket-1", "vpn-state", "vpn-tun"]);
        assert!(File::from(kept["vpn-state"].try_clone().unwrap()).write_all(b"x").is_err(), "sealed");
        let back = take(|name| kept.remove(name)).unwrap();
        assert_eq!((&back.state[..], back.sockets.len()), (&b"sessions"[..], 2));
        for missing in ["vpn-state", "vpn-tun"] {
            give_all(&mut kept);
            kept.remove(missing);
            assert!(take(|name| kept.remove(name)).is_none(), "{missing}");
        }
    }

    /// One datagram of whoever notifies: its text and its descriptors.
    fn heard(manager: &UnixDatagram) -> (String, Vec<OwnedFd>) {
        let mut text = [0; 128];
        let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = rustix::net::RecvAncillaryBuffer::new(&mut room);
        let mut pieces = [io::IoSliceMut::new(&mut text)];
        let flags = rustix::net::RecvFlags::CMSG_CLOEXEC;
        let got = rustix::net::recvmsg(manager, &mut pieces, &mut rights, flags).unwrap();
        let descriptors = rights.drain().flat_map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        (String::from_utf8(text[..got.bytes].to_vec()).unwrap(), descriptors.collect())
    }

    fn pair() -> (tempfile::TempDir, UnixDatagram, UnixDatagram) {
        let folder = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        client.connect(folder.path().join("notify")).unwrap();
        (folder, manager, client)
    }

    #[test]
    fn a_descriptor_reaches_the_manager_under_its_name() {
        let (_folder, manager, client) = pair();
        send(&client, "vpn-tun", handover().tun.as_fd()).unwrap();
        let (text, descriptors) = heard(&manager);
        assert_eq!((text.as_str(), descriptors.len()), ("FDSTORE=1\nFDPOLL=0\nFDNAME=vpn-tun\n", 1));
    }

    #[test]
    fn between_two_gateways_the_kept_listeners_refuse_nobody() {
        let (_folder, manager, client) = pair();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen = Listen { mutual: anywhere, open_tls: anywhere, open_http: anywhere };
        let first = Listeners::open(&listen, Kept::default()).unwrap();
        store(&first, &client).unwrap();
        let mut kept: BTreeMap<String, TcpListener> = BTreeMap::new();
        for name in ["gateway-mutual", "gateway-claim", "gateway-plain"] {
            assert_eq!(heard(&manager).0, format!("FDSTOREREMOVE=1\nFDNAME={name}"));
            let (text, mut descriptors) = heard(&manager);
            assert_eq!(text, format!("FDSTORE=1\nFDPOLL=0\nFDNAME={name}\n"));
            kept.insert(name.to_owned(), descriptors.pop().unwrap().into());
        }
        // The first gateway is gone, killed or not; nobody accepts, and nobody is refused.
        drop(first);
        let stands = |name: &str| kept[name].local_addr().unwrap();
        let listen = Listen {
            mutual: stands("gateway-mutual"),
            open_tls: stands("gateway-claim"),
            open_http: stands("gateway-plain"),
        };
        let waiting = TcpStream::connect(listen.mutual).unwrap();
        let taken = Kept::find(|name| Ok::<_, io::Error>(kept.remove(name))).unwrap();
        let second = Listeners::open(&listen, taken).unwrap();
        assert!(second.names().all(|(_, _, was_kept)| was_kept));
        let (_, mutual) = second.into_sockets().next().unwrap();
        mutual.set_nonblocking(false).unwrap();
        assert_eq!(mutual.accept().unwrap().1, waiting.local_addr().unwrap());
    }
}
