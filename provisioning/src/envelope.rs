//! Where an address stands: in the window of an envelope, in which corner of it the paper may ever lie, or on a label. An
//! address that does not fit is refused before anything is printed. Millimetres from the upper left corner. Pure.

use unicode_normalization::UnicodeNormalization;

use crate::font::{Fonts, Glyph};
use crate::messages_paper::PaperMessage;
use crate::messages_post::PostMessage;
use crate::paper_sheet::Unprinted;
use crate::pdf::Mark;

/// Points of a millimetre.
pub const MM: f32 = 72.0 / 25.4;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

impl Area {
    pub fn holds(self, other: Area) -> bool {
        other.x >= self.x
            && other.y >= self.y
            && other.x + other.width <= self.x + self.width
            && other.y + other.height <= self.y + self.height
    }

    pub fn touches(self, other: Area) -> bool {
        other.x < self.x + self.width
            && self.x < other.x + other.width
            && other.y < self.y + self.height
            && self.y < other.y + other.height
    }
}

/// 長形3号, lying on its long side.
pub const ENVELOPE: (f32, f32) = (235.0, 120.0);
/// Its window as the trade sells it, 45 × 90 mm; the post asks for 45 × 80 at least.
pub const WINDOW: Area = Area { x: 20.0, y: 12.0, width: 90.0, height: 45.0 };
/// A4, folded twice: where, and how much of it lies behind the window.
pub const PAPER: (f32, f32) = (210.0, 297.0);
pub const FOLDS: [f32; 2] = [99.0, 198.0];
/// How far the folded paper slides: the post wants an address that stays in the window wherever it lies.
pub const PLAY: (f32, f32) = (ENVELOPE.0 - PAPER.0, ENVELOPE.1 - FOLDS[0]);
/// What a window, a fold and a printer are off by.
const TOLERANCE: f32 = 1.5;
/// What is seen of the paper however it lies: here stands the address.
pub const SAFE: Area = Area {
    x: WINDOW.x + TOLERANCE,
    y: WINDOW.y + TOLERANCE,
    width: WINDOW.width - PLAY.0 - 2.0 * TOLERANCE,
    height: WINDOW.height - PLAY.1 - 2.0 * TOLERANCE,
};
/// What may ever be seen of it: here stands nothing else.
pub const SEEN: Area = Area {
    x: 0.0,
    y: 0.0,
    width: WINDOW.x + WINDOW.width + TOLERANCE,
    height: WINDOW.y + WINDOW.height + TOLERANCE,
};

/// Sizes tried one after the other, in points of the name; smaller is read by nobody's machine.
const SIZES: [f32; 4] = [11.0, 9.5, 8.5, 7.5];
/// The rest beside the name, and a line's height to its letters.
const REST: f32 = 0.86;
const LEAD: f32 = 1.22;

/// Who stands on an envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// `910-0005`; empty when nobody has said.
    pub postcode: String,
    pub place: String,
    pub name: String,
    /// With title and 様; empty: the name gets its 御中.
    pub person: String,
}

impl Address {
    /// `place` as registered, perhaps with its postal code in front.
    pub fn new(place: &str, name: &str, title: &str, person: &str) -> Self {
        let (postcode, place) = split_postcode(place);
        let person = match (title.trim(), person.trim()) {
            (_, "") => String::new(),
            // A family's own name once.
            (_, person) if person == name.trim() => String::new(),
            ("", person) => format!("{person} 様"),
            (title, person) => format!("{title}　{person} 様"),
        };
        Self { postcode, place, name: name.trim().to_owned(), person }
    }

    /// What may be printed into `area`, in the largest size that fits.
    pub fn marks(&self, fonts: &Fonts, area: Area) -> Result<Vec<Mark>, Unprinted> {
        for size in SIZES {
            if let Some(marks) = self.laid(fonts, area, size)? {
                return Ok(marks);
            }
        }
        let given = format!("{} {}", self.place, self.name);
        Err(Unprinted::Post(PostMessage::AddressLong { given: given.chars().take(120).collect() }))
    }

    fn laid(&self, fonts: &Fonts, area: Area, size: f32) -> Result<Option<Vec<Mark>>, PaperMessage> {
        let (small, width) = (size * REST, area.width * MM);
        let postcode = if self.postcode.is_empty() { String::new() } else { format!("〒{}", self.postcode) };
        let name = if self.person.is_empty() { format!("{}　御中", self.name) } else { self.name.clone() };
        let mut marks = Vec::new();
        let mut y = area.y * MM;
        for (text, size) in [(&postcode, small), (&self.place, small), (&name, size), (&self.person, size)] {
            for glyphs in lines(fonts.glyphs(text)?, width * 1000.0 / size) {
                // A word longer than the line stands out: this size does not fit.
                if glyphs.iter().map(|glyph| glyph.width).sum::<f32>() * size / 1000.0 > width {
                    return Ok(None);
                }
                y += size * LEAD;
                marks.push(Mark::Text { x: area.x * MM, y: y - size * 0.25, size, glyphs });
            }
        }
        Ok((y <= (area.y + area.height) * MM).then_some(marks))
    }
}

/// A postal code in front of an address, however it was typed.
pub fn split_postcode(text: &str) -> (String, String) {
    let none = || (String::new(), text.trim().to_owned());
    let trimmed = text.trim().trim_start_matches('〒').trim_start();
    let mut digits = String::new();
    let mut rest = trimmed;
    for character in trimmed.chars() {
        let plain = character.nfkc().next().unwrap_or(character);
        match plain {
            '0'..='9' if digits.len() < 7 => digits.push(plain),
            '-' | '‐' | '−' | 'ー' | '―' if digits.len() == 3 => {}
            _ => break,
        }
        rest = &rest[character.len_utf8()..];
    }
    if digits.len() != 7 || rest.starts_with(|c: char| c.is_alphanumeric() && c.is_numeric()) {
        return none();
    }
    (format!("{}-{}", &digits[..3], &digits[3..]), rest.trim().to_owned())
}

/// Lines that break between words: numbers and Latin words stay whole, blanks are dropped where a line begins.
fn lines(glyphs: Vec<Glyph>, width: f32) -> Vec<Vec<Glyph>> {
    let (mut lines, mut line, mut filled): (Vec<Vec<Glyph>>, Vec<Glyph>, f32) = (Vec::new(), Vec::new(), 0.0);
    let mut words: Vec<Vec<Glyph>> = Vec::new();
    for glyph in glyphs {
        let joins = words.last().and_then(|word| word.last()).is_some_and(|last| sticks(last, &glyph));
        match words.last_mut() {
            Some(word) if joins => word.push(glyph),
            _ => words.push(vec![glyph]),
        }
    }
    for word in words {
        let wide: f32 = word.iter().map(|glyph| glyph.width).sum();
        if filled + wide > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            filled = 0.0;
        }
        if line.is_empty() && word.iter().all(|glyph| glyph.text.trim().is_empty()) {
            continue;
        }
        filled += wide;
        line.extend(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// `9-1-12`, `Care`, `御中` and `様` with what stands before it.
fn sticks(last: &Glyph, next: &Glyph) -> bool {
    let word = |glyph: &Glyph| {
        glyph.text.nfkc().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '−' | '‐' | '.' | '\''))
    };
    (word(last) && word(next))
        || matches!((last.text.as_str(), next.text.as_str()), ("御", "中") | (" ", "様"))
        || "、。）」』・ーぁぃぅぇぉゃゅょっァィゥェォャュョッ".contains(next.text.as_str())
}

/// What a mark covers, roughly: a text from a letter's height above its line to a quarter below.
pub fn covers(mark: &Mark) -> Area {
    let area = |x: f32, y: f32, width: f32, height: f32| Area {
        x: x / MM,
        y: y / MM,
        width: width / MM,
        height: height / MM,
    };
    match mark {
        Mark::Text { x, y, size, glyphs } => {
            let wide: f32 = glyphs.iter().map(|glyph| glyph.width).sum::<f32>() * size / 1000.0;
            area(*x, y - size * 0.9, wide, size * 1.1)
        }
        Mark::Line { from, to, width } => area(
            from.0.min(to.0),
            from.1.min(to.1),
            (from.0 - to.0).abs().max(*width),
            (from.1 - to.1).abs().max(*width),
        ),
        Mark::Box { x, y, width, height, .. } => area(*x, *y, *width, *height),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::tests::installed;

    fn texts(marks: &[Mark]) -> Vec<String> {
        let text = |mark: &Mark| match mark {
            Mark::Text { glyphs, .. } => glyphs.iter().map(|glyph| glyph.text.as_str()).collect(),
            _ => String::new(),
        };
        marks.iter().map(text).collect()
    }

    /// The post's rule for windows: wherever the paper slides, the whole address is seen.
    #[test]
    fn the_address_is_in_the_window_in_every_corner_of_the_envelope() {
        for dx in [0.0, PLAY.0] {
            for dy in [0.0, PLAY.1] {
                let moved = |area: Area| Area { x: area.x + dx, y: area.y + dy, ..area };
                assert!(WINDOW.holds(moved(SAFE)), "{dx} {dy}");
                let below = Area { x: 0.0, y: SEEN.height, width: PAPER.0, height: 1.0 };
                let beside = Area { x: SEEN.width, y: 0.0, width: 1.0, height: FOLDS[0] };
                assert!(!WINDOW.touches(moved(below)) && !WINDOW.touches(moved(beside)), "{dx} {dy}");
            }
        }
        const { assert!(SEEN.height < FOLDS[0] && SAFE.width > 60.0 && SAFE.height > 20.0) };
    }

    #[test]
    fn a_name_as_it_is_written_is_laid_out_whole() {
        let fonts = installed();
        for (place, name, person) in [
            ("〒910-0005 福井県福井市大手9-1-12", "さくら通り内科クリニック", "桜井 由美"),
            (
                "９１８８１８８　福井県福井市和田東２−２００１　髙﨑ビル３０５号室",
                "𠮷﨑訪問看護ステーション",
                "髙﨑 𠮷江",
            ),
            (
                "〒916-0022 福井県鯖江市水落町二丁目30番1号 みずおちコミュニティプラザ本館東棟4階",
                "社会福祉法人みずおち福祉会 小規模多機能型居宅介護事業所さわやかの里みずおち",
                "山田 太郎",
            ),
            ("福井県大野市", "田中 花", "田中 花"),
        ] {
            let address = Address::new(place, name, "施設内管理者", person);
            let marks = address.marks(&fonts, SAFE).unwrap();
            assert!(marks.iter().all(|mark| SAFE.holds(covers(mark))), "{:?}", texts(&marks));
            let whole: String = texts(&marks).concat().replace(['　', ' '], "");
            for part in [&address.postcode, &address.place, &address.name, &address.person] {
                assert!(whole.contains(&part.replace(['　', ' '], "")), "{part} in {whole}");
            }
        }
        let own = Address::new("福井県大野市", "田中 花", "施設内管理者", "田中 花");
        assert!(texts(&own.marks(&fonts, SAFE).unwrap()).concat().ends_with("御中"), "named once");
    }

    #[test]
    fn numbers_and_words_stay_whole() {
        let fonts = installed();
        let address = Address::new("福井県福井市三郎丸四丁目字上川原壱弐参 1234-5678-90", "A", "", "");
        let shown = texts(&address.marks(&fonts, SAFE).unwrap());
        assert!(shown.iter().any(|line| line.contains("1234-5678-90")), "{shown:?}");
    }

    /// Never cut, never smaller than can be read: refused, with the address in the message.
    #[test]
    fn what_does_not_fit_is_refused_before_it_is_printed() {
        let fonts = installed();
        let long = "福井県福井市大手".repeat(12);
        let address = Address::new(&long, &"長".repeat(100), "施設内管理者", &"名".repeat(60));
        let refused = address.marks(&fonts, SAFE).unwrap_err();
        assert!(matches!(&refused, Unprinted::Post(message) if message.code() == "MM-5981"), "{refused}");
        let word = Address::new("福井県", &"A".repeat(100), "", "");
        assert!(matches!(word.marks(&fonts, SAFE), Err(Unprinted::Post(_))), "one word of 100 letters");
        let odd = Address::new("福井県", "山\u{10fffd}", "", "");
        assert!(matches!(odd.marks(&fonts, SAFE), Err(Unprinted::Paper(PaperMessage::FontLacks { .. }))));
    }

    #[test]
    fn a_postal_code_is_found_however_it_is_typed() {
        for (given, code, rest) in [
            ("〒910-0005 福井県福井市", "910-0005", "福井県福井市"),
            ("９１０－０００５　福井県", "910-0005", "福井県"),
            ("9100005福井県", "910-0005", "福井県"),
            ("〒 910ー0005福井市1-2", "910-0005", "福井市1-2"),
            ("福井県福井市910-0005", "", "福井県福井市910-0005"),
            ("910-00051 福井", "", "910-00051 福井"),
            ("", "", ""),
        ] {
            assert_eq!(split_postcode(given), (code.to_owned(), rest.to_owned()), "{given}");
        }
    }
}
