//! The fonts' files: opened before the jail, read only when a paper is printed, one paper at a time. Without them nothing is
//! printed and everything else works. Edge: files.

use std::fs::File;
use std::os::unix::fs::FileExt;

use tokio::sync::Mutex;

use crate::font::{Font, Fonts};
use crate::messages_paper::PaperMessage;

/// Debian's fonts-ipaexfont-gothic (JIS X 0213 and the names beyond it), and fonts-vlgothic for what that one takes for
/// the same character as another one (𠮷). Ten megabytes together; the image brings both.
pub const PATHS: [&str; 2] = [
    "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
    "/usr/share/fonts/truetype/vlgothic/VL-Gothic-Regular.ttf",
];
/// Some four times what they are: nothing else is read by mistake.
const SIZE_MAX: u64 = 24 << 20;

pub struct FontFiles {
    files: Vec<(&'static str, Option<File>)>,
    /// Held while a paper is drawn: papers in a row, not their fonts in memory side by side.
    pub turn: Mutex<()>,
}

impl FontFiles {
    pub fn open() -> Self {
        Self::at(&PATHS)
    }

    pub fn at(paths: &[&'static str]) -> Self {
        let files = paths.iter().map(|path| (*path, File::open(path).ok())).collect();
        Self { files, turn: Mutex::new(()) }
    }

    pub fn read(&self) -> Result<Fonts, PaperMessage> {
        let fonts: Result<Vec<Font>, PaperMessage> =
            self.files.iter().map(|(path, file)| read(path, file.as_ref())).collect();
        fonts.map(Fonts::new)
    }
}

fn read(path: &str, file: Option<&File>) -> Result<Font, PaperMessage> {
    let broken = |why: String| PaperMessage::FontBroken { why: format!("{path}: {why}") };
    let file = file.ok_or_else(|| PaperMessage::FontMissing { path: path.to_owned() })?;
    let size = file.metadata().map_err(|error| broken(error.to_string()))?.len();
    if size > SIZE_MAX {
        return Err(broken(format!("{size} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0).map_err(|error| broken(error.to_string()))?;
    Font::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_the_fonts_says_which_packages_are_missing() {
        let refused = FontFiles::at(&["/nowhere/ipaexg.ttf"]).read().err().unwrap();
        assert_eq!(refused.code(), "MM-5901");
        let text = refused.text();
        assert!(text.ja.contains("/nowhere/ipaexg.ttf") && text.remedy_ja.contains("fonts-vlgothic"));
    }
}
