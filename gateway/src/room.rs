//! The room: opened (keys read, listeners bound, nothing parsed from outside), started (databases,
//! feeds, loops), answering its two doors, stopped (drained, the trail closed).

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vpn::address::AddressPlan;
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::audit::{Audit, AuditError};
use crate::clock::Clock;
use crate::cuts;
use crate::door::{CutAnswer, CutQuestion, GatewayAnswer, GatewayQuestion, GatewayStatus};
use crate::engine::Database;
use crate::feeds;
use crate::hall::{Furniture, Hall};
use crate::listeners::{Kept, Listen, Listeners, NotBound};
use crate::moment::Freshness;
use crate::names::{Names, ZoneError};
use crate::need::Needs;
use crate::server::{self, Port};
use crate::store::{Sessions, StoreError};
use crate::tls::{Tls, TlsError};
use crate::trail;
use crate::truth::Truth;

/// Requests get this long to finish when the room stops; streams never do.
const DRAIN: Duration = Duration::from_secs(5);
/// Between two attempts at a cut that broke off.
const CUT_AGAIN: Duration = Duration::from_secs(1);

pub struct Config {
    pub plan: AddressPlan,
    pub zone: String,
    /// Shown on the pages.
    pub realm_name: String,
    pub listen: Listen,
    /// Sockets that were kept while no gateway ran.
    pub kept: Kept,
    /// Leaf first.
    pub tls_chain_pem: String,
    pub tls_key_pem: Zeroizing<String>,
    pub device_ca_der: Vec<u8>,
    /// Where these three are read anew while the room runs; `None`: they change by a restart only.
    pub files: Option<Files>,
    /// Holds `audit.log`, and `sessions.db` unless the sessions are on a server; made if missing.
    pub dir: PathBuf,
    /// Where the sessions are.
    pub database: Database,
}

/// The gateway's chain and key (PEM) and the device CA (DER).
#[derive(Clone, Debug)]
pub struct Files {
    pub tls_chain: PathBuf,
    pub tls_key: PathBuf,
    pub device_ca: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("MM-3110 {0}")]
    Zone(#[from] ZoneError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("MM-3111 cannot listen on {address}: {error}; is another gateway running?")]
    Bind { address: SocketAddr, error: io::Error },
    #[error("MM-3112 the folder {path} cannot be made: {error}")]
    Dir { path: PathBuf, error: io::Error },
}

#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("MM-3115 {path} cannot be read by the running gateway: {error}; restart it instead")]
    Read { path: PathBuf, error: io::Error },
    #[error(
        "MM-3116 the running gateway does not know where its key is (it was handed over at the start); restart it instead"
    )]
    HandedOver,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("MM-3113 the runtime refuses a listener: {0}")]
    Listener(#[from] io::Error),
}

/// Bound, and not yet listening to anybody.
pub struct Opened {
    plan: AddressPlan,
    names: Names,
    realm_name: String,
    dir: PathBuf,
    database: Database,
    tls: Tls,
    listeners: Listeners,
    clock: Clock,
    drain: Duration,
    files: Option<Files>,
}

/// The running room; a clone is the same room.
#[derive(Clone)]
pub struct Room {
    hall: Arc<Hall>,
    dir: PathBuf,
    addresses: Listen,
    drain: Duration,
    files: Option<Files>,
}

pub fn open(config: Config) -> Result<Opened, OpenError> {
    let Config {
        plan,
        zone,
        realm_name,
        listen,
        kept,
        tls_chain_pem,
        tls_key_pem,
        device_ca_der,
        files,
        dir,
        database,
    } = config;
    let names = Names::new(&zone, plan.gateway_open())?;
    let tls = Tls::new(&tls_chain_pem, &tls_key_pem, &device_ca_der)?;
    make_dir(&dir).map_err(|error| OpenError::Dir { path: dir.clone(), error })?;
    let listeners = Listeners::open(&listen, kept)
        .map_err(|NotBound { address, error }| OpenError::Bind { address, error })?;
    let (clock, drain) = (Clock::system(), DRAIN);
    Ok(Opened { plan, names, realm_name, dir, database, tls, listeners, clock, drain, files })
}

impl Opened {
    /// For tests, which travel in time.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// For tests on slow machines.
    #[must_use]
    pub fn draining_for(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// For whoever keeps them between two processes.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    pub async fn start(self, needs: Needs) -> Result<Room, StartError> {
        let Self { plan, names, realm_name, dir, database, tls, listeners, clock, drain, files } = self;
        let now = clock.now();
        let sessions = Sessions::open(&database, &dir, now).await?;
        let truth = Truth { floors: sessions.floors().await?, ..Truth::default() };
        let audit = Audit::open(&dir, now.unix_ms)?;
        let furniture = Furniture { plan, names, realm_name, clock, tls, needs, sessions, audit, truth };
        let hall = Hall::new(furniture);
        tokio::spawn(feeds::follow_grants(hall.clone()));
        tokio::spawn(feeds::follow_revocations(hall.clone()));
        tokio::spawn(feeds::sweep(hall.clone()));
        let mut addresses = Listen::of(&hall.plan);
        for (port, listener) in listeners.into_sockets() {
            let bound = listener.local_addr()?;
            match port {
                Port::Mutual => addresses.mutual = bound,
                Port::Claim => addresses.open_tls = bound,
                Port::Plain => addresses.open_http = bound,
            }
            let listener = tokio::net::TcpListener::from_std(listener)?;
            tokio::spawn(server::listen(hall.clone(), port, listener));
        }
        log::info!(
            "gateway listens on {}, {} and {}",
            addresses.mutual,
            addresses.open_tls,
            addresses.open_http
        );
        Ok(Room { hall, dir, addresses, drain, files })
    }
}

impl Room {
    /// Where it listens, ports chosen by the system included.
    pub fn addresses(&self) -> Listen {
        self.addresses
    }

    /// Answers when nothing of it is left and the cut will outlive a restart; never before.
    pub async fn cut(&self, question: CutQuestion) -> CutAnswer {
        loop {
            // Whoever asked may go away; the cut is finished all the same.
            let (hall, question) = (self.hall.clone(), question.clone());
            match tokio::spawn(async move { cuts::cut(&hall, &question).await }).await {
                Ok(answer) => return answer,
                Err(error) => log::error!("a cut broke off and is made again: {error}"),
            }
            tokio::time::sleep(CUT_AGAIN).await;
        }
    }

    pub async fn operator(&self, question: GatewayQuestion) -> GatewayAnswer {
        match question {
            GatewayQuestion::Status => GatewayAnswer::Status(self.status()),
            GatewayQuestion::Live => GatewayAnswer::Live(self.hall.live.list()),
            GatewayQuestion::Why { slot } => GatewayAnswer::Why(self.hall.refusals().of(slot)),
            GatewayQuestion::Code { code } => {
                let refusals = self.hall.refusals();
                let slot = refusals.slot_of(&code, self.hall.now());
                GatewayAnswer::Why(slot.map(|slot| refusals.of(slot)).unwrap_or_default())
            }
            GatewayQuestion::Cut { slot, dry_run } => self.cut_slot(slot, dry_run).await,
            GatewayQuestion::Metrics => GatewayAnswer::Metrics(self.hall.meters.text(&self.status())),
            GatewayQuestion::Reload { dry_run } => match self.reload(dry_run).await {
                Ok(()) => GatewayAnswer::Reloaded,
                Err(error) => GatewayAnswer::Failed { why: error.to_string() },
            },
            GatewayQuestion::VerifyAudit => {
                let dir = self.dir.clone();
                match tokio::task::spawn_blocking(move || trail::verify(&dir)).await {
                    Ok(Ok(Ok(head))) => {
                        GatewayAnswer::AuditVerified { entries: head.entries, head: head.hash.to_string() }
                    }
                    Ok(Ok(Err(entry))) => GatewayAnswer::AuditBroken { entry },
                    Ok(Err(error)) => GatewayAnswer::Failed { why: error.to_string() },
                    Err(error) => GatewayAnswer::Failed { why: error.to_string() },
                }
            }
        }
    }

    /// Cuts the holder that the slot has now; a later holder is somebody else.
    async fn cut_slot(&self, slot: SlotNumber, dry_run: bool) -> GatewayAnswer {
        let truth = self.hall.truth();
        let Some((_, generation)) = truth.grants.holder(slot) else { return GatewayAnswer::NothingToCut };
        let question = CutQuestion::Slot { slot, generation };
        if dry_run {
            GatewayAnswer::Cut(cuts::touched(&self.hall, &question))
        } else {
            GatewayAnswer::Cut(self.cut(question).await)
        }
    }

    /// Certificate, key and device CA as the files are now, for the next handshakes; all of them or, if one
    /// cannot be used, none. Whoever is connected notices nothing.
    async fn reload(&self, dry_run: bool) -> Result<(), ReloadError> {
        let Files { tls_chain, tls_key, device_ca } = self.files.clone().ok_or(ReloadError::HandedOver)?;
        let chain = read(tls_chain).await?;
        let key = Zeroizing::new(read(tls_key).await?);
        let device_ca = read(device_ca).await?;
        let swap = self.hall.tls.swap(
            &String::from_utf8_lossy(&chain),
            &String::from_utf8_lossy(&key),
            &device_ca,
        )?;
        if !dry_run {
            swap();
            log::info!("certificate, key and device CA were read anew");
        }
        Ok(())
    }

    /// No new connection; requests finish, what never finishes is ended, the trail is closed.
    pub async fn stop(&self) {
        self.hall.stop.cancel();
        self.hall.live.end_endless();
        if tokio::time::timeout(self.drain, self.hall.live.empty()).await.is_err() {
            self.hall.live.cut_where(|_| true);
            self.hall.live.empty().await;
        }
        if let Err(error) = self.hall.sessions.write_seen().await {
            log::warn!("sessions: {error}");
        }
        self.hall.sessions.close().await;
        self.hall.audit.close(self.hall.now().unix_ms).await;
    }

    fn status(&self) -> GatewayStatus {
        let (truth, now) = (self.hall.truth(), self.hall.now());
        let Listen { mutual, open_tls, open_http } = self.addresses;
        GatewayStatus {
            listen: [mutual, open_tls, open_http].iter().map(SocketAddr::to_string).collect(),
            connections: self.hall.live.count(),
            sessions: self.hall.sessions.count(),
            grants_version: truth.grants.version(),
            grants_age_ms: truth.grants.age_ms(now),
            revocations: truth.revocations.number(),
            revocations_age_ms: truth.revocations.age_ms(now),
            stale: truth.freshness(now) != Freshness::Fresh,
            refusals: self.hall.refusals().counts(),
        }
    }
}

async fn read(path: PathBuf) -> Result<Vec<u8>, ReloadError> {
    tokio::fs::read(&path).await.map_err(|error| ReloadError::Read { path, error })
}

fn make_dir(dir: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
