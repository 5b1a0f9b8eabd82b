//! 引継ぎ: what may be asked about registers that were kept elsewhere. A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TakeoverQuestion {
    /// A workbook of facilities, staff, VPN番号 and paid years. Nothing is written while one cell is wrong; then each
    /// facility is whole or not there, and the same file once more brings the rest.
    Import {
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        bytes: Vec<u8>,
        dry_run: bool,
    },
    List,
    /// The workbook to write registers into, with its explanation.
    Template,
    /// One facility of a batch, as long as nothing has begun there.
    Undo {
        batch: String,
        facility: FacilityId,
        dry_run: bool,
    },
    /// Bundle and sheet for the first number of a facility, or of every one of the batch that waits for it.
    Start {
        batch: String,
        facility: Option<FacilityId>,
        dry_run: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakeoverLine {
    pub batch: String,
    pub facility: FacilityId,
    pub name: String,
    /// `taken`, `started` or `undone`.
    pub state: String,
    pub at: String,
    /// Every number that it holds.
    pub slots: Vec<SlotNumber>,
    /// Who belongs to it by this take-over, its admin included.
    pub people: u32,
}
