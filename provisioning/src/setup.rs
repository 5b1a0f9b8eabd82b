//! `mimamori init` in this room: the secretariat as a pseudo-facility, its operator, and slot 0 with its
//! bundle and sheet in the output folder. Runs once, before the room does. Edge: SQL, files.

use std::path::PathBuf;

use pki::identity::{FacilityId, MembershipId, PersonId, Role, TraceId};
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::acceptance::{insert_membership, insert_person};
use crate::audit::{self, Event};
use crate::delivery::{self, Delivery};
use crate::facility::{self, FacilityKind, MailAddress, OFFICE_CODE};
use crate::hashing::{Cost, Hasher};
use crate::issue::{self, Prepared, Recipient};
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::shared::{Config, FolderError};
use crate::slot_rows;
use crate::slots::{DEVICE_QUOTA, OFFICE_NUMBER};
use crate::store::{Conn, Store, StoreError, transaction};
use crate::world;

/// The secretariat as the configuration names it.
#[derive(Clone, Debug)]
pub struct NewOffice {
    /// みまもり事務局, on every paper.
    pub name: String,
    /// 問い合わせ先 on every paper; may be blank.
    pub telephone: String,
    /// The operator's mail address and name.
    pub login: String,
    pub operator_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficeCreated {
    pub facility: FacilityId,
    pub person: PersonId,
    pub slot: SlotNumber,
    pub bundle: PathBuf,
    pub sheet: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Office(#[from] OfficeFault),
    #[error("MM-5009 bundle and sheet of the secretariat could not be written below {output}")]
    Output { output: PathBuf },
}

/// Creates the registry and the secretariat in it. `by` is the Unix user who runs `init`.
pub async fn create_office(
    config: &Config,
    office: &NewOffice,
    by: &str,
) -> Result<OfficeCreated, SetupError> {
    let hasher = Hasher::new(Cost::FULL).map_err(OfficeFault::from)?;
    create_office_with(config, office, by, &hasher).await
}

/// As `create_office`, with a hasher of the caller's: room tests bring a cheap one.
pub async fn create_office_with(
    config: &Config,
    office: &NewOffice,
    by: &str,
    hasher: &Hasher,
) -> Result<OfficeCreated, SetupError> {
    config.make_folders()?;
    let store = Store::open(&config.database, &config.registry()).await?;
    let created = create(&store, config, office, by, hasher).await;
    let delivered = delivery::deliver_due(&store, &Delivery::Folder(config.output.clone())).await;
    store.close().await;
    let created = created?;
    if delivered? == 0 || !created.bundle.exists() || !created.sheet.exists() {
        return Err(SetupError::Output { output: config.output.clone() });
    }
    Ok(created)
}

async fn create(
    store: &Store,
    config: &Config,
    office: &NewOffice,
    by: &str,
    hasher: &Hasher,
) -> Result<OfficeCreated, OfficeFault> {
    let address = MailAddress::parse(&office.login)?;
    let name = facility::line(&office.name)?;
    let operator_name = facility::line(&office.operator_name)?;
    let prepared = Prepared::new(hasher).await?;
    let facility = FacilityId::from_random(*world::random()?);
    let person = PersonId::from_random(*world::random()?);
    let membership = MembershipId::from_random(*world::random()?);
    let trace = TraceId::from_random(*world::random()?);
    let slot =
        SlotNumber::new(config.series, OFFICE_NUMBER).map_err(|error| OfficeFault::Row(error.to_string()))?;
    let now_ms = world::now_ms();
    let to = Recipient {
        facility: &facility,
        facility_name: &name,
        admin: &person,
        admin_name: &operator_name,
        admin_address: address.written(),
        office_name: &name,
        office_telephone: &office.telephone,
    };
    transaction!(store, conn => {
        insert_office(conn, now_ms, &to).await?;
        insert_person(conn, now_ms, &address, "office", &operator_name, &person).await?;
        insert_membership(conn, &membership, &person, &facility, Role::Secretariat).await?;
        slot_rows::take(conn, now_ms, slot, &facility, true).await?;
        issue::issue(conn, now_ms, config, slot, &to, &prepared).await?;
        let detail = json!({ "facility": facility, "person": person, "slot": slot });
        let event = Event { actor: by, action: "office.create", object: OFFICE_CODE, trace: Some(trace), detail };
        audit::append(conn, now_ms, event).await?;
        Ok::<_, OfficeFault>(())
    })?;
    Ok(OfficeCreated {
        bundle: config.output.join("bundles").join(slot.to_string()),
        sheet: config.output.join("sheets").join(format!("{slot}.txt")),
        facility,
        person,
        slot,
    })
}

async fn insert_office(conn: &mut Conn, now_ms: i64, to: &Recipient<'_>) -> Result<(), OfficeFault> {
    let exists: Option<i64> = sqlx::query_scalar("SELECT 1 FROM facility WHERE kind = $1")
        .bind(FacilityKind::Office.as_str())
        .fetch_optional(&mut *conn)
        .await?;
    if exists.is_some() {
        return Err(Message::OfficeExists.into());
    }
    sqlx::query(
        "INSERT INTO facility (facility, code, kind, name, telephone, admin_name, device_quota, vpn_requested, state, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 'active', $8)",
    )
    .bind(to.facility.as_str())
    .bind(OFFICE_CODE)
    .bind(FacilityKind::Office.as_str())
    .bind(to.facility_name)
    .bind(to.office_telephone)
    .bind(to.admin_name)
    .bind(i64::from(DEVICE_QUOTA))
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}
