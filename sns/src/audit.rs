//! What the audit trail says (ruling 11): who, on which patient, what, by which rule, allowed or refused.
//! Ids and rules only, no content. One line per entry; `store` chains and keeps it. Pure values.
//!
//! ```text
//! v1 at=1795000000000 trace=0123456789abcdef who=18-0042/p-…/m-…/f-…/staff act=post patient=t-… on=n-… rule=T-05 allowed
//! ```

use std::fmt;

use pki::identity::{Identity, PatientId, TraceId};

use crate::door::AuditLine;

/// On whose behalf it was done.
#[derive(Clone, Copy)]
pub enum Actor<'a> {
    Person(&'a Identity),
    /// A room or operator behind a door, which keeps its own trail of who asked it.
    Door(&'static str),
    /// This room itself, at its start.
    Room,
}

/// Everything this room does with a patient's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    ListTeams,
    Read,
    Post,
    Acknowledge,
    Stream,
    StreamEnd,
    Open,
    Link,
    AddMember,
    RemoveMember,
    Unlink,
    Close,
    ListForOffice,
    EndStreams,
    SealKept,
    OpenKept,
    Erase,
    EraseReplayed,
    RotateEpoch,
}

impl Act {
    fn as_str(self) -> &'static str {
        match self {
            Act::ListTeams => "list-teams",
            Act::Read => "read",
            Act::Post => "post",
            Act::Acknowledge => "acknowledge",
            Act::Stream => "stream",
            Act::StreamEnd => "stream-end",
            Act::Open => "open-team",
            Act::Link => "link-facility",
            Act::AddMember => "add-member",
            Act::RemoveMember => "remove-member",
            Act::Unlink => "unlink-facility",
            Act::Close => "close-team",
            Act::ListForOffice => "list-for-office",
            Act::EndStreams => "end-streams",
            Act::SealKept => "seal-kept",
            Act::OpenKept => "open-kept",
            Act::Erase => "erase",
            Act::EraseReplayed => "erase-replayed",
            Act::RotateEpoch => "rotate-epoch",
        }
    }
}

/// One entry before it is chained.
pub struct Entry<'a> {
    pub at_ms: i64,
    pub trace: Option<TraceId>,
    pub actor: Actor<'a>,
    pub act: Act,
    pub patient: Option<&'a PatientId>,
    /// Another id that it was done to: a post, a facility, a membership, `from..to` of a stream.
    pub on: Option<&'a str>,
    pub rule: &'static str,
    pub allowed: bool,
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1 at={} trace=", self.at_ms)?;
        match self.trace {
            Some(trace) => write!(f, "{trace}")?,
            None => f.write_str("-")?,
        }
        match self.actor {
            Actor::Person(who) => write!(
                f,
                " who={}/{}/{}/{}/{}",
                who.slot, who.person, who.membership, who.facility, who.role
            )?,
            Actor::Door(door) => write!(f, " who=door:{door}")?,
            Actor::Room => f.write_str(" who=room")?,
        }
        write!(f, " act={} patient=", self.act.as_str())?;
        match self.patient {
            Some(patient) => write!(f, "{patient}")?,
            None => f.write_str("-")?,
        }
        write!(f, " on={} rule={}", self.on.unwrap_or("-"), self.rule)?;
        f.write_str(if self.allowed { " allowed" } else { " refused" })
    }
}

/// Reads an entry's text form again; `None` when this room never wrote it.
pub fn read(number: u64, body: &str) -> Option<AuditLine> {
    let mut words = body.strip_prefix("v1 ")?.split(' ');
    let mut field = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
    let given = |text: &str| (text != "-").then(|| text.to_owned());
    let line = AuditLine {
        number,
        at_ms: field("at")?.parse().ok()?,
        trace: field("trace")?.parse().ok(),
        who: field("who")?.to_owned(),
        act: field("act")?.to_owned(),
        patient: field("patient")?.parse().ok(),
        on: given(field("on")?),
        rule: field("rule")?.to_owned(),
        allowed: match words.next()? {
            "allowed" => true,
            "refused" => false,
            _ => return None,
        },
    };
    words.next().is_none().then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_of_ids() {
        let patient = PatientId::from_random([1; 10]);
        let entry = Entry {
            at_ms: 5,
            trace: Some(TraceId::from_random([0, 0, 0, 0, 0, 0, 0, 9])),
            actor: Actor::Door("teams"),
            act: Act::Open,
            patient: Some(&patient),
            on: None,
            rule: "D-01",
            allowed: true,
        };
        assert_eq!(
            entry.to_string(),
            format!(
                "v1 at=5 trace=0000000000000009 who=door:teams act=open-team patient={patient} on=- rule=D-01 allowed"
            )
        );
        let line = read(3, &entry.to_string()).unwrap();
        assert_eq!(
            (line.number, line.at_ms, line.trace, line.patient.as_ref()),
            (3, 5, entry.trace, Some(&patient))
        );
        assert_eq!(
            (line.who.as_str(), line.act.as_str(), line.on.as_deref()),
            ("door:teams", "open-team", None)
        );
        assert!(line.allowed && read(3, &format!("{entry} more")).is_none() && read(3, "v1 at=5").is_none());
    }
}
