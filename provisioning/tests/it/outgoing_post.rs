//! 発送 and 返戻: two envelopes that never travel together, runs that survive a kill, secrets that are printed once, and
//! post that comes back (D-00, P-05, E-12a).

use std::process::Command;

use http::StatusCode;
use provisioning::door::{
    AcceptedCase, CaseChoice, CaseDetail, ProvisioningAnswer, ProvisioningQuestion, Trouble,
};
use provisioning::door_post::{
    Channel, ItemLine, Lane, PostAnswer, PostQuestion, Remedy, ReturnReason, RunDetail, WaitingLine,
};

use super::pages::{get, kept, location, send};
use super::town::{OWN_PASSWORD, Town};

const FORMS: &str = "事業所番号,事業所名,種別,所在地,電話番号,代表者名,施設内管理者名,管理画面ログイン用メールアドレス,VPN申請数,ふくいメディカルネット参加\n\
    1810112011,髙﨑𠮷医院,医科,〒910-0005 福井県福井市大手9-1-12,0776-00-1201,桜井 健一,𠮷田 由美,kanri@sakura.example.jp,1,不参加\n\
    9900000017,田中家,患者・家族事業所,〒916-0022 福井県鯖江市西山町13-1,0778-00-1717,田中 花,田中 花,tanaka-hana01,0,不参加\n";

/// Two facilities on paper.
async fn scene(town: &Town) -> Vec<AcceptedCase> {
    let question = ProvisioningQuestion::FacilityImport {
        file_name: "様式1.csv".into(),
        bytes: FORMS.as_bytes().to_vec(),
        dry_run: false,
    };
    let ProvisioningAnswer::Import(report) = town.ask(question).await else { panic!("not imported") };
    let mut accepted = vec![];
    for case in report.cases {
        let delivery = Channel::TwoEnvelopes;
        ask(town, PostQuestion::CaseDelivery { case: case.clone(), delivery, dry_run: false }).await.unwrap();
        let question = ProvisioningQuestion::CaseAccept { case: CaseChoice::One(case), dry_run: false };
        let ProvisioningAnswer::Accepted(mut done) = town.ask(question).await else { panic!("not accepted") };
        accepted.push(done.accepted.remove(0));
    }
    town.settled().await;
    accepted
}

async fn ask(town: &Town, question: PostQuestion) -> Result<PostAnswer, Trouble> {
    match town.ask(ProvisioningQuestion::Post(question)).await {
        ProvisioningAnswer::Post(answer) => Ok(answer),
        ProvisioningAnswer::Trouble(trouble) => Err(trouble),
        other => panic!("{other:?}"),
    }
}

async fn file(town: &Town, question: PostQuestion) -> Result<Vec<u8>, String> {
    match town.ask(ProvisioningQuestion::Post(question)).await {
        ProvisioningAnswer::File { bytes, .. } => Ok(bytes),
        ProvisioningAnswer::Trouble(trouble) => Err(trouble.code),
        other => panic!("{other:?}"),
    }
}

async fn take(town: &Town, lane: Lane) -> Result<RunDetail, String> {
    match ask(town, PostQuestion::Take { lane, by_hand: false, dry_run: false }).await {
        Ok(PostAnswer::Run(detail)) => Ok(detail),
        Err(trouble) => Err(trouble.code),
        other => panic!("{other:?}"),
    }
}

async fn print(town: &Town, run: &str) -> Result<Vec<u8>, String> {
    file(town, PostQuestion::Print { run: run.to_owned() }).await
}

async fn sent(town: &Town, run: &str) -> Result<(), String> {
    let question = PostQuestion::Sent { run: run.to_owned(), on: None, dry_run: false };
    ask(town, question).await.map(|_| ()).map_err(|trouble| trouble.code)
}

async fn waiting(town: &Town) -> Vec<WaitingLine> {
    match ask(town, PostQuestion::Waiting { lane: None }).await {
        Ok(PostAnswer::Waiting(lines)) => lines,
        other => panic!("{other:?}"),
    }
}

/// The connections left long ago: a month on, every office has been open.
async fn a_month_passes(town: &Town) {
    town.execute("UPDATE post_run SET sent_on = '2026-01-05' WHERE state = 'sent'").await;
}

/// What stands on a PDF, and what its codes say.
fn read(bytes: &[u8]) -> (String, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let (path, page) = (dir.path().join("a.pdf"), dir.path().join("page"));
    std::fs::write(&path, bytes).unwrap();
    let text = Command::new("pdftotext").args(["-layout"]).arg(&path).arg("-").output().unwrap();
    assert!(text.status.success());
    assert!(
        Command::new("pdftoppm")
            .args(["-r", "150", "-png"])
            .arg(&path)
            .arg(&page)
            .status()
            .unwrap()
            .success()
    );
    let mut codes = vec![];
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "png") {
            let read = Command::new("zbarimg")
                .args(["-q", "--raw", "-Sdisable", "-Sqrcode.enable"])
                .arg(path)
                .output()
                .unwrap();
            codes.push(String::from_utf8(read.stdout).unwrap());
        }
    }
    codes.retain(|code| !code.trim().is_empty());
    (String::from_utf8(text.stdout).unwrap(), codes)
}

/// P-05, ruling 5: envelope 1 first; envelope 2 not before it was noted as sent and the next business day has come; and who
/// steals one of them has half of what is needed.
#[tokio::test]
async fn p_05_two_envelopes_never_travel_together_and_open_nothing_alone() {
    let town = Town::new().await;
    let accepted = scene(&town).await;
    let slots: Vec<_> = accepted.iter().map(|one| one.bundle_slot).collect();
    let lines = waiting(&town).await;
    assert!(lines.iter().filter(|line| line.lane == Lane::Sheet).all(|line| line.after_other), "{lines:?}");
    assert_eq!(take(&town, Lane::Sheet).await.unwrap_err(), "MM-5984", "nothing but the first envelope");

    let first = take(&town, Lane::Connection).await.unwrap();
    assert_eq!(first.items.len(), 2);
    assert!(first.items.iter().all(|item| item.lane == Lane::Connection));
    assert_eq!(take(&town, Lane::Connection).await.unwrap_err(), "MM-5984", "never in two runs");
    assert_eq!(
        take(&town, Lane::Sheet).await.unwrap_err(),
        "MM-5984",
        "not while the first is being printed"
    );
    assert_eq!(sent(&town, &first.run.run).await.unwrap_err(), "MM-5990", "before it was printed");
    let (printed, codes) = read(&print(&town, &first.run.run).await.unwrap());
    print(&town, &first.run.run).await.expect("a jam: printed again");
    sent(&town, &first.run.run).await.unwrap();
    sent(&town, &first.run.run).await.expect("noted twice is noted once");
    let case = "SELECT count(*) FROM case_step WHERE step = 'C-12.1'";
    assert_eq!(town.number(case).await, 2, "the steps are closed");
    assert_eq!(town.number("SELECT count(*) FROM office_case WHERE state = 'sent'").await, 2);

    // On the same day there is no way to the second one, whatever is tried.
    let lines = waiting(&town).await;
    assert!(lines.iter().all(|line| line.lane == Lane::Sheet && line.from.is_some()), "{lines:?}");
    assert_eq!(take(&town, Lane::Sheet).await.unwrap_err(), "MM-5984");
    a_month_passes(&town).await;
    let second = take(&town, Lane::Sheet).await.unwrap();
    let (opens, links) = read(&print(&town, &second.run.run).await.unwrap());
    // Somebody corrects a date: the day on which it really leaves counts.
    town.execute("UPDATE post_run SET sent_on = '2999-01-01' WHERE lane = 'connection'").await;
    assert_eq!(sent(&town, &second.run.run).await.unwrap_err(), "MM-5992");
    a_month_passes(&town).await;
    sent(&town, &second.run.run).await.unwrap();
    assert!(waiting(&town).await.is_empty());
    assert_eq!(town.number("SELECT count(*) FROM outbox WHERE payload <> ''").await, 0);

    // The thief of envelope 1: a tunnel to the claim page, and no number that would open it.
    let numbers: Vec<String> = sqlx::query_scalar("SELECT number FROM enrolment WHERE slot <> '18-0000'")
        .fetch_all(&town.registry().await)
        .await
        .unwrap();
    assert_eq!(codes.len(), 2, "one code for each connection");
    for (code, slot) in codes.iter().zip(&slots) {
        assert!(
            code.starts_with("[Interface]") && code.contains("PrivateKey") && !code.contains('#'),
            "{slot}"
        );
        let key = code.lines().find_map(|line| line.strip_prefix("PrivateKey = ")).unwrap();
        assert!(printed.contains(key) && !opens.contains(key), "the text for a computer is the code's");
    }
    for number in &numbers {
        assert!(opens.contains(number.as_str()) && !printed.contains(number.as_str()));
    }
    // The thief of envelope 2: a number, a password, the page's address, and no way to it.
    assert!(!opens.contains("PrivateKey") && !opens.contains("PresharedKey"));
    assert!(
        links.iter().all(|link| link.trim().starts_with("https://claim.") && !link.contains('#')),
        "{links:?}"
    );
    for name in ["髙﨑𠮷医院", "𠮷田", "田中 花"] {
        assert!(printed.contains(name) && opens.contains(name), "{name}");
    }
}

/// A kill between print and note loses nothing: the run is still there, and what is secret stays printed once.
#[tokio::test]
async fn p_05_secrets_are_printed_once_and_a_kill_loses_nothing() {
    let mut town = Town::new().await;
    scene(&town).await;
    let first = take(&town, Lane::Connection).await.unwrap().run.run;
    print(&town, &first).await.unwrap();
    town.crash();
    town.start().await;
    print(&town, &first).await.expect("still there, and printed again");
    sent(&town, &first).await.unwrap();
    a_month_passes(&town).await;
    let second = take(&town, Lane::Sheet).await.unwrap().run.run;
    let bytes = print(&town, &second).await.unwrap();
    assert!(bytes.starts_with(b"%PDF"));
    town.crash();
    town.start().await;
    assert_eq!(town.number("SELECT count(*) FROM outbox WHERE kind = 'sheet' AND payload <> ''").await, 0);
    assert_eq!(print(&town, &second).await.unwrap_err(), "MM-5988", "once");
    // The paper is there: undone and taken again, only the address is printed.
    ask(&town, PostQuestion::Undo { run: second.clone(), dry_run: false }).await.unwrap();
    assert_eq!(sent(&town, &second).await.unwrap_err(), "MM-5987");
    let third = take(&town, Lane::Sheet).await.unwrap();
    assert!(third.items.iter().all(|item| !item.whole));
    let (text, codes) = read(&print(&town, &third.run.run).await.unwrap());
    assert!(text.contains("髙﨑𠮷医院") && codes.is_empty());
    print(&town, &third.run.run).await.expect("as often as wanted");
    // The paper is lost: another number, and the old one is dead.
    let slot = third.items[0].slot.unwrap();
    let old = town.text("SELECT MIN(number) FROM enrolment WHERE slot <> '18-0000'").await;
    let numbers = town.number("SELECT count(*) FROM enrolment").await;
    ask(&town, PostQuestion::Undo { run: third.run.run, dry_run: false }).await.unwrap();
    for slot in third.items.iter().map(|item| item.slot.unwrap()) {
        let answer =
            town.ask(ProvisioningQuestion::Post(PostQuestion::NewSheet { slot, dry_run: false })).await;
        assert!(matches!(answer, ProvisioningAnswer::Renewed(_)), "{answer:?}");
    }
    assert_ne!(town.text("SELECT MIN(number) FROM enrolment WHERE slot <> '18-0000'").await, old);
    assert_eq!(town.number("SELECT count(*) FROM enrolment").await, numbers);
    let fourth = take(&town, Lane::Sheet).await.unwrap();
    assert!(
        fourth.items.iter().all(|item| item.whole) && fourth.items.iter().any(|item| item.slot == Some(slot))
    );
    let (text, _) = read(&print(&town, &fourth.run.run).await.unwrap());
    assert!(!text.contains(&old) && text.contains("証明書取得用No"));
}

/// The database itself: one piece is in one open run.
#[tokio::test]
async fn a_piece_is_never_in_two_open_runs() {
    let town = Town::new().await;
    scene(&town).await;
    take(&town, Lane::Connection).await.unwrap();
    let again = sqlx::query(
        "INSERT INTO post_item (item, run, place, lane, subject, held, whole, facility, to_name, to_address, state)
         SELECT 'h-2026-00001-9', run, 9, lane, subject, held, 1, facility, 'x', 'x', 'open' FROM post_item
         WHERE place = 1",
    );
    assert!(again.execute(&town.registry().await).await.is_err());
    let (one, two) = tokio::join!(take(&town, Lane::Letter), take(&town, Lane::Connection));
    assert_eq!((one.unwrap_err(), two.unwrap_err()), ("MM-5984".into(), "MM-5984".into()));
}

async fn item(town: &Town, question: PostQuestion) -> Result<ItemLine, String> {
    match ask(town, question).await {
        Ok(PostAnswer::Item(item)) => Ok(item),
        Err(trouble) => Err(trouble.code),
        other => panic!("{other:?}"),
    }
}

fn came_back(item: &str, opened: bool) -> PostQuestion {
    PostQuestion::Returned {
        item: item.to_owned(),
        reason: ReturnReason::Unknown,
        on: None,
        opened,
        note: Some("転居先を電話で聞いた".into()),
        dry_run: false,
    }
}

async fn number_of(town: &Town, slot: vpn::slot::SlotNumber) -> String {
    let query = sqlx::query_scalar("SELECT number FROM enrolment WHERE slot = $1").bind(slot.to_string());
    query.fetch_one(&town.registry().await).await.unwrap()
}

fn settle(item: &str, remedy: Remedy) -> PostQuestion {
    PostQuestion::Settle { item: item.to_owned(), remedy, dry_run: false }
}

/// 返戻: noted, shown in the case, sent again with the same number; an open envelope is issued anew.
#[tokio::test]
async fn what_comes_back_is_noted_sent_again_or_issued_anew() {
    let town = Town::new().await;
    let accepted = scene(&town).await;
    let first = take(&town, Lane::Connection).await.unwrap();
    print(&town, &first.run.run).await.unwrap();
    let name = first.items[0].item.clone();
    assert_eq!(item(&town, came_back(&name, false)).await.unwrap_err(), "MM-5995", "it has not left");
    sent(&town, &first.run.run).await.unwrap();
    for text in ["1810112011", "髙﨑𠮷", &name, "18-0001"] {
        match ask(&town, PostQuestion::Find { text: text.into() }).await.unwrap() {
            PostAnswer::Items(found) => assert!(found.iter().any(|one| one.item == name), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    let noted = item(&town, came_back(&name, false)).await.unwrap();
    assert_eq!((noted.state.as_str(), noted.reason), ("returned", Some(ReturnReason::Unknown)));
    assert_eq!(item(&town, came_back(&name, false)).await.unwrap_err(), "MM-5995", "once");
    let case = accepted[0].case.clone();
    let ProvisioningAnswer::Case(CaseDetail { letters, .. }) =
        town.ask(ProvisioningQuestion::CaseShow { case }).await
    else {
        panic!("no case")
    };
    assert!(letters.iter().any(|letter| letter.state == "returned"));

    // The address was put right: the same paper in a new run, the number stays; the sheet waits for it.
    let again = item(&town, settle(&name, Remedy::Again)).await.unwrap();
    assert_eq!(again.remedy, Some(Remedy::Again));
    assert_eq!(item(&town, settle(&name, Remedy::Called)).await.unwrap_err(), "MM-5997");
    let lines = waiting(&town).await;
    let slot = again.slot;
    assert!(lines.iter().any(|line| line.slot == slot && line.lane == Lane::Connection && !line.whole));
    assert!(lines.iter().any(|line| line.slot == slot && line.lane == Lane::Sheet && line.after_other));
    let next = take(&town, Lane::Connection).await.unwrap();
    print(&town, &next.run.run).await.unwrap();
    sent(&town, &next.run.run).await.unwrap();
    a_month_passes(&town).await;

    // A sheet whose envelope was open: its number is dead, and only another one is offered.
    let sheets = take(&town, Lane::Sheet).await.unwrap();
    print(&town, &sheets.run.run).await.unwrap();
    sent(&town, &sheets.run.run).await.unwrap();
    let (sheet, slot) = (sheets.items[0].item.clone(), sheets.items[0].slot.unwrap());
    item(&town, came_back(&sheet, true)).await.unwrap();
    let before = number_of(&town, slot).await;
    assert_eq!(item(&town, settle(&sheet, Remedy::Again)).await.unwrap_err(), "MM-5998");
    item(&town, settle(&sheet, Remedy::Reissue)).await.unwrap();
    assert_ne!(number_of(&town, slot).await, before);
    let lines = waiting(&town).await;
    assert!(lines.iter().any(|line| line.slot == Some(slot) && line.lane == Lane::Sheet && line.whole));

    // A connection that came back open: another key, and its bundle keeps its distance from the sheet that was posted.
    let connection = next.items[0].item.clone();
    item(&town, came_back(&connection, true)).await.unwrap();
    item(&town, settle(&connection, Remedy::Reissue)).await.unwrap();
    let lines = waiting(&town).await;
    assert!(lines.iter().any(|line| line.kind == "reissue" && line.whole), "{lines:?}");
    let trail = "SELECT count(*) FROM audit WHERE action IN ('post.returned', 'post.settle')";
    assert_eq!(town.number(trail).await, 6);
    assert_eq!(
        town.number("SELECT count(*) FROM audit WHERE body LIKE '%転居先%'").await,
        0,
        "no clerk's words"
    );
}

/// Before anything is printed: who has no address, or one that no window holds, is named and left out.
#[tokio::test]
async fn an_address_that_cannot_be_printed_is_left_out_and_named() {
    let town = Town::new().await;
    scene(&town).await;
    town.execute("UPDATE facility SET postal_address = '' WHERE name = '田中家'").await;
    let rehearsed =
        ask(&town, PostQuestion::Take { lane: Lane::Connection, by_hand: false, dry_run: true }).await;
    let Ok(PostAnswer::Run(rehearsed)) = rehearsed else { panic!("{rehearsed:?}") };
    assert!(rehearsed.dry_run && rehearsed.left_out.len() == 1 && rehearsed.items.len() == 1);
    assert_eq!(rehearsed.left_out[0].code, "MM-5983");
    assert_eq!(town.number("SELECT count(*) FROM post_run").await, 0);
    let long: String = "福井県福井市大手".repeat(12);
    let change = format!("UPDATE facility SET postal_address = '{long}', name = '{}'", "長".repeat(90));
    sqlx::query(sqlx::AssertSqlSafe(change + " WHERE name = '田中家'"))
        .execute(&town.registry().await)
        .await
        .unwrap();
    let taken = take(&town, Lane::Connection).await.unwrap();
    assert_eq!((taken.items.len(), taken.left_out[0].code.as_str()), (1, "MM-5981"));
    // Labels from any place of a begun sheet.
    let labels =
        |grid: &str, start| PostQuestion::Labels { run: taken.run.run.clone(), grid: grid.into(), start };
    let (text, _) = read(&file(&town, labels("24", 23)).await.unwrap());
    assert!(
        text.contains("〒910-0005") && text.contains("髙﨑𠮷医院") && text.contains(&taken.items[0].item)
    );
    assert_eq!(file(&town, labels("24", 25)).await.unwrap_err(), "MM-5982");
    assert_eq!(file(&town, labels("7", 1)).await.unwrap_err(), "MM-5373");
}

/// The same as pages: what waits, a run with its files, what came back, and the first page that says so.
#[tokio::test]
async fn d_00_a_clerk_prints_a_run_notes_it_and_finds_what_came_back() {
    let town = Town::new().await;
    let accepted = scene(&town).await;
    let office = town.secretariat().await;
    let home = get(&town, &office, "/", "office-home-post").await;
    assert!(home.text.contains("今日出せる封筒"));
    let page = get(&town, &office, "/post", "post").await;
    assert!(page.text.contains("発送にまとめる") && page.text.contains("もう一方の封筒の後"));
    let filtered = get(&town, &office, "/post?lane=sheet", "post-sheets").await;
    assert!(!filtered.text.contains("今日から"));
    let taken = send(&town, &office, "POST", "/post/runs", &[("lane", "connection")]).await;
    let path = location(&taken);
    get(&town, &office, &path, "post-run").await;
    let early = send(&town, &office, "POST", &format!("{path}/sent"), &[("on", "")]).await;
    assert!(early.status == StatusCode::CONFLICT && early.text.contains("MM-5990"), "{}", early.text);
    let printed = send(&town, &office, "POST", &format!("{path}/print"), &[]).await;
    assert_eq!(
        (printed.status, printed.headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "application/pdf")
    );
    let labels = send(&town, &office, "GET", &format!("{path}/labels?grid=12&start=3"), &[]).await;
    assert_eq!(labels.status, StatusCode::OK);
    let odd = send(&town, &office, "GET", &format!("{path}/labels?grid=12&start=13"), &[]).await;
    assert!(odd.text.contains("MM-5982"));
    let tomorrow = send(&town, &office, "POST", &format!("{path}/sent"), &[("on", "2999-01-01")]).await;
    assert_ne!(tomorrow.status, StatusCode::SEE_OTHER, "not before it has come");
    get(&town, &office, &path, "post-run-printed").await;
    assert_eq!(location(&send(&town, &office, "POST", &format!("{path}/sent"), &[("on", "")]).await), path);
    get(&town, &office, &path, "post-run-sent").await;
    let again = send(&town, &office, "POST", "/post/runs", &[("lane", "connection")]).await;
    assert!(again.status == StatusCode::CONFLICT && kept("post-nothing", again).text.contains("MM-5984"));

    let found = get(&town, &office, "/post/back?q=%E7%94%B0%E4%B8%AD", "post-find").await;
    assert!(found.text.contains("田中家"), "{}", found.text);
    let item = format!("{}-1", path.replace("/post/runs/", "/post/items/"));
    get(&town, &office, &item, "post-item").await;
    let long = [("reason", "moved"), ("note", &"あ".repeat(101))];
    let refused = send(&town, &office, "POST", &format!("{item}/returned"), &long).await;
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.status);
    let form = [("reason", "moved"), ("on", ""), ("opened", "no"), ("note", "")];
    assert_eq!(location(&send(&town, &office, "POST", &format!("{item}/returned"), &form).await), item);
    get(&town, &office, &item, "post-item-returned").await;
    let home = get(&town, &office, "/", "office-home-returned").await;
    assert!(home.text.contains("戻った郵便") && home.text.contains("転居"));
    let case = get(&town, &office, &format!("/cases/{}", accepted[0].case), "case-returned").await;
    assert!(case.text.contains("転居"), "{}", case.text);
    get(&town, &office, "/post/back", "post-back").await;
    let done = send(&town, &office, "POST", &format!("{item}/settle"), &[("remedy", "again")]).await;
    assert_eq!(location(&done), "/post/back");
    let page = get(&town, &office, "/post", "post-again").await;
    assert!(page.text.contains("紙は手元"));
}

/// D-00: with what the two envelopes hold, and nothing else, a family without a mail address is in.
#[tokio::test]
async fn d_00_a_family_without_mail_enrols_with_what_two_envelopes_hold() {
    let town = Town::new().await;
    let accepted = scene(&town).await;
    let first = take(&town, Lane::Connection).await.unwrap().run.run;
    print(&town, &first).await.unwrap();
    sent(&town, &first).await.unwrap();
    a_month_passes(&town).await;
    let second = take(&town, Lane::Sheet).await.unwrap().run.run;
    let (text, _) = read(&print(&town, &second).await.unwrap());
    let slot = accepted[1].bundle_slot;
    let page =
        text.split('\u{c}').find(|page| page.contains(&slot.to_string()) && page.contains("証明書取得用No "));
    let page = page.unwrap();
    let number = page.lines().find_map(|line| line.trim().strip_prefix("証明書取得用No ")).unwrap().trim();
    let group =
        |word: &str| word.len() == 4 && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let password: Vec<&str> = page
        .lines()
        .map(|line| line.trim().trim_start_matches("パスワード").trim())
        .filter(|line| line.contains(' ') && line.split_whitespace().all(group))
        .collect();
    let body = serde_json::json!({
        "number": number, "password": password.join(" "),
        "wireguard_public_key": data_encoding::BASE64.encode(&[9; 32]),
        "certificate_request": data_encoding::BASE64.encode(&[9; 40]),
        "admin_password": OWN_PASSWORD, "label": "居間のiPad",
    });
    // The other facility's connection does not carry it.
    let stranger = town.claim(accepted[0].bundle_slot, body.clone()).await;
    assert_ne!(stranger.status, StatusCode::OK);
    let answer = town.claim(slot, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    // Its contact is nobody's admin: the device has its connection, and its people their own accounts (A-08a).
    assert!(answer.json()["login"].is_null(), "{}", answer.text);
    let again = ProvisioningQuestion::Post(PostQuestion::NewSheet { slot, dry_run: false });
    match town.ask(again).await {
        ProvisioningAnswer::Trouble(trouble) => assert_eq!(trouble.code, "MM-5975", "it was used"),
        other => panic!("{other:?}"),
    }
}

/// E-12a, F-11: what is missing and what is owed go on paper, too; and what a facility hands over needs no address.
#[tokio::test]
async fn e_12a_f_11_letters_and_invoices_go_on_paper_and_some_by_hand() {
    use provisioning::door_flow::{FlowAct, FlowAnswer, FlowQuestion};
    let town = Town::new().await;
    let accepted = scene(&town).await;
    let opened = FlowQuestion::Open {
        flow: "C-4".into(),
        facility: Some(accepted[0].facility.clone()),
        patient: None,
        membership: None,
        forms: vec![],
        dry_run: false,
    };
    let ProvisioningAnswer::Flow(FlowAnswer::Case(case)) = town.ask(ProvisioningQuestion::Flow(opened)).await
    else {
        panic!("not opened")
    };
    let case = case.row.case;
    let act = FlowQuestion::Act { case: case.clone(), act: FlowAct::Incomplete, dry_run: false };
    let told = town.ask(ProvisioningQuestion::Flow(act)).await;
    assert!(matches!(told, ProvisioningAnswer::Flow(_)), "{told:?}");
    for invoice in [
        "INSERT INTO fee_invoice (invoice, fiscal_year, facility, code, name, kind, net, tax, total, bill, state, issued_on, due_on)
         SELECT '2026-00001', 2026, facility, code, name, kind, 12000, 1200, 13200,
                '{\"lines\":[],\"taxes\":[],\"net\":12000,\"tax\":1200,\"total\":13200}', 'open', '2026-04-01', '2026-05-31'
         FROM facility WHERE code = '1810112011'",
    ] {
        town.execute(invoice).await;
    }
    let letters = take(&town, Lane::Letter).await.unwrap();
    let (text, _) = read(&print(&town, &letters.run.run).await.unwrap());
    assert!(text.contains("書類不備のお知らせ") && text.contains("様式6") && text.contains(&case), "{text}");
    assert!(!text.contains("メール"), "a letter does not speak of itself as a mail: {text}");
    sent(&town, &letters.run.run).await.unwrap();
    let invoices = take(&town, Lane::Invoice).await.unwrap();
    let (text, _) = read(&print(&town, &invoices.run.run).await.unwrap());
    assert!(text.contains("請求書") && text.contains("13,200円") && text.contains("2026年5月31日"));
    print(&town, &invoices.run.run).await.expect("no secret");
    sent(&town, &invoices.run.run).await.unwrap();
    assert!(take(&town, Lane::Invoice).await.is_err());
    let returned = item(&town, came_back(&invoices.items[0].item, true)).await.unwrap();
    assert_eq!(item(&town, settle(&returned.item, Remedy::Reissue)).await.unwrap_err(), "MM-5999");
    item(&town, settle(&returned.item, Remedy::Again)).await.unwrap();
    assert!(take(&town, Lane::Invoice).await.unwrap().items[0].whole);

    let (facility, delivery) = (accepted[1].facility.clone(), Channel::ByHand);
    ask(&town, PostQuestion::FacilityDelivery { facility, delivery, dry_run: false }).await.unwrap();
    town.execute("UPDATE facility SET postal_address = '' WHERE name = '田中家'").await;
    let posted = take(&town, Lane::Connection).await.unwrap();
    assert_eq!(posted.items.len(), 1, "the other one is handed over");
    let question = PostQuestion::Take { lane: Lane::Connection, by_hand: true, dry_run: false };
    let Ok(PostAnswer::Run(handed)) = ask(&town, question).await else { panic!("not taken") };
    assert!(handed.left_out.is_empty() && handed.items.len() == 1);
    let (text, codes) = read(&print(&town, &handed.run.run).await.unwrap());
    assert!(text.contains("手渡し") && text.contains("田中") && codes.len() == 1);
}

/// What nobody prints does not lie there for ever.
#[tokio::test]
async fn secrets_that_nobody_prints_are_wiped_after_sixty_days() {
    let town = Town::new().await;
    scene(&town).await;
    town.execute("UPDATE outbox SET created_at = 1 WHERE state = 'post'").await;
    let question = PostQuestion::CaseDelivery {
        case: town.text("SELECT MIN(case_id) FROM office_case").await,
        delivery: Channel::TwoEnvelopes,
        dry_run: false,
    };
    ask(&town, question).await.unwrap();
    town.until("wiped", async || {
        town.number("SELECT count(*) FROM outbox WHERE payload <> '' AND slot <> '18-0000'").await == 0
    })
    .await;
    assert!(waiting(&town).await.is_empty());
}

/// A sheet of a facility that gets its mail lies in the folder; its envelope is addressed, counted and found all the same.
#[tokio::test]
async fn a_sheet_of_the_folder_is_addressed_sent_and_found() {
    let town = Town::new().await;
    town.facilities(2).await;
    town.settled().await;
    let lines = waiting(&town).await;
    assert!(
        lines.len() == 2 && lines.iter().all(|line| line.lane == Lane::Sheet && !line.whole),
        "{lines:?}"
    );
    let run = take(&town, Lane::Sheet).await.unwrap();
    sent(&town, &run.run.run).await.expect("the paper comes from the folder");
    assert!(waiting(&town).await.is_empty(), "once");
    item(&town, came_back(&run.items[0].item, false)).await.unwrap();
    item(&town, settle(&run.items[0].item, Remedy::Again)).await.unwrap();
    assert_eq!(waiting(&town).await.len(), 1);
}
