//! The realm's names as certificates carry them: its zone, its own name, the address of published bytes.
//! Owns the one form of a device's name (`18-0042.dev.<zone>`) and of a CRL shard's address.
//! Pure values, valid once built. Rulings 2 and 4.

use vpn::slot::SlotNumber;

use crate::serial::CertificateSerial;

/// CRL shards; fixed for the life of the device CA, because each certificate names its own (issue 5).
pub const SHARDS: u8 = 64;

/// So that `claim.<zone>` still fits the 64 characters of a common name (X.520).
const ZONE_MAX: usize = 58;
/// X.520's bound of an organisation's name.
const NAME_MAX: usize = 64;
/// A published address is an address, not a text.
const BASE_MAX: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RealmError {
    #[error("MM-2301 `{0}` is not a zone (lower-case DNS labels with a dot, at most 58 characters)")]
    Zone(String),
    #[error("MM-2302 the realm's name must have 1 to 64 characters and no control character")]
    Name,
    #[error("MM-2303 `{0}` is not an address of published bytes (http:// and a host, no path)")]
    Base(String),
}

/// `mimamori.example.jp`: lower-case, at least two labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(String);

impl Zone {
    pub fn parse(text: &str) -> Result<Self, RealmError> {
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let fits = text.len() <= ZONE_MAX && text.contains('.') && text.split('.').all(label);
        if fits { Ok(Self(text.to_owned())) } else { Err(RealmError::Zone(text.chars().take(80).collect())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where devices' names lie; nothing in it is ever a host.
    pub fn devices(&self) -> String {
        format!("dev.{}", self.0)
    }

    /// The zone of a device CA, from its name constraint.
    pub fn of_devices(constraint: &str) -> Result<Self, RealmError> {
        let zone = constraint.strip_prefix("dev.");
        Self::parse(zone.ok_or_else(|| RealmError::Zone(constraint.chars().take(80).collect()))?)
    }

    pub fn device_name(&self, slot: SlotNumber) -> String {
        format!("{}.dev.{}", slot.to_string().to_ascii_lowercase(), self.0)
    }

    /// The slot of a device's name; only the one form that `device_name` writes.
    pub fn slot_of(&self, name: &str) -> Option<SlotNumber> {
        let (label, _) = name.split_once('.')?;
        let slot: SlotNumber = label.to_ascii_uppercase().parse().ok()?;
        (self.device_name(slot) == name).then_some(slot)
    }

    /// The gateway's own names (ruling 4).
    pub fn gateway_names(&self) -> Vec<String> {
        ["sns", "office", "claim"].iter().map(|host| format!("{host}.{}", self.0)).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    zone: Zone,
    name: String,
    published: String,
}

impl Realm {
    pub fn new(zone: &str, name: &str, published_base: &str) -> Result<Self, RealmError> {
        let name_fits = (1..=NAME_MAX).contains(&name.chars().count())
            && !name.chars().any(char::is_control)
            && name.trim() == name;
        if !name_fits {
            return Err(RealmError::Name);
        }
        let published = published_base.trim_end_matches('/');
        let host = published.strip_prefix("http://").unwrap_or("");
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
        if host.is_empty() || published.len() > BASE_MAX || !host.bytes().all(is_host) {
            return Err(RealmError::Base(published_base.chars().take(80).collect()));
        }
        Ok(Self { zone: Zone::parse(zone)?, name: name.to_owned(), published: published.to_owned() })
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn published(&self) -> &str {
        &self.published
    }

    /// Plain http: a revocation list is signed, and fetching it must not need TLS.
    pub fn crl_url(&self, shard: u8) -> String {
        format!("{}/{}", self.published, crl_path(shard))
    }

    /// Where this realm's devices' certificates are vouched for (RFC 6960).
    pub fn ocsp_url(&self) -> String {
        format!("{}/ocsp", self.published)
    }

    /// Where the device CA's certificate is fetched.
    pub fn issuer_url(&self) -> String {
        format!("{}/{DEVICE_CA_PATH}", self.published)
    }
}

/// Below `/` of the published bytes.
pub const DEVICE_CA_PATH: &str = "ca/device.crt";

/// Below `/` of the published bytes: `crl/07.crl`.
pub fn crl_path(shard: u8) -> String {
    format!("crl/{shard:02}.crl")
}

/// The shard in which this serial would be revoked.
pub fn shard_of(serial: &CertificateSerial) -> u8 {
    serial.as_bytes()[serial.as_bytes().len() - 1] % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_name_has_one_form() {
        let zone = Zone::parse("mimamori.example.jp").unwrap();
        for text in ["18-0042", "18F-9999", "18D-0001"] {
            let slot: SlotNumber = text.parse().unwrap();
            assert_eq!(zone.slot_of(&zone.device_name(slot)), Some(slot));
        }
        for attack in [
            "18-0042",
            "18-0042.dev.mimamori.example.com",
            "18-0042.mimamori.example.jp",
            "18-0042.dev.mimamori.example.jp.",
            "18F-0042.dev.mimamori.example.jp",
            "x.18-0042.dev.mimamori.example.jp",
            "*.dev.mimamori.example.jp",
            "18-42.dev.mimamori.example.jp",
            "",
        ] {
            assert_eq!(zone.slot_of(attack), None, "{attack}");
        }
    }

    #[test]
    fn what_is_not_a_realm_is_refused() {
        assert!(Realm::new("mimamori.example.jp", "在宅医療連携協議会", "http://10.18.255.2/").is_ok());
        for zone in ["", "localhost", "Mimamori.example.jp", "a..b", "-a.jp", "みまもり.jp", "a.jp."] {
            assert!(Realm::new(zone, "x", "http://10.18.255.2").is_err(), "{zone}");
        }
        for name in ["", " x", "a\nb"] {
            assert_eq!(Realm::new("a.jp", name, "http://10.18.255.2"), Err(RealmError::Name));
        }
        for base in ["https://10.18.255.2", "http://", "http://h/path", "10.18.255.2", "http://a b"] {
            assert!(Realm::new("a.jp", "x", base).is_err(), "{base}");
        }
    }
}
