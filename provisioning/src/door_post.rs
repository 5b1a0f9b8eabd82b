//! 発送: what may be asked about the office's outgoing post: how a connection comes to a facility, print runs, and what
//! came back (返戻). A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

/// D-00: how what starts a facility or a family reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The bundle by mail, the sheet by post.
    Mail,
    /// Everything by post: the connection in one envelope, number and password in another on another day.
    TwoEnvelopes,
    /// The same two envelopes, handed over by a facility that knows the person.
    ByHand,
}

impl Channel {
    pub const ALL: [Channel; 3] = [Channel::Mail, Channel::TwoEnvelopes, Channel::ByHand];

    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Mail => "mail",
            Channel::TwoEnvelopes => "two-envelopes",
            Channel::ByHand => "by-hand",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Channel::ALL.into_iter().find(|channel| channel.as_str() == text)
    }

    /// Does nothing of it leave by mail?
    pub fn is_paper(self) -> bool {
        self != Channel::Mail
    }
}

/// What a run carries; the two envelopes of a connection are never in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Envelope 1: 接続設定.
    Connection,
    /// Envelope 2: number and password.
    Sheet,
    /// Notices, 書類不備, 延長.
    Letter,
    Invoice,
}

impl Lane {
    pub const ALL: [Lane; 4] = [Lane::Connection, Lane::Sheet, Lane::Letter, Lane::Invoice];

    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Connection => "connection",
            Lane::Sheet => "sheet",
            Lane::Letter => "letter",
            Lane::Invoice => "invoice",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Lane::ALL.into_iter().find(|lane| lane.as_str() == text)
    }
}

/// Why post came back, as the stamp on it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnReason {
    /// あて所に尋ねあたりません.
    Unknown,
    /// 転居先不明.
    Moved,
    /// 受取拒絶.
    Refused,
    /// 保管期間経過.
    Uncollected,
}

impl ReturnReason {
    pub const ALL: [ReturnReason; 4] =
        [ReturnReason::Unknown, ReturnReason::Moved, ReturnReason::Refused, ReturnReason::Uncollected];

    pub fn as_str(self) -> &'static str {
        match self {
            ReturnReason::Unknown => "unknown",
            ReturnReason::Moved => "moved",
            ReturnReason::Refused => "refused",
            ReturnReason::Uncollected => "uncollected",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        ReturnReason::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// What was done about post that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// The address is right now: the same paper, in a new envelope and a new run.
    Again,
    /// The envelope was open: another key, or another number and password.
    Reissue,
    /// Settled by telephone, or no longer needed.
    Called,
}

impl Remedy {
    pub const ALL: [Remedy; 3] = [Remedy::Again, Remedy::Reissue, Remedy::Called];

    pub fn as_str(self) -> &'static str {
        match self {
            Remedy::Again => "again",
            Remedy::Reissue => "reissue",
            Remedy::Called => "called",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Remedy::ALL.into_iter().find(|remedy| remedy.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PostQuestion {
    /// How the facility of a case gets its connection; before its acceptance, or while nothing has gone out.
    CaseDelivery { case: String, delivery: Channel, dry_run: bool },
    /// The same for a facility or a family that is registered.
    FacilityDelivery { facility: FacilityId, delivery: Channel, dry_run: bool },
    /// What waits for the post.
    Waiting { lane: Option<Lane> },
    /// Print runs, the newest first.
    Runs { open: bool },
    /// A run with everything in it.
    Run { run: String },
    /// Takes what is due into a run: for the post, or for handing over.
    Take { lane: Lane, by_hand: bool, dry_run: bool },
    /// The letters of a run as PDF. What is secret is printed once.
    Print { run: String },
    /// Labels of a run; `start` is the first one that is left on the sheet.
    Labels { run: String, grid: String, start: u32 },
    /// 発送した. The date is today's unless it is said.
    Sent { run: String, on: Option<String>, dry_run: bool },
    /// Everything of an open run waits again.
    Undo { run: String, dry_run: bool },
    /// Another number and password for a slot that waits; the old ones are dead.
    NewSheet { slot: SlotNumber, dry_run: bool },
    /// Post that has left, by facility, code, slot, case or number.
    Find { text: String },
    /// What came back and needs somebody.
    Back,
    /// 返戻: it came back.
    Returned {
        item: String,
        reason: ReturnReason,
        on: Option<String>,
        /// The envelope was open.
        opened: bool,
        note: Option<String>,
        dry_run: bool,
    },
    /// What is done about it.
    Settle { item: String, remedy: Remedy, dry_run: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PostAnswer {
    Delivery(DeliveryChange),
    Waiting(Vec<WaitingLine>),
    Runs(Vec<RunLine>),
    Run(RunDetail),
    Items(Vec<ItemLine>),
    Item(ItemLine),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryChange {
    pub facility_name: String,
    pub from: Channel,
    pub to: Channel,
    /// Letters that had not left and now go the other way.
    pub letters: u32,
    pub dry_run: bool,
}

/// A piece that waits for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingLine {
    pub lane: Lane,
    /// A letter of the outbox, or an invoice's number.
    pub subject: String,
    /// What it is: `bundle`, `reissue`, `sheet`, `notice`, `extension`, `invoice`.
    pub kind: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub slot: Option<SlotNumber>,
    pub by_hand: bool,
    /// False: the paper is at hand, only the address is printed.
    pub whole: bool,
    /// From which day it may leave; none: now.
    pub from: Option<String>,
    /// The other envelope of the same connection goes first.
    pub after_other: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunLine {
    pub run: String,
    pub lane: Lane,
    /// `open`, `sent`, `undone`.
    pub state: String,
    pub items: u32,
    pub returned: u32,
    pub taken_at: String,
    pub taken_by: String,
    /// How often it was printed.
    pub prints: u32,
    pub sent_on: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    pub run: RunLine,
    pub items: Vec<ItemLine>,
    /// What was due and could not be taken, and why.
    pub left_out: Vec<LeftOut>,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    pub facility: FacilityId,
    pub facility_name: String,
    pub code: String,
    pub ja: String,
    pub en: String,
    pub remedy_ja: String,
    pub remedy_en: String,
}

/// One envelope of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemLine {
    pub item: String,
    pub run: String,
    pub lane: Lane,
    pub subject: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub slot: Option<SlotNumber>,
    /// As it was printed.
    pub to_name: String,
    pub to_address: String,
    pub whole: bool,
    /// `open`, `sent`, `undone`, `returned`.
    pub state: String,
    pub sent_on: Option<String>,
    pub returned_on: Option<String>,
    pub reason: Option<ReturnReason>,
    pub opened: bool,
    pub note: String,
    /// What was done about it, if anything.
    pub remedy: Option<Remedy>,
}

impl ItemLine {
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}
