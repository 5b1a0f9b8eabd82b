//! How a command ends: the closed set of exit codes that scripts may rely on. A pure value.

use std::process::ExitCode;

/// The numbers never change their meaning; 64 and 75 are those of sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    /// A conflict, or a quota that is used up.
    Conflict = 4,
    Denied = 5,
    /// `status --check`: it runs, but not everything is as it should be.
    Degraded = 6,
    BadConfig = 64,
    /// Nothing is wrong with the question; ask again later.
    TryLater = 75,
}

impl Exit {
    pub const ALL: [Exit; 9] = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::NotFound,
        Exit::Conflict,
        Exit::Denied,
        Exit::Degraded,
        Exit::BadConfig,
        Exit::TryLater,
    ];

    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the number means, Japanese first.
    pub fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Exit::Ok => ("できました", "done"),
            Exit::Failed => ("失敗しました", "failed"),
            Exit::Usage => ("使い方が違います", "wrong usage"),
            Exit::NotFound => ("見つかりません", "not found"),
            Exit::Conflict => ("すでにある、または上限です", "conflict or quota"),
            Exit::Denied => ("許可されていません", "denied"),
            Exit::Degraded => ("動いていますが不足があります", "degraded"),
            Exit::BadConfig => ("設定が正しくありません", "bad configuration"),
            Exit::TryLater => ("あとでもう一度", "try later"),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
