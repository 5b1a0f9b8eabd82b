//! A machine's firmware variables with somebody's keys in them, as EDK II keeps them: what an association does once in
//! the firmware's menu, done to a file. Debian 12 has no program for it. Pure.

use crate::fault::{Fault, Told};

/// Of the volume's header: its own length; then the store begins.
const VOLUME_LENGTH: usize = 48;
/// `EFI_AUTHENTICATED_VARIABLE_GUID`, as it lies in the file.
const STORE: [u8; 16] = guid(0xaaf3_2c78, 0x947b, 0x439a, [0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92]);
const STORE_HEADER: usize = 28;
const GLOBAL: [u8; 16] = guid(0x8be4_df61, 0x93ca, 0x11d2, [0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c]);
const SECURITY: [u8; 16] =
    guid(0xd719_b2cb, 0x3d3a, 0x4596, [0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f]);
const SWITCH: [u8; 16] = guid(0xf0a3_0bc7, 0xaf08, 0x4556, [0x99, 0xc4, 0x00, 0x10, 0x09, 0xc9, 0x3a, 0x44]);
const X509: [u8; 16] = guid(0xa5c0_59a1, 0x94e4, 0x4aa7, [0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72]);
/// Whose keys these are; anybody's number does.
const OWNER: [u8; 16] = *b"mimamori-testing";
/// Kept, for boot services, at run time, signed with a time.
const SIGNED: u32 = 0x27;
/// Kept, for boot services.
const PRIVATE: u32 = 0x03;

/// The empty variables of `template`, with these certificates (DER) as the only ones that may start anything.
pub fn enrolled(template: &[u8], certificates: &[Vec<u8>]) -> Told<Vec<u8>> {
    let odd = || Fault::new("these are no empty variables of EDK II");
    let length = template.get(VOLUME_LENGTH..VOLUME_LENGTH + 2).ok_or_else(odd)?;
    let store = usize::from(u16::from_le_bytes([length[0], length[1]]));
    if template.get(store..store + STORE.len()) != Some(&STORE[..]) {
        return Err(odd());
    }
    let mut at = store + STORE_HEADER;
    let mut file = template.to_vec();
    let first = certificates.first().ok_or_else(odd)?;
    let owner = list(first);
    let db: Vec<u8> = certificates.iter().flat_map(|certificate| list(certificate)).collect();
    for (name, vendor, attributes, data) in [
        ("PK", GLOBAL, SIGNED, &owner),
        ("KEK", GLOBAL, SIGNED, &owner),
        ("db", SECURITY, SIGNED, &db),
        ("SecureBootEnable", SWITCH, PRIVATE, &vec![1]),
    ] {
        let row = variable(name, vendor, attributes, data);
        let place = file.get_mut(at..at + row.len()).ok_or_else(odd)?;
        if place.iter().any(|byte| *byte != 0xff) {
            return Err(odd());
        }
        place.copy_from_slice(&row);
        at += row.len();
    }
    Ok(file)
}

/// `EFI_SIGNATURE_LIST` of one certificate.
fn list(certificate: &[u8]) -> Vec<u8> {
    let one = number(OWNER.len() + certificate.len());
    let all = number(X509.len() + 12 + OWNER.len() + certificate.len());
    [&X509[..], &all, &number(0), &one, &OWNER, certificate].concat()
}

/// `AUTHENTICATED_VARIABLE_HEADER`, name and data, to the next multiple of four.
fn variable(name: &str, vendor: [u8; 16], attributes: u32, data: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    // Start, state "added", nothing; then 8 octets of a counter, 16 of a time, 4 of a key's number.
    let mut row = [&[0xaa, 0x55, 0x3f, 0x00][..], &attributes.to_le_bytes(), &[0; 28]].concat();
    row.extend_from_slice(&number(name.len()));
    row.extend_from_slice(&number(data.len()));
    row.extend_from_slice(&vendor);
    row.extend_from_slice(&name);
    row.extend_from_slice(data);
    row.resize(row.len().next_multiple_of(4), 0xff);
    row
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

const fn guid(a: u32, b: u16, c: u16, d: [u8; 8]) -> [u8; 16] {
    let (a, b, c) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    [a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Vec<u8> {
        let mut file = vec![0xff; 0x2000];
        file[VOLUME_LENGTH..VOLUME_LENGTH + 2].copy_from_slice(&0x48u16.to_le_bytes());
        file[0x48..0x58].copy_from_slice(&STORE);
        file
    }

    #[test]
    fn keys_stand_behind_one_another_from_the_store_on() {
        let made = enrolled(&template(), &[vec![0x30; 5], vec![0x31; 7]]).unwrap();
        let first = 0x48 + STORE_HEADER;
        assert_eq!(made[first..first + 4], [0xaa, 0x55, 0x3f, 0]);
        let header = 60;
        assert_eq!(
            made[first + 36..first + 44],
            [6, 0, 0, 0, 49, 0, 0, 0],
            "`PK` and its list of 28 + 16 + 5"
        );
        assert_eq!(made[first + header..first + header + 6], *b"P\0K\0\0\0");
        let second = first + (header + 6 + 49).next_multiple_of(4);
        assert_eq!(made[second..second + 2], [0xaa, 0x55]);
        assert_eq!(made.len(), template().len());
        assert_eq!(STORE[..4], [0x78, 0x2c, 0xf3, 0xaa], "as it lies in Debian's file");
    }

    #[test]
    fn variables_that_hold_something_are_left_alone() {
        let once = enrolled(&template(), &[vec![0x30; 5]]).unwrap();
        assert!(enrolled(&once, &[vec![0x30; 5]]).is_err());
        assert!(enrolled(b"", &[vec![1]]).is_err() && enrolled(&template(), &[]).is_err());
    }
}
