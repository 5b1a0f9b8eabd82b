//! The operator door: what an engineer may ask the running appliance, as one closed enum.
//! The values are pure and cross the border; `door` answers them, `degraded` judges a status.

pub mod degraded;
pub mod door;
pub mod question; // border
pub mod users; // edge: /etc/passwd, randomness // edge: tokio, Unix socket

pub use question::{Answered, OperatorAnswer, OperatorQuestion, Status, VpnQuestion};
