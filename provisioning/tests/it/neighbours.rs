//! The neighbours in memory: they work, fail, hang, or do their work and die before they answer.
//! Only what the room can observe of them is modelled.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pki::chain::{GENESIS, Hash};
use pki::door::{
    Attestation, IssuedCertificate, IssuingAnswer, IssuingDoor, IssuingQuestion, IssuingRefusal,
    RevocationReason, Revoke,
};
use pki::serial::CertificateSerial;
use provisioning::Needs;
use provisioning::need::{Answering, Cut, CutDone, Cuts, NeedUnmet, Why, WhyLine};
use tokio::sync::Notify;
use vpn::door::{
    Point, Seat, SeatEvent, SeatEventKind, SeatRefusal, SeatStatus, SeatsAnswer, SeatsDoor, SeatsQuestion,
    VpnStatus,
};
use vpn::key::PublicKey;
use vpn::slot::{SeatClass, SlotNumber};

use super::neighbour_sns::Sns;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Works,
    Fails,
    Hangs,
    /// The work is done, the answer never comes.
    DiesAfterwards,
}

#[derive(Default)]
pub struct Neighbours {
    pub vpn: Vpn,
    pub pki: Pki,
    pub gateway: Gateway,
    pub sns: Sns,
}

impl Neighbours {
    pub fn needs(self: &Arc<Self>) -> Needs {
        let door = || Arc::new(Door(self.clone()));
        Needs { issuing: door(), seats: door(), teams: door(), keys: door(), cuts: door(), why: door() }
    }
}

pub struct Door(pub(super) Arc<Neighbours>);

/// How a neighbour answers each of its questions; working unless somebody says otherwise.
pub struct Moods<Q>(Mutex<Option<Mood<Q>>>);

type Mood<Q> = fn(&Q) -> Mode;

impl<Q> Default for Moods<Q> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<Q> Moods<Q> {
    pub fn set(&self, mood: Mood<Q>) {
        *self.0.lock().unwrap() = Some(mood);
    }

    pub fn of(&self, question: &Q) -> Mode {
        self.0.lock().unwrap().map_or(Mode::Works, |mood| mood(question))
    }
}

pub async fn carried<A, E>(mode: Mode, dead: impl Fn() -> E, work: impl FnOnce() -> A) -> Result<A, E> {
    match mode {
        Mode::Works => Ok(work()),
        Mode::Fails => Err(dead()),
        Mode::Hangs => std::future::pending().await,
        Mode::DiesAfterwards => {
            work();
            std::future::pending().await
        }
    }
}

/// Seats by slot and place; true is the enrolling place.
#[derive(Default)]
pub struct Vpn {
    pub mood: Moods<SeatsQuestion>,
    pub firewall_pending: Mutex<bool>,
    state: Mutex<VpnState>,
    bell: Notify,
}

#[derive(Default)]
struct VpnState {
    /// Grows with every restart: questions that wait die with the process they were asked of.
    life: u32,
    /// The last event that the room has asked beyond.
    heard: u64,
    seats: BTreeMap<(SlotNumber, bool), Seat>,
    least: BTreeMap<(SlotNumber, bool), u64>,
    seen: BTreeMap<(SlotNumber, bool), SocketAddr>,
    events: Vec<SeatEvent>,
}

impl Vpn {
    pub fn seat(&self, slot: SlotNumber, enrolling: bool) -> Option<Seat> {
        self.state.lock().unwrap().seats.get(&(slot, enrolling)).cloned()
    }

    /// A device shakes hands from an address with whatever key sits there.
    pub fn handshake(&self, slot: SlotNumber, enrolling: bool, from: &str) {
        let generation = self.seat(slot, enrolling).expect("nobody sits there").generation;
        self.handshake_of(slot, enrolling, generation, from);
    }

    /// The same for a seat of an earlier generation: a late word.
    pub fn handshake_of(&self, slot: SlotNumber, enrolling: bool, generation: u64, from: &str) {
        let endpoint: SocketAddr = from.parse().unwrap();
        let mut state = self.state.lock().unwrap();
        let class = if enrolling { SeatClass::Enrolling } else { SeatClass::ActiveMeetings };
        let kind = match state.seen.insert((slot, enrolling), endpoint) {
            None => SeatEventKind::FirstHandshake { endpoint },
            Some(from) => SeatEventKind::EndpointChanged { from, to: endpoint },
        };
        let number = state.events.len() as u64 + 1;
        state.events.push(SeatEvent { number, at_ms: 0, slot, class, generation, kind });
        drop(state);
        self.bell.notify_waiters();
    }

    /// The process restarts: nobody sits, its events count from the beginning.
    pub fn restarts(&self) {
        let mut state = self.state.lock().unwrap();
        *state = VpnState { life: state.life + 1, ..VpnState::default() };
        drop(state);
        self.bell.notify_waiters();
    }

    /// Has the room taken in everything that happened?
    pub fn heard(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.heard == state.events.len() as u64
    }

    fn answer(&self, question: SeatsQuestion) -> SeatsAnswer {
        let mut state = self.state.lock().unwrap();
        match question {
            SeatsQuestion::Seat(seat) => {
                let place = (seat.slot, seat.class.is_enrolling());
                let (slot, generation) = (seat.slot, seat.generation);
                let held = state.least.get(&place).copied().unwrap_or(0);
                if generation < held {
                    return SeatsAnswer::Refused(SeatRefusal::Stale { slot, given: generation, held });
                }
                if state.seats.get(&place).is_none_or(|held| held.key != seat.key) {
                    state.seen.remove(&place);
                }
                state.least.insert(place, generation);
                state.seats.insert(place, seat);
                SeatsAnswer::Seated { slot, generation }
            }
            SeatsQuestion::Unseat { slot, enrolling, active, generation } => {
                for (wanted, place) in [(enrolling, (slot, true)), (active, (slot, false))] {
                    if wanted && state.seats.get(&place).is_none_or(|held| held.generation <= generation) {
                        state.seats.remove(&place);
                        state.seen.remove(&place);
                        state.least.insert(place, generation + 1);
                    }
                }
                let firewall = match *self.firewall_pending.lock().unwrap() {
                    true => Point::Pending { why: "nft is busy".into() },
                    false => Point::Acknowledged,
                };
                SeatsAnswer::Unseated { slot, data_plane: true, firewall }
            }
            SeatsQuestion::Reconcile { seats } => {
                let truth: BTreeMap<_, _> =
                    seats.into_iter().map(|seat| ((seat.slot, seat.class.is_enrolling()), seat)).collect();
                state.seats.retain(|place, _| truth.contains_key(place));
                for (place, seat) in truth {
                    if seat.generation >= state.least.get(&place).copied().unwrap_or(0) {
                        state.least.insert(place, seat.generation);
                        state.seats.insert(place, seat);
                    }
                }
                SeatsAnswer::Reconciled { seated: state.seats.len() as u32, unseated: 0 }
            }
            SeatsQuestion::Status => SeatsAnswer::Status(status(&state)),
            SeatsQuestion::Events { after, .. } => SeatsAnswer::Events {
                next: state.events.len() as u64,
                events: state.events.iter().filter(|event| event.number > after).cloned().collect(),
            },
        }
    }
}

fn status(state: &VpnState) -> VpnStatus {
    let seat = |((slot, enrolling), seat): (&(SlotNumber, bool), &Seat)| SeatStatus {
        slot: *slot,
        class: seat.class,
        generation: seat.generation,
        endpoint: state.seen.get(&(*slot, *enrolling)).copied(),
        last_handshake_ms: state.seen.get(&(*slot, *enrolling)).map(|_| 1),
        rx_bytes: 0,
        tx_bytes: 0,
    };
    VpnStatus {
        listen: vec![],
        public_key: PublicKey::from_bytes([9; 32]),
        seats: state.seats.iter().map(seat).collect(),
        drops: BTreeMap::new(),
        meters: BTreeMap::new(),
        mirror_true: Some(true),
    }
}

impl SeatsDoor for Door {
    fn ask(&self, question: SeatsQuestion) -> vpn::door::Answering<'_, SeatsAnswer> {
        Box::pin(async move {
            let vpn = &self.0.vpn;
            let dead = || vpn::door::DoorClosed { room: "vpn".into(), why: "dead".into() };
            let mode = vpn.mood.of(&question);
            if let SeatsQuestion::Events { after, wait_ms } = question {
                let rung = vpn.bell.notified();
                let (life, nothing) = {
                    let mut state = vpn.state.lock().unwrap();
                    state.heard = after;
                    (state.life, state.events.len() as u64 == after)
                };
                if nothing {
                    let _ = tokio::time::timeout(Duration::from_millis(u64::from(wait_ms)), rung).await;
                }
                if vpn.state.lock().unwrap().life != life {
                    return Err(dead());
                }
            }
            carried(mode, dead, || vpn.answer(question)).await
        })
    }
}

#[derive(Default)]
pub struct Pki {
    pub mood: Moods<IssuingQuestion>,
    state: Mutex<PkiState>,
}

#[derive(Default)]
struct PkiState {
    issued: BTreeMap<String, (SlotNumber, Vec<u8>, CertificateSerial)>,
    revoked: BTreeMap<CertificateSerial, RevocationReason>,
    attested: Vec<String>,
}

impl Pki {
    /// Certificates of a slot that are not revoked.
    pub fn living(&self, slot: SlotNumber) -> Vec<CertificateSerial> {
        let state = self.state.lock().unwrap();
        let living = |(at, _, serial): &&(SlotNumber, Vec<u8>, CertificateSerial)| {
            *at == slot && !state.revoked.contains_key(serial)
        };
        state.issued.values().filter(living).map(|(.., serial)| *serial).collect()
    }

    pub fn issued(&self) -> usize {
        self.state.lock().unwrap().issued.len()
    }

    pub fn reasons(&self) -> Vec<RevocationReason> {
        self.state.lock().unwrap().revoked.values().copied().collect()
    }

    pub fn attested(&self) -> Vec<String> {
        self.state.lock().unwrap().attested.clone()
    }

    fn answer(&self, question: IssuingQuestion) -> IssuingAnswer {
        let mut state = self.state.lock().unwrap();
        match question {
            IssuingQuestion::Issue { request, .. } if request.starts_with(b"bad") => {
                IssuingAnswer::Refused(IssuingRefusal::NoProof)
            }
            IssuingQuestion::Issue { slot, request, token, .. } => {
                let serial = CertificateSerial::from_random(
                    *Hash::of(token.as_bytes()).as_bytes().first_chunk().unwrap(),
                );
                let (_, known, serial) =
                    state.issued.entry(token).or_insert((slot, request.clone(), serial)).clone();
                if known != request {
                    return IssuingAnswer::Refused(IssuingRefusal::TokenReused);
                }
                let chain = vec![serial.as_bytes().to_vec(), b"device ca".to_vec()];
                IssuingAnswer::Issued(IssuedCertificate {
                    serial,
                    slot,
                    chain,
                    not_after: 1_900_000_000,
                    ledger_entry: 1,
                })
            }
            IssuingQuestion::Renew { slot, request } => {
                let held = state.issued.values().find(|(at, known, _)| *at == slot && *known == request);
                if held.is_none() {
                    return IssuingAnswer::Refused(IssuingRefusal::NotRenewable);
                }
                let token = format!("renewal {slot}");
                let serial = CertificateSerial::from_random(
                    *Hash::of(token.as_bytes()).as_bytes().first_chunk().unwrap(),
                );
                state.issued.insert(token, (slot, request, serial));
                let chain = vec![serial.as_bytes().to_vec(), b"device ca".to_vec()];
                let not_after = 1_950_000_000;
                IssuingAnswer::Issued(IssuedCertificate { serial, slot, chain, not_after, ledger_entry: 2 })
            }
            IssuingQuestion::Revoke { what, reason } => {
                let serials: Vec<_> = match what {
                    Revoke::Certificate(serial) => vec![serial],
                    // Provisioning knows serials and slots.
                    Revoke::Key(_) => vec![],
                    Revoke::Slot(slot) => state
                        .issued
                        .values()
                        .filter(|(at, ..)| *at == slot)
                        .map(|(.., serial)| *serial)
                        .collect(),
                };
                for serial in &serials {
                    state.revoked.entry(*serial).or_insert(reason);
                }
                IssuingAnswer::Revoked { serials, snapshot: 1 }
            }
            IssuingQuestion::SignProfile { content, .. } => {
                IssuingAnswer::ProfileSigned(super::made::signature(&content))
            }
            IssuingQuestion::Attest { subject, hash } => {
                state.attested.push(subject.clone());
                let entry = state.attested.len() as u64;
                IssuingAnswer::Attested(Attestation {
                    entry,
                    subject,
                    hash,
                    head: GENESIS,
                    signature: b"signed".to_vec(),
                })
            }
        }
    }
}

impl IssuingDoor for Door {
    fn ask(&self, question: IssuingQuestion) -> pki::door::Answering<'_, IssuingAnswer> {
        Box::pin(async move {
            let dead = || pki::door::DoorClosed { room: "pki".into(), why: "dead".into() };
            carried(self.0.pki.mood.of(&question), dead, || self.0.pki.answer(question)).await
        })
    }
}

#[derive(Default)]
pub struct Gateway {
    pub mood: Moods<Cut>,
    pub cuts: Mutex<Vec<Cut>>,
}

pub fn dead(room: &str) -> NeedUnmet {
    NeedUnmet { room: room.into(), why: "dead".into() }
}

impl Cuts for Door {
    fn cut(&self, cut: Cut) -> Answering<'_, CutDone> {
        Box::pin(async move {
            let gateway = &self.0.gateway;
            carried(
                gateway.mood.of(&cut),
                || dead("gateway"),
                || {
                    gateway.cuts.lock().unwrap().push(cut.clone());
                    CutDone { connections: 2, sessions: 1 }
                },
            )
            .await
        })
    }
}

impl Why for Door {
    fn why(&self, _: SlotNumber) -> Answering<'_, Vec<WhyLine>> {
        Box::pin(async { Ok(vec![]) })
    }
}
