//! A PDF whose pages are pictures, as scanners write it: objects are found by their own heads, so that no table of places is
//! believed; each page gives the one picture that it draws. What draws otherwise is named. A parser of foreign octets. Pure.

use crate::messages_scan::ScanMessage;
use crate::pdf_file::{Held, Objects, is};
use crate::pdf_object::{Dict, Object, Reader};
use crate::picture::{Ink, Picture};
use crate::scan_part::{self, Budget, Fax, FaxMode};

/// What a page draws: one picture needs a line.
const DRAWING_MAX: usize = 256 * 1024;
/// Pages under pages, forms under forms.
const DEPTH_MAX: u32 = 16;
/// Pictures and forms that a page draws, one after the other.
const STEPS_MAX: usize = 32;
/// A FAX's row has 1,728 dots.
const FAX_WIDTH: u32 = 1_500;
/// The tables of an indexed picture.
const PALETTE_MAX: usize = 4 * 256;

pub struct Pdf<'a> {
    file: Objects<'a>,
    pages: Vec<Page>,
}

/// With what it inherits.
struct Page {
    dict: Dict,
    resources: Dict,
    quarters: u8,
    /// Width and height in points.
    size: Option<(f64, f64)>,
}

pub fn is_pdf(bytes: &[u8]) -> bool {
    bytes.get(..1_024.min(bytes.len())).is_some_and(|head| head.windows(5).any(|five| five == b"%PDF-"))
}

impl<'a> Pdf<'a> {
    pub fn open(bytes: &'a [u8], pages_max: usize) -> Result<Self, ScanMessage> {
        let broken = || ScanMessage::FileBroken { kind: "PDF" };
        let file = Objects::open(bytes).ok_or_else(broken)?;
        if file.is_locked() {
            return Err(ScanMessage::PdfLocked);
        }
        let mut pdf = Self { file, pages: Vec::new() };
        let root = pdf.file.root().ok_or_else(broken)?;
        let tree = pdf.file.dict(root.get(b"Pages".as_slice()).ok_or_else(broken)?).ok_or_else(broken)?;
        let mut walked = Walked { pages: Vec::new(), pages_max, nodes: 0 };
        pdf.walk(&tree, &Inherited::default(), 0, &mut walked)?;
        if walked.pages.is_empty() {
            return Err(broken());
        }
        pdf.pages = walked.pages;
        Ok(pdf)
    }

    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// `place` from 0; `number` is what people call it.
    pub fn page(&self, place: usize, number: usize, budget: &mut Budget) -> Result<Picture, ScanMessage> {
        let other = || ScanMessage::PdfPage { page: number };
        let page = self.pages.get(place).ok_or_else(other)?;
        let drawn = self.drawn(page).ok_or_else(other)?;
        let [held] = drawn.as_slice() else { return Err(other()) };
        let picture = self.picture(held, number, budget)?;
        let (wide, high) = (f64::from(picture.width()), f64::from(picture.height()));
        let square = match page.size {
            Some((across, down)) if picture.ink() == Ink::Line && picture.width() >= FAX_WIDTH => {
                picture.squared(wide / across, high / down)
            }
            _ => picture,
        };
        Ok(square.turned(page.quarters))
    }

    fn walk(
        &self,
        node: &Dict,
        above: &Inherited,
        depth: u32,
        walked: &mut Walked,
    ) -> Result<(), ScanMessage> {
        let broken = || ScanMessage::FileBroken { kind: "PDF" };
        walked.nodes += 1;
        if depth > DEPTH_MAX || walked.nodes > 4 * walked.pages_max {
            return Err(broken());
        }
        let here = self.inherited(node, above);
        let Some(Object::Array(kids)) = self.file.of(node, b"Kids") else {
            let Inherited { resources, quarters, size } = here;
            walked.pages.push(Page { dict: node.clone(), resources, quarters, size });
            if walked.pages.len() > walked.pages_max {
                return Err(ScanMessage::PagesTooMany { limit: walked.pages_max });
            }
            return Ok(());
        };
        for kid in kids {
            self.walk(&self.file.dict(kid).ok_or_else(broken)?, &here, depth + 1, walked)?;
        }
        Ok(())
    }

    fn inherited(&self, node: &Dict, above: &Inherited) -> Inherited {
        let mut here = above.clone();
        if let Some(Object::Dict(resources)) = self.file.of(node, b"Resources") {
            here.resources.clone_from(resources);
        }
        if let Some(degrees) = self.file.of(node, b"Rotate").and_then(Object::number) {
            here.quarters = ((degrees / 90.0).round().rem_euclid(4.0)) as u8;
        }
        if let Some(Object::Array(sides)) = self.file.of(node, b"MediaBox") {
            let side = |at: usize| self.file.resolved(sides.get(at)?)?.number();
            if let (Some(left), Some(low), Some(right), Some(high)) = (side(0), side(1), side(2), side(3)) {
                here.size = Some(((right - left).abs(), (high - low).abs()));
            }
        }
        here
    }

    /// The pictures that a page draws, once each.
    fn drawn(&self, page: &Page) -> Option<Vec<&Held>> {
        let mut drawing = Vec::new();
        let parts: Vec<&Object> = match page.dict.get(b"Contents".as_slice())? {
            Object::Ref(number) => match &self.file.held(*number)?.object {
                Object::Array(parts) => parts.iter().collect(),
                _ => vec![page.dict.get(b"Contents".as_slice())?],
            },
            Object::Array(parts) => parts.iter().collect(),
            _ => return None,
        };
        for part in parts.into_iter().take(16) {
            let Object::Ref(number) = part else { return None };
            drawing.extend(self.file.unpacked(self.file.held(*number)?, DRAWING_MAX)?);
            drawing.push(b'\n');
        }
        let mut drawn = Drawn { pictures: Vec::new(), steps: 0 };
        self.drawn_by(&drawing, &page.resources, 0, &mut drawn)?;
        Some(drawn.pictures)
    }

    fn drawn_by<'b>(
        &'b self,
        drawing: &[u8],
        resources: &Dict,
        depth: u32,
        drawn: &mut Drawn<'b>,
    ) -> Option<()> {
        (depth < 4).then_some(())?;
        let Some(Object::Dict(known)) = self.file.of(resources, b"XObject") else { return Some(()) };
        let (mut reader, mut last) = (Reader::new(drawing, 0), None);
        loop {
            reader.space();
            if reader.at >= drawing.len() {
                return Some(());
            }
            let at = reader.at;
            let object = reader.object();
            // What is no object, such as a bare bracket, is stepped over.
            reader.at = reader.at.max(at + 1);
            match object {
                Some(Object::Name(name)) => last = Some(name),
                Some(Object::Word(word)) if word == b"Do" => {
                    drawn.steps += 1;
                    (drawn.steps <= STEPS_MAX).then_some(())?;
                    let Object::Ref(number) = known.get(last.take()?.as_slice())? else { return None };
                    let held = self.file.held(*number)?;
                    let Object::Dict(dict) = &held.object else { return None };
                    if is(dict, b"Subtype", b"Form") {
                        let form = self.file.unpacked(held, DRAWING_MAX)?;
                        let own = self.file.of(dict, b"Resources");
                        let own = if let Some(Object::Dict(own)) = own { own } else { resources };
                        self.drawn_by(&form, own, depth + 1, drawn)?;
                    } else if !drawn.pictures.iter().any(|known| std::ptr::eq(*known, held)) {
                        drawn.pictures.push(held);
                    }
                }
                // A picture inside the drawing is none that we read.
                Some(Object::Word(word)) if word == b"BI" => return None,
                _ => {}
            }
        }
    }

    fn picture(&self, held: &Held, page: usize, budget: &mut Budget) -> Result<Picture, ScanMessage> {
        let other = || ScanMessage::PdfPage { page };
        let unreadable = |kind| ScanMessage::PageUnreadable { page, kind };
        let Object::Dict(dict) = &held.object else { return Err(other()) };
        let number = |name: &[u8]| self.file.of(dict, name).and_then(Object::count);
        let (Some(width), Some(height)) = (number(b"Width"), number(b"Height")) else { return Err(other()) };
        let mut octets = self.file.raw(held).ok_or_else(other)?.to_vec();
        let is_mask = matches!(self.file.of(dict, b"ImageMask"), Some(Object::Bool(true)));
        let bits = if is_mask { 1 } else { number(b"BitsPerComponent").unwrap_or(8) };
        let colours = self.colours(dict, is_mask).ok_or_else(|| unreadable("PDF ColorSpace"))?;
        let ink = match (&colours, bits) {
            (Colours::Grey, 1) => Ink::Line,
            (Colours::Grey, _) => Ink::Grey,
            _ => Ink::Colour,
        };
        let limit = (width as usize).saturating_mul(height as usize).saturating_mul(4);
        let mut filters = self.file.filters(dict).ok_or_else(|| unreadable("PDF Filter"))?;
        let last = filters.last().map(|(name, _)| name.clone()).unwrap_or_default();
        let inner = matches!(last.as_slice(), b"DCTDecode" | b"DCT" | b"CCITTFaxDecode" | b"CCF");
        let inner = if inner { filters.pop() } else { None };
        if inner.as_ref().is_none_or(|(name, _)| !name.starts_with(b"DCT")) {
            budget.take(page, (width, height), ink)?;
        }
        for (name, parameters) in &filters {
            let kind = match name.as_slice() {
                b"JBIG2Decode" => "PDF JBIG2",
                b"JPXDecode" => "PDF JPEG 2000",
                _ => "PDF",
            };
            let limit = if inner.is_some() { self.file.len() } else { limit };
            octets =
                self.file.unfiltered(name, parameters, &octets, limit).ok_or_else(|| unreadable(kind))?;
        }
        let inverted = self.inverted(dict) ^ is_mask;
        let dots = match inner {
            Some((name, _)) if name.starts_with(b"DCT") => return scan_part::jpeg(page, &octets, budget),
            Some((_, parameters)) => {
                let dots = self.fax(&parameters, &octets, (width, height));
                dots.ok_or_else(|| unreadable("PDF CCITT"))?
            }
            None => {
                let parts = colours.parts();
                scan_part::unpacked(&octets, (width, height), bits, parts).ok_or_else(|| unreadable("PDF"))?
            }
        };
        let dots = if inverted && ink != Ink::Colour {
            dots.into_iter().map(|dot| 255 - dot).collect()
        } else {
            colours.meant(dots, bits)
        };
        Picture::new(width, height, ink, dots).ok_or_else(|| unreadable("PDF"))
    }

    /// `/Decode [1 0]`: 0 is white.
    fn inverted(&self, dict: &Dict) -> bool {
        let Some(Object::Array(range)) = self.file.of(dict, b"Decode") else { return false };
        range.first().and_then(Object::number) == Some(1.0)
    }

    /// As samples of the file: 0 is black unless it says otherwise.
    fn fax(&self, parameters: &Dict, octets: &[u8], (width, height): (u32, u32)) -> Option<Vec<u8>> {
        let number = |name: &[u8], missing: f64| match self.file.of(parameters, name) {
            Some(value) => value.number(),
            None => Some(missing),
        };
        let yes = |name: &[u8]| matches!(self.file.of(parameters, name), Some(Object::Bool(true)));
        let columns = number(b"Columns", 1_728.0)?;
        (columns == f64::from(width)).then_some(())?;
        let kind = number(b"K", 0.0)?;
        let mode = if kind < 0.0 {
            FaxMode::G4
        } else if kind > 0.0 {
            FaxMode::G3Mixed
        } else {
            FaxMode::G3
        };
        let fax = Fax { columns: width, rows: height, mode, aligned: yes(b"EncodedByteAlign") };
        let dots = scan_part::fax(octets, fax)?;
        Some(if yes(b"BlackIs1") { dots.into_iter().map(|dot| 255 - dot).collect() } else { dots })
    }

    fn colours(&self, dict: &Dict, is_mask: bool) -> Option<Colours> {
        if is_mask {
            return Some(Colours::Grey);
        }
        match self.file.of(dict, b"ColorSpace") {
            // A JPEG says it itself.
            None => Some(Colours::Grey),
            Some(space) => self.space(space, 0),
        }
    }

    fn space(&self, space: &Object, depth: u32) -> Option<Colours> {
        (depth < 3).then_some(())?;
        let items = match space {
            Object::Name(name) => return Colours::named(name),
            Object::Array(items) => items,
            _ => return None,
        };
        let second = items.get(1);
        match self.file.resolved(items.first()?)?.name()? {
            b"ICCBased" => match self.file.of(&self.file.dict(second?)?, b"N").and_then(Object::count)? {
                1 => Some(Colours::Grey),
                3 => Some(Colours::Rgb),
                _ => None,
            },
            b"Indexed" | b"I" => {
                let Colours::Rgb = self.space(self.file.resolved(second?)?, depth + 1)? else { return None };
                let table = match items.get(3)? {
                    Object::Ref(number) => match &self.file.held(*number)?.object {
                        Object::Text(text) => text.clone(),
                        _ => self.file.unpacked(self.file.held(*number)?, PALETTE_MAX)?,
                    },
                    Object::Text(text) => text.clone(),
                    _ => return None,
                };
                Some(Colours::Indexed(table))
            }
            name => Colours::named(name),
        }
    }
}

/// Pages found so far; a tree that leads nowhere ends, too.
struct Walked {
    pages: Vec<Page>,
    pages_max: usize,
    nodes: usize,
}

struct Drawn<'a> {
    pictures: Vec<&'a Held>,
    steps: usize,
}

#[derive(Clone, Default)]
struct Inherited {
    resources: Dict,
    quarters: u8,
    size: Option<(f64, f64)>,
}

enum Colours {
    Grey,
    Rgb,
    Indexed(Vec<u8>),
}

impl Colours {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"DeviceGray" | b"CalGray" | b"G" => Some(Colours::Grey),
            b"DeviceRGB" | b"CalRGB" | b"RGB" => Some(Colours::Rgb),
            _ => None,
        }
    }

    fn parts(&self) -> u32 {
        if matches!(self, Colours::Rgb) { 3 } else { 1 }
    }

    fn meant(&self, dots: Vec<u8>, bits: u32) -> Vec<u8> {
        let Colours::Indexed(table) = self else { return dots };
        let most = (1usize << bits.min(8)) - 1;
        let part = |dot: u8, part: usize| {
            table.get(usize::from(dot) * most / 255 * 3 + part).copied().unwrap_or(255)
        };
        dots.into_iter().flat_map(|dot| [0, 1, 2].map(|of| part(dot, of))).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
