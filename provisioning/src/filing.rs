//! Where each page of a pile goes (E-13): a page with a code of ours begins its paper, which is checked against its case; pages
//! without one follow it as far as it says; the rest waits to be sorted, each with its reason. Nothing is guessed. Pure.

use std::collections::BTreeMap;

use crate::flow_forms::Form;
use crate::form_code::{self, FormCode, Read};
use crate::messages_scan::ScanMessage;

/// A page as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What its codes say.
    pub codes: Vec<String>,
    pub blank: bool,
}

/// What the registry knows of a case that a code names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCase {
    /// Done, or withdrawn.
    pub closed: bool,
    /// What its forms, printed now, would say, by form.
    pub hashes: BTreeMap<Form, String>,
}

/// Where a page goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goes {
    /// `page` of this paper, from 1.
    Case {
        case: String,
        form: Form,
        page: u16,
    },
    Tray(ScanMessage),
    /// The back of a sheet: kept nowhere.
    Blank,
}

/// The codes of ours on a page, once each.
fn ours(seen: &Seen) -> Vec<Read> {
    let mut found = Vec::new();
    for code in &seen.codes {
        let read = form_code::read(code);
        if read != Read::Other && !found.contains(&read) {
            found.push(read);
        }
    }
    found
}

/// Which forms of which cases must be looked up.
pub fn asked(pages: &[Seen], realm: &str) -> Vec<(String, Form)> {
    let mut asked = Vec::new();
    for seen in pages {
        let found = ours(seen);
        let [Read::Ours(code)] = found.as_slice() else { continue };
        let pair = (code.case.clone(), code.form);
        if code.realm == realm && !code.case.is_empty() && !asked.contains(&pair) {
            asked.push(pair);
        }
    }
    asked
}

/// One place for each page, in their order.
pub fn file(pages: &[Seen], realm: &str, known: &BTreeMap<String, KnownCase>) -> Vec<Goes> {
    let mut open = Open::Nothing;
    let place = |seen: &Seen| {
        let found = ours(seen);
        let goes = match found.as_slice() {
            [] => return follow(&mut open, seen),
            [Read::Ours(code)] => begin(code, realm, known),
            [Read::Broken | Read::Other] => Err(ScanMessage::CodeBroken),
            _ => Err(ScanMessage::CodesTwo),
        };
        let pages = if let [Read::Ours(code)] = found.as_slice() { code.pages } else { 1 };
        match goes {
            Ok((case, form)) => {
                open = Open::Paper { case: case.clone(), form, page: 1, pages };
                Goes::Case { case, form, page: 1 }
            }
            Err(why) => {
                open = Open::Waiting { left: pages - 1 };
                Goes::Tray(why)
            }
        }
    };
    pages.iter().map(place).collect()
}

/// The paper that the last page belongs to.
enum Open {
    Nothing,
    Paper { case: String, form: Form, page: u16, pages: u16 },
    Waiting { left: u16 },
}

fn follow(open: &mut Open, seen: &Seen) -> Goes {
    if seen.blank {
        return Goes::Blank;
    }
    match open {
        Open::Paper { case, form, page, pages } if *page < *pages => {
            *page += 1;
            Goes::Case { case: case.clone(), form: *form, page: *page }
        }
        Open::Waiting { left } if *left > 0 => {
            *left -= 1;
            Goes::Tray(ScanMessage::Follows)
        }
        _ => Goes::Tray(ScanMessage::NoCode),
    }
}

fn begin(
    code: &FormCode,
    realm: &str,
    known: &BTreeMap<String, KnownCase>,
) -> Result<(String, Form), ScanMessage> {
    if code.realm != realm {
        return Err(ScanMessage::OtherRealm);
    }
    if code.case.is_empty() {
        return Err(ScanMessage::NoCase { form: code.form.name_ja() });
    }
    let case = code.case.clone();
    let found = known.get(&case).ok_or(ScanMessage::CaseUnknown { case: case.clone() })?;
    if found.hashes.get(&code.form) != Some(&code.hash) {
        return Err(ScanMessage::HashDiffers { case });
    }
    if found.closed {
        return Err(ScanMessage::CaseClosed { case });
    }
    Ok((case, code.form))
}

#[cfg(test)]
mod tests;
