//! A file of scans: its kind by its first octets, its pages one after the other, each under the limits. A file is read whole
//! or not at all: a bad page ends it with the page's name. Pure.

use std::panic::{self, AssertUnwindSafe};

use crate::messages_scan::ScanMessage;
use crate::picture::Picture;
use crate::scan_part::{self, Budget};
use crate::scan_pdf::{self, Pdf};
use crate::scan_tiff::{self, Tiff};

/// Below what the gateway lets through with everything around it.
pub const FILE_MAX: usize = 20 * 1024 * 1024;
/// A pile that a feeder takes at once.
pub const PAGES_MAX: usize = 100;
/// Files of one upload.
pub const FILES_MAX: usize = 20;

/// Pages that are found and not yet read.
pub enum ScanFile<'a> {
    Png(&'a [u8]),
    Jpeg(&'a [u8]),
    Tiff(Tiff<'a>),
    Pdf(Pdf<'a>),
}

impl<'a> ScanFile<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, ScanMessage> {
        if bytes.len() > FILE_MAX {
            return Err(ScanMessage::FileTooLarge { limit_mib: FILE_MAX / 1024 / 1024 });
        }
        guarded("", || {
            if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
                Ok(ScanFile::Png(bytes))
            } else if bytes.starts_with(b"\xff\xd8\xff") {
                Ok(ScanFile::Jpeg(bytes))
            } else if scan_tiff::is_tiff(bytes) {
                Tiff::open(bytes, PAGES_MAX).map(ScanFile::Tiff)
            } else if scan_pdf::is_pdf(bytes) {
                Pdf::open(bytes, PAGES_MAX).map(ScanFile::Pdf)
            } else {
                Err(ScanMessage::FileKind)
            }
        })
        .unwrap_or(Err(ScanMessage::FileBroken { kind: "ファイル" }))
    }

    pub fn pages(&self) -> usize {
        match self {
            ScanFile::Png(_) | ScanFile::Jpeg(_) => 1,
            ScanFile::Tiff(file) => file.pages(),
            ScanFile::Pdf(file) => file.pages(),
        }
    }

    /// `place` from 0.
    pub fn page(&self, place: usize, budget: &mut Budget) -> Result<Picture, ScanMessage> {
        let page = place + 1;
        let read = || match self {
            ScanFile::Png(bytes) => scan_part::png(page, bytes, budget),
            ScanFile::Jpeg(bytes) => scan_part::jpeg(page, bytes, budget),
            ScanFile::Tiff(file) => file.page(place, page, budget),
            ScanFile::Pdf(file) => file.page(place, page, budget),
        };
        guarded("page", read).unwrap_or(Err(ScanMessage::PageUnreadable { page, kind: "画像" }))
    }
}

/// A decoder's mistake about foreign octets is the file's fault, and ends nothing else.
pub fn guarded<T>(what: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        log::error!(CODE = "MM-5845"; "a reader of pictures gave up: {what}");
    }
    done.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scan_part::WORK_MAX;

    #[test]
    fn the_kind_is_told_by_the_content_and_the_rest_is_named() {
        for (bytes, code) in [
            (&b""[..], "MM-5840"),
            (b"PK\x03\x04", "MM-5840"),
            (b"GIF89a", "MM-5840"),
            (b"II\x2a\0", "MM-5848"),
            (b"%PDF-1.4\n%%EOF", "MM-5848"),
            (b"%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 1 0 R/Kids[1 0 R]>> endobj", "MM-5848"),
            (b"%PDF-1.4\ntrailer <</Encrypt 1 0 R>>", "MM-5846"),
        ] {
            let refused = ScanFile::open(bytes).err().unwrap();
            assert_eq!(refused.code(), code, "{}", String::from_utf8_lossy(bytes));
        }
        let large = vec![b'a'; FILE_MAX + 1];
        assert_eq!(ScanFile::open(&large).err().unwrap().code(), "MM-5841");
        for bytes in [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff\xd9"] {
            let file = ScanFile::open(bytes).unwrap();
            assert_eq!(file.page(0, &mut Budget::new(WORK_MAX)).unwrap_err().code(), "MM-5845");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_octets_are_answered(kind in 0usize..4, rest in proptest::collection::vec(any::<u8>(), 0..300)) {
            let heads: [&[u8]; 4] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II\x2a\0\x08\0\0\0", b"%PDF-1.4\n1 0 obj "];
            let bytes = [heads[kind], &rest].concat();
            if let Ok(file) = ScanFile::open(&bytes) {
                for place in 0..file.pages().min(3) {
                    let _ = file.page(place, &mut Budget::new(1_000_000));
                }
            }
        }
    }
}
