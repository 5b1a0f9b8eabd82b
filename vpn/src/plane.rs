//! The data plane: datagrams and packets in, a batch and events out. Pure: `now` is handed in, the
//! protocol core is a parameter. Owns the seating, each seat's tunnel, the limiter and the counters;
//! lives in the server's thread and ends with it.
//!
//! ```text
//! datagram -> classify -> receiver index -> seat (array) -> open -> own address? gateway? -> TUN
//!                  \-> limiter -> whose key? -> seat -> respond
//! packet from the TUN -> destination's octets -> seat (array) -> seal -> its last authenticated path
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use crate::address::{AddressPlan, Place, SeatIndex};
use crate::batch::{Batch, Datagram, Path};
use crate::door::{Gate, Seat, SeatEventKind, SeatRefusal, SeatStatus};
use crate::drops::{DropReason, Drops};
use crate::inner::{self, Reach};
use crate::limiter::{Admission, Limiter};
use crate::protocol::{INITIATION_LEN, Message, Peer, PeerError, Protocol, classify};
use crate::seating::{Seated, Seating};
use crate::slot::{SeatClass, SlotNumber};

/// Both clocks, read once per turn by the edge.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub instant: Instant,
    pub unix_ms: i64,
}

/// What provisioning tells the data plane.
pub enum Command {
    Seat(Seat),
    Unseat { slot: SlotNumber, places: Vec<Place>, generation: u64 },
    Reconcile { seats: Vec<Seat> },
}

/// What a command did, and what the firewall must say of the addresses it touched.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub gates: Vec<(Ipv4Addr, Option<Gate>)>,
    pub seated: u32,
    pub unseated: u32,
    /// Of a reconciliation: what it could not seat.
    pub refused: Vec<SeatRefusal>,
}

/// What happened to a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaneEvent {
    pub at_ms: i64,
    pub slot: SlotNumber,
    pub class: SeatClass,
    pub generation: u64,
    pub kind: SeatEventKind,
}

/// The data plane over a protocol core `P`.
pub struct Plane<P: Protocol> {
    protocol: P,
    limiter: Limiter,
    seating: Seating,
    /// By seat index; present for every seat that has ever shaken hands, so that its replays stay refused.
    tunnels: Vec<Option<Box<Tunnel<P::Peer>>>>,
    /// When each seat's youngest session ends: one entry per tunnel that has any.
    deadlines: BTreeSet<(Instant, SeatIndex)>,
    events: VecDeque<PlaneEvent>,
    drops: Drops,
}

struct Tunnel<T> {
    peer: T,
    own: Ipv4Addr,
    reach: Reach,
    /// Where the last authenticated message came from: the device roams, we follow.
    path: Option<Path>,
    /// Where the last completed handshake came from.
    shook_at: Option<SocketAddr>,
    shook_ms: Option<i64>,
    deadline: Option<Instant>,
    rx_bytes: u64,
    tx_bytes: u64,
}

impl<P: Protocol> Plane<P> {
    pub fn new(plan: AddressPlan, protocol: P, limiter: Limiter) -> Self {
        let tunnels = std::iter::repeat_with(|| None).take(plan.seat_count()).collect();
        Self {
            protocol,
            limiter,
            seating: Seating::new(plan),
            tunnels,
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            drops: Drops::new(),
        }
    }

    pub fn handle_datagrams(&mut self, now: Now, datagrams: &[Datagram<'_>], out: &mut Batch) {
        for datagram in datagrams {
            if let Err(reason) = self.handle_datagram(now, datagram, out) {
                self.drops.count(reason);
            }
        }
    }

    pub fn handle_packets(&mut self, now: Now, packets: &[&[u8]], out: &mut Batch) {
        for packet in packets {
            if let Err(reason) = self.handle_packet(now, packet, out) {
                self.drops.count(reason);
            }
        }
    }

    pub fn handle_command(&mut self, command: Command) -> Result<Outcome, SeatRefusal> {
        match command {
            Command::Seat(seat) => self.seat(seat),
            Command::Unseat { slot, places, generation } => self.unseat(slot, &places, generation),
            Command::Reconcile { seats } => Ok(self.reconcile(seats)),
        }
    }

    /// Ends what has ended. Nothing is sent: no keepalive, no initiation (a phone may sleep).
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, index)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now.instant) {
            self.deadlines.remove(&(at, index));
            if let Some(tunnel) = &mut self.tunnels[index.as_usize()] {
                tunnel.peer.expire(now.instant);
                tunnel.deadline = None;
            }
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub fn poll_event(&mut self) -> Option<PlaneEvent> {
        self.events.pop_front()
    }

    /// A packet that the edge could not deliver.
    pub fn count(&mut self, reason: DropReason) {
        self.drops.count(reason);
    }

    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    pub fn seating(&self) -> &Seating {
        &self.seating
    }

    /// From a snapshot: what was refused before stays refused.
    pub fn close(&mut self, slot: SlotNumber, place: Place, least: u64) {
        if let Some(index) = self.seating.plan().seat_index(slot, place) {
            self.seating.close(index, least);
        }
    }

    pub fn status(&self) -> Vec<SeatStatus> {
        let seats = self.seating.iter().map(|(index, seat)| {
            let tunnel = self.tunnels[index.as_usize()].as_deref();
            SeatStatus {
                slot: seat.slot,
                class: seat.class,
                generation: seat.generation,
                endpoint: tunnel.and_then(|t| t.path).map(|path| path.peer),
                last_handshake_ms: tunnel.and_then(|t| t.shook_ms),
                rx_bytes: tunnel.map_or(0, |t| t.rx_bytes),
                tx_bytes: tunnel.map_or(0, |t| t.tx_bytes),
            }
        });
        seats.collect()
    }

    /// Every address that sits now, with its gate.
    pub fn gates(&self) -> Vec<(Ipv4Addr, Option<Gate>)> {
        self.seating.iter().filter_map(|(index, _)| self.gate(index)).collect()
    }

    fn handle_datagram(
        &mut self,
        now: Now,
        datagram: &Datagram<'_>,
        out: &mut Batch,
    ) -> Result<(), DropReason> {
        match classify(datagram.bytes)? {
            Message::Initiation(initiation) => self.handle_initiation(now, datagram.from, initiation, out),
            Message::Data { receiver } => {
                let index = SeatIndex::of_receiver(receiver);
                let slot = self.tunnels.get_mut(index.as_usize()).ok_or(DropReason::NoSeat)?;
                let tunnel = slot.as_deref_mut().ok_or(DropReason::NoSeat)?;
                let mut completed = false;
                let opened = out.tunnel(|room| {
                    let opened = tunnel.peer.open(now.instant, datagram.bytes, room).map_err(data_reason)?;
                    completed = opened.completed;
                    tunnel.path = Some(datagram.from);
                    match opened.len {
                        0 => Ok(0),
                        len => {
                            inner::check_inbound(self.seating.plan(), &room[..len], tunnel.own, tunnel.reach)
                        }
                    }
                });
                tunnel.rx_bytes += *opened.as_ref().unwrap_or(&0) as u64;
                if completed {
                    self.complete(now, index, datagram.from.peer);
                }
                opened.map(|_| ())
            }
        }
    }

    fn handle_initiation(
        &mut self,
        now: Now,
        from: Path,
        initiation: &[u8; INITIATION_LEN],
        out: &mut Batch,
    ) -> Result<(), DropReason> {
        match self.limiter.admit(now.instant, from.peer, initiation) {
            Admission::Admit => {}
            Admission::Drop(reason) => return Err(reason),
            Admission::Cookie(reply) => {
                let _ = out.network(from, |room| {
                    room[..reply.len()].copy_from_slice(&*reply);
                    Ok::<_, DropReason>(reply.len())
                });
                return Err(DropReason::CookieRequired);
            }
        }
        let key = self.protocol.identify(initiation).ok_or(DropReason::BadHandshake)?;
        let index = self.seating.index_of_key(&key).ok_or(DropReason::UnknownKey)?;
        let seat = self.seating.get(index).ok_or(DropReason::UnknownKey)?;
        let plan = self.seating.plan();
        let own = plan.address(seat.slot, seat.class.into()).ok_or(DropReason::UnknownKey)?;
        let tunnel = self.tunnels[index.as_usize()].get_or_insert_with(|| {
            Box::new(Tunnel::new(
                self.protocol.peer(&seat.key, &seat.psk, index),
                own,
                Reach::of(plan, seat.class),
            ))
        });
        out.network(from, |room| tunnel.peer.respond(now.instant, initiation, room))
            .map_err(|_| DropReason::BadHandshake)?;
        if let Some(old) = tunnel.deadline.take() {
            self.deadlines.remove(&(old, index));
        }
        tunnel.deadline = tunnel.peer.expires();
        self.deadlines.extend(tunnel.deadline.map(|at| (at, index)));
        Ok(())
    }

    fn handle_packet(&mut self, now: Now, packet: &[u8], out: &mut Batch) -> Result<(), DropReason> {
        let destination = inner::outbound_destination(packet)?;
        let plan = self.seating.plan();
        let (slot, place) = plan.slot_of(destination).ok_or(DropReason::OutNoSeat)?;
        let index = plan.seat_index(slot, place).ok_or(DropReason::OutNoSeat)?;
        let seat = self.seating.get(index).ok_or(DropReason::OutNoSeat)?;
        inner::check_outbound(packet, Reach::of(plan, seat.class))?;
        let tunnel = self.tunnels[index.as_usize()].as_deref_mut().ok_or(DropReason::OutNoSession)?;
        let path = tunnel.path.ok_or(DropReason::OutNoSession)?;
        out.network(path, |room| tunnel.peer.seal(now.instant, packet, room))
            .map_err(|_| DropReason::OutNoSession)?;
        tunnel.tx_bytes += packet.len() as u64;
        Ok(())
    }

    /// The device has proved the key of a new session.
    fn complete(&mut self, now: Now, index: SeatIndex, endpoint: SocketAddr) {
        let (Some(tunnel), Some(seat)) =
            (self.tunnels[index.as_usize()].as_deref_mut(), self.seating.get(index))
        else {
            return;
        };
        tunnel.shook_ms = Some(now.unix_ms);
        let kind = match tunnel.shook_at.replace(endpoint) {
            None => SeatEventKind::FirstHandshake { endpoint },
            Some(from) if from != endpoint => SeatEventKind::EndpointChanged { from, to: endpoint },
            Some(_) => return,
        };
        self.events.push_back(PlaneEvent {
            at_ms: now.unix_ms,
            slot: seat.slot,
            class: seat.class,
            generation: seat.generation,
            kind,
        });
    }

    fn seat(&mut self, seat: Seat) -> Result<Outcome, SeatRefusal> {
        let (index, seated) = self.seating.seat(seat)?;
        if seated == Seated::New {
            self.end_tunnel(index);
        }
        let seated = u32::from(seated != Seated::Same);
        Ok(Outcome { gates: self.gate(index).into_iter().collect(), seated, ..Outcome::default() })
    }

    fn unseat(
        &mut self,
        slot: SlotNumber,
        places: &[Place],
        generation: u64,
    ) -> Result<Outcome, SeatRefusal> {
        let mut done = Outcome::default();
        for place in places {
            if let Some(index) = self.seating.unseat(slot, *place, generation)? {
                self.end_tunnel(index);
                done.unseated += 1;
                done.gates.extend(self.gate(index));
            }
        }
        Ok(done)
    }

    fn reconcile(&mut self, seats: Vec<Seat>) -> Outcome {
        let reconciled = self.seating.reconcile(seats);
        let mut done = Outcome { refused: reconciled.refused, ..Outcome::default() };
        for index in reconciled.removed {
            self.end_tunnel(index);
            done.unseated += 1;
            done.gates.extend(self.gate(index));
        }
        for (index, seated) in reconciled.seated {
            if seated == Seated::New {
                self.end_tunnel(index);
            }
            done.seated += u32::from(seated != Seated::Same);
            done.gates.extend(self.gate(index));
        }
        done
    }

    /// The gate of a place as the seating has it now: the level, not the edge (ruling 8).
    fn gate(&self, index: SeatIndex) -> Option<(Ipv4Addr, Option<Gate>)> {
        let (slot, place) = self.seating.plan().seat_at(index)?;
        let address = self.seating.plan().address(slot, place)?;
        Some((address, self.seating.get(index).map(|seat| seat.class.into())))
    }

    /// Sessions and their keys are gone when this returns; nothing is ever queued for a device.
    fn end_tunnel(&mut self, index: SeatIndex) {
        let ended = self.tunnels[index.as_usize()].take();
        if let Some(at) = ended.and_then(|tunnel| tunnel.deadline) {
            self.deadlines.remove(&(at, index));
        }
    }
}

impl<T> Tunnel<T> {
    fn new(peer: T, own: Ipv4Addr, reach: Reach) -> Self {
        Self {
            peer,
            own,
            reach,
            path: None,
            shook_at: None,
            shook_ms: None,
            deadline: None,
            rx_bytes: 0,
            tx_bytes: 0,
        }
    }
}

fn data_reason(error: PeerError) -> DropReason {
    match error {
        PeerError::NoSession => DropReason::NoSession,
        PeerError::Replayed => DropReason::Replayed,
        PeerError::Refused => DropReason::BadSeal,
        PeerError::Inner => DropReason::InnerMalformed,
    }
}

#[cfg(test)]
mod tests;
