//! The room put together: opens what it needs, starts the loop and the mirror, answers the seats door.
//! An edge (tasks, randomness). Ends with `stop`, which leaves no firewall table, TUN or socket behind;
//! the snapshot stays.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::address::{AddressPlan, Place};
use crate::addressing::Addressing;
use crate::door::{
    Admitted, Answering, DoorClosed, MirrorDoor, Point, Seat, SeatRefusal, SeatsAnswer, SeatsDoor,
    SeatsQuestion, VpnStatus,
};
use crate::firewall::Firewall;
use crate::handover::Handover;
use crate::journal::Journal;
use crate::key::{PublicKey, TunnelKey};
use crate::mirroring::{Ending, Mirroring};
use crate::plane::{Command, Outcome, Plane};
use crate::receiver::Receivers;
use crate::server::{self, Ended, Export, Helm, Report};
use crate::shaker::Shaker;
use crate::slot::SlotNumber;
use crate::snapshot;
use crate::tun::TunDevice;
use crate::udp::UdpListener;

pub struct Config {
    pub plan: AddressPlan,
    /// Where WireGuard listens; both families.
    pub listen: Vec<SocketAddr>,
    /// Name of the TUN interface, at most 15 bytes.
    pub interface: String,
    pub private_key: TunnelKey,
    /// The seating snapshot; its folder must exist.
    pub snapshot: PathBuf,
    /// The program that sets the firewall.
    pub nft: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("MM-1106 no address to listen at; set at least one")]
    NoListener,
    #[error("MM-1107 cannot listen at udp {address}: {source}; free the port or choose another")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(
        "MM-1108 cannot make the interface {interface}: {source}; it needs CAP_NET_ADMIN and /dev/net/tun"
    )]
    Tun { interface: String, source: std::io::Error },
    #[error("{0}")]
    Firewall(String),
    #[error("MM-1109 no randomness: {0}")]
    Random(String),
    #[error(
        "MM-1112 the tunnel key is no usable X25519 key; restore it from the backup, or make a new realm"
    )]
    Key,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("MM-1110 the firewall does not stand, so nothing is started: {0}")]
    Firewall(String),
    #[error("MM-1111 the data plane's thread does not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Everything that needs a privilege is open; nothing has been read from outside yet.
pub struct Opened {
    config: Config,
    firewall: Firewall,
    tun: TunDevice,
    sockets: Vec<UdpListener>,
    plane: Plane,
    shaker: Shaker,
}

/// Binds the sockets, closes the firewall, then makes the TUN, in this order: no packet meets an open door.
pub fn open(config: Config) -> Result<Opened, OpenError> {
    let firewall = Firewall::new(&config.nft, &config.plan, &config.interface);
    let opened = open_with(config, || firewall.install(&Admitted::new()).map_err(|error| error.to_string()));
    if matches!(opened, Err(OpenError::Tun { .. })) {
        let _ = firewall.remove();
    }
    opened
}

/// As `open`, with the firewall in another process: `close` has it refuse everybody, or nothing is opened.
pub fn open_with(config: Config, close: impl FnOnce() -> Result<(), String>) -> Result<Opened, OpenError> {
    open_anew(config, close)
}

/// Takes up where a predecessor has let go: no device shakes hands again, and no packet is lost that the
/// kernel could keep. `admit` has the firewall admit exactly these, in one step. What cannot be taken up is
/// said, and everything is opened anew.
pub fn open_from(
    config: Config,
    handover: Handover,
    admit: impl FnOnce(&Admitted) -> Result<(), String>,
) -> Result<Opened, OpenError> {
    let heirloom = match handover.take(&config.listen, &config.interface) {
        Ok(heirloom) => heirloom,
        Err(why) => {
            log::warn!(why = why.as_str(); "the predecessor's tunnels are not taken up; devices shake hands again");
            return open_anew(config, || admit(&Admitted::new()));
        }
    };
    let addressing = Addressing::Realm(config.plan.clone());
    let (mut plane, mut shaker) = engine_with(addressing, &config.private_key, heirloom.receivers)?;
    restore(&mut plane, &config);
    let admitted = plane.gates().into_iter().filter_map(|(address, gate)| Some((address, gate?))).collect();
    admit(&admitted).map_err(OpenError::Firewall)?;
    let tunnels = heirloom.tunnels();
    let (tun, sockets) = heirloom.resume(&mut plane, &mut shaker);
    log::info!(tunnels = tunnels; "the predecessor's tunnels are taken up");
    let firewall = Firewall::new(&config.nft, &config.plan, &config.interface);
    Ok(Opened { config, firewall, tun, sockets, plane, shaker })
}

fn open_anew(config: Config, close: impl FnOnce() -> Result<(), String>) -> Result<Opened, OpenError> {
    if config.listen.is_empty() {
        return Err(OpenError::NoListener);
    }
    let bind = |address: &SocketAddr| {
        UdpListener::bind(*address, &config.listen)
            .map_err(|source| OpenError::Listen { address: *address, source })
    };
    let sockets = config.listen.iter().map(bind).collect::<Result<_, _>>()?;
    let (mut plane, shaker) =
        engine(Addressing::Realm(config.plan.clone()), &config.private_key).map_err(OpenError::from)?;
    restore(&mut plane, &config);

    close().map_err(OpenError::Firewall)?;
    let tun = TunDevice::open(&config.interface, &config.plan)
        .map_err(|source| OpenError::Tun { interface: config.interface.clone(), source })?;
    let firewall = Firewall::new(&config.nft, &config.plan, &config.interface);
    Ok(Opened { config, firewall, tun, sockets, plane, shaker })
}

/// The data plane and the handshakes that belong to it.
pub(crate) fn engine(addressing: Addressing, key: &TunnelKey) -> Result<(Plane, Shaker), EngineError> {
    let mut indices = [0; 16];
    getrandom::fill(&mut indices).map_err(|error| EngineError::Random(error.to_string()))?;
    engine_with(addressing, key, Receivers::new(indices))
}

fn engine_with(
    addressing: Addressing,
    key: &TunnelKey,
    receivers: Receivers,
) -> Result<(Plane, Shaker), EngineError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| EngineError::Random(error.to_string()))?;
    let shaker = Shaker::new(key, receivers, server::now().instant, seed).map_err(|_| EngineError::Key)?;
    Ok((Plane::new(addressing, receivers), shaker))
}

pub(crate) enum EngineError {
    Random(String),
    Key,
}

impl From<EngineError> for OpenError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Random(why) => OpenError::Random(why),
            EngineError::Key => OpenError::Key,
        }
    }
}

impl Opened {
    pub async fn start(self) -> Result<Room, StartError> {
        let door: Arc<dyn MirrorDoor> = Arc::new(self.firewall.clone());
        self.start_with(door).await
    }

    /// With the firewall behind another door (its own process).
    pub async fn start_with(self, door: Arc<dyn MirrorDoor>) -> Result<Room, StartError> {
        let (mirroring, mirror_task) =
            Mirroring::start(door, self.plane.gates()).await.map_err(StartError::Firewall)?;
        let journal = Arc::new(Journal::new(server::now().unix_ms));
        let listen = self.sockets.iter().map(UdpListener::local).collect();
        let started = server::start(self.plane, self.shaker, self.tun, self.sockets, journal.clone());
        let (helm, thread) = started.inspect_err(|_| mirroring.stop(Ending::Removed))?;
        let (ended, ends) = watch::channel(None);
        let inner = Arc::new(Inner {
            helm,
            mirroring,
            journal,
            listen,
            interface: self.config.interface,
            public_key: self.config.private_key.public(),
            changed: Arc::new(Notify::new()),
            snapshot: tokio::sync::Mutex::new(self.config.snapshot),
            ends,
            tasks: Mutex::new(vec![mirror_task]),
        });
        let watcher = tokio::task::spawn_blocking(move || {
            let how = match thread.join() {
                Ok(Ok(())) => String::new(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked".to_owned(),
            };
            if !how.is_empty() {
                log::error!(why = how.as_str(); "the vpn data plane has ended; every tunnel is down");
            }
            ended.send_replace(Some(how));
        });
        let writer = tokio::spawn(keep_snapshot(Arc::downgrade(&inner), inner.changed.clone()));
        inner.adopt([watcher, writer]);
        Ok(Room { inner })
    }
}

/// The vpn room.
#[derive(Clone)]
pub struct Room {
    inner: Arc<Inner>,
}

struct Inner {
    helm: Helm,
    mirroring: Mirroring,
    journal: Arc<Journal>,
    listen: Vec<SocketAddr>,
    interface: String,
    public_key: PublicKey,
    /// The seating differs from the snapshot.
    changed: Arc<Notify>,
    /// One writer at a time, so that a later seating is never overwritten by an earlier one.
    snapshot: tokio::sync::Mutex<PathBuf>,
    /// How the loop ended; empty text for a stop.
    ends: watch::Receiver<Option<String>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Room {
    pub async fn answer(&self, question: SeatsQuestion) -> SeatsAnswer {
        let answer = match question {
            SeatsQuestion::Seat(seat) => self.seat(seat).await,
            SeatsQuestion::Unseat { slot, enrolling, active, generation } => {
                let places = [(enrolling, Place::Enrolling), (active, Place::Active)];
                let places =
                    places.into_iter().filter(|(wanted, _)| *wanted).map(|(_, place)| place).collect();
                self.unseat(slot, places, generation).await
            }
            SeatsQuestion::Reconcile { seats } => self.reconcile(seats).await,
            SeatsQuestion::Status => self.status().await,
            SeatsQuestion::Events { after, wait_ms } => {
                let (next, events) = self.inner.journal.after(after, wait_ms).await;
                Ok(SeatsAnswer::Events { next, events })
            }
        };
        answer.unwrap_or_else(|ended| SeatsAnswer::Refused(SeatRefusal::Closed { why: ended.to_string() }))
    }

    /// Resolves when the loop has ended, with the reason when it was not told to.
    pub async fn ended(&self) -> Result<(), String> {
        let mut ends = self.inner.ends.clone();
        match ends.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(how)) if how.is_empty() => Ok(()),
            Ok(Some(how)) => Err(how.clone()),
            _ => Err(Ended.to_string()),
        }
    }

    /// Writes the snapshot, ends the loop (TUN and sockets go with it), then takes the firewall's table away.
    pub async fn stop(&self) {
        let _ = self.inner.save().await;
        self.inner.helm.stop();
        self.settle(Ending::Removed).await;
    }

    /// Ends as `stop` does, but leaves TUN, sockets, sessions and the firewall's table to a successor. When
    /// it fails nothing is left, as after `stop`. When nobody comes for it the table alone stays, and lets nobody in.
    pub async fn release(&self) -> Result<Handover, String> {
        let handover = self.let_go().await;
        self.settle(if handover.is_ok() { Ending::Left } else { Ending::Removed }).await;
        handover
    }

    /// The snapshot is written from what the loop has let go of: no change comes after it.
    async fn let_go(&self) -> Result<Handover, String> {
        let released = self.inner.helm.release().await.map_err(|ended| ended.to_string())?;
        self.inner.write(server::export(&released.plane)).await.map_err(|error| error.to_string())?;
        Handover::of(&released, &self.inner.interface).map_err(|error| error.to_string())
    }

    async fn settle(&self, firewall: Ending) {
        let _ = self.ended().await;
        self.inner.mirroring.stop(firewall);
        self.inner.changed.notify_one();
        let tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            let _ = task.await;
        }
    }

    async fn seat(&self, seat: Seat) -> Result<SeatsAnswer, Ended> {
        let (slot, generation) = (seat.slot, seat.generation);
        match self.command(Command::Seat(seat)).await? {
            Err(refusal) => Ok(SeatsAnswer::Refused(refusal)),
            Ok(done) => Ok(match self.inner.mirroring.follow(done.gates).await {
                Ok(()) => SeatsAnswer::Seated { slot, generation },
                Err(why) => SeatsAnswer::Refused(SeatRefusal::Mirror { slot, why }),
            }),
        }
    }

    /// The data plane first: when it has acted nothing passes, whatever the firewall says.
    async fn unseat(
        &self,
        slot: SlotNumber,
        places: Vec<Place>,
        generation: u64,
    ) -> Result<SeatsAnswer, Ended> {
        match self.command(Command::Unseat { slot, places, generation }).await? {
            Err(refusal) => Ok(SeatsAnswer::Refused(refusal)),
            Ok(done) => {
                let firewall = match self.inner.mirroring.follow(done.gates).await {
                    Ok(()) => Point::Acknowledged,
                    Err(why) => Point::Pending { why },
                };
                log::info!(SLOT = slot.to_string().as_str(), generation = generation; "unseated");
                Ok(SeatsAnswer::Unseated { slot, data_plane: true, firewall })
            }
        }
    }

    async fn reconcile(&self, seats: Vec<Seat>) -> Result<SeatsAnswer, Ended> {
        let done = match self.command(Command::Reconcile { seats }).await? {
            Err(refusal) => return Ok(SeatsAnswer::Refused(refusal)),
            Ok(done) => done,
        };
        for refusal in &done.refused {
            log::warn!(why = refusal.to_string().as_str(); "a seat of the reconciliation could not be taken over");
        }
        if let Err(why) = self.inner.mirroring.follow(done.gates).await {
            log::warn!(why = why.as_str(); "the firewall has not followed the reconciliation yet; it is tried again");
        }
        Ok(SeatsAnswer::Reconciled { seated: done.seated, unseated: done.unseated })
    }

    async fn status(&self) -> Result<SeatsAnswer, Ended> {
        let Report { seats, drops, meters } = self.inner.helm.status().await?;
        Ok(SeatsAnswer::Status(VpnStatus {
            listen: self.inner.listen.clone(),
            public_key: self.inner.public_key,
            seats,
            drops: drops.named(),
            meters: meters.named(),
            mirror_true: self.inner.mirroring.truth(),
        }))
    }

    async fn command(&self, command: Command) -> Result<Result<Outcome, SeatRefusal>, Ended> {
        let outcome = self.inner.helm.command(command).await?;
        self.inner.changed.notify_one();
        Ok(outcome)
    }
}

impl SeatsDoor for Room {
    fn ask(&self, question: SeatsQuestion) -> Answering<'_, SeatsAnswer> {
        Box::pin(async move {
            match self.answer(question).await {
                SeatsAnswer::Refused(SeatRefusal::Closed { why }) => {
                    Err(DoorClosed { room: "vpn".into(), why })
                }
                answer => Ok(answer),
            }
        })
    }
}

impl Inner {
    fn adopt(&self, tasks: impl IntoIterator<Item = JoinHandle<()>>) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }

    async fn save(&self) -> Result<(), Ended> {
        let held = self.snapshot.lock().await;
        let export = self.helm.export().await?;
        if let Err(error) = write(held.clone(), export).await {
            log::warn!(why = error.to_string().as_str(); "the seating snapshot could not be written");
        }
        Ok(())
    }

    async fn write(&self, export: Export) -> io::Result<()> {
        let held = self.snapshot.lock().await;
        write(held.clone(), export).await
    }
}

async fn write(path: PathBuf, export: Export) -> io::Result<()> {
    tokio::task::spawn_blocking(move || snapshot::write(&path, &export)).await.map_err(io::Error::other)?
}

/// Writes the snapshot after changes; many changes during one write become one more write.
async fn keep_snapshot(inner: std::sync::Weak<Inner>, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.save().await.is_err() {
            return;
        }
    }
}

/// Takes over the snapshot; what is wrong with it is said, and the seating stays empty until reconciliation.
fn restore(plane: &mut Plane, config: &Config) {
    let export = match snapshot::read(&config.snapshot) {
        Ok(export) => export.unwrap_or_default(),
        Err(error) => {
            log::warn!(why = error.to_string().as_str(); "no seats from the snapshot");
            return;
        }
    };
    for (slot, place, least) in export.closed {
        plane.close(slot, place, least);
    }
    for seat in export.seats {
        let slot = seat.slot.to_string();
        if let Err(refusal) = plane.handle_command(Command::Seat(seat)) {
            log::warn!(SLOT = slot.as_str(), why = refusal.to_string().as_str(); "a seat of the snapshot was refused");
        }
    }
}
