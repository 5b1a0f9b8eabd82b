//! Finds the QR codes of a page, however it lay on the glass: their three corner marks first, then every module where it must be.
//! What is done is counted, so that a page that somebody filled with marks costs no more than a page. Pure.

use rqrr::{Grid, SimpleGrid};

use crate::picture::Picture;

/// A4 at about 200 dpi, as a FAX sends it: five dots for a module of ours.
const SIDE: u32 = 2_400;
/// Below this a module of ours has fewer than four dots.
const SMALL: u32 = 1_500;
/// Corner marks of one page: a code has three. Whoever draws more has drawn no form of ours.
const MARKS_MAX: usize = 120;
/// Marks are tried as a code's so often.
const TRIES_MAX: usize = 240;
/// A code of ours has 29 or 33 modules at a side.
const MODULES: std::ops::RangeInclusive<usize> = 21..=57;
/// Codes of one page that are told apart; two are too many already.
const CODES_MAX: usize = 8;

/// What a page says, and by how many quarters it is to be turned until its first code stands upright.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub texts: Vec<String>,
    pub quarters: u8,
}

pub fn find(page: &Picture) -> Found {
    let side = page.width().max(page.height());
    let first = page.shrunk(side.div_ceil(SIDE * 3 / 2));
    let mut found = search(&Dots::of(&first, 1));
    // Noise goes with half the dots; a small picture needs more of them.
    let is_small = first.width().max(first.height()) < SMALL;
    if found.texts.is_empty() {
        found = if is_small { search(&Dots::of(&first, 2)) } else { search(&Dots::of(&first.shrunk(2), 1)) };
    }
    found
}

/// Black or not.
struct Dots {
    width: usize,
    height: usize,
    black: Vec<bool>,
}

impl Dots {
    /// Against the mean of their surroundings: a shadow is no ink. `by`: enlarged so many times.
    fn of(page: &Picture, by: usize) -> Self {
        let grey = page.grey();
        let (width, height) = (page.width() as usize, page.height() as usize);
        let sums = sums(&grey, width, height);
        let reach = (width.max(height) / 24).max(8);
        let mut black = Vec::with_capacity(width * height * by * by);
        for y in 0..height * by {
            let (row, top, under) = (y / by, (y / by).saturating_sub(reach), (y / by + reach).min(height));
            for x in 0..width * by {
                let column = x / by;
                let (left, right) = (column.saturating_sub(reach), (column + reach).min(width));
                let at = |x: usize, y: usize| sums.get(y * (width + 1) + x).copied().unwrap_or(0);
                let sum = at(right, under) + at(left, top) - at(left, under) - at(right, top);
                let count = ((right - left) * (under - top)) as u64;
                let dot = u64::from(smooth(&grey, width, height, (x, y), by, (column, row)));
                // A fifth darker than what is around it, and dark at all where everything is dark.
                black.push(dot * 100 * count < sum * 80 || dot < 40);
            }
        }
        Self { width: width * by, height: height * by, black }
    }

    fn is_black(&self, x: usize, y: usize) -> bool {
        self.black.get(y * self.width + x).copied().unwrap_or(false)
    }
}

/// Between four dots when enlarged.
fn smooth(
    grey: &[u8],
    width: usize,
    height: usize,
    (x, y): (usize, usize),
    by: usize,
    (column, row): (usize, usize),
) -> u8 {
    let at = |x: usize, y: usize| {
        u32::from(grey.get(y.min(height - 1) * width + x.min(width - 1)).copied().unwrap_or(255))
    };
    if by == 1 {
        return at(column, row) as u8;
    }
    let (right, under) = ((x % by) as u32, (y % by) as u32);
    let whole = by as u32;
    let above = at(column, row) * (whole - right) + at(column + 1, row) * right;
    let below = at(column, row + 1) * (whole - right) + at(column + 1, row + 1) * right;
    ((above * (whole - under) + below * under) / (whole * whole)) as u8
}

/// Of everything above and to the left of each dot.
fn sums(grey: &[u8], width: usize, height: usize) -> Vec<u64> {
    let mut sums = vec![0u64; (width + 1) * (height + 1)];
    for (y, row) in grey.chunks_exact(width).enumerate() {
        let mut line = 0;
        for (x, dot) in row.iter().enumerate() {
            line += u64::from(*dot);
            let above = sums.get(y * (width + 1) + x + 1).copied().unwrap_or(0);
            if let Some(sum) = sums.get_mut((y + 1) * (width + 1) + x + 1) {
                *sum = above + line;
            }
        }
    }
    sums
}

fn search(dots: &Dots) -> Found {
    let marks = marks(dots);
    let (mut found, mut tries) = (Found::default(), 0);
    for corner in &marks {
        for (place, first) in marks.iter().enumerate() {
            for second in marks.iter().skip(place + 1) {
                let Some((right, under, size)) = corner.square(first, second) else { continue };
                for size in [size, size.saturating_sub(4), size + 4] {
                    tries += 1;
                    if tries > TRIES_MAX || found.texts.len() >= CODES_MAX {
                        return found;
                    }
                    let Some(text) = read(dots, corner, (right, under), size) else { continue };
                    if found.texts.is_empty() {
                        found.quarters = quarters(right.x - corner.x, right.y - corner.y);
                    }
                    if !found.texts.contains(&text) {
                        found.texts.push(text);
                    }
                    break;
                }
            }
        }
    }
    found
}

/// The middle of a corner mark.
#[derive(Clone, Copy, Debug)]
struct Mark {
    x: f64,
    y: f64,
    /// The side of a module.
    unit: f64,
}

impl Mark {
    fn to(&self, other: &Mark) -> (f64, f64) {
        (other.x - self.x, other.y - self.y)
    }

    fn is_like(&self, other: &Mark) -> bool {
        let ratio = self.unit / other.unit;
        ratio > 0.6 && ratio < 1.7
    }

    /// As the upper left one of a square: which is the upper right one, which the lower left, and how many modules.
    fn square<'a>(&self, first: &'a Mark, second: &'a Mark) -> Option<(&'a Mark, &'a Mark, usize)> {
        if !(self.is_like(first) && self.is_like(second)) {
            return None;
        }
        let ((ax, ay), (bx, by)) = (self.to(first), self.to(second));
        let (long, other) = (ax.hypot(ay), bx.hypot(by));
        let unit = (self.unit + first.unit + second.unit) / 3.0;
        if long < 10.0 * unit || other < 10.0 * unit || (long / other - 1.0).abs() > 0.25 {
            return None;
        }
        if ((ax * bx + ay * by) / (long * other)).abs() > 0.2 {
            return None;
        }
        let modules = (long + other) / 2.0 / unit + 7.0;
        let size = ((modules - 17.0) / 4.0).round() * 4.0 + 17.0;
        let size = size.max(0.0) as usize;
        if !MODULES.contains(&size) {
            return None;
        }
        // Down the page is to the right of right.
        Some(if ax * by - ay * bx > 0.0 { (first, second, size) } else { (second, first, size) })
    }
}

/// Each module by the dots about its middle.
fn read(dots: &Dots, corner: &Mark, (right, under): (&Mark, &Mark), size: usize) -> Option<String> {
    if !MODULES.contains(&size) {
        return None;
    }
    let span = (size - 7) as f64;
    let ((rx, ry), (ux, uy)) = (corner.to(right), corner.to(under));
    let at = |column: f64, row: f64| {
        let (column, row) = ((column - 3.0) / span, (row - 3.0) / span);
        let (x, y) = (corner.x + rx * column + ux * row, corner.y + ry * column + uy * row);
        x >= 0.0 && y >= 0.0 && (x as usize) < dots.width && dots.is_black(x as usize, y as usize)
    };
    let module = |column: usize, row: usize| {
        let (column, row) = (column as f64, row as f64);
        let near = [(0.0, 0.0), (0.25, 0.0), (-0.25, 0.0), (0.0, 0.25), (0.0, -0.25)];
        near.iter().filter(|(x, y)| at(column + x, row + y)).count() >= 3
    };
    let grid = Grid::new(SimpleGrid::from_func(size, module));
    grid.decode().ok().map(|(_, text)| text)
}

/// Until the code's upper edge, which runs so, runs to the right.
fn quarters(across: f64, down: f64) -> u8 {
    match (across.abs() >= down.abs(), across > 0.0, down > 0.0) {
        (true, true, _) => 0,
        (true, false, _) => 2,
        (false, _, true) => 3,
        (false, _, false) => 1,
    }
}

/// Corner marks: runs of 1:1:3:1:1 across and, through the same middle, down; empty when there are too many.
fn marks(dots: &Dots) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for y in 0..dots.height {
        let (mut runs, mut color) = ([0usize; 5], false);
        for x in 0..=dots.width {
            let black = x < dots.width && dots.is_black(x, y);
            if black == color && x < dots.width {
                runs[4] += 1;
                continue;
            }
            // A black run has ended, and four before it.
            if color && is_mark(&runs) {
                let middle = x - runs[4] - runs[3] - runs[2].div_ceil(2);
                if let Some(mark) = through(dots, middle, y, runs.iter().sum()) {
                    keep(&mut marks, mark);
                }
            }
            if marks.len() > MARKS_MAX {
                return Vec::new();
            }
            runs.rotate_left(1);
            runs[4] = 1;
            color = black;
        }
    }
    marks
}

/// Rows of the same mark are one mark, where they agree.
fn keep(marks: &mut Vec<Mark>, new: Mark) {
    let near = |known: &&mut Mark| {
        (known.x - new.x).abs() < 2.0 * known.unit && (known.y - new.y).abs() < 2.0 * known.unit
    };
    match marks.iter_mut().find(near) {
        Some(known) => {
            known.x = (known.x * 3.0 + new.x) / 4.0;
            known.y = (known.y * 3.0 + new.y) / 4.0;
            known.unit = (known.unit * 3.0 + new.unit) / 4.0;
        }
        None => marks.push(new),
    }
}

fn is_mark(runs: &[usize; 5]) -> bool {
    let all: usize = runs.iter().sum();
    if all < 7 || runs.contains(&0) {
        return false;
    }
    let unit = all as f64 / 7.0;
    let fits = |run: usize, wanted: f64| (run as f64 - wanted * unit).abs() <= wanted * unit * 0.5 + 0.6;
    fits(runs[0], 1.0) && fits(runs[1], 1.0) && fits(runs[2], 3.0) && fits(runs[3], 1.0) && fits(runs[4], 1.0)
}

/// The mark about a row's finding, when it is one downwards, too, and across once more.
fn through(dots: &Dots, x: usize, y: usize, wide: usize) -> Option<Mark> {
    let column =
        |step: isize| y.checked_add_signed(step).filter(|y| *y < dots.height).map(|y| dots.is_black(x, y));
    let down = runs(wide, column);
    let high: usize = down.iter().sum();
    if !is_mark(&down) || high * 2 < wide || wide * 2 < high {
        return None;
    }
    let (above, below) = halves(wide, column)?;
    let middle = y as f64 + (below as f64 - above as f64) / 2.0;
    let across = |step: isize| {
        x.checked_add_signed(step).filter(|x| *x < dots.width).map(|x| dots.is_black(x, middle as usize))
    };
    let level = runs(wide, across);
    if !is_mark(&level) {
        return None;
    }
    let (left, right) = halves(wide, across)?;
    let centre = x as f64 + (right as f64 - left as f64) / 2.0;
    let all: usize = level.iter().sum();
    Some(Mark { x: centre + 0.5, y: middle + 0.5, unit: (all + high) as f64 / 14.0 })
}

/// The black run about a place: how far it goes before and behind it.
fn halves(limit: usize, black: impl Fn(isize) -> Option<bool>) -> Option<(usize, usize)> {
    let far = |sign: isize| (1..=limit as isize).take_while(|step| black(sign * step) == Some(true)).count();
    (black(0)?).then(|| (far(-1), far(1)))
}

/// Black, white, the black one about the place, white, black.
fn runs(limit: usize, black: impl Fn(isize) -> Option<bool>) -> [usize; 5] {
    let mut out = [0usize; 5];
    for sign in [-1isize, 1] {
        let mut step = if sign < 0 { 0 } else { 1 };
        for (ring, color) in [(0usize, true), (1, false), (2, true)] {
            let place = if sign < 0 { 2 - ring } else { 2 + ring };
            let mut length = 0;
            while black(sign * step) == Some(color) && length <= limit {
                length += 1;
                step += 1;
            }
            if let Some(run) = out.get_mut(place) {
                *run += length;
            }
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod tests;
