//! Issue 7, taking over: a workbook of registers becomes facilities with all that belongs to them, or nothing at all; once;
//! with a rehearsal, a way back, and a start after which the first device enrols.

use std::collections::BTreeMap;

use http::StatusCode;
use pki::identity::FacilityId;
use provisioning::door::{ImportReport, ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_fee::{FeeAnswer, FeeQuestion};
use provisioning::door_takeover::{TakeoverLine, TakeoverQuestion};
use rust_xlsxwriter::Workbook;

use super::town::{Town, slot};

pub const FACILITIES: &str = "事業所番号,事業所名,種別,所在地,電話番号,代表者名,施設内管理者名,管理画面ログイン用メールアドレス,VPN申請数,ふくいメディカルネット参加,受付日\n\
    1870100128,ケアプランふくい,居宅介護支援事業所,910-0001 福井市大手1丁目,0776-20-0001,福井 一郎,福井 花子,kanri@care.example.jp,2,不参加,2024/4/1\n\
    1860100137,訪問看護さくら,訪問看護ステーション,910-0002 福井市大手2丁目,0776-20-0002,桜 一郎,桜 花子,kanri@sakura.example.jp,1,不参加,2024/5/1\n";
pub const STAFF: &str = "事業所番号,種別,氏名,ふりがな,職種,メールアドレス,誓約書取得日,研修受講日,備考\n\
    1870100128,居宅介護支援事業所,山田 太郎,やまだ たろう,看護師,taro@care.example.jp,R6.2.15,2025/6/1,常勤\n\
    1870100128,居宅介護支援事業所,川田 次郎,,介護支援専門員,jiro@care.example.jp,2024/3/1,,\n\
    1860100137,訪問看護ステーション,川田 次郎,,看護師,jiro@care.example.jp,2024/3/1,,\n";
pub const SLOTS: &str = "事業所番号,種別,VPN番号,Web会議\n\
    1870100128,居宅介護支援事業所,18-0042,\n1870100128,居宅介護支援事業所,18-0043,○\n1860100137,訪問看護ステーション,１８－０１２０,\n";
const PAID: &str = "事業所番号,種別,納付済み年度\n1870100128,居宅介護支援事業所,\"2024、令和7年度\"\n";

/// A workbook of these sheets; the registers have no cell with a comma in it but the last.
pub fn book(sheets: &[(&str, &str)]) -> Vec<u8> {
    let mut book = Workbook::new();
    for (name, text) in sheets {
        let sheet = book.add_worksheet();
        sheet.set_name(*name).unwrap();
        for (row, line) in text.lines().enumerate() {
            for (place, cell) in line.split(',').enumerate() {
                let (row, place) = (u32::try_from(row).unwrap(), u16::try_from(place).unwrap());
                sheet.write_string(row, place, cell.trim_matches('"')).unwrap();
            }
        }
    }
    book.save_to_buffer().unwrap()
}

pub fn registers() -> Vec<u8> {
    book(&[("様式1", FACILITIES), ("職員", STAFF), ("VPN番号", SLOTS), ("納付", PAID)])
}

const COUNTS: [(&str, &str); 11] = [
    ("facility", "SELECT count(*) FROM facility"),
    ("person", "SELECT count(*) FROM person"),
    ("address", "SELECT count(*) FROM address"),
    ("membership", "SELECT count(*) FROM membership"),
    ("slot", "SELECT count(*) FROM slot WHERE state <> 'free'"),
    ("pledge", "SELECT count(*) FROM pledge"),
    ("training", "SELECT count(*) FROM training"),
    ("paid", "SELECT count(*) FROM paid_elsewhere"),
    ("takeover", "SELECT count(*) FROM takeover WHERE state <> 'undone'"),
    ("outbox", "SELECT count(*) FROM outbox"),
    ("device", "SELECT count(*) FROM device"),
];

impl Town {
    pub async fn taking(&self, question: TakeoverQuestion) -> Result<ProvisioningAnswer, String> {
        match self.ask(ProvisioningQuestion::Takeover(question)).await {
            ProvisioningAnswer::Trouble(trouble) => Err(trouble.code),
            answer => Ok(answer),
        }
    }

    pub async fn take_over(&self, bytes: Vec<u8>, dry_run: bool) -> ImportReport {
        match self.taking(TakeoverQuestion::Import { bytes, dry_run }).await.unwrap() {
            ProvisioningAnswer::Import(report) => report,
            other => panic!("{other:?}"),
        }
    }

    pub async fn lines(&self, question: TakeoverQuestion) -> Result<Vec<TakeoverLine>, String> {
        match self.taking(question).await? {
            ProvisioningAnswer::Takeovers(lines) => Ok(lines),
            other => panic!("{other:?}"),
        }
    }

    pub async fn undo(&self, line: &TakeoverLine, dry_run: bool) -> Result<Vec<TakeoverLine>, String> {
        let (batch, facility) = (line.batch.clone(), line.facility.clone());
        self.lines(TakeoverQuestion::Undo { batch, facility, dry_run }).await
    }

    async fn begin_with(
        &self,
        batch: &str,
        facility: Option<&FacilityId>,
        dry_run: bool,
    ) -> Result<Vec<TakeoverLine>, String> {
        let (batch, facility) = (batch.to_owned(), facility.cloned());
        self.lines(TakeoverQuestion::Start { batch, facility, dry_run }).await
    }

    pub async fn counted(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::new();
        for (table, count) in COUNTS {
            counts.insert(table, self.number(count).await);
        }
        counts
    }
}

pub fn of<'a>(lines: &'a [TakeoverLine], name: &str) -> &'a TakeoverLine {
    lines.iter().find(|line| line.name == name && line.state != "undone").unwrap()
}

#[tokio::test]
async fn g_08_registers_come_over_once_with_numbers_pledges_trainings_and_paid_years() {
    let town = Town::new().await;
    town.settled().await;
    let before = town.counted().await;
    let rehearsed = town.take_over(registers(), true).await;
    assert_eq!((rehearsed.new, rehearsed.known, &rehearsed.faults), (2, 0, &vec![]));
    assert_eq!(town.counted().await, before, "a rehearsal writes nothing");

    let report = town.take_over(registers(), false).await;
    assert_eq!((report.new, report.known, report.cases.len(), &report.faults), (2, 0, 1, &vec![]));
    let after = town.counted().await;
    let more = |table: &str| after[table] - before[table];
    let found = ["facility", "person", "membership", "slot", "pledge", "training", "paid"].map(more);
    assert_eq!(found, [2, 4, 5, 3, 3, 1, 2], "two admins and two people, one of them at both (P-25)");
    assert_eq!(more("outbox") + more("device"), 0, "nothing leaves by it");
    let lines = town.lines(TakeoverQuestion::List).await.unwrap();
    assert_eq!(
        of(&lines, "ケアプランふくい").slots,
        [slot("18-0042"), slot("18-0043")],
        "VPN番号 kept (I-05)"
    );
    assert_eq!(of(&lines, "訪問看護さくら").slots, [slot("18-0120")]);
    let pledged = "SELECT on_day FROM pledge g JOIN person p ON p.person = g.person WHERE p.login = 'taro@care.example.jp'";
    assert_eq!(town.text(pledged).await, "2024-02-15", "H-17");

    let again = town.take_over(registers(), false).await;
    assert_eq!((again.new, again.known, again.cases.len(), &again.faults), (0, 2, 0, &vec![]));
    assert_eq!(town.counted().await, after, "the same once more changes nothing");
    let changed = book(&[("様式1", FACILITIES), ("職員", ""), ("VPN番号", SLOTS)]);
    let refused = town.take_over(changed, false).await;
    assert!(
        refused.faults.iter().any(|fault| fault.code == "MM-5216"),
        "another truth is refused: {:?}",
        refused.faults
    );
    assert_eq!(town.counted().await, after);
}

/// F: a year that was paid elsewhere is not asked for once more.
#[tokio::test]
async fn f_paid_years_are_not_invoiced_again() {
    let town = Town::new().await;
    town.take_over(registers(), false).await;
    town.ask(ProvisioningQuestion::Fee(FeeQuestion::Set {
        name: "issuer-number".into(),
        value: "T1234567890123".into(),
        dry_run: false,
    }))
    .await;
    for (fiscal_year, invoices) in [(2025, 1), (2026, 2)] {
        let question = FeeQuestion::Run { fiscal_year, dry_run: true };
        match town.ask(ProvisioningQuestion::Fee(question)).await {
            ProvisioningAnswer::Fee(FeeAnswer::Run(run)) => {
                assert_eq!(run.invoices, invoices, "{fiscal_year}: {run:?}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn one_facility_is_taken_back_and_may_come_again() {
    let town = Town::new().await;
    town.settled().await;
    let before = town.counted().await;
    town.take_over(registers(), false).await;
    let whole = town.counted().await;
    let lines = town.lines(TakeoverQuestion::List).await.unwrap();
    let one = of(&lines, "ケアプランふくい").clone();
    town.undo(&one, true).await.unwrap();
    assert_eq!(town.counted().await, whole, "a rehearsal takes nothing back");
    town.undo(&one, false).await.unwrap();
    let left = town.counted().await;
    assert_eq!(left["person"], whole["person"] - 2, "who is at the other facility, too, stays");
    assert_eq!((left["facility"], left["slot"]), (whole["facility"] - 1, whole["slot"] - 2));
    assert_eq!(town.undo(&one, false).await, Err("MM-5943".to_owned()), "once");
    let report = town.take_over(registers(), false).await;
    assert_eq!((report.new, report.known, &report.faults), (1, 1, &vec![]));
    assert_eq!(town.counted().await, whole);
    for line in town.lines(TakeoverQuestion::List).await.unwrap().iter().filter(|line| line.state == "taken")
    {
        town.undo(line, false).await.unwrap();
    }
    assert_eq!(town.counted().await, before, "nothing of it is left");
}

/// Bad input: each fault at its cell, and nothing half done.
#[tokio::test]
async fn what_is_wrong_is_named_at_its_cell_and_nothing_is_written() {
    let town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    town.settled().await;
    let before = town.counted().await;
    let staff = STAFF
        .replace("R6.2.15", "2099/1/1")
        .replace("jiro@care.example.jp,2024/3/1,,\n1860", "KANRI@care.example.jp,2024/3/1,,\n1860");
    let slots = SLOTS.replace("18-0042", &place.to_string()).replace("18-0043", "0043");
    let paid = PAID.replace("令和7年度", "昔");
    let books = [
        book(&[("様式1", FACILITIES), ("職員", &staff), ("VPN番号", &slots), ("納付", &paid)]),
        book(&[("様式1", FACILITIES), ("職員", "事業所番号,種別\nx,y\n")]),
    ];
    for dry_run in [true, false] {
        let report = town.take_over(books[0].clone(), dry_run).await;
        let mut found: Vec<(String, String, String)> = report
            .faults
            .into_iter()
            .map(|fault| (fault.sheet.unwrap_or_default(), fault.cell.unwrap_or_default(), fault.code))
            .collect();
        found.sort();
        let wanted = [
            ("VPN番号", "C2", "MM-5942"),
            ("VPN番号", "C3", "MM-5946"),
            ("納付", "C2", "MM-5945"),
            ("職員", "F3", "MM-5233"),
            ("職員", "G2", "MM-5271"),
        ];
        let wanted: Vec<(String, String, String)> = wanted
            .iter()
            .map(|(sheet, cell, code)| ((*sheet).into(), (*cell).into(), (*code).into()))
            .collect();
        assert_eq!(found, wanted);
        let missing = town.take_over(books[1].clone(), dry_run).await;
        assert!(missing.faults.iter().all(|fault| fault.code == "MM-5112"), "{:?}", missing.faults);
        assert_eq!(town.counted().await, before, "all or nothing");
    }
}

/// What was taken over is of use: bundle and sheet for its first number, the claim, and then no way back.
#[tokio::test]
async fn c_12_a_facility_that_was_taken_over_starts_and_its_first_device_enrols() {
    let town = Town::new().await;
    let report = town.take_over(registers(), false).await;
    let batch = report.cases[0].clone();
    town.settled().await;
    let before = town.counted().await;
    let lines = town.begin_with(&batch, None, true).await.unwrap();
    assert!(lines.iter().all(|line| line.state == "taken"));
    assert_eq!(town.counted().await, before, "a rehearsal issues nothing");

    let one = of(&lines, "ケアプランふくい").clone();
    let lines = town.begin_with(&batch, Some(&one.facility), false).await.unwrap();
    assert_eq!(
        (of(&lines, &one.name).state.as_str(), of(&lines, "訪問看護さくら").state.as_str()),
        ("started", "taken")
    );
    assert_eq!(town.begin_with(&batch, Some(&one.facility), false).await, Err("MM-5943".to_owned()), "once");
    let place = slot("18-0042");
    town.until("seated", async || town.around.vpn.seat(place, true).is_some()).await;
    town.around.vpn.handshake(place, true, "192.0.2.1:5000");
    let answer = town.claim(place, town.claim_body(place, 7).await).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["login"], "kanri@care.example.jp");
    assert_eq!(town.undo(&one, false).await, Err("MM-5944".to_owned()), "it has begun");

    let lines = town.begin_with(&batch, None, false).await.unwrap();
    assert!(lines.iter().all(|line| line.state == "started"), "the rest of the batch at once");
    assert_eq!(town.begin_with("t-2026-99999", None, false).await, Err("MM-5943".to_owned()));
}
