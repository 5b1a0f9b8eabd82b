//! Where somebody looks something up: facilities, people, numbers and cases by whatever is typed into the one box.
//! Names are compared here, not in the database: it knows nothing of kana widths and kanji shapes. Edge: SQL.

use pki::identity::{FacilityId, MembershipId};

use crate::fault::{Fault, parse};
use crate::find::{Query, best};
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;

/// More of a kind than that is a list, not an answer.
pub const SHOWN_MAX: usize = 20;
/// Names in a page's list of offers: some 20 KB.
const OFFERED_MAX: i64 = 200;

/// A facility that fits.
pub struct FoundFacility {
    pub facility: FacilityId,
    pub name: String,
    pub kind: String,
    pub code: String,
    pub telephone: String,
    pub state: String,
}

/// A person that fits, with one of the facilities.
pub struct FoundPerson {
    pub membership: MembershipId,
    pub name: String,
    pub login: String,
    pub role: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub state: String,
}

pub struct FoundSlot {
    pub slot: String,
    pub state: String,
    pub label: String,
    pub facility_name: String,
}

pub struct FoundCase {
    pub case: String,
    pub facility_name: String,
    /// Of the flows, or an application.
    pub of_flow: bool,
}

#[derive(sqlx::FromRow)]
struct FacilityRow {
    facility: String,
    name: String,
    kana: String,
    kind: String,
    code: String,
    telephone: String,
    representative: String,
    admin_name: String,
    postal_address: String,
    state: String,
}

/// Facilities that fit; all of them when nothing is asked. The secretariat itself is none.
pub async fn facilities(shared: &Shared, query: &Query, most: usize) -> Result<Vec<FoundFacility>, Fault> {
    let rows: Vec<FacilityRow> = sqlx::query_as(
        "SELECT facility, name, kana, kind, code, telephone, representative, admin_name, postal_address, state
         FROM facility WHERE kind <> '事務局' ORDER BY CASE WHEN state = 'active' THEN 0 ELSE 1 END, code, kind",
    )
    .fetch_all(shared.store.pool())
    .await?;
    let fitting = rows.into_iter().map(|row| {
        let fields = [
            &row.name,
            &row.kana,
            &row.code,
            &row.telephone,
            &row.representative,
            &row.admin_name,
            &row.postal_address,
        ];
        (query.fits(&fields.map(String::as_str)), row)
    });
    best(fitting, most)
        .into_iter()
        .map(|row| {
            Ok(FoundFacility {
                facility: parse(&row.facility)?,
                name: row.name,
                kind: row.kind,
                code: row.code,
                telephone: row.telephone,
                state: row.state,
            })
        })
        .collect()
}

/// The facility that somebody typed: its id, its name, code or telephone, as far as it takes to mean one that is active.
pub async fn meant(shared: &Shared, typed: &str) -> Result<FacilityId, Fault> {
    let typed = typed.trim();
    if let Ok(facility) = typed.parse() {
        return Ok(facility);
    }
    let mut found = facilities(shared, &Query::new(typed), SHOWN_MAX).await?;
    found.retain(|facility| facility.state == "active");
    let exactly = |facility: &FoundFacility| facility.name == typed || facility.code == typed;
    // Two pharmacies of one name are two pharmacies: whoever types it is asked which.
    if found.iter().any(exactly) {
        found.retain(exactly);
    }
    match found.len() {
        1 if !typed.is_empty() => Ok(found.swap_remove(0).facility),
        0 => Err(PeopleMessage::FacilityUnknown.about(typed.chars().take(40).collect::<String>()).into()),
        _ => Err(PeopleMessage::FlowFacility.into()),
    }
}

/// What a field offers while somebody types: the name, or the code where two have one name, and what it is. Nothing where
/// there are too many to be sent with every page.
pub async fn offered(shared: &Shared) -> Result<Vec<(String, String)>, Fault> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT name, code, kind FROM facility WHERE kind <> '事務局' AND state = 'active' ORDER BY name, code LIMIT $1",
    )
    .bind(OFFERED_MAX + 1)
    .fetch_all(shared.store.pool())
    .await?;
    if i64::try_from(rows.len()).unwrap_or(i64::MAX) > OFFERED_MAX {
        return Ok(vec![]);
    }
    let alone = |name: &str| rows.iter().filter(|row| row.0 == name).count() == 1;
    let offer = |(name, code, kind): &(String, String, String)| {
        if alone(name) {
            (name.clone(), format!("{kind}・{code}"))
        } else {
            (code.clone(), format!("{name}（{kind}）"))
        }
    };
    Ok(rows.iter().map(offer).collect())
}

type PersonRow = (String, String, String, String, String, String, String, String);

pub async fn people(shared: &Shared, query: &Query, most: usize) -> Result<Vec<FoundPerson>, Fault> {
    let rows: Vec<PersonRow> = sqlx::query_as(
        "SELECT p.name, p.kana, p.login, m.role, f.facility, f.name,
                CASE WHEN m.state = 'active' THEN p.state ELSE m.state END, m.membership
         FROM membership m JOIN person p ON p.person = m.person JOIN facility f ON f.facility = m.facility
         ORDER BY CASE WHEN m.state = 'active' THEN 0 ELSE 1 END, p.login, m.membership",
    )
    .fetch_all(shared.store.pool())
    .await?;
    let fitting = rows.into_iter().map(|row| (query.fits(&[&row.0, &row.1, &row.2]), row));
    best(fitting, most)
        .into_iter()
        .map(|(name, _, login, role, facility, facility_name, state, membership)| {
            let (facility, membership) = (parse(&facility)?, parse(&membership)?);
            Ok(FoundPerson { membership, name, login, role, facility, facility_name, state })
        })
        .collect()
}

pub async fn slots(shared: &Shared, query: &Query, most: usize) -> Result<Vec<FoundSlot>, Fault> {
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT s.slot, s.state, COALESCE(f.name, ''), COALESCE(MAX(d.label), '')
         FROM slot s LEFT JOIN facility f ON f.facility = s.facility
         LEFT JOIN device d ON d.slot = s.slot AND d.state <> 'revoked'
         GROUP BY s.slot, s.state, f.name, s.series, s.number ORDER BY s.series, s.number",
    )
    .fetch_all(shared.store.pool())
    .await?;
    let fitting = rows.into_iter().map(|row| (query.fits(&[&row.0, &row.3]), row));
    let slot = |(slot, state, facility_name, label)| FoundSlot { slot, state, label, facility_name };
    Ok(best(fitting, most).into_iter().map(slot).collect())
}

pub async fn cases(shared: &Shared, query: &Query, most: usize) -> Result<Vec<FoundCase>, Fault> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT case_id, facility_name, 0 FROM office_case
         UNION ALL
         SELECT c.case_id, COALESCE(f.name, ''), 1 FROM flow_case c LEFT JOIN facility f ON f.facility = c.facility
         ORDER BY 1 DESC",
    )
    .fetch_all(shared.store.pool())
    .await?;
    let fitting = rows.into_iter().map(|row| (query.fits(&[&row.0, &row.1]), row));
    let case = |(case, facility_name, of_flow)| FoundCase { case, facility_name, of_flow: of_flow != 0 };
    Ok(best(fitting, most).into_iter().map(case).collect())
}
