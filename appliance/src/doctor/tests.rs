//! One table: what changes from a machine that is well, and which finding follows, with which severity.

use std::net::{IpAddr, Ipv4Addr};

use gateway::door::GatewayStatus;
use pki::door::{AuthorityEnd, PkiStatus};
use provisioning::door::ProvisioningStatus;
use provisioning::door_mail::MailSignature;

use super::*;
use crate::backup::manifest::{Copied, Drilled, Made};
use crate::operator::question::{Degraded, JailStatus, SnsStatus};

const NOW: i64 = 1_800_000_000;
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 18, 255, 1));

fn status() -> Status {
    let seat = vpn::door::SeatStatus {
        slot: "18-0042".parse().unwrap(),
        class: vpn::slot::SeatClass::Active,
        generation: 1,
        endpoint: None,
        last_handshake_ms: Some((NOW - 60) * 1000),
        rx_bytes: 0,
        tx_bytes: 0,
    };
    Status {
        version: "1".into(),
        form: "separated".into(),
        engine: "sqlite".into(),
        since_ms: (NOW - DAY_S) * 1000,
        jail: JailStatus { whole: true, text: String::new() },
        degraded: vec![],
        vpn: Some(vpn::door::VpnStatus {
            listen: vec![],
            public_key: vpn::key::PublicKey::from_bytes([1; 32]),
            seats: vec![seat],
            drops: Default::default(),
            meters: Default::default(),
            mirror_true: Some(true),
        }),
        pki: Some(PkiStatus {
            living: 0,
            revoked: 0,
            ledger_entries: 0,
            ledger_head: pki::chain::GENESIS,
            snapshot: 0,
            authorities: vec![end(4000)],
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

fn end(days: i64) -> AuthorityEnd {
    AuthorityEnd {
        name: "device CA".into(),
        serial: pki::CertificateSerial::from_random([1; 16]),
        fingerprint: pki::chain::GENESIS,
        not_after: NOW + days * DAY_S,
    }
}

fn well() -> Facts {
    let made = Made { at_ms: (NOW - 3600) * 1000, to: "/usb".into(), bytes: 1 };
    let drill = Drilled { at_ms: (NOW - 7200) * 1000, took_ms: 1, fault: None, certificates: 1 };
    let epoch = Copied { at_ms: (NOW - 7200) * 1000, epoch: 1 };
    Facts {
        now_s: NOW,
        status: Some(status()),
        backup: Remembered { made: Some(made), drill: Some(drill), epoch: Some(epoch) },
        clock: Clock::Synchronised,
        update: Update::None,
        disks: vec![Disk { place: "/var".into(), free: 50, size: 100 }],
        lookups: vec![
            Lookup { name: "sns.care.example.jp".into(), wanted: Some(GATEWAY), found: vec![GATEWAY] },
            Lookup { name: "vpn.care.example.jp".into(), wanted: None, found: vec![HERE] },
        ],
        local: vec![HERE],
        open: vec![
            Port { protocol: Protocol::Udp, address: HERE, port: 51820 },
            Port { protocol: Protocol::Tcp, address: GATEWAY, port: 443 },
            Port { protocol: Protocol::Tcp, address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 5432 },
        ],
        intended: vec![(Protocol::Udp, 51820), (Protocol::Tcp, 443)],
    }
}

#[test]
fn a_machine_that_is_well_has_no_finding() {
    assert_eq!(examine(&well()), []);
}

#[test]
fn each_thing_that_is_wrong_is_one_finding_with_its_severity_and_a_command() {
    use Severity::{Note, Severe, Warn};
    type Change = fn(&mut Facts);
    let table: [(&str, Severity, Change); 26] = [
        ("silent", Severe, |f| f.status = None),
        ("room", Severe, |f| {
            let silent =
                Degraded {
                    room: "pki".into(), ja: "答えがありません".into(), en: "does not answer".into()
                };
            f.status.as_mut().unwrap().degraded.push(silent);
        }),
        ("backup-none", Severe, |f| f.backup.made = None),
        ("backup-old", Warn, |f| f.backup.made.as_mut().unwrap().at_ms = (NOW - 2 * DAY_S) * 1000),
        ("backup-old", Severe, |f| f.backup.made.as_mut().unwrap().at_ms = (NOW - 8 * DAY_S) * 1000),
        ("drill-none", Warn, |f| f.backup.drill = None),
        ("drill-failed", Severe, |f| f.backup.drill.as_mut().unwrap().fault = Some("no key".into())),
        ("drill-old", Warn, |f| f.backup.drill.as_mut().unwrap().at_ms = (NOW - 4 * DAY_S) * 1000),
        ("epoch-none", Warn, |f| f.backup.epoch = None),
        // P-27: an erasure began another epoch.
        ("epoch-old", Severe, |f| f.status.as_mut().unwrap().sns.as_mut().unwrap().epoch = 2),
        ("clock", Warn, |f| f.clock = Clock::Free),
        ("clock-back", Severe, |f| f.now_s -= 2 * 3600 + 300),
        ("certificate", Warn, |f| authority(f, 100)),
        ("certificate", Severe, |f| authority(f, 29)),
        ("certificate", Severe, |f| authority(f, -1)),
        ("mail-signature", Warn, |f| {
            let (address, issuer) = ("a@care.example.jp".into(), "CN=CA".into());
            let seen = MailSignature { address, issuer, not_after: NOW + 90 * DAY_S };
            f.status.as_mut().unwrap().provisioning.as_mut().unwrap().mail_signature = Some(seen);
        }),
        ("mail-failed", Warn, |f| {
            f.status.as_mut().unwrap().provisioning.as_mut().unwrap().outbox_failed = 1
        }),
        ("mail-waiting", Warn, |f| {
            f.status.as_mut().unwrap().provisioning.as_mut().unwrap().outbox_waiting = 200
        }),
        ("disk", Warn, |f| f.disks[0].free = 14),
        ("disk", Severe, |f| f.disks[0].free = 4),
        ("dns", Warn, |f| f.lookups[0].found = vec![HERE]),
        ("dns", Severe, |f| f.lookups[1].found = vec![]),
        ("nat", Note, |f| f.lookups[1].found = vec!["203.0.113.9".parse().unwrap()]),
        ("udp", Warn, |f| {
            f.status.as_mut().unwrap().vpn.as_mut().unwrap().seats[0].last_handshake_ms =
                Some((NOW - DAY_S) * 1000);
        }),
        ("port-open", Warn, |f| f.open.push(Port { protocol: Protocol::Tcp, address: HERE, port: 8080 })),
        ("port-closed", Severe, |f| {
            f.open.remove(0);
        }),
    ];
    for (id, severity, change) in table {
        let mut facts = well();
        change(&mut facts);
        let found = examine(&facts);
        let told: Vec<_> = found.iter().map(|finding| (finding.id, finding.severity)).collect();
        assert_eq!(told, [(id, severity)], "{found:?}");
        assert!(
            found.iter().all(|finding| !finding.command.is_empty() && !finding.ja.is_ascii()),
            "{found:?}"
        );
        for finding in found.iter().filter(|finding| finding.command.starts_with("mimamori ")) {
            let typed = crate::cli::args::declared().try_get_matches_from(finding.command.split(' '));
            assert!(typed.is_ok(), "{id} tells to type `{}`, which is no command", finding.command);
        }
    }
}

/// P-27: named until a copy of the epoch that is now was carried away; nobody says anything while the SNS is silent.
#[test]
fn the_copy_of_the_epochs_key_is_asked_for_until_it_was_made_anew() {
    let told = |now: Option<u32>, copied: Option<u32>| {
        let mut status = status();
        status.sns = now.and_then(|epoch| status.sns.map(|sns| SnsStatus { epoch, ..sns }));
        let epoch = copied.map(|epoch| Copied { at_ms: 0, epoch });
        epoch_of(&status, epoch).map(|finding| (finding.id, finding.severity))
    };
    let old = Some(("epoch-old", Severity::Severe));
    for (now, copied, wanted) in [
        (Some(1), None, Some(("epoch-none", Severity::Warn))),
        (Some(1), Some(1), None),
        (Some(2), Some(1), old),
        (Some(9), Some(7), old),
        (Some(9), Some(9), None),
        // Carried away in the middle of an erasure, it holds both.
        (Some(8), Some(9), None),
        (None, None, None),
        (None, Some(1), None),
    ] {
        assert_eq!(told(now, copied), wanted, "{now:?} {copied:?}");
    }
    let older = serde_json::from_str::<Remembered>("{\"made\":null,\"drill\":null}").unwrap();
    assert_eq!(older, Remembered::default(), "what the version before wrote is read");
}

fn epoch_of(status: &Status, copied: Option<Copied>) -> Option<Finding> {
    epoch(Some(status), &Remembered { epoch: copied, ..Remembered::default() })
}

#[test]
fn the_worst_comes_first_and_a_waiting_update_is_only_told() {
    let mut facts = well();
    facts.update = Update::Waiting;
    facts.disks[0].free = 14;
    facts.backup.made = None;
    let severities: Vec<_> = examine(&facts).into_iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Severe, Severity::Warn, Severity::Note]);
}

fn authority(facts: &mut Facts, days: i64) {
    facts.status.as_mut().unwrap().pki.as_mut().unwrap().authorities = vec![end(days)];
}
