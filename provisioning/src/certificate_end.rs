//! 証明書の期限のお知らせ: which notice of a certificate's end is due, and its words. Decided from the end, from what was
//! told and from now alone, so that a machine that was off on the day tells it when it is back, and none is told twice.
//! Pure: texts out.

use askama::Template;
use vpn::slot::SlotNumber;

use crate::bundle::PrivateFile;
use crate::jst;
use crate::messages::Message;

/// Days before the end, the first longest (issue 5). The first leaves a quarter of a year of overlap with what follows.
pub const STEPS: [u32; 4] = [90, 30, 7, 1];
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Before this nothing is told.
pub const FIRST_MS: i64 = 90 * DAY_MS;
/// As long as a device may still come back by itself with its old key, a notice that was missed is told late.
pub const LATE_MS: i64 = pki::lifetime::GRACE_SECONDS * 1_000;

const _: () = assert!(STEPS[0] as i64 * DAY_MS == FIRST_MS);

/// The step whose notice is due: the nearest to the end of those whose day has come, unless it or a nearer one was
/// told. `told` is the nearest that was, for this very certificate.
pub fn due(end_ms: i64, told: Option<u32>, now_ms: i64) -> Option<u32> {
    let left = end_ms.saturating_sub(now_ms);
    if left < -LATE_MS {
        return None;
    }
    let step = STEPS.into_iter().filter(|days| left <= i64::from(*days) * DAY_MS).min()?;
    told.is_none_or(|told| told > step).then_some(step)
}

/// A device that is told about.
pub struct Ending {
    pub slot: SlotNumber,
    pub label: String,
    pub end_ms: i64,
}

impl Ending {
    /// `あと7日`; on the last day and after it in words.
    pub fn left(&self, now_ms: i64) -> String {
        let left = self.end_ms.saturating_sub(now_ms);
        match left {
            ..=0 => "期限を過ぎました".to_owned(),
            1..DAY_MS => "あと1日ありません".to_owned(),
            _ => format!("あと{}日", left / DAY_MS),
        }
    }
}

/// A letter to a facility's admin about all devices that are due together.
pub struct EndLetter<'a> {
    pub facility_name: &'a str,
    pub realm_name: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
    pub now_ms: i64,
    pub devices: &'a [Ending],
}

const TITLE: &str = "証明書の期限のお知らせ";
/// What somebody does about it; every line is true of what the consoles can do.
const STEPS_JA: [&str; 3] = [
    "管理者の画面の「端末を追加」で、同じ端末をもう一度登録してください。新しいVPN番号と証明書になります。",
    "新しい番号でログインできたら、古い番号の利用停止を事務局に電話で依頼してください。それまでは両方が使えます。",
    "Linuxの端末など、証明書を自分で更新する端末が載っているときは、更新が止まっています。電源、時計、接続を確かめてください。",
];

#[derive(Template)]
#[template(path = "certificate_end.html")]
struct Page<'a> {
    letter: &'a EndLetter<'a>,
    title: &'a str,
    lines: &'a [String],
    steps: &'a [&'a str],
}

/// Its text and its page, in this order; what stands before `_` in their names is the subject.
pub fn files(letter: &EndLetter<'_>) -> Result<Vec<PrivateFile>, Message> {
    let lines: Vec<String> = letter.devices.iter().map(|device| line(device, letter.now_ms)).collect();
    let page = Page { letter, title: TITLE, lines: &lines, steps: &STEPS_JA };
    let page = page.render().map_err(|error| Message::Internal { what: error.to_string() })?;
    let EndLetter { facility_name, realm_name, office_name, office_telephone, .. } = letter;
    let steps = STEPS_JA.iter().enumerate().map(|(place, step)| format!("{}. {step}\n", place + 1));
    let text = format!(
        "{facility_name} 施設内管理者様\n\n{realm_name}で使う端末の証明書が、期限を迎えます。\n\
         期限を過ぎると、その端末ではSNSを開けません。\n\n{lines}\n\n■ 次にしていただくこと\n{steps}\n\
         ■ ご注意\n・このメールに、押していただくリンクはありません。番号やパスワードをお尋ねすることもありません。\n\n\
         ■ 問い合わせ先\n{office_name} {office_telephone}\n（このメールは自動で送られています）\n",
        lines = lines.join("\n"),
        steps = steps.collect::<String>(),
    );
    let name = |end: &str| {
        let first =
            letter.devices.first().map(|device| format!("{}-{}", device.slot, device.end_ms / DAY_MS));
        let left = letter.devices.first().map_or(0, |device| (device.end_ms - letter.now_ms) / DAY_MS);
        format!("{TITLE}_{}-{left}.{end}", first.unwrap_or_default())
    };
    Ok(vec![PrivateFile { name: name("txt"), text }, PrivateFile { name: name("html"), text: page }])
}

fn line(device: &Ending, now_ms: i64) -> String {
    let label = if device.label.is_empty() { String::new() } else { format!("（{}）", device.label) };
    format!("VPN番号 {}{label} 期限 {}（{}）", device.slot, jst::date(device.end_ms), device.left(now_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: i64 = 1_900_000_000_000;

    #[test]
    fn each_step_is_told_on_its_day_and_what_was_missed_is_told_late_but_not_all_at_once() {
        for (days_left, told, step) in [
            (91.0, None, None),
            (90.0, None, Some(90)),
            (89.9, Some(90), None),
            (30.0, Some(90), Some(30)),
            (29.0, None, Some(30)),
            (7.0, Some(30), Some(7)),
            (3.0, Some(90), Some(7)),
            (3.0, Some(7), None),
            (1.0, Some(7), Some(1)),
            (0.0, Some(7), Some(1)),
            (-5.0, Some(7), Some(1)),
            (-5.0, Some(1), None),
            (-90.0, None, Some(1)),
            (-91.0, None, None),
        ] {
            let now = END - (days_left * DAY_MS as f64) as i64;
            assert_eq!(due(END, told, now), step, "{days_left} days left, told {told:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
        /// Whenever the machine is on, and however long it is off in between.
        #[test]
        fn nothing_is_told_twice_and_whoever_looks_once_after_the_end_has_told_the_last(
            mut days in proptest::collection::vec(-80i64..200, 1..40),
        ) {
            days.sort_unstable_by(|one, other| other.cmp(one));
            let (mut told, mut all) = (None, Vec::new());
            for left in &days {
                if let Some(step) = due(END, told, END - left * DAY_MS) {
                    all.push(step);
                    told = Some(step);
                }
            }
            prop_assert!(all.windows(2).all(|two| two[0] > two[1]), "{:?}", all);
            let last = days.last().copied().unwrap_or(200);
            let nearest = STEPS.into_iter().filter(|step| last <= i64::from(*step)).min();
            prop_assert_eq!(told, nearest, "looked at with {} days left", last);
        }
    }

    /// H-24: what happened and what to do, no link, nothing secret; names stay names.
    #[test]
    fn the_letter_names_every_device_its_day_and_what_to_do() {
        let device = |slot: &str, label: &str, days: i64| Ending {
            slot: slot.parse().unwrap(),
            label: label.to_owned(),
            end_ms: END + days * DAY_MS,
        };
        let files = files(&EndLetter {
            facility_name: "さくら<医院>",
            realm_name: "みまもり",
            office_name: "SNS事務局",
            office_telephone: "0776-24-0387",
            now_ms: END,
            devices: &[device("18-0042", "受付<iPad>", 7), device("18-0043", "", 0)],
        })
        .unwrap();
        for file in &files {
            for wanted in ["18-0042", "18-0043", "あと7日", "期限を過ぎました", "端末を追加", "0776-24-0387"]
            {
                assert!(file.text.contains(wanted), "{wanted}: {}", file.text);
            }
            assert!(!file.text.contains("http") && !file.text.contains("<a "));
            assert!(file.name.starts_with("証明書の期限のお知らせ_18-0042-"));
        }
        assert!(
            files[1].text.contains("受付&#60;iPad&#62;") && files[1].text.contains("さくら&#60;医院&#62;")
        );
    }
}
