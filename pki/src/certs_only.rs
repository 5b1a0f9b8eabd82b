//! Certificates in a PKCS #7 envelope that signs nothing (RFC 5652 "certs-only"): how EST answers (RFC 7030).
//! Pure bytes.

use crate::der::{INTEGER, OID, SEQUENCE, SET, tlv};

/// How EST names it (RFC 7030 4.1.3, 4.2.3).
pub const MEDIA_TYPE: &str = "application/pkcs7-mime; smime-type=certs-only";

/// id-data and id-signedData, content octets.
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

pub fn envelope(certificates: &[&[u8]]) -> Vec<u8> {
    let content = tlv(SEQUENCE, &[&tlv(OID, &[&DATA])]);
    let (version, none) = (tlv(INTEGER, &[&[1]]), tlv(SET, &[]));
    let signed = tlv(SEQUENCE, &[&version, &none, &content, &tlv(0xa0, certificates), &none]);
    tlv(SEQUENCE, &[&tlv(OID, &[&SIGNED_DATA]), &tlv(0xa0, &[&signed])])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::tests::{ceremony, openssl};

    #[test]
    fn openssl_reads_the_certificates_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let ceremony = ceremony();
        let envelope = envelope(&[&ceremony.device_ca_der, &ceremony.root_der]);
        std::fs::write(dir.path().join("c.p7"), envelope).unwrap();
        let said = openssl(dir.path(), "pkcs7 -inform DER -in c.p7 -print_certs").unwrap();
        assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2);
    }
}
