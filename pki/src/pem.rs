//! PEM text of DER bytes (RFC 7468). Pure.

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// Characters per line (RFC 7468).
const LINE: usize = 64;
const BEGIN: &str = "-----BEGIN ";

pub fn certificate(der: &[u8]) -> String {
    encode("CERTIFICATE", der).as_str().to_owned()
}

/// A PKCS #8 key; wiped when dropped.
pub fn private_key(pkcs8: &[u8]) -> Zeroizing<String> {
    encode("PRIVATE KEY", pkcs8)
}

/// The first block of a PEM text, with its label; `None` if there is none.
pub fn decode(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64.decode(body.as_bytes()).ok().map(|der| (label, der))
}

/// Every block of a PEM text, with its label; what cannot be read is left out.
pub fn blocks(text: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    text.match_indices(BEGIN).filter_map(|(at, _)| decode(&text[at..]))
}

/// DER as it is, or out of PEM.
pub fn der_of(bytes: &[u8]) -> Vec<u8> {
    let pem = std::str::from_utf8(bytes).ok().and_then(decode);
    pem.map_or_else(|| bytes.to_vec(), |(_, der)| der)
}

fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64.encode(der));
    // Reserved whole, so that no copy of a key is left behind by growing.
    let mut text =
        Zeroizing::new(String::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 40));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for at in (0..body.len()).step_by(LINE) {
        text.push_str(&body[at..body.len().min(at + LINE)]);
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}
