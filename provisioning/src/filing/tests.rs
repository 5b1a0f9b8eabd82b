//! Piles as they come.

use proptest::prelude::*;

use super::*;

const REALM: &str = "ABCDEF";

fn code(case: &str, pages: u16) -> FormCode {
    FormCode {
        form: Form::Change,
        case: case.to_owned(),
        hash: "0123456789ABCDEF".to_owned(),
        realm: REALM.to_owned(),
        pages,
    }
}

fn with(codes: &[FormCode]) -> Seen {
    Seen { codes: codes.iter().map(FormCode::text).collect(), blank: false }
}

fn known() -> BTreeMap<String, KnownCase> {
    let hashes = BTreeMap::from([(Form::Change, "0123456789ABCDEF".to_owned())]);
    BTreeMap::from([
        ("2026-00001".to_owned(), KnownCase { closed: false, hashes: hashes.clone() }),
        ("2026-00002".to_owned(), KnownCase { closed: false, hashes: hashes.clone() }),
        ("2026-00009".to_owned(), KnownCase { closed: true, hashes }),
    ])
}

fn words(goes: &[Goes]) -> Vec<String> {
    let word = |goes: &Goes| match goes {
        Goes::Case { case, page, .. } => format!("{case}/{page}"),
        Goes::Tray(why) => why.code().to_owned(),
        Goes::Blank => "-".to_owned(),
    };
    goes.iter().map(word).collect()
}

/// E-13: each page to its case, and each reason by its name.
#[test]
fn e_13_a_pile_is_sorted_by_its_codes() {
    let plain = || Seen::default();
    let blank = || Seen { codes: vec![], blank: true };
    let forged = FormCode { hash: "FFFFFFFFFFFFFFFF".to_owned(), ..code("2026-00001", 1) };
    let foreign = FormCode { realm: "000000".to_owned(), ..code("2026-00001", 1) };
    let other_form = FormCode { form: Form::Removal, ..code("2026-00001", 1) };
    let broken = Seen { codes: vec!["MIMAMORI-FORM:3".to_owned()], blank: false };
    let label = Seen { codes: vec!["https://pharmacy.example".to_owned()], blank: false };
    let one = code("2026-00001", 1);
    let beside = Seen { codes: vec!["A label".to_owned(), one.text(), one.text()], blank: false };
    for (pile, expected) in [
        // Three papers, one of two pages, sheets scanned on both sides.
        (
            vec![
                with(&[code("2026-00001", 2)]),
                blank(),
                plain(),
                blank(),
                with(&[code("2026-00002", 1)]),
                blank(),
            ],
            vec!["2026-00001/1", "-", "2026-00001/2", "-", "2026-00002/1", "-"],
        ),
        // A page more than the paper has is nobody's.
        (vec![with(std::slice::from_ref(&one)), plain()], vec!["2026-00001/1", "MM-5850"]),
        (vec![plain(), label, broken], vec!["MM-5850", "MM-5850", "MM-5852"]),
        (vec![with(&[foreign]), with(&[forged]), with(&[other_form])], vec!["MM-5851", "MM-5856", "MM-5856"]),
        (vec![with(&[code("", 1)]), with(&[code("2026-00077", 1)])], vec!["MM-5853", "MM-5854"]),
        // What follows a page that waits, waits with it.
        (vec![with(&[code("2026-00009", 2)]), plain(), plain()], vec!["MM-5855", "MM-5858", "MM-5850"]),
        (vec![with(&[one.clone(), code("2026-00002", 1)]), plain()], vec!["MM-5857", "MM-5850"]),
        (vec![beside], vec!["2026-00001/1"]),
    ] {
        assert_eq!(words(&file(&pile, REALM, &known())), expected);
    }
}

#[test]
fn only_what_may_be_ours_is_looked_up() {
    let foreign = FormCode { realm: "000000".to_owned(), ..code("2026-00001", 1) };
    let pile = [
        with(&[code("2026-00001", 1)]),
        with(&[code("2026-00001", 1)]),
        with(&[foreign]),
        with(&[code("", 1)]),
        with(&[code("2026-00002", 1), code("2026-00009", 1)]),
    ];
    assert_eq!(asked(&pile, REALM), [("2026-00001".to_owned(), Form::Change)]);
}

fn any_page() -> impl Strategy<Value = Seen> {
    let case = prop::sample::select(vec!["", "2026-00001", "2026-00002", "2026-00009", "2026-00077"]);
    let codes = proptest::collection::vec((case, 1u16..4, any::<bool>()), 0..3);
    (codes, any::<bool>()).prop_map(|(codes, blank)| Seen {
        codes: codes
            .into_iter()
            .map(|(case, pages, forged)| {
                let mut code = code(case, pages);
                if forged {
                    code.hash = "FFFFFFFFFFFFFFFF".to_owned();
                }
                code.text()
            })
            .collect(),
        blank,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No page is lost, none comes to a case that no code before it named rightly, and no paper has more pages than it says.
    #[test]
    fn e_13_no_page_is_guessed(pile in proptest::collection::vec(any_page(), 0..12)) {
        let goes = file(&pile, REALM, &known());
        prop_assert_eq!(goes.len(), pile.len());
        for (place, goes) in goes.iter().enumerate() {
            let Goes::Case { case, page, .. } = goes else { continue };
            prop_assert!(case == "2026-00001" || case == "2026-00002");
            let first = pile[..=place].iter().rposition(|seen| !seen.codes.is_empty()).unwrap();
            let reads = ours(&pile[first]);
            let [Read::Ours(code)] = reads.as_slice() else { panic!("{reads:?}") };
            prop_assert_eq!(&code.case, case);
            prop_assert!(*page <= code.pages && code.hash.starts_with('0'));
        }
    }
}
