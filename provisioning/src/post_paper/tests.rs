//! Pieces as they are printed; with `MIMAMORI_LOOK=folder` each is left there, and once more with the window and the folds
//! drawn over it, to be looked at.

use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

use super::*;
use crate::bundle::{self, Profile, TunnelPrivateKey};
use crate::envelope::{Area, PLAY, WINDOW, covers};
use crate::font::tests::installed;
use crate::pdf;
use vpn::key::{PresharedKey, PublicKey};

fn sender() -> Sender {
    Sender {
        realm_name: "ふくいみまもりSNS".into(),
        office: "福井県医師会 在宅医療サポートセンター SNS事務局".into(),
        address: "〒910-0001 福井県福井市大願寺3丁目4-10".into(),
        telephone: "0776-24-0387".into(),
        date: "2026年11月21日".into(),
    }
}

fn profile() -> Zeroizing<String> {
    let text = bundle::profile_text(&Profile {
        key: &TunnelPrivateKey::from_random(&[7; 32]),
        psk: &PresharedKey::from_bytes([8; 32]),
        address: [10, 18, 100, 142].into(),
        server_public_key: PublicKey::from_bytes([9; 32]),
        gateway_open: [10, 18, 255, 2].into(),
        endpoint: "vpn.mimamori-fukui.example.or.jp:51820",
    });
    Zeroizing::new(format!("# みまもり 18-0042\n{}", text.as_str()))
}

const SHEET: &str = "みまもり 証明書取得用No・パスワードのお知らせ\n事業所: 髙﨑医院\n施設内管理者: 𠮷田 花\nVPN番号: 18-0042\n\
    証明書取得用No: 1234567890\nパスワード: ABCD-EFGH-JKMN-PQRS-TVWX-YZ23-45\n本登録ページ: https://claim.mimamori.example.jp/\n\
    発行日: 2026年11月21日\n有効期限: 2026年12月21日\n問い合わせ先: SNS事務局 0776-24-0387\n";

fn piece(lane: Lane, content: Content) -> Piece {
    let to = Address::new(
        "〒910-0005 福井県福井市大手9丁目1-12 髙﨑ビル3階",
        "医療法人社団さくら会 髙﨑𠮷医院",
        "施設内管理者",
        "𠮷田 花",
    );
    Piece { number: "h-2026-00001-3".into(), lane, to, hand: false, content }
}

fn connection() -> Piece {
    let content = Content::Connection(Box::new(Connection {
        slot: "18-0042".parse().unwrap(),
        facility_name: "医療法人社団さくら会 髙﨑𠮷医院".into(),
        profile: profile(),
        valid_until: "2026年12月21日".into(),
        start_url: "http://10.18.255.2/".into(),
        claim_url: "https://claim.mimamori.example.jp/".into(),
        fingerprint: "ab".repeat(32),
        office: "SNS事務局　0776-24-0387".into(),
    }));
    piece(Lane::Connection, content)
}

fn letter() -> Piece {
    let text = "髙﨑𠮷医院 施設内管理者様\n\nみまもりからのお知らせです（案件 2026-00042）。\n\nお送りいただいた書類に、次の不足があります。\n・様式2の署名\n・同意日\n\n\
        ■ ご注意\n・このメールに、押していただくリンクはありません。\n\n■ 問い合わせ先\nSNS事務局 0776-24-0387\n（このメールは自動で送られています）\n";
    let lines = letter_lines(text);
    assert!(lines[0].starts_with("みまもりから") && !lines.concat().contains("メール"), "{lines:?}");
    piece(Lane::Letter, Content::Letter { title: "書類不備のお知らせ".into(), lines })
}

fn all() -> Vec<(&'static str, Piece)> {
    vec![
        ("post-connection", connection()),
        ("post-sheet", piece(Lane::Sheet, Content::Sheet(post_sheet::read(SHEET)))),
        ("post-letter", letter()),
        ("post-at-hand", Piece { hand: true, ..piece(Lane::Sheet, Content::AtHand) }),
        ("post-invoice", piece(Lane::Invoice, Content::Invoice(Box::new(billed())))),
    ]
}

fn billed() -> (Paper, Issuer) {
    use crate::fee_bill::{Bill, Line, TaxSum};
    let line = Line {
        from: "2026-04".parse().unwrap(),
        until: "2027-03".parse().unwrap(),
        months: 12,
        yen_a_month: 1000,
        yen: 12_000,
        medical_net: false,
        tax_percent: 10,
        rule: "F-02".into(),
    };
    let taxes = vec![TaxSum { percent: 10, net: 12_000, tax: 1_200 }];
    let invoice = crate::door_fee::Invoice {
        invoice: "2026-00042".into(),
        fiscal_year: 2026,
        facility: pki::identity::FacilityId::from_random([1; 10]),
        code: "1810112011".into(),
        name: "髙﨑𠮷医院".into(),
        kind: "医科".into(),
        net: 12_000,
        tax: 1_200,
        total: 13_200,
        state: "open".into(),
        issued_on: "2026-04-01".into(),
        due_on: "2026-05-31".into(),
        paid_on: None,
    };
    let bill = Bill { lines: vec![line], taxes, net: 12_000, tax: 1_200, total: 13_200 };
    let issuer = Issuer {
        name: "福井県医師会".into(),
        number: "T7000012050002".into(),
        address: "福井市大願寺3-4-10".into(),
        telephone: "0776-24-0387".into(),
        bank: "○○銀行 本店 普通 1234567".into(),
    };
    (Paper { invoice, bill, postal_address: String::new(), addressee: "桜井 健一".into() }, issuer)
}

fn text(page: &[Mark]) -> String {
    let text = |mark: &Mark| match mark {
        Mark::Text { glyphs, .. } => glyphs.iter().map(|glyph| glyph.text.as_str()).collect(),
        _ => String::new(),
    };
    page.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn frame(area: Area) -> Vec<Mark> {
    let (left, top) = (area.x * MM, area.y * MM);
    let (right, bottom) = (left + area.width * MM, top + area.height * MM);
    let line = |from, to| Mark::Line { from, to, width: 0.8 };
    vec![
        line((left, top), (right, top)),
        line((right, top), (right, bottom)),
        line((right, bottom), (left, bottom)),
        line((left, bottom), (left, top)),
    ]
}

/// Whatever is printed and however it lies in the envelope: through the window one sees the address and nothing else.
#[test]
fn p_05_through_the_window_one_sees_the_address_and_nothing_else() {
    let fonts = installed();
    for (name, piece) in all() {
        let pages = pages(&fonts, &sender(), &piece).unwrap();
        let to = piece.to.marks(&fonts, SAFE).unwrap();
        assert!(pages.len() <= 3, "{name}: {} pages", pages.len());
        for mark in &pages[0] {
            let place = covers(mark);
            assert!(
                to.contains(mark) || !SEEN.touches(place),
                "{name}: {place:?} {}",
                text(std::slice::from_ref(mark))
            );
            assert!(!to.contains(mark) || SAFE.holds(place), "{name}: the address leaves the window");
        }
        let mut over = pages.clone();
        for (dx, dy) in [(0.0, 0.0), PLAY] {
            over[0].extend(frame(Area { x: WINDOW.x - dx, y: WINDOW.y - dy, ..WINDOW }));
        }
        for fold in FOLDS {
            let (y, to) = (fold * MM, PAPER.0 * MM);
            over[0].push(Mark::Line { from: (0.0, y), to: (to, y), width: 0.3 });
        }
        let Some(folder) = std::env::var_os("MIMAMORI_LOOK").map(std::path::PathBuf::from) else { continue };
        for (end, pages) in [("", &pages), ("-window", &over)] {
            let bytes = pdf::written("発送", true, pages, &fonts).unwrap();
            std::fs::write(folder.join(format!("{name}{end}.pdf")), bytes).unwrap();
        }
    }
}

/// P-05, ruling 5: what lies in one envelope opens nothing alone. A thief of the first has a tunnel to the claim page and no
/// number; a thief of the second has a number and no tunnel. And none of it is on the page with the address.
#[test]
fn p_05_a_thief_of_one_envelope_has_half_of_what_is_needed() {
    let fonts = installed();
    let read = |piece: &Piece| pages(&fonts, &sender(), piece).unwrap();
    let (first, second) =
        (read(&connection()), read(&piece(Lane::Sheet, Content::Sheet(post_sheet::read(SHEET)))));
    let of = |pages: &[Vec<Mark>]| pages.iter().map(|page| text(page)).collect::<Vec<_>>().join("\n");
    let (connects, opens) = (of(&first), of(&second));
    let key =
        profile().lines().find_map(|line| line.strip_prefix("PrivateKey = ").map(str::to_owned)).unwrap();
    assert!(connects.contains(&key) && opens.contains("1234567890") && opens.contains("ABCD EFGH JKMN PQRS"));
    for secret in ["1234567890", "ABCD", "YZ23"] {
        assert!(!connects.contains(secret), "{secret}");
    }
    for secret in [key.as_str(), "PrivateKey", "PresharedKey", "51820"] {
        assert!(!opens.contains(secret), "{secret}");
    }
    for secret in [key.as_str(), "1234567890", "ABCD"] {
        assert!(!text(&first[0]).contains(secret) && !text(&second[0]).contains(secret), "{secret}");
    }
    // The second envelope's code is the page's address, the first one's the profile.
    let boxes =
        |pages: &[Vec<Mark>]| pages.iter().flatten().filter(|mark| matches!(mark, Mark::Box { .. })).count();
    let drawn = |text: &str| crate::paper_sheet::drawn(text, 0.0, 0.0, 10.0).unwrap().len();
    assert_eq!(boxes(&second), drawn("https://claim.mimamori.example.jp/"));
    assert_eq!(boxes(&first), drawn(&post_connection::bare(&profile())));
}

/// A camera reads modules of half a millimetre; the longest endpoint that a zone may have still gives larger ones.
#[test]
fn d_00_the_code_of_a_connection_is_large_enough_to_be_read() {
    let long = profile().replace("vpn.mimamori-fukui.example.or.jp", &format!("vpn.{}", "a".repeat(60)));
    for text in [profile().to_string(), long] {
        let code =
            QrCode::with_error_correction_level(post_connection::bare(&text).as_bytes(), EcLevel::M).unwrap();
        let module = post_connection::CODE / MM / code.width() as f32;
        assert!(module > 0.7, "{module} mm");
    }
    assert!(post_connection::bare(&profile()).starts_with("[Interface]"), "no remark");
}

#[test]
fn a_letter_with_a_character_that_no_font_has_is_refused_whole() {
    let fonts = installed();
    let lines = vec!["・様式\u{10fffd}".to_owned()];
    let odd = piece(Lane::Letter, Content::Letter { title: "書類不備のお知らせ".into(), lines });
    assert!(matches!(pages(&fonts, &sender(), &odd), Err(Unprinted::Paper(_))));
}
