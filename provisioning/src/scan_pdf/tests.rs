//! Files as scanners write them, and as nobody should.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::scan_part::WORK_MAX;

/// A file of pages that draw one picture each: the picture's dictionary without its length, and its stream.
pub fn file(pictures: &[(&str, &[u8])], page: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut object = |number: usize, text: &str, stream: Option<&[u8]>| {
        out.extend(format!("{number} 0 obj {text}").into_bytes());
        if let Some(stream) = stream {
            out.extend(b" stream\r\n");
            out.extend(stream);
            out.extend(b"\nendstream");
        }
        out.extend(b" endobj\n");
    };
    let kids: String = (0..pictures.len()).fold(String::new(), |mut kids, place| {
        let _ = write!(kids, "{} 0 R ", 10 + place * 3);
        kids
    });
    object(1, "<< /Type /Catalog /Pages 2 0 R >>", None);
    object(2, &format!("<< /Type /Pages /Kids [{kids}] /MediaBox [0 0 595 842] >>"), None);
    for (place, (dict, stream)) in pictures.iter().enumerate() {
        let (first, contents, picture) = (10 + place * 3, 11 + place * 3, 12 + place * 3);
        let text = format!(
            "<< /Type /Page /Parent 2 0 R {page} /Contents {contents} 0 R /Resources << /XObject << /Im {picture} 0 R >> >> >>"
        );
        object(first, &text, None);
        object(contents, "<< /Length 30 >>", Some(b"q 595 0 0 842 0 0 cm /Im Do Q "));
        object(
            picture,
            &format!("<< /Type /XObject /Subtype /Image {dict} /Length {} >>", stream.len()),
            Some(stream),
        );
    }
    out.extend(b"trailer << /Root 1 0 R >>\n%%EOF");
    out
}

fn read(bytes: &[u8]) -> Result<Picture, ScanMessage> {
    Pdf::open(bytes, 10)?.page(0, 1, &mut Budget::new(WORK_MAX))
}

fn flate(octets: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut out, octets).unwrap();
    out.finish().unwrap()
}

const LINE: &str = "/Width 3 /Height 2 /BitsPerComponent 1 /ColorSpace /DeviceGray";

#[test]
fn plain_and_packed_pictures_say_the_same() {
    let rows = [0b0100_0000, 0xe0];
    let predicted = flate(&[2, rows[0], 2, rows[1].wrapping_sub(rows[0])]);
    for (filter, stream) in [
        (String::new(), rows.to_vec()),
        ("/Filter /FlateDecode".to_owned(), flate(&rows)),
        ("/Filter [/FlateDecode]".to_owned(), flate(&rows)),
        ("/Filter /RunLengthDecode".to_owned(), vec![1, rows[0], rows[1], 128]),
        (
            "/Filter /FlateDecode /DecodeParms << /Predictor 15 /BitsPerComponent 1 /Columns 3 >>".to_owned(),
            predicted,
        ),
    ] {
        let read = read(&file(&[(&format!("{LINE} {filter}"), &stream)], "")).unwrap();
        assert_eq!(read.grey().as_ref(), [0, 255, 0, 255, 255, 255], "{filter}");
    }
    let turned = read(&file(&[(LINE, &rows)], "/Rotate 90")).unwrap();
    assert_eq!((turned.width(), turned.height()), (2, 3));
    let inverted = read(&file(&[(&format!("{LINE} /Decode [1 0]"), &rows)], "")).unwrap();
    assert_eq!(inverted.grey().as_ref(), [255, 0, 255, 0, 0, 0]);
}

#[test]
fn objects_that_are_packed_together_are_found() {
    let rows = [0b0100_0000, 0xe0];
    let catalog = "<< /Type /Catalog /Pages 2 0 R >>";
    let heads = format!("1 0 2 {} ", catalog.len() + 1);
    let inner = format!("{heads}{catalog} << /Type /Pages /Kids [10 0 R] >>");
    let packed = flate(inner.as_bytes());
    let mut bytes = file(&[(LINE, &rows)], "");
    // The two are only in the stream.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let from = text.find("1 0 obj").unwrap();
    let to = text.find("10 0 obj").unwrap();
    bytes.drain(from..to);
    let head = format!(
        "7 0 obj << /Type /ObjStm /N 2 /First {} /Filter /FlateDecode /Length {} >> stream\n",
        heads.len(),
        packed.len()
    );
    bytes.extend(b"\n");
    bytes.extend(head.into_bytes());
    bytes.extend(&packed);
    bytes.extend(b"\nendstream endobj\n");
    assert!(read(&bytes).is_ok());
}

/// Each file that nobody should send, and what is said of it.
#[test]
fn hostile_and_strange_files_are_named() {
    let bomb = flate(&vec![0; 40_000_000]);
    let draws_twice = {
        let text = String::from_utf8(file(&[(LINE, b"ab")], "")).unwrap();
        text.replace("/Im Do Q ", "/Ix Do Q ").into_bytes()
    };
    let tree = |kids: &str| {
        format!(
            "%PDF-1.4\n1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n2 0 obj <</Kids[{kids}]>> endobj\n3 0 obj <</Kids[4 0 R 4 0 R 4 0 R]>> endobj 4 0 obj <</Kids[]>> endobj"
        )
    };
    let many = tree(&"3 0 R ".repeat(500));
    for (what, bytes, code) in [
        ("a bomb as a picture", file(&[(&format!("{LINE} /Filter /FlateDecode"), &bomb)], ""), "MM-5845"),
        (
            "more dots than a page has",
            file(
                &[(
                    "/Width 60000 /Height 60000 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /FlateDecode",
                    &bomb,
                )],
                "",
            ),
            "MM-5843",
        ),
        (
            "no dots",
            file(&[("/Width 0 /Height 0 /BitsPerComponent 1 /ColorSpace /DeviceGray", b"")], ""),
            "MM-5845",
        ),
        (
            "too few octets",
            file(&[("/Width 300 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceGray", b"ab")], ""),
            "MM-5845",
        ),
        ("JBIG2", file(&[(&format!("{LINE} /Filter /JBIG2Decode"), b"ab")], ""), "MM-5845"),
        (
            "a strange colour",
            file(&[("/Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceCMYK", b"abcd")], ""),
            "MM-5845",
        ),
        ("it draws nothing", draws_twice, "MM-5847"),
        ("pages that lead to themselves", tree("2 0 R").into_bytes(), "MM-5848"),
        ("pages that lead nowhere", many.into_bytes(), "MM-5848"),
    ] {
        assert_eq!(read(&bytes).unwrap_err().code(), code, "{what}");
    }
    let whole = file(&[(LINE, b"ab")], "");
    for end in 0..whole.len() {
        let _ = read(&whole[..end]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_change_of_a_file_is_answered(at in any::<usize>(), to in any::<u8>(), packed in any::<bool>()) {
        let rows = [0b0100_0000, 0xe0];
        let stream = if packed { flate(&rows) } else { rows.to_vec() };
        let filter = if packed { "/Filter /FlateDecode" } else { "" };
        let mut bytes = file(&[(&format!("{LINE} {filter}"), &stream)], "/Rotate 90");
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = read(&bytes);
    }
}
