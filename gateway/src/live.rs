//! Who is connected now: one entry per connection, indexed by slot, each with the handle that ends it.
//! An entry is made before anything is checked and checked again once it stands (ruling 1), so that a
//! cut finds every connection or every connection finds the cut. It goes when its guard is dropped,
//! which is after its socket is closed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pki::identity::{FacilityId, MembershipId, PersonId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vpn::slot::SlotNumber;

use crate::admission::{AdmittedDevice, AdmittedVisitor};
use crate::door::{CutQuestion, LiveConnection};
use crate::moment::Moment;
use crate::session::SessionId;

/// A browser opens six per origin; a facility's terminal shows a few origins and streams.
pub const CONNECTIONS_PER_SLOT: usize = 64;
/// Half-done handshakes of one slot: one infected PC must not hold the others' CPU.
pub const HANDSHAKES_PER_SLOT: usize = 16;
/// Requests of one slot at once: a terminal with every page open, and its streams.
pub const STREAMS_PER_SLOT: usize = 256;
/// All of them: the descriptors that the process may hold, with room for the rest.
pub const CONNECTIONS_MAX: usize = 8_192;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub per_slot: usize,
    pub handshakes_per_slot: usize,
    pub all: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            per_slot: CONNECTIONS_PER_SLOT,
            handshakes_per_slot: HANDSHAKES_PER_SLOT,
            all: CONNECTIONS_MAX,
        }
    }
}

#[derive(Default)]
pub struct Live {
    bounds: Bounds,
    table: Mutex<Table>,
    left: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    entries: HashMap<u64, Entry>,
    by_slot: HashMap<Option<SlotNumber>, Held>,
    /// Nothing that does not finish by itself may begin.
    stopping: bool,
}

/// What one slot holds.
#[derive(Default)]
struct Held {
    ids: BTreeSet<u64>,
    /// Of these, those whose handshake is not done.
    arrived: usize,
    streams: usize,
}

/// One connection.
pub struct Entry {
    slot: Option<SlotNumber>,
    stage: Stage,
    since_ms: i64,
    cut: CancellationToken,
    streams: BTreeMap<u64, Running>,
}

struct Running {
    streamer: Streamer,
    end: CancellationToken,
    /// Nobody waits for its end.
    endless: bool,
}

/// How far a connection has come.
pub enum Stage {
    /// Its TLS handshake is not done, or port 80 has none.
    Arrived,
    Device(AdmittedDevice),
    Visitor(AdmittedVisitor),
}

/// In whose name a request runs.
#[derive(Clone, Debug)]
pub struct Streamer {
    pub session: SessionId,
    pub person: PersonId,
    pub membership: MembershipId,
    pub facility: Option<FacilityId>,
}

/// More connections or requests than one slot, or all of us, may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// The guard of one entry.
pub struct Connection {
    live: Arc<Live>,
    id: u64,
    cut: CancellationToken,
}

/// The guard of one request; it lives as long as the answer's body.
pub struct Stream {
    live: Arc<Live>,
    connection: u64,
    id: u64,
    end: CancellationToken,
}

impl Live {
    pub fn with(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    pub fn register(self: &Arc<Self>, slot: Option<SlotNumber>, now: Moment) -> Result<Connection, TooMany> {
        let mut table = self.table();
        if table.entries.len() >= self.bounds.all {
            return Err(TooMany);
        }
        let Bounds { per_slot, handshakes_per_slot, .. } = self.bounds;
        let held = table.by_slot.get(&slot);
        if held.is_some_and(|held| held.ids.len() >= per_slot || held.arrived >= handshakes_per_slot) {
            return Err(TooMany);
        }
        let id = table.number();
        let cut = CancellationToken::new();
        let entry = Entry {
            slot,
            stage: Stage::Arrived,
            since_ms: now.unix_ms,
            cut: cut.clone(),
            streams: BTreeMap::new(),
        };
        table.entries.insert(id, entry);
        let held = table.by_slot.entry(slot).or_default();
        held.ids.insert(id);
        held.arrived += 1;
        Ok(Connection { live: self.clone(), id, cut })
    }

    /// Ends every connection whose entry matches; does not wait.
    pub fn cut_where(&self, matches: impl Fn(&Entry) -> bool) -> BTreeSet<u64> {
        let table = self.table();
        let matching = table.entries.iter().filter(|(_, entry)| matches(entry));
        matching
            .map(|(id, entry)| {
                entry.cut.cancel();
                *id
            })
            .collect()
    }

    /// Ends what runs in these names, and nothing else on the same connections; does not wait.
    pub fn end_streams_where(&self, matches: impl Fn(&Streamer) -> bool) {
        let table = self.table();
        let running = table.entries.values().flat_map(|entry| entry.streams.values());
        running.filter(|one| matches(&one.streamer)).for_each(|one| one.end.cancel());
    }

    /// Ends events and sockets, which never finish by themselves; does not wait.
    pub fn end_endless(&self) {
        let mut table = self.table();
        table.stopping = true;
        let running = table.entries.values().flat_map(|entry| entry.streams.values());
        running.filter(|one| one.endless).for_each(|one| one.end.cancel());
    }

    pub fn count_where(&self, matches: impl Fn(&Entry) -> bool) -> u32 {
        self.table().entries.values().filter(|entry| matches(entry)).count() as u32
    }

    /// Waits until none of these connections is left. Those that come later are not waited for:
    /// they meet the floor, however often they come.
    pub async fn gone(&self, ids: &BTreeSet<u64>) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if !ids.iter().any(|id| self.table().entries.contains_key(id)) {
                return;
            }
            left.await;
        }
    }

    /// Waits until nobody is connected.
    pub async fn empty(&self) {
        let all = self.table().entries.keys().copied().collect();
        self.gone(&all).await;
    }

    pub fn count(&self) -> u32 {
        self.table().entries.len() as u32
    }

    pub fn list(&self) -> Vec<LiveConnection> {
        let table = self.table();
        let shown = table.entries.values().filter_map(|entry| {
            Some(LiveConnection {
                slot: entry.slot?,
                certificate: entry.device().map(AdmittedDevice::serial),
                person: entry.streams().next().map(|stream| stream.person.clone()),
                since_ms: entry.since_ms,
                streams: entry.streams.len() as u32,
            })
        });
        shown.collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Entry {
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub fn streams(&self) -> impl Iterator<Item = &Streamer> {
        self.streams.values().map(|one| &one.streamer)
    }

    fn device(&self) -> Option<&AdmittedDevice> {
        match &self.stage {
            Stage::Device(device) => Some(device),
            Stage::Arrived | Stage::Visitor(_) => None,
        }
    }

    pub fn touched_by(&self, cut: &CutQuestion) -> bool {
        match cut {
            CutQuestion::Slot { slot, generation } => {
                let held = match &self.stage {
                    Stage::Device(device) => Some(device.generation()),
                    Stage::Visitor(visitor) => Some(visitor.generation()),
                    Stage::Arrived => None,
                };
                self.slot == Some(*slot) && held.is_none_or(|held| held <= *generation)
            }
            CutQuestion::Certificate { serial } => {
                self.device().is_some_and(|device| device.serial() == *serial)
            }
            CutQuestion::Person { person } => self.streams().any(|one| one.person == *person),
            CutQuestion::Membership { membership } => self.streams().any(|one| one.membership == *membership),
            CutQuestion::Facility { facility } => {
                let holder = match &self.stage {
                    Stage::Device(device) => Some(device.facility()),
                    Stage::Visitor(visitor) => Some(visitor.facility()),
                    Stage::Arrived => None,
                };
                holder == Some(facility) || self.streams().any(|one| one.facility.as_ref() == Some(facility))
            }
        }
    }
}

impl Connection {
    /// Cancelled when the connection must end.
    pub fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    pub fn reached(&self, stage: Stage) {
        let mut table = self.live.table();
        let Table { entries, by_slot, .. } = &mut *table;
        let Some(entry) = entries.get_mut(&self.id) else { return };
        if matches!(entry.stage, Stage::Arrived)
            && let Some(held) = by_slot.get_mut(&entry.slot)
        {
            held.arrived -= 1;
        }
        entry.stage = stage;
    }

    /// Registers a request, before it is admitted.
    pub fn stream(&self, streamer: Streamer) -> Result<Stream, TooMany> {
        let mut table = self.live.table();
        let id = table.number();
        let Table { entries, by_slot, .. } = &mut *table;
        let entry = entries.get_mut(&self.id).ok_or(TooMany)?;
        let held = by_slot.entry(entry.slot).or_default();
        if held.streams >= STREAMS_PER_SLOT {
            return Err(TooMany);
        }
        held.streams += 1;
        let end = CancellationToken::new();
        entry.streams.insert(id, Running { streamer, end: end.clone(), endless: false });
        Ok(Stream { live: self.live.clone(), connection: self.id, id, end })
    }
}

impl Stream {
    /// It will not finish by itself: when the room stops, nobody waits for it.
    pub fn lasts(&self) {
        let mut table = self.live.table();
        if table.stopping {
            return self.end.cancel();
        }
        let entry = table.entries.get_mut(&self.connection);
        if let Some(running) = entry.and_then(|entry| entry.streams.get_mut(&self.id)) {
            running.endless = true;
        }
    }

    /// Cancelled when the request must end, though its connection may go on.
    pub fn end(&self) -> &CancellationToken {
        &self.end
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut table = self.live.table();
        if let Some(entry) = table.entries.remove(&self.id)
            && let Some(held) = table.by_slot.get_mut(&entry.slot)
        {
            held.ids.remove(&self.id);
            held.arrived -= usize::from(matches!(entry.stage, Stage::Arrived));
            held.streams -= entry.streams.len();
            if held.ids.is_empty() {
                table.by_slot.remove(&entry.slot);
            }
        }
        drop(table);
        self.live.left.notify_waiters();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut table = self.live.table();
        let Table { entries, by_slot, .. } = &mut *table;
        if let Some(entry) = entries.get_mut(&self.connection)
            && entry.streams.remove(&self.id).is_some()
            && let Some(held) = by_slot.get_mut(&entry.slot)
        {
            held.streams -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { unix_ms: 0, up_ms: 0 };

    fn slot(n: u16) -> SlotNumber {
        format!("18-{n:04}").parse().unwrap()
    }

    fn streamer(n: u8) -> Streamer {
        Streamer {
            session: SessionId::from_random([n; 8]),
            person: PersonId::from_random([n; 10]),
            membership: MembershipId::from_random([n; 10]),
            facility: Some(FacilityId::from_random([n; 10])),
        }
    }

    #[test]
    fn one_slot_cannot_take_the_place_of_the_others() {
        let live = Arc::new(Live::default());
        let held: Vec<_> = (0..HANDSHAKES_PER_SLOT).map(|_| live.register(Some(slot(1)), NOW).ok()).collect();
        assert!(live.register(Some(slot(1)), NOW).is_err());
        assert!(live.register(Some(slot(2)), NOW).is_ok());
        drop(held);
        assert_eq!(live.count(), 0);
        assert!(live.register(Some(slot(1)), NOW).is_ok());
    }

    #[test]
    fn one_slot_cannot_have_every_request_either() {
        let live = Arc::new(Live::default());
        let connection = live.register(Some(slot(1)), NOW).ok().unwrap();
        let mut held: Vec<_> =
            (0..STREAMS_PER_SLOT).map(|_| connection.stream(streamer(1)).unwrap()).collect();
        assert!(connection.stream(streamer(1)).is_err());
        let other = live.register(Some(slot(2)), NOW).ok().unwrap();
        assert!(other.stream(streamer(2)).is_ok());
        held.pop();
        assert!(connection.stream(streamer(1)).is_ok());
        drop(connection);
        assert_eq!(live.count(), 1);
    }

    #[tokio::test]
    async fn a_cut_waits_for_exactly_what_it_touches() {
        let live = Arc::new(Live::default());
        let mine = live.register(Some(slot(1)), NOW).ok().unwrap();
        let other = live.register(Some(slot(2)), NOW).ok().unwrap();
        let token = mine.cut().clone();
        let ends = tokio::spawn(async move {
            token.cancelled().await;
            drop(mine);
        });
        let cut = CutQuestion::Slot { slot: slot(1), generation: 1 };
        let ids = live.cut_where(|entry| entry.touched_by(&cut));
        assert_eq!(ids.len(), 1);
        live.gone(&ids).await;
        ends.await.unwrap();
        assert!(!other.cut().is_cancelled());
        assert!(live.cut_where(|entry| entry.touched_by(&cut)).is_empty());
    }

    #[test]
    fn a_person_is_found_by_what_runs_in_their_name() {
        let live = Arc::new(Live::default());
        let connection = live.register(Some(slot(1)), NOW).ok().unwrap();
        let stream = connection.stream(streamer(1)).unwrap();
        let person = CutQuestion::Person { person: PersonId::from_random([1; 10]) };
        let facility = CutQuestion::Facility { facility: FacilityId::from_random([1; 10]) };
        let another = CutQuestion::Person { person: PersonId::from_random([2; 10]) };
        let touched =
            |cut: &CutQuestion| live.table().entries.values().filter(|entry| entry.touched_by(cut)).count();
        assert_eq!((touched(&person), touched(&facility), touched(&another)), (1, 1, 0));
        drop(stream);
        assert_eq!(touched(&person), 0);
    }
}
