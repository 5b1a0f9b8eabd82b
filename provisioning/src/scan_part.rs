//! What scans are packed in, each unpacked under a limit that is asked before the work: JPEG, PNG, the FAX's codes, Flate, LZW,
//! runs of octets. Whatever is wrong with the octets ends in a message that names the page. Pure.

use std::io::{Cursor, Read};

use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::messages_scan::ScanMessage;
use crate::picture::{Ink, Picture};

/// A4 at 600 dpi in black and white is 35 million dots.
const LINE_MAX: u64 = 36_000_000;
/// A4 at 400 dpi is 15 million; each dot in colour is three octets.
const TONE_MAX: u64 = 18_000_000;
/// A hundred pages at 300 dpi: a quarter of an hour of somebody's patience, and of one processor.
pub const WORK_MAX: u64 = 1_000_000_000;
/// A progressive JPEG is gone through once for each; cameras write ten.
const JPEG_SCANS_MAX: usize = 32;
/// Where a whole JPEG ends, whatever a camera appends.
const JPEG_TAIL: usize = 64 * 1024;
/// Chunks of a PNG beside the dots.
const PNG_BYTES_MAX: usize = 160 * 1024 * 1024;

/// What is left of the work that may be done for one upload.
pub struct Budget(u64);

impl Budget {
    pub fn new(work: u64) -> Self {
        Self(work)
    }

    /// Asked before the dots of a page are made.
    pub fn take(&mut self, page: usize, (width, height): (u32, u32), ink: Ink) -> Result<(), ScanMessage> {
        let dots = u64::from(width) * u64::from(height);
        let limit = if ink == Ink::Line { LINE_MAX } else { TONE_MAX };
        if dots > limit {
            return Err(ScanMessage::PageTooLarge { page, limit_million: limit / 1_000_000 });
        }
        self.0 = self.0.checked_sub(dots).ok_or(ScanMessage::WorkTooMuch { page })?;
        Ok(())
    }
}

pub fn jpeg(page: usize, bytes: &[u8], budget: &mut Budget) -> Result<Picture, ScanMessage> {
    let unreadable = || ScanMessage::PageUnreadable { page, kind: "JPEG" };
    // A cut file would show grey where its rest was.
    let tail = bytes.get(bytes.len().saturating_sub(JPEG_TAIL)..).unwrap_or(bytes);
    if !tail.windows(2).any(|two| two == [0xff, 0xd9]) {
        return Err(unreadable());
    }
    let side = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_max_width(side).set_max_height(side);
    let options = options.jpeg_set_max_scans(JPEG_SCANS_MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|_| unreadable())?;
    let info = decoder.info().ok_or_else(unreadable)?;
    let (ink, space) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (Ink::Grey, ColorSpace::Luma),
        Some(ColorSpace::YCbCr | ColorSpace::RGB) => (Ink::Colour, ColorSpace::RGB),
        _ => return Err(ScanMessage::PageUnreadable { page, kind: "JPEG CMYK" }),
    };
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    budget.take(page, (width, height), ink)?;
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let dots = decoder.decode().map_err(|_| unreadable())?;
    Picture::new(width, height, ink, dots).ok_or_else(unreadable)
}

pub fn png(page: usize, bytes: &[u8], budget: &mut Budget) -> Result<Picture, ScanMessage> {
    let unreadable = || ScanMessage::PageUnreadable { page, kind: "PNG" };
    let limits = png::Limits { bytes: PNG_BYTES_MAX };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    let header = decoder.read_header_info().map_err(|_| unreadable())?;
    let (width, height) = (header.width, header.height);
    let is_line = header.bit_depth == png::BitDepth::One && header.color_type == png::ColorType::Grayscale;
    let ink = match header.color_type {
        _ if is_line => Ink::Line,
        png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha => Ink::Grey,
        _ => Ink::Colour,
    };
    budget.take(page, (width, height), ink)?;
    let mut reader = decoder.read_info().map_err(|_| unreadable())?;
    let size = reader.output_buffer_size().filter(|size| *size <= PNG_BYTES_MAX).ok_or_else(unreadable)?;
    let mut dots = vec![0; size];
    let frame = reader.next_frame(&mut dots).map_err(|_| unreadable())?;
    dots.truncate(frame.buffer_size());
    let (ink, dots) = match frame.color_type {
        png::ColorType::Grayscale => (ink, dots),
        png::ColorType::GrayscaleAlpha => (Ink::Grey, over_white::<2>(&dots)),
        png::ColorType::Rgb => (Ink::Colour, dots),
        png::ColorType::Rgba => (Ink::Colour, over_white::<4>(&dots)),
        png::ColorType::Indexed => return Err(unreadable()),
    };
    Picture::new(width, height, ink, dots).ok_or_else(unreadable)
}

/// Paper is white where a picture is transparent.
fn over_white<const N: usize>(dots: &[u8]) -> Vec<u8> {
    let mix = |dot: &[u8]| {
        let alpha = u32::from(dot.last().copied().unwrap_or(255));
        let over = move |part: &u8| ((u32::from(*part) * alpha + 255 * (255 - alpha)) / 255) as u8;
        dot.iter().take(N - 1).map(over).collect::<Vec<u8>>()
    };
    dots.chunks_exact(N).flat_map(mix).collect()
}

/// How a FAX has written its rows.
#[derive(Clone, Copy)]
pub struct Fax {
    pub columns: u32,
    pub rows: u32,
    pub mode: FaxMode,
    pub aligned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FaxMode {
    /// T.4, one row after the other.
    G3,
    /// T.4, rows by what has changed.
    G3Mixed,
    /// T.6.
    G4,
}

/// One octet for each dot; rows that the line has lost are white.
pub fn fax(bytes: &[u8], fax: Fax) -> Option<Vec<u8>> {
    struct Rows {
        dots: Vec<u8>,
        columns: usize,
        row: usize,
    }
    impl Decoder for Rows {
        fn push_row(&mut self, changes: &[u32]) {
            let start = self.row * self.columns;
            if let Some(row) = self.dots.get_mut(start..start + self.columns) {
                for pair in changes.chunks(2) {
                    let from = pair.first().map_or(0, |at| *at as usize);
                    let to = pair.get(1).map_or(row.len(), |at| *at as usize).min(row.len());
                    if let Some(run) = row.get_mut(from..to) {
                        run.fill(0);
                    }
                }
            }
            self.row += 1;
        }
    }
    let settings = DecodeSettings {
        columns: fax.columns,
        rows: fax.rows,
        end_of_block: true,
        end_of_line: false,
        rows_are_byte_aligned: fax.aligned,
        encoding: match fax.mode {
            FaxMode::G3 => EncodingMode::Group3_1D,
            FaxMode::G3Mixed => EncodingMode::Group3_2D,
            FaxMode::G4 => EncodingMode::Group4,
        },
        strict: false,
    };
    let columns = fax.columns as usize;
    let mut rows = Rows { dots: vec![255; columns.checked_mul(fax.rows as usize)?], columns, row: 0 };
    let whole = hayro_ccitt::decode(bytes, &mut rows, &mut DecoderContext::new(settings)).is_ok();
    // Half a page that ends in noise is no page.
    (whole || rows.row * 2 >= fax.rows as usize).then_some(rows.dots)
}

/// At most so many octets; more is no picture of this size.
pub fn inflated(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = flate2::read::ZlibDecoder::new(bytes).take(limit as u64 + 1).read_to_end(&mut out);
    // What came before a wrong checksum is whole all the same.
    (out.len() <= limit && (read.is_ok() || !out.is_empty())).then_some(out)
}

/// As TIFF and PDF write it.
pub fn lzw(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
    let mut out = vec![0; limit];
    let (mut rest, mut filled) = (bytes, 0);
    loop {
        let done = decoder.decode_bytes(rest, out.get_mut(filled..)?);
        filled += done.consumed_out;
        rest = rest.get(done.consumed_in..)?;
        match done.status {
            Ok(weezl::LzwStatus::Ok) if filled < limit && done.consumed_in + done.consumed_out > 0 => {}
            Ok(_) => break,
            Err(_) => return None,
        }
    }
    out.truncate(filled);
    Some(out)
}

/// Runs of octets: TIFF's PackBits and PDF's RunLengthDecode.
pub fn runs(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some((head, tail)) = rest.split_first() {
        let length = usize::from(*head);
        match length {
            0..=127 => {
                let literal = tail.get(..length + 1)?;
                out.extend_from_slice(literal);
                rest = tail.get(length + 1..)?;
            }
            128 => rest = tail,
            _ => {
                out.extend(std::iter::repeat_n(*tail.first()?, 257 - length));
                rest = tail.get(1..)?;
            }
        }
        if out.len() >= limit {
            break;
        }
    }
    out.truncate(limit);
    Some(out)
}

/// Rows of packed samples become dots: `bits` of each of `parts` samples, no dots of other depths are written by scanners.
pub fn unpacked(bytes: &[u8], (width, height): (u32, u32), bits: u32, parts: u32) -> Option<Vec<u8>> {
    let samples = (width as usize).checked_mul(parts as usize)?;
    let stride = samples.checked_mul(bits as usize)?.div_ceil(8);
    (stride > 0).then_some(())?;
    let mut out = Vec::with_capacity(samples.checked_mul(height as usize)?);
    for row in bytes.chunks_exact(stride).take(height as usize) {
        match bits {
            8 => out.extend_from_slice(row),
            1 | 2 | 4 => {
                let most = (1u16 << bits) - 1;
                let sample = |at: usize| {
                    let octet = row.get(at * bits as usize / 8).copied().unwrap_or(0);
                    let shift = 8 - bits - (at as u32 * bits) % 8;
                    u16::from(octet) >> shift & most
                };
                out.extend((0..samples).map(|at| (sample(at) * 255 / most) as u8));
            }
            16 => out.extend(row.chunks_exact(2).map(|two| two[0])),
            _ => return None,
        }
    }
    (out.len() == samples * height as usize).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        // A PNG of 60,000 by 60,000 white dots is 50 kB.
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 60_000, 60_000);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let writer = encoder.write_header().unwrap();
        drop(writer);
        let refused = png(3, &bytes, &mut Budget::new(WORK_MAX)).unwrap_err();
        assert_eq!(refused, ScanMessage::PageTooLarge { page: 3, limit_million: 36 });
        let zeros = {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut out, &vec![0; 4_000_000]).unwrap();
            out.finish().unwrap()
        };
        assert!(zeros.len() < 10_000 && inflated(&zeros, 1_000_000).is_none());
        assert_eq!(inflated(&zeros, 4_000_000).unwrap().len(), 4_000_000);
    }

    #[test]
    fn work_ends_where_the_budget_does() {
        let mut budget = Budget::new(150);
        assert!(budget.take(1, (10, 10), Ink::Line).is_ok());
        assert_eq!(budget.take(2, (10, 10), Ink::Line), Err(ScanMessage::WorkTooMuch { page: 2 }));
    }

    #[test]
    fn packed_samples_become_dots() {
        assert_eq!(unpacked(&[0b1010_0000], (3, 1), 1, 1).unwrap(), [255, 0, 255]);
        assert_eq!(unpacked(&[0xf0], (2, 1), 4, 1).unwrap(), [255, 0]);
        assert_eq!(unpacked(&[9, 1, 8, 2], (2, 1), 16, 1).unwrap(), [9, 8]);
        assert!(unpacked(&[0], (9, 1), 1, 1).is_none() && unpacked(&[0], (1, 1), 3, 1).is_none());
        assert_eq!(runs(&[2, 1, 2, 3, 254, 9, 128], 6).unwrap(), [1, 2, 3, 9, 9, 9]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn any_octets_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400), columns in 1u32..2_000) {
            let _ = runs(&bytes, 4_096);
            let _ = lzw(&bytes, 4_096);
            let _ = inflated(&bytes, 4_096);
            for mode in [FaxMode::G3, FaxMode::G3Mixed, FaxMode::G4] {
                let _ = fax(&bytes, Fax { columns, rows: 40, mode, aligned: false });
            }
            let mut whole = b"\xff\xd8\xff\xe0".to_vec();
            whole.extend(&bytes);
            whole.extend(b"\xff\xd9");
            let _ = jpeg(1, &whole, &mut Budget::new(1_000_000));
            let mut whole = b"\x89PNG\r\n\x1a\n".to_vec();
            whole.extend(&bytes);
            let _ = png(1, &whole, &mut Budget::new(1_000_000));
        }
    }
}
