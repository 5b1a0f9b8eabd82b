//! Will receivers believe our mail? From, SPF, DKIM, DMARC and the smarthost's name, judged from what the DNS answered, and
//! how long the certificate of S/MIME is still good; asking is somebody else's work. A From of a free-mail domain, or of any other than ours, is refused first of all.
//! Border: findings. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::door_mail::MailSignature;
use crate::jst;

/// An answer of the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked<T> {
    Got(T),
    /// The name, or what was asked of it, is not there.
    Nothing,
    /// No server answered.
    Silent(String),
}

/// What must be published, as `mimamori mail dns` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub zone: String,
    /// The address in From.
    pub from: String,
    pub smarthost: String,
    pub dkim_name: String,
    pub dkim_value: String,
}

/// What is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub spf: Asked<Vec<String>>,
    pub dkim: Asked<Vec<String>>,
    pub dmarc: Asked<Vec<String>>,
    /// Of the domains above the zone, nearest first: where the zone has none, the topmost that has one speaks for it
    /// (RFC 7489 6.6.3; the public suffixes, which have none, need no list this way).
    pub dmarc_above: Vec<Asked<Vec<String>>>,
    pub addresses: Asked<Vec<IpAddr>>,
    /// Names of each address.
    pub names: BTreeMap<IpAddr, Asked<Vec<String>>>,
    /// Addresses of each of these names.
    pub back: BTreeMap<String, Vec<IpAddr>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Good,
    Bad,
    /// Only a person can tell.
    Unknown,
    /// The DNS did not answer: ask again.
    Silent,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `from`, `address`, `ptr`, `spf`, `dkim`, `dmarc`, `smime`.
    pub check: String,
    pub verdict: Verdict,
    pub ja: String,
    pub en: String,
    /// What was read, shortened.
    pub seen: String,
}

/// Days before the end of a mail certificate: a public authority wants papers and weeks for the next one.
pub const CERTIFICATE_DAYS: [i64; 3] = [90, 30, 7];
const DAY_S: i64 = 86_400;

/// As much of a stranger's record as is shown.
const SEEN_MAX: usize = 300;

/// One finding per check, in the order in which a receiver asks.
pub fn judge(expected: &Expected, seen: &Seen) -> Vec<Finding> {
    vec![
        from(expected),
        address(seen),
        ptr(expected, seen),
        spf(expected, seen),
        dkim(expected, seen),
        dmarc(expected, seen),
    ]
}

/// The certificate of S/MIME: good, to be ordered anew, or urgent.
pub fn signature(seen: &MailSignature, now_s: i64) -> Finding {
    let [early, soon, urgent] = CERTIFICATE_DAYS;
    let days = (seen.not_after - now_s).div_euclid(DAY_S);
    let shown = format!("{} {} {}", seen.address, jst::date(seen.not_after * 1_000), seen.issuer);
    let say = |verdict, ja: String, en: String| finding("smime", verdict, &ja, &en, &shown);
    if days < 0 {
        let ja = "証明書の期限が切れたので、署名せずに送っています。新しい証明書に替えてください。";
        let en = "the certificate has ended and mails leave unsigned: put a new one in its place";
        return say(Verdict::Bad, ja.to_owned(), en.to_owned());
    }
    if days <= soon {
        let (now_ja, now_en) = if days <= urgent { ("今すぐ", "at once") } else { ("早めに", "soon") };
        return say(
            Verdict::Bad,
            format!("署名の証明書の期限まで{days}日です。{now_ja}替えてください。"),
            format!("the signing certificate ends in {days} days: replace it {now_en}"),
        );
    }
    if days <= early {
        return say(
            Verdict::Unknown,
            format!("署名の証明書の期限まで{days}日です。更新を申し込んでください。"),
            format!("the signing certificate ends in {days} days: order the next one"),
        );
    }
    say(
        Verdict::Good,
        format!("メールに電子署名（S/MIME）が付きます。期限まで{days}日です。"),
        format!("mails are signed (S/MIME); the certificate ends in {days} days"),
    )
}

fn finding(check: &str, verdict: Verdict, ja: &str, en: &str, seen: &str) -> Finding {
    let seen = seen.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SEEN_MAX).collect();
    Finding { check: check.to_owned(), verdict, ja: ja.to_owned(), en: en.to_owned(), seen }
}

fn silent(check: &str, why: &str) -> Finding {
    finding(check, Verdict::Silent, "DNSから返事がありません。", "the DNS did not answer", why)
}

/// Domains where anybody has an address; their owners publish DMARC policies that our signature can never meet.
const FREE: [&str; 12] = [
    "gmail.com",
    "googlemail.com",
    "yahoo.co.jp",
    "yahoo.com",
    "ymail.ne.jp",
    "outlook.com",
    "outlook.jp",
    "hotmail.com",
    "hotmail.co.jp",
    "live.jp",
    "icloud.com",
    "aol.com",
];

/// Alignment (RFC 7489 3.1): the signature and the envelope are of the zone, so From must be, too, letter for letter.
fn from(expected: &Expected) -> Finding {
    let domain = expected.from.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
    if FREE.iter().any(|free| domain == *free) {
        return finding(
            "from",
            Verdict::Bad,
            "差出人がフリーメールです。受け手の検査（DMARC）で捨てられるので使えません。mail.from を自分のドメインにしてください。",
            "From is of a free-mail domain, and receivers throw such mail away (DMARC): give mail.from our own domain",
            &expected.from,
        );
    }
    if domain != expected.zone.to_ascii_lowercase() {
        return finding(
            "from",
            Verdict::Bad,
            "差出人のドメインが、署名するドメインと違います。mail.from を直してください。",
            "From is of another domain than the signature: correct mail.from",
            &expected.from,
        );
    }
    finding(
        "from",
        Verdict::Good,
        "差出人と署名のドメインが同じです。",
        "From and signature are of one domain",
        &expected.from,
    )
}

fn address(seen: &Seen) -> Finding {
    match &seen.addresses {
        Asked::Got(found) if !found.is_empty() => finding(
            "address",
            Verdict::Good,
            "送信サーバーの名前が引けます。",
            "the smarthost has an address",
            &listed(found),
        ),
        Asked::Got(_) | Asked::Nothing => finding(
            "address",
            Verdict::Bad,
            "送信サーバーの名前が引けません。mail.smarthost を確かめてください。",
            "the smarthost has no address: look at mail.smarthost",
            "",
        ),
        Asked::Silent(why) => silent("address", why),
    }
}

fn listed<T: ToString>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

/// Every address has a name, and that name leads back to it.
fn ptr(expected: &Expected, seen: &Seen) -> Finding {
    let addresses = match &seen.addresses {
        Asked::Got(addresses) => addresses,
        Asked::Silent(why) => return silent("ptr", why),
        Asked::Nothing => {
            let (ja, en) = (
                "送信サーバーの名前が引けないので、確かめられません。",
                "the smarthost has no address to ask about",
            );
            return finding("ptr", Verdict::Unknown, ja, en, &expected.smarthost);
        }
    };
    for address in addresses {
        let names = match seen.names.get(address) {
            Some(Asked::Got(names)) if !names.is_empty() => names,
            Some(Asked::Silent(why)) => return silent("ptr", why),
            _ => {
                return finding(
                    "ptr",
                    Verdict::Bad,
                    "送信サーバーのアドレスに名前（逆引き）がありません。回線かサーバーの事業者に頼んでください。",
                    "an address of the smarthost has no name (PTR): ask whoever provides it",
                    &address.to_string(),
                );
            }
        };
        let leads_back =
            names.iter().any(|name| seen.back.get(name).is_some_and(|back| back.contains(address)));
        if !leads_back {
            return finding(
                "ptr",
                Verdict::Bad,
                "送信サーバーの逆引きの名前が、そのアドレスに戻りません。",
                "the name of the smarthost's address does not lead back to it",
                &format!("{address} {}", listed(names)),
            );
        }
    }
    finding("ptr", Verdict::Good, "逆引きが合っています。", "addresses and names agree", &listed(addresses))
}

/// The one record of its kind; none, or two, are a fault of their own.
fn one<'a>(records: &'a Asked<Vec<String>>, version: &str) -> Result<&'a str, Asked<usize>> {
    match records {
        Asked::Silent(why) => Err(Asked::Silent(why.clone())),
        Asked::Nothing => Err(Asked::Nothing),
        Asked::Got(texts) => {
            let of = |text: &&String| {
                let head = text.split([' ', ';']).next().unwrap_or_default();
                head.eq_ignore_ascii_case(version)
            };
            let found: Vec<&String> = texts.iter().filter(of).collect();
            match found.as_slice() {
                [] => Err(Asked::Nothing),
                [one] => Ok(one),
                several => Err(Asked::Got(several.len())),
            }
        }
    }
}

fn none_or_many(check: &str, which: Asked<usize>) -> Finding {
    match which {
        Asked::Silent(why) => silent(check, &why),
        Asked::Nothing => finding(
            check,
            Verdict::Bad,
            "レコードがありません。mimamori mail dns の値をDNSに載せてください。",
            "there is no record: publish what `mimamori mail dns` prints",
            "",
        ),
        Asked::Got(several) => finding(
            check,
            Verdict::Bad,
            "レコードが二つ以上あります。一つにまとめてください。",
            "there is more than one record: receivers ignore them all",
            &several.to_string(),
        ),
    }
}

/// RFC 7208, as far as one's own smarthost needs it; what a provider's `include` says is not followed.
fn spf(expected: &Expected, seen: &Seen) -> Finding {
    let text = match one(&seen.spf, "v=spf1") {
        Ok(text) => text,
        Err(which) => return none_or_many("spf", which),
    };
    let terms: Vec<String> = text.split_whitespace().skip(1).map(str::to_ascii_lowercase).collect();
    let closing = terms.iter().find(|term| term.trim_start_matches(['+', '-', '~', '?']) == "all");
    if closing.is_none_or(|term| !term.starts_with(['-', '~'])) && !text.contains("redirect=") {
        return finding(
            "spf",
            Verdict::Bad,
            "だれでも差出人になれます。最後を -all にしてください。",
            "anybody may send in our name: end it with -all",
            text,
        );
    }
    let addresses = match &seen.addresses {
        Asked::Got(addresses) => addresses.as_slice(),
        Asked::Nothing | Asked::Silent(_) => &[],
    };
    let named = format!("a:{}", expected.smarthost.to_ascii_lowercase());
    let by_name = terms.iter().any(|term| term.trim_start_matches('+') == named);
    let by_address = !addresses.is_empty()
        && addresses.iter().all(|address| terms.iter().any(|term| holds(term, *address)));
    if by_name || by_address {
        return finding(
            "spf",
            Verdict::Good,
            "送信サーバーが認められています。",
            "the smarthost is allowed",
            text,
        );
    }
    if terms.iter().any(|term| refers(term)) {
        return finding(
            "spf",
            Verdict::Unknown,
            "ほかのレコードに任せているので、ここでは確かめられません。送信の事業者の指示どおりか確かめてください。",
            "it refers to another record, which is not followed here: compare it with the provider's instructions",
            text,
        );
    }
    finding(
        "spf",
        Verdict::Bad,
        "送信サーバーが認められていません。mimamori mail dns の値にしてください。",
        "the smarthost is not allowed: publish what `mimamori mail dns` prints",
        text,
    )
}

/// Does it stand for what another record says?
fn refers(term: &str) -> bool {
    let term = term.trim_start_matches('+');
    let name = term.split([':', '=', '/']).next().unwrap_or_default();
    matches!(name, "include" | "redirect" | "mx" | "a" | "exists" | "ptr")
}

/// Does `ip4:…` or `ip6:…` hold the address?
fn holds(term: &str, address: IpAddr) -> bool {
    let term = term.trim_start_matches('+');
    let Some(range) = term.strip_prefix("ip4:").or_else(|| term.strip_prefix("ip6:")) else { return false };
    let (net, length) = range.split_once('/').map_or((range, None), |(net, length)| (net, Some(length)));
    let Ok(net) = net.parse::<IpAddr>() else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(four) => (u128::from(u32::from(four)), 32),
        IpAddr::V6(six) => (u128::from(six), 128),
    };
    let ((net_bits, width), (bits, own)) = (bits(net), bits(address));
    let length: u32 = match length.map_or(Ok(width), str::parse) {
        Ok(length) if length <= width => length,
        _ => return false,
    };
    let shift = width - length;
    width == own && (net_bits.checked_shr(shift) == bits.checked_shr(shift))
}

/// The key that signs is the key that is published.
fn dkim(expected: &Expected, seen: &Seen) -> Finding {
    let key = |text: &str| {
        let part = text.split(';').map(str::trim).find_map(|part| part.strip_prefix("p="));
        part.map(|key| key.split_whitespace().collect::<String>())
    };
    match &seen.dkim {
        Asked::Silent(why) => silent("dkim", why),
        Asked::Nothing => none_or_many("dkim", Asked::Nothing),
        Asked::Got(texts) if texts.len() > 1 => none_or_many("dkim", Asked::Got(texts.len())),
        Asked::Got(texts) => {
            let text = texts.first().map(String::as_str).unwrap_or_default();
            let tag = |part: &str| part.split_whitespace().collect::<String>();
            // RFC 6376 3.6.1: a receiver treats such mail as if it were not signed.
            let is_trial = text.split(';').map(tag).any(|part| {
                part.strip_prefix("t=").is_some_and(|flags| flags.split(':').any(|flag| flag == "y"))
            });
            if is_trial {
                let (ja, en) = (
                    "鍵が試験中（t=y）です。t=y を外してください。",
                    "the key is on trial (t=y): take t=y away",
                );
                return finding("dkim", Verdict::Bad, ja, en, text);
            }
            if key(text).is_some() && key(text) == key(&expected.dkim_value) {
                finding(
                    "dkim",
                    Verdict::Good,
                    "署名の鍵が載っています。",
                    "our signing key is published",
                    text,
                )
            } else {
                finding(
                    "dkim",
                    Verdict::Bad,
                    "載っている鍵が、いま署名に使う鍵と違います。mimamori mail dns の値に替えてください。",
                    "another key is published than the one that signs: publish what `mimamori mail dns` prints",
                    text,
                )
            }
        }
    }
}

/// RFC 7489: From, signature and envelope are all of the zone, so what counts is that receivers act on it.
fn dmarc(expected: &Expected, seen: &Seen) -> Finding {
    let (text, inherited) = match one(&seen.dmarc, "v=DMARC1") {
        Ok(text) => (text, false),
        Err(Asked::Nothing) => {
            match seen
                .dmarc_above
                .iter()
                .rev()
                .map(|above| one(above, "v=DMARC1"))
                .find(|it| *it != Err(Asked::Nothing))
            {
                Some(Ok(text)) => (text, true),
                Some(Err(which)) => return none_or_many("dmarc", which),
                None => return none_or_many("dmarc", Asked::Nothing),
            }
        }
        Err(which) => return none_or_many("dmarc", which),
    };
    let tag = |name: &str| {
        let parts = text.split(';').filter_map(|part| part.split_once('='));
        parts
            .map(|(key, value)| (key.trim(), value.trim()))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    // What stands above speaks to us by `sp`, or by `p` where it has none.
    let policy = if inherited { tag("sp").or_else(|| tag("p")) } else { tag("p") };
    match policy.map(str::to_ascii_lowercase).as_deref() {
        Some("reject" | "quarantine") => {
            let (ja, en) = ("なりすましのメールは受け取られません。", "receivers act on forged mail");
            finding("dmarc", Verdict::Good, ja, en, text)
        }
        _ => finding(
            "dmarc",
            Verdict::Bad,
            "なりすましを見つけても受け手は何もしません。p=reject か p=quarantine にしてください。",
            &format!("receivers do nothing about mail forged in the name of {}: use p=reject", expected.zone),
            text,
        ),
    }
}

#[cfg(test)]
mod tests;
