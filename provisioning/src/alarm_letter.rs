//! 利用停止のお知らせ (M-16): a device was reported lost or its keys leaked, a number or a person was suspended. Told to the
//! facility's admins and to the secretariat, whoever did it: whose own account was misused hears of it. Pure: texts out.

use askama::Template;
use vpn::slot::SlotNumber;

use crate::bundle::PrivateFile;
use crate::door::RevokeReason;
use crate::jst;
use crate::messages::Message;

/// What stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    Device {
        slot: SlotNumber,
        label: String,
        reason: RevokeReason,
    },
    /// 一時停止 of a number: device, certificate and number stay.
    Number {
        slot: SlotNumber,
        label: String,
    },
    /// 利用停止 of somebody: in this facility, or wherever the account is used.
    Person {
        name: String,
        everywhere: bool,
    },
}

impl Alarm {
    /// A device that is replaced, or goes with its owner, is everyday work and no alarm.
    pub fn device(slot: SlotNumber, label: String, reason: RevokeReason) -> Option<Self> {
        match reason {
            RevokeReason::Lost | RevokeReason::Stolen | RevokeReason::Leak => {
                Some(Alarm::Device { slot, label, reason })
            }
            RevokeReason::Replaced | RevokeReason::Retired => None,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Alarm::Device { reason: RevokeReason::Leak, .. } => {
                "端末の利用停止のお知らせ（情報漏えいのおそれ）"
            }
            Alarm::Device { .. } => "端末の利用停止のお知らせ（紛失・盗難）",
            Alarm::Number { .. } => "VPN番号の一時停止のお知らせ",
            Alarm::Person { .. } => "利用者の一時停止のお知らせ",
        }
    }

    fn what(&self) -> String {
        match self {
            Alarm::Device { slot, label, .. } => {
                format!("VPN番号 {slot}{}の利用を停止しました。この端末からは接続できません。", named(label))
            }
            Alarm::Number { slot, label } => {
                format!(
                    "VPN番号 {slot}{}を一時停止しました。端末、証明書、番号はそのままです。",
                    named(label)
                )
            }
            Alarm::Person { name, everywhere: true } => {
                format!("{name} 様のアカウントを、参加しているすべての事業所で一時停止しました。")
            }
            Alarm::Person { name, everywhere: false } => format!("{name} 様の利用を一時停止しました。"),
        }
    }

    /// What the facility does about it (H-11); each line is true of what the consoles can do.
    fn steps(&self) -> &'static [&'static str] {
        match self {
            Alarm::Device { .. } => &[
                "この端末を使っていた方のパスワードを、管理者の画面の「利用者」で新しくしてください。",
                "端末が見つかっても、そのままでは使えません。代わりの端末は「端末を追加」で登録してください。",
                "お心当たりのないときは、すぐに下記へお電話ください。",
            ],
            Alarm::Number { .. } => &[
                "再開するときと、お心当たりのないときは、下記へお電話ください。番号を登録済みの電話へ折り返します。",
            ],
            Alarm::Person { .. } => &["再開するときと、お心当たりのないときは、下記へお電話ください。"],
        }
    }

    /// In a file's name: what it is about.
    fn mark(&self) -> String {
        match self {
            Alarm::Device { slot, .. } | Alarm::Number { slot, .. } => slot.to_string(),
            Alarm::Person { .. } => "person".to_owned(),
        }
    }
}

fn named(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!("（{label}）") }
}

/// One letter; the secretariat's own says which facility it is about.
pub struct AlarmLetter<'a> {
    pub alarm: &'a Alarm,
    /// 施設内管理者様, or the secretariat.
    pub to_office: bool,
    pub facility_name: &'a str,
    pub by: &'a str,
    pub at_ms: i64,
    pub realm_name: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
}

#[derive(Template)]
#[template(path = "alarm.html")]
struct Page<'a> {
    letter: &'a AlarmLetter<'a>,
    title: &'a str,
    greeting: &'a str,
    facts: &'a [(&'a str, String)],
    what: &'a str,
    steps: &'a [&'a str],
}

/// Its text and its page, in this order; what stands before `_` in their names is the subject.
pub fn files(letter: &AlarmLetter<'_>) -> Result<Vec<PrivateFile>, Message> {
    let AlarmLetter { alarm, to_office, facility_name, by, at_ms, office_name, office_telephone, .. } =
        letter;
    let (title, what) = (alarm.title(), alarm.what());
    let greeting = if *to_office {
        format!("{office_name} 御中")
    } else {
        format!("{facility_name} 施設内管理者様")
    };
    let facts = [
        ("事業所", (*facility_name).to_owned()),
        ("日時", jst::moment(*at_ms)),
        ("操作した方", (*by).to_owned()),
    ];
    let steps = if *to_office {
        &["進み具合は、事務局の画面で事業所とVPN番号を検索して確かめられます。"][..]
    } else {
        alarm.steps()
    };
    let page = Page { letter, title, greeting: &greeting, facts: &facts, what: &what, steps };
    let page = page.render().map_err(|error| Message::Internal { what: error.to_string() })?;
    let told: String = facts.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let steps: String =
        steps.iter().enumerate().map(|(place, step)| format!("{}. {step}\n", place + 1)).collect();
    let text = format!(
        "{greeting}\n\n{realm}の{title}です。\n\n{what}\n\n{told}\n■ 次にしていただくこと\n{steps}\n\
         ■ ご注意\n・このメールに、押していただくリンクはありません。番号やパスワードをお尋ねすることもありません。\n\n\
         ■ 問い合わせ先\n{office_name} {office_telephone}\n（このメールは自動で送られています）\n",
        realm = letter.realm_name,
    );
    let reader = if *to_office { "office" } else { "facility" };
    let name = |end: &str| format!("{title}_{}-{}-{reader}.{end}", alarm.mark(), at_ms / 1_000);
    Ok(vec![PrivateFile { name: name("txt"), text }, PrivateFile { name: name("html"), text: page }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(alarm: &Alarm, to_office: bool) -> Vec<PrivateFile> {
        files(&AlarmLetter {
            alarm,
            to_office,
            facility_name: "さくら<医院>",
            by: "福井<太郎>",
            at_ms: 1_900_000_000_000,
            realm_name: "みまもり",
            office_name: "SNS事務局",
            office_telephone: "0776-24-0387",
        })
        .unwrap()
    }

    /// M-16, H-24: what stopped, where, when, by whom and what to do; no link, and names stay names.
    #[test]
    fn m_16_an_alarm_says_what_stopped_and_what_to_do() {
        let slot = "18-0042".parse().unwrap();
        let lost = Alarm::device(slot, "受付<iPad>".to_owned(), RevokeReason::Lost).unwrap();
        let number = Alarm::Number { slot, label: String::new() };
        let person = Alarm::Person { name: "看護<花子>".to_owned(), everywhere: true };
        for (alarm, wanted) in [
            (&lost, ["18-0042（受付<iPad>）", "端末を追加", "パスワード"]),
            (&number, ["18-0042を一時停止", "折り返します", "証明書"]),
            (&person, ["看護<花子> 様", "すべての事業所", "お電話"]),
        ] {
            let files = letter(alarm, false);
            for wanted in
                wanted.into_iter().chain(["さくら<医院> 施設内管理者様", "福井<太郎>", "0776-24-0387"])
            {
                assert!(files[0].text.contains(wanted), "{wanted}: {}", files[0].text);
                let escaped = wanted.replace('<', "&#60;").replace('>', "&#62;");
                assert!(files[1].text.contains(&escaped), "{escaped}: {}", files[1].text);
            }
            assert!(files.iter().all(|file| !file.text.contains("http") && !file.text.contains("<a ")));
            let office = letter(alarm, true);
            assert!(
                office[0].text.starts_with("SNS事務局 御中")
                    && office[0].text.contains("事業所: さくら<医院>")
            );
        }
    }

    #[test]
    fn m_16_everyday_work_is_no_alarm() {
        let alarms = |reason| Alarm::device("18-0042".parse().unwrap(), String::new(), reason).is_some();
        assert_eq!(RevokeReason::ALL.map(alarms), [true, true, false, false, true]);
    }
}
