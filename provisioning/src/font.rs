//! The fonts of printed papers: which glyph a character is, how wide it is, and the few glyphs of one paper as a font of
//! their own. What no font has is refused by name, never printed as a box. Pure: bytes in, values out.

use read_fonts::tables::cmap::{Cmap, MapVariant, UvsSubtable};
use read_fonts::tables::hmtx::Hmtx;
use read_fonts::types::Tag;
use read_fonts::{FontRef, TableProvider};
use subsetter::GlyphRemapper;

use crate::messages_paper::PaperMessage;

/// Of a collection, the first face is the Japanese one.
const FACE: u32 = 0;

pub struct Font {
    bytes: Vec<u8>,
}

/// The first one that has a character prints it.
pub struct Fonts(Vec<Font>);

/// One character as the paper shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Glyph {
    /// Which of the fonts.
    pub font: usize,
    pub id: u16,
    /// Thousandths of the size.
    pub width: f32,
    /// What a reader of the file copies: a character, perhaps with its variation selector.
    pub text: String,
}

/// What a PDF says about its font, in thousandths of the size.
#[derive(Clone, Copy, Debug)]
pub struct Metrics {
    pub ascent: f32,
    pub descent: f32,
    /// Left, bottom, right, top.
    pub bounds: [f32; 4],
}

/// A font of a few glyphs.
pub struct Subset {
    pub program: Vec<u8>,
    /// Outlines are CFF; otherwise TrueType.
    pub cff: bool,
    map: GlyphRemapper,
}

impl Subset {
    /// A glyph's number in the subset.
    pub fn id(&self, glyph: u16) -> u16 {
        self.map.get(glyph).unwrap_or(0)
    }
}

/// The parts of the font that say what a character is.
struct Face<'a> {
    characters: Cmap<'a>,
    variants: Option<UvsSubtable<'a>>,
    widths: Hmtx<'a>,
    scale: f32,
}

impl Font {
    pub fn new(bytes: Vec<u8>) -> Result<Self, PaperMessage> {
        let font = Self { bytes };
        font.face()?;
        Ok(font)
    }

    fn tables(&self) -> Result<FontRef<'_>, PaperMessage> {
        FontRef::from_index(&self.bytes, FACE).map_err(broken)
    }

    fn face(&self) -> Result<Face<'_>, PaperMessage> {
        let tables = self.tables()?;
        let characters = tables.cmap().map_err(broken)?;
        let variants = characters.uvs_subtable().map(|(_, variants)| variants);
        let scale = 1000.0 / f32::from(tables.head().map_err(broken)?.units_per_em());
        Ok(Face { characters, variants, widths: tables.hmtx().map_err(broken)?, scale })
    }

    pub fn metrics(&self) -> Result<Metrics, PaperMessage> {
        let tables = self.tables()?;
        let (head, lines) = (tables.head().map_err(broken)?, tables.hhea().map_err(broken)?);
        let scale = 1000.0 / f32::from(head.units_per_em());
        let of = |units: i16| f32::from(units) * scale;
        Ok(Metrics {
            ascent: of(lines.ascender().to_i16()),
            descent: of(lines.descender().to_i16()),
            bounds: [of(head.x_min()), of(head.y_min()), of(head.x_max()), of(head.y_max())],
        })
    }

    /// Only these glyphs, as a PDF embeds them.
    pub fn subset(&self, used: impl Iterator<Item = u16>) -> Result<Subset, PaperMessage> {
        let mut map = GlyphRemapper::new();
        for glyph in used {
            map.remap(glyph);
        }
        let whole = subsetter::subset(&self.bytes, FACE, &map).map_err(broken)?;
        let outlines = FontRef::new(&whole).map_err(broken)?.table_data(Tag::new(b"CFF "));
        let outlines = outlines.map(|table| table.as_bytes().to_vec());
        let cff = outlines.is_some();
        Ok(Subset { program: outlines.unwrap_or(whole), cff, map })
    }
}

impl Fonts {
    pub fn new(fonts: Vec<Font>) -> Self {
        Self(fonts)
    }

    pub fn all(&self) -> &[Font] {
        &self.0
    }

    /// What is typed letter by letter: in the last font, whose I, l, 1, O and 0 are five signs.
    pub fn typed(&self, text: &str) -> Result<Vec<Glyph>, PaperMessage> {
        let Some(last) = self.0.len().checked_sub(1) else { return self.glyphs(text) };
        let face = self.0.get(last).map(Font::face).transpose()?;
        let glyph = |character: char| {
            let (id, width) = face.as_ref()?.glyph(character, None)?;
            Some(Glyph { font: last, id, width, text: character.to_string() })
        };
        let given = |character: char| PaperMessage::FontLacks { given: character.to_string() };
        text.chars().map(|character| glyph(character).ok_or_else(|| given(character))).collect()
    }

    /// A text as glyphs; the first character that every font lacks is refused.
    pub fn glyphs(&self, text: &str) -> Result<Vec<Glyph>, PaperMessage> {
        let faces: Vec<Face<'_>> = self.0.iter().map(Font::face).collect::<Result<_, _>>()?;
        // か and a mark of its own are one character on paper; what stands for itself (﨑) stays as it is.
        let characters: Vec<char> = composed(text);
        let mut glyphs = Vec::with_capacity(characters.len());
        let mut place = 0;
        while let Some(character) = characters.get(place).copied() {
            let selector = characters.get(place + 1).copied().filter(|next| is_selector(*next));
            place += 1 + usize::from(selector.is_some());
            let text: String = std::iter::once(character).chain(selector).collect();
            let found = faces.iter().enumerate().find_map(|(font, face)| {
                face.glyph(character, selector).map(|(id, width)| Glyph {
                    font,
                    id,
                    width,
                    text: text.clone(),
                })
            });
            glyphs.push(found.ok_or(PaperMessage::FontLacks { given: text })?);
        }
        Ok(glyphs)
    }
}

impl Face<'_> {
    fn glyph(&self, character: char, selector: Option<char>) -> Option<(u16, f32)> {
        let plain = || self.characters.map_codepoint(character);
        let id = match selector {
            None => plain(),
            Some(selector) => match self.variants.as_ref()?.map_variant(character, selector)? {
                MapVariant::UseDefault => plain(),
                MapVariant::Variant(id) => Some(id),
            },
        }?;
        let width = f32::from(self.widths.advance(id)?) * self.scale;
        u16::try_from(id.to_u32()).ok().filter(|id| *id != 0).map(|id| (id, width))
    }
}

fn broken(error: impl std::fmt::Display) -> PaperMessage {
    PaperMessage::FontBroken { why: error.to_string() }
}

/// Marks that follow their letter go into it; whatever Unicode would replace by another character stays as typed.
fn composed(text: &str) -> Vec<char> {
    let mut characters: Vec<char> = Vec::new();
    for character in text.chars() {
        let joined =
            characters.last().and_then(|last| unicode_normalization::char::compose(*last, character));
        match joined {
            Some(joined) => {
                characters.pop();
                characters.push(joined);
            }
            None => characters.push(character),
        }
    }
    characters
}

/// Standardised and ideographic variation selectors.
fn is_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::paper_font::FontFiles;

    /// Those that `tests/setup/deps` installs, and the image has.
    pub fn installed() -> Fonts {
        FontFiles::open().read().unwrap()
    }

    fn shown(font: &Fonts, text: &str) -> Result<String, PaperMessage> {
        Ok(font.glyphs(text)?.into_iter().map(|glyph| glyph.text).collect())
    }

    #[test]
    fn names_as_they_are_written_have_glyphs_and_what_has_none_is_named() {
        let font = installed();
        for name in ["髙﨑𠮷", "塚本 德郎", "ｻｸﾗ㈱①", "渡邊 渡邉 齋藤 齊藤", "神 福 社 都 濵 栁 彅 桒 𣘺 𡈽"]
        {
            assert_eq!(shown(&font, name).as_deref(), Ok(name));
        }
        assert_eq!(font.glyphs("か\u{3099}").unwrap().len(), 1, "a mark of its own belongs to its letter");
        let lacking = font.glyphs("山\u{10ffff}田").unwrap_err();
        assert_eq!(lacking, PaperMessage::FontLacks { given: "\u{10ffff}".into() });
        for (hidden, why) in [("\u{202e}", "turns the line"), ("\u{200b}", "no width"), ("\u{7}", "a bell")] {
            assert!(font.glyphs(&format!("山{hidden}田")).is_err(), "{why}");
        }
        // 辻 with one dot: the font has this form, or says that it does not; never another one silently.
        match font.glyphs("辻\u{e0100}") {
            Ok(glyphs) => assert_eq!((glyphs.len(), glyphs[0].text.as_str()), (1, "辻\u{e0100}")),
            Err(refused) => assert_eq!(refused.code(), "MM-5903"),
        }
        assert!(font.glyphs("山\u{e01ef}").is_err(), "a form that nobody has registered");
    }

    #[test]
    fn a_subset_is_small_and_gives_every_glyph_a_number() {
        let fonts = installed();
        let glyphs = fonts.glyphs("事業所番号").unwrap();
        assert!(glyphs.iter().all(|glyph| glyph.font == 0));
        assert_eq!(fonts.glyphs("𠮷").unwrap()[0].font, 1, "the second one completes the first");
        let subset = fonts.all()[0].subset(glyphs.iter().map(|glyph| glyph.id)).unwrap();
        assert!(subset.program.len() < 60_000, "{}", subset.program.len());
        let ids: Vec<u16> = glyphs.iter().map(|glyph| subset.id(glyph.id)).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_no_font_is_refused() {
        for bytes in [&b""[..], b"%PDF-1.7", &[0; 4096], b"OTTO\0\xff\xff\xff"] {
            assert_eq!(Font::new(bytes.to_vec()).err().map(|refused| refused.code()), Some("MM-5902"));
        }
        let mut cut = installed().0.remove(0).bytes;
        cut.truncate(200_000);
        let font = Font::new(cut);
        assert!(font.and_then(|font| font.subset([5, 9_000].into_iter())).is_err(), "half of a font");
    }
}
