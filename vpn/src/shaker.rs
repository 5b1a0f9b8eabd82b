//! Handshakes, away from the packets: who may have one, whose it is, what it answers. Pure (`now` and
//! randomness are handed in); owns the server's secret, the directory of keys and the lanes, lives in the
//! handshake thread.
//!
//! ```text
//! mac1 wrong --------------------------------> dropped: cannot know us
//! address authenticated last, mac2 right ----> lane "proven"
//!                             no mac2 -------> lane "known"; its places taken: cookie reply
//! nobody waits long -------------------------> lane "unproven"; its places taken: cookie reply
//! under load: mac2 right, share left --------> lane "proven"
//!             mac2 right, no share left -----> dropped
//!             no mac2 -----------------------> cookie reply, and lane "unproven" all the same:
//!                                              what time is left is nobody's, so it is spent on them
//! ```
//! "known" and "proven" take turns, "unproven" comes last. A forged source can fill the unproven lane; who
//! forges the very address of a device can take a few places of the known lane, but pushes nobody out, and
//! what he keeps out is asked for a proof that only the device receives.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::address::SeatIndex;
use crate::batch::{Arrival, Path};
use crate::cookies::Cookies;
use crate::drops::{DropReason, Drops};
use crate::handshake::{Refused, Responder, Stamp};
use crate::kept::KeptKey;
use crate::key::{KEY_LEN, PresharedKey, PublicKey, TunnelKey};
use crate::lanes::{Full, Lane, Put};
use crate::protocol::{COOKIE_REPLY_LEN, RESPONSE_LEN};
use crate::receiver::Receivers;
use crate::session::Session;
use crate::shares::Shares;

/// Somebody has been waiting this long without a break: from now on addresses must be proved. Far above what a quiet
/// machine needs, far below what a person notices.
pub const LOADED_AT: Duration = Duration::from_millis(50);

/// Handshakes of one seat are at least this far apart: WireGuard's own bound of 50 initiations a second.
pub const SEAT_EVERY: Duration = Duration::from_millis(20);

/// What the data plane tells about seats.
pub enum Change {
    /// Somebody sits down; `epoch` tells this sitting from every other of the place.
    Seated { key: PublicKey, psk: PresharedKey, seat: SeatIndex, epoch: u32 },
    /// The same sitting with another preshared key, from its next handshake on.
    Psk { key: PublicKey, psk: PresharedKey },
    /// The key sits nowhere any more.
    Gone { key: PublicKey },
    /// The device has completed a handshake from here.
    Authenticated { key: PublicKey, at: SocketAddr },
}

/// A handshake that has been computed; the response may leave once the session is in its seat.
pub struct Shaken {
    pub seat: SeatIndex,
    pub epoch: u32,
    pub path: Path,
    pub session: Box<Session>,
    pub response: [u8; RESPONSE_LEN],
}

/// Fresh randomness for one handshake.
pub type Ephemeral = Zeroizing<[u8; KEY_LEN]>;

/// One step of the work.
pub enum Step {
    Done(Box<Shaken>),
    Refused,
    Idle,
}

/// Figures of this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strain {
    pub done: u64,
    pub cookies: u64,
    pub waiting: u64,
    /// How long somebody has been waiting without a break.
    pub age: Duration,
}

pub struct Shaker {
    responder: Responder,
    receivers: Receivers,
    cookies: Cookies,
    shares: Shares,
    directory: HashMap<PublicKey, Entry>,
    endpoints: HashMap<SocketAddr, PublicKey>,
    known: Lane,
    proven: Lane,
    unproven: Lane,
    /// Known and proven senders go first in turn, so that neither can keep the other waiting.
    turns: u64,
    drops: Drops,
    done: u64,
    cookies_sent: u64,
}

/// What is remembered of a key that sits.
struct Entry {
    psk: PresharedKey,
    seat: SeatIndex,
    epoch: u32,
    /// Kept from the first handshake on: it saves a quarter of each later one.
    common: Option<Zeroizing<[u8; KEY_LEN]>>,
    /// The newest time that the device has told; an older initiation is a replay.
    stamp: Option<Stamp>,
    last: Option<Instant>,
    sessions: u8,
    endpoint: Option<SocketAddr>,
}

impl Shaker {
    pub fn new(key: &TunnelKey, receivers: Receivers, now: Instant, seed: [u8; 32]) -> Result<Self, Refused> {
        Ok(Self {
            responder: Responder::new(key)?,
            receivers,
            cookies: Cookies::new(&key.public(), now, seed),
            shares: Shares::new(now),
            directory: HashMap::new(),
            endpoints: HashMap::new(),
            known: Lane::new(Full::RefusesNewcomers),
            proven: Lane::new(Full::DropsOldest),
            unproven: Lane::new(Full::DropsOldest),
            turns: 0,
            drops: Drops::new(),
            done: 0,
            cookies_sent: 0,
        })
    }

    pub fn handle_change(&mut self, change: Change) {
        match change {
            Change::Seated { key, psk, seat, epoch } => {
                let entry = Entry {
                    psk,
                    seat,
                    epoch,
                    common: None,
                    stamp: None,
                    last: None,
                    sessions: 0,
                    endpoint: None,
                };
                let old = self.directory.insert(key, entry);
                self.forget(old);
            }
            Change::Psk { key, psk } => {
                if let Some(entry) = self.directory.get_mut(&key) {
                    entry.psk = psk;
                }
            }
            Change::Gone { key } => {
                let old = self.directory.remove(&key);
                self.forget(old);
            }
            Change::Authenticated { key, at } => {
                let Some(entry) = self.directory.get_mut(&key) else { return };
                if let Some(old) = entry.endpoint.replace(at) {
                    self.endpoints.remove(&old);
                }
                self.endpoints.insert(at, key);
            }
        }
    }

    /// What must not be forgotten by the next process: an old initiation would pass again, and a new session
    /// could take the index of a living one.
    pub fn keep(&self) -> Vec<KeptKey> {
        let used = self.directory.iter().filter(|(_, entry)| entry.stamp.is_some());
        used.map(|(key, entry)| KeptKey {
            key: *key,
            stamp: entry.stamp,
            sessions: entry.sessions,
            endpoint: entry.endpoint,
        })
        .collect()
    }

    /// Of the keys that sit.
    pub fn resume(&mut self, kept: Vec<KeptKey>) {
        for KeptKey { key, stamp, sessions, endpoint } in kept {
            let Some(entry) = self.directory.get_mut(&key) else { continue };
            (entry.stamp, entry.sessions, entry.endpoint) = (stamp, sessions, endpoint);
            self.endpoints.extend(endpoint.map(|endpoint| (endpoint, key)));
        }
    }

    /// Puts who has proved his address into his lane before anybody else is sorted, and leaves the others in
    /// `arrivals`. It costs two hashes and answers nobody, so a flood cannot bury them.
    pub fn handle_proofs(&mut self, now: Instant, arrivals: &mut Vec<Arrival>) {
        let loaded = self.is_loaded(now);
        arrivals.retain(|arrival| {
            let peer = arrival.path.peer;
            let known = self.endpoints.contains_key(&peer);
            // While nobody waits long, nobody's share is touched.
            let proven = (known || loaded)
                && self.cookies.knows_us(&arrival.message)
                && self.cookies.is_proven(now, peer, &arrival.message);
            if proven {
                self.put_proven(now, arrival, known);
            }
            !proven
        });
    }

    /// Sorts what came in into the lanes; `reply` sends the cookies at once.
    pub fn handle_arrivals(
        &mut self,
        now: Instant,
        arrivals: impl IntoIterator<Item = Arrival>,
        mut reply: impl FnMut(Path, [u8; COOKIE_REPLY_LEN]),
    ) {
        for arrival in arrivals {
            let peer = arrival.path.peer;
            if !self.cookies.knows_us(&arrival.message) {
                self.drops.count(DropReason::BadMac1);
                continue;
            }
            let (known, loaded) = (self.endpoints.contains_key(&peer), self.is_loaded(now));
            let proven = (known || loaded) && self.cookies.is_proven(now, peer, &arrival.message);
            if proven {
                self.put_proven(now, &arrival, known);
                continue;
            }
            let lane = if known { &mut self.known } else { &mut self.unproven };
            let put = lane.push(now, &arrival);
            if put != Put::Kept {
                self.drops.count(DropReason::Overload);
            }
            if put == Put::Refused || (loaded && !known) {
                self.cookies_sent += 1;
                reply(arrival.path, self.cookies.reply(now, peer, &arrival.message));
            }
        }
    }

    /// Computes the next handshake; `random` becomes its ephemeral secret.
    pub fn poll_handshake(&mut self, now: Instant, random: impl FnOnce() -> Option<Ephemeral>) -> Step {
        match self.next_vouched(now).or_else(|| self.unproven.pop(now)) {
            Some(arrival) => self.compute(now, &arrival, random),
            None => Step::Idle,
        }
    }

    /// As `poll_handshake`, but only for senders that are known or proven.
    pub fn poll_vouched(&mut self, now: Instant, random: impl FnOnce() -> Option<Ephemeral>) -> Step {
        match self.next_vouched(now) {
            Some(arrival) => self.compute(now, &arrival, random),
            None => Step::Idle,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.known.is_empty() && self.proven.is_empty() && self.unproven.is_empty()
    }

    pub fn strain(&self, now: Instant) -> Strain {
        let age = [&self.known, &self.proven, &self.unproven].map(|lane| lane.age(now));
        Strain {
            done: self.done,
            cookies: self.cookies_sent,
            waiting: (self.known.len() + self.proven.len() + self.unproven.len()) as u64,
            age: age.into_iter().max().unwrap_or_default(),
        }
    }

    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Shares are of addresses that nobody knows.
    fn put_proven(&mut self, now: Instant, arrival: &Arrival, known: bool) {
        if !known && !self.shares.take(now, arrival.path.peer.ip()) {
            self.drops.count(DropReason::SourceLimit);
        } else if self.proven.push(now, arrival) != Put::Kept {
            self.drops.count(DropReason::Overload);
        }
    }

    fn next_vouched(&mut self, now: Instant) -> Option<Arrival> {
        self.turns = self.turns.wrapping_add(1);
        let mut next = [&mut self.known, &mut self.proven];
        if self.turns.is_multiple_of(2) {
            next.reverse();
        }
        next.into_iter().find_map(|lane| lane.pop(now))
    }

    fn compute(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        random: impl FnOnce() -> Option<Ephemeral>,
    ) -> Step {
        match self.shake(now, arrival, random) {
            Ok(shaken) => {
                self.done += 1;
                Step::Done(Box::new(shaken))
            }
            Err(reason) => {
                self.drops.count(reason);
                Step::Refused
            }
        }
    }

    fn is_loaded(&self, now: Instant) -> bool {
        self.unproven.age(now) >= LOADED_AT || self.proven.age(now) >= LOADED_AT
    }

    fn shake(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        random: impl FnOnce() -> Option<Ephemeral>,
    ) -> Result<Shaken, DropReason> {
        let refused = |_| DropReason::BadHandshake;
        let initiator = self.responder.identify(&arrival.message).map_err(refused)?;
        let entry = self.directory.get_mut(&initiator.key()).ok_or(DropReason::UnknownKey)?;
        if entry.last.is_some_and(|last| now.saturating_duration_since(last) < SEAT_EVERY) {
            return Err(DropReason::SeatLimit);
        }
        let common = match &mut entry.common {
            Some(common) => common,
            none => none.insert(self.responder.common(&initiator.key()).map_err(refused)?),
        };
        let verified = initiator.verify(common).map_err(refused)?;
        if entry.stamp.is_some_and(|stamp| verified.stamp() <= stamp) {
            return Err(DropReason::BadHandshake);
        }
        let stamp = verified.stamp();
        let local = self.receivers.of(entry.seat, entry.sessions);
        let random = random().ok_or(DropReason::NoRandomness)?;
        let (response, keys) = verified.respond(&entry.psk, local, random).map_err(refused)?;
        let session = Session::new(now, local, keys).map_err(refused)?;
        entry.stamp = Some(stamp);
        entry.last = Some(now);
        entry.sessions = entry.sessions.wrapping_add(1);
        Ok(Shaken {
            seat: entry.seat,
            epoch: entry.epoch,
            path: arrival.path,
            session: Box::new(session),
            response,
        })
    }

    fn forget(&mut self, old: Option<Entry>) {
        if let Some(endpoint) = old.and_then(|entry| entry.endpoint) {
            self.endpoints.remove(&endpoint);
        }
    }
}
