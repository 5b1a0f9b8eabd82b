//! Issue 7, mail: what is judged of each record.

use super::*;

/// Issue 7: told 90, 30 and 7 days ahead, to the day.
#[test]
fn a_mail_certificate_is_replaced_before_it_ends() {
    let seen = MailSignature {
        address: "a@care.example.jp".into(),
        issuer: "CN=CA".into(),
        not_after: 1_800_000_000,
    };
    let at = |days: i64| signature(&seen, seen.not_after - days * DAY_S);
    for (days, verdict, word) in [
        (91, Verdict::Good, "期限まで91日"),
        (90, Verdict::Unknown, "申し込んで"),
        (31, Verdict::Unknown, "期限まで31日"),
        (30, Verdict::Bad, "早めに"),
        (8, Verdict::Bad, "期限まで8日"),
        (7, Verdict::Bad, "今すぐ"),
        (0, Verdict::Bad, "期限まで0日"),
        (-1, Verdict::Bad, "署名せずに"),
    ] {
        let finding = at(days);
        assert!(finding.verdict == verdict && finding.ja.contains(word), "{days}: {finding:?}");
        assert!(finding.seen.contains("2027年1月15日"), "{finding:?}");
    }
}

fn expected() -> Expected {
    Expected {
        zone: "mimamori.example.jp".into(),
        from: "office@mimamori.example.jp".into(),
        smarthost: "smtp.example.jp".into(),
        dkim_name: "mimamori._domainkey.mimamori.example.jp".into(),
        dkim_value: "v=DKIM1; k=rsa; p=QUJD".into(),
    }
}

fn good() -> Seen {
    let address: IpAddr = "192.0.2.25".parse().unwrap();
    let got = |text: &str| Asked::Got(vec![text.to_owned()]);
    Seen {
        spf: got("v=spf1 a:smtp.example.jp -all"),
        dkim: got("v=DKIM1; h=sha256; k=rsa; p=QU JD"),
        dmarc: got("v=DMARC1; p=reject; adkim=s"),
        dmarc_above: vec![Asked::Nothing],
        addresses: Asked::Got(vec![address]),
        names: BTreeMap::from([(address, got("smtp.example.jp"))]),
        back: BTreeMap::from([("smtp.example.jp".to_owned(), vec![address])]),
    }
}

fn verdicts(seen: &Seen) -> Vec<(String, Verdict)> {
    judge(&expected(), seen).into_iter().map(|finding| (finding.check, finding.verdict)).collect()
}

fn of(seen: &Seen, check: &str) -> Verdict {
    verdicts(seen).into_iter().find(|(name, _)| name == check).unwrap().1
}

#[test]
fn what_we_ask_to_publish_is_good() {
    assert!(
        verdicts(&good()).iter().all(|(_, verdict)| *verdict == Verdict::Good),
        "{:?}",
        verdicts(&good())
    );
}

#[test]
fn each_fault_is_found_by_its_check() {
    use Verdict::{Bad, Good, Unknown};
    let spf = |text: &str| Seen { spf: Asked::Got(vec![text.to_owned()]), ..good() };
    for (text, verdict) in [
        ("v=spf1 ip4:192.0.2.0/24 ~all", Good),
        ("v=spf1 ip4:192.0.2.25 -all", Good),
        ("v=spf1 a:smtp.example.jp +all", Bad),
        ("v=spf1 a:smtp.example.jp", Bad),
        ("v=spf1 ip4:198.51.100.0/24 -all", Bad),
        ("v=spf1 ip4:192.0.2.25/99 -all", Bad),
        ("v=spf1 ip6:::/0 -all", Bad),
        ("v=spf1 include:_spf.provider.example -all", Unknown),
        ("v=spf1 redirect=_spf.provider.example", Unknown),
        ("v=spf1 mx -all", Unknown),
        ("v=spf1 ip4:198.51.100.25 exp=mx.example.jp -all", Bad),
        ("v=spf10 a:smtp.example.jp -all", Bad),
    ] {
        assert_eq!(of(&spf(text), "spf"), verdict, "{text}");
    }
    let twice = Asked::Got(vec!["v=spf1 a:smtp.example.jp -all".into(), "v=spf1 -all".into()]);
    assert_eq!(of(&Seen { spf: twice, ..good() }, "spf"), Bad);
    let other = |text: &str| Seen { dkim: Asked::Got(vec![text.to_owned()]), ..good() };
    for text in ["v=DKIM1; p=WFla", "v=DKIM1; p=", "v=DKIM1; t=s : y; p=QUJD", "unrelated"] {
        assert_eq!(of(&other(text), "dkim"), Bad, "{text}");
    }
    for text in ["v=DMARC1; p=none", "v=DMARC1", "p=reject"] {
        assert_eq!(of(&Seen { dmarc: Asked::Got(vec![text.into()]), ..good() }, "dmarc"), Bad, "{text}");
    }
    assert_eq!(of(&Seen { names: BTreeMap::new(), ..good() }, "ptr"), Bad);
    assert_eq!(of(&Seen { back: BTreeMap::new(), ..good() }, "ptr"), Bad);
    assert_eq!(of(&Seen { addresses: Asked::Nothing, ..good() }, "address"), Bad);
    let away = Seen { dkim: Asked::Silent("timeout".into()), ..good() };
    assert_eq!(of(&away, "dkim"), Verdict::Silent);
    assert_eq!(of(&Seen { dmarc: Asked::Nothing, ..good() }, "dmarc"), Bad);
}

/// A free-mail From is refused whatever the DNS says; the zone above lends its policy.
#[test]
fn from_is_ours_and_a_policy_above_counts() {
    for (from, verdict) in [
        ("office@mimamori.example.jp", Verdict::Good),
        ("office@MIMAMORI.example.jp", Verdict::Good),
        ("fukui.mimamori@gmail.com", Verdict::Bad),
        ("office@example.jp", Verdict::Bad),
        ("office", Verdict::Bad),
    ] {
        let expected = Expected { from: from.into(), ..expected() };
        assert_eq!(judge(&expected, &good())[0].verdict, verdict, "{from}");
    }
    let above = |text: &str| Seen {
        dmarc: Asked::Nothing,
        dmarc_above: vec![Asked::Nothing, Asked::Got(vec![text.to_owned()])],
        ..good()
    };
    assert_eq!(of(&above("v=DMARC1; p=none; sp=reject"), "dmarc"), Verdict::Good);
    assert_eq!(of(&above("v=DMARC1; p=reject; sp=none"), "dmarc"), Verdict::Bad);
    assert_eq!(of(&above("v=DMARC1;p=quarantine"), "dmarc"), Verdict::Good);
}

/// What a stranger's record says moves no terminal.
#[test]
fn a_strangers_record_is_shown_without_controls() {
    let seen = Seen { dkim: Asked::Got(vec![format!("\x1b[2J{}", "x".repeat(5_000))]), ..good() };
    let shown = judge(&expected(), &seen).into_iter().find(|it| it.check == "dkim").unwrap().seen;
    assert!(!shown.contains('\x1b') && shown.chars().count() <= SEEN_MAX);
}
