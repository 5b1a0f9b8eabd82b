//! Files as writers make them, and as nobody should.

use proptest::prelude::*;

use super::*;
use crate::scan_part::WORK_MAX;

/// One page: its tags, and its strip. Values are of four octets; ratios stand behind the entries.
pub fn page(tags: &[(u16, u32)], dpi: Option<(u32, u32)>, strip: &[u8]) -> Vec<u8> {
    pages(&[(tags, dpi, strip)])
}

pub type Page<'a> = (&'a [(u16, u32)], Option<(u32, u32)>, &'a [u8]);

pub fn pages(pages: &[Page<'_>]) -> Vec<u8> {
    let mut out = b"II\x2a\0\0\0\0\0".to_vec();
    let mut link = 4;
    for (tags, dpi, strip) in pages {
        let strip_at = out.len() as u32;
        out.extend_from_slice(strip);
        let ratio_at = out.len() as u32;
        let (across, down) = dpi.unwrap_or((1, 1));
        for part in [across, 1, down, 1] {
            out.extend(part.to_le_bytes());
        }
        if out.len() % 2 == 1 {
            out.push(0);
        }
        let mut entries: Vec<(u16, u16, u32)> = tags.iter().map(|(tag, value)| (*tag, 4, *value)).collect();
        entries.extend([(273, 4, strip_at), (279, 4, strip.len() as u32)]);
        if dpi.is_some() {
            entries.extend([(282, 5, ratio_at), (283, 5, ratio_at + 8)]);
        }
        entries.sort_unstable();
        let here = (out.len() as u32).to_le_bytes();
        out[link..link + 4].copy_from_slice(&here);
        out.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, value) in entries {
            out.extend(tag.to_le_bytes());
            out.extend(u16::to_le_bytes(kind));
            out.extend(1u32.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        link = out.len();
        out.extend([0; 4]);
    }
    out
}

fn read(bytes: &[u8]) -> Result<Picture, ScanMessage> {
    Tiff::open(bytes, 10)?.page(0, 1, &mut Budget::new(WORK_MAX))
}

#[test]
fn plain_runs_and_flate_say_the_same() {
    // Three dots by two, black and white: █ █ / white.
    let rows = [0b1010_0000, 0];
    let size = [(256, 3), (257, 2), (258, 1), (262, 0)];
    let flate = {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut out, &rows).unwrap();
        out.finish().unwrap()
    };
    let lzw = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&rows).unwrap();
    for (packing, strip) in [(1, rows.to_vec()), (32_773, vec![1, rows[0], rows[1]]), (8, flate), (5, lzw)] {
        let tags = [&size[..], &[(259, packing)]].concat();
        let read = read(&page(&tags, None, &strip)).unwrap();
        assert_eq!(read.grey().as_ref(), [0, 255, 0, 255, 255, 255], "packing {packing}");
        assert_eq!(read.ink(), Ink::Line);
    }
    // 0 is black, and octets are written from their other end.
    let tags = [(256, 3), (257, 2), (262, 1), (266, 2)];
    let read = read(&page(&tags, None, &[0b0000_0010, 0])).unwrap();
    assert_eq!(read.grey().as_ref(), [0, 255, 0, 0, 0, 0]);
}

#[test]
fn colour_is_read_plain_and_predicted() {
    let tags = [(256, 2), (257, 1), (258, 8), (262, 2), (277, 3), (317, 2)];
    let read = read(&page(&tags, None, &[10, 20, 30, 1, 255, 0])).unwrap();
    assert_eq!((read.ink(), read.grey().len()), (Ink::Colour, 2));
}

#[test]
fn a_ring_of_pages_ends_and_so_does_everything_foreign() {
    let whole = page(&[(256, 3), (257, 2)], None, &[0, 0]);
    // The next page is the first one.
    let mut ring = whole.clone();
    let (first, end) = (ring[4..8].to_vec(), ring.len());
    ring[end - 4..].copy_from_slice(&first);
    assert_eq!(read(&ring), Err(ScanMessage::FileBroken { kind: "TIFF" }));
    let huge = page(&[(256, 60_000), (257, 60_000)], None, &[0]);
    assert_eq!(read(&huge), Err(ScanMessage::PageTooLarge { page: 1, limit_million: 36 }));
    for tags in [
        &[(256, 0), (257, 2)][..],
        &[(256, u32::MAX), (257, u32::MAX)],
        &[(256, 3), (257, 2), (259, 34_712)],
        &[(256, 3), (257, 2), (322, 16)],
        &[(256, 3), (257, 2), (258, 64)],
        &[(257, 2)],
    ] {
        assert!(read(&page(tags, None, &[0, 0])).is_err(), "{tags:?}");
    }
    for end in 0..whole.len() {
        let _ = read(&whole[..end]);
    }
    let many = vec![(&[(256, 1), (257, 1)][..], None, &[0u8][..]); 11];
    assert!(matches!(Tiff::open(&pages(&many), 10), Err(ScanMessage::PagesTooMany { limit: 10 })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_change_of_a_file_is_answered(at in 0usize..200, to in any::<u8>(), packing in prop::sample::select(vec![1u32, 2, 3, 4, 5, 7, 8, 32_773])) {
        let mut bytes = page(&[(256, 30), (257, 20), (259, packing)], Some((200, 100)), &[0x5a; 80]);
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(file) = Tiff::open(&bytes, 10) {
            let _ = file.page(0, 1, &mut Budget::new(1_000_000));
        }
    }
}
