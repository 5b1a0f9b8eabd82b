//! Where time and randomness come in. Everything pure gets them handed in from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pki::identity::TraceId;

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

/// Numbers for the traces of requests: unlike each other and unlike another process's, and no secret.
pub struct Traces {
    next: AtomicU64,
}

impl Traces {
    pub fn new() -> Self {
        Self { next: AtomicU64::new(u64::from_be_bytes(random())) }
    }

    pub fn next(&self) -> TraceId {
        // A walk through all 64-bit numbers, each once, spread by a mixer that loses nothing.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.next.fetch_add(STEP, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        TraceId::from_random((mixed ^ (mixed >> 31)).to_be_bytes())
    }
}

impl Default for Traces {
    fn default() -> Self {
        Self::new()
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
