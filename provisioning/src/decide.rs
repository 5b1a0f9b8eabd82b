//! Who may do what to which object: the permission table of requirements section B, as data.
//! `decide` is the only gate of the consoles; a decision names the rule that made it. Pure.

use pki::identity::{FacilityId, Role};

use Action::*;
use Role::{FacilityAdmin, Secretariat, Staff};

/// Every verb of the consoles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    SeeHome,
    ListFacilities,
    ListCases,
    ListSlots,
    RegisterPatient,
    LinkPatient,
    ListPatients,
    AddMember,
    ListPeople,
    RegisterPerson,
    ListDevices,
    ReportLost,
    AcceptCase,
    RevokeDevice,
    SeeReceipt,
    AddDevice,
    SeeLetters,
    SendLetter,
    ChangeAdmin,
    RenewBundle,
    ListFlows,
    DriveFlow,
    SeeFees,
    ManageFees,
    Search,
    AnswerCall,
    ConfirmNotice,
    SeePerson,
    SuspendPerson,
    ResumePerson,
    EndPerson,
    RenewPassword,
    SeeRegister,
    NoteTraining,
    NotePledge,
    SeeYearly,
    AnswerYearly,
    ManageYearly,
    SeeIncidents,
    ReportIncident,
    DriveIncident,
    StopForIncident,
    SeeReport,
    AskDevices,
    DecideDevices,
    EditMap,
    SeeApi,
    TakeOver,
    RegisterFamily,
    SeePost,
    SendPost,
    SeeScans,
    SortScans,
}

impl Action {
    pub const ALL: [Action; 53] = [
        SeeHome,
        ListFacilities,
        ListCases,
        ListSlots,
        RegisterPatient,
        LinkPatient,
        ListPatients,
        AddMember,
        ListPeople,
        RegisterPerson,
        ListDevices,
        ReportLost,
        AcceptCase,
        RevokeDevice,
        SeeReceipt,
        AddDevice,
        SeeLetters,
        SendLetter,
        ChangeAdmin,
        RenewBundle,
        ListFlows,
        DriveFlow,
        SeeFees,
        ManageFees,
        Search,
        AnswerCall,
        ConfirmNotice,
        SeePerson,
        SuspendPerson,
        ResumePerson,
        EndPerson,
        RenewPassword,
        SeeRegister,
        NoteTraining,
        NotePledge,
        SeeYearly,
        AnswerYearly,
        ManageYearly,
        SeeIncidents,
        ReportIncident,
        DriveIncident,
        StopForIncident,
        SeeReport,
        AskDevices,
        DecideDevices,
        EditMap,
        SeeApi,
        TakeOver,
        RegisterFamily,
        SeePost,
        SendPost,
        SeeScans,
        SortScans,
    ];
}

/// The caller, as the gateway's identity says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub role: Role,
    pub facility: FacilityId,
}

/// What an action is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// Everything the association has.
    Association,
    /// A facility, its people or its devices.
    Facility(FacilityId),
    /// A patient and a person of `facility`; `linked` says whether the actor's facility is linked with the patient.
    Patient { linked: bool, facility: FacilityId },
}

/// How the object stands to the actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Association,
    Own,
    Foreign,
}

impl Relation {
    pub const ALL: [Relation; 3] = [Relation::Association, Relation::Own, Relation::Foreign];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// The requirement that allows it, or `B-00`: what no rule allows is refused.
    pub rule_id: &'static str,
}

/// What no rule allows is refused under this name.
pub const NO_RULE: &str = "B-00";

/// A line of the table: this role may do this to objects that stand to it in one of these relations.
struct Rule {
    id: &'static str,
    action: Action,
    role: Role,
    relations: &'static [Relation],
}

const ANY: &[Relation] = &Relation::ALL;
const OWN: &[Relation] = &[Relation::Own];

const fn rule(id: &'static str, action: Action, role: Role, relations: &'static [Relation]) -> Rule {
    Rule { id, action, role, relations }
}

/// Families have no line: their only screen is the SNS (B-17).
const RULES: &[Rule] = &[
    rule("B-01", ListFacilities, Secretariat, ANY),
    rule("B-01", ListCases, Secretariat, ANY),
    rule("B-05", ListSlots, Secretariat, ANY),
    rule("B-08", RegisterFamily, Secretariat, ANY),
    rule("B-09", RegisterPatient, Secretariat, ANY),
    rule("B-09", LinkPatient, Secretariat, ANY),
    rule("B-11", ListPatients, Secretariat, ANY),
    rule("B-11", ListPatients, FacilityAdmin, OWN),
    rule("B-14", RegisterPerson, FacilityAdmin, OWN),
    rule("B-15", AddMember, FacilityAdmin, OWN),
    rule("B-16", ListPeople, FacilityAdmin, OWN),
    rule("B-16", ListDevices, FacilityAdmin, OWN),
    rule("B-05", ListDevices, Secretariat, ANY),
    rule("B-28", ReportLost, Secretariat, ANY),
    rule("B-28", ReportLost, FacilityAdmin, OWN),
    rule("B-28", ReportLost, Staff, OWN),
    rule("B-01", AcceptCase, Secretariat, ANY),
    rule("B-05", RevokeDevice, Secretariat, ANY),
    rule("B-28", SeeReceipt, Secretariat, ANY),
    rule("B-28", SeeReceipt, FacilityAdmin, OWN),
    rule("B-06", AddDevice, FacilityAdmin, OWN),
    rule("G-07", AskDevices, FacilityAdmin, OWN),
    rule("G-07", DecideDevices, Secretariat, ANY),
    rule("B-07", SeeLetters, Secretariat, ANY),
    rule("B-07", SendLetter, Secretariat, ANY),
    rule("D-00", SeePost, Secretariat, ANY),
    rule("D-00", SendPost, Secretariat, ANY),
    rule("B-02", ChangeAdmin, Secretariat, ANY),
    rule("B-03", RenewBundle, Secretariat, ANY),
    rule("A-02", ListFlows, Secretariat, ANY),
    rule("A-02", DriveFlow, Secretariat, ANY),
    rule("E-13", SeeScans, Secretariat, ANY),
    rule("E-12a", SortScans, Secretariat, ANY),
    rule("F-11", SeeFees, Secretariat, ANY),
    rule("F-11", ManageFees, Secretariat, ANY),
    rule("B-01", Search, Secretariat, ANY),
    rule("P-16", AnswerCall, Secretariat, ANY),
    rule("D-01", ConfirmNotice, FacilityAdmin, OWN),
    rule("B-16", SeePerson, FacilityAdmin, OWN),
    rule("B-24", SeePerson, Secretariat, ANY),
    rule("B-24", SuspendPerson, FacilityAdmin, OWN),
    rule("B-24", SuspendPerson, Secretariat, ANY),
    rule("B-29", ResumePerson, FacilityAdmin, OWN),
    rule("B-29", ResumePerson, Secretariat, ANY),
    rule("B-14", EndPerson, FacilityAdmin, OWN),
    rule("B-16", RenewPassword, FacilityAdmin, OWN),
    rule("B-13", RenewPassword, Secretariat, ANY),
    rule("H-19", SeeRegister, Secretariat, ANY),
    rule("B-16", SeeRegister, FacilityAdmin, OWN),
    rule("G-12a", NoteTraining, Secretariat, ANY),
    rule("H-19", NoteTraining, FacilityAdmin, OWN),
    rule("B-26", EditMap, Secretariat, ANY),
    rule("B-26", EditMap, FacilityAdmin, OWN),
    rule("B-01", TakeOver, Secretariat, ANY),
    rule("H-17", NotePledge, FacilityAdmin, OWN),
    rule("A-02", SeeYearly, Secretariat, ANY),
    rule("G-08", SeeYearly, FacilityAdmin, OWN),
    rule("G-08", AnswerYearly, FacilityAdmin, OWN),
    rule("A-02", ManageYearly, Secretariat, ANY),
    rule("H-13", SeeIncidents, Secretariat, ANY),
    rule("H-13", SeeIncidents, FacilityAdmin, OWN),
    rule("H-13", ReportIncident, Secretariat, ANY),
    rule("H-13", ReportIncident, FacilityAdmin, OWN),
    rule("H-13", DriveIncident, Secretariat, ANY),
    rule("B-24", StopForIncident, Secretariat, ANY),
    rule("A-12", SeeReport, Secretariat, ANY),
    rule("A-02", SeeApi, Secretariat, ANY),
    rule("A-03", SeeApi, FacilityAdmin, OWN),
    rule("A-02", SeeHome, Secretariat, ANY),
    rule("A-03", SeeHome, FacilityAdmin, OWN),
];

/// The decision for one request.
pub fn decide(actor: &Actor, action: Action, object: &Object) -> Decision {
    let relation = relation(actor, object);
    RULES
        .iter()
        .find(|rule| rule.action == action && rule.role == actor.role && rule.relations.contains(&relation))
        .map_or(Decision { allowed: false, rule_id: NO_RULE }, |rule| Decision {
            allowed: true,
            rule_id: rule.id,
        })
}

fn relation(actor: &Actor, object: &Object) -> Relation {
    let own = match object {
        Object::Association => return Relation::Association,
        Object::Facility(facility) => *facility == actor.facility,
        Object::Patient { linked, facility } => *linked && *facility == actor.facility,
    };
    if own { Relation::Own } else { Relation::Foreign }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facility(n: u8) -> FacilityId {
        FacilityId::from_random([n; 10])
    }

    /// One object for each relation, seen from facility 1.
    fn objects() -> Vec<(Relation, Object)> {
        vec![
            (Relation::Association, Object::Association),
            (Relation::Own, Object::Facility(facility(1))),
            (Relation::Own, Object::Patient { linked: true, facility: facility(1) }),
            (Relation::Foreign, Object::Facility(facility(2))),
            (Relation::Foreign, Object::Patient { linked: false, facility: facility(1) }),
            (Relation::Foreign, Object::Patient { linked: true, facility: facility(2) }),
        ]
    }

    /// Section B written a second time, as columns: S secretariat, a admin (own only), s staff (own only).
    fn expected(action: Action) -> &'static str {
        match action {
            SeeHome | SeeApi => "Sa",
            ListFacilities | ListCases | ListSlots | RegisterPatient | LinkPatient | AcceptCase
            | RevokeDevice | SeeLetters | SendLetter | ChangeAdmin | RenewBundle | ListFlows | DriveFlow
            | SeeFees | ManageFees | Search | AnswerCall | ManageYearly | DriveIncident | StopForIncident
            | SeeReport | DecideDevices | TakeOver | RegisterFamily | SeePost | SendPost | SeeScans
            | SortScans => "S",
            EditMap | ListPatients | ListDevices | SeeReceipt | SeePerson | SuspendPerson | ResumePerson
            | RenewPassword | SeeRegister | NoteTraining | SeeYearly | SeeIncidents | ReportIncident => "Sa",
            AddMember | ListPeople | RegisterPerson | AddDevice | ConfirmNotice | EndPerson | NotePledge
            | AnswerYearly | AskDevices => "a",
            ReportLost => "Sas",
        }
    }

    #[test]
    fn role_times_action_times_relation() {
        for action in Action::ALL {
            for role in Role::ALL {
                for (relation, object) in objects() {
                    let letter = match role {
                        Secretariat => "S",
                        FacilityAdmin => "a",
                        Staff => "s",
                        Role::Family => "f",
                    };
                    let allowed = expected(action).contains(letter)
                        && (role == Secretariat || relation == Relation::Own);
                    let decision = decide(&Actor { role, facility: facility(1) }, action, &object);
                    assert_eq!(decision.allowed, allowed, "{role} {action:?} {object:?}");
                    assert_eq!(decision.rule_id == NO_RULE, !allowed, "{role} {action:?} {object:?}");
                }
            }
        }
    }

    #[test]
    fn a_pair_of_role_and_action_has_one_rule() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(!RULES[..i].iter().any(|other| other.action == rule.action && other.role == rule.role));
        }
    }
}
