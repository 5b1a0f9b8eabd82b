//! A revocation and who has acknowledged it, as it is told over the operator's door and signed. A border file.

use pki::identity::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevokeReason {
    Lost,
    Stolen,
    Replaced,
    Retired,
    Leak,
}

impl RevokeReason {
    pub const ALL: [RevokeReason; 5] = [
        RevokeReason::Lost,
        RevokeReason::Stolen,
        RevokeReason::Replaced,
        RevokeReason::Retired,
        RevokeReason::Leak,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RevokeReason::Lost => "lost",
            RevokeReason::Stolen => "stolen",
            RevokeReason::Replaced => "replaced",
            RevokeReason::Retired => "retired",
            RevokeReason::Leak => "leak",
        }
    }
}

/// One revocation and who has acknowledged it (ruling 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    pub receipt: String,
    pub slot: SlotNumber,
    pub reason: RevokeReason,
    pub by: String,
    pub person: Option<PersonId>,
    pub committed_at: String,
    pub points: Vec<ReceiptPoint>,
    /// All points acknowledged, and the authority signed the receipt.
    pub complete: bool,
    pub signature: Option<ReceiptSignature>,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptPoint {
    /// `vpn`, `firewall`, `pki`, `gateway`, `sns`, `mail`.
    pub point: String,
    pub acknowledged_at: Option<String>,
    /// Milliseconds from the commit to the acknowledgement.
    pub after_ms: Option<i64>,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptSignature {
    /// SHA-256 of the receipt's canonical text.
    pub hash: String,
    pub ledger_entry: u64,
    pub ledger_head: String,
    /// Base64, ECDSA P-256 by the device CA's key.
    pub signature: String,
}
