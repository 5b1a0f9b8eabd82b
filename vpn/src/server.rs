//! The loop: one thread that owns the data plane, the TUN and the sockets. An edge (clock, poll, thread).
//! It sleeps until something is readable, an order comes, or the next session ends; it ends when it is told
//! to, when every `Helm` is gone, or when the TUN fails.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use tokio::sync::oneshot;

use crate::address::Place;
use crate::batch::{Inbound, Outbound};
use crate::coalesce::Coalescer;
use crate::desk::Desk;
use crate::door::{Seat, SeatEventKind, SeatRefusal, SeatStatus};
use crate::drops::{DropReason, Drops};
use crate::journal::Journal;
use crate::meters::Meters;
use crate::plane::{Command, Now, Outcome, Plane};
use crate::protocol::DATA_OVERHEAD;
use crate::shaker::{Shaken, Shaker};
use crate::slot::SlotNumber;
use crate::tun::TunDevice;
use crate::udp::{Arena, UdpListener};

/// Room that one super-packet of the TUN may need when it is sealed: 64 KiB and what every segment adds.
const SUPER_ROOM: usize = (1 << 16) + 1024 * (60 + 16 + DATA_OVERHEAD);

/// Rounds over what is readable before orders and deadlines are looked at again.
const ROUNDS_MAX: usize = 16;

/// Sources told of in one wake-up: more than there are.
const EVENTS_MAX: usize = 32;

/// What wakes the loop, as epoll tells it; sockets count from here.
const WAKE_ORDERS: u64 = 0;
const WAKE_TUNNEL: u64 = 1;
const WAKE_SOCKETS: u64 = 2;

/// Everything that woke the loop.
#[derive(Default)]
struct Woken {
    orders: bool,
    tunnel: bool,
    /// One bit per socket.
    sockets: u64,
}

/// What the room asks of the loop; each carries the way back.
enum Order {
    Command(Command, oneshot::Sender<Result<Outcome, SeatRefusal>>),
    Status(oneshot::Sender<Report>),
    Export(oneshot::Sender<Export>),
    /// From the handshake thread.
    Shaken(Vec<Shaken>),
    /// The handshake thread has ended: a plane that answers nobody must not look alive.
    HandGone,
    /// Ends the loop and answers with everything that a successor needs.
    Release(oneshot::Sender<Released>),
    Stop,
}

/// What the loop held, let go of.
pub struct Released {
    pub plane: Plane,
    pub shaker: Shaker,
    pub tun: TunDevice,
    pub sockets: Vec<UdpListener>,
}

/// How the loop ends when nothing fails.
enum End {
    Stopped,
    Released(oneshot::Sender<Released>),
}

/// Everything that is counted, and every seat.
pub struct Report {
    pub seats: Vec<SeatStatus>,
    pub drops: Drops,
    pub meters: Meters,
}

/// The seating as a snapshot keeps it.
#[derive(Default)]
pub struct Export {
    pub seats: Vec<Seat>,
    pub closed: Vec<(SlotNumber, Place, u64)>,
}

/// The loop has ended or does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the data plane's thread has ended")]
pub struct Ended;

/// The room's end of the loop.
pub struct Helm {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Helm {
    pub async fn command(&self, command: Command) -> Result<Result<Outcome, SeatRefusal>, Ended> {
        self.order(|back| Order::Command(command, back)).await
    }

    pub async fn status(&self) -> Result<Report, Ended> {
        self.order(Order::Status).await
    }

    pub async fn export(&self) -> Result<Export, Ended> {
        self.order(Order::Export).await
    }

    pub async fn release(&self) -> Result<Released, Ended> {
        self.order(Order::Release).await
    }

    pub fn stop(&self) {
        let _ = self.give(Order::Stop);
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Ended> {
        let (back, answer) = oneshot::channel();
        self.give(order(back))?;
        answer.await.map_err(|_| Ended)
    }

    fn give(&self, order: Order) -> Result<(), Ended> {
        self.orders.send(order).map_err(|_| Ended)?;
        // A full counter (2^64 wakes unread) is awake enough.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        Ok(())
    }
}

impl Drop for Helm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the loop and the handshake thread, which inherit the network namespace of the caller.
pub fn start(
    plane: Plane,
    shaker: Shaker,
    tun: TunDevice,
    sockets: Vec<UdpListener>,
    journal: Arc<Journal>,
) -> io::Result<(Helm, JoinHandle<io::Result<()>>)> {
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (orders, inbox) = channel();
    let bell = Bell { orders: orders.clone(), wake: wake.clone() };
    let deliver = move |done| bell.ring(Order::Shaken(done));
    let (desk, hand) = Desk::start(shaker, sockets.clone(), deliver)?;
    let poll = watch(&wake, &tun, &sockets)?;
    let server = Server {
        plane,
        tun,
        sockets,
        journal,
        wake: wake.clone(),
        inbox,
        poll,
        desk,
        arena: Arena::new(),
        inbound: Inbound::default(),
        coalescer: Coalescer::default(),
        out: Outbound::new(),
    };
    let thread = std::thread::Builder::new().name("vpn-plane".into()).spawn(move || {
        let (ended, plane, tun, sockets) = server.run();
        let hand = hand.join();
        // Without the shaker nothing is sent, and who waits for it hears that the loop has ended.
        if let (End::Released(back), Ok(shaker)) = (ended?, hand) {
            let _ = back.send(Released { plane, shaker, tun, sockets });
        }
        Ok(())
    })?;
    Ok((Helm { orders, wake }, thread))
}

/// The handshake thread's way to the loop; its end is told, too.
struct Bell {
    orders: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Bell {
    /// `false` when the loop has gone.
    fn ring(&self, order: Order) -> bool {
        let told = self.orders.send(order).is_ok();
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        told
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.ring(Order::HandGone);
    }
}

fn watch(wake: &OwnedFd, tun: &TunDevice, sockets: &[UdpListener]) -> io::Result<OwnedFd> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let readable = epoll::EventFlags::IN;
    epoll::add(&poll, wake, epoll::EventData::new_u64(WAKE_ORDERS), readable)?;
    epoll::add(&poll, tun.as_fd(), epoll::EventData::new_u64(WAKE_TUNNEL), readable)?;
    for (number, socket) in (WAKE_SOCKETS..).zip(sockets) {
        epoll::add(&poll, socket.as_fd(), epoll::EventData::new_u64(number), readable)?;
    }
    Ok(poll)
}

/// Both clocks of this moment.
pub fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), unix_ms: unix.as_millis() as i64 }
}

struct Server {
    plane: Plane,
    tun: TunDevice,
    sockets: Vec<UdpListener>,
    journal: Arc<Journal>,
    wake: Arc<OwnedFd>,
    inbox: Receiver<Order>,
    poll: OwnedFd,
    desk: Desk,
    arena: Arena,
    inbound: Inbound,
    coalescer: Coalescer,
    out: Outbound,
}

impl Server {
    /// Whatever the handshake thread holds ends with the rest of this value.
    fn run(mut self) -> (io::Result<End>, Plane, TunDevice, Vec<UdpListener>) {
        let ended = self.turn_round();
        let Self { plane, tun, sockets, .. } = self;
        (ended, plane, tun, sockets)
    }

    fn turn_round(&mut self) -> io::Result<End> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        self.tell();
        loop {
            let mut woken = self.wait(&mut events)?;
            let now = now();
            if self.plane.next_deadline().is_some_and(|at| at <= now.instant) {
                self.plane.handle_timeout(now);
            }
            if woken.orders
                && let Some(end) = self.obey()?
            {
                return Ok(end);
            }
            for _ in 0..ROUNDS_MAX {
                if woken.tunnel {
                    woken.tunnel = self.take_packets(now)?;
                }
                for index in 0..self.sockets.len() {
                    if woken.sockets & 1 << index != 0 && !self.take_datagrams(now, index) {
                        woken.sockets &= !(1 << index);
                    }
                }
                if !woken.tunnel && woken.sockets == 0 {
                    break;
                }
            }
            self.tell();
        }
    }

    /// Sleeps until the next deadline at most.
    fn wait(&self, events: &mut Vec<epoll::Event>) -> io::Result<Woken> {
        let deadline = self.plane.next_deadline();
        let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        events.clear();
        match epoll::wait(&self.poll, rustix::buffer::spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut woken = Woken::default();
        for event in events {
            match event.data.u64() {
                WAKE_ORDERS => woken.orders = true,
                WAKE_TUNNEL => woken.tunnel = true,
                socket => woken.sockets |= 1 << (socket - WAKE_SOCKETS),
            }
        }
        Ok(woken)
    }

    /// Seals what the TUN holds, up to a full turn; answers whether more may be waiting.
    fn take_packets(&mut self, now: Now) -> io::Result<bool> {
        let mut more = true;
        while self.out.has_room(SUPER_ROOM) {
            let Some((packet, offload)) = self.tun.receive()? else {
                more = false;
                break;
            };
            self.plane.meters.tunnel_reads += 1;
            self.plane.handle_packet(now, packet, offload, &mut self.out);
        }
        self.send();
        Ok(more)
    }

    /// Opens what one call brings from a socket; answers whether more may be waiting.
    fn take_datagrams(&mut self, now: Now, index: usize) -> bool {
        let more = self.sockets[index].receive(index as u16, &mut self.arena);
        self.plane.meters.receive_calls += 1;
        let Arena { bytes, received, .. } = &mut self.arena;
        self.plane.handle_datagrams(now, bytes, received, &mut self.inbound);
        if !self.inbound.packets.is_empty() {
            self.deliver();
        }
        if !self.inbound.initiations.is_empty() {
            self.desk.hand_over(self.plane.poll_changes(), &mut self.inbound.initiations);
        }
        more
    }

    /// Writes the opened packets to the TUN, gathered where the kernel takes them so.
    fn deliver(&mut self) {
        self.coalescer.clear();
        let gathers = self.tun.offload();
        let udp = self.tun.udp_offload();
        for packet in self.inbound.packets.drain(..) {
            if gathers {
                self.coalescer.add(&self.arena.bytes, packet, udp);
            } else {
                self.coalescer.add_alone(packet);
            }
        }
        self.coalescer.finish(&mut self.arena.bytes);
        for index in 0..self.coalescer.runs() {
            let (header, pieces) = self.coalescer.run(&self.arena.bytes, index);
            self.plane.meters.tunnel_writes += 1;
            if !self.tun.send(&header, pieces) {
                self.plane.count(DropReason::TunnelFull);
            }
        }
    }

    /// Sends what has been sealed.
    fn send(&mut self) {
        for (train, bytes) in self.out.trains() {
            self.plane.meters.send_calls += 1;
            let lost = match self.sockets.get(usize::from(train.path.socket)) {
                Some(socket) => socket.send(&train.path, bytes, train.segment),
                None => train.count,
            };
            (0..lost).for_each(|_| self.plane.count(DropReason::NetworkFull));
        }
        self.out.clear();
    }

    /// Passes on what happened: events to whoever asks, changes to the handshake thread.
    fn tell(&mut self) {
        while let Some(event) = self.plane.poll_event() {
            if let SeatEventKind::KeyInTwoPlaces { one, other } = &event.kind {
                let (one, other) = (one.to_string(), other.to_string());
                log::warn!(
                    SLOT = event.slot.to_string().as_str(), one = one.as_str(), other = other.as_str();
                    "one key speaks from two places in turn; somebody has copied it"
                );
            }
            self.journal.record(event);
        }
        let changes = self.plane.poll_changes();
        if !changes.is_empty() {
            self.desk.hand_over(changes, &mut self.inbound.initiations);
        }
    }

    /// Takes every waiting order; answers whether and how to end.
    fn obey(&mut self) -> io::Result<Option<End>> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Command(command, back)) => {
                    let done = self.plane.handle_command(command);
                    self.tell();
                    let _ = back.send(done);
                }
                Ok(Order::Status(back)) => {
                    let _ = back.send(self.report());
                }
                Ok(Order::Export(back)) => {
                    let _ = back.send(export(&self.plane));
                }
                Ok(Order::Shaken(done)) => {
                    done.into_iter().for_each(|shaken| self.plane.handle_shaken(shaken, &mut self.out));
                    self.send();
                }
                Ok(Order::HandGone) => return Err(io::Error::other("the handshake thread has ended")),
                Ok(Order::Release(back)) => return Ok(Some(End::Released(back))),
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return Ok(Some(End::Stopped)),
                Err(TryRecvError::Empty) => return Ok(None),
            }
        }
    }

    fn report(&self) -> Report {
        let (strain, drops) = self.desk.report();
        let mut meters = self.plane.meters.clone();
        meters.handshakes = strain.done;
        meters.cookies = strain.cookies;
        meters.handshakes_waiting_now = strain.waiting;
        meters.handshake_queue_age_us_now = strain.age.as_micros() as u64;
        Report { seats: self.plane.status(), drops: self.plane.drops().and(&drops), meters }
    }
}

/// The seating as it is now.
pub fn export(plane: &Plane) -> Export {
    let seats = plane.seating().iter().map(|(_, seat)| seat.clone()).collect();
    Export { seats, closed: plane.seating().closed().collect() }
}
