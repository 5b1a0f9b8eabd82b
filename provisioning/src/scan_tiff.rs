//! TIFF as scanners and FAX servers write it (TIFF 6.0, class F): pages in strips, black and white as T.4 or T.6, grey and
//! colour plain, in LZW, Flate, PackBits or JPEG. A parser of foreign octets: every place is asked before it is read, rings
//! of pages end. Pure.

use crate::messages_scan::ScanMessage;
use crate::picture::{Ink, Picture};
use crate::scan_part::{self, Budget, Fax, FaxMode};

/// Entries of a page; writers use some twenty.
const ENTRIES_MAX: usize = 400;
/// Strips of a page: one for each row of the longest.
const STRIPS_MAX: u32 = 20_000;

/// A file whose pages are found and not yet read.
pub struct Tiff<'a> {
    bytes: Octets<'a>,
    pages: Vec<Entries>,
}

type Entries = Vec<Entry>;

#[derive(Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    /// Where the entry's own four octets stand.
    at: usize,
}

#[derive(Clone, Copy)]
struct Octets<'a> {
    all: &'a [u8],
    big: bool,
}

impl Octets<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let two: [u8; 2] = self.all.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let four: [u8; 4] = self.all.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }
}

pub fn is_tiff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II\x2a\0") || bytes.starts_with(b"MM\0\x2a")
}

impl<'a> Tiff<'a> {
    pub fn open(all: &'a [u8], pages_max: usize) -> Result<Self, ScanMessage> {
        let bytes = Octets { all, big: all.starts_with(b"MM") };
        let broken = ScanMessage::FileBroken { kind: "TIFF" };
        let mut next = bytes.u32(4).ok_or(broken.clone())? as usize;
        let (mut pages, mut seen) = (Vec::new(), Vec::new());
        while next != 0 {
            if seen.contains(&next) {
                return Err(broken);
            }
            seen.push(next);
            let (entries, after) = entries(&bytes, next).ok_or(broken.clone())?;
            // A smaller copy for the preview is no page.
            let is_preview = bytes.number(&entries, 254).is_some_and(|kind| kind & 1 == 1);
            if !is_preview {
                pages.push(entries);
            }
            if pages.len() > pages_max || seen.len() > 2 * pages_max + 2 {
                return Err(ScanMessage::PagesTooMany { limit: pages_max });
            }
            next = after;
        }
        if pages.is_empty() {
            return Err(broken);
        }
        Ok(Self { bytes, pages })
    }

    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// `place` from 0; `page` is what people call it.
    pub fn page(&self, place: usize, page: usize, budget: &mut Budget) -> Result<Picture, ScanMessage> {
        let unreadable = || ScanMessage::PageUnreadable { page, kind: "TIFF" };
        let entries = self.pages.get(place).ok_or_else(unreadable)?;
        let form = self.bytes.form(entries).ok_or_else(unreadable)?;
        let ink = match (form.parts, form.bits) {
            (1, 1) if form.meaning <= 1 => Ink::Line,
            (1, _) if form.meaning <= 1 => Ink::Grey,
            _ => Ink::Colour,
        };
        budget.take(page, (form.width, form.height), ink)?;
        if form.packing == Packing::Jpeg {
            return self.jpeg(&form, entries, page);
        }
        let dots = self.bytes.dots(&form).ok_or_else(unreadable)?;
        let picture = Picture::new(form.width, form.height, ink, dots).ok_or_else(unreadable)?;
        let (across, down) = (self.bytes.ratio(entries, 282), self.bytes.ratio(entries, 283));
        Ok(match (across, down) {
            (Some(across), Some(down)) => picture.squared(across, down),
            _ => picture,
        })
    }

    /// One JPEG for the whole page, its tables perhaps apart.
    fn jpeg(&self, form: &Form, entries: &Entries, page: usize) -> Result<Picture, ScanMessage> {
        let unreadable = || ScanMessage::PageUnreadable { page, kind: "TIFF JPEG" };
        let [(from, length)] = form.strips.as_slice() else { return Err(unreadable()) };
        let strip = self.bytes.all.get(*from..from.saturating_add(*length)).ok_or_else(unreadable)?;
        let tables = entries.iter().find(|entry| entry.tag == 347);
        let tables = tables.and_then(|entry| {
            let (from, length) = (self.bytes.u32(entry.at)? as usize, entry.count as usize);
            let tables = self.bytes.all.get(from..from.checked_add(length)?)?;
            tables.strip_suffix(&[0xff, 0xd9])
        });
        let whole = match (tables, strip.strip_prefix(&[0xff, 0xd8])) {
            (Some(tables), Some(rest)) => [tables, rest].concat(),
            _ => strip.to_vec(),
        };
        // Its own header is believed, and asked again.
        let mut budget = Budget::new(u64::from(form.width) * u64::from(form.height));
        scan_part::jpeg(page, &whole, &mut budget).map_err(|_| unreadable())
    }
}

fn entries(bytes: &Octets<'_>, at: usize) -> Option<(Entries, usize)> {
    let count = bytes.u16(at).map(usize::from).filter(|count| *count <= ENTRIES_MAX)?;
    let entry = |place: usize| {
        let at = at.checked_add(2 + place * 12)?;
        Some(Entry { tag: bytes.u16(at)?, kind: bytes.u16(at + 2)?, count: bytes.u32(at + 4)?, at: at + 8 })
    };
    let entries: Option<Vec<Entry>> = (0..count).map(entry).collect();
    let next = bytes.u32(at.checked_add(2 + count * 12)?).unwrap_or(0);
    Some((entries?, next as usize))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Fax { mode: FaxMode, aligned: bool },
    Lzw,
    Flate,
    Runs,
    Jpeg,
}

/// What a page's entries say of it.
struct Form {
    width: u32,
    height: u32,
    bits: u32,
    parts: u32,
    packing: Packing,
    /// 0: 0 is white; 1: 0 is black; 2: red, green, blue; 3: a palette.
    meaning: u32,
    /// Octets are written from their other end.
    backwards: bool,
    predicted: bool,
    rows: u32,
    strips: Vec<(usize, usize)>,
    palette: Vec<u16>,
}

impl Octets<'_> {
    /// One value of an entry, wherever it stands.
    fn value(&self, entry: &Entry, place: u32) -> Option<u32> {
        let size = match entry.kind {
            1 => 1,
            3 => 2,
            4 => 4,
            _ => return None,
        };
        if place >= entry.count {
            return None;
        }
        let inside = u64::from(entry.count) * size <= 4;
        let base = if inside { entry.at } else { self.u32(entry.at)? as usize };
        let at = base.checked_add(place as usize * size as usize)?;
        match entry.kind {
            1 => self.all.get(at).map(|octet| u32::from(*octet)),
            3 => self.u16(at).map(u32::from),
            _ => self.u32(at),
        }
    }

    fn number(&self, entries: &Entries, tag: u16) -> Option<u32> {
        self.value(entries.iter().find(|entry| entry.tag == tag)?, 0)
    }

    fn numbers(&self, entries: &Entries, tag: u16, limit: u32) -> Option<Vec<u32>> {
        let entry = entries.iter().find(|entry| entry.tag == tag)?;
        (entry.count <= limit).then(|| (0..entry.count).map(|place| self.value(entry, place)).collect())?
    }

    fn ratio(&self, entries: &Entries, tag: u16) -> Option<f64> {
        let entry = entries.iter().find(|entry| entry.tag == tag && entry.kind == 5)?;
        let at = self.u32(entry.at)? as usize;
        let under = self.u32(at.checked_add(4)?).filter(|under| *under > 0)?;
        Some(f64::from(self.u32(at)?) / f64::from(under))
    }

    fn form(&self, entries: &Entries) -> Option<Form> {
        let of = |tag: u16, missing: u32| self.number(entries, tag).unwrap_or(missing);
        let (width, height) = (self.number(entries, 256)?, self.number(entries, 257)?);
        // Tiles are for maps; samples apart for satellites.
        if entries.iter().any(|entry| entry.tag == 322) || of(284, 1) != 1 {
            return None;
        }
        let (bits, parts) = (of(258, 1), of(277, 1));
        let aligned = of(293, 0);
        let packing = match of(259, 1) {
            1 => Packing::Plain,
            2 => Packing::Fax { mode: FaxMode::G3, aligned: true },
            3 if of(292, 0) & 1 == 1 => Packing::Fax { mode: FaxMode::G3Mixed, aligned: false },
            3 => Packing::Fax { mode: FaxMode::G3, aligned: false },
            4 if aligned & 2 == 0 => Packing::Fax { mode: FaxMode::G4, aligned: false },
            5 => Packing::Lzw,
            7 => Packing::Jpeg,
            8 | 32_946 => Packing::Flate,
            32_773 => Packing::Runs,
            _ => return None,
        };
        let meaning = of(262, 0);
        let fits = matches!(
            (meaning, parts, bits),
            (0 | 1, 1, 1 | 2 | 4 | 8 | 16) | (3, 1, 1 | 2 | 4 | 8) | (2, 3 | 4, 8)
        );
        if !(fits || packing == Packing::Jpeg) || width == 0 || height == 0 {
            return None;
        }
        let from = self.numbers(entries, 273, STRIPS_MAX)?;
        let lengths = self.numbers(entries, 279, STRIPS_MAX)?;
        // Strips that lie over one another would be unpacked again and again.
        let all = lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
        (all <= self.all.len() as u64).then_some(())?;
        let strips = from.iter().zip(&lengths).map(|(from, length)| (*from as usize, *length as usize));
        let palette = if meaning == 3 { self.numbers(entries, 320, 3 * 256)? } else { Vec::new() };
        Some(Form {
            width,
            height,
            bits,
            parts,
            packing,
            meaning,
            backwards: of(266, 1) == 2,
            predicted: of(317, 1) == 2,
            rows: of(278, height).clamp(1, height),
            strips: strips.collect(),
            palette: palette.into_iter().map(|part| part as u16).collect(),
        })
    }

    /// One octet for each dot, or three in colour; 0 is black.
    fn dots(&self, form: &Form) -> Option<Vec<u8>> {
        let mut samples = Vec::new();
        for (place, (from, length)) in form.strips.iter().enumerate() {
            let done = form.rows.checked_mul(u32::try_from(place).ok()?)?;
            let rows = form.rows.min(form.height.saturating_sub(done));
            if rows == 0 {
                break;
            }
            let strip = self.all.get(*from..from.checked_add(*length)?)?;
            let turned: Vec<u8>;
            let strip = if form.backwards {
                turned = strip.iter().map(|octet| octet.reverse_bits()).collect();
                &turned
            } else {
                strip
            };
            samples.extend(unpacked(form, strip, rows)?);
        }
        let wanted =
            (form.width as usize).checked_mul(form.height as usize)?.checked_mul(form.parts as usize)?;
        (samples.len() == wanted).then_some(())?;
        Some(meant(form, samples))
    }
}

/// A strip's samples, one octet each.
fn unpacked(form: &Form, strip: &[u8], rows: u32) -> Option<Vec<u8>> {
    if let Packing::Fax { mode, aligned } = form.packing {
        let dots = scan_part::fax(strip, Fax { columns: form.width, rows, mode, aligned })?;
        // It speaks of white and black, the file of 0 and 1: white is 0.
        return Some(dots.into_iter().map(|dot| 255 - dot).collect());
    }
    let stride = (form.width as usize).checked_mul((form.parts * form.bits) as usize)?.div_ceil(8);
    let size = stride.checked_mul(rows as usize)?;
    let mut octets = match form.packing {
        Packing::Plain => strip.get(..size)?.to_vec(),
        Packing::Lzw => scan_part::lzw(strip, size)?,
        Packing::Flate => scan_part::inflated(strip, size)?,
        Packing::Runs => scan_part::runs(strip, size)?,
        Packing::Fax { .. } | Packing::Jpeg => return None,
    };
    if form.predicted && form.bits == 8 {
        summed(&mut octets, stride, form.parts as usize);
    }
    // A writer that stops in the last row has lost what comes after it.
    (octets.len() == size).then_some(())?;
    scan_part::unpacked(&octets, (form.width, rows), form.bits, form.parts)
}

/// Each sample was written as its difference from the one before it.
pub fn summed(octets: &mut [u8], stride: usize, parts: usize) {
    for row in octets.chunks_mut(stride.max(1)) {
        for at in parts..row.len() {
            let before = row.get(at - parts).copied().unwrap_or(0);
            if let Some(sample) = row.get_mut(at) {
                *sample = sample.wrapping_add(before);
            }
        }
    }
}

fn meant(form: &Form, samples: Vec<u8>) -> Vec<u8> {
    match form.meaning {
        0 => samples.into_iter().map(|sample| 255 - sample).collect(),
        3 => {
            let colors = form.palette.len() / 3;
            let most = (1u32 << form.bits) - 1;
            let part = |sample: u8, part: usize| {
                let index = (u32::from(sample) * most / 255) as usize;
                form.palette.get(part * colors + index).map_or(255, |value| (*value >> 8) as u8)
            };
            samples.into_iter().flat_map(|sample| [0, 1, 2].map(|of| part(sample, of))).collect()
        }
        2 if form.parts == 4 => samples.chunks_exact(4).flat_map(|dot| [dot[0], dot[1], dot[2]]).collect(),
        _ => samples,
    }
}

#[cfg(test)]
pub(crate) mod tests;
