//! A slot gets its first device: bootstrap key, seat, enrolment, bundle and sheet, inside the caller's
//! transaction. What is random or slow is prepared before it (ruling 5). Edge: SQL, randomness.

use data_encoding::BASE32_NOPAD;
use pki::door::DeviceKind;
use pki::identity::{FacilityId, PersonId};
use vpn::Place;
use vpn::key::PresharedKey;
use vpn::slot::{SeatClass, SlotNumber};

use crate::bundle::{self, Bundle, TunnelPrivateKey};
use crate::facility::FacilityKind;
use crate::hashing::Hasher;
use crate::jst;
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::outbox::{self, LetterKind, NewLetter};
use crate::shared::Config;
use crate::sheet::{self, Sheet};
use crate::slot_rows;
use crate::slots::SlotState;
use crate::store::{Conn, bump_grants};
use crate::ticket::{PASSWORD_LENGTH, TicketNumber, TicketPassword};
use crate::world::{self, NoRandomness};

/// Ruling 5: a sheet is good for 30 days.
pub const VALID_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// Keys, number and password of one device to be.
pub struct Prepared {
    device: String,
    connection: Connection,
    number: TicketNumber,
    password: TicketPassword,
    password_hash: String,
}

impl Prepared {
    /// Hashes the password; takes its time.
    pub async fn new(hasher: &Hasher) -> Result<Self, OfficeFault> {
        let mut prepared = Self::rehearsal()?;
        prepared.password_hash = hasher.hash(prepared.password.expose()).await?;
        Ok(prepared)
    }

    /// Good for a rehearsal only: its password opens nothing.
    pub fn rehearsal() -> Result<Self, OfficeFault> {
        Ok(Self {
            device: format!(
                "d-{}",
                BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase()
            ),
            connection: Connection::new()?,
            number: TicketNumber::from_random(*world::random()?),
            password: TicketPassword::from_random(&*world::random::<PASSWORD_LENGTH>()?),
            password_hash: String::new(),
        })
    }
}

/// What a bootstrap tunnel is opened with.
pub struct Connection {
    pub key: TunnelPrivateKey,
    pub psk: PresharedKey,
}

impl Connection {
    pub fn new() -> Result<Self, NoRandomness> {
        Ok(Self {
            key: TunnelPrivateKey::from_random(&*world::random()?),
            psk: PresharedKey::from_bytes(*world::random()?),
        })
    }
}

/// For whom the device is.
pub struct Recipient<'a> {
    pub facility: &'a FacilityId,
    pub facility_name: &'a str,
    /// The admin whose own password the claim sets (本登録, G-05).
    pub admin: &'a PersonId,
    pub admin_name: &'a str,
    pub admin_address: &'a str,
    pub office_name: &'a str,
    pub office_telephone: &'a str,
}

/// Issues an allotted slot: device, seat, enrolment, history, both letters. Returns the grants version.
pub async fn issue(
    conn: &mut Conn,
    now_ms: i64,
    config: &Config,
    slot: SlotNumber,
    to: &Recipient<'_>,
    prepared: &Prepared,
) -> Result<i64, OfficeFault> {
    let version = bump_grants(conn).await?;
    let generation: i64 = sqlx::query_scalar(
        "UPDATE slot SET state = 'issued', grants_version = $1 WHERE slot = $2 AND state = 'allotted'
         RETURNING generation",
    )
    .bind(version)
    .bind(slot.to_string())
    .fetch_one(&mut *conn)
    .await?;
    slot_rows::record(conn, now_ms, slot, generation, SlotState::Issued, Some(to.facility), "").await?;
    insert_device(conn, now_ms, slot, generation, to, prepared).await?;
    for (kind, recipient, files) in [
        (LetterKind::Bundle, to.admin_address, bundle_files(now_ms, config, slot, to, &prepared.connection)?),
        (LetterKind::Sheet, to.facility_name, sheet_files(now_ms, config, slot, to, prepared)?),
    ] {
        let nth = generation;
        let letter = NewLetter { kind, slot, nth, facility: to.facility, recipient, files: &files };
        outbox::put(conn, now_ms, letter).await?;
    }
    Ok(version)
}

async fn insert_device(
    conn: &mut Conn,
    now_ms: i64,
    slot: SlotNumber,
    generation: i64,
    to: &Recipient<'_>,
    prepared: &Prepared,
) -> Result<(), sqlx::Error> {
    let (label, kind) = if is_family(conn, to.facility).await? {
        ("ご家族の端末", DeviceKind::Family)
    } else {
        ("施設内管理者の端末", DeviceKind::FacilityAdmin)
    };
    sqlx::query(
        "INSERT INTO device (device, slot, facility, label, kind, state, created_at)
         VALUES ($1, $2, $3, $4, $5, 'enrolling', $6)",
    )
    .bind(&prepared.device)
    .bind(slot.to_string())
    .bind(to.facility.as_str())
    .bind(label)
    .bind(device_kind(kind))
    .bind(now_ms)
    .execute(&mut *conn)
    .await?;
    seat(conn, slot, generation, &prepared.connection).await?;
    sqlx::query(
        "INSERT INTO enrolment (number, slot, device, password_hash, admin_person, state, valid_until, generation)
         VALUES ($1, $2, $3, $4, $5, 'open', $6, $7)",
    )
    .bind(prepared.number.as_str())
    .bind(slot.to_string())
    .bind(&prepared.device)
    .bind(&prepared.password_hash)
    .bind(to.admin.as_str())
    .bind(now_ms + VALID_MS)
    .bind(generation)
    .execute(conn)
    .await?;
    Ok(())
}

/// A 患者・家族事業所 has devices of its own kind, and no admin's (A-08a).
pub async fn is_family(conn: &mut Conn, facility: &FacilityId) -> Result<bool, sqlx::Error> {
    let kind: Option<String> = sqlx::query_scalar("SELECT kind FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(kind.as_deref() == Some(FacilityKind::Family.as_str()))
}

/// The bootstrap tunnel's seat; a predecessor's key is nobody's from then on.
pub async fn seat(
    conn: &mut Conn,
    slot: SlotNumber,
    generation: i64,
    connection: &Connection,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO seat (slot, place, class, public_key, psk, generation)
         VALUES ($1, 'enrolling', $2, $3, $4, $5)
         ON CONFLICT (slot, place) DO UPDATE SET class = excluded.class, public_key = excluded.public_key,
             psk = excluded.psk, generation = excluded.generation",
    )
    .bind(slot.to_string())
    .bind(SeatClass::Enrolling.as_str())
    .bind(connection.key.public().to_string())
    .bind(connection.psk.expose_base64())
    .bind(generation)
    .execute(conn)
    .await?;
    Ok(())
}

/// 接続設定一式, good for 30 days from now.
pub fn bundle_files(
    now_ms: i64,
    config: &Config,
    slot: SlotNumber,
    to: &Recipient<'_>,
    connection: &Connection,
) -> Result<Vec<bundle::PrivateFile>, Message> {
    let address = config
        .plan
        .address(slot, Place::Enrolling)
        .ok_or_else(|| Message::Internal { what: format!("{slot} is not of this realm") })?;
    bundle::files(&Bundle {
        slot,
        facility_name: to.facility_name,
        realm_name: &config.realm_name,
        zone: &config.zone,
        endpoint: &config.endpoint,
        server_public_key: config.server_public_key,
        key: &connection.key,
        psk: &connection.psk,
        address,
        gateway_open: config.plan.gateway_open(),
        root_pem: &config.root_pem,
        root_fingerprint: &config.root_fingerprint,
        issued_on: &jst::date(now_ms),
        valid_until: &jst::date(now_ms + VALID_MS),
        office_name: to.office_name,
        office_telephone: to.office_telephone,
    })
}

fn sheet_files(
    now_ms: i64,
    config: &Config,
    slot: SlotNumber,
    to: &Recipient<'_>,
    prepared: &Prepared,
) -> Result<Vec<bundle::PrivateFile>, Message> {
    sheet::files(&Sheet {
        slot,
        facility_name: to.facility_name,
        admin_name: to.admin_name,
        realm_name: &config.realm_name,
        zone: &config.zone,
        number: &prepared.number,
        password: &prepared.password,
        issued_on: &jst::date(now_ms),
        valid_until: &jst::date(now_ms + VALID_MS),
        office_name: to.office_name,
        office_telephone: to.office_telephone,
    })
}

pub fn device_kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Facility => "facility",
        DeviceKind::FacilityAdmin => "facility-admin",
        DeviceKind::Family => "family",
    }
}
