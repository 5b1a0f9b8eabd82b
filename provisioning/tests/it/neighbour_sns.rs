//! The SNS in memory, as a neighbour: teams, and the keys whose end is the posts' end.

use std::collections::BTreeMap;
use std::sync::Mutex;

use pki::identity::{FacilityId, MembershipId, PatientId};
use provisioning::need::{
    Answering, Cut, Keys, NewTeam, PatientText, Refused, TeamMember, TeamOutcome, TeamRow, Teams,
};

use super::neighbours::{Door, Moods, carried, dead};

/// Teams by patient: name, linked facilities, members.
#[derive(Default)]
pub struct Sns {
    pub mood: Moods<&'static str>,
    pub teams: Mutex<BTreeMap<PatientId, Team>>,
    pub ended: Mutex<Vec<Cut>>,
    pub closed: Mutex<Vec<PatientId>>,
    pub erased: Mutex<Vec<PatientId>>,
    /// How often something was to be sealed.
    pub sealing: Mutex<u32>,
}

#[derive(Clone)]
pub struct Team {
    pub name: String,
    pub facilities: Vec<(FacilityId, String)>,
    pub members: Vec<TeamMember>,
}

impl Sns {
    /// A patient's key is there until it is erased.
    fn holds(&self, patient: &PatientId) -> Result<(), Refused> {
        if self.erased.lock().unwrap().contains(patient) {
            return Err(Refused { code: "MM-4003".into(), ja: "消去済み".into(), en: "erased".into() });
        }
        self.teams.lock().unwrap().contains_key(patient).then_some(()).ok_or_else(unknown)
    }
}

fn unknown() -> Refused {
    Refused { code: "MM-4001".into(), ja: "該当なし".into(), en: "no such patient".into() }
}

impl Keys for Door {
    /// Sealed in a way that a test can see through, and that opens for whom and for what it was sealed alone.
    fn seal(
        &self,
        patient: PatientId,
        context: String,
        plain: Vec<u8>,
    ) -> Answering<'_, TeamOutcome<Vec<u8>>> {
        Box::pin(async move {
            *self.0.sns.sealing.lock().unwrap() += 1;
            carried(
                self.0.sns.mood.of(&"seal"),
                || dead("sns"),
                || {
                    self.0.sns.holds(&patient)?;
                    let hidden: Vec<u8> = plain.iter().map(|octet| octet ^ 0x5a).collect();
                    Ok([format!("{patient}\0{context}\0").into_bytes(), hidden].concat())
                },
            )
            .await
        })
    }

    fn open(
        &self,
        patient: PatientId,
        context: String,
        sealed: Vec<u8>,
    ) -> Answering<'_, TeamOutcome<Vec<u8>>> {
        Box::pin(async move {
            carried(
                self.0.sns.mood.of(&"open-key"),
                || dead("sns"),
                || {
                    self.0.sns.holds(&patient)?;
                    let head = format!("{patient}\0{context}\0").into_bytes();
                    let hidden = sealed.strip_prefix(head.as_slice()).ok_or_else(unknown)?;
                    Ok(hidden.iter().map(|octet| octet ^ 0x5a).collect())
                },
            )
            .await
        })
    }

    fn erase(&self, patient: PatientId) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(async move {
            carried(
                self.0.sns.mood.of(&"erase"),
                || dead("sns"),
                || {
                    self.0.sns.teams.lock().unwrap().remove(&patient).ok_or_else(unknown)?;
                    self.0.sns.erased.lock().unwrap().push(patient);
                    Ok(())
                },
            )
            .await
        })
    }
}

impl Teams for Door {
    fn open(&self, team: NewTeam) -> Answering<'_, TeamOutcome<PatientId>> {
        Box::pin(async move {
            carried(
                self.0.sns.mood.of(&"open"),
                || dead("sns"),
                || {
                    if team.name.expose() == "断られる名前" {
                        return Err(Refused {
                            code: "MM-4004".into(), ja: "名前".into(), en: "name".into()
                        });
                    }
                    let name = team.name.expose().to_owned();
                    let new = Team {
                        name,
                        facilities: vec![(team.origin.clone(), team.origin_name.clone())],
                        members: vec![],
                    };
                    self.0.sns.teams.lock().unwrap().entry(team.patient.clone()).or_insert(new);
                    Ok(team.patient.clone())
                },
            )
            .await
        })
    }

    fn link(&self, patient: PatientId, facility: FacilityId, name: String) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(async move {
            let mut teams = self.0.sns.teams.lock().unwrap();
            let Some(team) = teams.get_mut(&patient) else { return Ok(Err(unknown())) };
            if !team.facilities.iter().any(|(known, _)| *known == facility) {
                team.facilities.push((facility, name));
            }
            Ok(Ok(()))
        })
    }

    fn add(&self, patient: PatientId, member: TeamMember) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(async move {
            let mut teams = self.0.sns.teams.lock().unwrap();
            let Some(team) = teams.get_mut(&patient) else { return Ok(Err(unknown())) };
            team.members.push(member);
            Ok(Ok(()))
        })
    }

    fn unlink(&self, patient: Option<PatientId>, facility: FacilityId) -> Answering<'_, TeamOutcome<u32>> {
        Box::pin(async move {
            carried(
                self.0.sns.mood.of(&"unlink"),
                || dead("sns"),
                || {
                    let mut left = 0;
                    for (at, team) in self.0.sns.teams.lock().unwrap().iter_mut() {
                        if patient.as_ref().is_none_or(|patient| patient == at) {
                            let before = team.facilities.len();
                            team.facilities.retain(|(known, _)| *known != facility);
                            team.members.retain(|member| member.facility != facility);
                            left += (before - team.facilities.len()) as u32;
                        }
                    }
                    Ok(left)
                },
            )
            .await
        })
    }

    fn stop(&self, patient: PatientId) -> Answering<'_, TeamOutcome<u32>> {
        Box::pin(async move {
            carried(
                self.0.sns.mood.of(&"stop"),
                || dead("sns"),
                || {
                    let mut teams = self.0.sns.teams.lock().unwrap();
                    let team = teams.get_mut(&patient).ok_or_else(unknown)?;
                    team.members.clear();
                    Ok(std::mem::take(&mut team.facilities).len() as u32)
                },
            )
            .await
        })
    }

    fn close(&self, patient: PatientId) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(async move {
            self.0.sns.closed.lock().unwrap().push(patient);
            Ok(Ok(()))
        })
    }

    fn leave(&self, membership: MembershipId) -> Answering<'_, TeamOutcome<u32>> {
        Box::pin(async move {
            carried(
                self.0.sns.mood.of(&"leave"),
                || dead("sns"),
                || {
                    let mut left = 0;
                    for team in self.0.sns.teams.lock().unwrap().values_mut() {
                        let before = team.members.len();
                        team.members.retain(|member| member.membership != membership);
                        left += (before - team.members.len()) as u32;
                    }
                    Ok(left)
                },
            )
            .await
        })
    }

    fn list(&self, facility: Option<FacilityId>) -> Answering<'_, TeamOutcome<Vec<TeamRow>>> {
        Box::pin(async move {
            let teams = self.0.sns.teams.lock().unwrap();
            let sees = |team: &Team| {
                facility.as_ref().is_none_or(|f| team.facilities.iter().any(|(known, _)| known == f))
            };
            let row = |(patient, team): (&PatientId, &Team)| TeamRow {
                patient: patient.clone(),
                name: PatientText::new(team.name.clone()),
                facilities: team.facilities.clone(),
                members: team.members.len() as u32,
            };
            Ok(Ok(teams.iter().filter(|(_, team)| sees(team)).map(row).collect()))
        })
    }

    fn end(&self, end: Cut) -> Answering<'_, u32> {
        Box::pin(async move {
            carried(
                self.0.sns.mood.of(&"end"),
                || dead("sns"),
                || {
                    self.0.sns.ended.lock().unwrap().push(end.clone());
                    3
                },
            )
            .await
        })
    }
}
