//! A certificate's serial number: 127 random bits, positive, never reused. A pure value.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

pub const SERIAL_LEN: usize = 16;

/// Sixteen octets, the first bit clear and the first octet never zero,
/// so that the DER form always has the same length. 32 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateSerial([u8; SERIAL_LEN]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a serial of ours (32 hex digits, positive)")]
pub struct SerialError(String);

impl CertificateSerial {
    /// From fresh random octets, handed in.
    pub fn from_random(mut random: [u8; SERIAL_LEN]) -> Self {
        random[0] = (random[0] & 0x7f) | 0x40;
        Self(random)
    }

    /// From a certificate's DER integer content (a leading zero octet is allowed).
    pub fn from_der_integer(octets: &[u8]) -> Result<Self, SerialError> {
        let shown = || SerialError(HEXLOWER.encode(&octets[..octets.len().min(24)]));
        let octets: [u8; SERIAL_LEN] = octets.try_into().map_err(|_| shown())?;
        if octets[0] & 0x80 != 0 || octets[0] == 0 {
            return Err(shown());
        }
        Ok(Self(octets))
    }

    pub fn as_bytes(&self) -> &[u8; SERIAL_LEN] {
        &self.0
    }
}

impl FromStr for CertificateSerial {
    type Err = SerialError;
    fn from_str(text: &str) -> Result<Self, SerialError> {
        let octets =
            HEXLOWER.decode(text.as_bytes()).map_err(|_| SerialError(text.chars().take(40).collect()))?;
        Self::from_der_integer(&octets)
    }
}

impl fmt::Display for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for CertificateSerial {
    type Error = SerialError;
    fn try_from(text: String) -> Result<Self, SerialError> {
        text.parse()
    }
}

impl From<CertificateSerial> for String {
    fn from(serial: CertificateSerial) -> String {
        serial.to_string()
    }
}
