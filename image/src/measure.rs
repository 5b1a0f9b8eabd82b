//! What a TPM will hold after our kernel was started: register 11 as systemd's stub fills it, the policy that asks for
//! that value, and the text in which its signature travels. Whoever signs is elsewhere (`policy`). Pure.

use aws_lc_rs::digest::{Context, SHA256, digest};
use data_encoding::{BASE64, HEXLOWER};

use crate::uki::{self, StubError};

/// The sections that the stub measures, in its own order; a signature cannot cover itself, so `.pcrsig` is none.
const MEASURED: [&str; 11] = [
    ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey",
    ".profile",
];
/// The register of kernels, and its bit in a TPM's list of three octets.
const REGISTER: u8 = 11;
/// `TPM2_CC_PolicyPCR`, then one selection: SHA-256 (0x000b), three octets, register 11.
const POLICY_PCR: [u8; 14] = [0, 0, 1, 0x7f, 0, 0, 0, 1, 0, 0x0b, 3, 0, 1 << (REGISTER - 8), 0];

pub type Digest = [u8; 32];

/// Register 11 when the stub hands over to the kernel. Our initrd and the machine's early start add nothing to it until
/// `sysinit.target` is reached; from then on it is another value, and nothing is unsealed any more.
pub fn register(kernel: &[u8]) -> Result<Digest, StubError> {
    let mut value = [0; 32];
    for name in MEASURED {
        if let Some(bytes) = uki::section(kernel, name)? {
            let mut named = name.as_bytes().to_vec();
            named.push(0);
            value = extended(&value, &named);
            value = extended(&value, &bytes);
        }
    }
    Ok(value)
}

/// What is signed: that register 11 holds this value.
pub fn policy(register: &Digest) -> Digest {
    let mut sum = Context::new(&SHA256);
    sum.update(&[0; 32]);
    sum.update(&POLICY_PCR);
    sum.update(digest(&SHA256, register).as_ref());
    whole(sum.finish().as_ref())
}

/// The section `.pcrsig`. `public_key` is the signer's, as PKCS #1 writes it in DER: its sum names it.
pub fn signature_text(policy: &Digest, public_key: &[u8], signature: &[u8]) -> String {
    format!(
        "{{\"sha256\":[{{\"pcrs\":[{REGISTER}],\"pkfp\":\"{}\",\"pol\":\"{}\",\"sig\":\"{}\"}}]}}",
        HEXLOWER.encode(digest(&SHA256, public_key).as_ref()),
        HEXLOWER.encode(policy),
        BASE64.encode(signature)
    )
}

fn extended(value: &Digest, bytes: &[u8]) -> Digest {
    let mut sum = Context::new(&SHA256);
    sum.update(value);
    sum.update(digest(&SHA256, bytes).as_ref());
    whole(sum.finish().as_ref())
}

fn whole(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extended_register_is_the_sum_of_what_it_was_and_the_sum_of_what_came() {
        let one = extended(&[0; 32], b"");
        let mut by_hand = vec![0; 32];
        by_hand.extend_from_slice(digest(&SHA256, b"").as_ref());
        assert_eq!(one.as_slice(), digest(&SHA256, &by_hand).as_ref());
    }

    #[test]
    fn each_section_counts_with_its_name_and_in_the_stubs_order() {
        let stub = uki::tests::stub();
        let sections: [(&str, &[u8]); 2] = [(".linux", b"kernel"), (".osrel", b"ID=x\n")];
        let (one, other) = (uki::join(&stub, &sections), uki::join(&stub, &[sections[1], sections[0]]));
        let (one, other) = (register(&one.unwrap()).unwrap(), register(&other.unwrap()).unwrap());
        assert_eq!(one, other, "where a section lies in the file is nobody's business");
        let mut by_hand = [0; 32];
        for bytes in [b".linux\0".as_slice(), b"kernel", b".osrel\0", b"ID=x\n"] {
            by_hand = extended(&by_hand, bytes);
        }
        assert_eq!(one, by_hand);
        // The stub of the tests has room for two.
        let bare = register(&uki::join(&stub, &sections[..1]).unwrap()).unwrap();
        let signed = uki::join(&stub, &[sections[0], (".pcrsig", b"{}")]).unwrap();
        assert_eq!(register(&signed).unwrap(), bare, "the signature is not measured");
        let changed = uki::join(&stub, &[(".linux", b"kernel"), (".osrel", b"ID=y\n")]).unwrap();
        assert_ne!(register(&changed).unwrap(), one);
    }

    #[test]
    fn the_text_names_register_key_and_policy() {
        let text = signature_text(&[0xab; 32], b"key", b"sig");
        assert!(text.starts_with("{\"sha256\":[{\"pcrs\":[11],\"pkfp\":\""), "{text}");
        assert!(
            text.contains(&format!("\"pol\":\"{}\"", "ab".repeat(32)))
                && text.ends_with("\"sig\":\"c2ln\"}]}")
        );
        assert_eq!(POLICY_PCR[12], 0x08);
    }
}
