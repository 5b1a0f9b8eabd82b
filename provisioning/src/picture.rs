//! A page as dots: what a scanner, a FAX or a camera made of a paper. Turned, made square, shrunk, told from a blank one, and
//! written anew in a form that every browser shows and nothing foreign survives in. Pure.

use std::borrow::Cow;

/// A4 at 300 dpi: enough to read a seal; what is larger is kept smaller.
const KEPT_SIDE_MAX: u32 = 3_508;
/// Of a hundred; faint pencil is still read.
const JPEG_QUALITY: u8 = 85;
/// Darker than this, a dot is ink.
const DARK: u8 = 160;
/// One dark dot in so many is dust on the glass.
const DUST: usize = 5_000;
/// Around the page, in so many parts of its side: what the lid and the edges throw.
const EDGE: u32 = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Black or white.
    Line,
    Grey,
    Colour,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    ink: Ink,
    /// Rows from above; one octet for each dot, three in colour. 0 is black.
    dots: Vec<u8>,
}

/// How a page is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    Png,
    Jpeg,
}

impl Media {
    pub fn as_str(self) -> &'static str {
        match self {
            Media::Png => "image/png",
            Media::Jpeg => "image/jpeg",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Media::Png, Media::Jpeg].into_iter().find(|media| media.as_str() == text)
    }
}

impl Picture {
    /// `None` when there are not exactly as many octets as dots.
    pub fn new(width: u32, height: u32, ink: Ink, dots: Vec<u8>) -> Option<Self> {
        let each = if ink == Ink::Colour { 3 } else { 1 };
        let wanted = (width as usize).checked_mul(height as usize)?.checked_mul(each)?;
        (wanted > 0 && dots.len() == wanted).then_some(Self { width, height, ink, dots })
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    pub fn ink(&self) -> Ink {
        self.ink
    }

    fn each(&self) -> usize {
        if self.ink == Ink::Colour { 3 } else { 1 }
    }

    /// One octet for each dot.
    pub fn grey(&self) -> Cow<'_, [u8]> {
        if self.ink != Ink::Colour {
            return Cow::Borrowed(&self.dots);
        }
        let luma = |dot: &[u8]| match dot {
            [red, green, blue] => {
                ((u32::from(*red) * 77 + u32::from(*green) * 151 + u32::from(*blue) * 28) >> 8) as u8
            }
            _ => 255,
        };
        Cow::Owned(self.dots.chunks_exact(3).map(luma).collect())
    }

    /// Nothing but dust on it: the back of a sheet.
    pub fn is_blank(&self) -> bool {
        let grey = self.grey();
        let (across, down) = (self.width / EDGE, self.height / EDGE);
        let rows = grey.chunks_exact(self.width as usize);
        let inner = rows.skip(down as usize).take((self.height - 2 * down) as usize);
        let dark = |row: &[u8]| {
            let row = row.get(across as usize..(self.width - across) as usize).unwrap_or(row);
            row.iter().filter(|dot| **dot < DARK).count()
        };
        inner.map(dark).sum::<usize>() * DUST < grey.len()
    }

    /// By quarters, clockwise.
    pub fn turned(self, quarters: u8) -> Self {
        let (width, height) = (self.width as usize, self.height as usize);
        let (across, down) = if quarters.is_multiple_of(2) { (width, height) } else { (height, width) };
        // Where the dot that comes to (x, y) was.
        let from = |x: usize, y: usize| match quarters % 4 {
            1 => (y, height - 1 - x),
            2 => (width - 1 - x, height - 1 - y),
            3 => (width - 1 - y, x),
            _ => (x, y),
        };
        if quarters.is_multiple_of(4) {
            return self;
        }
        let each = self.each();
        let mut dots = Vec::with_capacity(self.dots.len());
        for y in 0..down {
            for x in 0..across {
                let (x, y) = from(x, y);
                let at = (y * width + x) * each;
                dots.extend_from_slice(self.dots.get(at..at + each).unwrap_or(&[]));
            }
        }
        Self { width: across as u32, height: down as u32, ink: self.ink, dots }
    }

    /// A FAX in its coarse mode has half as many rows as columns in an inch: each row comes twice.
    pub fn squared(self, per_width: f64, per_height: f64) -> Self {
        if !(per_width > per_height * 1.5 && per_width < per_height * 3.0) {
            return self;
        }
        let row = self.width as usize * self.each();
        let dots = self.dots.chunks_exact(row).flat_map(|row| [row, row]).flatten().copied().collect();
        Self { height: self.height * 2, dots, ..self }
    }

    /// Smaller by a whole factor: each dot is the mean of its square.
    pub fn shrunk(&self, by: u32) -> Self {
        let by = by.max(1);
        let (width, height) = ((self.width / by).max(1), (self.height / by).max(1));
        let (each, stride) = (self.each(), self.width as usize * self.each());
        let mut dots = Vec::with_capacity(width as usize * height as usize * each);
        for y in 0..height {
            for x in 0..width {
                for part in 0..each {
                    let (mut sum, mut count) = (0u32, 0u32);
                    for row in y * by..((y + 1) * by).min(self.height) {
                        for column in x * by..((x + 1) * by).min(self.width) {
                            let at = row as usize * stride + column as usize * each + part;
                            sum += u32::from(self.dots.get(at).copied().unwrap_or(255));
                            count += 1;
                        }
                    }
                    dots.push((sum / count.max(1)) as u8);
                }
            }
        }
        let ink = if self.ink == Ink::Line && by > 1 { Ink::Grey } else { self.ink };
        Self { width, height, ink, dots }
    }

    /// Written anew: nothing of the file that it came in is kept beside its dots.
    pub fn written(&self) -> Option<(Media, Vec<u8>)> {
        if self.ink == Ink::Line {
            return Some((Media::Png, self.png()?));
        }
        let side = self.width.max(self.height);
        let smaller = self.shrunk(side.div_ceil(KEPT_SIDE_MAX));
        let mut bytes = Vec::new();
        let color = if self.ink == Ink::Colour {
            jpeg_encoder::ColorType::Rgb
        } else {
            jpeg_encoder::ColorType::Luma
        };
        let (width, height) = (u16::try_from(smaller.width).ok()?, u16::try_from(smaller.height).ok()?);
        jpeg_encoder::Encoder::new(&mut bytes, JPEG_QUALITY)
            .encode(&smaller.dots, width, height, color)
            .ok()?;
        Some((Media::Jpeg, bytes))
    }

    fn png(&self) -> Option<Vec<u8>> {
        let mut packed = Vec::with_capacity(self.dots.len() / 8 + self.height as usize);
        for row in self.dots.chunks_exact(self.width as usize) {
            for eight in row.chunks(8) {
                let bits = eight.iter().enumerate();
                packed.push(bits.fold(0u8, |octet, (place, dot)| octet | (dot >> 7) << (7 - place)));
            }
        }
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder.write_header().ok()?.write_image_data(&packed).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: u32, height: u32) -> Picture {
        let dot = |at: u32| if (at % width + at / width).is_multiple_of(3) { 0 } else { 255 };
        Picture::new(width, height, Ink::Line, (0..width * height).map(dot).collect()).unwrap()
    }

    #[test]
    fn four_quarters_are_the_page_again_and_two_halves_too() {
        let page = page(7, 4);
        let mut turned = page.clone();
        for quarter in 1..=4u32 {
            turned = turned.turned(1);
            let wide = if quarter % 2 == 0 { (7, 4) } else { (4, 7) };
            assert_eq!((turned.width(), turned.height()), wide);
        }
        assert_eq!(turned, page);
        assert_eq!(page.clone().turned(2).turned(2), page);
        assert_eq!(page.clone().turned(3), page.clone().turned(1).turned(2));
    }

    #[test]
    fn a_page_is_what_it_says() {
        assert!(Picture::new(2, 2, Ink::Grey, vec![0; 3]).is_none());
        assert!(Picture::new(0, 2, Ink::Grey, vec![]).is_none());
        assert!(Picture::new(2, 2, Ink::Colour, vec![0; 12]).is_some());
    }

    #[test]
    fn dust_is_no_ink_and_a_line_of_text_is() {
        let mut dots = vec![255; 400 * 600];
        dots[400 * 300 + 20] = 0;
        // The shadow of the lid.
        dots[..400 * 3].fill(0);
        assert!(Picture::new(400, 600, Ink::Grey, dots.clone()).unwrap().is_blank());
        dots[400 * 300 + 40..400 * 300 + 160].fill(0);
        assert!(!Picture::new(400, 600, Ink::Grey, dots).unwrap().is_blank());
    }

    #[test]
    fn a_coarse_fax_becomes_square() {
        assert_eq!(page(8, 4).squared(204.0, 98.0).height(), 8);
        assert_eq!(page(8, 4).squared(204.0, 196.0).height(), 4);
        assert_eq!(page(8, 4).squared(f64::NAN, 0.0).height(), 4);
    }

    #[test]
    fn what_is_kept_is_a_picture_and_reads_back() {
        let (media, bytes) = page(37, 20).written().unwrap();
        assert_eq!((media, &bytes[..4]), (Media::Png, b"\x89PNG".as_slice()));
        let colour = Picture::new(40, 30, Ink::Colour, vec![90; 3_600]).unwrap();
        let (media, bytes) = colour.written().unwrap();
        assert_eq!((media, &bytes[..3]), (Media::Jpeg, b"\xff\xd8\xff".as_slice()));
    }
}
