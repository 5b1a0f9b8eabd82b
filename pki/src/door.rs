//! The doors of this room: issuing (held by provisioning), revocations and published bytes
//! (held by the gateway), and the operator's. Closed sets of questions and answers. A border file.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

use crate::chain::Hash;
use crate::serial::CertificateSerial;

pub type Answering<'a, A> = Pin<Box<dyn Future<Output = Result<A, DoorClosed>> + Send + 'a>>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the {room} room does not answer: {why}")]
pub struct DoorClosed {
    pub room: String,
    pub why: String,
}

/// The dangerous door: two verbs, and one that signs a statement instead of a certificate.
pub trait IssuingDoor: Send + Sync {
    fn ask(&self, question: IssuingQuestion) -> Answering<'_, IssuingAnswer>;
}

pub trait RevocationsDoor: Send + Sync {
    fn ask(&self, question: RevocationsQuestion) -> Answering<'_, RevocationsAnswer>;
}

pub trait PublishedDoor: Send + Sync {
    fn ask(&self, question: PublishedQuestion) -> Answering<'_, PublishedAnswer>;
}

/// For whom a device certificate is made; decides its profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    Facility,
    FacilityAdmin,
    Family,
}

impl DeviceKind {
    pub const ALL: [DeviceKind; 3] = [DeviceKind::Facility, DeviceKind::FacilityAdmin, DeviceKind::Family];

    pub fn as_str(self) -> &'static str {
        match self {
            DeviceKind::Facility => "facility",
            DeviceKind::FacilityAdmin => "facility-admin",
            DeviceKind::Family => "family",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IssuingQuestion {
    /// Only the public key is taken from the request (PKCS #10, DER), after its proof of possession.
    /// `token` makes it idempotent: the same token, slot and key give the same certificate again.
    Issue { slot: SlotNumber, kind: DeviceKind, request: Vec<u8>, token: String },
    /// The next certificate of a key that the slot has; from two thirds of the last one's life on, and for a while
    /// after its end. Asked for earlier, it is the last one again.
    Renew { slot: SlotNumber, request: Vec<u8> },
    /// Durable before it is acknowledged; revoking what is revoked is acknowledged too.
    Revoke { what: Revoke, reason: RevocationReason },
    /// Puts a hash (an audit head, a receipt) into the ledger and signs the entry.
    Attest { subject: String, hash: Hash },
    /// Signs an Apple profile of a slot, of which only the SHA-256 is told.
    SignProfile { slot: SlotNumber, content: Hash },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Revoke {
    Certificate(CertificateSerial),
    /// Every living certificate of a slot, and none of a later one.
    Slot(SlotNumber),
    /// Every living certificate of a key (SHA-256 of its SubjectPublicKeyInfo).
    Key(Hash),
}

/// RFC 5280 5.3.1, the ones we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
}

impl RevocationReason {
    pub const ALL: [RevocationReason; 5] = [
        RevocationReason::Unspecified,
        RevocationReason::KeyCompromise,
        RevocationReason::AffiliationChanged,
        RevocationReason::Superseded,
        RevocationReason::CessationOfOperation,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RevocationReason::Unspecified => "unspecified",
            RevocationReason::KeyCompromise => "key-compromise",
            RevocationReason::AffiliationChanged => "affiliation-changed",
            RevocationReason::Superseded => "superseded",
            RevocationReason::CessationOfOperation => "cessation-of-operation",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IssuingAnswer {
    Issued(IssuedCertificate),
    /// The serials that are revoked now because of this question or an earlier one.
    Revoked {
        serials: Vec<CertificateSerial>,
        snapshot: u64,
    },
    Attested(Attestation),
    ProfileSigned(ProfileSignature),
    Refused(IssuingRefusal),
}

/// What `cms::signed` puts round a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSignature {
    /// The signed attributes (DER), with the profile's hash and the time.
    pub attributes: Vec<u8>,
    /// ECDSA P-256/SHA-256 (ASN.1) over them.
    pub signature: Vec<u8>,
    /// The signer's certificate, then the server CA's (DER).
    pub chain: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    pub serial: CertificateSerial,
    pub slot: SlotNumber,
    /// Leaf, then the device CA (DER).
    pub chain: Vec<Vec<u8>>,
    /// Unix seconds.
    pub not_after: i64,
    /// The ledger entry that recorded what was about to be signed.
    pub ledger_entry: u64,
}

/// A signed line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    pub entry: u64,
    pub subject: String,
    pub hash: Hash,
    /// Ledger head after this entry.
    pub head: Hash,
    /// ECDSA P-256/SHA-256 (ASN.1) by the device CA's key over `Attestation::message`.
    pub signature: Vec<u8>,
}

impl Attestation {
    /// The signed bytes.
    pub fn message(entry: u64, subject: &str, hash: &Hash, head: &Hash) -> Vec<u8> {
        format!("mimamori attestation v1\n{entry}\n{subject}\n{hash}\n{head}\n").into_bytes()
    }
}

/// Codes and texts: `messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IssuingRefusal {
    /// The certificate request cannot be read.
    BadRequest {
        why: String,
    },
    /// The request does not prove possession of its key.
    NoProof,
    /// Keys must be ECDSA P-256.
    WrongKey,
    /// The slot is full.
    TooMany {
        slot: SlotNumber,
        living: u32,
    },
    Unknown {
        serial: CertificateSerial,
    },
    /// This key was revoked and is never certified again.
    RevokedKey,
    /// Our own lint refused the certificate; nothing was signed.
    Lint {
        why: String,
    },
    /// This token was used for another request.
    TokenReused,
    /// The slot has no certificate of this key, or none that may be followed.
    NotRenewable,
    /// The authority cannot record or sign now.
    Unavailable {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevocationsQuestion {
    /// Answers at once when the snapshot is newer than `after`, otherwise within `wait_ms`
    /// with the same snapshot number: silence and "no change" are never confused.
    Snapshot { after: u64, wait_ms: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevocationsAnswer {
    /// Complete up to `number`. `living` are the logged serials that are neither expired nor revoked:
    /// a certificate that is not among them is refused, however well it is signed.
    Snapshot {
        number: u64,
        living: Vec<LivingCertificate>,
    },
    Unchanged {
        number: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LivingCertificate {
    pub serial: CertificateSerial,
    pub slot: SlotNumber,
    /// Unix seconds.
    pub not_after: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublishedQuestion {
    /// By path below `/`: `ca/root.crt`, `ca/device.crt`, `ca/server.crt`, `crl/00.crl` … `crl/63.crl`,
    /// `est/cacerts`, `ocsp/<request, base64>`, `log/checkpoint`, `log/proof/<serial>`, `log/tile/<0 or 1>/<place>[.p/<width>]`.
    Get { path: String },
    /// An OCSP request (DER) that was posted.
    Ocsp { request: Vec<u8> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublishedAnswer {
    Bytes { media_type: String, bytes: Vec<u8> },
    NotFound,
}

/// The operator's door: looks; and acts, each act in the log under the operator's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PkiQuestion {
    Status,
    /// Newest first, at most `LIST_MAX`.
    List {
        slot: Option<SlotNumber>,
    },
    /// One certificate with its bytes.
    Show {
        serial: CertificateSerial,
    },
    /// Recomputes the whole ledger and compares every certificate and revocation with its entry.
    VerifyLedger,
    /// The log's latest signed checkpoint.
    Checkpoint,
    /// That a certificate's signing stands in the log.
    Proof {
        serial: CertificateSerial,
    },
    /// The same for several, at most `WISHES_MAX`.
    Proofs {
        serials: Vec<CertificateSerial>,
    },
    /// Lines of the log, at most `LINES_MAX`.
    Lines {
        from: u64,
    },
    /// Signed certificates in the order of their recording, at most `CERTIFICATES_MAX`.
    Certificates {
        from: u64,
    },
    /// The current revocation list of a shard.
    RevocationList {
        shard: u8,
    },
    /// The OCSP answer as anyone would get it.
    Ocsp {
        serial: CertificateSerial,
    },
    /// `by` is put in by the door, which knows who asks.
    Act {
        by: String,
        act: PkiAct,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PkiAct {
    /// At most `WISHES_MAX`; each is answered by itself.
    Issue {
        wishes: Vec<OperatorWish>,
    },
    Revoke {
        what: Revoke,
        reason: RevocationReason,
    },
    /// Signs all revocation lists and OCSP answers that are not fresh now.
    Renew,
    /// The gateway's certificate (DER), of which the key is certified anew by the server CA.
    RenewGateway {
        certificate: Vec<u8>,
    },
    /// A certificate (DER) that the root signed to follow the device CA's or the server CA's.
    TakeUp {
        certificate: Vec<u8>,
    },
}

impl PkiQuestion {
    /// The same question, asked by this operator.
    #[must_use]
    pub fn asked_by(self, name: &str) -> Self {
        match self {
            PkiQuestion::Act { act, .. } => PkiQuestion::Act { by: name.to_owned(), act },
            other => other,
        }
    }
}

/// A certificate that an operator asks for, outside any claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorWish {
    pub slot: SlotNumber,
    pub kind: DeviceKind,
    /// PKCS #10, DER.
    pub request: Vec<u8>,
    pub token: String,
    /// The operator vouches for a key that serves several slots.
    pub shared_key: bool,
}

/// Lines of one answer.
pub const LINES_MAX: u32 = 4_096;
/// Certificates of one answer; bytes grow fourfold in JSON.
pub const CERTIFICATES_MAX: u32 = 1_024;
/// Wishes of one question.
pub const WISHES_MAX: usize = 1_024;

/// Rows of one answer; fits a door frame.
pub const LIST_MAX: u32 = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PkiAnswer {
    Status(PkiStatus),
    Certificates(Vec<CertificateRow>),
    Certificate {
        row: Box<CertificateRow>,
        der: Option<Vec<u8>>,
    },
    /// Certificates with the entry that recorded them.
    Bodies(Vec<(u64, Vec<u8>)>),
    /// A checkpoint, or a proof.
    Text(String),
    Lines(Vec<String>),
    Bytes(Vec<u8>),
    /// In the order of the serials that were asked for.
    Proofs(Vec<Option<String>>),
    Issued(Vec<Result<IssuedCertificate, IssuingRefusal>>),
    Revoked {
        serials: Vec<CertificateSerial>,
        snapshot: u64,
    },
    Renewed,
    Certified(Certified),
    NotFound,
    LedgerVerified {
        entries: u64,
        head: Hash,
    },
    /// The ledger does not tell the truth from this entry on: somebody changed it, or the disk did.
    LedgerBroken {
        entry: u64,
        why: String,
    },
    Refused(IssuingRefusal),
}

/// A certificate of a server or a CA, and the line that recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    pub serial: CertificateSerial,
    /// DER; the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// Unix seconds.
    pub not_after: i64,
    pub ledger_entry: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PkiStatus {
    pub living: u32,
    pub revoked: u32,
    pub ledger_entries: u64,
    pub ledger_head: Hash,
    /// The number of the snapshot that the gateway should hold.
    pub snapshot: u64,
    /// Root, device CA, server CA.
    pub authorities: Vec<AuthorityEnd>,
    /// The revocation list that ends first, Unix seconds.
    pub lists_good_until: i64,
    /// Shards whose list could not be renewed; retried every few seconds.
    pub lists_late: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityEnd {
    pub name: String,
    pub serial: CertificateSerial,
    /// SHA-256 of the certificate.
    pub fingerprint: Hash,
    /// Unix seconds.
    pub not_after: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRow {
    pub serial: CertificateSerial,
    pub slot: SlotNumber,
    pub kind: DeviceKind,
    pub state: CertificateState,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
    pub revoked: Option<(i64, RevocationReason)>,
    pub ledger_entry: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateState {
    /// Recorded, and not signed yet.
    Planned,
    Living,
    Expired,
    Revoked,
    /// Recorded and never signed: the machine stopped in between, or our lint refused it.
    Abandoned,
}
