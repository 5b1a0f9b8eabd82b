//! The examination: facts that somebody gathered, and what of them is wrong, how bad, and which command mends it.
//! Pure; the findings cross a border as JSON.

use std::net::IpAddr;

use provisioning::mail_doctor::{self, Verdict};
use serde::Serialize;

use crate::backup::manifest::{Copied, Remembered};
use crate::operator::Status;

const DAY_S: i64 = 86_400;
/// A nightly backup may be late by an evening's restart.
const BACKUP_WARN_S: i64 = DAY_S + 6 * 3600;
const BACKUP_SEVERE_S: i64 = 7 * DAY_S;
const DRILL_WARN_S: i64 = 3 * DAY_S;
/// A ceremony has to be called together.
const CERTIFICATE_WARN_DAYS: i64 = 180;
const CERTIFICATE_SEVERE_DAYS: i64 = 30;
/// Of a hundred.
const DISK_WARN: u64 = 15;
const DISK_SEVERE: u64 = 5;
/// A day's letters of a large association.
const MAIL_WAITING_WARN: u32 = 200;
/// As long as the longest pause between two handshakes of devices that are used at all.
const SILENCE_S: i64 = 6 * 3600;
/// What a clock may be off when somebody's answer is all there is to compare with.
const CLOCK_BACK_S: i64 = 120;

const EXPORT: &str = "mimamori keys export-epoch --to /media/usb/epoch.sealed";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// To be mended in the next days.
    Warn,
    /// Somebody is, or soon will be, without service.
    Severe,
}

impl Severity {
    pub fn ja(self) -> &'static str {
        match self {
            Severity::Note => "参考",
            Severity::Warn => "注意",
            Severity::Severe => "重大",
        }
    }

    pub fn en(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warn => "warn",
            Severity::Severe => "severe",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable: scripts may rely on it.
    pub id: &'static str,
    pub severity: Severity,
    pub ja: String,
    pub en: String,
    /// What mends it, or says more.
    pub command: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Synchronised,
    Free,
    /// This machine has nobody whom one could ask.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    None,
    /// Written, and tried at the next start.
    Waiting,
    OnTrial,
    /// No machine of our image, or not ours to see.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub place: String,
    pub free: u64,
    pub size: u64,
}

/// A name of the realm, as the DNS answers here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    pub name: String,
    /// What it must be; none for the endpoint, which only must be something.
    pub wanted: Option<IpAddr>,
    pub found: Vec<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    pub protocol: Protocol,
    pub address: IpAddr,
    pub port: u16,
}

#[derive(Clone, Debug)]
pub struct Facts {
    pub now_s: i64,
    /// None: nobody answers at all.
    pub status: Option<Status>,
    pub backup: Remembered,
    pub clock: Clock,
    pub update: Update,
    pub disks: Vec<Disk>,
    pub lookups: Vec<Lookup>,
    /// Of the machine's own interfaces.
    pub local: Vec<IpAddr>,
    pub open: Vec<Port>,
    /// Port numbers that the configuration asks for.
    pub intended: Vec<(Protocol, u16)>,
}

/// The worst first; empty when all is well.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut found = Found(Vec::new());
    rooms(facts, &mut found);
    backup(facts, &mut found);
    found.0.extend(epoch(facts.status.as_ref(), &facts.backup));
    clock(facts, &mut found);
    certificates(facts, &mut found);
    mail(facts, &mut found);
    disks(facts, &mut found);
    names(facts, &mut found);
    reach(facts, &mut found);
    ports(facts, &mut found);
    update(facts, &mut found);
    let mut findings = found.0;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

struct Found(Vec<Finding>);

impl Found {
    fn say(&mut self, id: &'static str, severity: Severity, (ja, en): (String, String), command: &str) {
        self.0.push(Finding { id, severity, ja, en, command: command.to_owned() });
    }
}

fn rooms(facts: &Facts, found: &mut Found) {
    let Some(status) = &facts.status else {
        let text = ("mimamoriが答えません".into(), "mimamori does not answer".into());
        return found.say("silent", Severity::Severe, text, "systemctl status 'mimamori*'");
    };
    for degraded in &status.degraded {
        // Those have findings of their own, with more to say.
        if ["mail list", "mail doctor", " ends in "].iter().any(|part| degraded.en.contains(part)) {
            continue;
        }
        let (room, ja, en) = (&degraded.room, &degraded.ja, &degraded.en);
        let command = format!("journalctl -u mimamori-{room}.service -n 50");
        found.say("room", Severity::Severe, (format!("{room}: {ja}"), format!("{room}: {en}")), &command);
    }
}

fn backup(facts: &Facts, found: &mut Found) {
    const MAKE: &str = "mimamori backup make --to /media/usb";
    const DRILL: &str = "mimamori backup drill";
    match &facts.backup.made {
        None => found.say(
            "backup-none",
            Severity::Severe,
            ("控えがまだ一つもありません".into(), "there is no backup yet".into()),
            MAKE,
        ),
        Some(made) => {
            let age = facts.now_s - made.at_ms / 1000;
            let severity = if age > BACKUP_SEVERE_S { Severity::Severe } else { Severity::Warn };
            if age > BACKUP_WARN_S {
                let hours = age / 3600;
                let text = (
                    format!("最後の控えから{hours}時間たっています"),
                    format!("the last backup is {hours} hours old"),
                );
                found.say("backup-old", severity, text, MAKE);
            }
        }
    }
    match &facts.backup.drill {
        None => found.say(
            "drill-none",
            Severity::Warn,
            ("控えから戻す練習をまだしていません".into(), "a restore was never rehearsed".into()),
            DRILL,
        ),
        Some(drill) => {
            if let Some(why) = &drill.fault {
                let text = (
                    format!("控えから戻す練習がうまくいきませんでした: {why}"),
                    format!("the rehearsal of a restore failed: {why}"),
                );
                found.say("drill-failed", Severity::Severe, text, DRILL);
            }
            let age = facts.now_s - drill.at_ms / 1000;
            if age > DRILL_WARN_S {
                let days = age / DAY_S;
                let text = (
                    format!("控えから戻す練習が{days}日前のままです"),
                    format!("the last rehearsal of a restore was {days} days ago"),
                );
                found.say("drill-old", Severity::Warn, text, DRILL);
            }
        }
    }
}

/// P-27: an erasure begins another epoch, and the copy that was carried away opens nothing from then on; without a copy of
/// the epoch that is now, a broken disk ends every record.
pub fn epoch(status: Option<&Status>, kept: &Remembered) -> Option<Finding> {
    let now = status?.sns.as_ref()?.epoch;
    let (id, severity, ja, en) = match &kept.epoch {
        Some(copy) if copy.epoch >= now => return None,
        Some(Copied { epoch, .. }) => (
            "epoch-old",
            Severity::Severe,
            format!(
                "患者の消去で鍵が世代{now}に替わり、預けてある写し（世代{epoch}）では記録を戻せません。写しを作り直し、前の写しを壊してください"
            ),
            format!(
                "an erasure began epoch {now}: the copy of epoch {epoch} opens no record any more; make it anew and destroy the former"
            ),
        ),
        None => (
            "epoch-none",
            Severity::Warn,
            "患者の鍵を包む鍵の写しがありません。控えには入らないので、円盤が壊れると記録は戻りません".to_owned(),
            "there is no copy of the epoch's key; it is in no backup, and a broken disk would end every record".to_owned(),
        ),
    };
    Some(Finding { id, severity, ja, en, command: EXPORT.to_owned() })
}

fn clock(facts: &Facts, found: &mut Found) {
    if facts.clock == Clock::Free {
        found.say(
            "clock",
            Severity::Warn,
            (
                "時計がどこにも合わせられていません。証明書の期限の判断が狂います".into(),
                "the clock follows nobody; certificates would be judged wrongly".into(),
            ),
            "timedatectl timesync-status",
        );
    }
    let last = facts.backup.made.as_ref().map(|made| made.at_ms / 1000);
    let last = last.max(facts.backup.drill.as_ref().map(|drill| drill.at_ms / 1000));
    if last.is_some_and(|last| last - facts.now_s > CLOCK_BACK_S) {
        found.say(
            "clock-back",
            Severity::Severe,
            ("時計が最後の控えより前を指しています".into(), "the clock stands before the last backup".into()),
            "timedatectl",
        );
    }
}

fn certificates(facts: &Facts, found: &mut Found) {
    let ends = facts.status.iter().filter_map(|status| status.pki.as_ref()).flat_map(|pki| &pki.authorities);
    for end in ends {
        let days = (end.not_after - facts.now_s).div_euclid(DAY_S);
        if days >= CERTIFICATE_WARN_DAYS {
            continue;
        }
        let severity = if days < CERTIFICATE_SEVERE_DAYS { Severity::Severe } else { Severity::Warn };
        let name = &end.name;
        let text = (format!("{name} の期限まで{days}日です"), format!("{name} ends in {days} days"));
        found.say("certificate", severity, text, "mimamori status -o json");
    }
}

fn mail(facts: &Facts, found: &mut Found) {
    let Some(office) = facts.status.as_ref().and_then(|status| status.provisioning.as_ref()) else { return };
    let (failed, waiting) = (office.outbox_failed, office.outbox_waiting);
    if failed > 0 {
        let text =
            (format!("送れなかったメールが{failed}通あります"), format!("{failed} mails could not be sent"));
        found.say("mail-failed", Severity::Warn, text, "mimamori mail list");
    }
    if waiting >= MAIL_WAITING_WARN {
        let text = (
            format!("送信待ちのメールが{waiting}通たまっています"),
            format!("{waiting} mails wait to be sent"),
        );
        found.say("mail-waiting", Severity::Warn, text, "mimamori mail list");
    }
    let signature = office.mail_signature.as_ref().map(|seen| mail_doctor::signature(seen, facts.now_s));
    if let Some(finding) = signature.filter(|finding| finding.verdict != Verdict::Good) {
        found.say("mail-signature", Severity::Warn, (finding.ja, finding.en), "mimamori mail doctor");
    }
}

fn disks(facts: &Facts, found: &mut Found) {
    for disk in facts.disks.iter().filter(|disk| disk.size > 0) {
        let left = disk.free.saturating_mul(100) / disk.size;
        if left >= DISK_WARN {
            continue;
        }
        let severity = if left < DISK_SEVERE { Severity::Severe } else { Severity::Warn };
        let place = &disk.place;
        let text =
            (format!("{place} の空きが{left}%です"), format!("{left} % of the disk of {place} is free"));
        found.say("disk", severity, text, "journalctl --vacuum-size=200M");
    }
}

fn names(facts: &Facts, found: &mut Found) {
    for lookup in &facts.lookups {
        let wrong = match lookup.wanted {
            Some(wanted) => !lookup.found.contains(&wanted),
            None => lookup.found.is_empty(),
        };
        if !wrong {
            continue;
        }
        let name = &lookup.name;
        let seen: Vec<String> = lookup.found.iter().map(ToString::to_string).collect();
        let seen = if seen.is_empty() { "–".to_owned() } else { seen.join(" ") };
        let wanted = lookup.wanted.map_or_else(|| "?".to_owned(), |wanted| wanted.to_string());
        let text = (
            format!("DNSで {name} が {seen} になっています（正しくは {wanted}）"),
            format!("the DNS says {seen} for {name}, and it must be {wanted}"),
        );
        // Without the endpoint no new device finds the way; the others have addresses in their hosts file or profile.
        let severity = if lookup.wanted.is_none() { Severity::Severe } else { Severity::Warn };
        found.say("dns", severity, text, &format!("getent ahosts {name}"));
    }
}

/// From what devices do, because nothing inside can see how the outside sees us.
fn reach(facts: &Facts, found: &mut Found) {
    let endpoint = facts.lookups.iter().find(|lookup| lookup.wanted.is_none());
    if let Some(endpoint) = endpoint
        && !endpoint.found.is_empty()
        && !endpoint.found.iter().any(|address| facts.local.contains(address))
    {
        let name = &endpoint.name;
        let text = (
            format!("{name} はこの機械の番地ではありません。手前の機器がUDPを転送している必要があります"),
            format!("{name} is no address of this machine: what stands before it must forward the UDP ports"),
        );
        found.say("nat", Severity::Note, text, "mimamori vpn show");
    }
    let Some(status) = &facts.status else { return };
    let Some(vpn) = &status.vpn else { return };
    let newest = vpn.seats.iter().filter_map(|seat| seat.last_handshake_ms).max().map(|ms| ms / 1000);
    let since = newest.unwrap_or(status.since_ms / 1000);
    if !vpn.seats.is_empty() && facts.now_s - since > SILENCE_S {
        let hours = (facts.now_s - since) / 3600;
        let text = (
            format!("{hours}時間、どの端末からもUDPが届いていません"),
            format!("no device was heard for {hours} hours: does UDP reach this machine?"),
        );
        found.say("udp", Severity::Warn, text, "mimamori vpn show");
    }
}

fn ports(facts: &Facts, found: &mut Found) {
    let reachable = facts.open.iter().filter(|open| !open.address.is_loopback());
    let mut strangers: Vec<(Protocol, u16)> = reachable.map(|open| (open.protocol, open.port)).collect();
    strangers.retain(|open| !facts.intended.contains(open));
    strangers.sort_unstable();
    strangers.dedup();
    for (protocol, port) in strangers {
        let shown = shown(protocol, port);
        let text = (
            format!("誰も頼んでいない口 {shown} が開いています"),
            format!("{shown} is open, and nothing in the configuration asks for it"),
        );
        found.say("port-open", Severity::Warn, text, "ss -tulpn");
    }
    for (protocol, port) in &facts.intended {
        let open = facts.open.iter().any(|open| (open.protocol, open.port) == (*protocol, *port));
        if !open {
            let shown = shown(*protocol, *port);
            let text = (
                format!("開いているはずの口 {shown} が閉じています"),
                format!("{shown} should be open and is not"),
            );
            found.say("port-closed", Severity::Severe, text, "mimamori status");
        }
    }
}

fn shown(protocol: Protocol, port: u16) -> String {
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{port}/{protocol}")
}

fn update(facts: &Facts, found: &mut Found) {
    let (ja, en, command) = match facts.update {
        Update::None | Update::Unknown => return,
        Update::Waiting => {
            ("新しい版が書かれ、次の起動を待っています", "a new version waits for the next start", "reboot")
        }
        Update::OnTrial => {
            ("新しい版を試しているところです", "a new version is on trial", "mimamori status --check")
        }
    };
    found.say("update", Severity::Note, (ja.into(), en.into()), command);
}

#[cfg(test)]
mod tests;
