//! Between the loop and the handshake thread: initiations and changes go over, finished handshakes come
//! back. An edge: a lock, a bell, a thread. Packets never wait here; the loop takes the lock once per turn
//! that brought an initiation.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use zeroize::Zeroizing;

use crate::batch::Arrival;
use crate::cookies::bears_proof;
use crate::drops::{DropReason, Drops};
use crate::key::KEY_LEN;
use crate::shaker::{Change, Ephemeral, Shaken, Shaker, Step, Strain};
use crate::udp::UdpListener;

/// Initiations that wait to be sorted; sorting one takes a microsecond, so this is a burst, not a backlog.
const INBOX_MAX: usize = 8_192;

/// Handshakes between two looks into the inbox: about a millisecond of work.
const PER_LOOK: usize = 12;

/// Initiations sorted between two turns of handshakes: half a millisecond, most of it cookies. So whoever
/// has proved himself is computed at two thirds of this thread's speed, however many come in.
const SORTED_PER_LOOK: usize = 64;

/// Initiations with a second MAC that are looked at before those: a millisecond, even if all of them lie.
const PROOFS_PER_LOOK: usize = 256;

/// Packets come first where cores are few; handshakes take what is left (nice). Not more, or other
/// processes of the box would keep a whole district from coming back.
const NICER_BY: i32 = 2;

/// The loop's end.
pub struct Desk {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    bell: Condvar,
}

#[derive(Default)]
struct Inbox {
    /// With a second MAC: whoever has a cookie must not be lost among those who have none.
    proofs: VecDeque<Arrival>,
    arrivals: VecDeque<Arrival>,
    changes: Vec<Change>,
    overflown: u64,
    stop: bool,
    /// Of the thread's last look.
    strain: Strain,
    drops: Drops,
}

impl Desk {
    /// Starts the thread. `deliver` hands finished handshakes to the loop; when it answers `false` the
    /// loop has gone, and so does the thread, which leaves its shaker. However it ends, `deliver` is dropped.
    pub fn start(
        shaker: Shaker,
        sockets: Vec<UdpListener>,
        deliver: impl FnMut(Vec<Shaken>) -> bool + Send + 'static,
    ) -> io::Result<(Desk, JoinHandle<Shaker>)> {
        let shared = Arc::new(Shared { inbox: Mutex::default(), bell: Condvar::new() });
        let hand = Hand { shared: shared.clone(), shaker, sockets };
        let thread = std::thread::Builder::new().name("vpn-handshakes".into()).spawn(move || {
            // Refused in some jails; then both threads are equals.
            let _ = rustix::process::nice(NICER_BY);
            hand.run(deliver)
        })?;
        Ok((Desk { shared }, thread))
    }

    /// Takes both lists over and leaves them empty.
    pub fn hand_over(&self, changes: Vec<Change>, arrivals: &mut Vec<Arrival>) {
        let mut inbox = self.shared.inbox();
        inbox.changes.extend(changes);
        for arrival in arrivals.drain(..) {
            match bears_proof(&arrival.message) {
                true => inbox.proofs.push_back(arrival),
                false => inbox.arrivals.push_back(arrival),
            }
        }
        inbox.bound();
        drop(inbox);
        self.shared.bell.notify_one();
    }

    /// What the thread counted, as of its last look.
    pub fn report(&self) -> (Strain, Drops) {
        let inbox = self.shared.inbox();
        let mut drops = inbox.drops.clone();
        drops.add(DropReason::InitiationsFull, inbox.overflown);
        (inbox.strain.clone(), drops)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shared.inbox().stop = true;
        self.shared.bell.notify_one();
    }
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.proofs.is_empty() && self.arrivals.is_empty() && self.changes.is_empty()
    }

    /// The oldest go: the newest are the likeliest to be still wanted.
    fn bound(&mut self) {
        for queue in [&mut self.proofs, &mut self.arrivals] {
            let over = queue.len().saturating_sub(INBOX_MAX);
            queue.drain(..over);
            self.overflown += over as u64;
        }
    }
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Nothing in here can panic half-way, so a poisoned inbox is still whole.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's end.
struct Hand {
    shared: Arc<Shared>,
    shaker: Shaker,
    sockets: Vec<UdpListener>,
}

impl Hand {
    /// Answers with what it knows, for a successor.
    fn run(mut self, mut deliver: impl FnMut(Vec<Shaken>) -> bool) -> Shaker {
        let (mut proofs, mut arrivals) = (Vec::new(), Vec::with_capacity(SORTED_PER_LOOK));
        while let Some(more) = self.look(&mut proofs, &mut arrivals) {
            self.shaker.handle_proofs(Instant::now(), &mut proofs);
            let sockets = &self.sockets;
            self.shaker.handle_arrivals(Instant::now(), arrivals.drain(..), |path, cookie| {
                if let Some(socket) = sockets.get(usize::from(path.socket)) {
                    socket.send(&path, &cookie, cookie.len());
                }
            });
            let mut done = Vec::new();
            for _ in 0..PER_LOOK {
                // Strangers are computed only when nobody waits to be sorted.
                let step = match more {
                    true => self.shaker.poll_vouched(Instant::now(), random),
                    false => self.shaker.poll_handshake(Instant::now(), random),
                };
                match step {
                    Step::Done(shaken) => done.push(*shaken),
                    Step::Refused => {}
                    Step::Idle => break,
                }
            }
            if !done.is_empty() && !deliver(done) {
                break;
            }
        }
        self.shaker
    }

    /// Takes over the next of what came, and all changes; waits when there is nothing else to do. What is left in
    /// `proofs` has proved nothing and waits with the others. Answers whether more is waiting; `None` is the end.
    fn look(&mut self, proofs: &mut Vec<Arrival>, arrivals: &mut Vec<Arrival>) -> Option<bool> {
        let mut inbox = self.shared.inbox();
        inbox.arrivals.extend(proofs.drain(..));
        inbox.bound();
        inbox.strain = self.shaker.strain(Instant::now());
        inbox.drops.clone_from(self.shaker.drops());
        while self.shaker.is_idle() && !inbox.stop && inbox.is_empty() {
            inbox = self.shared.bell.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
        let count = inbox.arrivals.len().min(SORTED_PER_LOOK);
        arrivals.extend(inbox.arrivals.drain(..count));
        let count = inbox.proofs.len().min(PROOFS_PER_LOOK);
        proofs.extend(inbox.proofs.drain(..count));
        let (changes, more) = (std::mem::take(&mut inbox.changes), !inbox.arrivals.is_empty());
        let stop = inbox.stop;
        drop(inbox);
        changes.into_iter().for_each(|change| self.shaker.handle_change(change));
        (!stop).then_some(more)
    }
}

/// Without randomness there is no handshake.
fn random() -> Option<Ephemeral> {
    let mut random = Zeroizing::new([0; KEY_LEN]);
    getrandom::fill(&mut *random).ok().map(|()| random)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use boringtun::noise::{Tunn, TunnResult};

    use super::*;
    use crate::address::SeatIndex;
    use crate::batch::Path;
    use crate::key::{PresharedKey, TunnelKey};
    use crate::protocol::INITIATION_LEN;
    use crate::receiver::Receivers;

    /// More at once than are kept: who bears a proof is not among those who are lost, though he came first.
    #[test]
    fn attacker_a_full_inbox_loses_nobody_who_bears_a_proof() {
        let (server, device) = (TunnelKey::generate([3; 32]), TunnelKey::generate([7; 32]));
        let receivers = Receivers::new([9; 16]);
        let shaker = Shaker::new(&server, receivers, Instant::now(), [4; 32]).ok().unwrap();
        let (done, shaken) = mpsc::channel();
        let (desk, thread) = Desk::start(shaker, Vec::new(), move |all| done.send(all).is_ok()).unwrap();

        let theirs = (*server.public().as_bytes()).into();
        let mut tunn = Tunn::new(device.expose(), theirs, Some([5; 32]), None, 1, None);
        let mut room = [0; 256];
        let TunnResult::WriteToNetwork(message) = tunn.format_handshake_initiation(&mut room, true) else {
            panic!("no initiation")
        };
        let mut message: [u8; INITIATION_LEN] = message.try_into().unwrap();
        message[INITIATION_LEN - 1] = 1;
        let path = |port| Path { socket: 0, peer: ([192, 0, 2, 1], port).into(), local: None };
        let nobody = (0..20_000).map(|port| Arrival { path: path(port), message: [1; INITIATION_LEN] });
        let nobody = nobody.map(|mut arrival| {
            arrival.message[INITIATION_LEN - 16..].fill(0);
            arrival
        });
        let mut arrivals: Vec<Arrival> =
            std::iter::once(Arrival { path: path(60_000), message }).chain(nobody).collect();
        let seated = Change::Seated {
            key: device.public(),
            psk: PresharedKey::from_bytes([5; 32]),
            seat: SeatIndex::new(42),
            epoch: 1,
        };
        desk.hand_over(vec![seated], &mut arrivals);
        let shaken = shaken.recv_timeout(Duration::from_secs(120)).expect("the device is answered");
        assert_eq!(shaken.first().map(|shaken| shaken.seat), Some(SeatIndex::new(42)));
        assert_eq!(desk.report().1.of(DropReason::InitiationsFull), 20_000 - INBOX_MAX as u64);
        drop(desk);
        assert_eq!(thread.join().unwrap().drops().of(DropReason::UnknownKey), 0);
    }
}
