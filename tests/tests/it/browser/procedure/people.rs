//! Who acts in the procedure, each at the own device: the clinic's admin and doctor, the nurses' admin and nurse, a
//! patient and the daughter. Owns their screens.

use tests::browser::screen::{Screen, Size};
use tests::clerk::Clerk;
use tests::hands::{self, Hands};
use tests::shell::{self, PATIENCE};
use tests::world::World;
use tests::{Fault, Told, forms};

use super::super::town::OWN_PASSWORD;

pub const FAMILY: &str = "患者・家族事業所（佐々木様）";
/// Without a family's SNS at first, and with one from the beginning.
pub const HANAKO: &str = "福井 花子（架空）";
pub const TARO: &str = "坂井 太郎（架空）";
pub const PATIENTS: [&str; 2] = [HANAKO, TARO];
/// To the professionals, to the family as well, and the nurse's own.
pub const POSTS: [&str; 3] = [
    "昨夜より38.2度の発熱あり。右下肺野に湿性ラ音、抗菌薬を開始しました。",
    "次の往診は木曜の午後です。水分をこまめにとってください。",
    "本日の訪問で体温37.1度。呼吸は落ち着いています。",
];
pub const STAFF_PASSWORD: &str = "asuwa-gawa-no-sakura-7";

/// A person with the account that was made for them.
pub struct Account {
    pub name: &'static str,
    pub profession: &'static str,
    pub login: &'static str,
}

pub const DOCTOR: Account =
    Account { name: "港 次郎", profession: "医師", login: "iryou@minato.example.jp" };
pub const NURSE: Account =
    Account { name: "足羽 文", profession: "看護師", login: "kango@asuwa.example.jp" };
pub const PATIENT_SELF: Account = Account { name: "本人", profession: "", login: "sasaki-honnin" };
pub const DAUGHTER: Account = Account { name: "長女", profession: "", login: "sasaki-chojo" };

/// A facility's device with its admin and the one who cares, in two windows of one browser.
pub struct House {
    pub hands: Hands,
    pub admin: Screen,
    /// Before the first sign-in: the password on the slip.
    pub slip: String,
    pub carer: Option<Screen>,
}

#[derive(Default)]
pub struct Cast {
    pub clinic: Option<House>,
    pub nurses: Option<House>,
    pub family: Option<(Hands, Screen)>,
    /// The slips of 本人 and 長女.
    pub slips: Vec<String>,
}

impl Cast {
    pub fn clinic(&self) -> Told<&House> {
        self.clinic.as_ref().ok_or_else(|| Fault::new("the clinic has no device yet"))
    }

    pub fn nurses(&self) -> Told<&House> {
        self.nurses.as_ref().ok_or_else(|| Fault::new("the nurses have no device yet"))
    }

    pub fn family(&self) -> Told<(&Hands, &Screen)> {
        let family = self.family.as_ref().map(|(hands, screen)| (hands, screen));
        family.ok_or_else(|| Fault::new("the family has no device yet"))
    }

    pub fn screens(&self) -> Vec<&Screen> {
        let houses = self.clinic.iter().chain(&self.nurses);
        let of_houses = houses.flat_map(|house| [Some(&house.admin), house.carer.as_ref()]);
        of_houses.flatten().chain(self.family.iter().map(|(_, screen)| screen)).collect()
    }
}

impl House {
    /// From the mail and the sheet to an admin who is signed in (C-12.2).
    pub fn enrolled(world: &mut World, slot: &str, facility: &str, size: Size) -> Told<Self> {
        let hands = Hands::with_bundle(world, slot, size)?;
        hands.claim(hands.claim_page()?, world, Some(OWN_PASSWORD), "受付の端末")?;
        let admin = hands.open("office", "/")?;
        hands::sign_in(&admin, &forms::admin_address(facility), OWN_PASSWORD)?;
        admin.sees("受付の端末")?;
        Ok(Self { hands, admin, slip: String::new(), carer: None })
    }

    /// B-14: the slip with the first password, shown once.
    pub fn registers(&mut self, world: &mut World, account: &Account, clerk: &Clerk<'_>) -> Told<()> {
        let admin = &self.admin;
        admin.follow("利用者")?;
        admin.fill("氏名", account.name)?;
        admin.fill("職種", account.profession)?;
        admin.fill("ログインID", account.login)?;
        admin.fill("誓約書", "2026-11-01")?;
        admin.follow("登録して、はじめのパスワードを出す")?;
        self.slip = slip(admin)?;
        clerk.album.page(admin, "procedure-slip")?;
        world.needles.forgotten("a handed-over password", &self.slip);
        Ok(())
    }

    /// B-15.
    pub fn joins(&self, account: &Account, patient: &str) -> Told<()> {
        self.admin.go(&self.hands.device.url("office", "/patients"))?;
        self.admin.fill_in(patient, "チームに加える人", account.name)?;
        self.admin.follow_in(patient, "加える")
    }

    /// P-09: the slip opens the page that makes it useless.
    pub fn carer_signs_in(&mut self, account: &Account) -> Told<()> {
        let screen = self.admin.another()?;
        screen.go(&self.hands.device.url("sns", "/"))?;
        first_sign_in(&screen, account.login, &self.slip)?;
        self.carer = Some(screen);
        Ok(())
    }

    pub fn carer(&self) -> Told<&Screen> {
        self.carer.as_ref().ok_or_else(|| Fault::new("nobody has signed in here yet"))
    }

    /// D-01: the button inside the tunnel.
    pub fn confirms(&self, case: &str, clerk: &Clerk<'_>) -> Told<()> {
        self.admin.go(&self.hands.device.url("office", "/notices"))?;
        clerk.album.page(&self.admin, "procedure-notices")?;
        self.admin.follow_in(&format!("案件 {case}"), "確かめました")
    }

    /// The list of the one who cares has this patient, or has not any more.
    pub fn lists(&self, patient: &str, is_there: bool) -> Told<()> {
        lists(self.carer()?, &self.hands, patient, is_there)
    }

    /// The patient's page, opened from the list.
    pub fn opens(&self, patient: &str) -> Told<&Screen> {
        let carer = self.carer()?;
        carer.go(&self.hands.device.url("sns", "/"))?;
        carer.follow(patient)?;
        carer.sees("さんのチーム")?;
        Ok(carer)
    }

    pub fn writes(&self, patient: &str, text: &str, to_family: bool) -> Told<()> {
        let carer = self.opens(patient)?;
        carer.tap("投稿する")?;
        carer.fill("本文", text)?;
        if to_family {
            carer.tap("家族にも公開する")?;
        }
        carer.follow_in("本文", "投稿する")?;
        carer.sees(text)
    }
}

/// The first password on a slip.
pub fn slip(screen: &Screen) -> Told<String> {
    screen.sees("この画面は一度しか出せません")?;
    screen.text_of(".mm-slip > dl > div:nth-child(2) > dd")
}

pub fn first_sign_in(screen: &Screen, login: &str, first: &str) -> Told<()> {
    hands::sign_in(screen, login, first)?;
    screen.sees("はじめてのログインです")?;
    screen.fill("いまのパスワード", first)?;
    screen.fill("新しいパスワード", STAFF_PASSWORD)?;
    screen.follow("変更する")?;
    screen.sees("患者一覧")
}

pub fn lists(screen: &Screen, hands: &Hands, patient: &str, is_there: bool) -> Told<()> {
    let what = format!("a list {} {patient}", if is_there { "with" } else { "without" });
    shell::until(&what, PATIENCE, || {
        screen.go(&hands.device.url("sns", "/"))?;
        screen.sees("患者一覧")?;
        Ok((screen.text()?.contains(patient) == is_there).then_some(()))
    })
}

pub fn sign_out(screen: &Screen, hands: &Hands) -> Told<()> {
    screen.go(&hands.device.url("sns", "/"))?;
    screen.follow("ログアウト")?;
    screen.sees("ログインID")
}
