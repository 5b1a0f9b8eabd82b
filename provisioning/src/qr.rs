//! QR codes as drawings inside a page: no file, no script, no other host. Pure.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

use crate::messages::Message;

/// Smallest side in pixels of the drawing; pages give it its size.
const SIDE: u32 = 168;

/// An `<svg>` of `text`. `EcLevel::M` restores what a fold or a thumb hides.
pub fn svg(text: &str) -> Result<String, Message> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| Message::Internal { what: error.to_string() })?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(SIDE, SIDE).build();
    // Inside a page there is no second XML declaration.
    Ok(drawn.split_once("?>").map_or(drawn.clone(), |(_, svg)| svg.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_fits_the_policy_of_every_origin() {
        let drawn = svg("https://claim.mimamori.example.jp/#number=1234567890").unwrap();
        assert!(drawn.starts_with("<svg") && drawn.contains("viewBox"), "{drawn:.80}");
        assert!(!drawn.contains("style=") && !drawn.contains("<script") && !drawn.contains("href"));
    }

    #[test]
    fn what_fits_in_no_code_is_said() {
        assert!(svg(&"x".repeat(5_000)).is_err());
    }
}
