//! Where the stores meet: sns.db, keys.db and the live streams, and what can go wrong with them.
//! `office` answers the doors from here, `care` the people of a team.

use pki::identity::{PatientId, TraceId};

use crate::keys::{Kind, PatientKey};
use crate::keystore::{KeyStore, KeyStoreError};
use crate::live::Live;
use crate::messages::Message;
use crate::store::{Conn, Store, StoreError};
use crate::team::{Acknowledged, Display};
use crate::timeline::{AckRow, ack_row};
use crate::view::TeamCard;
use crate::{roster, timeline, world};

pub struct Desk {
    pub store: Store,
    pub keys: KeyStore,
    pub live: Live,
}

/// Either something to tell the caller, or a store that does not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{}", .0.code())]
    Said(Message),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
}

impl From<Message> for Trouble {
    fn from(message: Message) -> Self {
        Trouble::Said(message)
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Trouble::Store(error.into())
    }
}

impl From<crate::keys::KeyError> for Trouble {
    fn from(error: crate::keys::KeyError) -> Self {
        Trouble::Store(error.into())
    }
}

impl From<world::NoRandomness> for Trouble {
    fn from(error: world::NoRandomness) -> Self {
        Trouble::Store(error.into())
    }
}

impl Trouble {
    /// What the caller hears; what is ours to mend is logged here and nowhere else.
    pub fn tell(self, trace: Option<TraceId>) -> Message {
        let trace = trace.map_or_else(|| "-".to_owned(), |trace| trace.to_string());
        match self {
            Trouble::Said(message) => message,
            Trouble::Keys(KeyStoreError::Erased) => Message::Erased,
            trouble => {
                log::warn!(TRACE_ID = trace.as_str(), CODE = Message::Unavailable.code(); "the records cannot be used: {trouble}");
                Message::Unavailable
            }
        }
    }
}

pub fn seal(key: &PatientKey, kind: Kind, row: &str, text: &str) -> Result<String, Trouble> {
    Ok(key.seal_text(kind, row, text, world::nonce()?)?)
}

pub fn open_display(key: &PatientKey, kind: Kind, row: &str, sealed: &str) -> Result<Display, Trouble> {
    let text = key.open_text(kind, row, sealed)?;
    Ok(Display::from_text(&text).ok_or(StoreError::Broken("display"))?)
}

pub fn open_ack(key: &PatientKey, post: &crate::post::PostId, row: AckRow) -> Result<Acknowledged, Trouble> {
    let place = ack_row(post, &row.membership);
    let display = open_display(key, Kind::Acknowledger, &place, &row.display_sealed)?;
    Ok(Acknowledged {
        person: row.person,
        membership: row.membership,
        facility: row.facility,
        display,
        at_ms: row.at_ms,
    })
}

/// A team's line with its names opened; `awaiting` is the reader's and is filled in by him.
pub async fn team_card(conn: &mut Conn, key: &PatientKey, patient: &PatientId) -> Result<TeamCard, Trouble> {
    let team = roster::team(conn, patient).await?.ok_or(Message::NoSuchTeam)?;
    if team.erased {
        return Err(Message::NoSuchTeam.into());
    }
    let mut facilities = Vec::new();
    for row in roster::facilities(conn, patient).await? {
        let name = key.open_text(Kind::FacilityName, &row.row(), &row.name_sealed)?;
        facilities.push((row.facility, name));
    }
    Ok(TeamCard {
        name: key.open_text(Kind::TeamName, patient.as_str(), &team.name_sealed)?,
        kana: key.open_text(Kind::TeamKana, patient.as_str(), &team.kana_sealed)?,
        origin: team.origin,
        closed: team.closed,
        facilities,
        members: roster::members(conn, patient).await?,
        awaiting: 0,
        last_event: timeline::last_number(conn, patient).await?,
        patient: team.patient,
    })
}
