//! Papers that were turned, lay askew, went through a FAX, and were photographed in the shade.

use qrcode::{Color, EcLevel, QrCode};

use super::*;
use crate::picture::Ink;

const TEXT: &str = "MIMAMORI-FORM:3:2026-00042:0123456789ABCDEF:ABCDEF:1";

/// A page of 210 by 297 mm at so many dots in an inch: lines of text, and the code at its foot as the papers have it.
pub fn page(dpi: u32, text: &str) -> Picture {
    let (width, height) = (dpi * 827 / 100, dpi * 1169 / 100);
    let mut dots = vec![255u8; (width * height) as usize];
    let mut fill = |x: u32, y: u32, wide: u32, high: u32| {
        for row in y..(y + high).min(height) {
            for column in x..(x + wide).min(width) {
                dots[(row * width + column) as usize] = 0;
            }
        }
    };
    // Words, as bars of many widths.
    let (line, mut seed) = (dpi / 6, 7u32);
    for row in 0..40 {
        let mut x = dpi * 2 / 3;
        while x < width - dpi {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let wide = dpi / 40 + (seed >> 16) % (dpi / 8);
            fill(x, dpi / 2 + row * line * 3 / 2, wide, line / 2);
            x += wide + dpi / 50;
        }
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
    let (side, modules) = (62.0 / 72.0 * f64::from(dpi), code.width() as f64);
    let (left, top) = (547.0 / 595.0 * f64::from(width) - side, 756.0 / 842.0 * f64::from(height));
    for (place, color) in code.to_colors().into_iter().enumerate() {
        let (x, y) = ((place % code.width()) as f64, (place / code.width()) as f64);
        let edge = |at: f64| (at * side / modules).round() as u32;
        if color == Color::Dark {
            fill(
                left as u32 + edge(x),
                top as u32 + edge(y),
                edge(x + 1.0) - edge(x),
                edge(y + 1.0) - edge(y),
            );
        }
    }
    Picture::new(width, height, Ink::Line, dots).unwrap()
}

/// Turned by so many degrees about its middle, dots between dots.
pub fn askew(page: &Picture, degrees: f64) -> Picture {
    let (width, height, grey) = (page.width(), page.height(), page.grey());
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (across, down) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let mut dots = Vec::with_capacity(grey.len());
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = (f64::from(x) - across, f64::from(y) - down);
            let (from_x, from_y) = (across + dx * cos + dy * sin, down - dx * sin + dy * cos);
            let inside =
                from_x >= 0.0 && from_y >= 0.0 && from_x < f64::from(width) && from_y < f64::from(height);
            let at = from_y as usize * width as usize + from_x as usize;
            dots.push(if inside { grey[at] } else { 255 });
        }
    }
    Picture::new(width, height, Ink::Grey, dots).unwrap()
}

/// Specks, a shadow from one side, and then black or white.
pub fn worn(page: &Picture, specks: u32, shadow: u32, threshold: Option<u8>) -> Picture {
    let (width, mut seed) = (page.width(), 1u32);
    let grey = page.grey();
    let dots = grey.iter().enumerate().map(|(at, dot)| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let dot = if seed >> 8 < (1 << 24) / 1000 * specks { 255 - dot } else { *dot };
        let shade = shadow * (at as u32 % width) / width;
        let dot = (u32::from(dot) * (255 - shade) / 255) as u8;
        threshold.map_or(dot, |threshold| if dot < threshold { 0 } else { 255 })
    });
    let ink = if threshold.is_some() { Ink::Line } else { Ink::Grey };
    Picture::new(width, page.height(), ink, dots.collect()).unwrap()
}

#[test]
fn e_13_a_code_is_found_however_the_paper_lay() {
    let paper = page(200, TEXT);
    for quarters in 0..4u8 {
        let lain = paper.clone().turned(quarters);
        let found = find(&lain);
        assert_eq!(found.texts, [TEXT], "turned by {quarters}");
        assert_eq!(lain.turned(found.quarters), paper, "it is known how to turn it back");
    }
    for degrees in [-4.0, 2.5] {
        assert_eq!(find(&askew(&paper, degrees)).texts, [TEXT], "askew by {degrees}");
    }
}

#[test]
fn e_12a_a_fax_is_read_fine_and_coarse_and_so_is_a_photograph() {
    let paper = page(200, TEXT);
    let fine = worn(&askew(&paper, 0.7), 4, 0, Some(128));
    assert_eq!(find(&fine).texts, [TEXT], "200 dpi, black and white, with specks");
    // Every other row is lost, and each that is left is shown twice.
    let width = paper.width() as usize;
    let grey = paper.grey();
    let rows: Vec<u8> = grey.chunks_exact(width).step_by(2).flatten().copied().collect();
    let coarse = Picture::new(paper.width(), (rows.len() / width) as u32, Ink::Line, rows).unwrap();
    assert_eq!(find(&coarse.squared(204.0, 98.0)).texts, [TEXT], "the coarse mode of a FAX");
    let photograph = worn(&askew(&page(150, TEXT), 3.0), 2, 150, None);
    assert_eq!(find(&photograph).texts, [TEXT], "in the shade, askew");
}

#[test]
fn a_page_without_a_code_has_none_and_one_full_of_marks_costs_no_more() {
    let white = Picture::new(1_654, 2_339, Ink::Line, vec![255; 1_654 * 2_339]).unwrap();
    assert_eq!(find(&white), Found::default());
    // Somebody drew nothing but corner marks.
    let (width, height) = (1_000usize, 1_400usize);
    let mark = |x: usize, y: usize| {
        let (x, y) = ((x % 9).abs_diff(4), (y % 9).abs_diff(4));
        match x.max(y) {
            0 | 1 | 3 => 0,
            _ => 255,
        }
    };
    let dots = (0..width * height).map(|at| mark(at % width, at / width)).collect();
    let marked = Picture::new(width as u32, height as u32, Ink::Line, dots).unwrap();
    assert_eq!(find(&marked), Found::default());
}
