//! Whose memory holds a CA's private key: the whole of every process is read, as a thief would who may dump it.
//! Only for the form `separated`, and only for root. Owns nothing beyond a call.

use std::fs::{self, File};
use std::io::{BufRead, Read, Seek, SeekFrom};

use data_encoding::BASE64;
use pki::ceremony::{DEVICE_CA_KEY, SERVER_CA_KEY};
use pki::folders::{DEVICE_CA_KEY_SEALED, SERVER_CA_KEY_SEALED};
use pki::{Secret, seal};
use zeroize::Zeroizing;

use crate::fault::{Fault, Told, While};
use crate::holds;
use crate::world::World;

/// A P-256 scalar.
const SCALAR: usize = 32;
/// How PKCS #8 begins the scalar: `ECPrivateKey { version 1, privateKey OCTET STRING of 32 }`.
const SCALAR_HEAD: [u8; 5] = [0x02, 0x01, 0x01, 0x04, SCALAR as u8];
/// Read at once; what lies across two pieces is found because they overlap.
const PIECE: usize = 8 << 20;

/// One key, as it could lie in a memory.
struct Key {
    name: &'static str,
    forms: Vec<(&'static str, Zeroizing<Vec<u8>>)>,
}

/// No CA's key is in the memory of any process but the authority's, where the same search finds both of them.
/// Gives how many megabytes were searched.
pub fn no_ca_key_outside_the_authority(world: &World) -> Told<u64> {
    let keys =
        [key(world, DEVICE_CA_KEY, DEVICE_CA_KEY_SEALED)?, key(world, SERVER_CA_KEY, SERVER_CA_KEY_SEALED)?];
    let mut searched = 0;
    let pids = world.server.pids();
    for (process, pid) in &pids {
        let (read, found) = search(*pid, &keys)?;
        holds!(read > 0, "nothing of {process}'s memory could be read");
        searched += read;
        if *process == "pki" {
            for key in &keys {
                let seen = found.iter().any(|(name, _)| *name == key.name);
                holds!(
                    seen,
                    "the search is blind: it does not find the {} key in the authority itself",
                    key.name
                );
            }
        } else {
            holds!(found.is_empty(), "the memory of {process} holds {found:?}");
        }
    }
    for needed in ["pki", "gateway", "provisioning"] {
        holds!(pids.iter().any(|(name, _)| *name == needed), "{needed} does not run by itself");
    }
    Ok(searched >> 20)
}

/// Opened as the authority opens it.
fn key(world: &World, name: &'static str, file: &str) -> Told<Key> {
    let passphrase =
        fs::read(world.server.setting("pki_passphrase_file")?).while_(|| "the passphrase".to_owned())?;
    let secret =
        Secret::new(passphrase.trim_ascii_end().to_vec()).map_err(|error| Fault::new(error.to_string()))?;
    let path = std::path::Path::new(&world.server.setting("state")?).join("pki").join(file);
    let sealed = fs::read_to_string(&path).while_(|| path.display().to_string())?;
    let pkcs8 = seal::open(name, &sealed, &secret).map_err(|error| Fault::new(error.to_string()))?;
    let scalar = scalar(&pkcs8).ok_or_else(|| Fault::new(format!("{name} is no PKCS #8 of P-256")))?;
    Ok(Key { name, forms: forms(scalar) })
}

fn scalar(pkcs8: &[u8]) -> Option<&[u8]> {
    let at = pkcs8.windows(SCALAR_HEAD.len()).position(|window| window == SCALAR_HEAD)? + SCALAR_HEAD.len();
    pkcs8.get(at..at + SCALAR)
}

/// PKCS #8 holds the first form; a library's big number is words with the lowest first, the second; PEM and JSON are
/// base64, which begins in one of three places.
fn forms(scalar: &[u8]) -> Vec<(&'static str, Zeroizing<Vec<u8>>)> {
    let mut forms = vec![
        ("the scalar", Zeroizing::new(scalar.to_vec())),
        ("the scalar, lowest byte first", Zeroizing::new(scalar.iter().rev().copied().collect())),
    ];
    for skip in 0..3 {
        // Whole groups only: the neighbours of the first and the last are not known.
        let whole = &scalar[skip..skip + (SCALAR - skip) / 3 * 3];
        forms.push(("the scalar in base64", Zeroizing::new(BASE64.encode(whole).into_bytes())));
    }
    forms
}

/// All that may hold what a program wrote: everything writable, and everything that is no file's.
fn search(pid: u32, keys: &[Key]) -> Told<(u64, Vec<(&'static str, &'static str)>)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).while_(|| format!("the maps of {pid}"))?;
    let mut memory = File::open(format!("/proc/{pid}/mem")).while_(|| format!("the memory of {pid}"))?;
    let (mut read, mut found) = (0, Vec::new());
    let mut piece = Zeroizing::new(vec![0; PIECE]);
    for line in maps.lines() {
        let Some((from, to)) = dumped(line) else { continue };
        let mut at = from;
        while at < to {
            let length = usize::try_from(to - at).unwrap_or(PIECE).min(PIECE);
            memory.seek(SeekFrom::Start(at))?;
            // A mapping that went away meanwhile, or that the kernel keeps to itself.
            let Ok(()) = memory.read_exact(&mut piece[..length]) else { break };
            read += length as u64;
            for key in keys {
                for (form, needle) in &key.forms {
                    if contains(&piece[..length], needle) {
                        found.push((key.name, *form));
                    }
                }
            }
            if at + length as u64 == to {
                break;
            }
            at += (length - 64) as u64;
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok((read, found))
}

/// A line of `maps` as the range that is to be read.
fn dumped(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (range, rights) = (words.next()?, words.next()?);
    let file = words.nth(2).is_some_and(|inode| inode != "0");
    if !rights.starts_with('r') || (file && !rights.contains('w')) {
        return None;
    }
    let (from, to) = range.split_once('-')?;
    Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
}

/// The standard library's search for one byte is compiled for speed, which this crate is not: a hundred megabytes
/// take a moment.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return false };
    let mut left = bytes;
    while left.skip_until(*first).is_ok_and(|skipped| skipped > 0) {
        if left.starts_with(rest) {
            // `skip_until` also ends at the end.
            return bytes.len() > left.len() && bytes[bytes.len() - left.len() - 1] == *first;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_what_is_there_and_nothing_else() {
        let scalar: Vec<u8> = (1..=32).collect();
        let key = Key { name: "k", forms: forms(&scalar) };
        for (form, needle) in &key.forms {
            let mut hay = vec![1; 5000];
            assert!(!contains(&hay, needle), "{form}");
            hay.extend_from_slice(needle);
            assert!(contains(&hay, needle), "{form} at the end");
            hay.extend([7; 99]);
            assert!(contains(&hay, needle), "{form} in the middle");
            hay[5000 + needle.len() - 1] ^= 1;
            assert!(!contains(&hay, needle), "{form}, but for one bit");
        }
        // Wherever in a PEM it stands.
        for skip in 0..3 {
            let text = BASE64.encode(&[&vec![9; skip][..], &scalar, &[8; 7]].concat());
            assert!(
                key.forms.iter().any(|(_, needle)| contains(text.as_bytes(), needle)),
                "shifted by {skip}"
            );
        }
        assert!(!contains(b"ab", b"bc") && !contains(b"", b"a") && !contains(b"a", b""));
    }

    #[test]
    fn whole_memories_are_read_but_for_what_programs_are_made_of() {
        assert_eq!(dumped("7f00-7fff rw-p 00000000 00:00 0  [heap]"), Some((0x7f00, 0x7fff)));
        assert_eq!(dumped("7f00-7fff r--p 00000000 00:00 0"), Some((0x7f00, 0x7fff)));
        assert_eq!(dumped("7f00-7fff rw-p 00000000 fd:00 12 /bin/a"), Some((0x7f00, 0x7fff)));
        assert_eq!(dumped("7f00-7fff r-xp 00000000 fd:00 12 /bin/a"), None);
        assert_eq!(dumped("7f00-7fff ---p 00000000 00:00 0"), None);
    }

    /// The search against a process of which the contents are known: this one.
    #[test]
    fn a_key_in_a_process_is_found_there() {
        let scalar: Vec<u8> = (0..32).map(|n| n ^ 0xa5).collect();
        let key = Key { name: "mine", forms: forms(&scalar) };
        let (read, found) = search(std::process::id(), &[key]).unwrap();
        assert!(read > 0 && found.contains(&("mine", "the scalar")), "{read} bytes, {found:?}");
    }
}
