//! The catalogue of people and claims: every entry whole, every code once, and the page's own words the same.

use super::*;
use std::collections::BTreeSet;

/// Ruling 12: one code per entry, in this file's range, and the same place for the detail in both languages.
#[test]
fn every_entry_is_whole_and_has_a_code_of_its_own() {
    let mut codes = BTreeSet::new();
    for message in PeopleMessage::ALL {
        let words = message.words();
        assert!(codes.insert(words.code), "{} twice", words.code);
        assert!(("MM-5400".."MM-5900").contains(&words.code), "{}", words.code);
        assert!((400..600).contains(&words.status), "{}", words.code);
        assert_eq!(words.ja.contains("{}"), words.en.contains("{}"), "{}", words.code);
        for text in [words.ja, words.en, words.remedy_ja, words.remedy_en] {
            assert!(!text.is_empty(), "{}", words.code);
        }
        assert!(!words.ja.is_ascii() && words.en.is_ascii(), "{}", words.code);
    }
}

/// The page's own entries are the catalogue's, word for word.
#[test]
fn the_claim_page_says_what_the_catalogue_says() {
    let page = include_str!("../../assets/problem.js");
    for message in PeopleMessage::ALL {
        let words = message.words();
        if ("MM-5491".."MM-5499").contains(&words.code) {
            for text in [words.code, words.ja, words.en, words.remedy_ja, words.remedy_en] {
                assert!(page.contains(text), "{text}");
            }
        }
    }
}

#[test]
fn the_detail_says_which_one() {
    let trouble = PeopleMessage::DeviceUnknown.about("18-0042").trouble();
    assert!(trouble.ja.contains("18-0042") && trouble.en.contains("18-0042"));
    assert_eq!(trouble.kind, TroubleKind::NotFound);
}
