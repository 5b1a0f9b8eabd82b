//! As much of the DNS as `mail doctor` needs: a question, and the TXT, A, AAAA and PTR records of its answer. Octets from
//! a stranger: every length is checked, compressed names end after a limit. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = 12;
/// RFC 1035 3.1.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 255;
/// Jumps of one name; a loop ends here.
const JUMPS_MAX: usize = 32;
/// What we take over UDP (RFC 6891); larger answers come over TCP.
const UDP_MAX: u16 = 1232;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    A,
    Ptr,
    Txt,
    Aaaa,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Address(IpAddr),
    Name(String),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Records(Vec<Record>),
    /// The name is not there, or has nothing of this kind.
    Nothing,
    /// Ask again over TCP.
    Truncated,
    /// The server has trouble, or this is no answer to our question.
    Unusable(&'static str),
}

impl Kind {
    pub fn code(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Ptr => 12,
            Kind::Txt => 16,
            Kind::Aaaa => 28,
        }
    }
}

/// A recursive question; `None` for what is no name.
pub fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut octets = id.to_be_bytes().to_vec();
    // Recursion desired; one question, one additional record (OPT).
    octets.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
    let from = octets.len();
    for label in name.trim_end_matches('.').split('.') {
        if label.is_empty() || label.len() > LABEL_MAX || !label.is_ascii() {
            return None;
        }
        octets.push(u8::try_from(label.len()).ok()?);
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    if octets.len() - from > NAME_MAX {
        return None;
    }
    octets.extend(kind.code().to_be_bytes());
    octets.extend([0, 1]);
    octets.extend([0, 0, 41]);
    octets.extend(UDP_MAX.to_be_bytes());
    octets.extend([0; 6]);
    Some(octets)
}

/// What an address is called to ask for its name.
pub fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(six) => {
            let nibbles = six.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let digits: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", digits.join("."))
        }
    }
}

/// The records of one kind, or why there are none.
pub fn answer(octets: &[u8], id: u16, kind: Kind) -> Answer {
    let Some(header) = octets.first_chunk::<HEADER>() else { return Answer::Unusable("short") };
    if u16::from_be_bytes([header[0], header[1]]) != id || header[2] & 0x80 == 0 {
        return Answer::Unusable("not ours");
    }
    match header[3] & 0x0f {
        0 => {}
        3 => return Answer::Nothing,
        _ => return Answer::Unusable("the server refused or failed"),
    }
    if header[2] & 0x02 != 0 {
        return Answer::Truncated;
    }
    let (questions, answers) =
        (u16::from_be_bytes([header[4], header[5]]), u16::from_be_bytes([header[6], header[7]]));
    match records(octets, questions, answers, kind) {
        None => Answer::Unusable("broken"),
        Some(found) if found.is_empty() => Answer::Nothing,
        Some(found) => Answer::Records(found),
    }
}

fn records(octets: &[u8], questions: u16, answers: u16, kind: Kind) -> Option<Vec<Record>> {
    let mut at = HEADER;
    for _ in 0..questions {
        at = name(octets, at)?.1.checked_add(4)?;
    }
    let mut found = Vec::new();
    for _ in 0..answers {
        at = name(octets, at)?.1;
        let fixed = octets.get(at..at.checked_add(10)?)?;
        let code = u16::from_be_bytes([fixed[0], fixed[1]]);
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let from = at + 10;
        let data = octets.get(from..from.checked_add(length)?)?;
        // Aliases stand before what they lead to; only the kind that was asked for counts.
        if code == kind.code() {
            found.push(record(octets, from, data, kind)?);
        }
        at = from + length;
    }
    Some(found)
}

fn record(octets: &[u8], from: usize, data: &[u8], kind: Kind) -> Option<Record> {
    match kind {
        Kind::A => Some(Record::Address(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into())),
        Kind::Aaaa => Some(Record::Address(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into())),
        Kind::Ptr => Some(Record::Name(name(octets, from)?.0)),
        Kind::Txt => {
            let (mut text, mut rest) = (Vec::new(), data);
            while let Some((length, after)) = rest.split_first() {
                let (part, after) = after.split_at_checked(usize::from(*length))?;
                text.extend_from_slice(part);
                rest = after;
            }
            Some(Record::Text(String::from_utf8_lossy(&text).into_owned()))
        }
    }
}

/// A name, and where what follows it begins.
fn name(octets: &[u8], from: usize) -> Option<(String, usize)> {
    let (mut text, mut at, mut after, mut jumps) = (String::new(), from, None, 0);
    loop {
        let length = *octets.get(at)?;
        match length {
            0 => return Some((text, after.unwrap_or(at + 1))),
            1..=63 => {
                let label = octets.get(at + 1..at + 1 + usize::from(length))?;
                if !text.is_empty() {
                    text.push('.');
                }
                text.extend(label.iter().map(|octet| char::from(octet.to_ascii_lowercase())));
                if text.len() > NAME_MAX * 2 {
                    return None;
                }
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                jumps += 1;
                if jumps > JUMPS_MAX {
                    return None;
                }
                after.get_or_insert(at + 2);
                at = usize::from(u16::from_be_bytes([length & 0x3f, *octets.get(at + 1)?]));
            }
            _ => return None,
        }
    }
}

/// For tests: an answer to `question` with these records.
#[cfg(test)]
pub fn answered(question: &[u8], kind: Kind, data: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = question[..question.len() - 11].to_vec();
    (octets[2], octets[3], octets[11]) = (0x81, 0x80, 0);
    octets[7] = u8::try_from(data.len()).unwrap_or(0);
    for data in data {
        octets.extend([0xc0, 12]);
        octets.extend(kind.code().to_be_bytes());
        octets.extend([0, 1, 0, 0, 0, 60]);
        octets.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        octets.extend(data);
    }
    octets
}

/// For tests: what was asked.
#[cfg(test)]
pub fn asked(question: &[u8]) -> Option<(String, u16)> {
    let (name, at) = name(question, HEADER)?;
    Some((name, u16::from_be_bytes([*question.get(at)?, *question.get(at + 1)?])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let asked = question(7, "example.jp", Kind::Txt).unwrap();
        let long = [&[3][..], b"v=s", &[2], b"pf"].concat();
        let text = answered(&asked, Kind::Txt, &[long]);
        assert_eq!(answer(&text, 7, Kind::Txt), Answer::Records(vec![Record::Text("v=spf".into())]));
        let ptr = answered(
            &question(7, "25.2.0.192.in-addr.arpa", Kind::Ptr).unwrap(),
            Kind::Ptr,
            &[b"\x04smtp\xc0\x0c".to_vec()],
        );
        let name = Record::Name("smtp.25.2.0.192.in-addr.arpa".into());
        assert_eq!(answer(&ptr, 7, Kind::Ptr), Answer::Records(vec![name]));
        let a = answered(&asked, Kind::A, &[vec![192, 0, 2, 1]]);
        let address = Record::Address("192.0.2.1".parse().unwrap());
        assert_eq!(answer(&a, 7, Kind::A), Answer::Records(vec![address]));
        assert_eq!(answer(&a, 7, Kind::Aaaa), Answer::Nothing, "an alias or another kind is no answer");
        assert_eq!(reverse("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
        assert!(
            reverse("2001:db8::1".parse().unwrap()).starts_with("1.0.0.0.")
                && reverse("::1".parse().unwrap()).ends_with("0.ip6.arpa")
        );
    }

    #[test]
    fn what_is_no_answer_of_ours_is_none() {
        let asked = question(7, "example.jp", Kind::Txt).unwrap();
        let good = answered(&asked, Kind::Txt, &[b"\x01x".to_vec()]);
        assert!(matches!(answer(&good, 8, Kind::Txt), Answer::Unusable(_)));
        assert!(matches!(answer(&asked, 7, Kind::Txt), Answer::Unusable(_)), "a question is no answer");
        let with = |at: usize, octet: u8| {
            let mut octets = good.clone();
            octets[at] = octet;
            octets
        };
        assert_eq!(answer(&with(3, 0x83), 7, Kind::Txt), Answer::Nothing);
        assert_eq!(answer(&with(2, 0x83), 7, Kind::Txt), Answer::Truncated);
        assert!(matches!(answer(&with(3, 0x82), 7, Kind::Txt), Answer::Unusable(_)));
        assert_eq!(question(1, "a..b", Kind::A), None);
        assert_eq!(question(1, &"a.".repeat(200), Kind::A), None);
        // A name that points at itself ends.
        let mut looped = good;
        looped[12] = 0xc0;
        looped[13] = 12;
        assert!(matches!(answer(&looped, 7, Kind::Txt), Answer::Unusable(_)));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
        #[test]
        fn no_octets_hurt(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut octets = octets;
            if let Some(header) = octets.first_chunk_mut::<4>() {
                *header = [0, 7, 0x81, 0x80];
            }
            for kind in [Kind::A, Kind::Aaaa, Kind::Ptr, Kind::Txt] {
                let _ = answer(&octets, 7, kind);
            }
        }
    }
}
