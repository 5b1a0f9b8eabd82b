//! One status out of what each process says about itself. Pure: the parts and the time in, the whole out.

use super::degraded::judge;
use super::question::{Degraded, JailStatus, POSTGRES, Status};
use crate::process::Name;

/// `None` when no process answered. A process that does not answer is named in `degraded`.
pub fn merge(parts: Vec<(Name, Option<Status>)>, now_s: i64) -> Option<Status> {
    let firewall = parts.iter().any(|(name, part)| *name == Name::Firewall && part.is_none());
    let answered: Vec<(Name, Status)> =
        parts.into_iter().filter_map(|(name, part)| Some((name, part?))).collect();
    let mut whole = answered.first()?.1.clone();
    let jails: Vec<String> =
        answered.iter().map(|(name, part)| format!("{:<12} {}", name.as_str(), part.jail.text)).collect();
    whole.jail =
        JailStatus { whole: answered.iter().all(|(_, part)| part.jail.whole), text: jails.join("\n") };
    for (_, part) in answered {
        // A process without records of its own knows of no server.
        if part.engine == POSTGRES {
            whole.engine = part.engine;
        }
        whole.since_ms = whole.since_ms.min(part.since_ms);
        whole.vpn = whole.vpn.or(part.vpn);
        whole.pki = whole.pki.or(part.pki);
        whole.gateway = whole.gateway.or(part.gateway);
        whole.sns = whole.sns.or(part.sns);
        whole.provisioning = whole.provisioning.or(part.provisioning);
    }
    whole.degraded = judge(&whole, now_s);
    if firewall {
        let (room, ja) = ("firewall".to_owned(), "答えがありません".to_owned());
        whole.degraded.insert(0, Degraded { room, ja, en: "does not answer".to_owned() });
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(since_ms: i64, whole: bool) -> Status {
        Status {
            version: "1".into(),
            form: "separated".into(),
            engine: "sqlite".into(),
            since_ms,
            jail: JailStatus { whole, text: "jail".into() },
            degraded: vec![],
            vpn: None,
            pki: None,
            gateway: None,
            sns: None,
            provisioning: None,
        }
    }

    #[test]
    fn whoever_is_silent_is_named_and_one_open_jail_is_seen() {
        let on_server = Status { engine: POSTGRES.into(), ..part(1, false) };
        let parts =
            vec![(Name::Firewall, None), (Name::Vpn, Some(part(2, true))), (Name::Pki, Some(on_server))];
        let whole = merge(parts, 0).unwrap();
        assert_eq!((whole.since_ms, whole.jail.whole), (1, false));
        assert_eq!(whole.engine, POSTGRES);
        assert_eq!(whole.jail.text.lines().count(), 2);
        let rooms: Vec<_> = whole.degraded.iter().map(|degraded| degraded.room.as_str()).collect();
        assert!(rooms.starts_with(&["firewall"]) && rooms.contains(&"sns") && rooms.contains(&"appliance"));
        assert!(merge(vec![(Name::Vpn, None)], 0).is_none());
    }
}
