//! 口座振替 both ways: the printed layout, column by column, and a bank that answers anything.

use proptest::prelude::*;

use super::*;

fn account(number: &str, holder: &str) -> Account {
    Account::parse("0147", "001", "普通", number, holder).unwrap()
}

fn creditor() -> Creditor {
    Creditor { code: "0000012345".into(), account: account("7654321", "フクイケンイシカイ") }
}

fn debits() -> Vec<Debit> {
    let debit = |number: &str, holder: &str, yen, first, customer: &str| Debit {
        account: account(number, holder),
        yen,
        first,
        customer: customer.into(),
    };
    vec![
        debit("1234567", "イ）サクラカイ", 39_600, true, "202600001"),
        debit("42", "ﾐﾄﾞﾘ ﾔﾂｷﾖｸ", 13_200, false, "202600002"),
    ]
}

fn file() -> Vec<u8> {
    request(&creditor(), "2026-06-26".parse().unwrap(), &debits()).unwrap()
}

/// As the bank would send it back: each debit with this code.
fn answered(codes: &[u8]) -> Vec<u8> {
    let mut file = file();
    let (mut paid, mut unpaid) = ((0, 0), (0, 0));
    for (place, code) in codes.iter().enumerate() {
        let at = (place + 1) * (RECORD + 2);
        file[at + 111] = b'0' + code;
        let sum = if *code == 0 { &mut paid } else { &mut unpaid };
        *sum = (sum.0 + 1, sum.1 + debits()[place].yen);
    }
    let at = 3 * (RECORD + 2) + 19;
    let text = format!("{:06}{:012}{:06}{:012}", paid.0, paid.1, unpaid.0, unpaid.1);
    file[at..at + 36].copy_from_slice(text.as_bytes());
    file
}

/// F-11: every field where the bank's table has it.
#[test]
fn f_11_the_request_is_laid_out_as_printed() {
    let file = file();
    let lines: Vec<&[u8]> = file.chunks(RECORD + 2).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line.len() == RECORD + 2 && line.ends_with(b"\r\n")));
    assert_eq!(&lines[0][..14], b"19100000012345");
    assert_eq!(&lines[0][54..58], b"0626");
    assert_eq!(
        (&lines[0][58..62], &lines[0][77..80], &lines[0][95..103]),
        (&b"0147"[..], &b"001"[..], &b"17654321"[..])
    );
    let one = lines[1];
    assert_eq!((&one[..5], &one[20..23], &one[42..50]), (&b"20147"[..], &b"001"[..], &b"11234567"[..]));
    // ｲ)ｻｸﾗｶｲ in one octet each.
    assert_eq!(&one[50..58], &[0xb2, b')', 0xbb, 0xb8, 0xd7, 0xb6, 0xb2, b' ']);
    assert_eq!(&one[80..112], b"00000396001000000000002026000010");
    assert_eq!(&lines[2][42..50], b"10000042", "an old account's number has zeros before it");
    assert_eq!(lines[2][90], b'0');
    assert_eq!(&lines[3][..19], b"8000002000000052800");
    assert_eq!(lines[4][0], b'9');
}

#[test]
fn f_11_what_the_bank_did_is_read_back() {
    let settled = results("12345", &answered(&[0, 1])).unwrap();
    let told: Vec<(&str, u64, bool)> =
        settled.iter().map(|one| (one.customer.as_str(), one.yen, one.is_paid())).collect();
    assert_eq!(told, [("00000000000202600001", 39_600, true), ("00000000000202600002", 13_200, false)]);
    assert_eq!(settled[1].reason(), ("資金不足", "not enough money"));
    // Without line ends, and with the end-of-file sign of old software.
    let mut plain: Vec<u8> =
        answered(&[0, 0]).chunks(RECORD + 2).flat_map(|line| &line[..RECORD]).copied().collect();
    plain.push(0x1a);
    assert_eq!(results("12345", &plain).unwrap().len(), 2);
}

/// A file of another's, a cut one, a changed one: none of it counts, and the line is named.
#[test]
fn f_11_a_file_that_does_not_add_up_is_refused_whole() {
    let good = answered(&[0, 1]);
    let changed = |at: usize, octet: u8| {
        let mut file = good.clone();
        file[at] = octet;
        file
    };
    let second = 2 * (RECORD + 2);
    let mut twice = good.clone();
    twice.copy_within(RECORD + 2 + 91..RECORD + 2 + 111, second + 91);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("cut", good[..good.len() - 30].to_vec()),
        ("no end", good[..4 * (RECORD + 2)].to_vec()),
        ("another creditor", changed(12, b'9')),
        ("another kind", changed(1, b'2')),
        ("a letter in the sum of money", changed(RECORD + 2 + 80, b'x')),
        ("more money than the sum says", changed(RECORD + 2 + 80, b'9')),
        ("an outcome that the sum does not know", changed(second + 111, b'0')),
        ("not a debit", changed(second, b'3')),
        ("a customer twice", twice),
        ("a line end inside", changed(40, b'\n')),
        ("a page of the web", b"<html><body>sorry</body></html>".to_vec()),
    ];
    for (what, file) in cases {
        let said = results("12345", &file).unwrap_err().text();
        assert_eq!(said.code, "MM-5360", "{what}");
        // Each language in its own words; what is wrong with the whole file is at no line of it.
        assert!(
            said.en.is_ascii() && !said.ja.contains("の0行目") && !said.en.contains("line 0"),
            "{}",
            said.en
        );
    }
    let words = |file: &[u8]| {
        let said = results("12345", file).unwrap_err().text();
        (said.ja, said.en)
    };
    assert_eq!(
        words(b""),
        (
            "口座振替のファイル全体: 行が足りません。".into(),
            "The direct debit file as a whole: lines are missing.".into()
        )
    );
    assert_eq!(
        words(&changed(second, b'3')),
        (
            "口座振替のファイルの3行目: 明細の行ではありません。".into(),
            "The direct debit file, line 3: it is no debit.".into()
        )
    );
    assert!(results("12345", &good).is_ok());
}

#[test]
fn accounts_are_read_in_any_width_and_refused_by_field() {
    let read = Account::parse("０１４７", "００１", "当座", "１２３", "ふくい たろう").unwrap();
    assert_eq!((read.kind_ja(), read.number.as_str(), read.holder.as_str()), ("当座", "0000123", "ﾌｸｲ ﾀﾛｳ"));
    let long = "ア".repeat(31);
    let code = |bank, branch, kind, number, holder| {
        Account::parse(bank, branch, kind, number, holder).unwrap_err().code()
    };
    assert_eq!(code("147", "001", "普通", "1", "ア"), "MM-5358");
    assert_eq!(code("0147", "0001", "普通", "1", "ア"), "MM-5358");
    assert_eq!(code("0147", "001", "定期", "1", "ア"), "MM-5358");
    assert_eq!(code("0147", "001", "普通", "12345678", "ア"), "MM-5358");
    assert_eq!(code("0147", "001", "普通", "1", &long), "MM-5358");
    assert_eq!(code("0147", "001", "普通", "1", "福井太郎"), "MM-5357");
    let said = Account::parse("147", "001", "普通", "1", "ア").unwrap_err().text();
    assert_eq!(said.en, "The account's bank (4 digits) is not right.");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever a bank, or somebody in its name, sends: an answer, and no octet more than there is.
    #[test]
    fn any_file_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = results("12345", &bytes);
    }

    /// One octet changed anywhere outside names and blanks is never taken for another payment.
    #[test]
    fn a_changed_octet_never_pays_more(at in 0usize..610, octet in any::<u8>()) {
        let mut file = answered(&[0, 1]);
        file[at] = octet;
        if let Ok(settled) = results("12345", &file) {
            let paid: u64 = settled.iter().filter(|one| one.is_paid()).map(|one| one.yen).sum();
            prop_assert_eq!(paid, 39_600);
        }
    }
}
