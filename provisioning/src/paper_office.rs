//! Forms as the office hands them out, blank or prepared for a case, and takes them back. A patient's name is read from the
//! SNS for the moment of printing. Edge: SQL, tokio.

use std::sync::Arc;

use crate::acceptance;
use crate::dates;
use crate::door::{ImportReport, Operator};
use crate::door_paper::{PaperKind, PaperQuestion};
use crate::fault::Fault;
use crate::flow_forms::Form;
use crate::flow_rows;
use crate::messages::{Message, shown};
use crate::messages_paper::PaperMessage;
use crate::paper_field::{self, Becomes};
use crate::paper_find::Importer;
use crate::paper_intake;
use crate::paper_page::{self, Printed};
use crate::shared::Shared;
use crate::{ledger_rows, map_rows, paper_book, paper_press, patients, world};

/// A file, or what came of one.
pub enum Handed {
    File { name: String, bytes: Vec<u8> },
    Imported(ImportReport),
}

pub async fn answer(
    shared: &Arc<Shared>,
    operator: &Operator,
    question: PaperQuestion,
) -> Result<Handed, Fault> {
    match question {
        PaperQuestion::Form { form, kind, case } => {
            let (name, bytes) = file(shared, known(&form)?, kind, case.as_deref()).await?;
            Ok(Handed::File { name, bytes })
        }
        PaperQuestion::Ledger { facility, kind, devices } => {
            let ledger = ledger_rows::of(shared, &facility).await?;
            let bytes = ledger_rows::file(shared, ledger, kind, devices).await?;
            Ok(Handed::File { name: format!("ledger-{facility}.{}", kind.extension()), bytes })
        }
        PaperQuestion::Map { kind } => {
            let (name, bytes) = map_rows::export(shared, kind).await?;
            Ok(Handed::File { name: name.to_owned(), bytes })
        }
        PaperQuestion::Import { bytes, form, dry_run } => {
            let named = form.as_deref().map(known).transpose()?;
            let importer = Importer { operator, identity: None };
            let imported = paper_intake::import(shared, importer, bytes, named, dry_run).await;
            imported.map(|(_, report)| Handed::Imported(report))
        }
    }
}

pub fn known(text: &str) -> Result<Form, Fault> {
    let known = || Form::ALL.map(Form::name_ja).join("、");
    Form::parse(text).ok_or_else(|| Message::WordUnknown { given: shown(text), known: known() }.into())
}

/// The form as a file; a case's number fills in what the registry knows.
pub async fn file(
    shared: &Arc<Shared>,
    form: Form,
    kind: PaperKind,
    case: Option<&str>,
) -> Result<(String, Vec<u8>), Fault> {
    if paper_field::fields(form).is_empty() {
        return Err(PaperMessage::FormOther { form: form.name_ja() }.into());
    }
    let values = match case {
        Some(case) => prepared(shared, form, case).await?,
        None => Vec::new(),
    };
    let number = form.name_ja().trim_start_matches("様式");
    let suffix = case.map(|case| format!("-{case}")).unwrap_or_default();
    let name = format!("form{number}{suffix}.{}", kind.extension());
    let bytes = match kind {
        PaperKind::Xlsx => {
            let rows = if values.is_empty() { Vec::new() } else { vec![values] };
            paper_book::filled(form, &rows).map_err(|error| Message::Internal { what: error.to_string() })?
        }
        PaperKind::Pdf => pdf(shared, form, case.unwrap_or_default().to_owned(), values).await?,
        PaperKind::Csv => {
            return Err(
                Message::WordUnknown { given: "csv".to_owned(), known: "pdf、xlsx".to_owned() }.into()
            );
        }
    };
    Ok((name, bytes))
}

async fn pdf(shared: &Arc<Shared>, form: Form, case: String, values: Vec<String>) -> Result<Vec<u8>, Fault> {
    let office = acceptance::office(&mut *shared.store.pool().acquire().await?).await?;
    let office = format!("{}　{}", office.name, office.telephone).trim().to_owned();
    let (zone, realm_name) = (shared.config.zone.clone(), shared.config.realm_name.clone());
    let printed_on = dates::day(world::now_ms()).to_string();
    paper_press::drawn(shared, move |font| {
        paper_page::form(
            font,
            &Printed {
                form,
                zone: &zone,
                realm_name: &realm_name,
                office: &office,
                case: &case,
                values: &values,
                printed_on: &printed_on,
            },
        )
    })
    .await
}

/// What a case knows of a form's fields.
pub async fn prepared(shared: &Shared, form: Form, case: &str) -> Result<Vec<String>, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let found = flow_rows::find(&mut conn, case).await?;
    let facility: Option<(String, String, String, String)> =
        sqlx::query_as("SELECT code, kind, name, representative FROM facility WHERE facility = $1")
            .bind(found.facility.as_ref().map_or("", |facility| facility.as_str()))
            .fetch_optional(&mut *conn)
            .await?;
    drop(conn);
    let (code, kind, name, representative) = facility.unwrap_or_default();
    let patient_name = match &found.patient {
        Some(patient) => {
            let teams = patients::list(shared, None).await?;
            let team = teams.iter().find(|team| team.patient == *patient);
            team.map(|team| team.name.expose().to_owned()).unwrap_or_default()
        }
        None => String::new(),
    };
    let patient = found.patient.map(|patient| patient.to_string()).unwrap_or_default();
    let value = |field: &paper_field::Field| match field.becomes {
        Becomes::Case => case.to_owned(),
        Becomes::Code => code.clone(),
        Becomes::Kind => kind.clone(),
        Becomes::FacilityName => name.clone(),
        Becomes::PatientId => patient.clone(),
        Becomes::PatientName => patient_name.clone(),
        Becomes::Noted if field.heading == "代表者名" => representative.clone(),
        _ => String::new(),
    };
    Ok(paper_field::fields(form).iter().map(value).collect())
}
