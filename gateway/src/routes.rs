//! The gateway's own paths, and the class of every other one: what an audit line may say about a
//! path without naming a patient, a post or a person. Pure. Ruling 11.

use std::fmt;

/// A path of the gateway itself on the SNS and console hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    SignIn,
    SignOut,
    Password,
    /// A person's own passkeys: the list, a new one, one less.
    Passkeys,
    PasskeyOffer,
    PasskeyRemove,
    /// What an authenticator is asked before anybody is signed in, and its answer.
    PasskeyChallenge,
    PasskeySignIn,
}

pub fn own(path: &str) -> Option<Own> {
    match path {
        "/sign-in" => Some(Own::SignIn),
        "/sign-out" => Some(Own::SignOut),
        "/password" => Some(Own::Password),
        "/passkeys" => Some(Own::Passkeys),
        "/passkeys/offer" => Some(Own::PasskeyOffer),
        "/passkeys/remove" => Some(Own::PasskeyRemove),
        "/sign-in/passkey" => Some(Own::PasskeySignIn),
        "/sign-in/passkey/challenge" => Some(Own::PasskeyChallenge),
        _ => None,
    }
}

/// Longest word of a route of ours.
const WORD_MAX: usize = 20;
/// Deepest route of ours, and some.
const DEPTH_MAX: usize = 8;

/// `/api/teams/t-abc/posts?x=y` -> `/api/teams/{}/posts`.
pub struct Class<'a>(pub &'a str);

impl fmt::Display for Class<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.split('?').next().unwrap_or("");
        for (depth, segment) in path.split('/').skip(1).enumerate() {
            f.write_str("/")?;
            if depth >= DEPTH_MAX {
                return f.write_str("…");
            }
            f.write_str(if is_word(segment) { segment } else { "{}" })?;
        }
        Ok(())
    }
}

/// A word of a route: lower-case letters, dashes and dots; ids are `x-…` or hold digits.
fn is_word(segment: &str) -> bool {
    segment.len() <= WORD_MAX
        && segment.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'.')
        && segment.as_bytes().get(1) != Some(&b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_and_no_query_is_in_a_class() {
        for (path, expected) in [
            ("/", "/"),
            ("/api/teams", "/api/teams"),
            ("/api/teams/t-abcdefgh/posts?name=yamada", "/api/teams/{}/posts"),
            ("/api/devices/18-0042/lost", "/api/devices/{}/lost"),
            ("/%E5%B1%B1/x", "/{}/x"),
            ("/api/YAMADA", "/api/{}"),
            ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/…"),
        ] {
            assert_eq!(Class(path).to_string(), expected);
        }
    }
}
