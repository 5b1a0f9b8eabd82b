//! What went wrong in the world, in one sentence with its cause. A pure value.

use std::fmt;

/// The story stops at the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(String);

pub type Told<T> = Result<T, Fault>;

impl Fault {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not the JSON we expected: {error}"))
    }
}

/// Says what was being done when it went wrong.
pub trait While<T> {
    fn while_(self, doing: impl FnOnce() -> String) -> Told<T>;
}

impl<T, E: fmt::Display> While<T> for Result<T, E> {
    fn while_(self, doing: impl FnOnce() -> String) -> Told<T> {
        self.map_err(|error| Fault(format!("{}: {error}", doing())))
    }
}

/// `holds!(condition, "what should have held", …)` or the step fails with that sentence.
#[macro_export]
macro_rules! holds {
    ($condition:expr, $($sentence:tt)+) => {
        if !$condition {
            return Err($crate::fault::Fault::new(format!($($sentence)+)));
        }
    };
}
