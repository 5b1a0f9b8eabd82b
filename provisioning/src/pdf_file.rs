//! The objects of a PDF: found by their own heads, so that no table of places is believed, unpacked under a limit, and looked
//! up. A parser of foreign octets. Pure.

use std::collections::BTreeMap;

use crate::pdf_object::{Dict, Object, Reader};
use crate::scan_part;
use crate::scan_tiff::summed;

/// A hundred pages need some five hundred.
const OBJECTS_MAX: usize = 50_000;
/// Packed objects of one file, unpacked.
const PACKED_MAX: usize = 16 * 1024 * 1024;

pub struct Objects<'a> {
    bytes: &'a [u8],
    objects: BTreeMap<u32, Held>,
    trailers: Vec<Dict>,
}

/// An object, and where its stream stands.
pub struct Held {
    pub object: Object,
    stream: Option<(usize, usize)>,
}

impl<'a> Objects<'a> {
    /// `None` when there are too many, or what is packed cannot be unpacked.
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        let mut objects = Self { bytes, objects: BTreeMap::new(), trailers: Vec::new() };
        objects.trailers = objects.find()?;
        // What is encrypted is not unpacked.
        if !objects.is_locked() {
            objects.unpack()?;
        }
        Some(objects)
    }

    pub fn is_locked(&self) -> bool {
        self.trailers.iter().any(|dict| dict.contains_key(b"Encrypt".as_slice()))
    }

    /// Where the pages hang.
    pub fn root(&self) -> Option<Dict> {
        let named = self.trailers.iter().rev().find_map(|dict| self.dict(dict.get(b"Root".as_slice())?));
        named.or_else(|| {
            self.objects.values().find_map(|held| match &held.object {
                Object::Dict(dict) if is(dict, b"Type", b"Catalog") => Some(dict.clone()),
                _ => None,
            })
        })
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn held(&self, number: u32) -> Option<&Held> {
        self.objects.get(&number)
    }

    /// Every object by its head; streams are stepped over. Gives the trailers.
    fn find(&mut self) -> Option<Vec<Dict>> {
        let (mut trailers, mut at) = (Vec::new(), 0);
        while let Some(found) = self.bytes.get(at..)?.iter().position(|octet| matches!(octet, b'o' | b't')) {
            at += found;
            if self.starts(at, b"trailer") {
                let mut reader = Reader::new(self.bytes, at + 7);
                if let Some(Object::Dict(dict)) = reader.object() {
                    trailers.push(dict);
                }
                at = reader.at.max(at + 7);
            } else if self.starts(at, b"obj")
                && let Some(number) = self.number_before(at)
            {
                let mut reader = Reader::new(self.bytes, at + 3);
                let object = reader.object();
                at = reader.at.max(at + 3);
                let Some(object) = object else { continue };
                let stream = self.stream_after(&object, at);
                at = stream.map_or(at, |(_, to)| to);
                if let Object::Dict(dict) = &object
                    && is(dict, b"Type", b"XRef")
                {
                    trailers.push(dict.clone());
                }
                self.objects.insert(number, Held { object, stream });
                (self.objects.len() <= OBJECTS_MAX && trailers.len() <= OBJECTS_MAX).then_some(())?;
            } else {
                at += 1;
            }
        }
        Some(trailers)
    }

    fn starts(&self, at: usize, with: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(with))
    }

    /// `12 0 obj`: the number before the word.
    fn number_before(&self, at: usize) -> Option<u32> {
        let head = self.bytes.get(at.saturating_sub(24)..at)?;
        let mut words = head.rsplit(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (generation, number) = (words.next()?, words.next()?);
        let read = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u32>().ok();
        read(generation)?;
        // A number may stand right behind another object's end.
        let digits = number.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
        read(number.get(number.len() - digits..)?)
    }

    /// Where a stream's octets stand, when one follows.
    fn stream_after(&self, object: &Object, at: usize) -> Option<(usize, usize)> {
        let Object::Dict(dict) = object else { return None };
        let mut reader = Reader::new(self.bytes, at);
        reader.space();
        if !reader.starts(b"stream") {
            return None;
        }
        let from = reader.at + 6;
        let from = from
            + if self.starts(from, b"\r\n") {
                2
            } else {
                usize::from(self.starts(from, b"\n") || self.starts(from, b"\r"))
            };
        if let Some(length) = dict.get(b"Length".as_slice()).and_then(Object::count) {
            let to = from.checked_add(length as usize)?;
            let mut after = Reader::new(self.bytes, to);
            after.space();
            if after.starts(b"endstream") {
                return Some((from, to));
            }
        }
        let length = self.bytes.get(from..)?.windows(9).position(|nine| nine == b"endstream");
        Some((from, length.map_or(self.bytes.len(), |length| from + length)))
    }

    /// Objects that are packed together in a stream.
    fn unpack(&mut self) -> Option<()> {
        let (mut found, mut left, mut work) = (Vec::new(), PACKED_MAX, 4 * PACKED_MAX);
        for held in self.objects.values() {
            let Object::Dict(dict) = &held.object else { continue };
            if !is(dict, b"Type", b"ObjStm") {
                continue;
            }
            let octets = self.unpacked(held, left)?;
            left = left.checked_sub(octets.len())?;
            let (count, first) =
                (dict.get(b"N".as_slice())?.count()?, dict.get(b"First".as_slice())?.count()?);
            let mut heads = Reader::new(&octets, 0);
            for _ in 0..count.min(OBJECTS_MAX as u32) {
                let (Some(number), Some(at)) = (
                    heads.object().as_ref().and_then(Object::count),
                    heads.object().as_ref().and_then(Object::count),
                ) else {
                    break;
                };
                let at = (first as usize).checked_add(at as usize)?;
                let mut reader = Reader::new(&octets, at);
                if let Some(object) = reader.object() {
                    found.push((number, object));
                }
                // Objects that lie in one another would be read again and again.
                work = work.checked_sub(reader.at.saturating_sub(at))?;
            }
            (found.len() <= OBJECTS_MAX).then_some(())?;
        }
        for (number, object) in found {
            self.objects.entry(number).or_insert(Held { object, stream: None });
        }
        Some(())
    }

    pub fn resolved<'b>(&'b self, object: &'b Object) -> Option<&'b Object> {
        match object {
            Object::Ref(number) => match &self.objects.get(number)?.object {
                Object::Ref(_) => None,
                object => Some(object),
            },
            object => Some(object),
        }
    }

    pub fn dict(&self, object: &Object) -> Option<Dict> {
        if let Object::Dict(dict) = self.resolved(object)? { Some(dict.clone()) } else { None }
    }

    pub fn of<'b>(&'b self, dict: &'b Dict, name: &[u8]) -> Option<&'b Object> {
        self.resolved(dict.get(name)?)
    }

    pub fn raw(&self, held: &Held) -> Option<&'a [u8]> {
        let (from, to) = held.stream?;
        self.bytes.get(from..to)
    }

    /// How a stream is packed, the outermost first.
    pub fn filters(&self, dict: &Dict) -> Option<Vec<(Vec<u8>, Dict)>> {
        let list = |name: &[u8]| match self.of(dict, name) {
            Some(Object::Array(items)) => {
                items.iter().filter_map(|item| self.resolved(item)).cloned().collect()
            }
            Some(Object::Null) | None => Vec::new(),
            Some(one) => vec![one.clone()],
        };
        let (names, parameters) = (list(b"Filter"), list(b"DecodeParms"));
        (names.len() <= 4).then_some(())?;
        let with = |(place, name): (usize, &Object)| {
            let given =
                if let Some(Object::Dict(dict)) = parameters.get(place) { dict.clone() } else { Dict::new() };
            Some((name.name()?.to_vec(), given))
        };
        names.iter().enumerate().map(with).collect()
    }

    /// A stream that is no picture.
    pub fn unpacked(&self, held: &Held, limit: usize) -> Option<Vec<u8>> {
        let Object::Dict(dict) = &held.object else { return None };
        let mut octets = self.raw(held)?.to_vec();
        for (name, parameters) in self.filters(dict)? {
            octets = self.unfiltered(&name, &parameters, &octets, limit)?;
        }
        (octets.len() <= limit).then_some(octets)
    }

    pub fn unfiltered(&self, name: &[u8], parameters: &Dict, octets: &[u8], limit: usize) -> Option<Vec<u8>> {
        let number =
            |name: &[u8], missing: u32| self.of(parameters, name).map_or(Some(missing), Object::count);
        let predictor = number(b"Predictor", 1)?;
        // With a predictor each row is one octet longer, and rows have at least one.
        let room = if predictor >= 10 { limit.checked_mul(2)? } else { limit };
        let octets = match name {
            b"FlateDecode" | b"Fl" => scan_part::inflated(octets, room)?,
            b"LZWDecode" | b"LZW" => scan_part::lzw(octets, room)?,
            b"RunLengthDecode" | b"RL" => {
                scan_part::runs(octets.split(|octet| *octet == 128).next().unwrap_or(octets), room)?
            }
            _ => return None,
        };
        let (parts, bits) = (number(b"Colors", 1)?, number(b"BitsPerComponent", 8)?);
        let columns = number(b"Columns", 1)?;
        let each = (parts.checked_mul(bits)? as usize).div_ceil(8).max(1);
        let stride = (u64::from(columns) * u64::from(parts) * u64::from(bits)).div_ceil(8);
        let stride = usize::try_from(stride).ok().filter(|stride| (1..=limit).contains(stride))?;
        Some(match predictor {
            1 => octets,
            2 => {
                let mut octets = octets;
                if bits == 8 {
                    summed(&mut octets, stride, parts as usize);
                }
                octets
            }
            _ => unpredicted(&octets, stride, each)?,
        })
    }
}

pub fn is(dict: &Dict, name: &[u8], value: &[u8]) -> bool {
    dict.get(name).and_then(Object::name) == Some(value)
}

/// PNG's predictors (PNG 9.2): each row says in its first octet how it was written.
fn unpredicted(octets: &[u8], stride: usize, each: usize) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::with_capacity(octets.len());
    for row in octets.chunks(stride.checked_add(1)?) {
        let (kind, row) = row.split_first()?;
        let start = out.len();
        for (place, octet) in row.iter().enumerate() {
            let left = if place >= each { out.get(start + place - each).copied()? } else { 0 };
            let above = |at: usize| {
                start.checked_sub(stride).and_then(|from| out.get(from + at)).copied().unwrap_or(0)
            };
            let up = above(place);
            let corner = if place >= each { above(place - each) } else { 0 };
            let guess = match kind {
                0 => 0,
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                4 => paeth(left, up, corner),
                _ => return None,
            };
            out.push(octet.wrapping_add(guess));
        }
    }
    Some(out)
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let (to_left, to_up, to_corner) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
    if to_left <= to_up && to_left <= to_corner {
        left
    } else if to_up <= to_corner {
        up
    } else {
        corner
    }
}
