//! How every refusal is told. A border file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose fault, which one, what to do; the code is stable (ruling 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    pub code: String,
    pub kind: TroubleKind,
    pub ja: String,
    pub en: String,
    pub remedy_ja: String,
    pub remedy_en: String,
}

/// Decides the CLI's exit code: 2 usage, 3 not found, 4 conflict or quota, 5 denied, 75 try later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    Usage,
    NotFound,
    Conflict,
    Denied,
    TryLater,
    Internal,
}
