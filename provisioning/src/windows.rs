//! The PowerShell script by which a Windows device makes its certificate's key inside its TPM and claims. A template of
//! ours; whatever comes from elsewhere stands in it as a quoted string or not at all. It carries no Authenticode
//! signature: our CAs may not certify code, and a script that is updated with the machine cannot have its hash on a
//! paper printed before; the claim page, whose root the person compared, shows the hash instead. Pure: text out.

use askama::Template;
use aws_lc_rs::digest;
use vpn::slot::SlotNumber;

use crate::messages::Message;

#[derive(Template)]
#[template(path = "windows.ps1", escape = "none")]
struct Script {
    head: String,
    file: String,
    slot: String,
    realm: String,
    facility: String,
    claim: String,
    friendly: String,
    root_print: String,
}

/// What the script says of its device.
pub struct WindowsScript<'a> {
    pub slot: SlotNumber,
    pub realm_name: &'a str,
    pub facility_name: &'a str,
    pub zone: &'a str,
    pub root_fingerprint: &'a str,
}

pub fn script_file(slot: SlotNumber) -> String {
    format!("mimamori-{slot}.ps1")
}

/// UTF-8 with its mark and Windows' ends of lines: PowerShell 5.1 reads Japanese in no other form.
pub fn script(of: &WindowsScript<'_>) -> Result<Vec<u8>, Message> {
    let slot = of.slot.to_string();
    let print: String = of.root_fingerprint.chars().filter(char::is_ascii_hexdigit).collect();
    let script = Script {
        head: format!("みまもり {slot} の本登録"),
        file: script_file(of.slot),
        slot: quoted(&slot),
        realm: quoted(of.realm_name),
        facility: quoted(of.facility_name),
        claim: quoted(&format!("https://claim.{}", of.zone)),
        friendly: quoted(&format!("みまもり {slot}")),
        root_print: quoted(&print.to_ascii_lowercase()),
    };
    let text = script.render().map_err(|error| Message::Internal { what: error.to_string() })?;
    Ok(format!("\u{feff}{}", text.replace('\n', "\r\n")).into_bytes())
}

/// As people compare it: pairs of hexadecimal digits.
pub fn fingerprint(script: &[u8]) -> String {
    data_encoding::HEXUPPER.encode(digest::digest(&digest::SHA256, script).as_ref())
}

/// A single-quoted string of PowerShell: nothing in it is a variable or a command. Every sign that PowerShell reads as a
/// single quotation mark is doubled; what would end the line is left out.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("'");
    for sign in text.chars().filter(|sign| !ends_line(*sign)) {
        if is_quote(sign) {
            quoted.push(sign);
        }
        quoted.push(sign);
    }
    quoted.push('\'');
    quoted
}

fn is_quote(sign: char) -> bool {
    matches!(sign, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

fn ends_line(sign: char) -> bool {
    sign.is_control() || matches!(sign, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOSTILE: [&str; 6] = [
        "'; Remove-Item -Recurse C:\\ #",
        "’; Start-Process calc; ‘",
        "\"\n'@\r\nStart-Process calc\n@'",
        "$(Start-Process calc)`n$env:PATH",
        "\u{2028}exit\u{0}\u{85}\u{1b}[2J",
        "医院‚‛'''’’",
    ];

    fn text(facility_name: &str, realm_name: &str) -> String {
        let bytes = script(&WindowsScript {
            slot: "18-0042".parse().unwrap(),
            realm_name,
            facility_name,
            zone: "mimamori.example.jp",
            root_fingerprint: &"AB:".repeat(32),
        });
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    /// How PowerShell reads a single-quoted string: its value, and what stands behind it.
    fn read(text: &str) -> (String, &str) {
        let mut signs = text.strip_prefix('\'').unwrap().char_indices().peekable();
        let mut value = String::new();
        while let Some((at, sign)) = signs.next() {
            if is_quote(sign) {
                match signs.peek() {
                    Some((_, next)) if is_quote(*next) => {
                        signs.next();
                    }
                    _ => return (value, &text[1 + at + sign.len_utf8()..]),
                }
            }
            value.push(sign);
        }
        panic!("no end: {text}")
    }

    #[test]
    fn attack_a_name_stays_in_its_string_and_changes_no_other_line() {
        let calm = text("さくら医院", "みまもり");
        for hostile in HOSTILE {
            let script = text(hostile, hostile);
            let (lines, calm): (Vec<_>, Vec<_>) = (script.lines().collect(), calm.lines().collect());
            assert_eq!(lines.len(), calm.len(), "{hostile:?}");
            let other: Vec<_> = lines.iter().zip(&calm).filter(|(line, calm)| line != calm).collect();
            assert_eq!(other.len(), 2, "the realm's and the facility's: {other:?}");
            for (line, _) in other {
                let (value, behind) = read(line.split_once(" = ").unwrap().1);
                let meant: String = hostile.chars().filter(|sign| !ends_line(*sign)).collect();
                assert_eq!((value, behind), (meant, ""), "{line}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]
        #[test]
        fn any_text_reads_back_and_ends_where_it_should(said in ".{0,40}") {
            let quoted = quoted(&said);
            let (value, behind) = read(&quoted);
            prop_assert_eq!(value, said.chars().filter(|sign| !ends_line(*sign)).collect::<String>());
            prop_assert_eq!(behind, "");
        }
    }

    /// The TPM's provider, no exportable key, nothing of the sheet; as it was looked at.
    #[test]
    fn the_script_is_the_one_that_was_looked_at() {
        let script = text("さくら <医院>", "みまもり試験");
        assert!(script.starts_with('\u{feff}') && !script.replace("\r\n", "").contains('\n'));
        assert_eq!(script, include_str!("../assets/test/golden/windows.ps1"));
        assert_eq!(fingerprint(script.as_bytes()).len(), 64);
    }
}
