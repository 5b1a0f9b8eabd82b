//! The office's API as data: every question of the operator's door that the association's own programs may ask, where it
//! stands, and the action of section B that it needs. What a program may not ask is named, too. Pure.

use crate::decide::Action;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Changes nothing; its fields are the query's.
    Get,
    /// Its fields are a JSON body.
    Post,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// One question at one place.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub method: Method,
    /// Names in braces are fields of the question.
    pub path: &'static str,
    /// The variant of `ProvisioningQuestion`, and of the question in it.
    pub question: &'static str,
    /// The variant of `ProvisioningAnswer` that comes back when nothing is wrong.
    pub answer: &'static str,
    pub action: Action,
    /// What it does, for whoever looks for it.
    pub ja: &'static str,
}

impl Operation {
    /// The first word after `/api/`.
    pub fn tag(&self) -> &'static str {
        self.path.split('/').nth(2).unwrap_or_default()
    }

    /// Names in braces, in their order.
    pub fn places(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

const fn get(
    path: &'static str,
    question: &'static str,
    answer: &'static str,
    action: Action,
    ja: &'static str,
) -> Operation {
    Operation { method: Method::Get, path, question, answer, action, ja }
}

const fn post(
    path: &'static str,
    question: &'static str,
    answer: &'static str,
    action: Action,
    ja: &'static str,
) -> Operation {
    Operation { method: Method::Post, path, question, answer, action, ja }
}

use Action::*;

/// All of it is the secretariat's: what a facility's admin may do stands beside its handlers.
#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    get("/api/status", "Status", "Status", SeeHome, "台帳の現況（件数）"),

    get("/api/facilities", "FacilityList", "Facilities", ListFacilities, "施設の一覧"),
    get("/api/facilities/template", "FacilityTemplate", "File", AcceptCase, "様式1（空欄）"),
    post("/api/facilities/import", "FacilityImport", "Import", AcceptCase, "様式1の取り込み"),
    post("/api/facilities/{facility}/admin-address", "FacilityAdminAddress", "AddressChanged", ChangeAdmin,
        "施設内管理者のメールアドレスの変更（様式3）"),
    post("/api/facilities/{facility}/delivery", "Post.FacilityDelivery", "Post.Delivery", SendPost,
        "届け方：メール、二通の封筒、手渡し"),
    get("/api/facilities/{facility}/ledger", "Paper.Ledger", "File", SeeRegister, "管理台帳"),
    post("/api/facilities/{facility}/account", "Fee.Account", "Fee.Account", ManageFees, "口座振替の口座"),

    get("/api/takeovers", "Takeover.List", "Takeovers", TakeOver, "ほかで付けていた台帳から引き継いだ施設"),
    get("/api/takeovers/template", "Takeover.Template", "File", TakeOver, "引継ぎ台帳（空欄）"),
    post("/api/takeovers", "Takeover.Import", "Import", TakeOver, "引継ぎ台帳の取り込み"),
    post("/api/takeovers/{batch}/start", "Takeover.Start", "Takeovers", TakeOver, "引き継いだ施設の開始：最初のVPN番号の接続ファイル"),
    post("/api/takeovers/{batch}/undo", "Takeover.Undo", "Takeovers", TakeOver, "引き継いだ1施設を、開始する前に元に戻す"),

    get("/api/cases", "CaseList", "Cases", ListCases, "受付の一覧"),
    get("/api/cases/{case}", "CaseShow", "Case", ListCases, "受付1件"),
    post("/api/cases/accept", "CaseAccept", "Accepted", AcceptCase, "受理：VPN番号の割り当てと接続ファイルの送付"),
    post("/api/cases/{case}/delivery", "Post.CaseDelivery", "Post.Delivery", SendPost, "届け方：メール、二通の封筒、手渡し"),

    get("/api/slots", "SlotList", "Slots", ListSlots, "VPN番号の一覧"),
    get("/api/slots/{slot}", "SlotShow", "Slot", ListSlots, "VPN番号1つと、その履歴"),
    post("/api/slots/{slot}/extend", "SlotExtend", "Renewed", RenewBundle, "登録期限の延長"),
    post("/api/slots/{slot}/reissue", "SlotReissue", "Renewed", RenewBundle, "接続ファイルの再発行"),
    post("/api/slots/{slot}/new-sheet", "Post.NewSheet", "Renewed", RenewBundle, "用紙の再発行：別の番号とパスワード"),
    post("/api/slots/{slot}/suspend", "Call.Suspend", "Change", AnswerCall, "一時停止"),
    post("/api/slots/{slot}/resume", "Call.Resume", "Change", AnswerCall, "再開"),
    post("/api/slots/{slot}/unlock", "Call.Unlock", "Change", AnswerCall, "解錠"),
    post("/api/slots/{slot}/revoke", "DeviceRevoke", "Receipt", RevokeDevice, "端末の失効（控えつき）"),
    get("/api/receipts/{receipt}", "ReceiptShow", "Receipt", SeeReceipt, "失効の控え"),

    get("/api/letters", "OutboxList", "Outbox", SeeLetters, "送った（送る）メールと紙"),
    post("/api/letters/{message}/retry", "OutboxRetry", "Letter", SendLetter, "すぐに送り直す"),
    post("/api/letters/bounce", "MailBounce", "Letter", SendLetter, "返ってきたメールを読ませる"),
    post("/api/letters/fetch", "MailFetch", "Bounces", SendLetter, "返送用の受信箱を今すぐ見る"),

    get("/api/post", "Post.Waiting", "Post.Waiting", SeePost, "発送を待つもの"),
    get("/api/post/runs", "Post.Runs", "Post.Runs", SeePost, "発送の一覧"),
    post("/api/post/runs", "Post.Take", "Post.Run", SendPost, "発送できるものを一つの発送にまとめる"),
    get("/api/post/runs/{run}", "Post.Run", "Post.Run", SeePost, "発送1件と、その封筒"),
    post("/api/post/runs/{run}/print", "Post.Print", "File", SendPost, "発送の印刷（PDF）。番号とパスワードは一度だけ"),
    get("/api/post/runs/{run}/labels", "Post.Labels", "File", SeePost, "宛名ラベル（PDF）"),
    post("/api/post/runs/{run}/sent", "Post.Sent", "Post.Run", SendPost, "発送した"),
    post("/api/post/runs/{run}/undo", "Post.Undo", "Post.Run", SendPost, "発送を取り消す"),
    get("/api/post/items", "Post.Find", "Post.Items", SeePost, "発送した郵便を探す"),
    get("/api/post/back", "Post.Back", "Post.Items", SeePost, "戻った郵便"),
    post("/api/post/items/{item}/returned", "Post.Returned", "Post.Item", SendPost, "返戻：理由と日付"),
    post("/api/post/items/{item}/settle", "Post.Settle", "Post.Item", SendPost, "戻った郵便の手続き"),

    get("/api/accounts", "Person.List", "People", SeePerson, "利用者の一覧・検索"),
    post("/api/accounts/{person}/suspend", "Person.Suspend", "PersonChanged", SuspendPerson, "利用停止（緊急停止）"),
    post("/api/accounts/{person}/resume", "Person.Resume", "PersonChanged", ResumePerson, "利用の再開"),
    post("/api/accounts/{person}/password", "Person.Password", "FirstPassword", RenewPassword, "初期パスワードの再発行"),

    get("/api/flows", "Flow.List", "Flow.Cases", ListFlows, "手続きの一覧"),
    get("/api/flows/{case}", "Flow.Show", "Flow.Case", ListFlows, "手続き1件"),
    post("/api/flows", "Flow.Open", "Flow.Case", DriveFlow, "手続きを開く"),
    post("/api/flows/{case}/act", "Flow.Act", "Flow.Case", DriveFlow, "手続きを進める"),
    get("/api/forms/{form}", "Paper.Form", "File", DriveFlow, "様式2〜8（空欄、または手続きの内容入り）"),
    post("/api/forms/import", "Paper.Import", "Import", DriveFlow, "戻ってきた様式2〜8の取り込み"),

    get("/api/flows/{case}/scans", "Scan.List", "Scan.Lines", SeeScans, "手続き1件のスキャン"),
    get("/api/scans", "Scan.Tray", "Scan.Lines", SeeScans, "仕分け待ちのスキャン"),
    post("/api/scans", "Scan.Take", "Scan.Taken", SortScans, "スキャンの取り込み（PNG・JPEG・TIFF・PDF）"),
    get("/api/scans/{scan}", "Scan.Show", "File", SeeScans, "スキャン1ページの画像（見た人を記録）"),
    post("/api/scans/{scan}/file", "Scan.File", "Scan.Line", SortScans, "仕分け待ちのページを手続きへ"),
    post("/api/scans/{scan}/discard", "Scan.Discard", "Scan.Line", SortScans, "仕分け待ちのページを破棄"),

    get("/api/register", "Register.List", "Register.Lines", SeeRegister, "誓約書・研修の台帳"),
    post("/api/register/training", "Register.Training", "Register.Noted", NoteTraining, "研修の受講を記録"),
    get("/api/device-requests", "More.List", "More.Lines", DecideDevices, "端末追加の申請の一覧"),
    post("/api/device-requests/{request}", "More.Decide", "More.Decided", DecideDevices, "端末追加の申請を認める・認めない"),
    get("/api/yearly", "Yearly.List", "Yearly.Progress", SeeYearly, "年次更新の進みぐあい"),
    post("/api/yearly", "Yearly.Open", "Yearly.Round", ManageYearly, "年次更新を始める・日を変える"),
    post("/api/yearly/{facility}/called", "Yearly.Called", "Yearly.Called", ManageYearly, "電話した旨の記録"),

    get("/api/incidents", "Incident.List", "Incident.Lines", SeeIncidents, "事故の一覧"),
    get("/api/incidents/{incident}", "Incident.Show", "Incident.Detail", SeeIncidents, "事故1件と報告の期限"),
    post("/api/incidents", "Incident.Open", "Incident.Detail", ReportIncident, "事故の報告"),
    post("/api/incidents/{incident}/steps", "Incident.Step", "Incident.Detail", DriveIncident, "事故の対応を記録"),

    post("/api/fees/quote", "Fee.Quote", "Fee.Quote", SeeFees, "利用料の試算"),
    post("/api/fees/run", "Fee.Run", "Fee.Run", ManageFees, "年度の請求"),
    get("/api/fees/invoices", "Fee.List", "Fee.Invoices", SeeFees, "請求書の一覧"),
    get("/api/fees/invoices.csv", "Fee.Csv", "Fee.File", SeeFees, "請求書の一覧（CSV）"),
    get("/api/fees/invoices.html", "Fee.Pages", "Fee.Pages", SeeFees, "請求書（印刷用のページ）"),
    post("/api/fees/invoices/{invoice}/paid", "Fee.Paid", "Fee.Invoices", ManageFees, "入金の記録"),
    post("/api/fees/debit", "Fee.Debit", "Fee.Debit", ManageFees, "口座振替の請求ファイル（全銀）"),
    post("/api/fees/debit/result", "Fee.Settle", "Fee.Settled", ManageFees, "口座振替の結果ファイル"),
    get("/api/fees/settings", "Fee.Settings", "Fee.Settings", SeeFees, "料金の決まり"),
    post("/api/fees/settings/{name}", "Fee.Set", "Fee.Settings", ManageFees, "料金の決まりを変える"),

    get("/api/report/{year}", "Report.Year", "Report", SeeReport, "年度の運用報告"),
    get("/api/map", "Paper.Map", "File", EditMap, "住民向けの資源マップ"),
];

/// Questions that stay at the operator's door, and why.
pub const NOT_OFFERED: &[(&str, &str)] = &[
    ("DeviceList", "GET /api/devices answers it for the secretariat and for a facility's admin"),
    ("MailDns", "the mail's DNS records are the network engineer's work, over SSH"),
    ("AuditList", "whoever acts over the API does not read the trail of it: over SSH"),
    ("AuditVerify", "as AuditList"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_place_and_a_question_stand_once() {
        let places: BTreeSet<_> = OPERATIONS.iter().map(|one| (one.method.as_str(), one.path)).collect();
        let questions: BTreeSet<_> = OPERATIONS.iter().map(|one| one.question).collect();
        assert_eq!((places.len(), questions.len()), (OPERATIONS.len(), OPERATIONS.len()));
        for (name, _) in NOT_OFFERED {
            assert!(!questions.contains(name), "{name}");
        }
    }

    #[test]
    fn the_names_in_a_path_are_read() {
        let one = OPERATIONS.iter().find(|one| one.question == "Yearly.Called").unwrap();
        assert_eq!((one.tag(), one.places().collect::<Vec<_>>()), ("yearly", vec!["facility"]));
    }
}
