//! `mail doctor`: asks the DNS what a receiver would ask (SPF, DKIM, DMARC, the smarthost's addresses and their names) and
//! says what is wrong, and asks the room whether the bounce mailbox can be read and how long its mail certificate is good. The deciding is `provisioning::mail_doctor`. Edge: network, files (resolv.conf), randomness.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_bounce::BounceRound;
use provisioning::mail_doctor::{self, Asked, Expected, Finding, Seen, Verdict, judge};
use provisioning::messages::Message::MailOff;
use provisioning::messages_intake::IntakeMessage;
use serde_json::json;

use super::ask::{Door, odd_kind};
use super::dns_wire::{Answer, Kind, Record, answer, question, reverse};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use super::{mail, realm};
use crate::exit::Exit;

/// A server that is silent for so long is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions of one kind before we give up: a packet may be lost.
const TRIES: usize = 3;
/// Largest answer over UDP that is read, and over TCP.
const UDP_MAX: usize = 4_096;
/// Addresses of a smarthost that are looked at, and names of each.
const ADDRESSES_MAX: usize = 8;
const NAMES_MAX: usize = 4;
/// Names above the zone whose policy may be ours; RFC 9091 looks no further up either.
const ABOVE_MAX: usize = 8;
/// Where the system says which server it asks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

pub fn doctor(config: &Path, door: &Door, server: Option<SocketAddr>, out: &Out) -> Result<Exit, Failure> {
    let Some(mail) = realm::config(config)?.mail else { return Err(MailOff.trouble().into()) };
    let ProvisioningAnswer::MailDns(records) = door.provisioning(ProvisioningQuestion::MailDns)? else {
        return Err(odd_kind("provisioning"));
    };
    let [dkim, spf, _] = records.as_slice() else { return Err(odd_kind("provisioning")) };
    let expected = Expected {
        zone: spf.name.clone(),
        from: mail.from,
        smarthost: mail.host,
        dkim_name: dkim.name.clone(),
        dkim_value: dkim.value.clone(),
    };
    let resolver = Resolver::new(server.unwrap_or_else(system_server), PATIENCE);
    let mut findings = judge(&expected, &resolver.look(&expected));
    findings.extend(signature(door)?);
    findings.extend(mailbox(door)?);
    out.result(&json!({ "findings": findings }), || text(&findings, out))?;
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    Ok(match (any(Verdict::Bad), any(Verdict::Silent)) {
        (true, _) => Exit::Degraded,
        (false, true) => Exit::TryLater,
        (false, false) => Exit::Ok,
    })
}

/// What signs letters; nothing to say where nothing does.
fn signature(door: &Door) -> Result<Option<Finding>, Failure> {
    let ProvisioningAnswer::Status(status) = door.provisioning(ProvisioningQuestion::Status)? else {
        return Err(odd_kind("provisioning"));
    };
    let now_s = provisioning::world::now_ms() / 1_000;
    Ok(status.mail_signature.map(|seen| mail_doctor::signature(&seen, now_s)))
}

/// Can the bounce mailbox be read? Only the room has its password, and calls it; nothing is changed there.
fn mailbox(door: &Door) -> Result<Option<Finding>, Failure> {
    let finding = |verdict, ja: String, en: String, seen: String| {
        Some(Finding { check: "bounces".to_owned(), verdict, ja, en, seen })
    };
    Ok(match mail::fetched(door, true) {
        Ok(BounceRound { fault: None, found, .. }) => finding(
            Verdict::Good,
            "戻りメールの受信箱が読めます。".to_owned(),
            "the bounce mailbox can be read".to_owned(),
            found.to_string(),
        ),
        Ok(BounceRound { fault: Some(fault), .. }) => finding(
            Verdict::Bad,
            format!("{}{}", fault.ja, fault.remedy_ja),
            format!("{} {}", fault.en, fault.remedy_en),
            fault.code,
        ),
        // It is not configured; a clerk hands bounces over.
        Err(failure) if failure.words.code == IntakeMessage::BoxOff.code() => None,
        Err(failure) => return Err(failure),
    })
}

fn text(findings: &[Finding], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("検査", "check"),
        out.pick("結果", "verdict"),
        out.pick("意味", "meaning"),
        out.pick("見えた値", "seen"),
    ]);
    for finding in findings {
        let (ja, en) = match finding.verdict {
            Verdict::Good => ("よい", "good"),
            Verdict::Bad => ("直す", "bad"),
            Verdict::Unknown => ("要確認", "look yourself"),
            Verdict::Silent => ("返事なし", "no answer"),
        };
        let cells = [
            finding.check.clone(),
            out.pick(ja, en).to_owned(),
            out.pick(&finding.ja, &finding.en).clone(),
            finding.seen.clone(),
        ];
        if finding.verdict == Verdict::Bad { table.bad_row(cells) } else { table.row(cells) }
    }
    table.text(out.ink())
}

/// The first one that the system names; without any, this machine.
fn system_server() -> SocketAddr {
    let text = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    SocketAddr::new(named.unwrap_or(IpAddr::from([127, 0, 0, 1])), 53)
}

struct Resolver {
    server: SocketAddr,
    patience: Duration,
    /// It was silent once: what else it is asked would only take as long again.
    away: RefCell<Option<String>>,
}

impl Resolver {
    fn new(server: SocketAddr, patience: Duration) -> Self {
        Self { server, patience, away: RefCell::new(None) }
    }

    fn look(&self, expected: &Expected) -> Seen {
        let addresses = self.addresses(&expected.smarthost);
        let mut seen = Seen {
            spf: self.texts(&expected.zone),
            dkim: self.texts(&expected.dkim_name),
            dmarc: self.texts(&format!("_dmarc.{}", expected.zone)),
            dmarc_above: above(&expected.zone).map(|name| self.texts(&format!("_dmarc.{name}"))).collect(),
            addresses: addresses.clone(),
            names: BTreeMap::new(),
            back: BTreeMap::new(),
        };
        let Asked::Got(addresses) = addresses else { return seen };
        for address in addresses {
            let names = mapped(self.ask(&reverse(address), Kind::Ptr), |record| match record {
                Record::Name(name) => Some(name),
                Record::Address(_) | Record::Text(_) => None,
            });
            if let Asked::Got(names) = &names {
                for name in names.iter().take(NAMES_MAX) {
                    if let Asked::Got(back) = self.addresses(name) {
                        seen.back.insert(name.clone(), back);
                    }
                }
            }
            seen.names.insert(address, names);
        }
        seen
    }

    fn texts(&self, name: &str) -> Asked<Vec<String>> {
        mapped(self.ask(name, Kind::Txt), |record| match record {
            Record::Text(text) => Some(text),
            Record::Address(_) | Record::Name(_) => None,
        })
    }

    /// Both families; one of them is enough.
    fn addresses(&self, name: &str) -> Asked<Vec<IpAddr>> {
        let of = |kind| {
            mapped(self.ask(name, kind), |record| match record {
                Record::Address(address) => Some(address),
                Record::Name(_) | Record::Text(_) => None,
            })
        };
        match (of(Kind::A), of(Kind::Aaaa)) {
            (Asked::Got(mut four), Asked::Got(six)) => {
                four.extend(six);
                four.truncate(ADDRESSES_MAX);
                Asked::Got(four)
            }
            (Asked::Got(some), _) | (_, Asked::Got(some)) => Asked::Got(some),
            (Asked::Silent(why), _) | (_, Asked::Silent(why)) => Asked::Silent(why),
            (Asked::Nothing, Asked::Nothing) => Asked::Nothing,
        }
    }

    fn ask(&self, name: &str, kind: Kind) -> Asked<Vec<Record>> {
        if let Some(why) = self.away.borrow().as_ref() {
            return Asked::Silent(why.clone());
        }
        let mut why = String::new();
        for _ in 0..TRIES {
            match self.once(name, kind) {
                Ok(Answer::Records(records)) => return Asked::Got(records),
                Ok(Answer::Nothing) => return Asked::Nothing,
                Ok(Answer::Truncated) => "too large".clone_into(&mut why),
                // This name may be in trouble and the next one not.
                Ok(Answer::Unusable(what)) => what.clone_into(&mut why),
                Err(error) => {
                    why = format!("{}: {error}", self.server);
                    self.away.replace(Some(why.clone()));
                    continue;
                }
            }
            self.away.replace(None);
        }
        Asked::Silent(why)
    }

    fn once(&self, name: &str, kind: Kind) -> std::io::Result<Answer> {
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(|error| std::io::Error::other(error.to_string()))?;
        let id = u16::from_be_bytes(id);
        let Some(asked) = question(id, name, kind) else { return Ok(Answer::Nothing) };
        let any: IpAddr = if self.server.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(self.patience))?;
        // Only this server's datagrams reach a connected socket.
        socket.connect(self.server)?;
        socket.send(&asked)?;
        let mut octets = vec![0; UDP_MAX];
        let length = socket.recv(&mut octets)?;
        match answer(&octets[..length.min(UDP_MAX)], id, kind) {
            Answer::Truncated => self.over_tcp(&asked, id, kind),
            answered => Ok(answered),
        }
    }

    fn over_tcp(&self, asked: &[u8], id: u16, kind: Kind) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.server, self.patience)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        let length = u16::try_from(asked.len()).unwrap_or(u16::MAX);
        stream.write_all(&[&length.to_be_bytes(), asked].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets)?;
        Ok(answer(&octets, id, kind))
    }
}

/// Names above the zone that somebody may own, nearest first.
fn above(zone: &str) -> impl Iterator<Item = &str> {
    fn next(name: &str) -> Option<&str> {
        name.split_once('.').map(|(_, above)| above).filter(|above| above.contains('.'))
    }
    std::iter::successors(next(zone), |name| next(name)).take(ABOVE_MAX)
}

fn mapped<T>(asked: Asked<Vec<Record>>, of: impl Fn(Record) -> Option<T>) -> Asked<Vec<T>> {
    match asked {
        Asked::Got(records) => Asked::Got(records.into_iter().filter_map(of).collect()),
        Asked::Nothing => Asked::Nothing,
        Asked::Silent(why) => Asked::Silent(why),
    }
}

#[cfg(test)]
mod tests;
