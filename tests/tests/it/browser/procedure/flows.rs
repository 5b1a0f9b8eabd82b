//! The flows in the order of one year: what each is opened with, who is written to, what people do beside the clerk, and
//! what they see when it is over.

use serde_json::json;
use tests::browser::screen::Size;
use tests::clerk::{Clerk, Plan};
use tests::hands::{self, Hands};
use tests::shell::{self, PATIENCE};
use tests::world::World;
use tests::{Told, forms, holds};

use super::people::{self, Cast, DAUGHTER, DOCTOR, FAMILY, HANAKO, House, NURSE, PATIENT_SELF, POSTS, TARO};

const CLINIC: &str = forms::CLINIC_A;
const NURSES: &str = forms::NURSES_B;
const DENTIST: &str = forms::DENTIST_C;
/// C-11 changes it so.
const CLINIC_LATER: &str = "みなと内科クリニック 在宅部";

/// Before the papers are there, and when the case is at its end.
pub const BEFORE: &str = "before";
pub const AFTER: &str = "after";

pub type Act = fn(&mut Cast, &mut World, &Clerk<'_>, &str, &str) -> Told<()>;

#[rustfmt::skip]
pub const ALL: &[(Plan, Act)] = &[
    (Plan {
        flow: "C-12", name: "事業所の利用開始", facility: CLINIC, is_new: true,
        papers: &["様式1", "様式2"], answers: &[("pledge-exists", true), ("team-ready", false)],
        mails: &[("C-12.1", "仮登録完了", &[CLINIC])], ..Plan::EMPTY
    }, c_12),
    (Plan {
        flow: "C-1", name: "①新規作成（家族なし）", facility: CLINIC,
        papers: &["様式1", "様式2", "様式5"], answers: &[("pledge-exists", true)],
        mails: &[("C-1.6", "仮登録完了", &[CLINIC])], ..Plan::EMPTY
    }, c_1),
    (Plan {
        flow: "C-2", name: "②新規作成（家族あり）", facility: CLINIC, patient: TARO,
        papers: &["様式1", "様式2", "様式5"], answers: &[("pledge-exists", true)],
        mails: &[("C-2.6", "仮登録完了", &[CLINIC]), ("C-2.15", "仮登録完了", &[FAMILY])], ..Plan::EMPTY
    }, c_2),
    (Plan {
        flow: "C-5", name: "⑤途中参加 新規事業所（家族なし）", facility: NURSES, is_new: true, patient: HANAKO,
        papers: &["様式8", "様式1", "様式2"], answers: &[("facility-new", true), ("pledge-exists", true)],
        mails: &[("C-5.5", "仮登録完了", &[NURSES]), ("C-5.12", "事業所の参加", &[CLINIC])], ..Plan::EMPTY
    }, c_5),
    (Plan {
        flow: "C-6", name: "⑥途中参加 新規事業所（家族あり）", facility: NURSES, patient: TARO,
        papers: &["様式8"], answers: &[("facility-new", false), ("pledge-exists", true)],
        // P-12: the family is no admin who is written to.
        mails: &[("C-6.12", "事業所の参加", &[CLINIC])], ..Plan::EMPTY
    }, c_6),
    (Plan {
        flow: "C-3", name: "③サービス事業所追加", facility: DENTIST, is_new: true, patient: HANAKO,
        papers: &["様式8", "様式1", "様式2"],
        answers: &[("facility-new", true), ("pledge-exists", true), ("team-has-others", true)],
        mails: &[("C-3.5", "仮登録完了", &[DENTIST]), ("P-15", "事業所の参加", &[CLINIC, NURSES])], ..Plan::EMPTY
    }, c_3),
    (Plan {
        flow: "C-8", name: "⑧患者家族の途中参加", facility: FAMILY, patient: HANAKO, papers: &["様式5"],
        mails: &[("C-8.7", "ご家族の参加", &[CLINIC, NURSES, DENTIST]), ("C-8.10", "仮登録完了", &[FAMILY])],
        // Two press the button; the dentist, without a device yet, is called.
        by_telephone: &["C-8.8"], ..Plan::EMPTY
    }, c_8),
    (Plan {
        flow: "C-7", name: "⑦途中利用解除", facility: NURSES, patient: TARO, papers: &["様式6"],
        answers: &[("all-teams", false)],
        mails: &[("C-7.5", "利用解除", &[NURSES]), ("C-7.8", "事業所の解除", &[CLINIC])], ..Plan::EMPTY
    }, c_7),
    (Plan {
        flow: "C-9", name: "⑨患者家族の途中離脱", facility: CLINIC, patient: TARO, member: "長女",
        answers: &[("family-stays", true)], mails: &[("C-9.5", "ご家族の離脱", &[CLINIC])],
        by_telephone: &["C-9.9"], ..Plan::EMPTY
    }, c_9),
    (Plan { flow: "P-16", name: "電話連絡", facility: CLINIC, ..Plan::EMPTY }, nobody),
    (Plan {
        flow: "C-11", name: "⑪事業所情報の変更", facility: CLINIC, papers: &["様式3"],
        mails: &[("C-11.5", "登録内容の変更", &[CLINIC])], ..Plan::EMPTY
    }, c_11),
    (Plan {
        flow: "C-10", name: "⑩同意撤回", facility: CLINIC, patient: TARO, papers: &["様式7"],
        answers: &[("immediately", true)], mails: &[("C-10.5", "紐づけ解除", &[CLINIC])], ..Plan::EMPTY
    }, c_10),
    (Plan {
        flow: "P-22", name: "支援終了", facility: CLINIC, patient: HANAKO,
        mails: &[("P-22.4", "支援終了", &[CLINIC, NURSES, DENTIST])],
        // Five years later (P-23).
        ends: "手続き中", ..Plan::EMPTY
    }, p_22),
    (Plan {
        flow: "C-4", name: "④事業所解除", facility: NURSES, papers: &["様式6"],
        mails: &[("C-4.5", "利用解除", &[NURSES])], by_telephone: &["C-4.6"], ..Plan::EMPTY
    }, c_4),
];

fn c_12(cast: &mut Cast, world: &mut World, clerk: &Clerk<'_>, _: &str, step: &str) -> Told<()> {
    match step {
        "C-1.5" => clerk.accepts(CLINIC),
        "C-12.2" => {
            cast.clinic = Some(House::enrolled(world, "18-0001", CLINIC, Size::Tablet)?);
            Ok(())
        }
        "C-12.3" => clinic(cast)?.registers(world, &DOCTOR, clerk),
        _ => Ok(()),
    }
}

fn c_1(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, _: &str, step: &str) -> Told<()> {
    match step {
        "C-1.4" => registers_patient(clerk, HANAKO, "ふくい はなこ"),
        "C-1.9" => cast.clinic()?.joins(&DOCTOR, HANAKO),
        "C-1.12" => {
            clinic(cast)?.carer_signs_in(&DOCTOR)?;
            cast.clinic()?.writes(HANAKO, POSTS[0], false)
        }
        _ => Ok(()),
    }
}

fn c_2(cast: &mut Cast, world: &mut World, clerk: &Clerk<'_>, _: &str, step: &str) -> Told<()> {
    match step {
        BEFORE => registers_patient(clerk, TARO, "さかい たろう"),
        "C-2.5" => clerk.accepts(FAMILY),
        "C-2.7" => {
            clerk.go("/patients")?;
            clerk.screen.fill_in(TARO, "紐づける事業所", FAMILY)?;
            clerk.screen.follow_in(TARO, "紐づける")
        }
        "C-2.9" => cast.clinic()?.joins(&DOCTOR, TARO),
        "C-2.12" => {
            cast.clinic()?.writes(TARO, POSTS[0], false)?;
            cast.clinic()?.writes(TARO, POSTS[1], true)
        }
        "C-2.14" => family_registered(cast, world, clerk),
        "C-2.16" => {
            let hands = Hands::with_bundle(world, "18-0003", Size::Phone)?;
            // A-08a: a family has no admin, so nobody chooses a password.
            hands.claim(hands.claim_page()?, world, None, "母の電話")?;
            let screen = hands.open("sns", "/")?;
            cast.family = Some((hands, screen));
            Ok(())
        }
        "C-2.17" => {
            let (_, screen) = cast.family()?;
            people::first_sign_in(screen, PATIENT_SELF.login, &cast.slips[0])?;
            clerk.album.page(screen, "family-teams")?;
            screen.follow(TARO)?;
            screen.sees(POSTS[1])?;
            clerk.album.page(screen, "family-team")?;
            screen.sees_not(POSTS[0])
        }
        _ => Ok(()),
    }
}

/// B-08: the family at the secretariat's screen, with a slip each; then into the team.
fn family_registered(cast: &mut Cast, world: &mut World, clerk: &Clerk<'_>) -> Told<()> {
    let screen = &clerk.screen;
    clerk.go("/facilities")?;
    screen.follow(FAMILY)?;
    screen.follow("ご家族")?;
    for account in [&PATIENT_SELF, &DAUGHTER] {
        if screen.run("document.querySelector('details.mm-more').open")? == false {
            screen.tap("ご家族を登録する")?;
        }
        screen.fill("呼び名", account.name)?;
        screen.fill("ログインID", account.login)?;
        screen.fill("同意書", "2026-11-10")?;
        clerk.album.page(screen, "family-form")?;
        screen.follow("登録して、はじめのパスワードを出す")?;
        let slip = people::slip(screen)?;
        world.needles.forgotten("a handed-over password", &slip);
        cast.slips.push(slip);
        screen.follow("ご家族の一覧へ")?;
        joins_team(clerk, account.name, TARO)?;
    }
    clerk.album.page(screen, "family")
}

fn joins_team(clerk: &Clerk<'_>, name: &str, patient: &str) -> Told<()> {
    clerk.screen.fill(&format!("{name}を加えるチーム"), patient)?;
    clerk.screen.follow_in(name, "加える")
}

fn c_5(cast: &mut Cast, world: &mut World, clerk: &Clerk<'_>, _: &str, step: &str) -> Told<()> {
    match step {
        "C-5.4" => clerk.accepts(NURSES),
        "C-5.7" => {
            let mut nurses = House::enrolled(world, "18-0004", NURSES, Size::Desktop)?;
            nurses.registers(world, &NURSE, clerk)?;
            cast.nurses = Some(nurses);
            Ok(())
        }
        "C-5.8" => cast.nurses()?.joins(&NURSE, HANAKO),
        "C-5.11" => {
            nurses(cast)?.carer_signs_in(&NURSE)?;
            cast.nurses()?.opens(HANAKO)?.sees(POSTS[0])?;
            cast.nurses()?.writes(HANAKO, POSTS[2], false)
        }
        _ => Ok(()),
    }
}

fn c_6(cast: &mut Cast, _: &mut World, _: &Clerk<'_>, _: &str, step: &str) -> Told<()> {
    match step {
        "C-6.8" => cast.nurses()?.joins(&NURSE, TARO),
        "C-6.11" => {
            let nurse = cast.nurses()?.opens(TARO)?;
            nurse.sees(POSTS[0])?;
            nurse.sees(POSTS[1])
        }
        _ => Ok(()),
    }
}

fn c_3(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, _: &str, step: &str) -> Told<()> {
    match step {
        "C-3.4" => clerk.accepts(DENTIST),
        AFTER => cast.nurses()?.opens(HANAKO)?.sees(DENTIST),
        _ => Ok(()),
    }
}

fn c_8(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
    match step {
        "C-8.6" => {
            clerk.go("/facilities")?;
            clerk.screen.follow(FAMILY)?;
            clerk.screen.follow("ご家族")?;
            joins_team(clerk, PATIENT_SELF.name, HANAKO)
        }
        "C-8.8" => {
            cast.clinic()?.confirms(case, clerk)?;
            cast.nurses()?.confirms(case, clerk)
        }
        "C-8.9" => cast.nurses()?.opens(HANAKO)?.sees(FAMILY),
        "C-8.12" => {
            let (hands, screen) = cast.family()?;
            people::lists(screen, hands, HANAKO, true)?;
            people::lists(screen, hands, TARO, true)
        }
        _ => Ok(()),
    }
}

/// J-13, P-24: out of this team and of no other.
fn c_7(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
    match step {
        "C-7.3" => papers(clerk),
        "C-7.4" => cast.nurses()?.lists(TARO, true),
        "C-7.6" => {
            cast.nurses()?.lists(TARO, false)?;
            cast.nurses()?.lists(HANAKO, true)?;
            cast.nurses()?.confirms(case, clerk)
        }
        AFTER => {
            clerk.screen.sees("（画面）")?;
            cast.clinic()?.opens(TARO)?.sees_not(NURSES)
        }
        _ => Ok(()),
    }
}

/// The case's own forms, as they are printed and handed out (E).
fn papers(clerk: &Clerk<'_>) -> Told<()> {
    let screen = &clerk.screen;
    screen.follow("この案件の様式")?;
    clerk.album.page(screen, "forms")?;
    let case = screen.text_of("h1")?.rsplit(' ').next().unwrap_or_default().to_owned();
    for form in ["4", "6", "8"] {
        let file =
            screen.download(&format!("様式{form} 印刷用（PDF）"), &format!("form{form}-{case}.pdf"))?;
        clerk.album.paper(&file, &format!("form-{form}"))?;
    }
    Ok(())
}

/// J-12: the daughter is out, the patient stays.
fn c_9(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
    match step {
        "C-9.4" => {
            let (hands, screen) = cast.family()?;
            people::sign_out(screen, hands)?;
            people::first_sign_in(screen, DAUGHTER.login, &cast.slips[1])?;
            screen.sees(TARO)
        }
        "C-9.6" => cast.clinic()?.confirms(case, clerk),
        "C-9.9" => {
            let (hands, screen) = cast.family()?;
            shell::until("the daughter's page to close", PATIENCE, || {
                screen.go(&hands.device.url("sns", "/"))?;
                Ok((!screen.text()?.contains("患者一覧")).then_some(()))
            })?;
            screen.go(&hands.device.url("sns", "/sign-in"))?;
            hands::sign_in(screen, DAUGHTER.login, people::STAFF_PASSWORD)?;
            screen.sees("ログインできません")?;
            clerk.album.page(screen, "family-out")?;
            hands::sign_in(screen, PATIENT_SELF.login, people::STAFF_PASSWORD)?;
            screen.sees("患者一覧")?;
            people::lists(screen, hands, TARO, true)
        }
        _ => Ok(()),
    }
}

fn nobody(_: &mut Cast, _: &mut World, _: &Clerk<'_>, _: &str, _: &str) -> Told<()> {
    Ok(())
}

fn c_11(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
    match step {
        "C-11.3" => {
            clerk.go(&format!("/flows/{case}"))?;
            clerk.screen.fill("変わる項目", "事業所名")?;
            clerk.screen.fill("新しい内容", CLINIC_LATER)?;
            clerk.screen.follow("記録する")?;
            clerk.album.page(&clerk.screen, "flow-C-11-changes")
        }
        AFTER => {
            let clinic = cast.clinic()?;
            clinic.admin.go(&clinic.hands.device.url("office", "/"))?;
            clinic.admin.sees(CLINIC_LATER)
        }
        _ => Ok(()),
    }
}

/// J-14, P-27: nobody lists the patient any more, and what was written is gone.
fn c_10(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
    match step {
        "C-10.4" => cast.clinic()?.opens(TARO)?.sees(POSTS[0]),
        "C-10.6" => {
            cast.clinic()?.lists(TARO, false)?;
            cast.clinic()?.confirms(case, clerk)
        }
        "C-10.8" => {
            let (hands, screen) = cast.family()?;
            people::lists(screen, hands, TARO, false)
        }
        AFTER => {
            done_at_the_sns(clerk, case, "患者の記事を消去する")?;
            clerk.go("/patients")?;
            clerk.screen.sees_not(TARO)?;
            cast.clinic()?.lists(HANAKO, true)
        }
        _ => Ok(()),
    }
}

/// Read, not written.
fn p_22(cast: &mut Cast, _: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
    if step != AFTER {
        return Ok(());
    }
    clerk.screen.sees("消去できる日")?;
    clerk.screen.sees_not("保存期間の後の消去（P-23）を行う")?;
    done_at_the_sns(clerk, case, "チームを閲覧のみにする")?;
    let doctor = cast.clinic()?.opens(HANAKO)?;
    doctor.sees("閲覧のみです")?;
    doctor.sees(POSTS[0])?;
    clerk.album.page(doctor, "sns-team-closed")?;
    let refused = doctor.run(
        "fetch('/api' + location.pathname + '/posts', {method: 'POST', headers: {'Content-Type': 'application/json'}, \
         body: JSON.stringify({text: 'もう一つ', urgent: false})}).then(r => r.text())",
    )?;
    holds!(refused.as_str().is_some_and(|said| said.contains("MM-4020")), "the SNS says {refused}");
    cast.nurses()?.opens(HANAKO)?.sees("閲覧のみです")
}

/// The mail to the leaving admin is refused at first, and the clerk sees it in the case (D-01); the nurses' device ends.
fn c_4(cast: &mut Cast, world: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
    let address = forms::admin_address(NURSES);
    match step {
        BEFORE => {
            let others: Vec<String> =
                forms::letterboxes().into_iter().filter(|other| *other != address).collect();
            world.mail.knows(&others)
        }
        "C-4.5 sent" => {
            // The open page goes on by itself; nobody loads it anew.
            clerk.screen.sees("自動で新しくする")?;
            shell::until("the refusal in the open case", PATIENCE, || {
                Ok(clerk.screen.text()?.contains("550 ").then_some(()))
            })?;
            clerk.screen.sees("送れません")?;
            clerk.album.page(&clerk.screen, "flow-C-4-refused")?;
            world.mail.knows(&forms::letterboxes())?;
            clerk.screen.follow_in(&address, "C-4.5")?;
            clerk.album.page(&clerk.screen, "letter-refused")?;
            clerk.screen.follow("同じ宛先にもう一度送る")?;
            clerk.go(&format!("/flows/{case}"))
        }
        "C-4.4" => cast.nurses()?.lists(HANAKO, true),
        "C-4.6" => {
            let nurses = cast.nurses()?;
            shell::until("the nurses' device to be out", PATIENCE, || {
                let reached = nurses.carer()?.run(
                    "fetch('/', {signal: AbortSignal.timeout(5000)}).then(r => r.ok && !r.url.includes('sign-in'), () => false)",
                )?;
                Ok((reached == false).then_some(()))
            })
        }
        AFTER => {
            // P-06: what they wrote stays.
            cast.clinic()?.opens(HANAKO)?.sees(POSTS[2])
        }
        _ => Ok(()),
    }
}

/// The order that a step gave is carried out.
fn done_at_the_sns(clerk: &Clerk<'_>, case: &str, order: &str) -> Told<()> {
    let row = format!(
        "[...document.querySelectorAll('ul.mm-rows li')].some(row => row.innerText.includes({}) && row.innerText.includes('済み'))",
        json!(order)
    );
    shell::until(order, PATIENCE, || {
        clerk.go(&format!("/flows/{case}"))?;
        Ok((clerk.screen.run(&row)? == true).then_some(()))
    })
}

fn clinic(cast: &mut Cast) -> Told<&mut House> {
    cast.clinic.as_mut().ok_or_else(|| tests::Fault::new("the clinic has no device yet"))
}

fn nurses(cast: &mut Cast) -> Told<&mut House> {
    cast.nurses.as_mut().ok_or_else(|| tests::Fault::new("the nurses have no device yet"))
}

/// B-09.
fn registers_patient(clerk: &Clerk<'_>, name: &str, kana: &str) -> Told<()> {
    let screen = &clerk.screen;
    clerk.go("/patients")?;
    if !screen.run("document.querySelector('details.mm-more').open")?.as_bool().unwrap_or(true) {
        screen.tap("患者を登録する")?;
    }
    screen.fill("氏名", name)?;
    screen.fill("ふりがな", kana)?;
    screen.fill("同意書の日付", "2026-11-10")?;
    screen.fill("連携元", CLINIC)?;
    screen.follow("登録する")?;
    screen.sees(name)
}
