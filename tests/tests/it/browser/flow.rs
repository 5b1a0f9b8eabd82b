//! From the clerk's acceptance to a lost device, by screens alone; each step says what the person sees.
//! Devices: the secretariat's desk (18-0000), the clinic's phone (18-0001), the nurses' desk (18-0003), and the
//! clinic's second phone (18-0002), which is enrolled by two QR codes.

use std::fs;
use std::path::Path;

use tests::browser::album::Album;
use tests::browser::screen::{Screen, Size};
use tests::browser::{Browser, scan};
use tests::device::{Device, Handover, Sheet};
use tests::hands::{self, Hands};
use tests::shell::{self, PATIENCE};
use tests::world::{World, ZONE};
use tests::{Fault, Told, forms, holds, paperwork};

use super::passkey;
use super::town::{self, OWN_PASSWORD};

const PATIENT: &str = "福井 花子（架空）";
const STAFF_PASSWORD: &str = "asuwa-gawa-no-sakura-7";
const FIRST_POST: &str = "昨夜より38.2度の発熱あり。右下肺野に湿性ラ音、抗菌薬を開始しました。";
const SECOND_POST: &str = "本日の訪問で体温37.1度。呼吸は落ち着いています。";

/// One of the staff, as the admin registers them.
struct Staff {
    name: &'static str,
    profession: &'static str,
    login: &'static str,
}

const DOCTOR: Staff = Staff { name: "港 次郎", profession: "医師", login: "iryou@minato.example.jp" };
const NURSE: Staff = Staff { name: "足羽 文", profession: "看護師", login: "kango@asuwa.example.jp" };

#[test]
fn a_clerk_an_admin_and_a_nurse_do_their_day_on_screens() {
    town::play(|world| {
        let album = Album::open()?;
        day(world, &album)?;
        album.close()
    });
}

fn day(world: &mut World, album: &Album) -> Told<()> {
    for (what, words) in [("a patient's name", PATIENT), ("a post", FIRST_POST), ("a post", SECOND_POST)] {
        world.needles.patient(what, words);
    }
    world.needles.forgotten("a staff password", STAFF_PASSWORD);

    let office = Hands::with_bundle(world, "18-0000", Size::Desktop)?;
    enrol(world, &office, album, Some("office"))?;
    let clerk = office.open("office", "/")?;
    hands::sign_in(&clerk, paperwork::OPERATOR_LOGIN, OWN_PASSWORD)?;
    cases_become_slots(&clerk, album)?;

    let clinic = Hands::with_bundle(world, "18-0001", Size::Phone)?;
    enrol(world, &clinic, album, None)?;
    let nurses = Hands::with_bundle(world, "18-0003", Size::Desktop)?;
    enrol(world, &nurses, album, None)?;
    office_lists(&clerk, album)?;
    a_patient_is_registered(&clerk, album)?;

    let doctor_first = staff(world, &clinic, forms::CLINIC_A, &DOCTOR, album)?;
    let nurse_first = staff(world, &nurses, forms::NURSES_B, &NURSE, album)?;
    let doctor = first_sign_in(&clinic, &DOCTOR, &doctor_first, album)?;
    let nurse = first_sign_in(&nurses, &NURSE, &nurse_first, album)?;
    post_and_acknowledge(&doctor, &nurse, album)?;
    foreign_and_broken_cookies(&nurses, &nurse, &doctor, album)?;
    passkey::registered_used_and_given_up(&clinic, &doctor, STAFF_PASSWORD, album)?;

    let admin = clinic_admin(&clinic, &doctor)?;
    let second = second_device(world, &admin, album)?;
    lost(world, &admin, &second, album)?;
    for screen in [&clerk, &doctor, &nurse, &admin] {
        holds!(screen.complaints().is_empty(), "a page complains: {:?}", screen.complaints());
    }
    Ok(())
}

/// The claim at the page, from the sheet to a certificate in the store; with a name its states are photographed.
fn enrol(world: &mut World, hands: &Hands, album: &Album, shots: Option<&str>) -> Told<()> {
    let page = hands.claim_page()?;
    if shots.is_some() {
        album.page(&page, "claim-1-form")?;
        start_and_help(world, &page, album)?;
        page.go(&hands.device.url("claim", "/"))?;
        hands::ready(&page)?;
    }
    hands.type_sheet(&page)?;
    page.fill("これから使う、ご自身のパスワード", OWN_PASSWORD)?;
    page.fill("この端末の呼び名", "受付のパソコン")?;
    page.sees("使える長さです")?;
    page.tap("登録する")?;
    page.sees("登録できました")?;
    if shots.is_some() {
        album.page(&page, "claim-2-result")?;
    }
    let saved = hands::save(&page, &hands.device.slot)?;
    holds!(page.complaints().is_empty(), "the claim page complains: {:?}", page.complaints());
    drop(page);
    hands.put_in_place(world, &saved)
}

fn start_and_help(world: &World, page: &Screen, album: &Album) -> Told<()> {
    page.go(&format!("http://{}/", world.plan.gateway_open()))?;
    album.page(page, "start")?;
    page.follow("つながらないとき")?;
    page.sees("確認番号")?;
    album.page(page, "help")
}

/// A-05, B-01: one case alone, the others together; each page says first what will happen.
fn cases_become_slots(clerk: &Screen, album: &Album) -> Told<()> {
    clerk.sees("受理を待つ申込 3件")?;
    album.page(clerk, "office-home")?;
    clerk.follow(forms::CLINIC_A)?;
    clerk.sees("VPN番号 18-0001、18-0002 を割り当てます")?;
    album.page(clerk, "office-case")?;
    clerk.follow("受理する")?;
    clerk.sees_not("受理すると、次のことが起きます")?;
    album.page(clerk, "office-case-accepted")?;
    clerk.follow("申込")?;
    album.page(clerk, "office-cases")?;
    clerk.follow("受理待ちの2件をまとめて確かめる")?;
    album.page(clerk, "office-cases-accept")?;
    clerk.follow("2件を受理する")?;
    clerk.sees_not("受理待ちの")
}

fn office_lists(clerk: &Screen, album: &Album) -> Told<()> {
    clerk.follow("事業所")?;
    album.page(clerk, "office-facilities")?;
    clerk.follow(forms::CLINIC_A)?;
    clerk.sees("受付のパソコン")?;
    album.page(clerk, "office-facility")?;
    clerk.follow("VPN番号")?;
    clerk.sees("18-0005")?;
    album.page(clerk, "office-slots")?;
    clerk.follow("18-0001")?;
    clerk.sees("利用中")?;
    album.page(clerk, "office-slot")?;
    clerk.follow("利用停止…")?;
    album.page(clerk, "office-revoke")?;
    clerk.follow("ホーム")?;
    clerk.sees("本登録を待つ端末")?;
    album.page(clerk, "office-home-later")
}

/// B-09: the patient with the consent's date and origin, then the second facility.
fn a_patient_is_registered(clerk: &Screen, album: &Album) -> Told<()> {
    clerk.follow("患者")?;
    album.page(clerk, "office-patients-empty")?;
    clerk.fill("氏名", PATIENT)?;
    clerk.fill("ふりがな", "ふくい はなこ")?;
    clerk.fill("同意書の日付", "2026-11-10")?;
    clerk.fill("連携元", forms::CLINIC_A)?;
    clerk.follow("登録する")?;
    clerk.sees(PATIENT)?;
    clerk.fill("紐づける事業所", forms::NURSES_B)?;
    clerk.follow("紐づける")?;
    clerk.sees(&format!("{}、{}", forms::CLINIC_A, forms::NURSES_B))?;
    album.page(clerk, "office-patients")
}

/// The facility's admin signs in at the office's site, beside the doctor's page.
fn clinic_admin(hands: &Hands, beside: &Screen) -> Told<Screen> {
    let admin = beside.another()?;
    admin.go(&hands.device.url("office", "/"))?;
    hands::sign_in(&admin, &forms::admin_address(forms::CLINIC_A), OWN_PASSWORD)?;
    Ok(admin)
}

/// B-14, B-15: one of the staff is registered and put into the team; the page shows the first password once.
fn staff(world: &mut World, hands: &Hands, facility: &str, staff: &Staff, album: &Album) -> Told<String> {
    let admin = hands.open("office", "/")?;
    hands::sign_in(&admin, &forms::admin_address(facility), OWN_PASSWORD)?;
    admin.sees("受付のパソコン")?;
    album.page(&admin, "admin-devices")?;
    admin.follow("利用者")?;
    admin.fill("氏名", staff.name)?;
    admin.fill("職種", staff.profession)?;
    admin.fill("ログインID", staff.login)?;
    admin.fill("誓約書", "2026-11-01")?;
    album.page(&admin, "admin-people-form")?;
    admin.follow("登録して、はじめのパスワードを出す")?;
    admin.sees("この画面は一度しか出せません")?;
    album.page(&admin, "admin-person-made")?;
    let first = admin.text_of(".mm-slip > dl > div:nth-child(2) > dd")?;
    world.needles.forgotten("a handed-over password", &first);
    admin.follow("利用者の一覧へ")?;
    admin.sees("はじめのログイン待ち")?;
    album.page(&admin, "admin-people")?;
    admin.follow("患者")?;
    admin.fill("チームに加える人", staff.name)?;
    admin.follow("加える")?;
    album.page(&admin, "admin-patients")?;
    Ok(first)
}

/// P-09: the handed-over password opens nothing but the page that changes it.
fn first_sign_in(hands: &Hands, staff: &Staff, first: &str, album: &Album) -> Told<Screen> {
    let screen = hands.open("sns", "/")?;
    screen.sees("ログインID")?;
    album.page(&screen, "sign-in")?;
    hands::sign_in(&screen, staff.login, "kore-wa-chigau-0000")?;
    screen.sees("ログインできませんでした")?;
    album.page(&screen, "sign-in-wrong")?;
    hands::sign_in(&screen, staff.login, first)?;
    screen.sees("はじめてのログインです")?;
    album.page(&screen, "password")?;
    screen.go(&hands.device.url("sns", "/"))?;
    screen.sees("はじめてのログインです")?;
    change(&screen, first, "12345678")?;
    album.page(&screen, "password-weak")?;
    change(&screen, first, STAFF_PASSWORD)?;
    screen.sees("患者一覧")?;
    album.page(&screen, "sns-teams")?;
    screen.follow("福井 花子")?;
    screen.sees("まだ投稿はありません")?;
    Ok(screen)
}

fn change(screen: &Screen, old: &str, new: &str) -> Told<()> {
    screen.fill("いまのパスワード", old)?;
    screen.fill("新しいパスワード", new)?;
    screen.follow("変更する")
}

/// s6 on two screens: the nurse sees the post come, the doctor sees 了解 come; neither reloads.
fn post_and_acknowledge(doctor: &Screen, nurse: &Screen, album: &Album) -> Told<()> {
    for screen in [doctor, nurse] {
        screen.run("void (window.sameDocument = true)")?;
    }
    write(doctor, FIRST_POST)?;
    doctor.run("void (window.sameDocument = true)")?;
    nurse.sees(FIRST_POST)?;
    nurse.sees("新しい投稿が1件届きました")?;
    nurse.sees_not("新しい投稿を確かめる")?;
    holds!(nurse.run("window.sameDocument === true")? == true, "the nurse's page was loaded again");
    album.page(nurse, "sns-team-new-post")?;
    nurse.follow_in(FIRST_POST, "了解")?;
    doctor.sees("了解 1人・1施設")?;
    holds!(doctor.run("window.sameDocument === true")? == true, "the doctor's page was loaded again");
    write(nurse, SECOND_POST)?;
    doctor.sees(SECOND_POST)?;
    doctor.tap("了解 1人")?;
    doctor.sees(NURSE.name)?;
    album.page(doctor, "sns-team")
}

fn write(screen: &Screen, text: &str) -> Told<()> {
    screen.tap("投稿する")?;
    screen.fill("本文", text)?;
    screen.follow_in("本文", "投稿する")?;
    screen.sees(text)
}

/// Somebody else's cookie, and rubbish: both are nobody, and nobody is asked to sign in.
fn foreign_and_broken_cookies(hands: &Hands, nurse: &Screen, doctor: &Screen, album: &Album) -> Told<()> {
    let url = hands.device.url("sns", "/");
    let held = |screen: &Screen| -> Told<String> {
        let jar = screen.ask("Network.getCookies", serde_json::json!({"urls": [url]}))?;
        let cookie =
            jar["cookies"].as_array().into_iter().flatten().find(|cookie| cookie["name"] == "__Host-session");
        let cookie = cookie.and_then(|cookie| cookie["value"].as_str());
        cookie.map(str::to_owned).ok_or_else(|| Fault::new("a signed-in browser without a cookie"))
    };
    let set = |value: &str| {
        let cookie = serde_json::json!({"name": "__Host-session", "value": value, "url": url,
            "secure": true, "httpOnly": true, "sameSite": "Strict", "path": "/"});
        nurse.ask("Network.setCookie", cookie).map(|_| ())
    };
    let (own, others) = (held(nurse)?, held(doctor)?);
    for wrong in [others.as_str(), "x", "%00%ff", &"A".repeat(3000)] {
        set(wrong)?;
        nurse.go(&url)?;
        nurse.sees("ログインID")?;
        nurse.sees_not("患者一覧")?;
    }
    set(&own)?;
    nurse.go(&url)?;
    nurse.sees("患者一覧")?;
    for (path, name) in [("/nothing/here", "sns-not-found"), ("/teams/t-aaaaaaaaaaaaaaaa", "sns-no-team")] {
        nurse.go(&hands.device.url("sns", path))?;
        album.page(nurse, name)?;
        nurse.sees_not("福井 花子")?;
    }
    Ok(())
}

/// Ruling 5: the two codes on the admin's screen, read by a camera, are all that the new device is given.
fn second_device(world: &mut World, admin: &Screen, album: &Album) -> Told<Screen> {
    admin.follow("端末を追加")?;
    admin.sees("18-0002")?;
    album.page(admin, "admin-add")?;
    admin.fill("端末の呼び名", "訪問用タブレット")?;
    admin.follow("QRコードを表示する")?;
    album.page(admin, "admin-codes")?;
    let folder = world.folder.join("scanned");
    fs::create_dir_all(&folder)?;
    let profile = scan(&admin.picture(Some(".mm-codes > li:nth-child(1) .mm-qr"))?, &folder)?;
    let page = scan(&admin.picture(Some(".mm-codes > li:nth-child(3) .mm-qr"))?, &folder)?;
    let finger = admin.text_of(".mm-finger")?;

    let hands = scanned(world, &folder, &profile, &page)?;
    trust_what_the_start_page_gives(world, &hands, &finger, album)?;
    let claim = hands.browser.start(hands.size)?;
    claim.go(&page)?;
    hands::ready(&claim)?;
    holds!(claim.run("location.hash")? == "", "number and password stay in the address bar");
    claim.tap("登録する")?;
    let saved = hands::save(&claim, &hands.device.slot)?;
    drop(claim);
    hands.put_in_place(world, &saved)?;
    let team = hands.open("sns", "/")?;
    hands::sign_in(&team, DOCTOR.login, STAFF_PASSWORD)?;
    team.follow("福井 花子")?;
    team.sees(SECOND_POST)?;
    Ok(team)
}

/// A device that nothing was mailed to: its profile was read by WireGuard's camera.
fn scanned(world: &mut World, folder: &Path, profile: &str, page: &str) -> Told<Hands> {
    let words = |name: &str| {
        let found = page.split(['#', '&']).find_map(|part| part.strip_prefix(&format!("{name}=")));
        found.map(str::to_owned).ok_or_else(|| Fault::new(format!("the claim code has no {name}")))
    };
    let sheet = Sheet { number: words("number")?, password: words("password")? };
    world.needles.secret("a scanned password", &sheet.password);
    // Nothing is trusted yet: the root comes from the start page.
    fs::write(folder.join("none.crt"), "")?;
    let handover = Handover { bundle: folder.to_owned(), sheet };
    let space = world.net.add_device()?;
    let interface = world.net.interface_name();
    let place = world.folder.join("18-0002");
    let device = Device::new("18-0002", space, interface, place, handover, ZONE, Path::new("/nonexistent"))?;
    device.raise(profile)?;
    let browser = Browser::new(&device.space, &device.folder, "own")?;
    browser.choose_certificate_by_policy(ZONE)?;
    Ok(Hands { device, browser, size: Size::Phone })
}

/// The admin's screen shows the fingerprint that the saved file must have.
fn trust_what_the_start_page_gives(world: &World, hands: &Hands, finger: &str, album: &Album) -> Told<()> {
    let start = hands.browser.start(hands.size)?;
    start.cannot_go(&hands.device.url("claim", "/"))?;
    start.go(&format!("http://{}/", world.plan.gateway_open()))?;
    album.page(&start, "start-second")?;
    let root = start.download("ルート証明書を受け取る", "root.crt")?;
    let mut openssl = hands.device.space.command("openssl");
    openssl.args(["x509", "-inform", "DER", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&root);
    let said = shell::run(openssl)?.ok("the fingerprint of the saved root")?.text();
    let hex = |text: &str| -> String {
        let text = text.rsplit('=').next().unwrap_or_default();
        text.chars().filter(char::is_ascii_hexdigit).map(|c| c.to_ascii_uppercase()).collect()
    };
    holds!(hex(&said) == hex(finger), "the root's fingerprint is {said}, the screen says {finger}");
    hands.browser.trust(&root)
}

/// B-08: two taps, and the device is out; its stream, its session and its tunnel are gone, the others stay.
fn lost(world: &mut World, admin: &Screen, second: &Screen, album: &Album) -> Told<()> {
    let reaches = |patience: u32| {
        second.run(&format!(
            "fetch('/', {{signal: AbortSignal.timeout({patience})}}).then(r => r.ok, () => false)"
        ))
    };
    holds!(reaches(50_000)? == true, "the second device does not reach the SNS before it is lost");
    admin.follow("端末の一覧へ")?;
    admin.follow_in("18-0002", "なくした…")?;
    album.page(admin, "admin-lost")?;
    admin.follow("なくしたので、いますぐ止める")?;
    shell::until("every point to acknowledge", PATIENCE, || {
        let done = admin.text()?.contains("の端末は、もう使えません");
        if !done {
            admin.reload()?;
        }
        Ok(done.then_some(()))
    })?;
    album.page(admin, "admin-receipt")?;
    // The receipt says that it is out: a request made now hangs or fails, however long one waits.
    holds!(reaches(5_000)? == false, "a lost device still reaches the SNS");
    admin.follow("端末")?;
    admin.sees("利用を停止した端末")?;
    album.page(admin, "admin-devices-later")?;
    let slot = world.server.ok(&["slot", "show", "18-0002"])?;
    holds!(slot["row"]["state"] == "cooling", "the registry says {}", slot["row"]["state"]);
    world.server.ok(&["audit", "verify"])?;
    world.server.stop()?;
    world.needles.absent_from_log(&world.server.log)?;
    world.needles.absent_below(&world.server.home)?;
    Ok(())
}
