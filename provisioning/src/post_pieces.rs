//! What lies in each envelope of a run, read for the moment of printing. Edge: SQL.

use zeroize::Zeroizing;

use crate::bundle::claim_url;
use crate::door_post::{ItemLine, Lane};
use crate::envelope::{Address, split_postcode};
use crate::facility::FacilityKind;
use crate::fault::Fault;
use crate::fee_rows;
use crate::jst;
use crate::messages_post::PostMessage;
use crate::outbox;
use crate::post_connection::Connection;
use crate::post_paper::{Content, Piece, Sender, letter_lines};
use crate::post_sheet;
use crate::shared::Config;
use crate::store::Conn;

/// The office, as it stands beside the window.
pub async fn sender(conn: &mut Conn, config: &Config, now: i64) -> Result<Sender, Fault> {
    let (office, address, telephone): (String, String, String) =
        sqlx::query_as("SELECT name, postal_address, telephone FROM facility WHERE kind = $1")
            .bind(FacilityKind::Office.as_str())
            .fetch_one(conn)
            .await?;
    Ok(Sender { realm_name: config.realm_name.clone(), office, address, telephone, date: jst::date(now) })
}

/// As it was when the run was taken.
pub fn address(item: &ItemLine) -> Address {
    let (postcode, place) = split_postcode(&item.to_address);
    let (name, person) = item.to_name.split_once('　').unwrap_or((&item.to_name, ""));
    Address { postcode, place, name: name.to_owned(), person: person.to_owned() }
}

pub async fn piece(conn: &mut Conn, config: &Config, item: &ItemLine) -> Result<Piece, Fault> {
    let hand: i64 = sqlx::query_scalar(
        "SELECT CASE WHEN delivery = 'by-hand' THEN 1 ELSE 0 END FROM facility WHERE facility = $1",
    )
    .bind(item.facility.as_str())
    .fetch_one(&mut *conn)
    .await?;
    let content = match (item.whole, item.lane) {
        (false, _) => Content::AtHand,
        (true, Lane::Invoice) => invoice(conn, item).await?,
        (true, lane) => letter(conn, config, item, lane).await?,
    };
    Ok(Piece { number: item.item.clone(), lane: item.lane, to: address(item), hand: hand != 0, content })
}

async fn invoice(conn: &mut Conn, item: &ItemLine) -> Result<Content, Fault> {
    let paper = fee_rows::find(conn, &item.subject).await?;
    let paper = paper.ok_or_else(|| PostMessage::PieceGone { item: item.item.clone() })?;
    Ok(Content::Invoice(Box::new((paper, fee_rows::issuer(conn).await?))))
}

async fn letter(conn: &mut Conn, config: &Config, item: &ItemLine, lane: Lane) -> Result<Content, Fault> {
    let files = outbox::files(conn, &item.subject).await?;
    if files.is_empty() && lane == Lane::Sheet {
        return Err(PostMessage::SecretPrinted { run: item.run.clone() }.into());
    }
    let file = |end: &str| files.iter().find(|file| file.name.ends_with(end));
    let gone = || Fault::from(PostMessage::PieceGone { item: item.item.clone() });
    match lane {
        Lane::Connection => {
            let profile = file(".conf").ok_or_else(gone)?;
            connection(conn, config, item, &profile.text).await
        }
        Lane::Sheet => Ok(Content::Sheet(post_sheet::read(&file(".txt").ok_or_else(gone)?.text))),
        Lane::Letter | Lane::Invoice => {
            let text = file(".txt").ok_or_else(gone)?;
            // What stands before `_` in a notice's name is its title.
            let title = text.name.split_once('_').map_or("本登録の期限の延長のお知らせ", |(title, _)| title);
            Ok(Content::Letter { title: title.to_owned(), lines: letter_lines(&text.text) })
        }
    }
}

async fn connection(
    conn: &mut Conn,
    config: &Config,
    item: &ItemLine,
    profile: &str,
) -> Result<Content, Fault> {
    let slot = item.slot.ok_or_else(|| Fault::Row(item.item.clone()))?;
    let valid_until: Option<i64> =
        sqlx::query_scalar("SELECT MAX(valid_until) FROM enrolment WHERE slot = $1")
            .bind(slot.to_string())
            .fetch_one(&mut *conn)
            .await?;
    let office = sender(conn, config, 0).await?;
    Ok(Content::Connection(Box::new(Connection {
        slot,
        facility_name: item.facility_name.clone(),
        profile: Zeroizing::new(profile.to_owned()),
        valid_until: valid_until.map(jst::date).unwrap_or_default(),
        start_url: format!("http://{}/", config.plan.gateway_open()),
        claim_url: claim_url(&config.zone),
        fingerprint: config.root_fingerprint.clone(),
        office: format!("{}　{}", office.office, office.telephone).trim().to_owned(),
    })))
}
