//! Who someone is: the authority (issue, revoke, publish, prove), `verify`, which everyone uses,
//! and the pure hash chain of every audit trail.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

pub mod serial; // border
pub mod identity; // border
pub mod chain; // border
pub mod door; // border

pub use chain::{Hash, Head};
pub use identity::{FacilityId, Identity, MembershipId, PatientId, PersonId, Role, TraceId, Visitor};
pub use serial::CertificateSerial;
