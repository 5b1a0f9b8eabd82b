//! The mail's certificate at the operator's door. A border file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What signs the association's letters (S/MIME); public, as every receiver sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailSignature {
    pub address: String,
    pub issuer: String,
    /// Its end, Unix seconds.
    pub not_after: i64,
}
