//! Where time and randomness come in. Everything pure gets them handed in from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::moment::Moment;

/// The process's clock. A clone is the same clock.
#[derive(Clone)]
pub struct Clock {
    begun: Instant,
    /// How far a test has travelled into the future.
    skipped_ms: Arc<AtomicI64>,
}

impl Clock {
    pub fn system() -> Self {
        Self { begun: Instant::now(), skipped_ms: Arc::default() }
    }

    pub fn now(&self) -> Moment {
        let skipped = self.skipped_ms.load(Ordering::Relaxed);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let up = self.begun.elapsed().as_millis();
        Moment {
            unix_ms: i64::try_from(unix).unwrap_or(i64::MAX).saturating_add(skipped),
            up_ms: u64::try_from(up).unwrap_or(u64::MAX).saturating_add_signed(skipped),
        }
    }

    /// For tests: everything that waits for time has waited this much longer.
    pub fn skip(&self, ms: u32) {
        self.skipped_ms.fetch_add(i64::from(ms), Ordering::Relaxed);
    }
}

/// Fresh random bytes. A kernel without randomness is no place to make a token: the process ends.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        log::error!("no randomness from the kernel ({error}); stopping");
        std::process::abort();
    }
    bytes
}
