//! What a device makes for itself and never shows: the final tunnel key and the certificate's key.
//! The small client of s5 (`demo device-keys FOLDER`, run inside the device's namespace); in the
//! product the claim page does this. Files end with the device's folder.

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::fault::{Fault, Told, While};

pub const TUNNEL_KEY: &str = "tunnel.key";
pub const TUNNEL_PUBLIC: &str = "tunnel.pub";
pub const CERTIFICATE_KEY: &str = "device.key";
pub const REQUEST: &str = "device.csr";

/// Writes fresh keys into `folder` and what may leave the device beside them.
pub fn make(folder: &Path) -> Told<()> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).while_(|| "fresh randomness".into())?;
    let secret = StaticSecret::from(random);
    fs::write(folder.join(TUNNEL_KEY), BASE64.encode(secret.as_bytes()))?;
    fs::write(folder.join(TUNNEL_PUBLIC), BASE64.encode(PublicKey::from(&secret).as_bytes()))?;

    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|e| Fault::new(e.to_string()))?;
    // The subject does not matter: the authority takes the public key and nothing else.
    let request = rcgen::CertificateParams::new(Vec::new())
        .and_then(|params| params.serialize_request(&key))
        .map_err(|e| Fault::new(e.to_string()))?;
    fs::write(folder.join(CERTIFICATE_KEY), key.serialize_pem())?;
    fs::write(folder.join(REQUEST), BASE64.encode(request.der()))?;
    Ok(())
}
