//! How a person stands: in a facility (a membership) and altogether. 利用停止, 再開, 異動, 退職 as one table of moves
//! (B-14, B-16, B-24, B-29, H-12, H-14). What has ended stays ended; a new registration begins anew. Pure.

/// As the registry writes it, for memberships and persons alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Active,
    Suspended,
    /// A membership that is over, or an account that was deleted.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// At once, without anybody's agreement (H-12).
    Suspend,
    Resume,
    /// 異動: this facility only; the account stays for the next one (P-25).
    End,
    /// 退職: the same, and an account that nobody else uses loses its personal data (P-33).
    Leave,
}

/// The move is not possible from where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNow(pub Standing);

impl Standing {
    pub const ALL: [Standing; 3] = [Standing::Active, Standing::Suspended, Standing::Ended];

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "active" => Some(Standing::Active),
            "suspended" => Some(Standing::Suspended),
            "ended" | "deleted" => Some(Standing::Ended),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Active => "active",
            Standing::Suspended => "suspended",
            Standing::Ended => "ended",
        }
    }

    pub fn words_ja(self) -> &'static str {
        match self {
            Standing::Active => "利用中",
            Standing::Suspended => "一時停止",
            Standing::Ended => "解除",
        }
    }
}

impl Turn {
    pub const ALL: [Turn; 4] = [Turn::Suspend, Turn::Resume, Turn::End, Turn::Leave];

    /// The word in a URL, the trail and the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Turn::Suspend => "suspend",
            Turn::Resume => "resume",
            Turn::End => "end",
            Turn::Leave => "leave",
        }
    }

    /// The rule that allows it, for the trail.
    pub fn rule_id(self) -> &'static str {
        match self {
            Turn::Suspend => "B-24",
            Turn::Resume => "B-29",
            Turn::End | Turn::Leave => "B-14",
        }
    }
}

/// Where the move leads. `None`: it stands there already, and twice is once.
pub fn turned(now: Standing, turn: Turn) -> Result<Option<Standing>, NotNow> {
    match (now, turn) {
        (Standing::Active, Turn::Suspend) => Ok(Some(Standing::Suspended)),
        (Standing::Suspended, Turn::Resume) => Ok(Some(Standing::Active)),
        (Standing::Active | Standing::Suspended, Turn::End | Turn::Leave) => Ok(Some(Standing::Ended)),
        (Standing::Suspended, Turn::Suspend)
        | (Standing::Active, Turn::Resume)
        | (Standing::Ended, Turn::End | Turn::Leave) => Ok(None),
        (Standing::Ended, Turn::Suspend | Turn::Resume) => Err(NotNow(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H-14: whoever has left comes back by a new registration only, whatever is pressed.
    #[test]
    fn h_14_nothing_leads_out_of_the_end() {
        for turn in Turn::ALL {
            assert!(!matches!(turned(Standing::Ended, turn), Ok(Some(_))), "{turn:?}");
        }
    }

    /// Pressing twice is pressing once; every stop can be taken back but the end.
    #[test]
    fn h_12_twice_is_once_and_a_stop_can_be_lifted() {
        for now in Standing::ALL {
            for turn in Turn::ALL {
                if let Ok(Some(next)) = turned(now, turn) {
                    assert_ne!(now, next);
                    assert_eq!(turned(next, turn), Ok(None), "{now:?} {turn:?}");
                }
            }
        }
        assert_eq!(turned(Standing::Suspended, Turn::Resume), Ok(Some(Standing::Active)));
        assert_eq!(Standing::ALL.map(|it| Standing::parse(it.as_str())), Standing::ALL.map(Some));
    }
}
