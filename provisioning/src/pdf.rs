//! Marks on pages become a PDF: text in embedded fonts that can be searched and copied, lines, and filled boxes. The
//! same marks give the same octets. Pure: values in, bytes out.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use crate::font::{Font, Fonts, Glyph, Subset};
use crate::messages_paper::PaperMessage;

/// A4 in points.
pub const WIDTH: f32 = 595.28;
pub const HEIGHT: f32 = 841.89;
/// More is a register, not a paper: it is taken as a spreadsheet.
const PAGES_MAX: usize = 500;

/// Places are points from the upper left corner.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// `y` is the baseline.
    Text {
        x: f32,
        y: f32,
        size: f32,
        glyphs: Vec<Glyph>,
    },
    Line {
        from: (f32, f32),
        to: (f32, f32),
        width: f32,
    },
    /// Filled; `grey` from 0 (black) to 1.
    Box {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        grey: f32,
    },
}

const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
const INFO: Ref = Ref::new(3);
const CODES: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
const TEXTS: SystemInfo<'static> =
    SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"UCS"), supplement: 0 };

/// A font's few glyphs, and the numbers of its objects.
struct Part<'a> {
    /// Its place among the fonts.
    place: usize,
    font: &'a Font,
    subset: Subset,
    /// By their numbers in the subset.
    glyphs: BTreeMap<u16, &'a Glyph>,
    first: i32,
}

/// Objects of one font.
const PER_FONT: i32 = 5;

impl Part<'_> {
    fn object(&self, place: i32) -> Ref {
        Ref::new(self.first + place)
    }

    /// Six letters say that it is a subset (a rule of the format).
    fn name(&self) -> String {
        format!("MMPAP{}+Mimamori", char::from(b'A' + (self.first % 26) as u8))
    }

    /// What pages call it.
    fn short(&self) -> String {
        format!("F{}", self.first)
    }
}

/// Pages as they are printed. `upright`: A4 on its short side.
pub fn written(
    title: &str,
    upright: bool,
    pages: &[Vec<Mark>],
    fonts: &Fonts,
) -> Result<Vec<u8>, PaperMessage> {
    if pages.len() > PAGES_MAX {
        return Err(PaperMessage::PagesTooMany { limit: PAGES_MAX });
    }
    let parts = parts(pages, fonts)?;
    let (width, height) = if upright { (WIDTH, HEIGHT) } else { (HEIGHT, WIDTH) };
    let after_fonts = parts.last().map_or(INFO.get() + 1, |part| part.first + PER_FONT);
    let numbers = (after_fonts..).step_by(2).map(Ref::new).take(pages.len());
    let mut pdf = Pdf::new();
    let mut catalog = pdf.catalog(CATALOG);
    catalog.pages(PAGES).lang(TextStr("ja-JP"));
    catalog.viewer_preferences().display_doc_title(true);
    catalog.finish();
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    let mut tree = pdf.pages(PAGES);
    tree.kids(numbers.clone()).count(count).media_box(Rect::new(0.0, 0.0, width, height));
    let mut resources = tree.resources();
    let mut named = resources.fonts();
    for part in &parts {
        named.pair(Name(part.short().as_bytes()), part.object(0));
    }
    named.finish();
    resources.finish();
    tree.finish();
    for part in &parts {
        write_font(&mut pdf, part)?;
    }
    pdf.document_info(INFO).title(TextStr(title)).producer(TextStr("mimamori"));
    for (number, marks) in numbers.zip(pages) {
        let content = Ref::new(number.get() + 1);
        pdf.page(number).parent(PAGES).contents(content);
        let packed = packed(&content_of(marks, height, &parts));
        pdf.stream(content, &packed).filter(Filter::FlateDecode);
    }
    Ok(pdf.finish())
}

/// The fonts that these pages need.
fn parts<'a>(pages: &'a [Vec<Mark>], fonts: &'a Fonts) -> Result<Vec<Part<'a>>, PaperMessage> {
    let mut used: Vec<BTreeMap<u16, &Glyph>> = vec![BTreeMap::new(); fonts.all().len()];
    for mark in pages.iter().flatten() {
        let Mark::Text { glyphs, .. } = mark else { continue };
        for glyph in glyphs {
            used.get_mut(glyph.font).map(|used| used.insert(glyph.id, glyph));
        }
    }
    let mut parts = Vec::new();
    let mut first = INFO.get() + 1;
    for (place, (font, used)) in
        fonts.all().iter().zip(used).enumerate().filter(|(_, (_, used))| !used.is_empty())
    {
        let subset = font.subset(used.keys().copied())?;
        let glyphs = used.iter().map(|(id, glyph)| (subset.id(*id), *glyph)).collect();
        parts.push(Part { place, font, subset, glyphs, first });
        first += PER_FONT;
    }
    Ok(parts)
}

fn write_font(pdf: &mut Pdf, part: &Part<'_>) -> Result<(), PaperMessage> {
    let Part { font, subset, glyphs, .. } = part;
    let [whole, descendant_at, descriptor_at, program_at, texts_at] =
        [0, 1, 2, 3, 4].map(|place| part.object(place));
    let metrics = font.metrics()?;
    let name = part.name();
    let name = Name(name.as_bytes());
    pdf.type0_font(whole)
        .base_font(name)
        .encoding_predefined(Name(b"Identity-H"))
        .descendant_font(descendant_at)
        .to_unicode(texts_at);
    let mut descendant = pdf.cid_font(descendant_at);
    descendant.subtype(if subset.cff { CidFontType::Type0 } else { CidFontType::Type2 });
    descendant.base_font(name).system_info(CODES).font_descriptor(descriptor_at).default_width(1000.0);
    if !subset.cff {
        descendant.cid_to_gid_map_predefined(Name(b"Identity"));
    }
    let mut widths = descendant.widths();
    for (id, glyph) in glyphs {
        widths.consecutive(*id, [glyph.width.round()]);
    }
    widths.finish();
    descendant.finish();
    let [left, bottom, right, top] = metrics.bounds;
    let mut descriptor = pdf.font_descriptor(descriptor_at);
    descriptor.name(name).flags(FontFlags::SYMBOLIC).bbox(Rect::new(left, bottom, right, top));
    descriptor.italic_angle(0.0).ascent(metrics.ascent).descent(metrics.descent);
    // Neither is used for an embedded font; the format wants them all the same.
    descriptor.cap_height(metrics.ascent).stem_v(80.0);
    if subset.cff {
        descriptor.font_file3(program_at)
    } else {
        descriptor.font_file2(program_at)
    };
    descriptor.finish();
    let program = packed(&subset.program);
    let mut stream = pdf.stream(program_at, &program);
    stream.filter(Filter::FlateDecode);
    if subset.cff {
        stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
    } else {
        stream.pair(Name(b"Length1"), i32::try_from(subset.program.len()).unwrap_or(i32::MAX));
    }
    stream.finish();
    // Which text each glyph is, so that a clerk can search and copy.
    let mut texts = UnicodeCmap::new(Name(b"Adobe-Identity-UCS"), TEXTS);
    for (id, glyph) in glyphs {
        texts.pair_with_multiple(*id, glyph.text.chars());
    }
    let texts = packed(texts.finish().as_slice());
    pdf.cmap(texts_at, &texts).filter(Filter::FlateDecode);
    Ok(())
}

fn content_of(marks: &[Mark], height: f32, parts: &[Part<'_>]) -> Vec<u8> {
    let mut content = Content::new();
    for mark in marks {
        match mark {
            Mark::Text { x, y, size, glyphs } => {
                content.begin_text().next_line(*x, height - y);
                for run in glyphs.chunk_by(|one, next| one.font == next.font) {
                    let Some(part) = part_of(run, parts) else { continue };
                    let codes: Vec<u8> =
                        run.iter().flat_map(|glyph| part.subset.id(glyph.id).to_be_bytes()).collect();
                    content.set_font(Name(part.short().as_bytes()), *size).show(Str(&codes));
                }
                content.end_text();
            }
            Mark::Line { from, to, width } => {
                content.set_line_width(*width).move_to(from.0, height - from.1);
                content.line_to(to.0, height - to.1).stroke();
            }
            Mark::Box { x, y, width, height: high, grey } => {
                content.set_fill_gray(*grey).rect(*x, height - y - high, *width, *high).fill_nonzero();
                content.set_fill_gray(0.0);
            }
        }
    }
    content.finish().as_slice().to_vec()
}

fn part_of<'a, 'b>(run: &[Glyph], parts: &'a [Part<'b>]) -> Option<&'a Part<'b>> {
    run.first().and_then(|glyph| parts.iter().find(|part| part.place == glyph.font))
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Into memory: neither of the two can fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::tests::installed;

    #[test]
    fn the_same_marks_give_the_same_octets_and_too_many_pages_are_refused() {
        let font = installed();
        let marks = vec![
            Mark::Text {
                x: 50.0,
                y: 60.0,
                size: 12.0,
                glyphs: font.glyphs("様式3 変更申請書 𠮷田").unwrap(),
            },
            Mark::Line { from: (50.0, 70.0), to: (200.0, 70.0), width: 0.5 },
            Mark::Box { x: 50.0, y: 80.0, width: 3.0, height: 3.0, grey: 0.0 },
        ];
        let pages = [marks.clone(), marks];
        let bytes = written("様式3", true, &pages, &font).unwrap();
        assert_eq!(bytes, written("様式3", true, &pages, &font).unwrap());
        assert!(bytes.starts_with(b"%PDF-1.7") && bytes.len() < 20_000, "{}", bytes.len());
        let many = vec![Vec::new(); PAGES_MAX + 1];
        assert_eq!(written("多", true, &many, &font).unwrap_err().code(), "MM-5904");
    }
}
