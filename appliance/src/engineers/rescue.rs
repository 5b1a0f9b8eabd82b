//! What two engineers may open together: the console's shell, or another registration. Pure; time is an argument.

use super::certificate::Person;

/// Somebody else must agree within it.
pub const ASKED_MS: u64 = 30 * 60 * 1000;
/// In the journal, on one line.
const REASON_MAX: usize = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Shell,
    Registration,
}

/// Nothing is open yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub by: Person,
    pub wanted: Wanted,
    pub reason: String,
    /// Since the machine's start.
    pub until_ms: u64,
}

impl Asked {
    /// `None` without a reason.
    pub fn new(by: Person, wanted: Wanted, reason: &str, now_ms: u64) -> Option<Self> {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect();
        let reason = reason.trim().to_owned();
        let until_ms = now_ms.saturating_add(ASKED_MS);
        (!reason.is_empty()).then_some(Self { by, wanted, reason, until_ms })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// Nobody asks, or not any more.
    Nobody,
    /// Somebody else asks than the one who is agreed with.
    Another,
    /// The same name or the same key: one person is not two.
    Same,
}

/// May `by`, who agrees with whoever is called `with`, be the second?
pub fn second(asked: Option<&Asked>, by: &Person, with: &str, now_ms: u64) -> Result<(), NotOpened> {
    let asked = asked.filter(|asked| now_ms < asked.until_ms).ok_or(NotOpened::Nobody)?;
    if asked.by.is(by) {
        return Err(NotOpened::Same);
    }
    if asked.by.name != with { Err(NotOpened::Another) } else { Ok(()) }
}
