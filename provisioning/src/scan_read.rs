//! A pile is read away from the room's own threads, page by page: its dots are gone before the next one's are made. What is
//! left of a page are its codes and the picture that is kept. Edge: tokio.

use pki::chain::Hash;
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::filing::Seen;
use crate::messages::Message;
use crate::messages_scan::ScanMessage;
use crate::picture::{Media, Picture};
use crate::scan_code;
use crate::scan_file::{FILES_MAX, PAGES_MAX, ScanFile, guarded};
use crate::scan_part::{Budget, WORK_MAX};

/// A page on its way: of which file, and what is kept of it.
pub struct ReadPage {
    pub file: usize,
    pub page: usize,
    pub seen: Seen,
    pub media: Media,
    pub bytes: Zeroizing<Vec<u8>>,
    pub hash: String,
}

/// Files that are whole, and what is wrong with the others.
#[derive(Default)]
pub struct Pile {
    pub files: Vec<Vec<ReadPage>>,
    pub faults: Vec<(usize, ScanMessage)>,
}

pub async fn pile(files: Vec<Vec<u8>>) -> Result<Pile, Fault> {
    if files.is_empty() {
        return Err(ScanMessage::NoFile.into());
    }
    if files.len() > FILES_MAX {
        return Err(ScanMessage::FilesTooMany { limit: FILES_MAX }.into());
    }
    let read = tokio::task::spawn_blocking(move || read(&files)).await;
    Ok(read.map_err(|error| Fault::from(Message::Internal { what: error.to_string() }))??)
}

fn read(files: &[Vec<u8>]) -> Result<Pile, ScanMessage> {
    let (mut pile, mut budget, mut pages) = (Pile::default(), Budget::new(WORK_MAX), 0);
    for (place, bytes) in files.iter().enumerate() {
        let opened = match ScanFile::open(bytes) {
            Ok(opened) => opened,
            Err(message) => {
                pile.faults.push((place + 1, message));
                continue;
            }
        };
        pages += opened.pages();
        if pages > PAGES_MAX {
            return Err(ScanMessage::PagesTooMany { limit: PAGES_MAX });
        }
        let each = (0..opened.pages()).map(|page| {
            let picture = opened.page(page, &mut budget)?;
            let kind = "画像";
            let seen = guarded("codes", || seen(place + 1, page + 1, picture));
            seen.flatten().ok_or(ScanMessage::PageUnreadable { page: page + 1, kind })
        });
        match each.collect::<Result<Vec<ReadPage>, ScanMessage>>() {
            Ok(pages) => pile.files.push(pages),
            Err(message) => pile.faults.push((place + 1, message)),
        }
    }
    Ok(pile)
}

/// Upright, as far as its code says how it lay.
fn seen(file: usize, page: usize, picture: Picture) -> Option<ReadPage> {
    let blank = picture.is_blank();
    let found = if blank { scan_code::Found::default() } else { scan_code::find(&picture) };
    let (media, bytes) = picture.turned(found.quarters).written()?;
    let hash = Hash::of(&bytes).to_string();
    let seen = Seen { codes: found.texts, blank };
    Some(ReadPage { file, page, seen, media, bytes: Zeroizing::new(bytes), hash })
}
