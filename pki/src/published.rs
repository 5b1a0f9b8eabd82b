//! What anyone may fetch by path: the CAs' certificates, and the transparency log. An edge file: the log's
//! lines are read from the ledger. Nothing here says who owns which slot: tiles are hashes, a proof is given
//! to whoever knows the certificate's serial, and lines are only in the operator's export.

use data_encoding::BASE64;

use crate::authority::Authority;
use crate::ca::CaCertificate;
use crate::certs_only;
use crate::door::PublishedAnswer;
use crate::ledger::LedgerError;
use crate::pem;
use crate::tlog::TILE;

pub const OCSP_RESPONSE: &str = "application/ocsp-response";
const CERTIFICATE: &str = "application/pkix-cert";
const TEXT: &str = "text/plain; charset=utf-8";

/// The CAs of a realm.
pub struct Published {
    pub root: CaCertificate,
    pub device_ca: CaCertificate,
    pub server_ca: CaCertificate,
}

impl Published {
    /// Below `ca/`.
    pub fn get(&self, name: &str) -> PublishedAnswer {
        let certificate = |ca: &CaCertificate| bytes(CERTIFICATE, ca.der().to_vec());
        match name {
            "root.crt" => certificate(&self.root),
            "device.crt" => certificate(&self.device_ca),
            "server.crt" => certificate(&self.server_ca),
            "root.pem" => bytes("application/x-pem-file", pem::certificate(self.root.der()).into_bytes()),
            _ => PublishedAnswer::NotFound,
        }
    }
}

impl Published {
    /// `est/cacerts` (RFC 7030 4.1): who signs devices, and the root, in base64.
    pub fn est(&self) -> PublishedAnswer {
        let envelope = certs_only::envelope(&[self.device_ca.der(), self.root.der()]);
        bytes(certs_only::MEDIA_TYPE, BASE64.encode(&envelope).into_bytes())
    }
}

/// Below `log/`.
pub async fn log(authority: &Authority, path: &str) -> PublishedAnswer {
    let found = match path.split_once('/') {
        None if path == "checkpoint" => {
            Ok(authority.checkpoint().map(|note| (TEXT, note.as_bytes().to_vec())))
        }
        Some(("proof", serial)) => proof(authority, serial).await,
        Some(("tile", tile)) => tiled(authority, tile).await,
        _ => Ok(None),
    };
    match found {
        Ok(Some((media_type, found))) => bytes(media_type, found),
        Ok(None) => PublishedAnswer::NotFound,
        Err(error) => {
            log::warn!("the log cannot be read: {error}");
            PublishedAnswer::NotFound
        }
    }
}

type Found = Result<Option<(&'static str, Vec<u8>)>, LedgerError>;

async fn proof(authority: &Authority, serial: &str) -> Found {
    let Ok(serial) = serial.parse() else { return Ok(None) };
    let proof = authority.proof_of(&serial).await?;
    Ok(proof.map(|proof| (TEXT, proof.text().into_bytes())))
}

/// `0/000`, `0/x001/234`, `0/007.p/12`.
async fn tiled(authority: &Authority, path: &str) -> Found {
    let Some((level, place, width)) = tile_path(path) else { return Ok(None) };
    let tile = authority.tile(level, place, width).await?;
    Ok(tile.map(|hashes| ("application/octet-stream", hashes)))
}

fn tile_path(path: &str) -> Option<(u8, u64, u64)> {
    let (level, rest) = path.split_once('/')?;
    let level = match level {
        "0" => 0,
        "1" => 1,
        _ => return None,
    };
    let (place, width) = match rest.split_once(".p/") {
        Some((place, width)) => (place, width.parse().ok().filter(|width| (1..TILE).contains(width))?),
        None => (rest, TILE),
    };
    let parts: Vec<&str> = place.split('/').collect();
    // Three groups of three digits are a thousand million tiles.
    if parts.len() > 3 {
        return None;
    }
    let mut number = 0;
    for (at, part) in parts.iter().enumerate() {
        let digits = if at + 1 < parts.len() { part.strip_prefix('x')? } else { part };
        if digits.len() != 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        number = number * 1_000 + digits.parse::<u64>().ok()?;
    }
    Some((level, number, width))
}

pub fn bytes(media_type: &str, bytes: Vec<u8>) -> PublishedAnswer {
    PublishedAnswer::Bytes { media_type: media_type.to_owned(), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_have_one_path_each() {
        assert_eq!(tile_path("0/000"), Some((0, 0, 256)));
        assert_eq!(tile_path("1/x001/234"), Some((1, 1_234, 256)));
        assert_eq!(tile_path("0/x001/x234/067.p/12"), Some((0, 1_234_067, 12)));
        for bad in [
            "",
            "0",
            "2/000",
            "0/1",
            "0/0000",
            "0/-01",
            "0/001/234",
            "0/000.p/0",
            "0/000.p/256",
            "0/x1/x1/x1/111",
        ] {
            assert_eq!(tile_path(bad), None, "{bad}");
        }
    }
}
