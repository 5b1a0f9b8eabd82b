//! A file inside a JSON value: base64 (RFC 4648, 4), as `bytes` fields cross a process border and the API. A border file.

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serializer};

pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text.as_bytes()).map_err(|_| serde::de::Error::custom("not base64 (RFC 4648)"))
}
