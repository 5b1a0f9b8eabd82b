//! Others' test suites against what the gateway relies on (issue 5, "Bad input"): Wycheproof for the primitives that
//! this room calls itself, NIST's PKITS for the library that builds the path. Where we do not answer as the suite
//! expects, a table says so with the reason, so that a change is seen.
//!
//! x509-limbo is in no package registry, so it is not here. PKITS is: `make campaign-pki` fetches it from PyPI.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use wycheproof::TestResult;

use super::*;
use crate::der::ecdsa_signature;
use crate::key::PublicKey;

/// What a suite counts, at least: one that lost its cases would prove nothing.
fn counted(what: &str, cases: usize, at_least: usize) {
    assert!(cases >= at_least, "{what}: only {cases} cases");
}

/// ECDSA P-256 with SHA-256 as certificates, requests, lists and checkpoints have it.
#[test]
fn wycheproof_ecdsa_p256_as_der() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256).unwrap();
    let mut cases = 0;
    for group in &set.test_groups {
        let key = PublicKey::from_point(&group.key.key).unwrap();
        for test in &group.tests {
            cases += 1;
            let verifies = key.verifies(&test.msg, &test.sig);
            assert_eq!(verifies, test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
        }
    }
    counted("ECDSA", cases, 400);
}

/// The same as PKCS #11 gives it, turned into DER by us.
#[test]
fn wycheproof_ecdsa_p256_as_two_halves() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut cases = 0;
    for group in &set.test_groups {
        let key = PublicKey::from_point(&group.key.key).unwrap();
        for test in &group.tests {
            cases += 1;
            let verifies = ecdsa_signature(&test.sig).is_some_and(|der| key.verifies(&test.msg, &der));
            assert_eq!(verifies, test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
        }
    }
    counted("ECDSA in halves", cases, 200);
}

/// The cipher of sealed keys, in the one size that we use.
#[test]
fn wycheproof_aes_256_gcm() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let ours = |group: &&wycheproof::aead::TestGroup| {
        (group.key_size, group.nonce_size, group.tag_size) == (256, 8 * crate::seal::NONCE_LEN, 128)
    };
    let mut cases = 0;
    for group in set.test_groups.iter().filter(ours) {
        for test in &group.tests {
            cases += 1;
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
            let mut body = [test.ct.as_slice(), &test.tag].concat();
            let opened = key
                .open_in_place(nonce(), Aad::from(test.aad.as_slice()), &mut body)
                .map(|plain| plain.to_vec());
            assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
            if let Ok(plain) = opened {
                assert_eq!(plain, test.pt.as_slice(), "{}", test.tc_id);
                let mut sealed = plain;
                key.seal_in_place_append_tag(nonce(), Aad::from(test.aad.as_slice()), &mut sealed).unwrap();
                assert_eq!(sealed, [test.ct.as_slice(), &test.tag].concat(), "{}", test.tc_id);
            }
        }
    }
    counted("AES-256-GCM", cases, 30);
}

/// Where PKITS says valid or invalid and the path of the gateway's library says otherwise.
const DEVIATIONS: &[(Reason, &[&str])] = &[
    (
        Reason::Revocation,
        &[
            "InvalidBadCRLIssuerNameTest5EE",
            "InvalidBadCRLSignatureTest4EE",
            "InvalidBasicSelfIssuedCRLSigningKeyTest7EE",
            "InvalidBasicSelfIssuedNewWithOldTest5EE",
            "InvalidBasicSelfIssuedOldWithNewTest2EE",
            "InvalidIDPwithindirectCRLTest23EE",
            "InvalidIDPwithindirectCRLTest26EE",
            "InvalidLongSerialNumberTest18EE",
            "InvalidMissingCRLTest1EE",
            "InvalidNegativeSerialNumberTest15EE",
            "InvalidOldCRLnextUpdateTest11EE",
            "InvalidRevokedCATest2EE",
            "InvalidRevokedEETest3EE",
            "InvalidSeparateCertificateandCRLKeysTest20EE",
            "InvalidSeparateCertificateandCRLKeysTest21EE",
            "InvalidUnknownCRLEntryExtensionTest8EE",
            "InvalidUnknownCRLExtensionTest10EE",
            "InvalidUnknownCRLExtensionTest9EE",
            "InvalidWrongCRLTest6EE",
            "InvalidcRLIssuerTest27EE",
            "InvalidcRLIssuerTest31EE",
            "InvalidcRLIssuerTest32EE",
            "InvalidcRLIssuerTest34EE",
            "InvalidcRLIssuerTest35EE",
            "InvaliddeltaCRLIndicatorNoBaseTest1EE",
            "InvaliddeltaCRLTest10EE",
            "InvaliddeltaCRLTest3EE",
            "InvaliddeltaCRLTest4EE",
            "InvaliddeltaCRLTest6EE",
            "InvaliddeltaCRLTest9EE",
            "InvaliddistributionPointTest2EE",
            "InvaliddistributionPointTest3EE",
            "InvaliddistributionPointTest6EE",
            "InvaliddistributionPointTest8EE",
            "InvaliddistributionPointTest9EE",
            "InvalidkeyUsageCriticalcRLSignFalseTest4EE",
            "InvalidkeyUsageNotCriticalcRLSignFalseTest5EE",
            "InvalidonlyContainsAttributeCertsTest14EE",
            "InvalidonlyContainsCACertsTest12EE",
            "InvalidonlySomeReasonsTest15EE",
            "InvalidonlySomeReasonsTest16EE",
            "InvalidonlySomeReasonsTest17EE",
            "InvalidonlySomeReasonsTest20EE",
            "InvalidonlySomeReasonsTest21EE",
            "Invalidpre2000CRLnextUpdateTest12EE",
        ],
    ),
    (
        Reason::CaUsage,
        &[
            "InvalidkeyUsageCriticalkeyCertSignFalseTest1EE",
            "InvalidkeyUsageNotCriticalkeyCertSignFalseTest2EE",
        ],
    ),
    (
        Reason::NameConstraints,
        &[
            "ValidDNandRFC822nameConstraintsTest27EE",
            "ValidDNnameConstraintsTest11EE",
            "ValidDNnameConstraintsTest14EE",
            "ValidDNnameConstraintsTest18EE",
            "ValidDNnameConstraintsTest19EE",
            "ValidDNnameConstraintsTest1EE",
            "ValidDNnameConstraintsTest4EE",
            "ValidDNnameConstraintsTest5EE",
            "ValidDNnameConstraintsTest6EE",
            "ValidRFC822nameConstraintsTest21EE",
            "ValidRFC822nameConstraintsTest23EE",
            "ValidRFC822nameConstraintsTest25EE",
            "ValidURInameConstraintsTest34EE",
            "ValidURInameConstraintsTest36EE",
        ],
    ),
    (
        Reason::Policies,
        &[
            "ValidPolicyMappingTest11EE",
            "ValidPolicyMappingTest12EE",
            "ValidPolicyMappingTest13EE",
            "ValidPolicyMappingTest14EE",
            "ValidPolicyMappingTest1EE",
            "ValidPolicyMappingTest3EE",
            "ValidPolicyMappingTest5EE",
            "ValidPolicyMappingTest6EE",
            "ValidPolicyMappingTest9EE",
            "ValidSelfIssuedinhibitAnyPolicyTest7EE",
            "ValidSelfIssuedinhibitAnyPolicyTest9EE",
            "ValidSelfIssuedinhibitPolicyMappingTest7EE",
            "ValidSelfIssuedrequireExplicitPolicyTest6EE",
            "ValidinhibitAnyPolicyTest2EE",
            "ValidinhibitPolicyMappingTest2EE",
            "ValidinhibitPolicyMappingTest4EE",
            "ValidrequireExplicitPolicyTest1EE",
            "ValidrequireExplicitPolicyTest2EE",
            "ValidrequireExplicitPolicyTest4EE",
        ],
    ),
    (
        Reason::NamesByOctet,
        &[
            "ValidNameChainingCapitalizationTest5EE",
            "ValidNameChainingWhitespaceTest3EE",
            "ValidNameChainingWhitespaceTest4EE",
            "ValidRolloverfromPrintableStringtoUTF8StringTest10EE",
            "ValidUTF8StringCaseInsensitiveMatchTest11EE",
        ],
    ),
    (Reason::Dsa, &["ValidDSAParameterInheritanceTest5EE", "ValidDSASignaturesTest4EE"]),
    (Reason::UniqueIds, &["ValidNameUIDsTest6EE"]),
    (
        Reason::SelfIssued,
        &["ValidSelfIssuedpathLenConstraintTest15EE", "ValidSelfIssuedpathLenConstraintTest17EE"],
    ),
    (
        Reason::CaAsDevice,
        &[
            "ValidonlyContainsCACertsTest13EE",
            "ValidpathLenConstraintTest14EE",
            "ValidpathLenConstraintTest8EE",
        ],
    ),
    (Reason::Time, &["Validpre2000UTCnotBeforeDateTest3EE"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// Revocation is the snapshot's answer, which the gateway asks at every handshake; lists are for others.
    Revocation,
    /// webpki does not look at a CA's key usage. Between our anchor and a device no CA stands, and the anchor is ours.
    CaUsage,
    /// Only constraints on DNS names are understood; the others are refused, not passed over.
    NameConstraints,
    /// Critical extensions about policies are refused: none of our certificates has one.
    Policies,
    /// Names are compared octet by octet; ours come from one hand.
    NamesByOctet,
    /// One algorithm, and it is not DSA.
    Dsa,
    /// Unique ids of version 2 certificates are refused.
    UniqueIds,
    /// A self-issued CA counts towards the path's length.
    SelfIssued,
    /// A CA is no device.
    CaAsDevice,
    /// A year before 1970.
    Time,
}

/// 2026-11-20, inside the suite's own years.
const PKITS_NOW: u64 = 1_795_177_600;

fn der_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "crt") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Only where the suite was fetched: `make campaign-pki`.
#[test]
fn pkits_certificate_paths() {
    let Some(folder) = std::env::var_os("MIMAMORI_PKITS").map(PathBuf::from) else { return };
    let files = der_files(&folder);
    counted("PKITS", files.len(), 400);

    // None of them is a device of ours, whatever stands behind it.
    for (name, der) in &files {
        for chain in [vec![der.clone()], vec![der.clone(), ceremony().device_ca_der.clone()]] {
            assert!(verifier().verify(&chain, NOW).is_err(), "{name} is a device");
        }
    }

    // The library below, as we call it, but with the suite's anchor, its CAs and its algorithms.
    let anchor = CertificateDer::from(files["TrustAnchorRootCertificate"].as_slice());
    let anchors = [webpki::anchor_from_trusted_cert(&anchor).unwrap()];
    let cas: Vec<_> = files
        .iter()
        .filter(|(name, _)| !name.ends_with("EE") && *name != "TrustAnchorRootCertificate")
        .map(|(_, der)| CertificateDer::from(der.as_slice()))
        .collect();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(PKITS_NOW));
    let algorithms: [&dyn SignatureVerificationAlgorithm; 2] =
        [webpki::aws_lc_rs::ECDSA_P256_SHA256, webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256];
    let mut differ = Vec::new();
    let mut cases = 0;
    for (name, der) in files.iter().filter(|(name, _)| name.ends_with("EE")) {
        let expected = match (name.starts_with("Valid"), name.starts_with("Invalid")) {
            (false, false) => continue, // a test of policies by several settings, which the name does not tell
            (valid, _) => valid,
        };
        cases += 1;
        let der = CertificateDer::from(der.as_slice());
        let found = EndEntityCert::try_from(&der).and_then(|leaf| {
            leaf.verify_for_usage(&algorithms, &anchors, &cas, now, KeyUsage::client_auth(), None, None)
                .map(drop)
        });
        if found.is_ok() != expected {
            differ.push((name.clone(), format!("{:?}", found.err())));
        }
    }
    println!("PKITS: {cases} cases, {} as expected", cases - differ.len());
    for (reason, names) in DEVIATIONS {
        println!("  {:3} {reason:?}", names.len());
        // What is let through although the suite says no, is so for one of two reasons only.
        let open = matches!(reason, Reason::Revocation | Reason::CaUsage);
        assert!(names.iter().all(|name| name.starts_with("Invalid") == open), "{reason:?}");
    }
    let mut listed: Vec<&str> = DEVIATIONS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    listed.sort_unstable();
    let names: Vec<&str> = differ.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, listed, "what differs, and how: {differ:#?}");
}
