//! The names this gateway answers to, and which room stands behind each. Pure; made once from the
//! configuration. Ruling 4: separate origins for the SNS, the consoles and the claim page.

use std::net::Ipv4Addr;

use crate::need::Behind;

/// One of our origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    Sns,
    Office,
    Claim,
}

impl Host {
    pub const ALL: [Host; 3] = [Host::Sns, Host::Office, Host::Claim];

    pub fn behind(self) -> Behind {
        match self {
            Host::Sns => Behind::Sns,
            Host::Office | Host::Claim => Behind::Provisioning,
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Host::Sns => "sns",
            Host::Office => "office",
            Host::Claim => "claim",
        }
    }
}

/// What a request on port 80 was addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenName {
    Address,
    Claim,
}

/// The names by listener, in lower case and without a port.
#[derive(Clone, Debug)]
pub struct Names {
    mutual: Vec<(String, Host)>,
    claim: Vec<(String, Host)>,
    open: Vec<(String, OpenName)>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a zone (lower-case DNS labels such as mimamori.example.jp)")]
pub struct ZoneError(String);

impl Names {
    pub fn new(zone: &str, open: Ipv4Addr) -> Result<Self, ZoneError> {
        let label_fits = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if zone.len() > 200 || !zone.contains('.') || !zone.split('.').all(label_fits) {
            return Err(ZoneError(zone.chars().take(80).collect()));
        }
        let name = |host: Host| format!("{}.{zone}", host.label());
        Ok(Self {
            mutual: vec![(name(Host::Sns), Host::Sns), (name(Host::Office), Host::Office)],
            claim: vec![(name(Host::Claim), Host::Claim)],
            open: vec![(open.to_string(), OpenName::Address), (name(Host::Claim), OpenName::Claim)],
        })
    }

    pub fn name(&self, host: Host) -> &str {
        let all = self.mutual.iter().chain(&self.claim);
        let mut found = all.filter(|(_, one)| *one == host).map(|(name, _)| name.as_str());
        found.next().unwrap_or_default()
    }

    /// `https://sns.<zone>`: the only origin from which a page of this host may change anything.
    pub fn origin(&self, host: Host) -> String {
        format!("https://{}", self.name(host))
    }

    pub fn mutual(&self) -> &[(String, Host)] {
        &self.mutual
    }

    pub fn claim(&self) -> &[(String, Host)] {
        &self.claim
    }

    pub fn open(&self) -> &[(String, OpenName)] {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_lower_case_dns() {
        let open = Ipv4Addr::new(10, 18, 255, 2);
        assert!(Names::new("mimamori.example.jp", open).is_ok());
        for zone in ["", "jp", "Mimamori.example", "a..b", "-a.b", "a.b:443", "a.b/", "み.example"] {
            assert!(Names::new(zone, open).is_err(), "{zone}");
        }
    }
}
