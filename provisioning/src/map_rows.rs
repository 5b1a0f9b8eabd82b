//! The resource map's entries in the registry: what a facility wrote, and the part of all of them that citizens see.
//! Edge: SQL.

use pki::identity::FacilityId;
use serde_json::json;

use crate::audit::{self, Event};
use crate::door::Operator;
use crate::door_paper::MapKind;
use crate::fault::Fault;
use crate::map::{self, Entry, Public, Typed};
use crate::shared::Shared;
use crate::store::transaction;
use crate::{dates, world};

#[derive(sqlx::FromRow)]
struct Row {
    city: String,
    latitude: Option<i64>,
    longitude: Option<i64>,
    fixed: i64,
    fax: String,
    url: String,
    closed_days: String,
    hours: String,
    also: String,
    other: String,
    shown: i64,
}

impl Row {
    fn entry(self) -> Entry {
        Entry {
            city: self.city,
            place: self.latitude.zip(self.longitude),
            fixed: self.fixed != 0,
            fax: self.fax,
            url: self.url,
            closed_days: self.closed_days,
            hours: self.hours,
            also: self.also,
            other: self.other,
            shown: self.shown != 0,
        }
    }
}

pub async fn stored(shared: &Shared, whose: &FacilityId) -> Result<Option<Typed>, Fault> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT city, latitude, longitude, fixed, fax, url, closed_days, hours, also, other, shown
         FROM map_entry WHERE facility = $1",
    )
    .bind(whose.as_str())
    .fetch_optional(shared.store.pool())
    .await?;
    Ok(row.map(|row| row.entry().typed()))
}

#[derive(sqlx::FromRow)]
struct PublicRow {
    name: String,
    kana: String,
    kind: String,
    postal_address: String,
    telephone: String,
    #[sqlx(flatten)]
    entry: Row,
}

/// Only entries that their facility has completed and shows, of facilities that take part.
async fn public(shared: &Shared) -> Result<Vec<Public>, Fault> {
    let rows: Vec<PublicRow> = sqlx::query_as(
        "SELECT f.name, f.kana, f.kind, f.postal_address, f.telephone, m.city, m.latitude, m.longitude, m.fixed, m.fax,
                m.url, m.closed_days, m.hours, m.also, m.other, m.shown
         FROM map_entry m JOIN facility f ON f.facility = m.facility
         WHERE m.shown = 1 AND f.state = 'active' AND f.kind NOT IN ('事務局', '患者・家族事業所') AND f.telephone <> ''
           AND f.postal_address <> '' ORDER BY m.facility",
    )
    .fetch_all(shared.store.pool())
    .await?;
    let public = |row: PublicRow| {
        let PublicRow { name, kana, kind, postal_address, telephone, entry } = row;
        Public { name, kana, kind, postal_address, telephone, entry: entry.entry() }
    };
    Ok(rows.into_iter().map(public).collect())
}

/// The file for the association's public site, and its name.
pub async fn export(shared: &Shared, kind: MapKind) -> Result<(&'static str, Vec<u8>), Fault> {
    let all = public(shared).await?;
    match kind {
        MapKind::Geojson => Ok(("map.geojson", map::geojson(&all))),
        MapKind::Html => {
            let today = dates::day(world::now_ms()).to_string();
            Ok(("map.html", map::page(&shared.config.realm_name, &today, &all)?.into_bytes()))
        }
    }
}

pub async fn write(
    shared: &Shared,
    operator: &Operator,
    whose: &FacilityId,
    typed: &Typed,
) -> Result<(), Fault> {
    let entry = Entry::read(typed)?;
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        // 座標の上書き禁止: a fixed place stays until somebody unfixes it.
        sqlx::query(
            "INSERT INTO map_entry (facility, city, latitude, longitude, fixed, fax, url, closed_days, hours, also, other,
                shown, changed_by, changed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (facility) DO UPDATE SET city = excluded.city,
                latitude = CASE WHEN map_entry.fixed = 1 AND excluded.fixed = 1 THEN map_entry.latitude ELSE excluded.latitude END,
                longitude = CASE WHEN map_entry.fixed = 1 AND excluded.fixed = 1 THEN map_entry.longitude ELSE excluded.longitude END,
                fixed = excluded.fixed, fax = excluded.fax, url = excluded.url, closed_days = excluded.closed_days,
                hours = excluded.hours, also = excluded.also, other = excluded.other, shown = excluded.shown,
                changed_by = excluded.changed_by, changed_at = excluded.changed_at",
        )
        .bind(whose.as_str())
        .bind(&entry.city)
        .bind(entry.place.map(|(latitude, _)| latitude))
        .bind(entry.place.map(|(_, longitude)| longitude))
        .bind(i64::from(entry.fixed))
        .bind(&entry.fax)
        .bind(&entry.url)
        .bind(&entry.closed_days)
        .bind(&entry.hours)
        .bind(&entry.also)
        .bind(&entry.other)
        .bind(i64::from(entry.shown))
        .bind(&operator.name)
        .bind(now)
        .execute(&mut *conn)
        .await?;
        let event = Event {
            actor: &operator.name,
            action: "map.entry",
            object: whose.as_str(),
            trace: Some(operator.trace),
            detail: json!({ "shown": entry.shown, "rule": "B-26" }),
        };
        audit::append(conn, now, event).await?;
        Ok::<_, Fault>(())
    })
}
