//! The attacker's tables: codes, keys and names as somebody would like them read.

use proptest::prelude::*;

use super::*;

fn packed(parts: &[&[u8]]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(part);
    }
    BASE64.encode(&bytes)
}

fn ed25519(byte: u8) -> Key {
    Key::parse(&format!("ssh-ed25519 {}", packed(&[b"ssh-ed25519", &[byte; 32]]))).unwrap()
}

#[test]
fn a_code_is_good_for_ten_minutes_and_ten_tries() {
    let shown = code([0, 1, 2, 31, 32, 255, 10, 20, 30, 7]);
    assert_eq!(shown, "012Z0-ZAMY7");
    let window = Window::open(&shown, 1000);
    for typed in ["012Z0-ZAMY7", "012z0zamy7", "o1-2zozamy7", "0l2Z0-ZAMY7"] {
        assert!(window.fits(typed), "{typed}");
    }
    for typed in ["", "-", "012Z0-ZAMY", "012Z0-ZAMY78", "112Z0-ZAMY7", "012Z0 ZAMY7", "０12Z0-ZAMY7"] {
        assert!(!window.fits(typed), "{typed}");
    }
    assert!(window.is_open(1000) && window.is_open(1000 + WINDOW_MS - 1));
    assert_eq!(window.spent(1000 + WINDOW_MS), None, "too late");
    let mut left = window.clone();
    for _ in 0..TRIES {
        left = left.spent(1000).unwrap();
    }
    assert_eq!(left.spent(1000), None, "a try too many, whatever it is");
    assert!(!left.is_open(1000));
}

#[test]
fn a_line_is_nothing_or_a_code_and_a_name() {
    assert!(matches!(wish(""), Some(Wish::Renew)) && matches!(wish("  \n"), Some(Wish::Renew)));
    assert!(matches!(wish("A B"), Some(Wish::Register { code, name }) if code == "A" && name == "B"));
    for line in ["A", "A B C", &format!("A {}", "b".repeat(LINE_MAX))] {
        assert!(wish(line).is_none(), "{line}");
    }
}

#[test]
fn a_name_is_one_word_and_never_an_option() {
    for name in ["kato", "kato@example.jp", "k.a-t_o", &"a".repeat(NAME_MAX)] {
        assert!(is_name(name), "{name}");
    }
    for name in [
        "",
        "-I",
        "-Oforce-command=x",
        "kato mori",
        "kato\nmori",
        "kato,root",
        "加藤",
        ".kato",
        "engineer-recovery-1",
        "Engineer-Recovery-3",
        &"a".repeat(NAME_MAX + 1),
    ] {
        assert!(!is_name(name), "{name}");
    }
}

#[test]
fn a_key_is_of_a_kind_that_we_take_and_nothing_stands_beside_it() {
    let point = [4u8; 65];
    let good = [
        format!("ssh-ed25519 {}", packed(&[b"ssh-ed25519", &[1; 32]])),
        format!("ecdsa-sha2-nistp256 {}", packed(&[b"ecdsa-sha2-nistp256", b"nistp256", &point])),
        format!("sk-ssh-ed25519@openssh.com {}", packed(&[b"sk-ssh-ed25519@openssh.com", &[1; 32], b"ssh:"])),
        format!(
            "sk-ecdsa-sha2-nistp256@openssh.com {}",
            packed(&[b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", &point, b"ssh:mimamori"])
        ),
    ];
    for line in &good {
        assert_eq!(Key::parse(&format!("{line}\n")).unwrap().line(), line);
    }
    let inner = packed(&[b"ssh-ed25519", &[1; 32]]);
    for bad in [
        String::new(),
        "ssh-ed25519".to_owned(),
        format!("ssh-ed25519 {inner} kato"),
        format!("ssh-ed25519  {inner}"),
        format!("ssh-ed25519 {inner}\nssh-ed25519 {inner}"),
        format!("ssh-ed25519 {inner} command=\"x\""),
        format!("command=\"x\" ssh-ed25519 {inner}"),
        format!("cert-authority ssh-ed25519 {inner}"),
        // What it says of itself is another kind, a shorter key, or more than a key.
        format!("ecdsa-sha2-nistp256 {inner}"),
        format!("ssh-ed25519 {}", packed(&[b"ssh-ed25519", &[1; 31]])),
        format!("ssh-ed25519 {}", packed(&[b"ssh-ed25519", &[1; 32], b"more"])),
        format!("sk-ssh-ed25519@openssh.com {}", packed(&[b"sk-ssh-ed25519@openssh.com", &[1; 32], b"web"])),
        format!("ecdsa-sha2-nistp256 {}", packed(&[b"ecdsa-sha2-nistp256", b"nistp384", &point])),
        // Weak, or of another curve, or a certificate.
        format!("ssh-rsa {}", packed(&[b"ssh-rsa", &[1, 0, 1], &[0x7f; 256]])),
        format!("ssh-dss {}", packed(&[b"ssh-dss", &[1; 128], &[1; 20], &[1; 128], &[1; 128]])),
        format!("ecdsa-sha2-nistp521 {}", packed(&[b"ecdsa-sha2-nistp521", b"nistp521", &[4; 133]])),
        format!(
            "ssh-ed25519-cert-v01@openssh.com {}",
            packed(&[b"ssh-ed25519-cert-v01@openssh.com", &[1; 32]])
        ),
        format!("ssh-ed25519 {}", "A".repeat(KEY_MAX + 4)),
    ] {
        assert_eq!(Key::parse(&bad), None, "{bad}");
    }
}

#[test]
fn a_key_and_a_name_are_registered_once() {
    let list = with("", "kato", &ed25519(1)).unwrap();
    assert_eq!(registered(&list, &ed25519(1)), Some("kato"));
    assert_eq!(registered(&list, &ed25519(2)), None);
    assert_eq!(with(&list, "mori", &ed25519(1)), Err(NotKept::Taken), "one key, two names");
    assert_eq!(with(&list, "Kato", &ed25519(2)), Err(NotKept::Taken), "one name, two keys");
    assert_eq!(with(&list, "-x", &ed25519(2)), Err(NotKept::Name));
    let point = [1; 32];
    let same = packed(&[b"sk-ssh-ed25519@openssh.com", &point, b"ssh:"]);
    let same = Key::parse(&format!("sk-ssh-ed25519@openssh.com {same}")).unwrap();
    assert_eq!(with(&list, "mori", &same), Err(NotKept::Taken), "the same key as another kind");
    let two = with(&list, "mori", &ed25519(2)).unwrap();
    assert!(two.starts_with(&list) && registered(&two, &ed25519(2)) == Some("mori"));
    let names = (0..KEYS_MAX).map(|at| (format!("e{at}"), ed25519(u8::try_from(at).unwrap())));
    let full = names.fold(String::new(), |list, (name, key)| with(&list, &name, &key).unwrap());
    assert_eq!(with(&full, "late", &ed25519(99)), Err(NotKept::Full));
}

#[test]
fn what_sshd_says_of_a_session_is_its_key() {
    assert_eq!(came_with("publickey ssh-ed25519 AAAA\n"), Some("ssh-ed25519 AAAA"));
    assert_eq!(came_with("password\n"), None);
    assert_eq!(came_with(""), None);
}

proptest! {
    #[test]
    fn whatever_is_typed_it_is_read_or_refused(text in ".{0,200}") {
        let window = Window::open("00000-00000", 0);
        let _ = (window.fits(&text), wish(&text).is_some(), is_name(&text), Key::parse(&text).is_some());
        prop_assert_eq!(registered(&text, &ed25519(1)), None);
    }
}
