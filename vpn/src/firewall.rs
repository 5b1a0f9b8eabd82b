//! The hand on `nft`: installs, changes, reads back and removes our one table. Owns the path of the program.
//! An edge: every call runs `nft` once (3–28 ms at ten thousand elements); nothing stays running.
//!
//! At a clean stop the table is removed with the TUN it protects. After a crash it stays, default deny
//! and all, until the next start replaces it in one transaction.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nftables::schema::Nftables;

use crate::address::AddressPlan;
use crate::door::{Admitted, Answering, DoorClosed, GateChange};
pub use crate::door::{MirrorAnswer, MirrorDoor, MirrorQuestion};
use crate::ruleset::{self, ListingError, Ruleset, TABLE};

/// Enough of nft's own words to act on; they name the line that failed.
const REASON_MAX: usize = 300;

/// The firewall of the machine (or network namespace) this process runs in.
#[derive(Clone)]
pub struct Firewall {
    inner: Arc<Inner>,
}

struct Inner {
    nft: PathBuf,
    ruleset: Ruleset,
}

#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    #[error("MM-1101 cannot run {nft}: {why}; install nftables or set its path", nft = .nft.display())]
    Run { nft: PathBuf, why: String },
    #[error("MM-1102 nft refused: {why}; the process needs CAP_NET_ADMIN and a kernel with nf_tables")]
    Refused { why: String },
    #[error("MM-1103 {0}")]
    Listing(#[from] ListingError),
}

impl Firewall {
    pub fn new(nft: &Path, plan: &AddressPlan, interface: &str) -> Self {
        let ruleset = Ruleset::new(plan, interface);
        Self { inner: Arc::new(Inner { nft: nft.to_owned(), ruleset }) }
    }

    /// The whole table, in the place of whatever had its name.
    pub fn install(&self, admitted: &Admitted) -> Result<(), FirewallError> {
        self.apply(&self.inner.ruleset.install(admitted))
    }

    pub fn change(&self, changes: &[GateChange]) -> Result<(), FirewallError> {
        self.apply(&ruleset::change(changes))
    }

    pub fn remove(&self) -> Result<(), FirewallError> {
        self.apply(&ruleset::remove())
    }

    /// Who is admitted now, and the text of the rules.
    pub fn read_back(&self) -> Result<(Admitted, String), FirewallError> {
        let listing = self.nft(&["-j", "list", "table", "inet", TABLE], b"")?;
        Ok(ruleset::read(&listing)?)
    }

    fn apply(&self, nftables: &Nftables<'_>) -> Result<(), FirewallError> {
        let batch = serde_json::to_vec(nftables)
            .map_err(|error| FirewallError::Refused { why: error.to_string() })?;
        self.nft(&["-j", "-f", "-"], &batch).map(|_| ())
    }

    fn nft(&self, arguments: &[&str], input: &[u8]) -> Result<String, FirewallError> {
        let nft = &self.inner.nft;
        let run = |error: io::Error| FirewallError::Run { nft: nft.clone(), why: error.to_string() };
        let mut command = Command::new(nft);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(run)?;
        if let Some(mut stdin) = child.stdin.take() {
            // An nft that refuses may end before it has read everything; its own words follow below.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().map_err(run)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let why = words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON_MAX).collect();
        Err(FirewallError::Refused { why })
    }

    fn answer(&self, question: &MirrorQuestion) -> Result<MirrorAnswer, FirewallError> {
        match question {
            MirrorQuestion::Install { admitted } => self.install(admitted)?,
            MirrorQuestion::Change { changes } => self.change(changes)?,
            MirrorQuestion::Remove => self.remove()?,
            MirrorQuestion::ReadBack => {
                let (admitted, rules) = self.read_back()?;
                return Ok(MirrorAnswer::Table { admitted, rules });
            }
        }
        Ok(MirrorAnswer::Done)
    }
}

impl MirrorDoor for Firewall {
    fn ask(&self, question: MirrorQuestion) -> Answering<'_, MirrorAnswer> {
        let firewall = self.clone();
        Box::pin(async move {
            let answer = tokio::task::spawn_blocking(move || firewall.answer(&question)).await;
            match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Ok(MirrorAnswer::Failed { why: error.to_string() }),
                Err(panic) => Err(DoorClosed { room: "firewall".into(), why: panic.to_string() }),
            }
        })
    }
}
