//! The clock and the randomness of this room: the only file that asks for either.
//! Everything else takes `now` and random bytes as arguments. Edge.

use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

/// The system has no randomness to give; nothing secret can be made now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MM-5001 the system gives no randomness: {0}")]
pub struct NoRandomness(String);

/// Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Fresh random octets that wipe themselves: they may become a key.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let mut octets = Zeroizing::new([0; N]);
    getrandom::fill(octets.as_mut_slice()).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(octets)
}
