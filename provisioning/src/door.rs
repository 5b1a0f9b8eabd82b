//! The operator door of this room: what the CLI (and, through HTTP, the office console) may ask.
//! Grants and accounts are offered as plain functions of the room; `appliance` adapts them. A border file.

use pki::identity::{FacilityId, TraceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vpn::slot::{Series, SlotNumber};

use crate::door_bounce::BounceRound;
use crate::door_call::{CallQuestion, SlotChange};
use crate::door_fee::{FeeAnswer, FeeQuestion};
use crate::door_flow::{FlowAnswer, FlowQuestion};
use crate::door_incident::{IncidentAnswer, IncidentQuestion};
use crate::door_mail::MailSignature;
use crate::door_more::{MoreAnswer, MoreQuestion};
use crate::door_paper::PaperQuestion;
use crate::door_person::{FirstPassword, PersonChange, PersonLine, PersonQuestion};
use crate::door_post::{Channel, PostAnswer, PostQuestion};
pub use crate::door_receipt::{Receipt, ReceiptPoint, ReceiptSignature, RevokeReason};
use crate::door_register::{RegisterAnswer, RegisterQuestion};
use crate::door_report::{ReportQuestion, YearReport};
use crate::door_scan::{ScanAnswer, ScanQuestion};
use crate::door_takeover::{TakeoverLine, TakeoverQuestion};
pub use crate::door_trouble::{Trouble, TroubleKind};
use crate::door_yearly::{YearlyAnswer, YearlyQuestion};

/// Who asks: the Unix user or certificate key-id, for the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operator {
    pub name: String,
    pub trace: TraceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProvisioningQuestion {
    Status,
    /// 様式1 from a file; nothing is written while any row is bad. `dry_run` writes nothing at all.
    FacilityImport {
        file_name: String,
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        bytes: Vec<u8>,
        dry_run: bool,
    },
    FacilityList,
    /// The blank 様式1 as `.xlsx`.
    FacilityTemplate,
    /// 様式3: another address for the admin, and for the letters that have not left.
    FacilityAdminAddress {
        facility: FacilityId,
        address: String,
        dry_run: bool,
    },
    CaseList,
    CaseShow {
        case: String,
    },
    /// 受理: creates the facility and its admin, allots slots, puts the bundle into the outbox.
    CaseAccept {
        case: CaseChoice,
        dry_run: bool,
    },
    SlotList {
        series: Option<Series>,
    },
    SlotShow {
        slot: SlotNumber,
    },
    /// 延長: 30 days from today for a number and a sheet that were not used in time (ruling 5).
    SlotExtend {
        slot: SlotNumber,
        dry_run: bool,
    },
    /// 再発行: another bundle with another key; number and sheet stay (ruling 5).
    SlotReissue {
        slot: SlotNumber,
        dry_run: bool,
    },
    DeviceList {
        facility: Option<FacilityId>,
    },
    /// Revocation with a receipt (ruling 7). Safe to repeat: the same slot gives the same receipt.
    DeviceRevoke {
        slot: SlotNumber,
        reason: RevokeReason,
        note: Option<String>,
        dry_run: bool,
    },
    /// The state of a receipt that was still pending.
    ReceiptShow {
        receipt: String,
    },
    /// Every letter with its state and the last answer, without its contents; newest first.
    OutboxList,
    /// A letter that failed or waits is tried again at once.
    OutboxRetry {
        message: String,
    },
    /// A mail of the bounce mailbox, as it is.
    MailBounce {
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        mail: Vec<u8>,
        dry_run: bool,
    },
    /// The TXT records that make receivers believe our mail.
    MailDns,
    /// Empties the bounce mailbox now; `dry_run` only signs in and counts.
    MailFetch {
        dry_run: bool,
    },
    Fee(FeeQuestion),
    /// 一時停止, 再開, 解錠.
    Call(CallQuestion),
    Person(PersonQuestion),
    Flow(FlowQuestion),
    Register(RegisterQuestion),
    More(MoreQuestion),
    Yearly(YearlyQuestion),
    Incident(IncidentQuestion),
    Report(ReportQuestion),
    Paper(PaperQuestion),
    Takeover(TakeoverQuestion),
    /// 発送.
    Post(PostQuestion),
    Scan(ScanQuestion),
    AuditList {
        after: u64,
        limit: u32,
        trace: Option<TraceId>,
    },
    AuditVerify,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaseChoice {
    One(String),
    /// Every case that waits for acceptance and misses nothing.
    AllComplete,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProvisioningAnswer {
    Status(ProvisioningStatus),
    Import(ImportReport),
    Facilities(Vec<FacilityRow>),
    AddressChanged(AddressChange),
    File {
        name: String,
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        bytes: Vec<u8>,
    },
    Cases(Vec<CaseRow>),
    Case(CaseDetail),
    Accepted(AcceptReport),
    Slots(Vec<SlotRow>),
    Slot(SlotDetail),
    Renewed(Renewal),
    Devices(Vec<DeviceRow>),
    Receipt(Receipt),
    Outbox(Vec<LetterRow>),
    Letter(LetterRow),
    MailDns(Vec<DnsRecord>),
    Bounces(BounceRound),
    Fee(FeeAnswer),
    Change(SlotChange),
    People(Vec<PersonLine>),
    PersonChanged(PersonChange),
    FirstPassword(FirstPassword),
    Flow(FlowAnswer),
    Register(RegisterAnswer),
    More(MoreAnswer),
    Yearly(YearlyAnswer),
    Incident(IncidentAnswer),
    Report(YearReport),
    Takeovers(Vec<TakeoverLine>),
    Post(PostAnswer),
    Scan(ScanAnswer),
    Audit {
        entries: Vec<AuditRow>,
        next: u64,
    },
    AuditVerified {
        entries: u64,
        head: String,
    },
    Trouble(Trouble),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProvisioningStatus {
    pub facilities: u32,
    pub cases_open: u32,
    pub slots_allotted: u32,
    pub slots_active: u32,
    pub outbox_waiting: u32,
    /// Refused or given up; an operator must look.
    #[serde(default)]
    pub outbox_failed: u32,
    pub receipts_pending: u32,
    pub audit_entries: u64,
    pub audit_head: String,
    pub grants_version: u64,
    /// The last round of the bounce mailbox; none where there is no mailbox, or no round yet.
    #[serde(default)]
    pub bounces: Option<BounceRound>,
    /// What signs letters as S/MIME; none where nothing does.
    #[serde(default)]
    pub mail_signature: Option<MailSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportReport {
    pub dry_run: bool,
    pub rows: u32,
    /// Rows that made (or would make) a new case.
    pub new: u32,
    /// Rows already known, word for word: nothing changes.
    pub known: u32,
    /// Not empty: nothing was written.
    pub faults: Vec<RowFault>,
    /// Asked about, not refused: a check digit that does not match, more VPNs than the rule.
    #[serde(default)]
    pub warnings: Vec<RowFault>,
    pub cases: Vec<String>,
}

/// A bad cell, named so that the clerk can mend it in Excel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowFault {
    /// As Excel counts: the heading is row 1.
    pub row: u32,
    /// The column's heading.
    pub column: String,
    /// The sheet's name; a text file has none.
    #[serde(default)]
    pub sheet: Option<String>,
    /// Where it is to be mended, such as `B4`; a missing column has none.
    #[serde(default)]
    pub cell: Option<String>,
    /// What was read there, shortened.
    #[serde(default)]
    pub given: String,
    /// What belongs there; empty where the file and not a cell is wrong.
    #[serde(default)]
    pub expected_ja: String,
    pub code: String,
    pub reason_ja: String,
    pub reason_en: String,
    pub remedy_ja: String,
    pub remedy_en: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FacilityRow {
    pub facility: FacilityId,
    pub code: String,
    pub name: String,
    pub kind: String,
    pub admin_address: String,
    pub vpn_requested: u32,
    pub state: String,
    pub slots: Vec<SlotNumber>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseRow {
    pub case: String,
    pub flow: String,
    pub facility_name: String,
    pub facility_code: String,
    pub state: String,
    pub received: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseDetail {
    pub row: CaseRow,
    /// D-00.
    pub delivery: Channel,
    pub steps: Vec<CaseStep>,
    /// What was sent to this facility, and what the mail server said (D-01).
    #[serde(default)]
    pub letters: Vec<LetterRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseStep {
    /// Requirement id, such as C-1.3.
    pub id: String,
    pub name_ja: String,
    pub at: Option<String>,
    pub operator: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptReport {
    pub dry_run: bool,
    pub accepted: Vec<AcceptedCase>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedCase {
    pub case: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub slots: Vec<SlotNumber>,
    /// The first of them; its bundle goes to the admin.
    pub bundle_slot: SlotNumber,
    /// By which way (D-00).
    pub delivery: Channel,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotRow {
    pub slot: SlotNumber,
    pub state: String,
    pub facility: Option<FacilityId>,
    pub facility_name: Option<String>,
    pub meetings: bool,
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotDetail {
    pub row: SlotRow,
    /// Who held the number, from when to when; never rewritten (I-05).
    pub history: Vec<SlotHistory>,
    /// The number and password that wait to be used, never themselves.
    #[serde(default)]
    pub enrolment: Option<EnrolmentRow>,
}

/// 本登録 of a slot: what it waits for and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnrolmentRow {
    /// `open`, `claimed`, `done`, `void`, `locked`.
    pub state: String,
    pub valid_until: String,
    /// 24 hours after the first right entry.
    pub window_until: Option<String>,
    /// Neither of the two has passed.
    pub in_time: bool,
    /// By a sheet, or by codes on a screen.
    pub sheet: bool,
}

/// 延長 or 再発行 of a slot's enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Renewal {
    pub slot: SlotNumber,
    pub facility_name: String,
    /// Whom the letter goes to.
    pub recipient: String,
    pub valid_until: String,
    /// The outbox's name of the letter; `None` when nothing was left to do.
    pub letter: Option<String>,
    pub dry_run: bool,
}

/// An admin's new address, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressChange {
    pub facility: FacilityId,
    pub facility_name: String,
    pub from: String,
    pub to: String,
    /// Letters that had not left and go to the new address.
    pub letters: Vec<String>,
    /// Unclaimed slots whose bundle has left already, to the old address: reissue them.
    pub gone: Vec<SlotNumber>,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotHistory {
    pub at: String,
    pub state: String,
    pub facility_name: Option<String>,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceRow {
    pub device: String,
    pub slot: SlotNumber,
    pub facility: FacilityId,
    pub label: String,
    pub state: String,
    pub certificate: Option<String>,
    pub certificate_ends: Option<String>,
}

/// A letter without its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LetterRow {
    pub message: String,
    /// `bundle`, `reissue`, `extension` or `sheet`.
    pub kind: String,
    /// A mail address, or the name on the envelope.
    pub recipient: String,
    pub slot: Option<SlotNumber>,
    pub facility: Option<FacilityId>,
    pub facility_name: Option<String>,
    /// `waiting`, `post` (for a print run), `sent`, `failed`, `bounced`, `returned` (by post), `cancelled`.
    pub state: String,
    pub attempts: u32,
    pub next_at: Option<String>,
    pub created_at: String,
    pub sent_at: Option<String>,
    /// What the mail server said last, with its code (D-01).
    pub answer: Option<String>,
    /// The same for a clerk, with the next step.
    #[serde(default)]
    pub meaning_ja: Option<String>,
    #[serde(default)]
    pub meaning_en: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsRecord {
    pub name: String,
    /// The whole value of the TXT record.
    pub value: String,
    /// The same as a zone file's line.
    pub zone_line: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRow {
    pub number: u64,
    pub at: String,
    pub actor: String,
    pub action: String,
    pub object: String,
    pub trace: Option<TraceId>,
    pub detail: serde_json::Value,
    pub hash: String,
}
