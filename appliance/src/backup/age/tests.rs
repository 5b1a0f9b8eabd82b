//! Both ways against stock `age` (another hand's), and whatever an attacker may do to a file of it.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

fn chance(n: u8) -> Chance {
    Chance {
        file_key: Zeroizing::new([n; FILE_KEY]),
        nonce: [n; NONCE],
        moments: (1..=3).map(|m| Zeroizing::new([m * 16 + n; KEY_LEN])).collect(),
    }
}

fn identity(n: u8) -> Identity {
    Identity::from_random([n; KEY_LEN])
}

fn sealed(plain: &[u8], to: &[&Identity]) -> Vec<u8> {
    let to: Vec<Recipient> = to.iter().map(|identity| identity.recipient().unwrap()).collect();
    let mut sealing = seal(Vec::new(), &to, &chance(9)).unwrap();
    sealing.write_all(plain).unwrap();
    sealing.finish().unwrap()
}

fn opened(sealed: &[u8], by: Identity) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let mut opening = open(sealed, &[by]).map_err(|error| error.to_string())?;
    opening.read_to_end(&mut plain).map_err(|error| error.to_string())?;
    Ok(plain)
}

/// Nothing, less than a piece, exactly one, one and a little, exactly two.
const LENGTHS: [usize; 6] = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK];

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn run(program: &str, words: &[&str], folder: &Path, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/setup/deps installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(done.status.success(), "{program} {words:?}");
    done.stdout
}

/// Ruling 14: the printed page needs no program of ours.
#[test]
fn stock_age_opens_what_we_seal_and_we_open_what_it_seals() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), identity(5).text().as_bytes()).unwrap();
    for length in LENGTHS {
        let plain = text(length);
        let ours = sealed(&plain, &[&identity(4), &identity(5)]);
        assert_eq!(run("age", &["-d", "-i", "key"], folder.path(), &ours), plain, "{length} bytes");
        let recipient = identity(5).recipient().unwrap().to_string();
        let theirs = run("age", &["-r", &recipient], folder.path(), &plain);
        assert_eq!(opened(&theirs, identity(5)).unwrap(), plain, "{length} bytes");
    }
}

/// What `age-keygen` prints is read, comments and all, and says the same public key.
#[test]
fn a_key_of_age_keygen_is_a_key() {
    let made = run("age-keygen", &[], Path::new("/"), &[]);
    let made = String::from_utf8(made).unwrap();
    let said = made.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let read = Identity::parse(&made).unwrap();
    assert_eq!(read.recipient().unwrap().to_string(), said);
    assert!(made.contains(read.text().as_str()));
    assert_eq!(Recipient::parse(said).unwrap().to_string(), said);
    assert_eq!(Recipient::parse("age1nobody"), Err(AgeError::Recipient));
    assert!(Identity::parse(said).is_err(), "a public key opens nothing");
}

#[test]
fn another_key_opens_nothing() {
    assert_eq!(opened(&sealed(b"x", &[&identity(4)]), identity(6)), Err(AgeError::NotForUs.to_string()));
    assert!(opened(b"not a file of age, but long enough to be one\n", identity(6)).is_err());
}

/// The attacker's file: any byte changed, the end cut anywhere, a piece left out or moved.
#[test]
fn what_was_changed_or_cut_is_refused() {
    let plain = text(2 * CHUNK + 7);
    let whole = sealed(&plain, &[&identity(4)]);
    let head = whole.len() - (plain.len() + 3 * TAG);
    for at in (0..whole.len()).step_by(997).chain(0..head) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert_ne!(opened(&changed, identity(4)).as_deref(), Ok(plain.as_slice()), "byte {at}");
    }
    for end in [head - 1, head, head + 1, head + CHUNK + TAG, head + 2 * (CHUNK + TAG), whole.len() - 1] {
        assert!(opened(&whole[..end], identity(4)).is_err(), "cut at {end}");
    }
    let (first, second) = (head..head + CHUNK + TAG, head + CHUNK + TAG..head + 2 * (CHUNK + TAG));
    let mut moved = whole[..head].to_vec();
    moved.extend_from_slice(&whole[second.clone()]);
    moved.extend_from_slice(&whole[first]);
    moved.extend_from_slice(&whole[second.end..]);
    assert!(opened(&moved, identity(4)).is_err(), "pieces in another order");
    let mut longer = whole.clone();
    longer.push(0);
    assert!(opened(&longer, identity(4)).is_err(), "something after the end");
}
