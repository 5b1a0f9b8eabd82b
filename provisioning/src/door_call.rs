//! What may be asked about a number by telephone, and the answer: part of the operator's door. A border file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CallQuestion {
    /// 一時停止: at once, and it can be taken back (B-28).
    Suspend { slot: SlotNumber, dry_run: bool },
    /// 再開 (B-29).
    Resume { slot: SlotNumber, dry_run: bool },
    /// 解錠: a pause after wrong entries ends now.
    Unlock { slot: SlotNumber, dry_run: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotChange {
    pub slot: SlotNumber,
    /// What it is now, or would be.
    pub state: String,
    /// False: it stood so already.
    pub changed: bool,
    pub dry_run: bool,
}
