//! The layout of printed papers: text that wraps, boxes, lines to sign, tables that turn their pages, a foot with a QR
//! code. Points from the upper left corner. Pure.

use qrcode::{Color, EcLevel, QrCode};

use crate::font::{Fonts, Glyph};
use crate::messages::{Message, Text};
use crate::messages_paper::PaperMessage;
use crate::messages_post::PostMessage;
use crate::pdf::{self, Mark};

pub const MARGIN: f32 = 48.0;
/// Room for the code at the foot.
const FOOT: f32 = 86.0;
const QR_SIDE: f32 = 62.0;
const HINT: f32 = 6.5;
const LABEL: f32 = 168.0;
const TEXT: f32 = 10.0;
const LEAD: f32 = 15.0;
/// Characters that never begin a line.
const CLOSING: &str = "、。，．・：；）］」』】〉》！？ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ,.)]";

/// How high a form's rows and its lines to sign are.
#[derive(Clone, Copy)]
pub struct Pace {
    pub row: f32,
    pub sign: f32,
}

/// What goes wrong with a page.
#[derive(Debug, thiserror::Error)]
pub enum Unprinted {
    #[error("{}", .0.text().en)]
    Paper(PaperMessage),
    #[error("{}", .0.text().en)]
    Message(Message),
    #[error("{}", .0.text().en)]
    Post(PostMessage),
}

impl Unprinted {
    /// What is said of it.
    pub fn text(&self) -> Text {
        match self {
            Unprinted::Paper(message) => message.text(),
            Unprinted::Message(message) => message.text(),
            Unprinted::Post(message) => message.text(),
        }
    }
}

impl From<PostMessage> for Unprinted {
    fn from(message: PostMessage) -> Self {
        Unprinted::Post(message)
    }
}

impl From<PaperMessage> for Unprinted {
    fn from(message: PaperMessage) -> Self {
        Unprinted::Paper(message)
    }
}

/// Pages under work.
pub struct Sheet<'a> {
    fonts: &'a Fonts,
    upright: bool,
    pages: Vec<Vec<Mark>>,
    y: f32,
}

impl<'a> Sheet<'a> {
    pub fn new(fonts: &'a Fonts, upright: bool) -> Self {
        Self { fonts, upright, pages: vec![Vec::new()], y: MARGIN }
    }

    fn width(&self) -> f32 {
        if self.upright { pdf::WIDTH } else { pdf::HEIGHT }
    }

    fn bottom(&self) -> f32 {
        let height = if self.upright { pdf::HEIGHT } else { pdf::WIDTH };
        height - if self.upright { FOOT + MARGIN / 2.0 } else { MARGIN }
    }

    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    pub fn down(&mut self, by: f32) {
        self.y += by;
    }

    /// Goes on at this height.
    pub fn at(&mut self, y: f32) {
        self.y = y;
    }

    /// Where it goes on.
    pub fn height(&self) -> f32 {
        self.y
    }

    /// Goes on with a new page.
    pub fn turn(&mut self) {
        self.pages.push(Vec::new());
        self.y = MARGIN;
    }

    /// What stands where it stands.
    pub fn place(&mut self, marks: Vec<Mark>) {
        marks.into_iter().for_each(|mark| self.mark(mark));
    }

    /// A few words over a thin line.
    pub fn heading(&mut self, text: &str) -> Result<(), PaperMessage> {
        const SIZE: f32 = 11.5;
        self.room(SIZE * 3.0);
        self.y += SIZE * 1.7;
        let (y, right) = (self.y, self.width() - MARGIN);
        let glyphs = self.fonts.glyphs(text)?;
        self.put(MARGIN, y, SIZE, glyphs);
        self.mark(Mark::Line { from: (MARGIN, y + 4.0), to: (right, y + 4.0), width: 0.4 });
        self.y += 6.0;
        Ok(())
    }

    /// What is read letter by letter: its heading in a box, itself beside it, large.
    pub fn large(&mut self, heading: &str, shown: &[String], size: f32) -> Result<(), PaperMessage> {
        let lines = shown.iter().map(|line| self.fonts.glyphs(line)).collect::<Result<_, _>>()?;
        self.boxed(heading, lines, size)
    }

    /// The same of what somebody types.
    pub fn typed(&mut self, heading: &str, shown: &[String], size: f32) -> Result<(), PaperMessage> {
        let lines = shown.iter().map(|line| self.fonts.typed(line)).collect::<Result<_, _>>()?;
        self.boxed(heading, lines, size)
    }

    fn boxed(&mut self, heading: &str, shown: Vec<Vec<Glyph>>, size: f32) -> Result<(), PaperMessage> {
        let (left, right) = (MARGIN, self.width() - MARGIN);
        let height = shown.len().max(1) as f32 * size * 1.5 + 10.0;
        self.room(height);
        let top = self.y;
        self.frame(&[left, left + LABEL, right], top, height);
        let heading = self.fonts.glyphs(heading)?;
        self.put(left + 6.0, top + height / 2.0 + 3.7, TEXT, heading);
        for (place, glyphs) in shown.into_iter().enumerate() {
            let y = top + 5.0 + size * 1.1 + place as f32 * size * 1.5;
            self.put(left + LABEL + 8.0, y, size, glyphs);
        }
        self.y += height;
        Ok(())
    }

    /// A code in the middle of the page, as wide as `side`.
    pub fn code(&mut self, text: &str, side: f32) -> Result<(), Unprinted> {
        self.room(side + 8.0);
        let (x, y) = ((self.width() - side) / 2.0, self.y + 4.0);
        self.place(drawn(text, x, y, side)?);
        self.y += side + 8.0;
        Ok(())
    }

    fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// Room for so much, or a new page.
    fn room(&mut self, height: f32) -> bool {
        let turns = self.y + height > self.bottom();
        if turns {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
        turns
    }

    fn lines(&self, text: &str, size: f32, width: f32) -> Result<Vec<Vec<Glyph>>, PaperMessage> {
        Ok(wrapped(self.fonts.glyphs(text)?, width * 1000.0 / size))
    }

    fn put(&mut self, x: f32, y: f32, size: f32, glyphs: Vec<Glyph>) {
        if !glyphs.is_empty() {
            self.mark(Mark::Text { x, y, size, glyphs });
        }
    }

    pub fn centred(&mut self, text: &str, size: f32) -> Result<(), PaperMessage> {
        let glyphs = self.fonts.glyphs(text)?;
        let x = (self.width() - wide(&glyphs) * size / 1000.0) / 2.0;
        self.y += size;
        let y = self.y;
        self.put(x, y, size, glyphs);
        self.y += size * 0.8;
        Ok(())
    }

    pub fn right(&mut self, text: &str, size: f32) -> Result<(), PaperMessage> {
        let glyphs = self.fonts.glyphs(text)?;
        let x = self.width() - MARGIN - wide(&glyphs) * size / 1000.0;
        let y = self.y;
        self.put(x, y, size, glyphs);
        self.y += size;
        Ok(())
    }

    pub fn paragraph(&mut self, text: &str, indent: f32) -> Result<(), PaperMessage> {
        let width = self.width() - 2.0 * MARGIN - indent;
        for line in self.lines(text, TEXT, width)? {
            self.room(LEAD);
            self.y += LEAD;
            let y = self.y;
            self.put(MARGIN + indent, y - 3.0, TEXT, line);
        }
        Ok(())
    }

    /// Its number stands out to the left.
    pub fn article(&mut self, number: &str, text: &str) -> Result<(), PaperMessage> {
        const INDENT: f32 = 26.0;
        let number = self.fonts.glyphs(number)?;
        let lines = self.lines(text, TEXT, self.width() - 2.0 * MARGIN - INDENT)?;
        for (place, line) in lines.into_iter().enumerate() {
            self.room(LEAD);
            self.y += LEAD;
            let y = self.y - 3.0;
            if place == 0 {
                self.put(MARGIN + 8.0, y, TEXT, number.clone());
            }
            self.put(MARGIN + INDENT, y, TEXT, line);
        }
        Ok(())
    }

    pub fn small(&mut self, text: &str) -> Result<(), PaperMessage> {
        for line in self.lines(text, 8.5, self.width() - 2.0 * MARGIN)? {
            self.room(12.0);
            self.y += 12.0;
            let y = self.y;
            self.put(MARGIN, y, 8.5, line);
        }
        Ok(())
    }

    /// A row of two boxes: the heading, and what stands in it or room to write, with a small hint at its right.
    pub fn field(&mut self, heading: &str, shown: &str, hint: &str, pace: Pace) -> Result<(), PaperMessage> {
        let (left, right) = (MARGIN, self.width() - MARGIN);
        let width = right - left - LABEL - 12.0;
        let heading = self.lines(heading, TEXT, LABEL - 12.0)?;
        let shown = self.lines(shown, TEXT, width)?;
        let hint = self.fonts.glyphs(hint)?;
        let used = wide(shown.first().map_or(&[], Vec::as_slice)) * TEXT / 1000.0;
        let hinted = wide(&hint) * HINT / 1000.0;
        let below = used > 0.0 && used + hinted + 16.0 > width && !hint.is_empty();
        let rows = heading.len().max(shown.len()) as f32;
        let height = (rows * LEAD + 5.0 + if below { HINT + 2.0 } else { 0.0 }).max(pace.row);
        self.room(height);
        let top = self.y;
        self.frame(&[left, left + LABEL, right], top, height);
        // A single line stands in the middle.
        let first = top + if rows > 1.0 || below { 14.5 } else { height / 2.0 + 3.7 };
        for (x, lines) in [(left + 6.0, heading), (left + LABEL + 6.0, shown)] {
            for (place, line) in lines.into_iter().enumerate() {
                self.put(x, first + place as f32 * LEAD, TEXT, line);
            }
        }
        let at = if below { top + height - 4.0 } else { first - 0.5 };
        self.put(right - 6.0 - hinted, at, HINT, hint);
        self.y += height;
        Ok(())
    }

    /// Boxes beside one another between these edges.
    fn frame(&mut self, edges: &[f32], top: f32, height: f32) {
        let (Some(left), Some(right)) = (edges.first().copied(), edges.last().copied()) else { return };
        for y in [top, top + height] {
            self.mark(Mark::Line { from: (left, y), to: (right, y), width: 0.5 });
        }
        for x in edges {
            self.mark(Mark::Line { from: (*x, top), to: (*x, top + height), width: 0.5 });
        }
    }

    pub fn signature(&mut self, label: &str, pace: Pace) -> Result<(), PaperMessage> {
        let glyphs = self.fonts.glyphs(label)?;
        let from = MARGIN + (wide(&glyphs) * TEXT / 1000.0 + 12.0).max(LABEL);
        self.room(pace.sign);
        self.y += pace.sign;
        let (y, to) = (self.y, self.width() - MARGIN);
        self.put(MARGIN, y - 3.0, TEXT, glyphs);
        self.mark(Mark::Line { from: (from, y), to: (to, y), width: 0.5 });
        Ok(())
    }

    /// Columns with their share of the width.
    pub fn table(&mut self, columns: &[(&str, f32)], rows: &[Vec<String>]) -> Result<(), PaperMessage> {
        let all: f32 = columns.iter().map(|(_, share)| share).sum();
        let scale = (self.width() - 2.0 * MARGIN) / all.max(1.0);
        let mut edges = vec![MARGIN];
        for (_, share) in columns {
            edges.push(edges.last().copied().unwrap_or(MARGIN) + share * scale);
        }
        let heading: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        self.row(&edges, &heading, None)?;
        for cells in rows {
            self.row(&edges, cells, Some(&heading))?;
        }
        Ok(())
    }

    fn row(&mut self, edges: &[f32], cells: &[String], again: Option<&[String]>) -> Result<(), PaperMessage> {
        const SIZE: f32 = 8.5;
        const STEP: f32 = 11.5;
        let mut laid = Vec::new();
        for (place, cell) in cells.iter().enumerate() {
            let (Some(from), Some(to)) = (edges.get(place), edges.get(place + 1)) else { break };
            laid.push((*from, self.lines(cell, SIZE, to - from - 8.0)?));
        }
        let rows = laid.iter().map(|(_, lines)| lines.len()).max().unwrap_or(1).max(1);
        let height = rows as f32 * STEP + 6.0;
        if self.room(height)
            && let Some(heading) = again
        {
            self.row(edges, heading, None)?;
        }
        let top = self.y;
        self.frame(edges, top, height);
        for (from, lines) in laid {
            for (place, line) in lines.into_iter().enumerate() {
                self.put(from + 4.0, top + 11.0 + place as f32 * STEP, SIZE, line);
            }
        }
        self.y += height;
        Ok(())
    }

    /// The foot of every page, with its number and, on the first one, the code.
    pub fn end(mut self, foot: &[String], code: Option<&str>) -> Result<Vec<Vec<Mark>>, Unprinted> {
        let (count, height) = (self.pages.len(), if self.upright { pdf::HEIGHT } else { pdf::WIDTH });
        let (right, top) = (self.width() - MARGIN, height - FOOT);
        for page in 0..count {
            let mut marks = Vec::new();
            let numbered = format!("{}　{}/{count}", foot.join("　"), page + 1);
            let glyphs = self.fonts.glyphs(&numbered)?;
            marks.push(Mark::Text { x: MARGIN, y: height - 26.0, size: 8.0, glyphs });
            if let Some(code) = code.filter(|_| page == 0) {
                marks.extend(drawn(code, right - QR_SIDE, top, QR_SIDE)?);
            }
            if let Some(page) = self.pages.get_mut(page) {
                page.extend(marks);
            }
        }
        Ok(self.pages)
    }
}

/// A code as boxes: one for each run of dark modules in a row.
pub fn drawn(text: &str, x: f32, y: f32, wide: f32) -> Result<Vec<Mark>, Unprinted> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| Unprinted::Message(Message::Internal { what: error.to_string() }))?;
    let side = code.width().max(1);
    let module = wide / side as f32;
    let mut marks = Vec::new();
    for (row, modules) in code.to_colors().chunks(side).enumerate() {
        let mut from = None;
        for (place, color) in modules.iter().chain(std::iter::once(&Color::Light)).enumerate() {
            match (from, color) {
                (None, Color::Dark) => from = Some(place),
                (Some(begin), Color::Light) => {
                    marks.push(Mark::Box {
                        x: x + begin as f32 * module,
                        y: y + row as f32 * module,
                        width: (place - begin) as f32 * module,
                        height: module,
                        grey: 0.0,
                    });
                    from = None;
                }
                _ => {}
            }
        }
    }
    Ok(marks)
}

fn wide(glyphs: &[Glyph]) -> f32 {
    glyphs.iter().map(|glyph| glyph.width).sum()
}

/// Lines of at most this width; a line never begins with a mark that closes.
fn wrapped(glyphs: Vec<Glyph>, width: f32) -> Vec<Vec<Glyph>> {
    let (mut lines, mut line, mut filled) = (Vec::new(), Vec::new(), 0.0);
    for glyph in glyphs {
        let closes = CLOSING.contains(glyph.text.as_str());
        if filled + glyph.width > width && !line.is_empty() && !closes {
            lines.push(std::mem::take(&mut line));
            filled = 0.0;
        }
        filled += glyph.width;
        line.push(glyph);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::tests::installed;

    #[test]
    fn a_line_never_begins_with_a_closing_mark() {
        let font = installed();
        let lines = wrapped(font.glyphs("あいう。えお、か").unwrap(), 3_000.0);
        let texts: Vec<String> =
            lines.iter().map(|line| line.iter().map(|glyph| glyph.text.as_str()).collect()).collect();
        assert_eq!(texts, ["あいう。", "えお、", "か"]);
    }
}
