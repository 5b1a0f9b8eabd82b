//! 宛名ラベル: sheets of labels as they are sold, and addresses on them from any place on, so that a begun sheet is used
//! up. Pure.

use crate::envelope::{Address, Area, MM};
use crate::font::Fonts;
use crate::messages_post::PostMessage;
use crate::paper_sheet::Unprinted;
use crate::pdf::Mark;

/// A sheet of labels on A4; millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// As a clerk chooses it.
    pub id: &'static str,
    pub name_ja: &'static str,
    pub columns: u32,
    pub rows: u32,
    pub width: f32,
    pub height: f32,
    pub left: f32,
    pub top: f32,
}

/// The two that offices have: without gaps between the labels.
pub const GRIDS: [Grid; 2] = [
    Grid {
        id: "12",
        name_ja: "A4 12面（86.4×42.3mm）",
        columns: 2,
        rows: 6,
        width: 86.4,
        height: 42.3,
        left: 18.6,
        top: 21.6,
    },
    Grid {
        id: "24",
        name_ja: "A4 24面（70×33.9mm）",
        columns: 3,
        rows: 8,
        width: 70.0,
        height: 33.9,
        left: 0.0,
        top: 12.9,
    },
];

/// What printers leave blank at the edge of a label.
const PADDING: (f32, f32) = (5.0, 4.0);

impl Grid {
    pub fn parse(id: &str) -> Option<Grid> {
        GRIDS.into_iter().find(|grid| grid.id == id)
    }

    pub fn count(&self) -> u32 {
        self.columns * self.rows
    }

    /// Where the text of a label stands; places count from 0, along the rows.
    pub fn area(&self, place: u32) -> Area {
        let (column, row) = (place % self.columns, place / self.columns % self.rows);
        Area {
            x: self.left + column as f32 * self.width + PADDING.0,
            y: self.top + row as f32 * self.height + PADDING.1,
            width: self.width - 2.0 * PADDING.0,
            height: self.height - 2.0 * PADDING.1,
        }
    }
}

/// `start`: the first label that is still there, from 1. `number`: what is small on the label, by which it is found again.
pub fn pages(
    fonts: &Fonts,
    grid: &Grid,
    start: u32,
    addresses: &[(Address, String)],
) -> Result<Vec<Vec<Mark>>, Unprinted> {
    if !(1..=grid.count()).contains(&start) {
        return Err(Unprinted::Post(PostMessage::LabelStart { given: start, limit: grid.count() }));
    }
    let mut pages: Vec<Vec<Mark>> = vec![Vec::new()];
    for (place, (address, number)) in (start - 1..).zip(addresses) {
        if place >= grid.count() && place % grid.count() == 0 {
            pages.push(Vec::new());
        }
        let area = grid.area(place);
        let mut marks = address.marks(fonts, area)?;
        let glyphs = fonts.glyphs(number)?;
        marks.push(Mark::Text { x: area.x * MM, y: (area.y + area.height + 2.0) * MM, size: 5.5, glyphs });
        if let Some(page) = pages.last_mut() {
            page.extend(marks);
        }
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{PAPER, covers};
    use crate::font::tests::installed;

    #[test]
    fn a_sheet_of_labels_is_as_large_as_the_paper() {
        for grid in GRIDS {
            let (wide, high) = (grid.width * grid.columns as f32, grid.height * grid.rows as f32);
            assert!((2.0 * grid.left + wide - PAPER.0).abs() < 0.1, "{}", grid.id);
            assert!((2.0 * grid.top + high - PAPER.1).abs() < 0.1, "{}", grid.id);
            assert_eq!(Grid::parse(grid.id), Some(grid));
        }
    }

    #[test]
    fn a_begun_sheet_is_used_up_and_the_next_one_begins_at_its_top() {
        let fonts = installed();
        let address =
            Address::new("〒910-0005 福井県福井市大手9-1-12", "さくら通り内科", "施設内管理者", "桜井 由美");
        let some = vec![(address, "h-2026-00001-1".to_owned()); 14];
        for grid in GRIDS {
            let pages = pages(&fonts, &grid, grid.count() - 1, &some).unwrap();
            let (whole, rest) = (some.len() as u32 - 2, grid.count());
            assert_eq!(pages.len() as u32, 1 + whole.div_ceil(rest));
            let first = covers(&pages[0][0]);
            assert!(grid.area(grid.count() - 2).holds(first), "the last but one");
            assert!(grid.area(0).holds(covers(&pages[1][0])));
            let on_paper = Area { x: 0.0, y: 0.0, width: PAPER.0, height: PAPER.1 };
            assert!(pages.iter().flatten().all(|mark| on_paper.holds(covers(mark))));
        }
        for start in [0, 13] {
            let refused = pages(&fonts, &GRIDS[0], start, &some).unwrap_err();
            assert!(matches!(refused, Unprinted::Post(message) if message.code() == "MM-5982"));
        }
    }
}
