//! The loop: one thread that owns the data plane, the TUN and the sockets. An edge (clock, poll, thread).
//! It sleeps until something is readable, an order comes, or the next session ends; it ends when it is told
//! to, when every `Helm` is gone, or when the TUN fails.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::oneshot;

use crate::address::Place;
use crate::batch::Batch;
use crate::door::{Seat, SeatRefusal, SeatStatus};
use crate::drops::{DropReason, Drops};
use crate::journal::Journal;
use crate::plane::{Command, Now, Outcome, Plane};
use crate::protocol::Protocol;
use crate::slot::SlotNumber;
use crate::tun::TunDevice;
use crate::udp::UdpListener;

/// Everything that can wake the loop.
enum Event {
    Orders,
    Tunnel,
    Socket(usize),
    Deadline,
}

/// What the room asks of the loop; each carries the way back.
enum Order {
    Command(Command, oneshot::Sender<Result<Outcome, SeatRefusal>>),
    Status(oneshot::Sender<(Vec<SeatStatus>, Drops)>),
    Export(oneshot::Sender<Export>),
    Stop,
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

    pub async fn status(&self) -> Result<(Vec<SeatStatus>, Drops), Ended> {
        self.order(Order::Status).await
    }

    pub async fn export(&self) -> Result<Export, Ended> {
        self.order(Order::Export).await
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

/// Starts the loop in its thread, which inherits the network namespace of the caller.
pub fn start<P>(
    plane: Plane<P>,
    tun: TunDevice,
    sockets: Vec<UdpListener>,
    journal: Arc<Journal>,
) -> io::Result<(Helm, JoinHandle<io::Result<()>>)>
where
    P: Protocol + Send + 'static,
    P::Peer: Send,
{
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (orders, inbox) = channel();
    let server = Server { plane, tun, sockets, journal, wake: wake.clone(), inbox, out: Batch::default() };
    let thread = std::thread::Builder::new().name("vpn-plane".into()).spawn(move || server.run())?;
    Ok((Helm { orders, wake }, thread))
}

/// Both clocks of this moment.
pub fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), unix_ms: unix.as_millis() as i64 }
}

struct Server<P: Protocol> {
    plane: Plane<P>,
    tun: TunDevice,
    sockets: Vec<UdpListener>,
    journal: Arc<Journal>,
    wake: Arc<OwnedFd>,
    inbox: Receiver<Order>,
    out: Batch,
}

impl<P: Protocol> Server<P> {
    fn run(mut self) -> io::Result<()> {
        loop {
            for event in self.wait()? {
                let now = now();
                match event {
                    Event::Orders => {
                        if self.obey() {
                            return Ok(());
                        }
                    }
                    Event::Tunnel => {
                        let packets = self.tun.receive()?;
                        self.plane.handle_packets(now, &packets, &mut self.out);
                    }
                    Event::Socket(index) => {
                        let datagrams = self.sockets[index].receive(index);
                        self.plane.handle_datagrams(now, &datagrams, &mut self.out);
                    }
                    Event::Deadline => self.plane.handle_timeout(now),
                }
                self.flush();
            }
        }
    }

    /// Sleeps until the next deadline at most; answers what woke it.
    fn wait(&self) -> io::Result<Vec<Event>> {
        let mut waiting = vec![
            PollFd::new(&self.wake, PollFlags::IN),
            PollFd::from_borrowed_fd(self.tun.as_fd(), PollFlags::IN),
        ];
        waiting.extend(
            self.sockets.iter().map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)),
        );
        let deadline = self.plane.next_deadline();
        let timeout = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut waiting, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut events = Vec::with_capacity(waiting.len() + 1);
        if deadline.is_some_and(|at| at <= Instant::now()) {
            events.push(Event::Deadline);
        }
        let woken = waiting.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        events.extend(woken.map(|(place, _)| match place {
            0 => Event::Orders,
            1 => Event::Tunnel,
            socket => Event::Socket(socket - 2),
        }));
        Ok(events)
    }

    /// Takes every waiting order; answers whether to end.
    fn obey(&mut self) -> bool {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Command(command, back)) => {
                    let _ = back.send(self.plane.handle_command(command));
                }
                Ok(Order::Status(back)) => {
                    let _ = back.send((self.plane.status(), self.plane.drops().clone()));
                }
                Ok(Order::Export(back)) => {
                    let _ = back.send(export(&self.plane));
                }
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    /// Sends what the turn produced and passes on what happened.
    fn flush(&mut self) {
        for (path, datagram) in self.out.to_network() {
            if !self.sockets.get(path.socket).is_some_and(|socket| socket.send(datagram, path.peer)) {
                self.plane.count(DropReason::NetworkFull);
            }
        }
        for packet in self.out.to_tunnel() {
            if !self.tun.send(packet) {
                self.plane.count(DropReason::TunnelFull);
            }
        }
        self.out.clear();
        while let Some(event) = self.plane.poll_event() {
            self.journal.record(event);
        }
    }
}

fn export<P: Protocol>(plane: &Plane<P>) -> Export {
    let seats = plane.seating().iter().map(|(_, seat)| seat.clone()).collect();
    Export { seats, closed: plane.seating().closed().collect() }
}
