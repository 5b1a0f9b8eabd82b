//! 様式2 to 様式8 as they leave the office and come back (E-02 … E-08, E-12, E-13): printed, read by machines that never saw
//! ours (poppler, zbar), filled in, taken in once and whole, or not at all. Every file is left below the target folder.

use std::path::PathBuf;
use std::process::Command;

use http::{Request, StatusCode};
use pki::identity::{FacilityId, Identity};
use provisioning::door::{ImportReport, ProvisioningAnswer, ProvisioningQuestion, Trouble};
use provisioning::door_paper::{PaperKind, PaperQuestion};
use provisioning::flow_forms::Form;
use provisioning::paper_field::{Cell, FORMS, fields};
use provisioning::{paper_book, paper_read, sheet_file};
use serde_json::json;

use super::neighbours::Mode;
use super::pages::{get, kept, location, once, send};
use super::town::{Answer, Town};

/// Written with characters that only a good font has.
const NAME: &str = "髙﨑 𠮷江";
/// Of no font that we know.
const ODD: &str = "𰻞田 花";

fn at(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("papers");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn ran(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).output();
    let done = done.unwrap_or_else(|error| panic!("{program} (tests/setup/deps): {error}"));
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

async fn handed(town: &Town, form: Form, kind: PaperKind, case: Option<&str>) -> Result<Vec<u8>, Trouble> {
    let form = form.name_ja().to_owned();
    let question = PaperQuestion::Form { form, kind, case: case.map(str::to_owned) };
    match town.ask(ProvisioningQuestion::Paper(question)).await {
        ProvisioningAnswer::File { bytes, .. } => Ok(bytes),
        ProvisioningAnswer::Trouble(trouble) => Err(trouble),
        other => panic!("{other:?}"),
    }
}

async fn taken(town: &Town, bytes: Vec<u8>, dry_run: bool) -> Result<ImportReport, Trouble> {
    let question = PaperQuestion::Import { bytes, form: None, dry_run };
    match town.ask(ProvisioningQuestion::Paper(question)).await {
        ProvisioningAnswer::Import(report) => Ok(report),
        ProvisioningAnswer::Trouble(trouble) => Err(trouble),
        other => panic!("{other:?}"),
    }
}

/// The workbook that was handed out, with these cells typed over.
fn typed(form: Form, handed: &[u8], cells: &[(&str, &str)]) -> Vec<u8> {
    let table = sheet_file::read_sheet(handed, &paper_read::sheet_names()).unwrap();
    let row: Vec<String> = (0..fields(form).len())
        .map(|place| {
            let typed = cells.iter().find(|(heading, _)| *heading == fields(form)[place].heading);
            let known = table.rows.get(1).map_or("", |row| row.cell(place));
            typed.map_or(known, |(_, text)| text).to_owned()
        })
        .collect();
    paper_book::filled(form, &[row]).unwrap()
}

async fn code(town: &Town, facility: &FacilityId) -> (String, String) {
    sqlx::query_as("SELECT code, name FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_one(&town.registry().await)
        .await
        .unwrap()
}

async fn patient(town: &Town, office: &Identity, facility: &FacilityId, name: &str) -> String {
    let body =
        json!({ "name": name, "kana": "タカサキ ヨシエ", "consent_date": "2026-11-01", "origin": facility });
    let made = town.call(office, "POST", "/api/patients", Some(body)).await.json();
    made["patient"].as_str().unwrap().to_owned()
}

async fn opened(town: &Town, office: &Identity, form: &[(&str, &str)]) -> String {
    let page = send(town, office, "GET", &format!("/flows/new?flow={}", form[0].1), &[]).await;
    let once = once(&page.text);
    let mut form = form.to_vec();
    form.push(("once", &once));
    location(&send(town, office, "POST", "/flows/open", &form).await).replace("/flows/", "")
}

async fn upload(town: &Town, who: &Identity, file: &[u8], rehearse: bool) -> Answer {
    upload_to(town, who, "/forms/import", file, rehearse).await
}

pub async fn upload_to(town: &Town, who: &Identity, path: &str, file: &[u8], rehearse: bool) -> Answer {
    let mut body = b"--x9\r\n".to_vec();
    if rehearse {
        body.extend(b"Content-Disposition: form-data; name=\"rehearse\"\r\n\r\nyes\r\n--x9\r\n");
    }
    body.extend(b"Content-Disposition: form-data; name=\"file\"; filename=\"form.xlsx\"\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--x9--\r\n");
    let request = Request::post(path)
        .header("mimamori-identity", who.to_string())
        .header("mimamori-trace", "0123456789abcdef")
        .header("accept", "text/html")
        .header("content-type", "multipart/form-data; boundary=x9");
    town.send(request.body(body.into()).unwrap()).await
}

/// E-02 … E-08, E-13: strangers see the words, the case's number and the code; a name is printed as it is written, and
/// one that no font has is refused by its character.
/// Requirements E-05, E-06, E-07.
#[tokio::test]
async fn e_13_every_form_is_printed_and_machines_read_it() {
    let town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    let known = patient(&town, &office, &facility, NAME).await;
    let form = [("flow", "C-8"), ("facility", facility.as_str()), ("patient", &known)];
    let case = opened(&town, &office, &form).await;
    let (_, facility_name) = code(&town, &facility).await;
    for form in FORMS {
        for (name, case) in [("blank", None), ("case", Some(case.as_str()))] {
            let number = form.name_ja().trim_start_matches("様式");
            let path = at(&format!("form{number}-{name}.pdf"));
            let bytes = handed(&town, form, PaperKind::Pdf, case).await.unwrap();
            assert!(bytes.len() < 150_000, "{path:?}: {}", bytes.len());
            std::fs::write(&path, &bytes).unwrap();
            std::fs::write(
                path.with_extension("xlsx"),
                handed(&town, form, PaperKind::Xlsx, case).await.unwrap(),
            )
            .unwrap();
            let (paper, picture) =
                (path.to_str().unwrap(), path.with_extension("").to_str().unwrap().to_owned());
            let text = ran("pdftotext", &["-layout", paper, "-"]);
            assert!(text.contains(form.name_ja()), "{paper}: {text}");
            assert!(ran("pdffonts", &[paper]).contains("yes yes yes"), "embedded, a subset, with its texts");
            // The corner with the code, as a scanner sees it.
            let corner = [
                "-r",
                "110",
                "-gray",
                "-png",
                "-singlefile",
                "-x",
                "720",
                "-y",
                "1130",
                "-W",
                "180",
                "-H",
                "180",
            ];
            ran("pdftoppm", &[&corner[..], &[paper, &picture]].concat());
            let read = ran("zbarimg", &["--quiet", "--raw", &format!("{picture}.png")]);
            let parts: Vec<&str> = read.trim().split(':').collect();
            assert_eq!(parts[..3], ["MIMAMORI-FORM", number, case.unwrap_or("")], "{paper}");
            assert!(
                parts.len() == 6 && parts[3].len() == 16 && text.contains(parts[3]),
                "{paper}: the same for eyes: {parts:?}"
            );
            if let Some(case) = case {
                assert!(text.contains(case) && text.contains(&facility_name), "{paper}: {text}");
                let names_patient = fields(form).iter().any(|field| field.heading == "患者氏名");
                assert_eq!(text.contains(NAME), names_patient, "{paper}: {text}");
            }
        }
    }
    let odd = patient(&town, &office, &facility, ODD).await;
    let form = [("flow", "C-8"), ("facility", facility.as_str()), ("patient", &odd)];
    let case = opened(&town, &office, &form).await;
    let refused = handed(&town, Form::Consent, PaperKind::Pdf, Some(&case)).await.unwrap_err();
    assert_eq!(refused.code, "MM-5903");
    assert!(refused.ja.contains('𰻞'), "{}", refused.ja);
    assert!(
        handed(&town, Form::Consent, PaperKind::Xlsx, Some(&case)).await.is_ok(),
        "a workbook has any character"
    );
}

/// E-13: the form that was handed out for a case comes back, and the case has it: arrived, changes in, once.
#[tokio::test]
async fn e_13_a_returned_form_joins_its_case_and_is_one_however_often_it_comes() {
    let town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    let case = opened(&town, &office, &[("flow", "C-11"), ("facility", facility.as_str())]).await;
    let page = get(&town, &office, &format!("/flows/{case}"), "flow-before-form").await;
    assert!(page.text.contains(&format!("/forms?case={case}")), "from the case to its forms");
    let page = get(&town, &office, &format!("/forms?case={case}"), "forms-case").await;
    assert!(page.text.contains(&format!("/forms/3/xlsx?case={case}")));
    let blank = handed(&town, Form::Change, PaperKind::Xlsx, Some(&case)).await.unwrap();
    let cells = [("新しい電話番号", "０７７６－１２－３４５６"), ("変更日", "令和8年12月1日")];
    let filled = typed(Form::Change, &blank, &cells);

    let rehearsed = kept("forms-rehearsed", upload(&town, &office, &filled, true).await);
    assert!(rehearsed.status == StatusCode::OK && rehearsed.text.contains("まだ取り込んでいません"));
    assert_eq!(town.number("SELECT count(*) FROM paper").await, 0);
    for (name, said) in [("forms-taken", "取り込みました"), ("forms-again", "取り込み済み 1行")]
    {
        let done = kept(name, upload(&town, &office, &filled, false).await);
        assert!(done.status == StatusCode::OK && done.text.contains(said), "{}", done.text);
    }
    assert_eq!(town.number("SELECT count(*) FROM flow_case").await, 1);
    assert_eq!(town.number("SELECT count(*) FROM paper").await, 1);
    let page = get(&town, &office, &format!("/flows/{case}"), "flow-after-form").await;
    assert!(page.text.contains("様式3") && page.text.contains("0776-12-3456"), "arrived, with what changes");
    let events = format!("SELECT count(*) FROM flow_event WHERE case_id = '{case}'");
    let events = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(events));
    assert!(
        events.fetch_one(&town.registry().await).await.unwrap() <= 2,
        "not once more for the second time"
    );
}

/// Until the SNS has the team; the limit only ends a test that has failed.
async fn known_to_the_sns(town: &Town) {
    for _ in 0..6_000 {
        if !town.around.sns.teams.lock().unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no team");
}

/// J-10, ruling 10: a consent of somebody new makes patient and case in one go, also when the SNS fails in between; the
/// name is in the SNS and nowhere in the registry.
#[tokio::test]
async fn j_10_a_consent_registers_its_patient_once_and_its_name_stays_in_the_sns() {
    let mut town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    let (code, name) = code(&town, &facility).await;
    let blank = paper_book::filled(Form::Consent, &[]).unwrap();
    let cells = [
        ("事業所番号", code.as_str()),
        ("事業所名", &name),
        ("患者氏名", NAME),
        ("患者氏名ふりがな", "ﾀｶｻｷ ﾖｼｴ"),
        ("生年月日", "昭和10年5月3日"),
        ("同意日", "令和8年11月1日"),
        ("署名した方", "代理者"),
        ("続柄", "長女"),
        ("説明者氏名", "桜井 健一"),
        ("患者・家族のSNS参加", "参加する"),
    ];
    let filled = typed(Form::Consent, &blank, &cells);
    let refused = taken(&town, filled.clone(), false).await.unwrap();
    assert_eq!(refused.faults[0].code, "MM-5918", "a patient is registered by a person at the console");
    town.around.sns.mood.set(|question| if *question == "open" { Mode::DiesAfterwards } else { Mode::Works });
    tokio::select! {
        _ = upload(&town, &office, &filled, false) => panic!("the SNS has not answered"),
        () = known_to_the_sns(&town) => {}
    }
    town.crash();
    town.around.sns.mood.set(|_| Mode::Works);
    town.start().await;
    assert_eq!(town.number("SELECT count(*) FROM flow_case").await, 0);
    for _twice in 0..2 {
        let done = kept("forms-consent", upload(&town, &office, &filled, false).await);
        assert_eq!(done.status, StatusCode::OK, "{}", done.text);
        assert!(!done.text.contains(NAME), "a report travels further than the file");
    }
    let flow: Vec<String> =
        sqlx::query_scalar("SELECT flow FROM flow_case").fetch_all(&town.registry().await).await.unwrap();
    assert_eq!(
        flow,
        ["C-2"],
        "a team with family, though the patient was registered before the interruption"
    );
    let named = town.around.sns.teams.lock().unwrap().values().filter(|team| team.name == NAME).count();
    assert_eq!(named, 1, "registered once");
    assert_eq!(town.number("SELECT count(*) FROM patient WHERE state = 'open'").await, 1);
    let noted: String =
        sqlx::query_scalar("SELECT noted FROM paper").fetch_one(&town.registry().await).await.unwrap();
    assert!(noted.contains("桜井 健一") && noted.contains("長女"), "{noted}");
    for secret in [NAME, "髙﨑", "1935-05-03", "たかさき", "タカサキ"] {
        assert!(!noted.contains(secret), "{noted}");
    }
}

/// What people and Excel do to a file, and what an attacker does: said at the cell, and nothing is half done.
#[tokio::test]
async fn e_13_a_bad_form_is_refused_at_its_cells_and_leaves_nothing() {
    use rust_xlsxwriter::{Format, Formula, Workbook};
    let town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    let (code, name) = code(&town, &facility).await;
    let right = |cells: &[(&str, &str)]| {
        let known = [
            ("事業所番号", code.as_str()),
            ("事業所名", name.as_str()),
            ("解除の範囲", "事業所としての解除"),
            ("解除希望日", "令和8年12月1日"),
        ];
        let cells: Vec<_> = cells.iter().chain(&known).copied().collect();
        typed(Form::Removal, &paper_book::filled(Form::Removal, &[]).unwrap(), &cells)
    };
    for (cells, place, wanted) in [
        (&[("事業所番号", "181011201112")][..], "B2", "MM-5211"),
        (&[("事業所番号", "1999999999")], "B2", "MM-5915"),
        (&[("解除の範囲", "全部")], "E2", "MM-5914"),
        (&[("解除の範囲", "一つのチームからの解除")], "G2", "MM-5920"),
        (&[("患者番号", "t-ffffffffffffffffffffffffffffffff")], "G2", "MM-5918"),
        (&[("理由", "=HYPERLINK(\"http://a.example\",\"x\")")], "I2", "MM-5204"),
        (&[("案件番号", "2026-99999")], "A2", "MM-5921"),
        (&[("解除希望日", "来月")], "H2", "MM-5271"),
    ] {
        let report = taken(&town, right(cells), false).await.unwrap();
        let found: Vec<_> = report
            .faults
            .iter()
            .map(|fault| (fault.cell.as_deref().unwrap_or(""), fault.code.as_str()))
            .collect();
        assert_eq!(found, [(place, wanted)], "{cells:?}");
        assert!(!report.faults[0].remedy_ja.is_empty());
    }
    let drawn = |draw: &dyn Fn(&mut rust_xlsxwriter::Worksheet)| {
        let mut book = Workbook::new();
        let sheet = book.add_worksheet().set_name("様式６").unwrap();
        for (place, field) in (0u16..).zip(fields(Form::Removal)) {
            sheet.write(0, place, field.heading).unwrap();
        }
        for (place, text) in
            [(1, code.as_str()), (2, ""), (3, &name), (4, "事業所としての解除"), (7, "令和8年12月1日")]
        {
            sheet.write(1, place, text).unwrap();
        }
        draw(sheet);
        book.save_to_buffer().unwrap()
    };
    let merged = drawn(&|sheet| {
        sheet.merge_range(1, 3, 1, 4, &name, &Format::new()).unwrap();
    });
    let formula = drawn(&|sheet| {
        sheet.write_formula(1, 1, Formula::new("=Z9").set_result("#REF!")).unwrap();
    });
    for (name, bytes, wanted) in [("merged", merged, "MM-5206"), ("formula", formula, "MM-5205")] {
        let page = kept(&format!("forms-{name}"), upload(&town, &office, &bytes, false).await);
        assert!(
            page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains(wanted),
            "{}",
            page.text
        );
    }
    for (bytes, wanted) in [
        (b"PK\x03\x04 not a workbook".to_vec(), "MM-5104"),
        (b"<html>".to_vec(), "MM-5110"),
        (b"a,b\n1,2\n".to_vec(), "MM-5911"),
        (vec![b'a'; 5 << 20], "MM-5102"),
    ] {
        let refused = taken(&town, bytes, false).await.err().map(|trouble| trouble.code);
        assert_eq!(refused.as_deref(), Some(wanted));
    }
    assert_eq!(town.number("SELECT count(*) FROM flow_case").await, 0);
    assert_eq!(town.number("SELECT count(*) FROM paper").await, 0);
    let done = taken(&town, right(&[]), false).await.unwrap();
    assert_eq!((done.new, done.faults.len()), (1, 0));
    assert_eq!(town.number("SELECT count(*) FROM flow_case WHERE flow = 'C-4'").await, 1);
}

/// E-01: 様式1 comes in at the same place, by the one reader that it has.
#[tokio::test]
async fn e_01_an_application_comes_in_where_every_form_does() {
    let town = Town::new().await;
    let office = town.secretariat().await;
    let row = "1810112011,さくら通り内科クリニック,医科,福井県福井市大手9-1-12,0776-00-1201,桜井 健一,桜井 由美,\
               kanri@sakura-naika.example.jp,2,参加";
    let row: Vec<String> = row.split(',').map(|cell| cell.trim().to_owned()).collect();
    let filled = provisioning::template::filled(&[row]).unwrap();
    let done = kept("forms-application", upload(&town, &office, &filled, false).await);
    assert!(done.status == StatusCode::OK && done.text.contains("href=\"/cases/20"), "{}", done.text);
    assert_eq!(town.number("SELECT count(*) FROM office_case").await, 1);
    let blank = provisioning::template::blank().unwrap();
    let refused = kept("forms-empty", upload(&town, &office, &blank, false).await);
    assert!(refused.status == StatusCode::UNPROCESSABLE_ENTITY && refused.text.contains("MM-5101"));
}

/// Every template has its lists: what a choice offers is what the reader takes.
#[test]
fn e_13_every_choice_of_every_form_is_taken() {
    for form in FORMS {
        for field in fields(form) {
            if let Cell::Choice(words) = field.cell {
                assert!(words.len() > 1 && words.iter().all(|word| !word.contains(',')), "{}", field.heading);
            }
        }
    }
}
