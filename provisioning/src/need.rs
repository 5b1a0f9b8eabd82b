//! What provisioning needs from its siblings, in its own words; `appliance` carries the questions.
//! (The issuing door and the seats door are enums of `pki` and `vpn` themselves.) A border file.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use pki::identity::{FacilityId, MembershipId, PatientId, PersonId, Role};
use pki::serial::CertificateSerial;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

pub type Answering<'a, A> = Pin<Box<dyn Future<Output = Result<A, NeedUnmet>> + Send + 'a>>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{room} does not answer: {why}")]
pub struct NeedUnmet {
    pub room: String,
    pub why: String,
}

/// Ends what is live at the gateway and, for streams, at the SNS.
pub trait Cuts: Send + Sync {
    fn cut(&self, cut: Cut) -> Answering<'_, CutDone>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    Slot { slot: SlotNumber, generation: u64 },
    Certificate(CertificateSerial),
    Person(PersonId),
    Membership(MembershipId),
    Facility(FacilityId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutDone {
    pub connections: u32,
    pub sessions: u32,
}

/// Teams around patients live in the SNS; provisioning opens and links them for the office.
pub trait Teams: Send + Sync {
    fn open(&self, team: NewTeam) -> Answering<'_, TeamOutcome<PatientId>>;
    fn link(&self, patient: PatientId, facility: FacilityId, name: String) -> Answering<'_, TeamOutcome<()>>;
    fn add(&self, patient: PatientId, member: TeamMember) -> Answering<'_, TeamOutcome<()>>;
    /// Out of this team, or of every one; how many it was in.
    fn unlink(&self, patient: Option<PatientId>, facility: FacilityId) -> Answering<'_, TeamOutcome<u32>>;
    /// Everybody out of the patient's team; how many facilities there were.
    fn stop(&self, patient: PatientId) -> Answering<'_, TeamOutcome<u32>>;
    /// Read from now on, not written.
    fn close(&self, patient: PatientId) -> Answering<'_, TeamOutcome<()>>;
    /// Out of every team; how many there were.
    fn leave(&self, membership: MembershipId) -> Answering<'_, TeamOutcome<u32>>;
    fn list(&self, facility: Option<FacilityId>) -> Answering<'_, TeamOutcome<Vec<TeamRow>>>;
    /// Ends the SNS's live streams of a slot (its text form), person or facility.
    fn end(&self, end: Cut) -> Answering<'_, u32>;
}

/// The patients' keys, which the SNS keeps.
pub trait Keys: Send + Sync {
    /// Something about the patient, under their key; `context` says what it is, and opens it again.
    fn seal(
        &self,
        patient: PatientId,
        context: String,
        plain: Vec<u8>,
    ) -> Answering<'_, TeamOutcome<Vec<u8>>>;
    fn open(
        &self,
        patient: PatientId,
        context: String,
        sealed: Vec<u8>,
    ) -> Answering<'_, TeamOutcome<Vec<u8>>>;
    /// For ever, in every copy. Safe to repeat.
    fn erase(&self, patient: PatientId) -> Answering<'_, TeamOutcome<()>>;
}

/// The SNS's own refusal keeps its code and text.
pub type TeamOutcome<T> = Result<T, Refused>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub code: String,
    pub ja: String,
    pub en: String,
}

/// Text that names a patient passes through and is never stored here: no `Debug`, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct PatientText(String);

impl PatientText {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl JsonSchema for PatientText {
    fn schema_name() -> Cow<'static, str> {
        "PatientText".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl std::fmt::Debug for PatientText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PatientText(<hidden>)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTeam {
    pub patient: PatientId,
    pub name: PatientText,
    pub kana: PatientText,
    /// 連携元: the facility that took the consent.
    pub origin: FacilityId,
    pub origin_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMember {
    pub person: PersonId,
    pub membership: MembershipId,
    pub role: Role,
    pub name: String,
    pub profession: String,
    pub facility: FacilityId,
    pub facility_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRow {
    pub patient: PatientId,
    pub name: PatientText,
    pub facilities: Vec<(FacilityId, String)>,
    pub members: u32,
}

/// The reason behind the last refusals of a slot, for the console.
pub trait Why: Send + Sync {
    fn why(&self, slot: SlotNumber) -> Answering<'_, Vec<WhyLine>>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyLine {
    pub at_ms: i64,
    pub code: String,
    pub ja: String,
    pub en: String,
}
