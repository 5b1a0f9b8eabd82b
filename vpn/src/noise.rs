//! The protocol core: boringtun's `noise::Tunn` behind our traits. An edge, because boringtun reads the
//! clock and draws ephemeral keys by itself. Owns the server's secret and each seat's session keys.
//!
//! boringtun's own timers are never run: they would send keepalives and initiations, which a server must
//! not. Session age is kept here, from the `now` handed in, and a `Tunn` is only called when the session
//! it would use is one that we know to be alive (so it never queues and never initiates).
//! Its rate limiter is given a limit that no count reaches: only our own `limiter` decides.

use std::sync::Arc;
use std::time::Instant;

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use x25519_dalek::StaticSecret;

use crate::address::SeatIndex;
use crate::key::{PresharedKey, PublicKey, TunnelKey};
use crate::protocol::{
    DATA_OVERHEAD, DATAGRAM_MAX, INITIATION_LEN, Opened, Peer, PeerError, Protocol, SESSION_LIFETIME, word,
};

/// Sessions that a `Tunn` keeps at once, by receiver index modulo this.
const SESSIONS: usize = 8;

/// Never reached; see the head of this file.
const NO_LIMIT: u64 = u64::MAX;

/// The server's half of every handshake.
pub struct Noise {
    server: Arc<Server>,
}

struct Server {
    secret: StaticSecret,
    public: x25519_dalek::PublicKey,
    limiter: Arc<RateLimiter>,
}

impl Noise {
    pub fn new(key: &TunnelKey) -> Self {
        let secret = key.expose();
        let public = x25519_dalek::PublicKey::from(&secret);
        let limiter = Arc::new(RateLimiter::new(&public, NO_LIMIT));
        Self { server: Arc::new(Server { secret, public, limiter }) }
    }
}

impl Protocol for Noise {
    type Peer = NoisePeer;

    fn identify(&self, initiation: &[u8; INITIATION_LEN]) -> Option<PublicKey> {
        let Ok(Packet::HandshakeInit(parsed)) = Tunn::parse_incoming_packet(initiation) else {
            return None;
        };
        let half = parse_handshake_anon(&self.server.secret, &self.server.public, &parsed).ok()?;
        Some(PublicKey::from_bytes(half.peer_static_public))
    }

    fn peer(&self, key: &PublicKey, psk: &PresharedKey, seat: SeatIndex) -> NoisePeer {
        let tunn = Tunn::new(
            self.server.secret.clone(),
            (*key.as_bytes()).into(),
            Some(*psk.expose()),
            None,
            seat.get(),
            Some(self.server.limiter.clone()),
        );
        NoisePeer { server: self.server.clone(), tunn, sessions: [None; SESSIONS], current: None }
    }
}

/// The sessions of one seat.
pub struct NoisePeer {
    server: Arc<Server>,
    tunn: Tunn,
    /// Mirrors the ring inside `tunn`.
    sessions: [Option<Session>; SESSIONS],
    /// Receiver index of the session that seals; the last one the device used.
    current: Option<u32>,
}

#[derive(Clone, Copy)]
struct Session {
    receiver: u32,
    born: Instant,
    confirmed: bool,
}

impl NoisePeer {
    fn live(&mut self, now: Instant, receiver: u32) -> Result<&mut Session, PeerError> {
        self.sessions[receiver as usize % SESSIONS]
            .as_mut()
            .filter(|s| s.receiver == receiver && now.saturating_duration_since(s.born) < SESSION_LIFETIME)
            .ok_or(PeerError::NoSession)
    }
}

impl Peer for NoisePeer {
    fn respond(
        &mut self,
        now: Instant,
        initiation: &[u8; INITIATION_LEN],
        out: &mut [u8],
    ) -> Result<usize, PeerError> {
        if out.len() < DATAGRAM_MAX {
            return Err(PeerError::Refused);
        }
        let TunnResult::WriteToNetwork(response) = self.tunn.decapsulate(None, initiation, out) else {
            return Err(PeerError::Refused);
        };
        let receiver = word(response, 4).ok_or(PeerError::Refused)?;
        let len = response.len();
        self.sessions[receiver as usize % SESSIONS] = Some(Session { receiver, born: now, confirmed: false });
        Ok(len)
    }

    fn open(&mut self, now: Instant, datagram: &[u8], out: &mut [u8]) -> Result<Opened, PeerError> {
        let receiver = word(datagram, 4).ok_or(PeerError::Refused)?;
        self.live(now, receiver)?;
        if out.len() < datagram.len() {
            return Err(PeerError::Refused);
        }
        let inner = match self.tunn.decapsulate(None, datagram, out) {
            TunnResult::Done => Ok(0),
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                Ok(packet.len())
            }
            // A data message answered by a message of the protocol: boringtun has no such case.
            TunnResult::WriteToNetwork(_) => Err(PeerError::Refused),
            TunnResult::Err(error) => Err(meaning(&error)),
        };
        if matches!(inner, Ok(_) | Err(PeerError::Inner)) {
            self.current = Some(receiver);
        }
        let len = inner?;
        let session = self.live(now, receiver)?;
        let completed = !std::mem::replace(&mut session.confirmed, true);
        Ok(Opened { len, completed })
    }

    fn seal(&mut self, now: Instant, packet: &[u8], out: &mut [u8]) -> Result<usize, PeerError> {
        let current = self.current.ok_or(PeerError::NoSession)?;
        self.live(now, current)?;
        if out.len() < DATAGRAM_MAX.max(packet.len() + DATA_OVERHEAD) {
            return Err(PeerError::Refused);
        }
        match self.tunn.encapsulate(packet, out) {
            TunnResult::WriteToNetwork(sealed) => Ok(sealed.len()),
            _ => Err(PeerError::NoSession),
        }
    }

    fn expires(&self) -> Option<Instant> {
        self.sessions.iter().flatten().map(|session| session.born + SESSION_LIFETIME).max()
    }

    fn expire(&mut self, now: Instant) {
        if self.expires().is_some_and(|end| end <= now) {
            self.sessions = [None; SESSIONS];
            self.current = None;
            // Setting the same key again is boringtun's only way to drop every session key and still
            // remember the last initiation's timestamp, without which it could be replayed.
            let Server { secret, public, limiter } = &*self.server;
            self.tunn.set_static_private(secret.clone(), *public, Some(limiter.clone()));
        }
    }
}

fn meaning(error: &WireGuardError) -> PeerError {
    match error {
        WireGuardError::InvalidCounter | WireGuardError::DuplicateCounter => PeerError::Replayed,
        WireGuardError::NoCurrentSession | WireGuardError::WrongIndex => PeerError::NoSession,
        WireGuardError::InvalidPacket => PeerError::Inner,
        _ => PeerError::Refused,
    }
}
