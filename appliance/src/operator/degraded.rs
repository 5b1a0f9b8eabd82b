//! What of a status is not as it should be, and why somebody should care. Pure: a status and the time in,
//! a list out.

use provisioning::door::ProvisioningStatus;
use provisioning::mail_doctor::{self, Verdict};

use super::question::{Degraded, Status};

/// A certificate of the authority that ends within this many days needs a ceremony soon.
const AUTHORITY_DAYS: i64 = 180;
const DAY_S: i64 = 86_400;

/// Everything that is wrong; empty when all is well.
pub fn judge(status: &Status, now_s: i64) -> Vec<Degraded> {
    let mut found = Vec::new();
    let mut say = |room: &str, ja: String, en: String| {
        found.push(Degraded { room: room.to_owned(), ja, en });
    };
    let silent = [
        ("vpn", status.vpn.is_none()),
        ("pki", status.pki.is_none()),
        ("gateway", status.gateway.is_none()),
        ("sns", status.sns.is_none()),
        ("provisioning", status.provisioning.is_none()),
    ];
    for (room, _) in silent.iter().filter(|(_, silent)| *silent) {
        say(room, "答えがありません".into(), "does not answer".into());
    }
    if let Some(vpn) = &status.vpn
        && vpn.mirror_true == Some(false)
    {
        say(
            "vpn",
            "firewallの中身が着席と違います".into(),
            "the firewall is not what the seating says".into(),
        );
    }
    if let Some(pki) = &status.pki {
        if pki.lists_late > 0 {
            let count = pki.lists_late;
            say(
                "pki",
                format!("失効リスト{count}本が更新できていません"),
                format!("{count} revocation lists are late"),
            );
        }
        for end in pki.authorities.iter().filter(|end| end.not_after - now_s < AUTHORITY_DAYS * DAY_S) {
            let days = (end.not_after - now_s) / DAY_S;
            say(
                "pki",
                format!("{}の期限まで{days}日", end.name),
                format!("{} ends in {days} days", end.name),
            );
        }
    }
    if let Some(gateway) = &status.gateway
        && gateway.stale
    {
        say(
            "gateway",
            "許可または失効の知らせが古く、新しい接続を断っています".into(),
            "a feed is stale: no new connections".into(),
        );
    }
    if let Some(office) = &status.provisioning {
        judge_office(office, now_s, &mut say);
    }
    if !status.jail.whole {
        say("appliance", "閉じ込めが完全ではありません".into(), "the jail is not whole".into());
    }
    found
}

fn judge_office(office: &ProvisioningStatus, now_s: i64, say: &mut impl FnMut(&str, String, String)) {
    let (receipts, mails) = (office.receipts_pending, office.outbox_failed);
    if receipts > 0 {
        say(
            "provisioning",
            format!("確認待ちの利用停止が{receipts}件あります"),
            format!("{receipts} revocations wait for an acknowledgement"),
        );
    }
    if let Some(fault) = office.bounces.as_ref().and_then(|round| round.fault.as_ref()) {
        say("provisioning", format!("{} {}", fault.code, fault.ja), format!("{} {}", fault.code, fault.en));
    }
    if let Some(seen) = &office.mail_signature {
        let finding = mail_doctor::signature(seen, now_s);
        if finding.verdict == Verdict::Bad {
            say(
                "provisioning",
                format!("{}（mail doctor）", finding.ja),
                format!("{} (mail doctor)", finding.en),
            );
        }
    }
    if mails > 0 {
        say(
            "provisioning",
            format!("送れなかったメールが{mails}通あります（mail list）"),
            format!("{mails} mails could not be sent (mail list)"),
        );
    }
}

#[cfg(test)]
mod tests {
    use gateway::door::GatewayStatus;
    use provisioning::door_mail::MailSignature;

    use super::*;
    use crate::operator::question::{JailStatus, SnsStatus};

    fn well() -> Status {
        Status {
            version: "1".into(),
            form: "together".into(),
            engine: "sqlite".into(),
            since_ms: 0,
            jail: JailStatus { whole: true, text: String::new() },
            degraded: vec![],
            vpn: Some(vpn::door::VpnStatus {
                listen: vec![],
                public_key: vpn::key::PublicKey::from_bytes([1; 32]),
                seats: vec![],
                drops: Default::default(),
                meters: Default::default(),
                mirror_true: None,
            }),
            pki: Some(pki::door::PkiStatus {
                living: 0,
                revoked: 0,
                ledger_entries: 0,
                ledger_head: pki::chain::GENESIS,
                snapshot: 0,
                authorities: vec![],
                lists_good_until: 0,
                lists_late: 0,
            }),
            gateway: Some(GatewayStatus {
                listen: vec![],
                connections: 0,
                sessions: 0,
                grants_version: 0,
                grants_age_ms: None,
                revocations: 0,
                revocations_age_ms: None,
                stale: false,
                refusals: Default::default(),
            }),
            sns: Some(SnsStatus { teams: 0, posts: 0, streams: 0, epoch: 1, audit_entries: 0 }),
            provisioning: Some(ProvisioningStatus {
                facilities: 0,
                cases_open: 0,
                slots_allotted: 0,
                slots_active: 0,
                outbox_waiting: 0,
                outbox_failed: 0,
                receipts_pending: 0,
                audit_entries: 0,
                audit_head: String::new(),
                grants_version: 0,
                bounces: None,
                mail_signature: None,
            }),
        }
    }

    #[test]
    fn all_is_well_when_nothing_is_wrong() {
        assert_eq!(judge(&well(), 0), []);
    }

    #[test]
    fn each_thing_that_is_wrong_is_named_with_its_room() {
        type Change = fn(&mut Status);
        let ends = |not_after| {
            Some(MailSignature { address: "a@care.example.jp".into(), issuer: "CN=CA".into(), not_after })
        };
        let mut good = well();
        good.provisioning.as_mut().unwrap().mail_signature = ends(31 * DAY_S);
        assert_eq!(judge(&good, 0), [], "a month is enough");
        good.provisioning.as_mut().unwrap().mail_signature = ends(30 * DAY_S);
        assert_eq!(judge(&good, 0).len(), 1);
        let table: [(&str, Change); 6] = [
            ("gateway", |s| s.gateway = None),
            ("gateway", |s| s.gateway.as_mut().unwrap().stale = true),
            ("vpn", |s| s.vpn.as_mut().unwrap().mirror_true = Some(false)),
            ("pki", |s| s.pki.as_mut().unwrap().lists_late = 2),
            ("provisioning", |s| s.provisioning.as_mut().unwrap().receipts_pending = 1),
            ("appliance", |s| s.jail.whole = false),
        ];
        for (room, change) in table {
            let mut status = well();
            change(&mut status);
            let rooms: Vec<_> = judge(&status, 0).into_iter().map(|degraded| degraded.room).collect();
            assert_eq!(rooms, [room]);
        }
    }
}
