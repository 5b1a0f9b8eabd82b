//! The letter as a stranger's mail program reads it, and what must never stand in it (C-12.1, M-02, P-05).

use data_encoding::BASE64;

use super::*;

const KEY: &str = "[Interface]\nPrivateKey = AAECAwQ=\n";

fn files() -> Vec<PrivateFile> {
    [
        ("mima-18-0042.conf", KEY),
        (ROOT_FILE, "-----BEGIN CERTIFICATE-----\n"),
        (GUIDE_FILE, "<p>手順</p>\r\n\n"),
    ]
    .map(|(name, text)| PrivateFile { name: name.into(), text: text.into() })
    .into()
}

fn composed(recipient: &str, files: &[PrivateFile]) -> Composed {
    written(recipient, files, false)
}

fn cover(recipient: &str) -> Cover<'_> {
    Cover {
        message: "o-bundle-18-0042-1",
        recipient,
        slot: "18-0042".parse().unwrap(),
        realm_name: "ふくいみまもり（試験）",
        zone: "mimamori.example.jp",
        from: "jimukyoku@mimamori.example.jp",
        written_at_ms: 1_795_000_000_000,
    }
}

fn written(recipient: &str, files: &[PrivateFile], reissued: bool) -> Composed {
    compose(&BundleMail {
        cover: cover(recipient),
        reissued,
        facility_name: "さくら<医院>",
        office_name: "みまもり事務局",
        office_telephone: "0776-00-0000",
        valid_until: "2026年12月20日",
        files,
    })
    .unwrap()
    .unsigned()
    .unwrap()
}

/// Parts without their boundaries: headers and decoded octets.
fn parts(octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = std::str::from_utf8(octets).unwrap();
    text.split("--=_o-bundle-18-0042-1-")
        .filter_map(|part| part.split_once("\r\n")?.1.split_once("\r\n\r\n"))
        .filter(|(head, _)| head.contains("Content-Transfer-Encoding: base64"))
        .map(|(head, body)| {
            let digits: String = body.chars().filter(|c| !c.is_whitespace()).collect();
            (head.to_owned(), BASE64.decode(digits.as_bytes()).unwrap())
        })
        .collect()
}

#[test]
fn headers_are_ascii_ours_and_stable() {
    let first = composed("kanri@sakura.example.jp", &files());
    let head = String::from_utf8(first.octets.clone()).unwrap();
    let head = head.split_once("\r\n\r\n").unwrap().0.to_owned();
    for line in [
        "Message-ID: <o-bundle-18-0042-1@mimamori.example.jp>",
        "Auto-Submitted: auto-generated",
        "To: kanri@sakura.example.jp",
        "MIME-Version: 1.0",
        "Content-Language: ja",
    ] {
        assert!(head.contains(line), "{line}\n{head}");
    }
    assert!(
        head.contains("<jimukyoku@mimamori.example.jp>") && head.contains("Subject: =?utf-8?b?"),
        "{head}"
    );
    assert_eq!(first.envelope.from().unwrap().to_string(), "bounce+o-bundle-18-0042-1@mimamori.example.jp");
    assert!(first.octets.is_ascii(), "nothing on the way needs to re-encode it");
    assert!(head.lines().all(|line| line.len() <= 78) || head.contains("=?utf-8?b?"));
    // At-least-once: a copy after a crash is the same octets.
    assert_eq!(first.octets, composed("kanri@sakura.example.jp", &files()).octets);
}

#[test]
fn both_bodies_are_complete_and_the_files_are_what_was_given() {
    let files = files();
    let mail = composed("kanri@sakura.example.jp", &files);
    let parts = parts(&mail.octets);
    assert_eq!(parts.len(), 5);
    let text = std::str::from_utf8(&parts[0].1).unwrap();
    let html = std::str::from_utf8(&parts[1].1).unwrap();
    assert!(
        parts[0].0.contains("text/plain; charset=utf-8") && parts[1].0.contains("text/html; charset=utf-8")
    );
    for said in [
        "18-0042",
        "mima-18-0042.conf",
        "mimamori-root.crt",
        "guide.html",
        "2026年12月20日",
        "みまもり事務局 0776-00-0000",
        "本登録が済むと使えなくなります",
        "お心当たりのない方は",
        "転送しないで",
    ] {
        assert!(text.contains(said) && html.contains(said), "{said}");
    }
    assert!(html.contains("さくら&#60;医院&#62;") && text.contains("さくら<医院>"));
    for (file, (head, octets)) in files.iter().zip(&parts[2..]) {
        assert!(head.contains(&format!("attachment; filename=\"{}\"", file.name)), "{head}");
        assert_eq!(file.text.as_bytes(), octets, "{}", file.name);
    }
}

/// P-05 and ruling 5: the mailbox's owner alone gets nowhere, and learns no habit that a thief could use.
#[test]
fn a_mail_leads_nowhere_and_shows_nothing() {
    let mail = composed("kanri@sakura.example.jp", &files());
    for (_, octets) in &parts(&mail.octets)[..2] {
        let body = std::str::from_utf8(octets).unwrap();
        for never in [
            "http:",
            "https:",
            "href",
            "<img",
            "src=",
            "<script",
            "<form",
            "claim.",
            "PrivateKey",
            "福井 花子",
        ] {
            assert!(!body.contains(never), "{never}");
        }
    }
}

#[test]
fn addresses_of_carriers_are_quoted_and_injections_are_refused() {
    let old = composed("a..b.@docomo.example.jp", &[]);
    assert_eq!(old.envelope.to()[0].to_string(), "\"a..b.\"@docomo.example.jp");
    assert!(String::from_utf8(old.octets).unwrap().contains("To: \"a..b.\"@docomo.example.jp\r\n"));
    for wrong in ["a@b.jp\r\nBcc: c@d.jp", "a@b.jp>\r\nRCPT TO:<c@d.jp", "a b@c.jp", "", "a\"..b@c.jp"] {
        assert!(address(wrong).is_err(), "{wrong:?}");
    }
}

/// Ruling 5, 再発行: whoever holds two profiles knows which one is dead, and that the sheet is not.
#[test]
fn a_reissued_bundle_says_what_is_dead_and_what_stays() {
    let mail = written("kanri@sakura.example.jp", &files(), true);
    for (_, octets) in &parts(&mail.octets)[..2] {
        let body = std::str::from_utf8(octets).unwrap();
        for said in ["再発行しました", "先にお届けした接続設定は、もう使えません", "そのまま使えます"]
        {
            assert!(body.contains(said), "{said}");
        }
        assert!(!body.contains("別便でお届けする"));
    }
}

#[test]
fn an_extension_is_a_word_without_files() {
    let files = crate::notice::files(&crate::notice::Extension {
        slot: "18-0042".parse().unwrap(),
        facility_name: "さくら<医院>",
        realm_name: "ふくいみまもり（試験）",
        valid_until: "2027年1月3日",
        office_name: "みまもり事務局",
        office_telephone: "0776-00-0000",
    })
    .unwrap();
    let mail = compose_extension(&cover("kanri@sakura.example.jp"), &files).unwrap().unsigned().unwrap();
    let parts = parts(&mail.octets);
    assert_eq!(parts.len(), 2);
    for (head, octets) in &parts {
        let body = std::str::from_utf8(octets).unwrap();
        assert!(!head.contains("attachment") && !body.contains("http"), "{head}");
        for said in ["2027年1月3日", "18-0042", "そのまま使えます", "みまもり事務局 0776-00-0000"]
        {
            assert!(body.contains(said), "{said}\n{body}");
        }
    }
    assert!(compose_extension(&cover("kanri@sakura.example.jp"), &files[..1]).is_err());
}
