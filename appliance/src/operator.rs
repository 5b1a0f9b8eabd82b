//! The operator door: what an engineer may ask the running appliance, as one closed enum.
//! The values are pure and cross the border; `door` answers them, `degraded` judges a status.

pub mod question; // border
pub mod degraded;
pub mod merged;
pub mod users; // edge: /etc/passwd, randomness
pub mod door; // edge: tokio, Unix socket

pub use question::{Answered, OperatorAnswer, OperatorQuestion, Status, VpnQuestion};
