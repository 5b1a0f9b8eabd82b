//! Bad samples: small rooms that break a rule, to see that the rule notices.

use super::source::Room;

/// A room from `(file below src, text)`.
pub fn room(name: &str, dependencies: &str, files: &[(&str, &str)]) -> Room {
    let texts = files.iter().map(|(path, text)| (format!("{name}/src/{path}"), (*text).to_owned())).collect();
    Room::of(name.to_owned(), format!("[dependencies]\n{dependencies}\n"), texts)
}
