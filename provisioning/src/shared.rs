//! What every part of the room holds together: configuration, the realm's own values, the store,
//! the doors of the neighbours and the bells that wake the workers.
//! Made once by `room.rs`; lives as long as the room. Edge: files, tokio.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::{Mutex, Notify, watch};
use vpn::address::AddressPlan;
use vpn::key::PublicKey;
use vpn::slot::Series;

use crate::acme::Nonces;
use crate::door_bounce::BounceRound;
use crate::engine::Database;
use crate::hashing::Hasher;
use crate::need::{Cut, Cuts, Keys, NeedUnmet, Teams, Why};
use crate::paper_font::FontFiles;
use crate::post::{BounceBox, MailConfig};
use crate::scan_key::ScanKeys;
use crate::store::Store;

/// Everything the room is told before it opens; valid once it exists.
#[derive(Clone)]
pub struct Config {
    /// Holds the registry, unless it is on a server.
    pub dir: PathBuf,
    /// Where the registry is.
    pub database: Database,
    /// `bundles/` and `sheets/` are written below it.
    pub output: PathBuf,
    pub plan: AddressPlan,
    pub zone: String,
    pub realm_name: String,
    /// The WireGuard endpoint as devices see it: `vpn.<zone>:51820`.
    pub endpoint: String,
    pub server_public_key: PublicKey,
    /// The root certificate that every device installs.
    pub root_pem: String,
    /// SHA-256 of it, as people compare it.
    pub root_fingerprint: String,
    /// The series from which facilities get their slots.
    pub series: Series,
    /// Bundles go by mail; without it into the output folder.
    pub mail: Option<MailConfig>,
    /// Where bounces come in; without it a clerk hands them over (`mail bounce`).
    pub bounces: Option<BounceBox>,
}

#[derive(Debug, thiserror::Error)]
#[error("MM-5007 the folder {path} cannot be made: {source}")]
pub struct FolderError {
    pub path: PathBuf,
    pub source: io::Error,
}

impl Config {
    /// Makes the room's folders, for its own user only.
    pub fn make_folders(&self) -> Result<(), FolderError> {
        for path in [self.dir.clone(), self.output.join("bundles"), self.output.join("sheets")] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|source| FolderError { path, source })?;
        }
        Ok(())
    }

    pub fn registry(&self) -> PathBuf {
        self.dir.join("registry.db")
    }
}

/// The doors at which this room may knock.
#[derive(Clone)]
pub struct Needs {
    pub issuing: Arc<dyn pki::door::IssuingDoor>,
    pub seats: Arc<dyn vpn::door::SeatsDoor>,
    pub teams: Arc<dyn Teams>,
    pub keys: Arc<dyn Keys>,
    pub cuts: Arc<dyn Cuts>,
    pub why: Arc<dyn Why>,
}

/// One bell per worker. Ringing before anyone waits is not lost (`Notify::notify_one` keeps one permit).
#[derive(Default)]
pub struct Bells {
    /// Something waits in the outbox.
    pub outbox: Notify,
    /// Rows of `seat` changed: reconcile the vpn room.
    pub seats: Notify,
    /// A revocation has pending points.
    pub revocations: Notify,
    /// Somebody has left a facility: the SNS is to be told.
    pub leavings: Notify,
    /// A case gave the SNS an order.
    pub orders: Notify,
    /// A case that scans wait for has its patient now.
    pub scans: Notify,
}

/// The bounce mailbox: whose turn it is, and what came of the last round.
#[derive(Default)]
pub struct Bounces {
    pub turn: Mutex<()>,
    pub last: std::sync::Mutex<Option<BounceRound>>,
}

/// The scans' own keys, and whose turn it is to take in or to sort.
pub struct Scans {
    pub keys: ScanKeys,
    pub turn: Mutex<()>,
}

pub struct Shared {
    pub config: Config,
    pub store: Store,
    pub needs: Needs,
    pub hasher: Hasher,
    pub bells: Bells,
    pub bounces: Bounces,
    pub scans: Scans,
    /// Held while the vpn room is told of seats: an older whole truth never overtakes a newer seat.
    pub seating: Mutex<()>,
    /// What ACME's clients were given to sign with.
    nonces: std::sync::Mutex<Nonces>,
    /// The last committed grants version; readers of the feed wait on it. Sent after the commit.
    pub grants: watch::Sender<u64>,
    /// Of printed papers.
    pub font: FontFiles,
    /// True once the room stops; every worker ends.
    pub stopping: watch::Sender<bool>,
}

impl Shared {
    /// Ends what is live at the gateway and in the SNS; gives what could not be told. The feed has told the gateway
    /// already: this only makes it sooner.
    pub async fn end_live(&self, cut: Cut) -> Vec<NeedUnmet> {
        let (gate, streams) = tokio::join!(self.needs.cuts.cut(cut.clone()), self.needs.teams.end(cut));
        [gate.err(), streams.err()].into_iter().flatten().collect()
    }

    pub fn new(
        config: Config,
        store: Store,
        needs: Needs,
        hasher: Hasher,
        font: FontFiles,
        scan_keys: ScanKeys,
        grants_version: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            store,
            needs,
            hasher,
            bells: Bells::default(),
            bounces: Bounces::default(),
            scans: Scans { keys: scan_keys, turn: Mutex::new(()) },
            seating: Mutex::new(()),
            nonces: std::sync::Mutex::default(),
            grants: watch::Sender::new(grants_version),
            font,
            stopping: watch::Sender::new(false),
        })
    }

    /// Held for a moment only: never across an `await`.
    pub fn nonces(&self) -> MutexGuard<'_, Nonces> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the readers of the grants feed, after the commit of version `version`.
    pub fn grants_changed(&self, version: i64) {
        let version = version.unsigned_abs();
        self.grants.send_if_modified(|seen| {
            let newer = version > *seen;
            if newer {
                *seen = version;
            }
            newer
        });
    }

    /// Resolves when the room stops.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error means that the room itself is gone, which is the same answer.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}
