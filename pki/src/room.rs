//! The room: opens the sealed keys (before the jail), starts the authority, answers its doors.
//! An edge file: files, clock, tokio. Owns the authority and one task, which keeps revocation lists and OCSP
//! answers fresh; both end with `stop`. A question that changes something runs to its end even if the asker goes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::future::Future;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::authority::{Authority, BATCH_MAX, Renewal, Wish};
use crate::ca::{CaCertificate, CaError};
use crate::ceremony::{DEVICE_CA_KEY, SERVER_CA_KEY};
use crate::chain::Hash;
use crate::door::{
    Answering, AuthorityEnd, IssuedCertificate, IssuingAnswer, IssuingDoor, IssuingQuestion, IssuingRefusal,
    PkiAnswer, PkiQuestion, PkiStatus, PublishedAnswer, PublishedDoor, PublishedQuestion, RevocationsAnswer,
    RevocationsDoor, RevocationsQuestion,
};
use crate::folders::{
    DEVICE_CA_DER, DEVICE_CA_KEY_SEALED, DEVICE_CA_KEY_TOKEN, LEDGER, ROOT_DER, SERVER_CA_DER,
    SERVER_CA_KEY_SEALED, SERVER_CA_KEY_TOKEN, TRANSCRIPT,
};
use crate::holders::Sharing;
use crate::ledger::{Ledger, LedgerError};
use crate::ocsp::{self, Unanswered};
use crate::operator;
use crate::published::{self, OCSP_RESPONSE, Published, bytes};
use crate::realm::{Realm, RealmError, SHARDS, crl_path};
use crate::seal::{SealError, Secret};
use crate::signer::{MemoryKey, Signer, TokenError};
use crate::succession::Succession;
use crate::token::{Token, TokenConfig};

const LOCK: &str = "lock";
/// Wishes that may wait; whoever comes then waits for a place.
const WAITING_MAX: usize = 4 * BATCH_MAX;
/// How long the first of a group waits for others, if the group before it had several: a record costs two
/// writes through to the disk however many it holds. Whoever comes alone never waits.
const GATHER: Duration = Duration::from_millis(1);
/// How often the lists are looked at; a look is cheap, and a late list is retried at the next.
const LISTS_EVERY: Duration = Duration::from_secs(5);

pub struct Config {
    /// The authority's folder, which the ceremony filled.
    pub dir: PathBuf,
    /// Opens the issuing CAs' keys that are sealed in this folder.
    pub secret: Secret,
    /// Where the others are.
    pub token: Option<TokenConfig>,
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
    #[error("MM-2234 {0} is in use: another process of the authority runs; ask it, or stop it first")]
    Busy(PathBuf),
    #[error("MM-2233 a sealed key is not its CA's; the folder was mixed up")]
    OtherKey,
    #[error("MM-2235 {0} names a key in a token, and the configuration has no [token]")]
    NoToken(PathBuf),
    #[error(transparent)]
    Token(#[from] TokenError),
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
    succession: Succession,
    ledger: PathBuf,
    transcript: Hash,
    lock: File,
}

#[derive(Clone)]
pub struct Room(Arc<Inner>);

struct Inner {
    authority: Arc<Authority>,
    succession: Arc<Succession>,
    published: Published,
    transcript: Hash,
    /// Wishes on their way to the next record.
    wishes: mpsc::Sender<Wished>,
    stopping: watch::Sender<bool>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    /// One authority per folder; given back when the room is gone.
    lock: Mutex<Option<File>>,
}

/// A wish, and whom to tell.
type Wished = (Wish, oneshot::Sender<Result<IssuedCertificate, IssuingRefusal>>);

/// Reads the authority's folder and opens the issuing CAs' keys. The server CA's may be kept elsewhere; the root's
/// is not on this machine.
pub fn open(config: Config) -> Result<Opened, OpenError> {
    let dir = &config.dir;
    let lock = lock(dir)?;
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
    let mut keys = Keys { secret: &config.secret, config: config.token, token: None };
    let (sealed, referred) = (dir.join(DEVICE_CA_KEY_SEALED), dir.join(DEVICE_CA_KEY_TOKEN));
    let signer = match keys.referred(&referred, &device_ca)? {
        Some(key) => key,
        None => keys.sealed(&sealed, DEVICE_CA_KEY, &device_ca)?,
    };
    let (sealed, referred) = (dir.join(SERVER_CA_KEY_SEALED), dir.join(SERVER_CA_KEY_TOKEN));
    let server_key = match keys.referred(&referred, &published.server_ca)? {
        None if sealed.is_file() => Some(keys.sealed(&sealed, SERVER_CA_KEY, &published.server_ca)?),
        key => key,
    };
    let succession = Succession {
        dir: dir.clone(),
        root: published.root.clone(),
        device_ca: device_ca.clone(),
        server_ca: published.server_ca.clone(),
        server_key,
    };
    let transcript = Hash::of(&read(&dir.join(TRANSCRIPT))?);
    Ok(Opened { realm, published, device_ca, signer, succession, ledger, transcript, lock })
}

/// Where the issuing CAs' keys come from.
struct Keys<'a> {
    secret: &'a Secret,
    /// Taken when the first key in the token is met.
    config: Option<TokenConfig>,
    token: Option<Arc<Token>>,
}

impl Keys<'_> {
    /// A sealed key, and that it is its CA's.
    fn sealed(&self, path: &Path, name: &str, ca: &CaCertificate) -> Result<Box<dyn Signer>, OpenError> {
        let key = MemoryKey::unseal(name, &String::from_utf8_lossy(&read(path)?), self.secret)?;
        if &key.public_key() == ca.key() { Ok(Box::new(key)) } else { Err(OpenError::OtherKey) }
    }

    /// A key in the token, if this file names one.
    fn referred(&mut self, path: &Path, ca: &CaCertificate) -> Result<Option<Box<dyn Signer>>, OpenError> {
        if !path.is_file() {
            return Ok(None);
        }
        let token = match &self.token {
            Some(token) => token,
            None => {
                let config = self.config.take().ok_or_else(|| OpenError::NoToken(path.to_owned()))?;
                self.token.insert(Token::open(config)?)
            }
        };
        let label = String::from_utf8_lossy(&read(path)?).trim_end().to_owned();
        Ok(Some(Box::new(token.key_of(&label, ca.key())?)))
    }
}

impl Opened {
    pub async fn start(self) -> Result<Room, StartError> {
        let room = self.start_still().await?;
        let authority = &room.0.authority;
        let worker = tokio::spawn(keep_fresh(Arc::clone(authority), room.0.stopping.subscribe()));
        room.workers().push(worker);
        Ok(room)
    }

    /// For a command beside which no appliance runs: nothing is renewed by itself.
    pub async fn start_still(self) -> Result<Room, StartError> {
        let ledger = Ledger::open(&self.ledger).await?;
        let authority = Authority::open(self.realm, self.device_ca, self.signer, ledger, now()).await?;
        let authority = Arc::new(authority);
        let (wishes, wished) = mpsc::channel(WAITING_MAX);
        let issuing = tokio::spawn(issue_together(Arc::clone(&authority), wished));
        Ok(Room(Arc::new(Inner {
            authority,
            succession: Arc::new(self.succession),
            published: self.published,
            transcript: self.transcript,
            wishes,
            stopping: watch::Sender::new(false),
            workers: Mutex::new(vec![issuing]),
            lock: Mutex::new(Some(self.lock)),
        })))
    }
}

impl Room {
    /// Held by provisioning.
    pub async fn issuing(&self, question: IssuingQuestion) -> IssuingAnswer {
        let question = match question {
            IssuingQuestion::Issue { slot, kind, request, token } => {
                let wish = Wish::new(slot, kind, &request, &token, Sharing::OneSlotPerKey);
                let issued = match wish {
                    Ok(wish) => self.wish(wish).await,
                    Err(refusal) => Err(refusal),
                };
                return issued.map_or_else(IssuingAnswer::Refused, IssuingAnswer::Issued);
            }
            IssuingQuestion::Renew { slot, request } => {
                let issued = match self.0.authority.renewal(slot, &request, now()).await {
                    Ok(Renewal::Wish(wish)) => self.wish(wish).await,
                    Ok(Renewal::Again(issued)) => Ok(issued),
                    Err(refusal) => Err(refusal),
                };
                return issued.map_or_else(IssuingAnswer::Refused, IssuingAnswer::Issued);
            }
            other => other,
        };
        let (authority, succession) = (Arc::clone(&self.0.authority), Arc::clone(&self.0.succession));
        // A task of its own: an asker that goes away must not leave an act half done.
        let act = tokio::spawn(async move { act(&authority, &succession, question).await });
        act.await.unwrap_or_else(|error| {
            log::error!("an act of the authority broke: {error}");
            IssuingAnswer::Refused(IssuingRefusal::Unavailable { why: "it broke; see the log".into() })
        })
    }

    /// One certificate, recorded together with whoever else waits (group commit).
    pub async fn wish(&self, wish: Wish) -> Result<IssuedCertificate, IssuingRefusal> {
        let (tell, told) = oneshot::channel();
        let gone = || IssuingRefusal::Unavailable { why: "the authority has stopped".into() };
        self.0.wishes.send((wish, tell)).await.map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Held by the gateway.
    pub async fn revocations(&self, question: RevocationsQuestion) -> RevocationsAnswer {
        let RevocationsQuestion::Snapshot { after, wait_ms } = question;
        self.0.authority.snapshot().answer(after, wait_ms, now).await
    }

    /// Held by the gateway; whatever is published may be seen by anyone.
    pub async fn published(&self, question: PublishedQuestion) -> PublishedAnswer {
        let authority = &self.0.authority;
        match question {
            PublishedQuestion::Ocsp { request } => self.ocsp(&request),
            PublishedQuestion::Get { path } => {
                let path = path.strip_prefix('/').unwrap_or(&path);
                match path.split_once('/') {
                    Some(("ca", name)) => self.0.published.get(name),
                    Some(("crl", _)) => (0..SHARDS)
                        .find(|shard| crl_path(*shard) == path)
                        .and_then(|shard| authority.list(shard))
                        .map_or(PublishedAnswer::NotFound, |der| bytes("application/pkix-crl", der)),
                    Some(("ocsp", request)) => match ocsp::from_path(request) {
                        Ok(request) => self.ocsp(&request),
                        Err(unanswered) => bytes(OCSP_RESPONSE, unanswered.der()),
                    },
                    Some(("est", "cacerts")) => self.0.published.est(),
                    Some(("log", rest)) => published::log(authority, rest).await,
                    _ => PublishedAnswer::NotFound,
                }
            }
        }
    }

    /// Never signs: what it says was signed beforehand.
    fn ocsp(&self, request: &[u8]) -> PublishedAnswer {
        let answer = self.0.authority.answers().reply(request, now());
        bytes(OCSP_RESPONSE, answer.map_or_else(Unanswered::der, |der| der.to_vec()))
    }

    /// Held by the operator's CLI.
    pub async fn operator(&self, question: PkiQuestion) -> PkiAnswer {
        match question {
            PkiQuestion::Act { by, act } => {
                let (authority, succession) = (Arc::clone(&self.0.authority), Arc::clone(&self.0.succession));
                let act =
                    tokio::spawn(
                        async move { operator::act(&authority, &succession, &by, act, now()).await },
                    );
                act.await.unwrap_or_else(|error| {
                    log::error!("an operator's act broke: {error}");
                    PkiAnswer::Refused(IssuingRefusal::Unavailable { why: "it broke; see the log".into() })
                })
            }
            PkiQuestion::Status => answered(self.status().await.map(PkiAnswer::Status)),
            PkiQuestion::VerifyLedger => answered(self.verify_ledger().await),
            question => answered(operator::look(&self.0.authority, question, now()).await),
        }
    }

    /// Lets the act that runs come to its end, then closes the ledger.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        let workers = std::mem::take(&mut *self.workers());
        self.0.authority.close().await;
        for worker in workers {
            // The acts have come to their end; what is left only waits.
            worker.abort();
            worker.await.ok();
        }
        if let Some(lock) = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Given back by word: a program that is just being started may still hold a copy of the descriptor.
            lock.unlock().ok();
        }
    }

    /// What the room's operator and its bench ask beyond the doors.
    pub fn authority(&self) -> &Authority {
        &self.0.authority
    }

    fn workers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.workers.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Takes whatever waits and issues it in one record. Ends when nobody can wish any more.
async fn issue_together(authority: Arc<Authority>, mut wished: mpsc::Receiver<Wished>) {
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    let mut before = 1;
    while wished.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        if waiting.len() < before {
            tokio::time::sleep(GATHER).await;
            while waiting.len() < BATCH_MAX
                && let Ok(wish) = wished.try_recv()
            {
                waiting.push(wish);
            }
        }
        before = waiting.len();
        let (wishes, tell): (Vec<Wish>, Vec<_>) = waiting.drain(..).unzip();
        let outcomes = authority.issue_many(&wishes, now()).await;
        for (tell, outcome) in tell.into_iter().zip(outcomes) {
            // An asker that went away asks again with the same token.
            tell.send(outcome).ok();
        }
    }
}

async fn act(authority: &Authority, succession: &Succession, question: IssuingQuestion) -> IssuingAnswer {
    let now = now();
    let answer = match question {
        // The room takes these to whoever gathers wishes.
        IssuingQuestion::Issue { .. } | IssuingQuestion::Renew { .. } => {
            Err(IssuingRefusal::Unavailable { why: "nobody gathers wishes here".into() })
        }
        IssuingQuestion::Revoke { what, reason } => authority
            .revoke(what, reason, now)
            .await
            .map(|(serials, snapshot)| IssuingAnswer::Revoked { serials, snapshot }),
        IssuingQuestion::Attest { subject, hash } => {
            authority.attest(&subject, hash, now).await.map(IssuingAnswer::Attested)
        }
        IssuingQuestion::SignProfile { slot, content } => {
            succession.profile(authority, slot, content, now).await.map(IssuingAnswer::ProfileSigned)
        }
    };
    answer.unwrap_or_else(IssuingAnswer::Refused)
}

/// Keeps lists and answers fresh. Ends when `stopping` says so, or when its room is gone.
async fn keep_fresh(authority: Arc<Authority>, mut stopping: watch::Receiver<bool>) {
    loop {
        authority.renew_answers(now()).await;
        tokio::select! {
            // Never set back: any change, and the room's end too, means stop.
            _ = stopping.changed() => return,
            () = tokio::time::sleep(LISTS_EVERY) => {}
        }
        authority.renew_lists(now()).await;
    }
}

fn answered(answer: Result<PkiAnswer, LedgerError>) -> PkiAnswer {
    answer.unwrap_or_else(|error| match error {
        LedgerError::Broken { entry, why } => PkiAnswer::LedgerBroken { entry, why },
        error => PkiAnswer::Refused(IssuingRefusal::Unavailable { why: error.to_string() }),
    })
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

fn ca(path: &Path) -> Result<CaCertificate, OpenError> {
    let der = read(path)?;
    CaCertificate::parse(&der).map_err(|source| OpenError::Ca { path: path.to_owned(), source })
}

/// One process per authority: two would each miss what the other recorded.
pub fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let lock = lock.map_err(|source| OpenError::File { path: path.clone(), source })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Busy(path)),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path, source }),
    }
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
