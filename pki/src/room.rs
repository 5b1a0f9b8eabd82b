//! The room: opens the sealed keys (before the jail), starts the authority, answers its doors.
//! An edge file: files, clock, tokio. Owns the authority and one task, which keeps the revocation lists
//! fresh; both end with `stop`. A question that changes something runs to its end even if the asker goes.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::authority::Authority;
use crate::ca::{CaCertificate, CaError};
use crate::ceremony::DEVICE_CA_KEY;
use crate::chain::Hash;
use crate::door::{
    Answering, AuthorityEnd, IssuingAnswer, IssuingDoor, IssuingQuestion, IssuingRefusal, PkiAnswer,
    PkiQuestion, PkiStatus, PublishedAnswer, PublishedDoor, PublishedQuestion, RevocationsAnswer,
    RevocationsDoor, RevocationsQuestion,
};
use crate::folders::{DEVICE_CA_DER, DEVICE_CA_KEY_SEALED, LEDGER, ROOT_DER, SERVER_CA_DER, TRANSCRIPT};
use crate::ledger::{Ledger, LedgerError};
use crate::pem;
use crate::realm::{Realm, RealmError, SHARDS, crl_path};
use crate::seal::{SealError, Secret};
use crate::signer::{MemoryKey, Signer};

/// How often the lists are looked at; a look is cheap, and a late list is retried at the next.
const LISTS_EVERY: Duration = Duration::from_secs(5);

pub struct Config {
    /// The authority's folder, which the ceremony filled.
    pub dir: PathBuf,
    /// Opens the issuing CA's key.
    pub secret: Secret,
    /// `http://` and the open gateway address; stands in each certificate.
    pub published_base: String,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("MM-2231 {path}: {source}; was `mimamori init` run, and is this its folder?")]
    File { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("MM-2232 {path}: {source}")]
    Ca { path: PathBuf, source: CaError },
    #[error(transparent)]
    Realm(#[from] RealmError),
    #[error("MM-2233 the sealed key is not the device CA's; the folder was mixed up")]
    OtherKey,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Keys are open, nothing runs yet.
pub struct Opened {
    realm: Realm,
    published: Published,
    device_ca: CaCertificate,
    signer: Box<dyn Signer>,
    ledger: PathBuf,
    transcript: Hash,
}

struct Published {
    root: CaCertificate,
    device_ca: CaCertificate,
    server_ca: CaCertificate,
}

#[derive(Clone)]
pub struct Room(Arc<Inner>);

struct Inner {
    authority: Arc<Authority>,
    published: Published,
    transcript: Hash,
    stopping: watch::Sender<bool>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// Reads the authority's folder and opens the device CA's key. The server CA's key stays sealed: nothing
/// here uses it, and the root's is not on this machine.
pub fn open(config: Config) -> Result<Opened, OpenError> {
    let dir = &config.dir;
    let device_ca = ca(&dir.join(DEVICE_CA_DER))?;
    let published = Published {
        root: ca(&dir.join(ROOT_DER))?,
        device_ca: device_ca.clone(),
        server_ca: ca(&dir.join(SERVER_CA_DER))?,
    };
    let zone = device_ca.device_zone()?;
    let realm = Realm::new(zone.as_str(), device_ca.organization(), &config.published_base)?;
    let ledger = dir.join(LEDGER);
    if !ledger.is_file() {
        return Err(LedgerError::Missing(ledger).into());
    }
    let sealed = read(&dir.join(DEVICE_CA_KEY_SEALED))?;
    let key = MemoryKey::unseal(DEVICE_CA_KEY, &String::from_utf8_lossy(&sealed), &config.secret)?;
    if &key.public_key() != device_ca.key() {
        return Err(OpenError::OtherKey);
    }
    let transcript = Hash::of(&read(&dir.join(TRANSCRIPT))?);
    Ok(Opened { realm, published, device_ca, signer: Box::new(key), ledger, transcript })
}

impl Opened {
    pub async fn start(self) -> Result<Room, StartError> {
        let ledger = Ledger::open(&self.ledger).await?;
        let authority = Authority::open(self.realm, self.device_ca, self.signer, ledger, now()).await?;
        let authority = Arc::new(authority);
        let stopping = watch::Sender::new(false);
        let worker = tokio::spawn(keep_lists(Arc::clone(&authority), stopping.subscribe()));
        Ok(Room(Arc::new(Inner {
            authority,
            published: self.published,
            transcript: self.transcript,
            stopping,
            worker: Mutex::new(Some(worker)),
        })))
    }
}

impl Room {
    /// Held by provisioning.
    pub async fn issuing(&self, question: IssuingQuestion) -> IssuingAnswer {
        let authority = Arc::clone(&self.0.authority);
        // A task of its own: an asker that goes away must not leave an act half done.
        let act = tokio::spawn(async move { act(&authority, question).await });
        act.await.unwrap_or_else(|error| {
            log::error!("an act of the authority broke: {error}");
            IssuingAnswer::Refused(IssuingRefusal::Unavailable { why: "it broke; see the log".into() })
        })
    }

    /// Held by the gateway.
    pub async fn revocations(&self, question: RevocationsQuestion) -> RevocationsAnswer {
        let RevocationsQuestion::Snapshot { after, wait_ms } = question;
        self.0.authority.snapshot().answer(after, wait_ms, now).await
    }

    /// Held by the gateway; whatever is published may be seen by anyone.
    pub async fn published(&self, question: PublishedQuestion) -> PublishedAnswer {
        let PublishedQuestion::Get { path } = question;
        let published = &self.0.published;
        let certificate = |ca: &CaCertificate| bytes("application/pkix-cert", ca.der().to_vec());
        match path.strip_prefix('/').unwrap_or(&path) {
            "ca/root.crt" => certificate(&published.root),
            "ca/device.crt" => certificate(&published.device_ca),
            "ca/server.crt" => certificate(&published.server_ca),
            "ca/root.pem" => {
                bytes("application/x-pem-file", pem::certificate(published.root.der()).into_bytes())
            }
            path => (0..SHARDS)
                .find(|shard| crl_path(*shard) == path)
                .and_then(|shard| self.0.authority.list(shard))
                .map_or(PublishedAnswer::NotFound, |der| bytes("application/pkix-crl", der)),
        }
    }

    /// Held by the operator's CLI.
    pub async fn operator(&self, question: PkiQuestion) -> PkiAnswer {
        let ledger = self.0.authority.ledger();
        let answer = match question {
            PkiQuestion::Status => self.status().await.map(PkiAnswer::Status),
            PkiQuestion::List { slot } => ledger.rows(slot, now()).await.map(PkiAnswer::Certificates),
            PkiQuestion::VerifyLedger => self.verify_ledger().await,
        };
        answer.unwrap_or_else(|error| match error {
            LedgerError::Broken { entry, why } => PkiAnswer::LedgerBroken { entry, why },
            error => PkiAnswer::Refused(IssuingRefusal::Unavailable { why: error.to_string() }),
        })
    }

    /// Lets the act that runs come to its end, then closes the ledger.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        let worker = self.0.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            // It fails only if it panicked, which is in the log already.
            worker.await.ok();
        }
        self.0.authority.close().await;
    }

    async fn status(&self) -> Result<PkiStatus, LedgerError> {
        let authority = &self.0.authority;
        let head = authority.ledger().head().await?;
        let (lists_good_until, lists_late) = authority.lists_state();
        let published = &self.0.published;
        let end = |ca: &CaCertificate| AuthorityEnd {
            name: ca.common_name().to_owned(),
            serial: ca.serial(),
            fingerprint: Hash::of(ca.der()),
            not_after: ca.not_after(),
        };
        Ok(PkiStatus {
            living: authority.snapshot().count(now()),
            revoked: authority.ledger().revoked_count().await?,
            ledger_entries: head.entries,
            ledger_head: head.hash,
            snapshot: authority.snapshot().number(),
            authorities: [&published.root, &published.device_ca, &published.server_ca].map(end).to_vec(),
            lists_good_until,
            lists_late,
        })
    }

    async fn verify_ledger(&self) -> Result<PkiAnswer, LedgerError> {
        let ledger = self.0.authority.ledger();
        let first = ledger.body(0).await?.unwrap_or_default();
        // Its time only the ceremony knew.
        let transcript = format!(" ceremony transcript={}", self.0.transcript);
        if !first.ends_with(&transcript) {
            let why = "it is not the hash of the ceremony's transcript".to_owned();
            return Err(LedgerError::Broken { entry: 0, why });
        }
        let head = ledger.verify_all().await?.head;
        Ok(PkiAnswer::LedgerVerified { entries: head.entries, head: head.hash })
    }
}

async fn act(authority: &Authority, question: IssuingQuestion) -> IssuingAnswer {
    let now = now();
    let answer = match question {
        IssuingQuestion::Issue { slot, kind, request, token } => {
            authority.issue(slot, kind, &request, &token, now).await.map(IssuingAnswer::Issued)
        }
        IssuingQuestion::Revoke { what, reason } => authority
            .revoke(what, reason, now)
            .await
            .map(|(serials, snapshot)| IssuingAnswer::Revoked { serials, snapshot }),
        IssuingQuestion::Attest { subject, hash } => {
            authority.attest(&subject, hash, now).await.map(IssuingAnswer::Attested)
        }
    };
    answer.unwrap_or_else(IssuingAnswer::Refused)
}

/// Ends when `stopping` says so, or when its room is gone.
async fn keep_lists(authority: Arc<Authority>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            // Never set back: any change, and the room's end too, means stop.
            _ = stopping.changed() => return,
            () = tokio::time::sleep(LISTS_EVERY) => {}
        }
        authority.renew_lists(now()).await;
    }
}

/// In one process a door is the room itself.
impl IssuingDoor for Room {
    fn ask(&self, question: IssuingQuestion) -> Answering<'_, IssuingAnswer> {
        answering(self.issuing(question))
    }
}

impl RevocationsDoor for Room {
    fn ask(&self, question: RevocationsQuestion) -> Answering<'_, RevocationsAnswer> {
        answering(self.revocations(question))
    }
}

impl PublishedDoor for Room {
    fn ask(&self, question: PublishedQuestion) -> Answering<'_, PublishedAnswer> {
        answering(self.published(question))
    }
}

fn answering<'a, A>(answer: impl Future<Output = A> + Send + 'a) -> Answering<'a, A> {
    Box::pin(async move { Ok(answer.await) })
}

fn bytes(media_type: &str, bytes: Vec<u8>) -> PublishedAnswer {
    PublishedAnswer::Bytes { media_type: media_type.to_owned(), bytes }
}

fn ca(path: &Path) -> Result<CaCertificate, OpenError> {
    let der = read(path)?;
    CaCertificate::parse(&der).map_err(|source| OpenError::Ca { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    fs::read(path).map_err(|source| OpenError::File { path: path.to_owned(), source })
}

fn now() -> i64 {
    // A clock before 1970 gives 0, for which no certificate can be made.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
