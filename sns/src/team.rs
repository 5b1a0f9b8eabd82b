//! Who may do what in a team: one pure function, one table (J-01, J-03, P-02), and what the
//! 了解 of a post add up to (K-05, P-29). Nothing here knows where the facts are kept.

use pki::identity::{FacilityId, Identity, MembershipId, PersonId, Role, TraceId};

use crate::messages::Message;

/// Who asks, and the trace that joins the request's lines in every trail.
#[derive(Clone, Debug)]
pub struct Caller {
    pub identity: Identity,
    pub trace: TraceId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read posts, on a page or as a stream.
    Read,
    Post,
    Acknowledge,
}

/// What the tables say about a caller in a team, at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub erased: bool,
    /// 支援終了 (P-22): read, not written.
    pub closed: bool,
    /// The facility that the caller speaks for is linked now.
    pub linked: bool,
    /// The caller's membership in the team, if it is in it now.
    pub member: Option<InTeam>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTeam {
    pub person: PersonId,
    pub facility: FacilityId,
    pub role: Role,
}

/// The rule goes to the audit trail; the caller hears only the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub rule: &'static str,
    pub refusal: Option<Message>,
}

impl Decision {
    pub fn allowed(&self) -> bool {
        self.refusal.is_none()
    }
}

/// Role first, because it is the caller's own and tells nothing about any patient;
/// everything after it is one answer, as if the patient did not exist (J-03).
pub fn decide(caller: &Identity, action: Action, standing: Option<&Standing>) -> Decision {
    let refuse = |rule, message| Decision { rule, refusal: Some(message) };
    let hidden = match action {
        Action::Read | Action::Post => Message::NoSuchTeam,
        Action::Acknowledge => Message::NoSuchPost,
    };
    if let Some(decision) = decide_role(caller.role) {
        return decision;
    }
    let Some(standing) = standing else { return refuse("T-02-no-team", hidden) };
    if standing.erased {
        return refuse("T-03-erased", hidden);
    }
    let Some(member) = &standing.member else { return refuse("T-04-not-a-member", hidden) };
    // The gateway vouches for who it is; the team must have been joined as the same.
    if member.person != caller.person || member.facility != caller.facility || member.role != caller.role {
        return refuse("T-05-joined-as-another", hidden);
    }
    if !standing.linked {
        return refuse("T-06-facility-not-linked", hidden);
    }
    if standing.closed && action != Action::Read {
        return refuse("T-08-closed", Message::ReadOnly);
    }
    Decision { rule: "T-07-member", refusal: None }
}

/// P-02: the console's roles read no posts. `None` when the role may go on to the team's rules.
pub fn decide_role(role: Role) -> Option<Decision> {
    match role {
        Role::Staff | Role::Family => None,
        Role::Secretariat | Role::FacilityAdmin => {
            Some(Decision { rule: "T-01-role", refusal: Some(Message::WrongRole) })
        }
    }
}

/// How a person is shown beside what he did, as it was then (P-33).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Display {
    pub name: String,
    pub profession: String,
    pub facility: String,
}

impl Display {
    /// One line each; the doors refuse names with control characters.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}", self.name, self.profession, self.facility)
    }

    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.split('\n').map(str::to_owned);
        let display = Self { name: lines.next()?, profession: lines.next()?, facility: lines.next()? };
        lines.next().is_none().then_some(display)
    }
}

/// Somebody pressed 了解.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    pub person: PersonId,
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub display: Display,
    pub at_ms: i64,
}

/// 了解 of one facility: the first of its people counts for it (P-29).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacilityAcknowledged {
    pub facility: FacilityId,
    pub name: String,
    pub first_ms: i64,
    pub people: u32,
}

/// Per facility, in the order in which each was first.
pub fn by_facility(acks: &[Acknowledged]) -> Vec<FacilityAcknowledged> {
    let mut facilities: Vec<FacilityAcknowledged> = Vec::new();
    for ack in acks {
        match facilities.iter_mut().find(|known| known.facility == ack.facility) {
            Some(known) => {
                known.people += 1;
                known.first_ms = known.first_ms.min(ack.at_ms);
            }
            None => facilities.push(FacilityAcknowledged {
                facility: ack.facility.clone(),
                name: ack.display.facility.clone(),
                first_ms: ack.at_ms,
                people: 1,
            }),
        }
    }
    facilities.sort_by_key(|facility| facility.first_ms);
    facilities
}

/// Whether pressing 了解 is still open for this reader: not for one's own post, and once.
pub fn awaits(caller: &Identity, author: &PersonId, acks: &[Acknowledged]) -> bool {
    caller.person != *author && !acks.iter().any(|ack| ack.membership == caller.membership)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role) -> Identity {
        Identity {
            slot: "18-0042".parse().unwrap(),
            certificate: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            person: PersonId::from_random([1; 10]),
            membership: MembershipId::from_random([2; 10]),
            facility: FacilityId::from_random([3; 10]),
            role,
        }
    }

    fn standing(role: Role) -> Standing {
        let who = caller(role);
        let member = InTeam { person: who.person, facility: who.facility, role };
        Standing { erased: false, closed: false, linked: true, member: Some(member) }
    }

    #[test]
    fn the_permission_table_j_01_j_03_p_02() {
        let good = standing(Role::Staff);
        let member = good.member.clone().unwrap();
        let with = |member| Some(Standing { member, ..good.clone() });
        let another_person = InTeam { person: PersonId::from_random([9; 10]), ..member.clone() };
        let another_facility = InTeam { facility: FacilityId::from_random([9; 10]), ..member.clone() };
        let another_role = InTeam { role: Role::Family, ..member.clone() };
        let table: [(Role, Option<Standing>, &str); 11] = [
            (Role::Staff, Some(good.clone()), "T-07-member"),
            (Role::Family, Some(standing(Role::Family)), "T-07-member"),
            (Role::Secretariat, Some(standing(Role::Secretariat)), "T-01-role"),
            (Role::FacilityAdmin, Some(standing(Role::FacilityAdmin)), "T-01-role"),
            (Role::Staff, None, "T-02-no-team"),
            (Role::Staff, Some(Standing { erased: true, ..good.clone() }), "T-03-erased"),
            (Role::Staff, with(None), "T-04-not-a-member"),
            (Role::Staff, with(Some(another_person)), "T-05-joined-as-another"),
            (Role::Staff, with(Some(another_facility)), "T-05-joined-as-another"),
            (Role::Staff, with(Some(another_role)), "T-05-joined-as-another"),
            (Role::Staff, Some(Standing { linked: false, ..good.clone() }), "T-06-facility-not-linked"),
        ];
        for (role, standing, rule) in table {
            for action in [Action::Read, Action::Post, Action::Acknowledge] {
                let decision = decide(&caller(role), action, standing.as_ref());
                assert_eq!(decision.rule, rule);
                assert_eq!(decision.allowed(), rule == "T-07-member");
            }
        }
    }

    #[test]
    fn a_team_whose_support_has_ended_is_read_only_p_22() {
        let closed = Standing { closed: true, ..standing(Role::Family) };
        let said = |action| decide(&caller(Role::Family), action, Some(&closed)).refusal;
        assert_eq!(said(Action::Read), None);
        for action in [Action::Post, Action::Acknowledge] {
            assert_eq!(said(action), Some(Message::ReadOnly));
            // Whoever is not of the team does not hear even that.
            let stranger = Standing { member: None, ..closed.clone() };
            assert_ne!(
                decide(&caller(Role::Staff), action, Some(&stranger)).refusal,
                Some(Message::ReadOnly)
            );
        }
    }

    #[test]
    fn every_reason_to_hide_a_team_sounds_the_same_j_03() {
        let hidden = [
            None,
            Some(Standing { erased: true, ..standing(Role::Staff) }),
            Some(Standing { member: None, ..standing(Role::Staff) }),
        ];
        for standing in hidden {
            assert_eq!(
                decide(&caller(Role::Staff), Action::Read, standing.as_ref()).refusal,
                Some(Message::NoSuchTeam)
            );
            assert_eq!(
                decide(&caller(Role::Staff), Action::Acknowledge, standing.as_ref()).refusal,
                Some(Message::NoSuchPost)
            );
        }
    }

    #[test]
    fn acknowledgements_count_per_person_and_per_facility_p_29() {
        let ack = |person: u8, facility: u8, at_ms| Acknowledged {
            person: PersonId::from_random([person; 10]),
            membership: MembershipId::from_random([person; 10]),
            facility: FacilityId::from_random([facility; 10]),
            display: Display { name: "n".into(), profession: "p".into(), facility: format!("f{facility}") },
            at_ms,
        };
        let acks = [ack(1, 1, 30), ack(2, 2, 20), ack(3, 1, 10)];
        let facilities = by_facility(&acks);
        assert_eq!(
            facilities.iter().map(|f| (f.name.as_str(), f.first_ms, f.people)).collect::<Vec<_>>(),
            [("f1", 10, 2), ("f2", 20, 1)]
        );
        let me = caller(Role::Staff);
        assert!(!awaits(&me, &me.person, &[]), "an author needs no 了解 of his own");
        assert!(awaits(&me, &PersonId::from_random([5; 10]), &acks[..1]));
        assert!(!awaits(&me, &PersonId::from_random([5; 10]), &acks), "pressed already");
    }

    #[test]
    fn displays_read_back() {
        let display =
            Display {
                name: "鈴木花子".into(), profession: String::new(), facility: "ふじ薬局".into()
            };
        assert_eq!(Display::from_text(&display.to_text()), Some(display));
        assert_eq!(Display::from_text("a\nb"), None);
        assert_eq!(Display::from_text("a\nb\nc\nd"), None);
    }
}
