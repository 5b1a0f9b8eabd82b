//! Registers that somebody made to harm, that contradict what is known, and imports that are killed: nothing is half done,
//! nothing is there twice, and what has begun is not taken back (issue 7).

use std::io::{Cursor, Write};

use provisioning::door::{ImportReport, ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_register::RegisterQuestion;
use provisioning::door_takeover::TakeoverQuestion;
use provisioning::takeover_book::{self, Rows};
use serde_json::json;

use super::takeover::{FACILITIES, SLOTS, STAFF, book, of, registers};
use super::town::{Town, slot};
use super::world::operator;

const KIND: &str = "居宅介護支援事業所";

/// So many facilities, each with two people and two numbers.
fn many(count: u32) -> Vec<u8> {
    let mut rows = Rows::default();
    let cells = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    for n in 0..count {
        let code = format!("18701{n:05}");
        let admin = format!("kanri{n}@care.example.jp");
        rows.facilities.push(cells(&[
            &code,
            &format!("事業所{n}"),
            KIND,
            "福井市大手1丁目",
            "0776-20-0001",
            "福井 一郎",
            "髙﨑 花子",
            &admin,
            "2",
            "不参加",
            "2024/4/1",
            "ｼﾞｷﾞｮｳｼｮ",
        ]));
        for who in ["taro", "hanako"] {
            let address = format!("{who}{n}@care.example.jp");
            rows.staff.push(cells(&[
                &code,
                KIND,
                "𠮷川 葛子",
                "",
                "看護師",
                &address,
                "2024/2/15",
                "",
                "2025/6/1",
                "",
            ]));
        }
        for place in 0..2 {
            rows.slots.push(cells(&[&code, KIND, &format!("18-{:04}", 100 + 2 * n + place), ""]));
        }
        rows.paid.push(cells(&[&code, KIND, "2025"]));
    }
    takeover_book::filled(&rows).unwrap()
}

fn found(report: &ImportReport) -> Vec<(&str, &str, &str)> {
    let mut found: Vec<_> = report
        .faults
        .iter()
        .map(|it| {
            (
                it.sheet.as_deref().unwrap_or_default(),
                it.cell.as_deref().unwrap_or_default(),
                it.code.as_str(),
            )
        })
        .collect();
    found.sort_unstable();
    found
}

/// Facilities that are not whole: an admin and two people, two numbers, two pledges, two trainings, a paid year.
const HALVES: &str = "SELECT count(*) FROM takeover t
     WHERE (SELECT count(*) FROM membership m WHERE m.facility = t.facility) <> 3
        OR (SELECT count(*) FROM slot s WHERE s.facility = t.facility) <> 2
        OR (SELECT count(*) FROM pledge g WHERE g.facility = t.facility) <> 2
        OR (SELECT count(*) FROM training r WHERE r.facility = t.facility) <> 2
        OR (SELECT count(*) FROM paid_elsewhere p WHERE p.facility = t.facility) <> 1
        OR (SELECT count(*) FROM facility f WHERE f.facility = t.facility) <> 1";

/// Killed between two facilities, whichever: each is whole or not there, and the same file brings the rest, once.
#[tokio::test]
async fn a_killed_import_goes_on_with_the_same_file() {
    let mut town = Town::new().await;
    let bytes = many(60);
    let (room, killed) = (town.room(), bytes.clone());
    let import = TakeoverQuestion::Import { bytes: killed, dry_run: false };
    town.begin(async move { room.operator(ProvisioningQuestion::Takeover(import), operator()).await });
    town.until("some have come over", async || town.number("SELECT count(*) FROM takeover").await >= 3).await;
    town.crash();
    assert_eq!(town.number(HALVES).await, 0);
    town.start().await;
    // The killed one's last commit may still be on its way: then the next try finds it there.
    town.until("the rest has come over", async || {
        let report = town.take_over(bytes.clone(), false).await;
        report.faults.is_empty() && report.new + report.known == 60
    })
    .await;
    assert_eq!(town.number(HALVES).await, 0);
    for (count, wanted) in [
        ("SELECT count(*) FROM takeover", 60),
        ("SELECT count(*) FROM takeover_person WHERE registered = 1", 180),
        ("SELECT count(*) FROM slot WHERE state = 'allotted'", 120),
        ("SELECT count(*) FROM audit WHERE action = 'takeover.take'", 60),
    ] {
        assert_eq!(town.number(count).await, wanted, "{count}");
    }
    let again = town.take_over(bytes, false).await;
    assert_eq!((again.new, again.known, again.cases.len()), (0, 60, 0));
}

/// How long it takes is printed, not judged: a busy machine would make it lie.
#[tokio::test]
async fn hundreds_of_facilities_come_over_from_one_workbook() {
    let town = Town::new().await;
    let bytes = many(300);
    let size = bytes.len() / 1024;
    let begun = std::time::Instant::now();
    let report = town.take_over(bytes, false).await;
    eprintln!("300 facilities, {size} KiB, {:?}", begun.elapsed());
    assert_eq!((report.new, &report.faults), (300, &vec![]));
    assert_eq!(town.number(HALVES).await, 0);
}

/// Files that harm: refused whole, by their own reason, and nothing is written.
#[tokio::test]
async fn hostile_files_are_refused_whole() {
    let town = Town::new().await;
    town.settled().await;
    let before = town.counted().await;
    let mut macros = zip::ZipWriter::new_append(Cursor::new(registers())).unwrap();
    macros.start_file("xl/vbaProject.bin", zip::write::SimpleFileOptions::default()).unwrap();
    macros.write_all(b"x").unwrap();
    let mut bomb = zip::ZipWriter::new_append(Cursor::new(registers())).unwrap();
    bomb.start_file("xl/media/image1.png", zip::write::SimpleFileOptions::default()).unwrap();
    for _ in 0..100 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let cut = registers();
    for (bytes, code) in [
        (macros.finish().unwrap().into_inner(), "MM-5116"),
        (bomb.finish().unwrap().into_inner(), "MM-5102"),
        (vec![b'a'; 100 << 20], "MM-5102"),
        (cut[..cut.len() / 2].to_vec(), "MM-5104"),
        (b"%PDF-1.7".to_vec(), "MM-5110"),
        (vec![], "MM-5101"),
    ] {
        let refused = town.taking(TakeoverQuestion::Import { bytes, dry_run: false }).await.unwrap_err();
        assert_eq!(refused, code);
    }
    assert_eq!(town.counted().await, before);
}

/// G-03, P-25: an admin's address is no user's and a user's is no admin's, however it is written; a user's is one person's.
#[tokio::test]
async fn g_03_an_address_is_one_persons_whatever_its_width_and_case() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let person = json!({ "login": "Hana@clinic.example", "name": "髙﨑 花", "profession": "看護師", "pledge_date": "2026-04-01" });
    assert_eq!(
        town.call(&admin, "POST", "/api/people", Some(person)).await.status,
        http::StatusCode::CREATED
    );
    let taken =
        sqlx::query_scalar("SELECT written FROM address WHERE person = $1").bind(admin.person.as_str());
    let taken: String = taken.fetch_one(&town.registry().await).await.unwrap();
    town.settled().await;
    let before = town.counted().await;
    let (wide, shout) = ("ＨＡＮＡ＠ｃｌｉｎｉｃ．ｅｘａｍｐｌｅ", taken.to_uppercase());
    let of_staff = |address: &str| {
        let staff = STAFF.replace("taro@care.example.jp", address);
        book(&[("様式1", FACILITIES), ("職員", &staff), ("VPN番号", SLOTS)])
    };
    let of_admin = |address: &str| {
        let facilities = FACILITIES.replace("kanri@care.example.jp", address);
        book(&[("様式1", &facilities), ("VPN番号", SLOTS)])
    };
    for (bytes, cell, code) in [
        (of_admin(wide), ("様式1", "H2"), "MM-5234"),
        (of_admin(&shout), ("様式1", "H2"), "MM-5233"),
        (of_staff(&shout), ("職員", "F2"), "MM-5233"),
        (of_staff("ＫＡＮＲＩ＠sakura.example.jp"), ("職員", "F2"), "MM-5233"),
        // 山田 太郎 is not 髙﨑 花.
        (of_staff(wide), ("職員", "F2"), "MM-5948"),
    ] {
        for dry_run in [true, false] {
            let report = town.take_over(bytes.clone(), dry_run).await;
            assert_eq!(found(&report), [(cell.0, cell.1, code)]);
        }
    }
    assert_eq!(town.counted().await, before);
    // The same person under another shape of the name is the same person, and keeps the name.
    let staff = STAFF.replace("taro@care.example.jp", wide).replace("山田 太郎", "高崎　花");
    let report = town.take_over(book(&[("様式1", FACILITIES), ("職員", &staff)]), false).await;
    assert_eq!((report.new, &report.faults), (2, &vec![]));
    assert_eq!(town.text("SELECT name FROM person WHERE login = 'hana@clinic.example'").await, "髙﨑 花");
    let memberships = "SELECT count(*) FROM membership m JOIN person p ON p.person = m.person WHERE p.login = 'hana@clinic.example'";
    assert_eq!(town.number(memberships).await, 2);
}

/// I-05: a number that is held, reserved or cooling is nobody's, and one number has one place.
#[tokio::test]
async fn i_05_a_number_has_one_place() {
    let town = Town::new().await;
    let (_, held) = town.facilities(1).await.remove(0);
    town.execute(
        "INSERT INTO slot (slot, series, number, state, generation, cooling_until, grants_version)
         VALUES ('18-0777', '18', 777, 'cooling', 1, 4102444800000, 0)",
    )
    .await;
    town.settled().await;
    let before = town.counted().await;
    for (number, cells) in [
        (held.to_string(), vec![("VPN番号", "C2", "MM-5942")]),
        ("18-0000".to_owned(), vec![("VPN番号", "C2", "MM-5942")]),
        ("18-0777".to_owned(), vec![("VPN番号", "C2", "MM-5949")]),
        ("19-0042".to_owned(), vec![("VPN番号", "C2", "MM-5946")]),
        ("18-0120".to_owned(), vec![("VPN番号", "C4", "MM-5942")]),
        ("18-99999".to_owned(), vec![("VPN番号", "C2", "MM-5946")]),
    ] {
        let slots = SLOTS.replace("18-0042", &number);
        for dry_run in [true, false] {
            let report = town.take_over(book(&[("様式1", FACILITIES), ("VPN番号", &slots)]), dry_run).await;
            assert_eq!(found(&report), cells, "{number}");
        }
    }
    assert_eq!(town.counted().await, before);
    town.execute("UPDATE slot SET cooling_until = 1 WHERE slot = '18-0777'").await;
    let slots = SLOTS.replace("18-0042", "18-0777");
    let report = town.take_over(book(&[("様式1", FACILITIES), ("VPN番号", &slots)]), false).await;
    assert_eq!((report.new, &report.faults), (2, &vec![]), "what has cooled may be had");
}

/// Names stay as they were typed, on either engine: 髙﨑, 𠮷, and the selector that chooses the shape of 葛.
#[tokio::test]
async fn names_stay_as_they_were_typed() {
    let town = Town::new().await;
    let name = "𠮷川 葛\u{e0100}子";
    let facilities = FACILITIES.replace("福井 花子", "髙﨑　花子").replace("ケアプランふくい", "ｹｱﾌﾟﾗﾝ髙﨑");
    let staff = STAFF.replace("山田 太郎", name).replace("やまだ たろう", "ﾖｼｶﾜ ｶﾂｺ");
    let report = town.take_over(book(&[("様式1", &facilities), ("職員", &staff)]), false).await;
    assert_eq!((report.new, &report.faults), (2, &vec![]));
    for (query, wanted) in [
        ("SELECT name FROM person WHERE login = 'taro@care.example.jp'", name),
        ("SELECT kana FROM person WHERE login = 'taro@care.example.jp'", "ﾖｼｶﾜ ｶﾂｺ"),
        ("SELECT name FROM person WHERE login = 'kanri@care.example.jp'", "髙﨑　花子"),
        ("SELECT name FROM facility WHERE code = '1870100128'", "ｹｱﾌﾟﾗﾝ髙﨑"),
    ] {
        assert_eq!(town.text(query).await, wanted);
    }
}

/// Whatever has been done with it since keeps it; what has not goes without a trace of it, and leaves others alone.
#[tokio::test]
async fn what_has_begun_is_not_taken_back() {
    let town = Town::new().await;
    town.take_over(registers(), false).await;
    let lines = town.lines(TakeoverQuestion::List).await.unwrap();
    let (care, sakura) = (of(&lines, "ケアプランふくい").clone(), of(&lines, "訪問看護さくら").clone());
    assert_eq!((care.people, sakura.people), (3, 2));
    let person = sqlx::query_scalar("SELECT person FROM person WHERE login = 'taro@care.example.jp'");
    let person: String = person.fetch_one(&town.registry().await).await.unwrap();
    let note = RegisterQuestion::Training {
        people: vec![person.parse().unwrap()],
        kind: "briefing".into(),
        held_on: "2026-01-10".into(),
        dry_run: false,
    };
    town.ask(ProvisioningQuestion::Register(note)).await;
    // The clock may say the same millisecond twice.
    town.execute("UPDATE training SET noted_at = noted_at + 1 WHERE kind = 'briefing'").await;
    for dry_run in [true, false] {
        assert_eq!(town.undo(&care, dry_run).await, Err("MM-5944".to_owned()), "a training was noted since");
    }
    town.execute("DELETE FROM training WHERE kind = 'briefing'").await;
    town.execute("UPDATE person SET password_hash = 'x' WHERE login = 'taro@care.example.jp'").await;
    assert_eq!(town.undo(&care, false).await, Err("MM-5944".to_owned()), "somebody signs in");
    town.execute("UPDATE person SET password_hash = NULL WHERE login = 'taro@care.example.jp'").await;
    town.execute("UPDATE slot SET state = 'issued' WHERE slot = '18-0043'").await;
    assert_eq!(town.undo(&care, false).await, Err("MM-5944".to_owned()), "a number is in use");
    town.execute("UPDATE slot SET state = 'allotted' WHERE slot = '18-0043'").await;
    town.undo(&care, false).await.unwrap();
    assert_eq!(town.undo(&care, false).await, Err("MM-5943".to_owned()), "once");
    let gone =
        "SELECT count(*) FROM address WHERE folded IN ('taro@care.example.jp', 'kanri@care.example.jp')";
    assert_eq!(town.number(gone).await, 0);
    assert_eq!(town.number("SELECT count(*) FROM person WHERE login = 'jiro@care.example.jp'").await, 1);
    assert_eq!(town.text("SELECT state FROM slot WHERE slot = '18-0042'").await, "free");
    assert_eq!(of(&town.lines(TakeoverQuestion::List).await.unwrap(), &sakura.name).slots, [slot("18-0120")]);
    match town.ask(ProvisioningQuestion::AuditVerify).await {
        ProvisioningAnswer::AuditVerified { .. } => {}
        other => panic!("{other:?}"),
    }
}
