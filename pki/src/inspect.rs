//! What a file is and says, for an engineer at a desk without the authority: certificate, request, revocation
//! list, `.p12`, configuration profile, proof of the log. Pure; believes nothing and opens no key.

use std::fmt::Display;

use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{
    CertificateRevocationList, FromDer, X509Certificate, X509CertificationRequest, X509Extension,
};

use crate::chain::Hash;
use crate::checkpoint::LineProof;
use crate::der::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE};
use crate::key::PublicKey;
use crate::lifetime::utc;
use crate::{pem, request};

/// Largest file that is looked at: a list with a hundred thousand entries.
pub const FILE_MAX: usize = 8 << 20;
/// Revoked serials shown one by one.
const SHOWN_MAX: usize = 20;

/// What a file says: names and values in the order in which an engineer reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    pub kind: &'static str,
    pub fields: Vec<(&'static str, String)>,
}

/// `None`: nothing that we know.
pub fn inspect(bytes: &[u8]) -> Option<Inspected> {
    if bytes.len() > FILE_MAX {
        return None;
    }
    if let Ok(proof) =
        std::str::from_utf8(bytes).map_err(drop).and_then(|text| LineProof::read(text).map_err(drop))
    {
        return Some(log_proof(&proof));
    }
    if find(bytes, b"<key>PayloadContent</key>").is_some() {
        return Some(profile(bytes));
    }
    let der = pem::der_of(bytes);
    if let Ok((rest, x509)) = X509Certificate::from_der(&der) {
        return rest.is_empty().then(|| certificate(&der, &x509));
    }
    if let Ok((rest, asked)) = X509CertificationRequest::from_der(&der) {
        return rest.is_empty().then(|| csr(&der, &asked));
    }
    if let Ok((rest, list)) = CertificateRevocationList::from_der(&der) {
        return rest.is_empty().then(|| crl(&list));
    }
    p12(&der)
}

struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn say(&mut self, name: &'static str, value: impl Display) {
        self.0.push((name, value.to_string()));
    }
}

fn certificate(der: &[u8], x509: &X509Certificate<'_>) -> Inspected {
    let mut fields = Fields(Vec::new());
    fields.say("subject", x509.subject());
    fields.say("issuer", x509.issuer());
    fields.say("serial", data_encoding::HEXLOWER.encode(x509.raw_serial()));
    fields.say("not-before", utc(x509.validity().not_before.timestamp()));
    fields.say("not-after", utc(x509.validity().not_after.timestamp()));
    fields.say("sha256", Hash::of(der));
    key(&mut fields, x509.public_key().raw);
    extensions(&mut fields, x509.extensions());
    Inspected { kind: "certificate", fields: fields.0 }
}

fn csr(der: &[u8], asked: &X509CertificationRequest<'_>) -> Inspected {
    let mut fields = Fields(Vec::new());
    let info = &asked.certification_request_info;
    fields.say("subject", &info.subject);
    key(&mut fields, info.subject_pki.raw);
    match request::prove(der) {
        Ok(_) => fields.say("proof-of-possession", "holds"),
        Err(refusal) => fields.say("proof-of-possession", refusal),
    }
    for extension in asked.requested_extensions().into_iter().flatten() {
        fields.say("wished", format!("{extension:?}").chars().take(120).collect::<String>());
    }
    Inspected { kind: "certificate request", fields: fields.0 }
}

fn crl(list: &CertificateRevocationList<'_>) -> Inspected {
    let mut fields = Fields(Vec::new());
    fields.say("issuer", list.issuer());
    if let Some(number) = list.crl_number() {
        fields.say("number", number);
    }
    fields.say("this-update", utc(list.last_update().timestamp()));
    if let Some(next) = list.next_update() {
        fields.say("next-update", utc(next.timestamp()));
    }
    extensions(&mut fields, list.extensions());
    fields.say("revoked", list.iter_revoked_certificates().count());
    for revoked in list.iter_revoked_certificates().take(SHOWN_MAX) {
        let reason = revoked.reason_code().map(|(_, reason)| format!(" {reason:?}")).unwrap_or_default();
        let serial = data_encoding::HEXLOWER.encode(revoked.raw_serial());
        fields.say("entry", format!("{serial} {}{reason}", utc(revoked.revocation_date.timestamp())));
    }
    Inspected { kind: "revocation list", fields: fields.0 }
}

fn key(fields: &mut Fields, spki: &[u8]) {
    match PublicKey::from_spki(spki) {
        Ok(key) => fields.say("key", format!("ECDSA P-256, sha256 {}", key.hash())),
        Err(_) => fields.say("key", format!("not P-256, sha256 {}", Hash::of(spki))),
    }
}

fn extensions(fields: &mut Fields, extensions: &[X509Extension<'_>]) {
    use ParsedExtension as Ext;
    for extension in extensions {
        let names = |names: &[GeneralName<'_>]| names.iter().map(name).collect::<Vec<_>>().join(" ");
        let id = data_encoding::HEXLOWER;
        let (what, said) = match extension.parsed_extension() {
            Ext::SubjectAlternativeName(san) => ("names", names(&san.general_names)),
            Ext::BasicConstraints(basic) => ("ca", format!("{} {:?}", basic.ca, basic.path_len_constraint)),
            Ext::KeyUsage(usage) => ("key-usage", usage.to_string()),
            Ext::ExtendedKeyUsage(usage) => ("extended-key-usage", purposes(usage)),
            Ext::SubjectKeyIdentifier(own) => ("subject-key-id", id.encode(own.0)),
            Ext::AuthorityKeyIdentifier(by) => (
                "authority-key-id",
                by.key_identifier.as_ref().map(|own| id.encode(own.0)).unwrap_or_default(),
            ),
            Ext::CRLDistributionPoints(points) => {
                let point = |point: &DistributionPointName<'_>| match point {
                    DistributionPointName::FullName(full) => names(full),
                    DistributionPointName::NameRelativeToCRLIssuer(_) => "relative".to_owned(),
                };
                let points = points.points.iter().filter_map(|one| one.distribution_point.as_ref());
                ("crl", points.map(point).collect::<Vec<_>>().join(" "))
            }
            Ext::AuthorityInfoAccess(access) => {
                let one = |one: &x509_parser::extensions::AccessDescription<'_>| name(&one.access_location);
                ("access", access.iter().map(one).collect::<Vec<_>>().join(" "))
            }
            Ext::NameConstraints(limits) => {
                let some = |trees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
                    trees.iter().flatten().map(|tree| name(&tree.base)).collect::<Vec<_>>().join(" ")
                };
                let (within, without) = (some(&limits.permitted_subtrees), some(&limits.excluded_subtrees));
                ("name-constraints", format!("permitted {within} excluded {without}"))
            }
            Ext::CertificatePolicies(policies) => {
                let ids: Vec<_> = policies.iter().map(|one| one.policy_id.to_id_string()).collect();
                ("policies", ids.join(" "))
            }
            Ext::CRLNumber(_) => continue,
            _ => ("extension", extension.oid.to_id_string()),
        };
        let critical = if extension.critical { " (critical)" } else { "" };
        fields.say(what, format!("{said}{critical}"));
    }
}

fn purposes(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> String {
    let known = [
        ("client", usage.client_auth),
        ("server", usage.server_auth),
        ("ocsp", usage.ocsp_signing),
        ("any", usage.any),
        ("code", usage.code_signing),
        ("mail", usage.email_protection),
        ("time", usage.time_stamping),
    ];
    let known = known.iter().filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned());
    known.chain(usage.other.iter().map(|oid| oid.to_id_string())).collect::<Vec<_>>().join(" ")
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            (*name).to_owned()
        }
        other => format!("{other}"),
    }
}

fn log_proof(proof: &LineProof) -> Inspected {
    let mut fields = Fields(Vec::new());
    fields.say("line", &proof.line);
    fields.say("index", proof.index);
    fields.say("hashes", proof.path.len());
    fields.say("checkpoint", proof.checkpoint.lines().take(2).collect::<Vec<_>>().join(" "));
    Inspected { kind: "proof of the log", fields: fields.0 }
}

/// A signed profile holds its plist in one piece, so that it can be looked into without the signature.
fn profile(bytes: &[u8]) -> Inspected {
    let mut fields = Fields(Vec::new());
    let signed = bytes.first() == Some(&SEQUENCE);
    fields.say("signed", if signed { "yes (not checked here)" } else { "no" });
    let from = find(bytes, b"<plist").unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes[from..]);
    for (at, _) in text.match_indices("<key>Payload") {
        let rest = &text[at + 5..];
        let (key, rest) = rest.split_once("</key>").unwrap_or_default();
        let value = rest.trim_start().strip_prefix("<string>").and_then(|rest| rest.split_once("</string>"));
        let known = match key {
            "PayloadType" => "payload",
            "PayloadIdentifier" => "identifier",
            "PayloadDisplayName" => "name",
            _ => continue,
        };
        if let Some((value, _)) = value {
            fields.say(known, value.chars().filter(|c| !c.is_control()).take(200).collect::<String>());
        }
    }
    Inspected { kind: "configuration profile", fields: fields.0 }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// PFX (RFC 7292): which ciphers lock it, which MAC, how many rounds. Its password is not asked for.
fn p12(der: &[u8]) -> Option<Inspected> {
    let mut fields = Fields(Vec::new());
    let mut outer = Reader::new(der);
    let mut pfx = outer.inside(SEQUENCE).ok()?;
    outer.end().ok()?;
    if pfx.take(INTEGER).ok()? != [3] {
        return None;
    }
    pfx.inside(SEQUENCE).ok()?;
    for (what, oid) in [
        ("PBES2", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d][..]),
        ("AES-256-CBC", &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a]),
        ("AES-128-CBC", &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02]),
        ("PBE-SHA1-3DES", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03]),
        ("PBE-SHA1-RC2-40", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x06]),
        ("HMAC-SHA256", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09]),
    ] {
        if find(der, oid).is_some() {
            fields.say("cipher", what);
        }
    }
    if let Some(mac) = pfx.maybe(SEQUENCE).ok()? {
        let mut mac = Reader::new(mac);
        let mut digest = mac.inside(SEQUENCE).ok()?;
        let oid = digest.inside(SEQUENCE).ok()?.take(OID).ok()?;
        mac.take(OCTET_STRING).ok()?;
        let rounds = mac.maybe(INTEGER).ok()?.unwrap_or(&[1]);
        let rounds = rounds.iter().take(8).fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
        let name = match oid {
            [0x2b, 0x0e, 0x03, 0x02, 0x1a] => "SHA-1".to_owned(),
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01] => "SHA-256".to_owned(),
            other => data_encoding::HEXLOWER.encode(other),
        };
        fields.say("mac", format!("{name}, {rounds} rounds"));
    } else {
        fields.say("mac", "none: anyone can change it");
    }
    Some(Inspected { kind: "PKCS #12", fields: fields.0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ceremony::tests::{ceremony, openssl};

    fn said(inspected: &Inspected, name: &str) -> String {
        let all = inspected.fields.iter().filter(|(field, _)| *field == name);
        all.map(|(_, value)| value.clone()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn certificates_requests_and_stores_are_told_apart() {
        let ceremony = ceremony();
        let ca = inspect(&ceremony.device_ca_der).unwrap();
        assert_eq!(ca.kind, "certificate");
        assert!(said(&ca, "name-constraints").contains("dev.m.example.jp"));
        let pem = pem::certificate(&ceremony.device_ca_der);
        assert_eq!(inspect(pem.as_bytes()).unwrap(), ca, "PEM and DER say the same");
        let request = inspect(&crate::authority::tests::request()).unwrap();
        assert_eq!(
            (request.kind, said(&request, "proof-of-possession").as_str()),
            ("certificate request", "holds")
        );
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.pem"), pem).unwrap();
        openssl(dir.path(), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out k.pem").unwrap();
        for (words, cipher, mac) in [
            (
                "-keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha256 -iter 10000",
                "AES-256-CBC",
                "SHA-256, 10000 rounds",
            ),
            (
                "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 -iter 2048",
                "PBE-SHA1-3DES",
                "SHA-1, 2048 rounds",
            ),
        ] {
            let make =
                format!("pkcs12 -export -inkey k.pem -in c.pem -nocerts {words} -passout pass:x -out s.p12");
            openssl(dir.path(), &make).unwrap();
            let store = inspect(&std::fs::read(dir.path().join("s.p12")).unwrap()).unwrap();
            assert_eq!((store.kind, said(&store, "mac").as_str()), ("PKCS #12", mac));
            assert!(said(&store, "cipher").contains(cipher), "{store:?}");
        }
        let plist = "<?xml?><plist><dict><key>PayloadContent</key><array/><key>PayloadType</key>\n<string>Configuration</string></dict></plist>";
        assert_eq!(said(&inspect(plist.as_bytes()).unwrap(), "payload"), "Configuration");
        assert_eq!(inspect(b"hello"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
        #[test]
        fn no_file_breaks_it(noise in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), octet in any::<u8>()) {
            let _ = inspect(&noise);
            let mut bytes = ceremony().device_ca_der.clone();
            let length = bytes.len();
            bytes[at % length] = octet;
            let _ = inspect(&bytes);
        }
    }
}
