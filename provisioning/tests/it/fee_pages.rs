//! 料金 as a clerk works with them: rehearsed, issued, printed, paid, collected through the bank.

use http::{Request, StatusCode};
use pki::identity::Identity;

use super::pages::{get, kept, location, send};
use super::town::{Answer, Town};

const FORM: &[(&str, &str)] = &[
    ("bank", "０１４７"),
    ("branch", "001"),
    ("kind", "普通"),
    ("number", "7700991"),
    ("holder", "イ）サクラカイ"),
];

impl Town {
    async fn begun(&self) {
        self.execute(
            "INSERT INTO case_step (case_id, step, at, operator)
             SELECT case_id, 'C-12.2', 1773000000000, 'test' FROM office_case WHERE facility IS NOT NULL",
        )
        .await;
    }

    async fn set(&self, office: &Identity, name: &str, value: &str) {
        let form = [("name", name), ("value", value)];
        assert_eq!(location(&send(self, office, "POST", "/fees/settings", &form).await), "/fees/settings");
    }
}

async fn upload(town: &Town, who: &Identity, file: &[u8], on: &str, rehearse: bool) -> Answer {
    let mut body =
        format!("--x9\r\nContent-Disposition: form-data; name=\"on\"\r\n\r\n{on}\r\n--x9\r\n").into_bytes();
    if rehearse {
        body.extend(b"Content-Disposition: form-data; name=\"rehearse\"\r\n\r\nyes\r\n--x9\r\n");
    }
    body.extend(b"Content-Disposition: form-data; name=\"file\"; filename=\"r.txt\"\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--x9--\r\n");
    let request = Request::post("/fees/debit/result")
        .header("mimamori-identity", who.to_string())
        .header("accept", "text/html")
        .header("content-type", "multipart/form-data; boundary=x9")
        .body(body.into());
    town.send(request.unwrap()).await
}

/// F-06, F-08, F-11: nothing is issued by looking; once issued it is printed, found, paid, and listed no more.
#[tokio::test]
async fn f_11_a_clerk_runs_the_year_and_notes_a_payment() {
    let town = Town::new().await;
    town.facilities(5).await;
    town.begun().await;
    let office = town.secretariat().await;
    assert!(get(&town, &office, "/fees?year=2026", "fees-none").await.text.contains("まだありません"));
    let run = get(&town, &office, "/fees/run?year=2026", "fee-run").await;
    assert!(run.text.contains("mimamori fee run --year 2026") && run.text.contains("発行する"));
    let refused =
        kept("fee-run-refused", send(&town, &office, "POST", "/fees/run", &[("year", "2026")]).await);
    assert!(refused.status == StatusCode::CONFLICT && refused.text.contains("MM-5353"));
    assert_eq!(town.number("SELECT count(*) FROM fee_invoice").await, 0);

    let wrong = [("name", "issuer-number"), ("value", "T1")];
    let wrong = kept("fee-settings-wrong", send(&town, &office, "POST", "/fees/settings", &wrong).await);
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("MM-5356"));
    town.set(&office, "issuer-number", "T7000012050002").await;
    town.set(&office, "issuer-bank", "福井銀行 本店 普通 1234567 フクイケンイシカイ").await;
    let settings = get(&town, &office, "/fees/settings", "fee-settings").await;
    assert!(settings.text.contains("T7000012050002") && settings.text.contains("医科・歯科・薬局"));
    for _press in 0..2 {
        let done = send(&town, &office, "POST", "/fees/run", &[("year", "2026")]).await;
        assert_eq!(location(&done), "/fees?year=2026");
    }
    let invoices = town.number("SELECT count(*) FROM fee_invoice").await;
    assert!(invoices > 0);
    let list = get(&town, &office, "/fees?year=2026", "fees").await;
    assert_eq!(list.text.matches("<th scope=\"row\"").count() as i64, invoices, "pressed twice, issued once");
    let found = get(&town, &office, "/fees?year=2026&q=%E3%82%B5%E3%82%AF%E3%83%A9", "fees-found").await;
    assert_eq!(found.text.matches("<th scope=\"row\"").count(), 1, "さくら is found as サクラ");

    let page = get(&town, &office, "/fees/invoices/2026-00001", "fee-invoice").await;
    for wanted in ["T7000012050002", "根拠 F-0", "令和8年度", "御中", "福井銀行"] {
        assert!(page.text.contains(wanted), "{wanted}");
    }
    let print = get(&town, &office, "/fees/print?year=2026", "fee-print").await;
    assert_eq!(print.text.matches("class=\"mm-invoice\"").count() as i64, invoices);
    let paid = "/fees/invoices/2026-00001/paid";
    let ahead = kept("fee-paid-ahead", send(&town, &office, "POST", paid, &[("on", "2200-01-01")]).await);
    assert!(ahead.status == StatusCode::UNPROCESSABLE_ENTITY && ahead.text.contains("MM-5271"));
    for _press in 0..2 {
        let done = send(&town, &office, "POST", paid, &[("on", "2024-05-01")]).await;
        assert_eq!(location(&done), "/fees/invoices/2026-00001");
    }
    get(&town, &office, "/fees/invoices/2026-00001", "fee-invoice-paid").await;
    let unpaid = get(&town, &office, "/fees?year=2026&show=unpaid", "fees-unpaid").await;
    assert!(!unpaid.text.contains("2026-00001"));
    let csv = send(&town, &office, "GET", "/fees/csv?year=2026&show=unpaid", &[]).await;
    assert!(csv.headers["content-disposition"].to_str().unwrap().contains("fees-2026.csv"));
    assert!(csv.text.starts_with('\u{feff}') && !csv.text.contains("2026-00001"));
    assert_eq!(
        send(&town, &office, "GET", "/fees?year=1999999", &[]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        send(&town, &office, "GET", "/fees/invoices/2026-99999", &[]).await.status,
        StatusCode::NOT_FOUND
    );
}

/// F-11: 口座振替 there and back; what the bank collected is paid, the rest stays on the list with its reason.
#[tokio::test]
async fn f_11_debits_go_to_the_bank_and_come_back() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    town.begun().await;
    let office = town.secretariat().await;
    town.set(&office, "issuer-number", "T7000012050002").await;
    send(&town, &office, "POST", "/fees/run", &[("year", "2026")]).await;
    let path = format!("/facilities/{}/account", facilities[0].0);
    get(&town, &office, &path, "fee-account-none").await;
    let kanji = [FORM[0], FORM[1], FORM[2], FORM[3], ("holder", "桜会")];
    let wrong = kept("fee-account-wrong", send(&town, &office, "POST", &path, &kanji).await);
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("MM-5357"));
    assert!(wrong.text.contains("value=\"7700991\""), "nothing typed is lost");
    assert_eq!(location(&send(&town, &office, "POST", &path, FORM).await), path);
    assert!(get(&town, &office, &path, "fee-account").await.text.contains("value=\"ｲ)ｻｸﾗｶｲ\""));
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE body LIKE '%7700991%'").await, 0);

    let unset = get(&town, &office, "/fees/debit?year=2026", "fee-debit-unset").await;
    assert!(unset.text.contains("MM-5359") && !unset.text.contains("ファイルを受け取る"));
    town.set(&office, "debit-code", "12345").await;
    town.set(&office, "debit-name", "フクイケンイシカイ").await;
    town.set(&office, "debit-account", "0147-001-普通-7654321").await;
    let page = get(&town, &office, "/fees/debit?year=2026&on=2199-06-26", "fee-debit").await;
    assert!(page.text.contains("1件") && page.text.contains("口座の登録がない未入金が1件"));
    let form = [("year", "2026"), ("on", "2199-06-26")];
    let file = bytes(&town, &office, &form).await;
    assert_eq!((file.len(), &file[..3]), (4 * 122, &b"191"[..]));
    assert_eq!(bytes(&town, &office, &form).await, file, "asked twice on one day, the same file");

    // The bank could not collect it, then it could.
    let answered = |code: u8| {
        let mut file = file.clone();
        let total = file[2 * 122 + 7..2 * 122 + 19].to_vec();
        file[122 + 111] = b'0' + code;
        let at = 2 * 122 + if code == 0 { 19 } else { 37 };
        file[at..at + 6].copy_from_slice(b"000001");
        file[at + 6..at + 18].copy_from_slice(&total);
        file
    };
    let short = kept("fee-debit-short", upload(&town, &office, &answered(1), "2024-06-26", false).await);
    assert!(short.status == StatusCode::OK && short.text.contains("資金不足"));
    let paid = "SELECT count(*) FROM fee_invoice WHERE state = 'paid'";
    assert_eq!(town.number(paid).await, 0);
    upload(&town, &office, &answered(0), "2024-06-26", true).await;
    assert_eq!(town.number(paid).await, 0, "a rehearsal notes nothing");
    for _again in 0..2 {
        let done = kept("fee-debit-done", upload(&town, &office, &answered(0), "2024-06-26", false).await);
        assert_eq!(done.status, StatusCode::OK);
    }
    assert_eq!(town.number(paid).await, 1);
    let cut = kept("fee-debit-cut", upload(&town, &office, &file[..300], "2024-06-26", false).await);
    assert!(cut.status == StatusCode::UNPROCESSABLE_ENTITY && cut.text.contains("MM-5360"));

    let admin = town.admin(&facilities[0].0, facilities[0].1).await;
    for path in
        ["/fees", "/fees/run", "/fees/settings", "/fees/csv", "/fees/print", "/fees/debit", path.as_str()]
    {
        assert_eq!(send(&town, &admin, "GET", path, &[]).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(upload(&town, &admin, &answered(0), "2024-06-26", false).await.status, StatusCode::FORBIDDEN);
    for path in
        ["/fees/run", "/fees/settings", "/fees/debit/file", "/fees/invoices/2026-00002/paid", path.as_str()]
    {
        assert_eq!(send(&town, &admin, "POST", path, FORM).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

/// The bank's octets are no text.
async fn bytes(town: &Town, office: &Identity, form: &[(&str, &str)]) -> Vec<u8> {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let coded: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = Request::post("/fees/debit/file")
        .header("mimamori-identity", office.to_string())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(coded.join("&")))
        .unwrap();
    let answer = town.begin(town.room().router().oneshot(request)).await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.into_body().collect().await.unwrap().to_bytes().to_vec()
}
