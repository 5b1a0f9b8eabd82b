//! The pages: 患者一覧, one team's posts, and a refusal. Small HTML that works without its script, Japanese,
//! big targets; the style sheet is the gateway's. Pure: values in, text out; askama escapes every value.

use askama::Template;

use crate::messages::Message;
use crate::post::{Lane, TEXT_HARD_CHARS, TEXT_SOFT_CHARS};
use crate::team::{FacilityAcknowledged, by_facility};
use crate::view::{SeenPost, TeamCard, Timeline};

#[derive(Template)]
#[template(path = "teams.html")]
struct TeamsPage<'a> {
    teams: &'a [TeamCard],
}

#[derive(Template)]
#[template(path = "team.html")]
struct TeamPage<'a> {
    team: &'a TeamCard,
    posts: &'a [SeenPost],
    before: Option<i64>,
    /// An older page stands still while new posts come.
    older: bool,
    /// The family's own posts are the family's to read; it has nothing to choose.
    chooses_lane: bool,
    once: &'a str,
    soft: usize,
    hard: usize,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    message: Message,
    trace: &'a str,
}

pub fn teams(teams: &[TeamCard]) -> Result<String, askama::Error> {
    TeamsPage { teams }.render()
}

/// Keeps an open team's page new.
pub const TEAM_SCRIPT: &str = include_str!("../assets/team.js");

/// `once` names this page's form, so that pressing the button twice posts once.
pub fn team(
    timeline: &Timeline,
    older: bool,
    chooses_lane: bool,
    once: &str,
) -> Result<String, askama::Error> {
    let page = TeamPage {
        team: &timeline.team,
        posts: &timeline.posts,
        before: timeline.before,
        older,
        chooses_lane,
        once,
        soft: TEXT_SOFT_CHARS,
        hard: TEXT_HARD_CHARS,
    };
    page.render()
}

pub fn refusal(message: Message, trace: &str) -> Result<String, askama::Error> {
    RefusalPage { message, trace }.render()
}

/// As people here read a time: `11月20日 21:57` in Japan's.
fn time(at_ms: &i64) -> String {
    const JAPAN_HOURS: i8 = 9;
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(JAPAN_HOURS));
    match jiff::Timestamp::from_millisecond(*at_ms) {
        Ok(at) => at.to_zoned(zone).strftime("%-m月%-d日 %H:%M").to_string(),
        Err(_) => String::new(),
    }
}

fn for_family(post: &SeenPost) -> bool {
    post.lane == Lane::Family
}

fn facilities(post: &SeenPost) -> Vec<FacilityAcknowledged> {
    by_facility(&post.acks)
}

#[cfg(test)]
mod tests {
    use pki::identity::{FacilityId, PatientId};

    use super::*;
    use crate::post::PostId;
    use crate::team::Display;

    fn timeline(text: &str) -> Timeline {
        let team = TeamCard {
            patient: PatientId::from_random([1; 10]),
            name: "山田太郎".into(),
            kana: "ヤマダタロウ".into(),
            origin: FacilityId::from_random([1; 10]),
            closed: false,
            facilities: vec![(FacilityId::from_random([1; 10]), "ふくい医院".into())],
            members: 2,
            awaiting: 1,
            last_event: 1,
        };
        let post = SeenPost {
            post: PostId::from_random([1; 10]),
            number: 1,
            at_ms: 0,
            urgent: true,
            lane: Lane::Professionals,
            author: Display {
                name: "鈴木".into(), profession: "看護師".into(), facility: "訪看".into()
            },
            author_facility: FacilityId::from_random([1; 10]),
            text: text.into(),
            mine: false,
            awaits: true,
            acks: Vec::new(),
        };
        Timeline { team, posts: vec![post], before: None }
    }

    #[test]
    fn what_people_write_is_text_and_never_markup() {
        let page = team(&timeline("<script>alert(1)</script>\"'&"), false, true, "x\"y").unwrap();
        assert!(!page.contains("<script>") && page.contains("&#60;script&#62;"));
        assert!(!page.contains("x\"y"));
    }

    #[test]
    fn pages_are_japanese_and_carry_nothing_inline() {
        let pages = [
            teams(&[timeline("x").team]).unwrap(),
            team(&timeline("x"), false, true, "once").unwrap(),
            refusal(Message::NoSuchTeam, "0123456789abcdef").unwrap(),
        ];
        for page in pages {
            assert!(page.contains("<html lang=\"ja\">") && page.contains("/assets/mimamori.css"));
            for banned in ["<script>", "style=", "onclick", "http://", "https://"] {
                assert!(!page.contains(banned), "{banned}");
            }
        }
    }

    #[test]
    fn times_are_japans() {
        assert_eq!(time(&0), "1月1日 09:00");
    }
}
