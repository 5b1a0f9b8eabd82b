//! Whose returned form it is and what it is for: facility, patient and case, as the registry and the SNS know them. What
//! contradicts them is named like a bad cell. Edge: SQL.

use pki::identity::{FacilityId, Identity, PatientId};

use crate::door::{Operator, RowFault};
use crate::facility;
use crate::fault::{Fault, parse};
use crate::flow::{Phase, State};
use crate::flow_forms::Form;
use crate::flow_rows;
use crate::flow_steps::Flow;
use crate::messages_paper::PaperMessage;
use crate::need::TeamRow;
use crate::paper_field::{self, Becomes};
use crate::paper_read::Paper;
use crate::store::Conn;

/// Who imports: at the console a person, who may also register a new patient (B-09).
pub struct Importer<'a> {
    pub operator: &'a Operator,
    pub identity: Option<&'a Identity>,
}

/// A row with everything that it refers to.
pub struct Resolved {
    pub paper: Paper,
    pub facility: Option<FacilityId>,
    pub patient: Option<PatientId>,
    /// Of a patient whom nobody has registered yet.
    pub new_patient: bool,
    pub flow: Flow,
    /// The case that it names.
    pub case: Option<String>,
}

/// Whose paper it is and what it is for; what the registry contradicts is named like a bad cell.
pub async fn resolve(
    conn: &mut Conn,
    importer: &Importer<'_>,
    paper: Paper,
    teams: &[TeamRow],
    faults: &mut Vec<RowFault>,
    warnings: &mut Vec<RowFault>,
) -> Result<Option<Resolved>, Fault> {
    let row = paper.row;
    let facility = match whose(conn, &paper, warnings).await? {
        Ok(facility) => facility,
        Err(message) => {
            faults.push(message.at(row, "事業所番号"));
            return Ok(None);
        }
    };
    let (patient, new_patient) = match of_patient(&paper, teams) {
        Ok(Some(patient)) => (Some(patient), false),
        Ok(None) => (None, false),
        // A consent is how a patient becomes known (J-10); only a person at the console registers one.
        Err(PaperMessage::PatientNone)
            if paper.form == Form::Consent && facility.is_some() && importer.identity.is_some() =>
        {
            (None, true)
        }
        Err(message) => {
            faults.push(message.at(row, "患者氏名"));
            return Ok(None);
        }
    };
    if new_patient && !is_active(conn, facility.as_ref()).await? {
        faults.push(PaperMessage::PatientNone.at(row, "患者氏名"));
        return Ok(None);
    }
    let known = match &patient {
        Some(patient) => !came_by(conn, patient, facility.as_ref(), paper.value(Becomes::Consent)).await?,
        None => false,
    };
    let word = paper.value(Becomes::Opens);
    let Some(flow) = paper_field::opens(paper.form, word, known) else { return Ok(None) };
    let case = Some(paper.value(Becomes::Case).to_owned()).filter(|case| !case.is_empty());
    if let Some(case) = &case {
        let found = flow_rows::find(conn, case).await;
        let fits = found.is_ok_and(|found| {
            waits(&found.state)
                && (found.facility.is_none() || found.facility == facility)
                && (found.patient.is_none() || patient.is_none() || found.patient == patient)
        });
        if !fits {
            faults.push(PaperMessage::CaseOther { case: case.clone() }.at(row, "案件番号"));
            return Ok(None);
        }
    }
    Ok(Some(Resolved { paper, facility, patient, new_patient, flow, case }))
}

/// A new patient's team begins at a facility that works (J-10).
async fn is_active(conn: &mut Conn, facility: Option<&FacilityId>) -> Result<bool, Fault> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM facility WHERE facility = $1")
        .bind(facility.map_or("", FacilityId::as_str))
        .fetch_optional(conn)
        .await?;
    Ok(state.as_deref() == Some("active"))
}

/// Is this very consent the one by which the patient was registered, without a case yet? So it is after an import that
/// was interrupted between the two, and when somebody registered the patient by hand first.
async fn came_by(
    conn: &mut Conn,
    patient: &PatientId,
    facility: Option<&FacilityId>,
    consent_on: &str,
) -> Result<bool, Fault> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM patient p WHERE p.patient = $1 AND p.origin = $2 AND p.consent_on = $3
         AND NOT EXISTS (SELECT 1 FROM flow_case c WHERE c.patient = p.patient)",
    )
    .bind(patient.as_str())
    .bind(facility.map_or("", FacilityId::as_str))
    .bind(consent_on)
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// The facility by its code; a newcomer's may come later.
async fn whose(
    conn: &mut Conn,
    paper: &Paper,
    warnings: &mut Vec<RowFault>,
) -> Result<Result<Option<FacilityId>, PaperMessage>, Fault> {
    let code = paper.value(Becomes::Code);
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT facility, kind, name FROM facility WHERE code = $1 AND state <> 'ended' ORDER BY kind",
    )
    .bind(code)
    .fetch_all(conn)
    .await?;
    let kind = paper.value(Becomes::Kind);
    let fitting: Vec<&(String, String, String)> =
        rows.iter().filter(|(_, known, _)| kind.is_empty() || known == kind).collect();
    Ok(match fitting.as_slice() {
        [] if paper_field::of_newcomer(paper.form) => Ok(None),
        [] => Err(PaperMessage::CodeUnknown { given: code.to_owned() }),
        [(id, _, name)] => {
            let given = paper.value(Becomes::FacilityName);
            if facility::fold_word(given) != facility::fold_word(name) {
                warnings
                    .push(PaperMessage::NameDiffers { registered: name.clone() }.at(paper.row, "事業所名"));
            }
            Ok(Some(parse(id)?))
        }
        several => {
            let kinds = several.iter().map(|(_, kind, _)| kind.as_str()).collect::<Vec<_>>().join("、");
            Err(PaperMessage::KindNeeded { kinds })
        }
    })
}

/// By number, or by the name as it was registered, in any width.
fn of_patient(paper: &Paper, teams: &[TeamRow]) -> Result<Option<PatientId>, PaperMessage> {
    let id = paper.value(Becomes::PatientId);
    if !id.is_empty() {
        let known = teams.iter().find(|team| team.patient.as_str() == id);
        return known.map(|team| Some(team.patient.clone())).ok_or(PaperMessage::PatientNone);
    }
    let name = facility::fold_word(paper.value(Becomes::PatientName));
    if name.is_empty() {
        return Ok(None);
    }
    let mut named = teams.iter().filter(|team| facility::fold_word(team.name.expose()) == name);
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(Some(only.patient.clone())),
        (Some(_), Some(_)) => Err(PaperMessage::PatientMany),
        (None, _) => Err(PaperMessage::PatientNone),
    }
}

/// A case still takes papers.
pub fn waits(state: &State) -> bool {
    matches!(state.phase, Phase::Received | Phase::Incomplete)
}
