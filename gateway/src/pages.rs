//! The gateway's own pages: sign-in, password, choice of membership, start, つながらないとき, and what
//! a person sees instead of an error. Templates in `templates/`; the one stylesheet of every origin.
//! Pure. Rulings 1, 12 and 15.

use askama::Template;
use pki::identity::Role;

use crate::forms::{Choice, Problem};
use crate::messages::Words;

/// Served by the gateway under this path on every origin.
pub const STYLESHEET_PATH: &str = "/assets/mimamori.css";
pub const STYLESHEET: &str = include_str!("../assets/mimamori.css");

/// Asks the browser for its authenticator; without it the pages do all but passkeys.
pub const PASSKEY_SCRIPT_PATH: &str = "/assets/passkey.js";
pub const PASSKEY_SCRIPT: &str = include_str!("../assets/passkey.js");

/// A bar of what went wrong.
pub struct Notice {
    pub code: String,
    pub ja: String,
    pub en: String,
    pub remedy_ja: String,
}

impl Notice {
    pub fn bad(words: Words) -> Self {
        Self {
            code: words.code.to_owned(),
            ja: words.ja.to_owned(),
            en: words.en.to_owned(),
            remedy_ja: words.remedy_ja.to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    pub realm: String,
    pub login: String,
    pub notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "choose.html")]
pub struct ChoosePage {
    pub realm: String,
    pub ticket: String,
    pub memberships: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "password.html")]
pub struct PasswordPage {
    pub realm: String,
    /// The first password; nothing else works before.
    pub forced: bool,
    pub notice: Option<Notice>,
}

/// A person's passkeys at this name.
#[derive(Template)]
#[template(path = "passkeys.html")]
pub struct PasskeysPage {
    pub realm: String,
    pub notice: Option<Notice>,
    pub passkeys: Vec<PasskeyRow>,
}

pub struct PasskeyRow {
    pub credential: String,
    pub label: String,
    /// Made and last used, as dates.
    pub made: String,
    pub used: Option<String>,
}

#[derive(Template)]
#[template(path = "start.html")]
pub struct StartPage {
    pub realm: String,
    pub slot: Option<String>,
    pub claim: String,
}

#[derive(Template)]
#[template(path = "help.html")]
pub struct HelpPage {
    pub realm: String,
    pub slot: Option<String>,
    pub code: Option<String>,
}

#[derive(Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    pub realm: String,
    pub problem: Problem,
}

fn role_ja(role: &Role) -> &'static str {
    match role {
        Role::Secretariat => "SNS事務局",
        Role::FacilityAdmin => "施設内管理者",
        Role::Staff => "施設内利用者（職員）",
        Role::Family => "患者・家族",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Message;

    #[test]
    fn what_people_type_is_escaped_and_nothing_comes_from_another_host() {
        let page = SignInPage {
            realm: "みまもり<script>".into(),
            login: "\"><script>alert(1)</script>".into(),
            notice: Some(Notice::bad(Message::SignInFailed.words())),
        };
        let html = page.render().unwrap();
        // One script, of our own and by its name.
        assert_eq!(html.matches("<script").count(), 1);
        assert!(html.contains(&format!("<script src=\"{PASSKEY_SCRIPT_PATH}\"></script>")));
        for absolute in ["http://", "https://", "src=\"//", "style=\""] {
            assert!(!html.contains(absolute), "{absolute}");
        }
        assert!(!STYLESHEET.contains("http") && !STYLESHEET.contains("@import"));
    }

    #[test]
    fn the_help_page_shows_slot_and_code() {
        let page =
            HelpPage {
                realm: "みまもり".into(), slot: Some("18-0042".into()), code: Some("0427".into())
            };
        let html = page.render().unwrap();
        assert!(html.contains("18-0042") && html.contains("0427"));
    }
}
