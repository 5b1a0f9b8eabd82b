//! The lints, each with a certificate that only it can refuse (issue 5: record, lint, sign).

use super::*;
use crate::ceremony::tests::{NOW, ceremony};
use crate::door::DeviceKind;
use crate::realm::Realm;
use crate::serial::CertificateSerial;
use crate::signer::{MemoryKey, Signer};

struct Bench {
    realm: Realm,
    ca: CaCertificate,
    key: PublicKey,
}

fn bench() -> Bench {
    Bench {
        realm: Realm::new("m.example.jp", "在宅医療連携協議会", "http://10.18.255.2").unwrap(),
        ca: CaCertificate::parse(&ceremony().device_ca_der).unwrap(),
        key: MemoryKey::generate().unwrap().0.public_key(),
    }
}

impl Bench {
    fn profile(&self, kind: DeviceKind) -> Profile {
        let serial = CertificateSerial::from_random([7; 16]);
        let slot = "18-0042".parse().unwrap();
        Profile::device(&self.realm, slot, kind, serial, NOW, self.ca.not_after()).unwrap()
    }

    /// Encodes one profile and lints it against another.
    fn lint(&self, encoded: &Profile, meant: &Profile) -> Result<(), &'static str> {
        let draft = Draft::certificate(encoded, &self.key, Some(&self.ca)).unwrap();
        certificate(&draft, meant, &self.key, Some(&self.ca)).map(drop).map_err(|fault| fault.lint)
    }
}

#[test]
fn what_we_mean_to_issue_passes() {
    let bench = bench();
    for kind in DeviceKind::ALL {
        let profile = bench.profile(kind);
        assert_eq!(bench.lint(&profile, &profile), Ok(()), "{kind:?}");
    }
}

#[test]
fn what_is_encoded_otherwise_than_meant_is_refused() {
    let bench = bench();
    let meant = bench.profile(DeviceKind::Facility);
    type Change = fn(&mut Profile);
    let changes: [(&str, Change); 12] = [
        ("authority-info-access", |p| p.access.as_mut().unwrap().ocsp = "http://evil.example/ocsp".into()),
        ("serial", |p| p.serial = CertificateSerial::from_random([8; 16])),
        ("subject", |p| p.subject.common_name = "18-0043".into()),
        ("subject", |p| p.subject.organization = "山田太郎".into()),
        ("subject", |p| p.subject.unit = Some("extra".into())),
        ("validity", |p| p.not_before -= 1),
        ("validity", |p| p.not_after += 1),
        ("subject-alternative-name", |p| p.names = vec!["18-0043.dev.m.example.jp".into()]),
        ("subject-alternative-name", |p| p.names.push("18-0043.dev.m.example.jp".into())),
        ("crl-distribution-point", |p| p.crl = Some("http://10.18.255.2/crl/63.crl".into())),
        ("extensions", |p| p.crl = None),
        ("policies", |p| p.class = Class::Device(DeviceKind::FacilityAdmin)),
    ];
    for (lint, change) in changes {
        let mut encoded = meant.clone();
        change(&mut encoded);
        assert_eq!(bench.lint(&encoded, &meant), Err(lint), "{encoded:?}");
    }
    let mut ca = meant.clone();
    ca.class = Class::DeviceCa;
    assert!(bench.lint(&ca, &meant).is_err(), "a CA where a device is meant");
    let mut server = meant.clone();
    server.class = Class::Gateway;
    assert!(bench.lint(&server, &meant).is_err());
}

#[test]
fn what_is_meant_wrongly_is_refused_too() {
    let bench = bench();
    let good = bench.profile(DeviceKind::Facility);
    type Change = fn(&mut Profile);
    let changes: [(&str, Change); 6] = [
        ("lifetime", |p| p.not_after += 366 * 86_400),
        // 2029-03-10, in a season when nothing may end.
        ("season", |p| p.not_after = 1_867_888_800),
        ("issuer-lifetime", |p| {
            p.not_before += 4 * 365 * 86_400;
            p.not_after += 3 * 365 * 86_400;
        }),
        ("subject-alternative-name", |p| p.names = vec!["18-0042.dev.other.example.jp".into()]),
        ("subject-alternative-name", |p| p.names.push("18-0043.dev.m.example.jp".into())),
        ("subject-length", |p| p.subject.organization = "あ".repeat(65)),
    ];
    for (lint, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(bench.lint(&bad, &bad), Err(lint), "{bad:?}");
    }
}

#[test]
fn another_key_or_another_issuer_is_refused() {
    let bench = bench();
    let profile = bench.profile(DeviceKind::Family);
    let draft = Draft::certificate(&profile, &bench.key, Some(&bench.ca)).unwrap();
    let other = MemoryKey::generate().unwrap().0.public_key();
    assert_eq!(certificate(&draft, &profile, &other, Some(&bench.ca)).err().unwrap().lint, "public-key");
    let server_ca = CaCertificate::parse(&ceremony().server_ca_der).unwrap();
    assert_eq!(certificate(&draft, &profile, &bench.key, Some(&server_ca)).err().unwrap().lint, "issuer");
    let cut = Draft::from_bytes(draft.bytes()[..draft.bytes().len() - 1].to_vec());
    assert_eq!(certificate(&cut, &profile, &bench.key, Some(&bench.ca)).err().unwrap().lint, "encoding");
    let own_key = Draft::certificate(&profile, bench.ca.key(), Some(&bench.ca)).unwrap();
    let fault = certificate(&own_key, &profile, bench.ca.key(), Some(&bench.ca)).err().unwrap();
    assert_eq!(fault.lint, "subject-key-id", "the CA's own key in a device");
}
