//! provisioning → sns: teams, and the keys of patients whose consent has ended. Patients' names pass through as `PatientText`, which nobody can print.
//! Touches the clock: a team's opening has its time from here.

use std::time::{SystemTime, UNIX_EPOCH};

use pki::identity::{FacilityId, MembershipId, PatientId};
use provisioning::need::{
    Answering, Cut, Keys, NeedUnmet, NewTeam, PatientText, Refused, TeamMember, TeamOutcome, TeamRow, Teams,
};
use sns::door::{
    EndStreams, FacilityRef, KeysAnswer, KeysQuestion, Member, TeamSummary, TeamsAnswer, TeamsQuestion,
    TeamsRefusal,
};

use crate::wire::Line;

type TeamsLine = Line<TeamsQuestion, TeamsAnswer>;

impl Teams for TeamsLine {
    fn open(&self, team: NewTeam) -> Answering<'_, TeamOutcome<PatientId>> {
        Box::pin(async move {
            let question = TeamsQuestion::Open {
                patient: team.patient,
                name: theirs(&team.name),
                kana: theirs(&team.kana),
                origin: FacilityRef { facility: team.origin, name: team.origin_name },
                at_ms: now_ms(),
            };
            outcome(self, question, |answer| match answer {
                TeamsAnswer::Opened { patient } => Some(patient),
                _ => None,
            })
            .await
        })
    }

    fn link(&self, patient: PatientId, facility: FacilityId, name: String) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(async move {
            let question = TeamsQuestion::LinkFacility { patient, facility: FacilityRef { facility, name } };
            outcome(self, question, |answer| (answer == TeamsAnswer::Linked).then_some(())).await
        })
    }

    fn add(&self, patient: PatientId, member: TeamMember) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(async move {
            let member = Member {
                person: member.person,
                membership: member.membership,
                role: member.role,
                name: member.name,
                profession: member.profession,
                facility: FacilityRef { facility: member.facility, name: member.facility_name },
            };
            let question = TeamsQuestion::AddMember { patient, member };
            outcome(self, question, |answer| (answer == TeamsAnswer::Added).then_some(())).await
        })
    }

    fn unlink(&self, patient: Option<PatientId>, facility: FacilityId) -> Answering<'_, TeamOutcome<u32>> {
        Box::pin(async move {
            outcome(self, TeamsQuestion::UnlinkFacility { patient, facility }, |answer| match answer {
                TeamsAnswer::Left { teams } => Some(teams),
                _ => None,
            })
            .await
        })
    }

    fn stop(&self, patient: PatientId) -> Answering<'_, TeamOutcome<u32>> {
        Box::pin(async move {
            outcome(self, TeamsQuestion::Stop { patient }, |answer| match answer {
                TeamsAnswer::Stopped { facilities } => Some(facilities),
                _ => None,
            })
            .await
        })
    }

    fn close(&self, patient: PatientId) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(async move {
            let question = TeamsQuestion::Close { patient };
            outcome(self, question, |answer| (answer == TeamsAnswer::Closed).then_some(())).await
        })
    }

    fn leave(&self, membership: MembershipId) -> Answering<'_, TeamOutcome<u32>> {
        Box::pin(async move {
            outcome(self, TeamsQuestion::Leave { membership }, |answer| match answer {
                TeamsAnswer::Left { teams } => Some(teams),
                _ => None,
            })
            .await
        })
    }

    fn list(&self, facility: Option<FacilityId>) -> Answering<'_, TeamOutcome<Vec<TeamRow>>> {
        Box::pin(async move {
            outcome(self, TeamsQuestion::List { facility }, |answer| match answer {
                TeamsAnswer::Teams(teams) => Some(teams.into_iter().map(row).collect()),
                _ => None,
            })
            .await
        })
    }

    fn end(&self, end: Cut) -> Answering<'_, u32> {
        Box::pin(async move {
            let end = match end {
                Cut::Slot { slot, .. } => EndStreams::Slot(slot.to_string()),
                Cut::Person(person) => EndStreams::Person(person),
                Cut::Facility(facility) => EndStreams::Facility(facility),
                // The SNS knows streams by slot, person and facility. The gateway ends the connections
                // of a membership or a certificate, and their streams with them.
                Cut::Membership(_) | Cut::Certificate(_) => return Ok(0),
            };
            let ended = outcome(self, TeamsQuestion::End(end), |answer| match answer {
                TeamsAnswer::Ended { streams } => Some(streams),
                _ => None,
            });
            ended.await?.map_err(|refused| unmet(self, format!("{} {}", refused.code, refused.en)))
        })
    }
}

impl Keys for Line<KeysQuestion, KeysAnswer> {
    fn seal(
        &self,
        patient: PatientId,
        context: String,
        plain: Vec<u8>,
    ) -> Answering<'_, TeamOutcome<Vec<u8>>> {
        let question = KeysQuestion::Seal { patient, context, plain };
        Box::pin(kept(self, question, |answer| match answer {
            KeysAnswer::Sealed(sealed) => Some(sealed),
            _ => None,
        }))
    }

    fn open(
        &self,
        patient: PatientId,
        context: String,
        sealed: Vec<u8>,
    ) -> Answering<'_, TeamOutcome<Vec<u8>>> {
        let question = KeysQuestion::Open { patient, context, sealed };
        Box::pin(kept(self, question, |answer| match answer {
            KeysAnswer::Opened(plain) => Some(plain),
            _ => None,
        }))
    }

    fn erase(&self, patient: PatientId) -> Answering<'_, TeamOutcome<()>> {
        Box::pin(kept(self, KeysQuestion::Erase { patient }, |answer| match answer {
            KeysAnswer::Erased => Some(()),
            _ => None,
        }))
    }
}

async fn kept<T>(
    line: &Line<KeysQuestion, KeysAnswer>,
    question: KeysQuestion,
    wanted: impl FnOnce(KeysAnswer) -> Option<T> + Send,
) -> Result<TeamOutcome<T>, NeedUnmet> {
    let unmet = |why| NeedUnmet { room: line.room().to_owned(), why };
    match line.ask(question).await {
        Ok(KeysAnswer::Refused(refusal)) => Ok(Err(refused(&refusal))),
        Ok(answer) => wanted(answer).map(Ok).ok_or_else(|| unmet("an answer of another kind".to_owned())),
        Err(fault) => Err(unmet(fault.to_string())),
    }
}

/// The SNS's refusal keeps its code and its words.
async fn outcome<T>(
    line: &TeamsLine,
    question: TeamsQuestion,
    wanted: impl FnOnce(TeamsAnswer) -> Option<T> + Send,
) -> Result<TeamOutcome<T>, NeedUnmet> {
    match line.ask(question).await {
        Ok(TeamsAnswer::Refused(refusal)) => Ok(Err(refused(&refusal))),
        Ok(answer) => {
            wanted(answer).map(Ok).ok_or_else(|| unmet(line, "an answer of another kind".to_owned()))
        }
        Err(fault) => Err(unmet(line, fault.to_string())),
    }
}

fn refused(refusal: &TeamsRefusal) -> Refused {
    let message = match refusal {
        TeamsRefusal::UnknownPatient => sns::messages::Message::NoSuchTeam,
        TeamsRefusal::NotLinked => sns::messages::Message::NotLinked,
        TeamsRefusal::Erased => sns::messages::Message::Erased,
        TeamsRefusal::Invalid { .. } => sns::messages::Message::Invalid,
        TeamsRefusal::Unavailable { .. } => sns::messages::Message::Unavailable,
    };
    let detail = match refusal {
        TeamsRefusal::Invalid { field, why } => format!(" ({field}: {why})"),
        _ => String::new(),
    };
    Refused {
        code: message.code().to_owned(),
        ja: format!("{}{detail}", message.ja()),
        en: format!("{}{detail}", message.en()),
    }
}

fn row(team: TeamSummary) -> TeamRow {
    TeamRow {
        patient: team.patient,
        name: PatientText::new(team.name.expose().to_owned()),
        facilities: team.facilities.into_iter().map(|facility| (facility.facility, facility.name)).collect(),
        members: team.members,
    }
}

fn theirs(text: &PatientText) -> sns::door::PatientText {
    sns::door::PatientText::new(text.expose().to_owned())
}

fn unmet(line: &TeamsLine, why: String) -> NeedUnmet {
    NeedUnmet { room: line.room().to_owned(), why }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
