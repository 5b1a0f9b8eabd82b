//! Papers that came by post, FAX or in person (E-12a, E-13): found by their codes, kept under the key that belongs to them, seen by
//! whom the trail says, and gone with the patient's key. Printed by the room, pictured by poppler, which never saw our reader.

use std::path::PathBuf;
use std::process::Command;

use http::StatusCode;
use pki::identity::{FacilityId, Identity};
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, Trouble};
use provisioning::door_paper::{PaperKind, PaperQuestion};
use provisioning::door_scan::{CameBy, ScanAnswer, ScanLine, ScanQuestion, ScanReport, Why};
use serde_json::json;

use super::neighbours::Mode;
use super::pages::{location, once, send};
use super::town::Town;

/// On the printed consent, and nowhere in the registry.
const NAME: &str = "越前 花";

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scans");
    std::fs::create_dir_all(&folder).unwrap();
    tempfile::Builder::new().tempdir_in(folder).unwrap().keep()
}

/// As a scanner sees it: at so many dots in an inch, with poppler's options for the kind.
pub fn pictured(pdf: &[u8], options: &[&str]) -> Vec<u8> {
    let folder = folder();
    let (paper, picture) = (folder.join("paper.pdf"), folder.join("picture"));
    std::fs::write(&paper, pdf).unwrap();
    let done = Command::new("pdftoppm").args(options).arg("-singlefile").arg(&paper).arg(&picture).output();
    let done = done.unwrap_or_else(|error| panic!("pdftoppm (tests/setup/deps): {error}"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.file_stem().is_some_and(|name| name == "picture")).unwrap();
    let bytes = std::fs::read(file).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    bytes
}

pub const GREY: &[&str] = &["-r", "120", "-gray", "-png"];
pub const COLOUR: &[&str] = &["-r", "120", "-jpeg"];

/// A scanner's PDF: each page one JPEG, lying so.
fn pile(pages: &[(&[u8], u32)]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n".to_vec();
    let kids: Vec<String> = (0..pages.len()).map(|place| format!("{} 0 R", 10 + place * 3)).collect();
    out.extend(format!("2 0 obj << /Type /Pages /Kids [{}] >> endobj\n", kids.join(" ")).into_bytes());
    for (place, (jpeg, turned)) in pages.iter().enumerate() {
        let (first, drawing, picture) = (10 + place * 3, 11 + place * 3, 12 + place * 3);
        let head = format!(
            "{first} 0 obj << /Type /Page /Parent 2 0 R /Rotate {turned} /Contents {drawing} 0 R \
             /Resources << /XObject << /Im {picture} 0 R >> >> >> endobj\n\
             {drawing} 0 obj << /Length 8 >> stream\n/Im Do  \nendstream endobj\n\
             {picture} 0 obj << /Subtype /Image /Width 1000 /Height 1400 /Filter /DCTDecode /Length {} >> stream\n",
            jpeg.len()
        );
        out.extend(head.into_bytes());
        out.extend(*jpeg);
        out.extend(b"\nendstream endobj\n");
    }
    out
}

pub struct Desk {
    pub town: Town,
    pub office: Identity,
    facility: FacilityId,
}

impl Desk {
    pub async fn new() -> Self {
        let town = Town::new().await;
        let (facility, _) = town.facilities(1).await.remove(0);
        let office = town.secretariat().await;
        Self { town, office, facility }
    }

    pub async fn case(&self, flow: &str, patient: Option<&str>) -> String {
        let page = send(&self.town, &self.office, "GET", &format!("/flows/new?flow={flow}"), &[]).await;
        let once = once(&page.text);
        let form = [
            ("flow", flow),
            ("facility", self.facility.as_str()),
            ("patient", patient.unwrap_or("")),
            ("once", &once),
        ];
        location(&send(&self.town, &self.office, "POST", "/flows/open", &form).await).replace("/flows/", "")
    }

    pub async fn patient(&self) -> String {
        let body = json!({
            "name": NAME, "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": self.facility,
        });
        let made = self.town.call(&self.office, "POST", "/api/patients", Some(body)).await;
        made.json()["patient"].as_str().unwrap().to_owned()
    }

    pub async fn printed(&self, form: &str, case: Option<&str>) -> Vec<u8> {
        let question = PaperQuestion::Form {
            form: form.to_owned(),
            kind: PaperKind::Pdf,
            case: case.map(str::to_owned),
        };
        match self.town.ask(ProvisioningQuestion::Paper(question)).await {
            ProvisioningAnswer::File { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&self, question: ScanQuestion) -> Result<ScanAnswer, Trouble> {
        match self.town.ask(ProvisioningQuestion::Scan(question)).await {
            ProvisioningAnswer::Scan(answer) => Ok(answer),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble),
            other => panic!("{other:?}"),
        }
    }

    async fn taken(&self, bytes: &[u8], dry_run: bool) -> ScanReport {
        let question = ScanQuestion::Take { bytes: bytes.to_vec(), came_by: CameBy::Fax, dry_run };
        match self.ask(question).await.unwrap() {
            ScanAnswer::Taken(report) => report,
            other => panic!("{other:?}"),
        }
    }

    async fn lines(&self, question: ScanQuestion) -> Vec<ScanLine> {
        match self.ask(question).await.unwrap() {
            ScanAnswer::Lines(lines) => lines,
            other => panic!("{other:?}"),
        }
    }

    pub async fn of_case(&self, case: &str) -> Vec<ScanLine> {
        self.lines(ScanQuestion::List { case: case.to_owned() }).await
    }

    async fn shown(&self, scan: &str) -> Result<Vec<u8>, Trouble> {
        match self.town.ask(ProvisioningQuestion::Scan(ScanQuestion::Show { scan: scan.to_owned() })).await {
            ProvisioningAnswer::File { bytes, .. } => Ok(bytes),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble),
            other => panic!("{other:?}"),
        }
    }

    async fn file(&self, scan: &str, case: &str, form: &str) -> Result<ScanLine, Trouble> {
        let form = Some(form.to_owned());
        let (scan, case) = (scan.to_owned(), case.to_owned());
        match self.ask(ScanQuestion::File { scan, case, form, dry_run: false }).await? {
            ScanAnswer::Line(line) => Ok(*line),
            other => panic!("{other:?}"),
        }
    }

    /// Forms of a case that have arrived.
    async fn forms(&self, case: &str) -> String {
        let path = format!("/api/flows/{case}");
        self.town.call(&self.office, "GET", &path, None).await.json()["forms"].to_string()
    }

    pub async fn acts(&self, action: &str) -> i64 {
        let counted = sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = $1").bind(action);
        counted.fetch_one(&self.town.registry().await).await.unwrap()
    }
}

fn went(report: &ScanReport) -> Vec<(String, Option<String>)> {
    let word = |page: &provisioning::door_scan::ScanPage| {
        (page.went.clone(), page.reason.as_ref().map(|reason| reason.code.clone()))
    };
    report.pages.iter().map(word).collect()
}

/// E-13: a pile of two papers, one of them upside down; each comes to its case, which has its form now, once.
#[tokio::test]
async fn e_13_each_paper_of_a_pile_comes_to_its_case_once() {
    let desk = Desk::new().await;
    let patient = desk.patient().await;
    let (change, consent) = (desk.case("C-11", None).await, desk.case("C-8", Some(&patient)).await);
    let first = pictured(&desk.printed("様式3", Some(&change)).await, COLOUR);
    let second = pictured(&desk.printed("様式5", Some(&consent)).await, COLOUR);
    let pile = pile(&[(&first, 0), (&second, 180)]);

    let rehearsed = desk.taken(&pile, true).await;
    assert_eq!(went(&rehearsed), [("filed".to_owned(), None), ("filed".to_owned(), None)]);
    assert_eq!(desk.town.number("SELECT count(*) FROM scan").await, 0, "a rehearsal keeps nothing");

    let report = desk.taken(&pile, false).await;
    assert_eq!(went(&report), went(&rehearsed));
    let again = desk.taken(&pile, false).await;
    assert_eq!(went(&again), [("known".to_owned(), None), ("known".to_owned(), None)]);
    for (case, form, key) in [(&change, "様式3", "office"), (&consent, "様式5", "patient")] {
        let lines = desk.of_case(case).await;
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].form.as_deref(), lines[0].key.as_str()), (Some(form), key));
        assert_eq!((lines[0].came_by, lines[0].days_left), (CameBy::Fax, None));
        assert!(desk.forms(case).await.contains(form), "it counts as arrived");
        let picture = desk.shown(&lines[0].scan).await.unwrap();
        assert!(picture.starts_with(b"\xff\xd8\xff") && picture.len() as u64 == lines[0].bytes);
    }
    assert_eq!((desk.acts("scan.filed").await, desk.acts("scan.seen").await), (2, 2));
    // What is stored and written down says nothing of what stands on the page.
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT sealed FROM scan_content UNION ALL SELECT wrapped FROM scan UNION ALL SELECT body FROM audit",
    )
    .fetch_all(&desk.town.registry().await)
    .await
    .unwrap();
    for text in kept {
        // A JPEG in base64 begins so.
        assert!(!text.contains("/9j/") && !text.contains("越前"), "{:.60}", text);
    }
}

/// Each reason by its name, into the tray; from there by hand to a case, or away; a form of another association's, too.
#[tokio::test]
async fn e_12a_what_no_code_sorts_waits_and_is_sorted_by_hand() {
    let desk = Desk::new().await;
    let case = desk.case("C-11", None).await;
    let blank = pictured(&desk.printed("様式3", None).await, GREY);
    let report = desk.taken(&blank, false).await;
    assert_eq!(went(&report), [("tray".to_owned(), Some("MM-5853".to_owned()))]);

    // The registry has changed since the paper was printed.
    let paper = pictured(&desk.printed("様式3", Some(&case)).await, GREY);
    desk.town.execute("UPDATE facility SET name = '別の名前' WHERE kind <> '事務局'").await;
    let report = desk.taken(&paper, false).await;
    assert_eq!(went(&report), [("tray".to_owned(), Some("MM-5856".to_owned()))]);
    assert_eq!(desk.forms(&case).await, "[]");

    let tray = desk.lines(ScanQuestion::Tray).await;
    assert_eq!(tray.len(), 2);
    assert!(tray.iter().all(|line| line.key == "tray" && line.days_left.is_some_and(|days| days >= 29)));
    let (first, second) = (&tray[0].scan, &tray[1].scan);
    let seen = desk.shown(first).await.unwrap();
    let sealed = |scan: &str| {
        let scan = scan.to_owned();
        let town = &desk.town;
        async move {
            let sealed = sqlx::query_scalar::<_, String>("SELECT sealed FROM scan_content WHERE scan = $1");
            sealed.bind(scan).fetch_one(&town.registry().await).await.unwrap()
        }
    };
    let before = sealed(second).await;
    assert_eq!(desk.file(second, "2026-99999", "様式3").await.unwrap_err().code, "MM-5301");
    let filed = desk.file(second, &case, "様式3").await.unwrap();
    assert_eq!((filed.state.as_str(), filed.key.as_str()), ("filed", "office"));
    assert_ne!(sealed(second).await, before, "sealed anew");
    assert!(desk.forms(&case).await.contains("様式3"));
    assert_eq!(desk.file(second, &case, "様式3").await.unwrap_err().code, "MM-5864");

    let away = ScanQuestion::Discard { scan: first.clone(), why: Why::Twice, dry_run: false };
    desk.ask(away.clone()).await.unwrap();
    assert_eq!(desk.ask(away).await.unwrap_err().code, "MM-5861");
    assert_eq!(desk.shown(first).await.unwrap_err().code, "MM-5861");
    assert!(!seen.is_empty());
    assert_eq!(desk.town.number("SELECT count(*) FROM scan_content").await, 1, "content and key are gone");
    let tray = desk.lines(ScanQuestion::Tray).await;
    assert_eq!(tray[0].gone_ja.as_deref(), Some(Why::Twice.ja()), "what became of it stays");
    assert_eq!((desk.acts("scan.discarded").await, desk.acts("scan.tray").await), (1, 2));
}

/// P-27, P-08: with the patient's key the scans go, also in a copy of the registry from before; 同意撤回書 stays.
#[tokio::test]
async fn p_27_with_the_patients_key_the_scan_is_gone_from_every_copy() {
    let desk = Desk::new().await;
    let patient = desk.patient().await;
    let (consent, withdrawal) =
        (desk.case("C-8", Some(&patient)).await, desk.case("C-10", Some(&patient)).await);
    for (form, case) in [("様式5", &consent), ("様式7", &withdrawal)] {
        desk.taken(&pictured(&desk.printed(form, Some(case)).await, GREY), false).await;
    }
    let (theirs, ours) = (desk.of_case(&consent).await.remove(0), desk.of_case(&withdrawal).await.remove(0));
    assert_eq!((theirs.key.as_str(), ours.key.as_str()), ("patient", "office"));
    assert!(desk.shown(&theirs.scan).await.is_ok());
    let row =
        "SELECT wrapped || ' ' || sealed FROM scan JOIN scan_content USING (scan) WHERE key_kind = 'patient'";
    let copy = desk.town.text(row).await;

    desk.town.around.sns.erased.lock().unwrap().push(patient.parse().unwrap());
    assert_eq!(desk.shown(&theirs.scan).await.unwrap_err().code, "MM-5862");
    // Somebody brings the older rows back: they are the same, and open as little.
    let (wrapped, sealed) = copy.split_once(' ').unwrap();
    sqlx::query("UPDATE scan SET wrapped = $2 WHERE scan = $1")
        .bind(&theirs.scan)
        .bind(wrapped)
        .execute(&desk.town.registry().await)
        .await
        .unwrap();
    sqlx::query("UPDATE scan_content SET sealed = $2 WHERE scan = $1")
        .bind(&theirs.scan)
        .bind(sealed)
        .execute(&desk.town.registry().await)
        .await
        .unwrap();
    assert_eq!(desk.shown(&theirs.scan).await.unwrap_err().code, "MM-5862");
    // A key of the page's own is not the patient's either: it is wrapped for this page alone.
    let other =
        "UPDATE scan SET wrapped = (SELECT wrapped FROM scan WHERE key_kind = 'office'), key_kind = 'office'
                 WHERE key_kind = 'patient'";
    desk.town.execute(other).await;
    assert_eq!(desk.shown(&theirs.scan).await.unwrap_err().code, "MM-5863");
    assert!(desk.shown(&ours.scan).await.is_ok(), "the withdrawal stays under the office's key");
}

/// Killed while the page is sealed and before it is written, on its way in and on its way to its case: it is where it was, and the
/// next attempt brings it where it belongs, once.
#[tokio::test]
async fn e_13_a_crash_leaves_no_page_half_filed() {
    let mut desk = Desk::new().await;
    let patient = desk.patient().await;
    let case = desk.case("C-8", Some(&patient)).await;
    let paper = pictured(&desk.printed("様式5", Some(&case)).await, GREY);
    for mode in [Mode::Hangs, Mode::DiesAfterwards] {
        hang(&desk, mode);
        let (room, bytes) = (desk.town.room(), paper.clone());
        let (asked, answered) = (desk.town.around.clone(), super::world::operator());
        let question = ScanQuestion::Take { bytes, came_by: CameBy::Post, dry_run: false };
        let work = desk
            .town
            .begin(async move { room.operator(ProvisioningQuestion::Scan(question), answered).await });
        desk.town.until("it is being sealed", async || *asked.sns.sealing.lock().unwrap() > 0).await;
        desk.town.crash();
        drop(work);
        *asked.sns.sealing.lock().unwrap() = 0;
        asked.sns.mood.set(|_| Mode::Works);
        desk.town.start().await;
        assert_eq!(desk.town.number("SELECT count(*) FROM scan").await, 0);
        assert_eq!(desk.forms(&case).await, "[]");
    }
    desk.taken(&paper, false).await;
    assert_eq!(desk.of_case(&case).await.len(), 1);
    assert!(desk.forms(&case).await.contains("様式5"));

    let blank = pictured(&desk.printed("様式5", None).await, GREY);
    let scan = desk.taken(&blank, false).await.pages[0].scan.clone().unwrap();
    hang(&desk, Mode::DiesAfterwards);
    let (room, around) = (desk.town.room(), desk.town.around.clone());
    let question = ScanQuestion::File {
        scan: scan.clone(),
        case: case.clone(),
        form: Some("様式5".to_owned()),
        dry_run: false,
    };
    let work = desk.town.begin(async move {
        room.operator(ProvisioningQuestion::Scan(question), super::world::operator()).await
    });
    desk.town.until("it is being sealed anew", async || *around.sns.sealing.lock().unwrap() > 0).await;
    desk.town.crash();
    drop(work);
    around.sns.mood.set(|_| Mode::Works);
    desk.town.start().await;
    assert!(desk.shown(&scan).await.is_ok(), "still in the tray, and whole");
    assert_eq!(desk.file(&scan, &case, "様式5").await.unwrap().key, "patient");
    assert_eq!(desk.of_case(&case).await.len(), 2);
}

fn hang(desk: &Desk, mode: Mode) {
    desk.town.around.sns.mood.set(match mode {
        Mode::Hangs => |question| if *question == "seal" { Mode::Hangs } else { Mode::Works },
        _ => |question| if *question == "seal" { Mode::DiesAfterwards } else { Mode::Works },
    });
}

/// The tray looks after itself: its key is replaced and the old one opens nothing, what waited for a patient goes under the
/// patient's key, and what nobody sorts ends.
#[tokio::test]
async fn p_27_the_trays_key_is_replaced_and_what_nobody_sorts_ends() {
    let mut desk = Desk::new().await;
    let waiting = desk.case("C-1", None).await;
    let consent = pictured(&desk.printed("様式5", Some(&waiting)).await, GREY);
    let report = desk.taken(&consent, false).await;
    assert_eq!(went(&report), [("filed".to_owned(), Some("MM-5859".to_owned()))], "no patient, no key yet");
    let blank = pictured(&desk.printed("様式3", None).await, GREY);
    let loose = desk.taken(&blank, false).await.pages[0].scan.clone().unwrap();

    // A week goes by.
    let key = desk.town.config.dir.join("tray.key");
    let old = std::fs::read_to_string(&key).unwrap();
    let words: Vec<&str> = old.split_whitespace().collect();
    desk.town.crash();
    std::fs::write(&key, format!("{} 1 {}\n", words[0], words[2])).unwrap();
    let before = desk.town.text("SELECT MIN(wrapped) FROM scan WHERE state = 'tray'").await;
    desk.town.start().await;
    desk.town
        .until("the key is replaced", async || {
            let now = std::fs::read_to_string(&key).unwrap();
            now.lines().count() == 1 && !now.contains(words[2])
        })
        .await;
    assert!(desk.shown(&loose).await.is_ok(), "what waits goes with it");
    let after = desk.town.text("SELECT MIN(wrapped) FROM scan WHERE state = 'tray'").await;
    assert_ne!(before, after);
    sqlx::query("UPDATE scan SET wrapped = $1, key_name = '1' WHERE state = 'tray'")
        .bind(&before)
        .execute(&desk.town.registry().await)
        .await
        .unwrap();
    assert_eq!(desk.shown(&loose).await.unwrap_err().code, "MM-5863", "an older copy opens no more");

    // The patient is registered, and the case has them.
    let patient = desk.patient().await;
    desk.town.crash();
    sqlx::query("UPDATE flow_case SET patient = $1")
        .bind(&patient)
        .execute(&desk.town.registry().await)
        .await
        .unwrap();
    desk.town.execute("UPDATE scan SET taken_at = taken_at - 2678400000 WHERE state = 'tray'").await;
    desk.town.start().await;
    desk.town
        .until("the tray is empty", async || {
            desk.town.number("SELECT count(*) FROM scan WHERE key_kind = 'tray'").await == 0
        })
        .await;
    let filed = desk.of_case(&waiting).await.remove(0);
    assert_eq!((filed.key.as_str(), filed.reason), ("patient", None));
    assert!(desk.shown(&filed.scan).await.is_ok());
    assert_eq!(desk.shown(&loose).await.unwrap_err().code, "MM-5861");
    assert_eq!(desk.acts("scan.ended").await, 1);
}

/// Files that nobody should send: each is named, nothing of it is taken, and the room goes on.
#[tokio::test]
async fn e_13_a_hostile_file_is_named_and_leaves_nothing() {
    let desk = Desk::new().await;
    let case = desk.case("C-11", None).await;
    let good = pictured(&desk.printed("様式3", Some(&case)).await, COLOUR);
    let cut = &good[..good.len() / 2];
    let bomb = b"II\x2a\0\x08\0\0\0\x02\0\x00\x01\x04\0\x01\0\0\0\xff\xff\0\0\x01\x01\x04\0\x01\0\0\0\xff\xff\0\0\0\0\0\0";
    for (what, bytes, code) in [
        ("nothing", b"".to_vec(), "MM-5840"),
        ("a workbook", b"PK\x03\x04xl/workbook.xml".to_vec(), "MM-5840"),
        ("a page", b"<script>alert(1)</script>".to_vec(), "MM-5840"),
        ("a cut picture", cut.to_vec(), "MM-5845"),
        ("a pile with a cut picture at its end", pile(&[(&good, 0), (cut, 0)]), "MM-5845"),
        ("a bomb", bomb.to_vec(), "MM-5845"),
        ("too many pages", pile(&vec![(&b""[..], 0); 101]), "MM-5842"),
        ("an encrypted one", b"%PDF-1.7\ntrailer << /Encrypt 4 0 R >>".to_vec(), "MM-5846"),
        ("one that draws by itself", desk.printed("様式3", Some(&case)).await, "MM-5847"),
    ] {
        let report = desk.taken(&bytes, false).await;
        let codes: Vec<&str> = report.faults.iter().map(|fault| fault.trouble.code.as_str()).collect();
        assert_eq!((codes.as_slice(), report.pages.len()), (&[code][..], 0), "{what}");
    }
    assert_eq!(desk.town.number("SELECT count(*) FROM scan").await, 0);
    assert_eq!(desk.forms(&case).await, "[]");
    assert_eq!(went(&desk.taken(&good, false).await), [("filed".to_owned(), None)]);
}

/// For programs: the same, as section B allows.
#[tokio::test]
async fn a_06_a_program_takes_a_scan_in_and_a_facility_does_not() {
    let desk = Desk::new().await;
    let case = desk.case("C-11", None).await;
    let paper = pictured(&desk.printed("様式3", Some(&case)).await, GREY);
    let body = json!({
        "bytes": data_encoding::BASE64.encode(&paper), "came_by": "hand", "dry_run": false,
    });
    let slot = desk.town.number("SELECT 1").await;
    let place = super::town::slot("18-0001");
    let admin = desk.town.admin(&desk.facility, place).await;
    let refused = desk.town.call(&admin, "POST", "/api/scans", Some(body.clone())).await;
    assert_eq!((refused.status, slot), (StatusCode::FORBIDDEN, 1));
    let done = desk.town.call(&desk.office, "POST", "/api/scans", Some(body)).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    let scan = done.json()["pages"][0]["scan"].as_str().unwrap().to_owned();
    let listed = desk.town.call(&desk.office, "GET", &format!("/api/flows/{case}/scans"), None).await;
    assert_eq!(listed.json()[0]["scan"].as_str(), Some(scan.as_str()), "{}", listed.text);
    let seen = desk.town.call(&desk.office, "GET", &format!("/api/scans/{scan}"), None).await;
    assert_eq!((seen.status, &seen.headers["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
    assert_eq!(
        desk.town.call(&admin, "GET", &format!("/api/scans/{scan}"), None).await.status,
        StatusCode::FORBIDDEN
    );
}
