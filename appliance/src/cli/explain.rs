//! `explain`: what a code means and what to do, in both languages. Needs no running appliance.

use serde_json::json;

use super::catalogue::find;
use super::failure::Failure;
use super::out::Out;
use crate::exit::Exit;
use crate::messages::Message;

pub fn explain(code: &str, out: &Out) -> Result<Exit, Failure> {
    let Some(entry) = find(code) else {
        return Err(Message::UnknownCode { code: code.chars().take(16).collect() }.into());
    };
    let value = json!({
        "code": entry.code, "ja": entry.ja, "en": entry.en,
        "remedy_ja": entry.remedy_ja, "remedy_en": entry.remedy_en,
    });
    out.result(&value, || {
        // `{}` stands where a real message names the thing.
        let shown = |text: &str| text.replace("{}", "…");
        let ja = format!("{}\n→ {}\n", shown(&entry.ja), shown(&entry.remedy_ja));
        let en = format!("{}\n→ {}\n", shown(&entry.en), shown(&entry.remedy_en));
        let (first, second) = out.pick((&ja, &en), (&en, &ja));
        format!("{}\n{first}{second}", out.ink().strong(&entry.code))
    })?;
    Ok(Exit::Ok)
}
