//! The far end of the throughput runs: one device that takes and gives trains of datagrams and
//! super-packets of the TUN, as the newest clients do, and is as cheap as the server, so that on a small
//! machine it is the server that is measured. Reads a wg(8) file; serves until it is killed.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use rustix::event::{Timespec, epoll};
use vpn::batch::{Outbound, Path};
use vpn::coalesce::Coalescer;
use vpn::key::KEY_LEN;
use vpn::protocol::{DATA_HEADER, DATA_OVERHEAD, PADDING, RESPONSE_LEN, TYPE_DATA, TYPE_RESPONSE};
use vpn::session::Session;
use vpn::split::Split;
use vpn::tun::TunDevice;
use vpn::udp::{Arena, UdpListener};

use crate::Words;
use crate::initiator::{Asked, ask};

/// Sessions are renewed long before the server forgets them.
const RENEWED_AFTER: Duration = Duration::from_secs(100);
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Room of one super-packet once it is cut and sealed.
const SUPER_ROOM: usize = (1 << 16) + 64 * 1024;

/// Turns over what is readable before the sources are asked again.
const TURNS: usize = 16;

struct Far {
    tun: TunDevice,
    socket: UdpListener,
    path: Path,
    keys: [[u8; KEY_LEN]; 3],
    session: Option<(Box<Session>, Instant)>,
    asked: Option<(Asked, Instant, u32)>,
    asks: u32,
    out: Outbound,
    arena: Arena,
    coalescer: Coalescer,
}

pub fn run(words: &Words) {
    let text = std::fs::read_to_string(words.text("conf").expect("--conf FILE")).unwrap();
    let word = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
        line.unwrap_or_else(|| panic!("the file has no {name}")).trim().to_owned()
    };
    let key = |name: &str| BASE64.decode(word(name).as_bytes()).unwrap().try_into().unwrap();
    let peer: SocketAddr = word("Endpoint").parse().unwrap();
    let socket = UdpListener::bind("0.0.0.0:0".parse().unwrap(), &[]).unwrap();
    let offload = !words.has("no-offload");
    if !offload {
        socket.refuse_trains();
    }
    Far {
        tun: TunDevice::bare(words.text("interface").expect("--interface IF"), offload).unwrap(),
        socket,
        path: Path { socket: 0, peer, local: None },
        keys: [key("PrivateKey"), key("PublicKey"), key("PresharedKey")],
        session: None,
        asked: None,
        asks: 0,
        out: Outbound::new(),
        arena: Arena::new(),
        coalescer: Coalescer::default(),
    }
    .serve();
}

impl Far {
    fn serve(mut self) -> ! {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let readable = epoll::EventFlags::IN;
        epoll::add(&poll, self.tun.as_fd(), epoll::EventData::new_u64(0), readable).unwrap();
        epoll::add(&poll, self.socket.as_fd(), epoll::EventData::new_u64(1), readable).unwrap();
        let mut events = Vec::with_capacity(4);
        loop {
            self.renew();
            events.clear();
            let second = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
            let _ = epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&second));
            let woken = |source| events.iter().any(|event| event.data.u64() == source);
            let (mut tun, mut net) = (woken(0), woken(1));
            for _ in 0..TURNS {
                tun = tun && self.take_packets();
                net = net && self.take_datagrams();
            }
        }
    }

    fn renew(&mut self) {
        let young = self.session.as_ref().is_some_and(|(_, born)| born.elapsed() < RENEWED_AFTER);
        let waits = self.asked.as_ref().is_some_and(|(_, at, _)| at.elapsed() < ASKED_AGAIN_AFTER);
        if young || waits {
            return;
        }
        self.asks += 1;
        let (mut random, now) = ([0; KEY_LEN], std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap());
        getrandom::fill(&mut random).unwrap();
        let [own, server, psk] = &self.keys;
        let (asked, message) = ask(own, server, psk, self.asks, now.as_millis() as u64, &random);
        self.asked = Some((asked, Instant::now(), self.asks));
        self.socket.send(&self.path, &message, message.len());
    }

    fn take_packets(&mut self) -> bool {
        let now = Instant::now();
        let mut more = true;
        while self.out.has_room(SUPER_ROOM) {
            let Some((packet, offload)) = self.tun.receive().unwrap() else {
                more = false;
                break;
            };
            let Some((session, _)) = &mut self.session else { continue };
            let Ok(split) = Split::new(packet, offload) else { continue };
            let room = split.longest() + PADDING + DATA_OVERHEAD;
            for number in 0..split.count() {
                self.out.push(self.path, room, |room| {
                    let len = split.write(number, &mut room[DATA_HEADER..]);
                    session.seal(now, room, len)
                });
            }
        }
        for (train, bytes) in self.out.trains() {
            self.socket.send(&train.path, bytes, train.segment);
        }
        self.out.clear();
        more
    }

    fn take_datagrams(&mut self) -> bool {
        let now = Instant::now();
        let more = self.socket.receive(0, &mut self.arena);
        self.coalescer.clear();
        let gathers = (self.tun.offload(), self.tun.udp_offload());
        for received in std::mem::take(&mut self.arena.received) {
            let mut at = received.at.start;
            while at < received.at.end {
                let end = (at + received.stride.max(1)).min(received.at.end);
                if let Some(len) = self.open(now, at..end) {
                    let packet = at + DATA_HEADER..at + DATA_HEADER + len;
                    match gathers.0 {
                        true => self.coalescer.add(&self.arena.bytes, packet, gathers.1),
                        false => self.coalescer.add_alone(packet),
                    }
                }
                at = end;
            }
        }
        self.coalescer.finish(&mut self.arena.bytes);
        for index in 0..self.coalescer.runs() {
            let (header, pieces) = self.coalescer.run(&self.arena.bytes, index);
            self.tun.send(&header, pieces);
        }
        more
    }

    /// Length of the inner packet; `None` for whatever is no packet.
    fn open(&mut self, now: Instant, at: std::ops::Range<usize>) -> Option<usize> {
        let datagram = &mut self.arena.bytes[at];
        match u32::from_le_bytes(*datagram.first_chunk()?) {
            TYPE_DATA => {
                let len = self.session.as_mut()?.0.open(now, datagram).ok()?;
                let inner = datagram.get(DATA_HEADER..DATA_HEADER + len)?;
                // Behind the packet lies padding.
                let own = usize::from(u16::from_be_bytes([*inner.get(2)?, *inner.get(3)?]));
                (own >= 20 && own <= len).then_some(own)
            }
            TYPE_RESPONSE => {
                let response: &[u8; RESPONSE_LEN] = (&*datagram).try_into().ok()?;
                let (asked, _, index) = self.asked.take()?;
                let session = Session::new(now, index, asked.answered(response)?).ok()?;
                let (session, _) = self.session.insert((Box::new(session), now));
                let mut first = [0; DATA_OVERHEAD];
                let len = session.seal(now, &mut first, 0).ok()?;
                self.socket.send(&self.path, &first[..len], len);
                None
            }
            _ => None,
        }
    }
}
