//! Which device a slot holds, or held last (`registry` lists them all). Edge: SQL.

use pki::identity::FacilityId;
use vpn::slot::SlotNumber;

use crate::fault::{Fault, parse};
use crate::store::Conn;

/// A slot's last device, as revoking needs it.
#[derive(Clone)]
pub(crate) struct Holder {
    pub device: String,
    pub facility: FacilityId,
    pub living: bool,
    /// The facility's word for it.
    pub label: String,
}

/// Who sits in a slot, else who sat there last.
pub(crate) async fn holder(conn: &mut Conn, slot: SlotNumber) -> Result<Option<Holder>, Fault> {
    let row: Option<(String, String, String, String)> = sqlx::query_as(
        "SELECT device, facility, state, label FROM device WHERE slot = $1
         ORDER BY CASE WHEN state = 'revoked' THEN 1 ELSE 0 END, created_at DESC, device LIMIT 1",
    )
    .bind(slot.to_string())
    .fetch_optional(conn)
    .await?;
    row.map(|(device, facility, state, label)| {
        Ok(Holder { device, facility: parse(&facility)?, living: state != "revoked", label })
    })
    .transpose()
}

/// Whose number it is, with or without a device.
pub(crate) async fn slot_facility(conn: &mut Conn, slot: SlotNumber) -> Result<Option<FacilityId>, Fault> {
    let facility: Option<Option<String>> = sqlx::query_scalar("SELECT facility FROM slot WHERE slot = $1")
        .bind(slot.to_string())
        .fetch_optional(conn)
        .await?;
    facility.flatten().as_deref().map(parse).transpose()
}
