//! Who someone is: the authority (issue, revoke, publish, prove), `verify`, which everyone uses,
//! and the pure hash chain of every audit trail.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.
//! What this room does not do: it knows no person, keeps no device's private key, and listens nowhere.

// names
pub mod serial; // border
pub mod chain; // border
pub mod identity; // border
pub mod door; // border

// nouns
pub mod der;
pub mod tlog;
pub mod tiles;
pub mod certs_only;
pub mod key;
pub mod lifetime;
pub mod pem;
pub mod realm;

// what is said in a certificate and in a list
pub mod ca;
pub mod crl;
pub mod profile;

// bytes: to be signed, to be recorded, sealed
pub mod stencil;
pub mod mail_certificate;
pub mod cms;
pub mod draft;
pub mod ocsp;
pub mod entry;
pub mod checkpoint;
pub mod seal;
pub mod shares;

// checks
pub mod lint;
pub mod request;
pub mod verify;
pub mod witness;
pub mod inspect;

// the ledger, the words, the living
pub mod rows; // edge: SQL
pub mod ledger; // edge: SQL
pub mod messages;
pub mod holders;
pub mod answers;
pub mod snapshot; // edge: tokio

// the register beside the ledger, and the key
pub mod register; // edge: SQL
pub mod issues; // edge: SQL
pub mod review; // edge: SQL
pub mod restore; // edge: SQL
pub mod signer; // edge: randomness
pub mod token; // edge: a PKCS #11 module
pub mod renewal;

// the acts
pub mod authority; // edge: randomness, tokio
pub mod ceremony; // edge: randomness

// composition
pub mod folders; // edge: files, SQL
pub mod published; // edge: SQL
pub mod succession; // edge: files
pub mod operator; // edge: SQL
pub mod room; // edge: files, clock, tokio

pub use chain::{Hash, Head};
pub use identity::{FacilityId, Identity, MembershipId, PatientId, PersonId, Role, TraceId, Visitor};
pub use room::{Config, OpenError, Opened, Room, StartError, open};
pub use seal::Secret;
pub use serial::CertificateSerial;
pub use verify::{DeviceVerifier, VerifiedDevice, VerifyError};
