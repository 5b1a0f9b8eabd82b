//! Why somebody leaves a facility (異動, 退職), and until when the account's personal data stay (H-14, P-33). The waiting
//! time is the one of P-27: a mistaken tick is mended within it. Pure.

use crate::standing::Turn;

/// 退職: as long as a withdrawal waits (P-27).
const LEFT_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// 異動: the next facility registers the same account within half a year, or it is nobody's any more.
const MOVED_KEPT_MS: i64 = 180 * 24 * 60 * 60 * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// 異動: the account waits for the next facility.
    Moved,
    /// 退職.
    Left,
}

impl Leaving {
    pub const ALL: [Leaving; 2] = [Leaving::Moved, Leaving::Left];

    pub fn of(turn: Turn) -> Option<Self> {
        match turn {
            Turn::End => Some(Leaving::Moved),
            Turn::Leave => Some(Leaving::Left),
            Turn::Suspend | Turn::Resume => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Leaving::Moved => "moved",
            Leaving::Left => "left",
        }
    }

    /// What ended before this moment keeps no account alive.
    pub fn forgotten_before(self, now_ms: i64) -> i64 {
        let kept = match self {
            Leaving::Moved => MOVED_KEPT_MS,
            Leaving::Left => LEFT_KEPT_MS,
        };
        now_ms.saturating_sub(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-27, P-33: a leaver's data stay a week, a mover's half a year; a suspension erases nothing.
    #[test]
    fn p_33_an_account_is_kept_for_whoever_moves() {
        let day = 24 * 60 * 60 * 1_000;
        assert_eq!(Leaving::Left.forgotten_before(10 * day), 3 * day);
        assert!(Leaving::Moved.forgotten_before(200 * day) == 20 * day);
        let found = Turn::ALL.map(Leaving::of);
        assert_eq!(found, [None, None, Some(Leaving::Moved), Some(Leaving::Left)]);
    }
}
