//! The data plane: datagrams and packets in, opened and sealed where they lie, events out. Pure: `now` is
//! handed in. Owns the seating, each seat's tunnel and the counters; lives in the server's thread and ends
//! with it.
//!
//! ```text
//! datagram -> classify -> receiver index -> seat (array) -> open -> own address? gateway? -> TUN
//!                  \-> initiation -> handshake thread -> install -> response
//! packet from the TUN -> destination's octets -> seat (array) -> split, seal -> its last authenticated path
//! ```

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Instant;

use crate::address::{Place, SeatIndex};
use crate::addressing::Addressing;
use crate::batch::{Arrival, Inbound, Outbound, Path, Received};
use crate::door::{Gate, Seat, SeatEventKind, SeatRefusal, SeatStatus};
use crate::drops::{DropReason, Drops};
use crate::inner;
use crate::kept::KeptTunnel;
use crate::key::PublicKey;
use crate::meters::Meters;
use crate::packet::clamp_mss;
use crate::protocol::{DATA_HEADER, DATA_OVERHEAD, Message, PADDING, classify};
use crate::receiver::Receivers;
use crate::seating::{Seated, Seating};
use crate::shaker::{Change, Shaken};
use crate::slot::{SeatClass, SlotNumber};
use crate::split::Split;
use crate::tunnel::{Opened, Tunnel, TunnelError};
use crate::virtio::Offload;

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

/// The data plane.
pub struct Plane {
    addressing: Addressing,
    receivers: Receivers,
    seating: Seating,
    /// By seat index; present for every seat that has shaken hands.
    tunnels: Vec<Option<Box<Tunnel>>>,
    /// By seat index; grows with everybody who sits down there, so that a handshake for somebody who
    /// has left is known for what it is.
    epochs: Vec<u32>,
    /// When each tunnel's next session ends: one entry per tunnel that has any.
    deadlines: BTreeSet<(Instant, SeatIndex)>,
    events: VecDeque<PlaneEvent>,
    changes: Vec<Change>,
    drops: Drops,
    pub meters: Meters,
    /// The longest datagram that a device with our MTU sends.
    longest: usize,
}

impl Plane {
    pub fn new(addressing: Addressing, receivers: Receivers) -> Self {
        let count = addressing.plan().seat_count();
        let longest = addressing.packet_max().next_multiple_of(PADDING) + DATA_OVERHEAD;
        Self {
            seating: Seating::new(addressing.plan().clone()),
            addressing,
            receivers,
            tunnels: std::iter::repeat_with(|| None).take(count).collect(),
            epochs: vec![0; count],
            deadlines: BTreeSet::new(),
            events: VecDeque::new(),
            changes: Vec::new(),
            drops: Drops::new(),
            meters: Meters::default(),
            longest,
        }
    }

    /// Opens what lies in the arena; what passes is named in `out` by its place there.
    pub fn handle_datagrams(&mut self, now: Now, arena: &mut [u8], received: &[Received], out: &mut Inbound) {
        for received in received {
            // An empty datagram has no stride.
            let mut at = received.at.start;
            loop {
                let end = (at + received.stride.max(1)).min(received.at.end);
                self.meters.datagrams_in += 1;
                match self.handle_datagram(now, received.path, &mut arena[at..end], out) {
                    Ok(Some(packet)) => {
                        self.meters.packets_in += 1;
                        out.packets.push(at + packet.start..at + packet.end);
                    }
                    Ok(None) => {}
                    Err(reason) => self.drops.count(reason),
                }
                at = end;
                if at >= received.at.end {
                    break;
                }
            }
        }
    }

    /// Seals a packet of the TUN, or the segments of a super-packet.
    pub fn handle_packet(&mut self, now: Now, packet: &mut [u8], offload: Offload, out: &mut Outbound) {
        if let Err(reason) = self.seal(now, packet, offload, out) {
            self.drops.count(reason);
        }
    }

    /// Puts a handshake's session into its seat, then lets the response out: the device may speak at once.
    pub fn handle_shaken(&mut self, shaken: Shaken, out: &mut Outbound) {
        let Shaken { seat: index, epoch, path, session, response } = shaken;
        let place = self.epochs.get(index.as_usize()).filter(|held| **held == epoch);
        let (Some(_), Some(seat)) = (place, self.seating.get(index)) else {
            return self.drops.count(DropReason::UnknownKey);
        };
        let Some(own) = self.addressing.address_of(index) else {
            return self.drops.count(DropReason::UnknownKey);
        };
        let reach = self.addressing.reach(seat.class);
        let tunnel = self.tunnels[index.as_usize()].get_or_insert_with(|| Box::new(Tunnel::new(own, reach)));
        tunnel.offer(session);
        self.rearm(index);
        let sent = out.push(path, response.len(), |room| {
            room.copy_from_slice(&response);
            Ok::<_, DropReason>(response.len())
        });
        if sent.is_none() {
            self.drops.count(DropReason::NetworkFull);
        }
    }

    pub fn handle_command(&mut self, command: Command) -> Result<Outcome, SeatRefusal> {
        match command {
            Command::Seat(seat) => self.seat(seat),
            Command::Unseat { slot, places, generation } => self.unseat(slot, &places, generation),
            Command::Reconcile { seats } => Ok(self.reconcile(seats)),
        }
    }

    /// Every tunnel, for the next process.
    pub fn keep(&self, now: Now) -> Vec<KeptTunnel> {
        let kept = self.seating.iter().filter_map(|(index, seat)| {
            self.tunnels[index.as_usize()].as_deref().map(|tunnel| tunnel.keep(now.instant, seat.key))
        });
        kept.collect()
    }

    /// The predecessor's tunnels, of the keys that sit and as far as their indices still lead to them.
    pub fn resume(&mut self, now: Now, kept: Vec<KeptTunnel>) {
        for kept in kept {
            let Some(index) = self.seating.index_of_key(&kept.key) else { continue };
            let (Some(own), Some(seat)) = (self.addressing.address_of(index), self.seating.get(index)) else {
                continue;
            };
            let mut tunnel = Box::new(Tunnel::new(own, self.addressing.reach(seat.class)));
            tunnel.resume(now.instant, kept, |local| self.receivers.seat(local) == index);
            self.tunnels[index.as_usize()] = Some(tunnel);
            self.rearm(index);
        }
    }

    pub fn receivers(&self) -> Receivers {
        self.receivers
    }

    /// Ends what has ended. Nothing is sent: no keepalive, no initiation (a phone may sleep).
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, index)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now.instant) {
            self.deadlines.remove(&(at, index));
            if let Some(tunnel) = &mut self.tunnels[index.as_usize()] {
                tunnel.expire(now.instant);
                tunnel.deadline = None;
            }
            self.rearm(index);
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub fn poll_event(&mut self) -> Option<PlaneEvent> {
        self.events.pop_front()
    }

    /// What the handshake thread must know, in this order.
    pub fn poll_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
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
        path: Path,
        datagram: &mut [u8],
        out: &mut Inbound,
    ) -> Result<Option<Range<usize>>, DropReason> {
        match classify(datagram, self.longest)? {
            Message::Initiation(message) => {
                out.initiations.push(Arrival { path, message: *message });
                Ok(None)
            }
            Message::Data { receiver } => self.open(now, receiver, path, datagram),
        }
    }

    fn open(
        &mut self,
        now: Now,
        receiver: u32,
        path: Path,
        datagram: &mut [u8],
    ) -> Result<Option<Range<usize>>, DropReason> {
        let index = self.receivers.seat(receiver);
        let slot = self.tunnels.get_mut(index.as_usize()).ok_or(DropReason::NoSeat)?;
        let tunnel = slot.as_deref_mut().ok_or(DropReason::NoSeat)?;
        let opened = tunnel.open(now.instant, receiver, &path, datagram).map_err(data_reason)?;
        let passed = if opened.len == 0 {
            Ok(None)
        } else {
            let inner = &mut datagram[DATA_HEADER..DATA_HEADER + opened.len];
            inner::check_inbound(&self.addressing, inner, tunnel.own, tunnel.reach).map(|len| {
                tunnel.rx_bytes += len as u64;
                if let Some(mss) = self.addressing.mss() {
                    clamp_mss(&mut inner[..len], mss, true);
                }
                Some(DATA_HEADER..DATA_HEADER + len)
            })
        };
        self.notice(now, index, opened, path);
        passed
    }

    fn seal(
        &mut self,
        now: Now,
        packet: &mut [u8],
        offload: Offload,
        out: &mut Outbound,
    ) -> Result<(), DropReason> {
        if let Some(mss) = self.addressing.mss() {
            clamp_mss(packet, mss, offload == Offload::None);
        }
        // The header first: the split believes its length.
        inner::outbound_destination(&self.addressing, packet, 0)?;
        let split = Split::new(packet, offload)?;
        let destination = inner::outbound_destination(&self.addressing, packet, split.longest())?;
        let index = self.addressing.seat_of(destination).ok_or(DropReason::OutNoSeat)?;
        let tunnel = match self.tunnels.get_mut(index.as_usize()) {
            Some(Some(tunnel)) => tunnel,
            _ if self.seating.get(index).is_some() => return Err(DropReason::OutNoSession),
            _ => return Err(DropReason::OutNoSeat),
        };
        inner::check_outbound(packet, tunnel.reach)?;
        let path = tunnel.path.ok_or(DropReason::OutNoSession)?;
        let room = split.longest() + PADDING + DATA_OVERHEAD;
        for number in 0..split.count() {
            let pushed = out.push(path, room, |room| {
                let len = split.write(number, &mut room[DATA_HEADER..]);
                let sealed = tunnel.seal(now.instant, room, len).map_err(|_| DropReason::OutNoSession)?;
                tunnel.tx_bytes += len as u64;
                Ok(sealed)
            });
            pushed.ok_or(DropReason::NetworkFull)??;
            self.meters.datagrams_out += 1;
        }
        Ok(())
    }

    /// Takes over what an authenticated message says about the device.
    fn notice(&mut self, now: Now, index: SeatIndex, opened: Opened, path: Path) {
        if opened.completed {
            self.complete(now, index, path.peer);
        }
        if let Some(one) = opened.rival {
            self.meters.rivals += 1;
            self.tell(now, index, SeatEventKind::KeyInTwoPlaces { one, other: path.peer.ip() });
        }
    }

    /// The device has proved the key of a new session.
    fn complete(&mut self, now: Now, index: SeatIndex, endpoint: SocketAddr) {
        let (Some(tunnel), Some(seat)) =
            (self.tunnels[index.as_usize()].as_deref_mut(), self.seating.get(index))
        else {
            return;
        };
        tunnel.shook_ms = Some(now.unix_ms);
        let before = tunnel.shook_at.replace(endpoint);
        if before != Some(endpoint) {
            self.changes.push(Change::Authenticated { key: seat.key, at: endpoint });
        }
        match before {
            None => self.tell(now, index, SeatEventKind::FirstHandshake { endpoint }),
            Some(from) if from != endpoint => {
                self.tell(now, index, SeatEventKind::EndpointChanged { from, to: endpoint });
            }
            Some(_) => {}
        }
    }

    fn tell(&mut self, now: Now, index: SeatIndex, kind: SeatEventKind) {
        let Some(seat) = self.seating.get(index) else { return };
        self.events.push_back(PlaneEvent {
            at_ms: now.unix_ms,
            slot: seat.slot,
            class: seat.class,
            generation: seat.generation,
            kind,
        });
    }

    fn seat(&mut self, seat: Seat) -> Result<Outcome, SeatRefusal> {
        let held =
            self.seating.index_of(&seat).and_then(|index| self.seating.get(index)).map(|seat| seat.key);
        let (index, seated) = self.seating.seat(seat)?;
        self.sit(index, seated, held);
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
            let held = self.seating.plan().seat_index(slot, *place).and_then(|index| self.seating.get(index));
            let held = held.map(|seat| seat.key);
            if let Some(index) = self.seating.unseat(slot, *place, generation)? {
                self.end_tunnel(index, held);
                done.unseated += 1;
                done.gates.extend(self.gate(index));
            }
        }
        Ok(done)
    }

    fn reconcile(&mut self, seats: Vec<Seat>) -> Outcome {
        let reconciled = self.seating.reconcile(seats);
        let mut done = Outcome { refused: reconciled.refused, ..Outcome::default() };
        for (index, key) in reconciled.removed {
            self.end_tunnel(index, Some(key));
            done.unseated += 1;
            done.gates.extend(self.gate(index));
        }
        for (index, seated) in reconciled.seated {
            // Whoever sat here with another key is among the removed; the same key is told anew.
            self.sit(index, seated, None);
            done.seated += u32::from(seated != Seated::Same);
            done.gates.extend(self.gate(index));
        }
        done
    }

    /// The gate of a place as the seating has it now: the level, not the edge (ruling 8).
    fn gate(&self, index: SeatIndex) -> Option<(Ipv4Addr, Option<Gate>)> {
        let address = self.addressing.address_of(index)?;
        Some((address, self.seating.get(index).map(|seat| seat.class.into())))
    }

    /// What seating means for the place's tunnel; `left` is the key that sat here before.
    fn sit(&mut self, index: SeatIndex, seated: Seated, left: Option<PublicKey>) {
        match seated {
            Seated::Same => {}
            Seated::Renewed => {
                let seat = self.seating.get(index);
                self.changes.extend(seat.map(|seat| Change::Psk { key: seat.key, psk: seat.psk.clone() }));
            }
            Seated::New => {
                self.end_tunnel(index, left);
                self.begin(index);
            }
        }
    }

    /// Somebody new sits here.
    fn begin(&mut self, index: SeatIndex) {
        self.epochs[index.as_usize()] = self.epochs[index.as_usize()].wrapping_add(1);
        if let Some(Seat { key, psk, .. }) = self.seating.get(index) {
            let (key, psk, epoch) = (*key, psk.clone(), self.epochs[index.as_usize()]);
            self.changes.push(Change::Seated { key, psk, seat: index, epoch });
        }
    }

    /// Sessions and their keys are gone when this returns; nothing is ever queued for a device.
    fn end_tunnel(&mut self, index: SeatIndex, key: Option<PublicKey>) {
        self.epochs[index.as_usize()] = self.epochs[index.as_usize()].wrapping_add(1);
        let ended = self.tunnels[index.as_usize()].take();
        if let Some(at) = ended.and_then(|tunnel| tunnel.deadline) {
            self.deadlines.remove(&(at, index));
        }
        self.changes.extend(key.map(|key| Change::Gone { key }));
    }

    /// Sets the tunnel's deadline to the end of its next session.
    fn rearm(&mut self, index: SeatIndex) {
        let Some(tunnel) = self.tunnels[index.as_usize()].as_deref_mut() else { return };
        if let Some(old) = tunnel.deadline.take() {
            self.deadlines.remove(&(old, index));
        }
        tunnel.deadline = tunnel.ends();
        self.deadlines.extend(tunnel.deadline.map(|at| (at, index)));
    }
}

fn data_reason(error: TunnelError) -> DropReason {
    match error {
        TunnelError::NoSession => DropReason::NoSession,
        TunnelError::Replayed => DropReason::Replayed,
        TunnelError::Forged => DropReason::BadSeal,
    }
}

#[cfg(test)]
mod tests;
