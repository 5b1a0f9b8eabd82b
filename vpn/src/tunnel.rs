//! One seat's tunnel: up to three sessions, where the device is, what has passed. Pure; owns the sessions,
//! lives from a seat's first handshake until the seat is emptied.
//!
//! ```text
//! handshake --> next --(the device's first message)--> current --(the next one confirmed)--> previous --> gone
//!                 \------------- 180 s after its birth, each by itself ------------------------------/
//! ```
//! The server seals with `current` only: a session that the device has not used may be nobody's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::addressing::Reach;
use crate::batch::Path;
use crate::kept::KeptTunnel;
use crate::key::PublicKey;
use crate::session::{Session, SessionError};

/// A device on the move leaves an address behind. One key that comes back to an address it had left, this
/// often within `RIVALS_WITHIN`, is two devices.
pub const RIVAL_RETURNS: u8 = 4;
pub const RIVALS_WITHIN: Duration = Duration::from_secs(120);

/// Two devices with one key are told once in this time.
pub const RIVALS_AGAIN: Duration = Duration::from_secs(600);

pub struct Tunnel {
    current: Option<Box<Session>>,
    previous: Option<Box<Session>>,
    next: Option<Box<Session>>,
    pub own: Ipv4Addr,
    pub reach: Reach,
    /// Where the last authenticated message came from: the device roams, we follow.
    pub path: Option<Path>,
    /// Where the last completed handshake came from.
    pub shook_at: Option<SocketAddr>,
    pub shook_ms: Option<i64>,
    pub deadline: Option<Instant>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    roaming: Roaming,
}

/// A message whose seal was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Length of the inner packet with its padding; 0 is a keepalive.
    pub len: usize,
    /// The first message of its session: the handshake is completed, the device has proved the key.
    pub completed: bool,
    /// Two devices hold this key: the other one's address.
    pub rival: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelError {
    NoSession,
    Replayed,
    Forged,
}

impl Tunnel {
    pub fn new(own: Ipv4Addr, reach: Reach) -> Self {
        Self {
            current: None,
            previous: None,
            next: None,
            own,
            reach,
            path: None,
            shook_at: None,
            shook_ms: None,
            deadline: None,
            rx_bytes: 0,
            tx_bytes: 0,
            roaming: Roaming::default(),
        }
    }

    /// As the next process will need it; who roamed between two addresses is noticed anew.
    pub fn keep(&self, now: Instant, key: PublicKey) -> KeptTunnel {
        let sessions = [&self.current, &self.previous, &self.next];
        KeptTunnel {
            key,
            sessions: sessions.map(|session| session.as_ref().map(|session| session.keep(now))),
            path: self.path,
            shook_at: self.shook_at,
            shook_ms: self.shook_ms,
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
        }
    }

    /// `ours` says whether an index still leads here.
    pub fn resume(&mut self, now: Instant, kept: KeptTunnel, ours: impl Fn(u32) -> bool) {
        let [current, previous, next] = kept.sessions.map(|session| {
            let session = session.filter(|session| ours(session.local))?;
            Session::resume(now, session).map(Box::new)
        });
        (self.current, self.previous, self.next) = (current, previous, next);
        (self.path, self.shook_at, self.shook_ms) = (kept.path, kept.shook_at, kept.shook_ms);
        (self.rx_bytes, self.tx_bytes) = (kept.rx_bytes, kept.tx_bytes);
    }

    /// A handshake has been answered; its session waits for the device's first message.
    pub fn offer(&mut self, session: Box<Session>) {
        self.next = Some(session);
    }

    pub fn open(
        &mut self,
        now: Instant,
        receiver: u32,
        from: &Path,
        datagram: &mut [u8],
    ) -> Result<Opened, TunnelError> {
        let holds = |session: &Option<Box<Session>>| session.as_ref().is_some_and(|s| s.local() == receiver);
        let completed = !holds(&self.current) && holds(&self.next);
        let session = if completed {
            &mut self.next
        } else if holds(&self.current) {
            &mut self.current
        } else if holds(&self.previous) {
            &mut self.previous
        } else {
            return Err(TunnelError::NoSession);
        };
        let Some(session) = session else { return Err(TunnelError::NoSession) };
        let len = session.open(now, datagram).map_err(|error| match error {
            SessionError::Ended => TunnelError::NoSession,
            SessionError::Replayed => TunnelError::Replayed,
            SessionError::Forged => TunnelError::Forged,
        })?;
        if completed {
            self.previous = self.current.take();
            self.current = self.next.take();
        }
        let rival = match self.path {
            Some(path) if path == *from => None,
            path => {
                self.path = Some(*from);
                path.and_then(|path| self.roaming.moved(now, path.peer.ip(), from.peer.ip()))
            }
        };
        Ok(Opened { len, completed, rival })
    }

    /// As `Session::seal`, under the session that the device has confirmed last.
    pub fn seal(&mut self, now: Instant, room: &mut [u8], len: usize) -> Result<usize, TunnelError> {
        let current = self.current.as_mut().ok_or(TunnelError::NoSession)?;
        current.seal(now, room, len).map_err(|_| TunnelError::NoSession)
    }

    /// When the next session ends; `None` when there is none.
    pub fn ends(&self) -> Option<Instant> {
        let held = [&self.previous, &self.current, &self.next];
        held.into_iter().flatten().map(|session| session.ends()).min()
    }

    /// Drops the sessions that have ended, and their keys with them.
    pub fn expire(&mut self, now: Instant) {
        for session in [&mut self.previous, &mut self.current, &mut self.next] {
            if session.as_ref().is_some_and(|session| session.ends() <= now) {
                *session = None;
            }
        }
    }
}

/// Notices an address that comes back. Ports alone change behind every carrier's NAT and mean nothing.
#[derive(Default)]
struct Roaming {
    left: Option<IpAddr>,
    returns: u8,
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Roaming {
    fn moved(&mut self, now: Instant, from: IpAddr, to: IpAddr) -> Option<IpAddr> {
        if from == to {
            return None;
        }
        let within = |since: &Option<Instant>, span| {
            since.is_some_and(|since| now.saturating_duration_since(since) < span)
        };
        let came_back = self.left.replace(from) == Some(to);
        if !came_back || !within(&self.since, RIVALS_WITHIN) {
            (self.returns, self.since) = (0, Some(now));
        }
        self.returns = self.returns.saturating_add(u8::from(came_back));
        let rivals = self.returns >= RIVAL_RETURNS && !within(&self.told, RIVALS_AGAIN);
        if rivals {
            self.told = Some(now);
        }
        rivals.then_some(from)
    }
}
