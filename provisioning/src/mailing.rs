//! Bundles by mail: composed, signed, handed to the smarthost, and what it said written down. A few at
//! once, each alone: a bad address or a slow receiver holds nobody up. At least once: a crash between the
//! last dot and our note sends the same octets again. Edge: tokio, network, SQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

use crate::dkim;
use crate::dkim_key::{DkimKey, DkimKeyError};
use crate::door_mail::MailSignature;
use crate::facility::FacilityKind;
use crate::jst;
use crate::letter::{self, BundleMail, Composed, Cover, Draft};
use crate::letters;
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::outbox::{self, Lane, Letter, LetterKind};
use crate::post::{self, Handed, MailConfig, SELECTOR, TxtRecord};
use crate::shared::Config;
use crate::smime_key::{SmimeError, SmimeKey};
use crate::smtp;
use crate::store::{Store, transaction};
use crate::world;

/// Mails at once: a smarthost takes a handful of connections from one host without a grudge.
pub const UNDER_WAY_MAX: usize = 4;
/// Delays before somebody is woken: more than an hour has gone by.
const WARN_AFTER: u32 = 4;
/// When the registry could not note what happened, the same mail is not sent again at once.
const REST: Duration = Duration::from_secs(60);
/// At the room's end a dialogue under way may end; aborted, it would be repeated.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// The realm's sender: smarthost, key and names.
pub struct Postman {
    mail: MailConfig,
    key: DkimKey,
    zone: String,
    realm_name: String,
}

impl Postman {
    /// `None` without a smarthost. Makes the key at the first start; takes its time then.
    pub fn open(config: &Config) -> Result<Option<Self>, DkimKeyError> {
        let Some(mail) = &config.mail else { return Ok(None) };
        Ok(Some(Self {
            mail: mail.clone(),
            key: DkimKey::open(&config.dir)?,
            zone: config.zone.clone(),
            realm_name: config.realm_name.clone(),
        }))
    }

    /// What the association publishes so that receivers believe it.
    pub fn records(&self) -> Result<[TxtRecord; 3], DkimKeyError> {
        Ok(post::records(&self.zone, &self.mail.host, &self.key.public_base64()?))
    }

    async fn hand_over(&self, store: &Store, letter: &Letter) -> Result<Handed, OfficeFault> {
        let drafted = match self.compose(store, letter).await? {
            Ok(draft) => self.signed(store, letter, draft).await?,
            Err(message) => Err(message),
        };
        let composed = match drafted {
            Ok(composed) => composed,
            Err(message) => return Ok(Handed::Refused(message.text().en)),
        };
        let sign = |octets: &[u8]| self.key.sign(octets);
        let signed = match dkim::signed(&composed.octets, &self.zone, SELECTOR, letter.created_at, sign) {
            Ok(signed) => signed,
            Err(error) => return Ok(Handed::Later(error.to_string())),
        };
        Ok(smtp::hand_over(&self.mail, &self.zone, &composed, &signed).await)
    }

    /// S/MIME, where the association has a certificate for it. One that has ended signs nothing: a letter that a mail
    /// program warns of is worse than one that DKIM alone vouches for.
    async fn signed(
        &self,
        store: &Store,
        letter: &Letter,
        draft: Draft,
    ) -> Result<Result<Composed, Message>, OfficeFault> {
        let valid = self.mail.smime.as_ref().filter(|key| key.good_at(world::now_ms() / 1_000).is_ok());
        let Some(key) = valid else { return Ok(draft.unsigned()) };
        let internal = |error: SmimeError| Message::Internal { what: error.to_string() };
        let Some(what) = key.to_sign(&draft.content(), letter.created_at / 1_000) else {
            return Ok(Err(internal(SmimeError)));
        };
        let remembered = outbox::signature(&mut *store.pool().acquire().await?, letter).await?;
        if let Some(signature) = remembered.and_then(|remembered| key.detached(&what, &remembered)) {
            return Ok(draft.signed(signature));
        }
        let made = match key.sign(&what) {
            Ok(made) => made,
            Err(error) => return Ok(Err(internal(error))),
        };
        transaction!(store, conn => outbox::remember_signature(conn, letter, &made).await)?;
        Ok(match key.detached(&what, &made) {
            Some(signature) => draft.signed(signature),
            None => Err(internal(SmimeError)),
        })
    }

    /// The certificate of its letters, where it has one.
    pub fn signature(&self) -> Option<MailSignature> {
        self.mail.smime.as_ref().map(SmimeKey::shown)
    }

    async fn compose(&self, store: &Store, letter: &Letter) -> Result<Result<Draft, Message>, OfficeFault> {
        let mut conn = store.pool().acquire().await?;
        let (facility_name, office_name, office_telephone): (String, String, String) = sqlx::query_as(
            "SELECT f.name, o.name, COALESCE(o.telephone, '') FROM facility f, facility o
             WHERE f.facility = $1 AND o.kind = $2",
        )
        .bind(letter.facility.as_str())
        .bind(FacilityKind::Office.as_str())
        .fetch_one(&mut *conn)
        .await?;
        let valid_until: Option<i64> =
            sqlx::query_scalar("SELECT MAX(valid_until) FROM enrolment WHERE slot = $1")
                .bind(letter.slot.to_string())
                .fetch_one(&mut *conn)
                .await?;
        let cover = Cover {
            message: &letter.message,
            recipient: &letter.recipient,
            slot: letter.slot,
            realm_name: &self.realm_name,
            zone: &self.zone,
            from: &self.mail.from,
            written_at_ms: letter.created_at,
        };
        if letter.kind == LetterKind::Notice {
            return Ok(letter::compose_notice(&cover, &letter.files));
        }
        if letter.kind == LetterKind::Extension {
            return Ok(letter::compose_extension(&cover, &letter.files));
        }
        Ok(letter::compose(&BundleMail {
            cover,
            reissued: letter.kind == LetterKind::Reissue,
            facility_name: &facility_name,
            office_name: &office_name,
            office_telephone: &office_telephone,
            valid_until: &jst::date(valid_until.unwrap_or(letter.created_at)),
            files: &letter.files,
        }))
    }
}

/// Mails that are with the smarthost just now.
#[derive(Default)]
pub struct UnderWay {
    tasks: JoinSet<()>,
    letters: HashMap<Id, String>,
}

impl UnderWay {
    /// Starts what is due and not under way yet, as far as there is room.
    pub async fn launch(&mut self, store: &Store, postman: &Arc<Postman>) -> Result<(), OfficeFault> {
        if self.is_full() {
            return Ok(());
        }
        let due = outbox::due(&mut *store.pool().acquire().await?, world::now_ms(), Lane::Mails).await?;
        for letter in due {
            if self.is_full() {
                break;
            }
            if self.letters.values().any(|message| *message == letter.message) {
                continue;
            }
            let message = letter.message.clone();
            let (store, postman) = (store.clone(), postman.clone());
            let task = self.tasks.spawn(async move {
                if let Err(fault) = mail(&store, &postman, letter).await {
                    log::warn!("a mail's outcome cannot be noted: {fault}");
                    tokio::time::sleep(REST).await;
                }
            });
            self.letters.insert(task.id(), message);
        }
        Ok(())
    }

    pub fn is_full(&self) -> bool {
        self.letters.len() >= UNDER_WAY_MAX
    }

    pub fn letters(&self) -> Vec<String> {
        self.letters.values().cloned().collect()
    }

    /// Resolves when one of them has ended; never while there is none.
    pub async fn landed(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.letters.remove(&id),
            Some(Err(error)) => self.letters.remove(&error.id()),
            None => std::future::pending().await,
        };
    }

    /// The room ends.
    pub async fn end(mut self) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
            log::info!("mails under way are left and will be sent again");
        }
    }
}

async fn mail(store: &Store, postman: &Postman, letter: Letter) -> Result<(), OfficeFault> {
    let handed = postman.hand_over(store, &letter).await?;
    let now_ms = world::now_ms();
    let slot = letter.slot.to_string();
    match handed {
        Handed::Accepted(answer) => {
            letters::note_sent(store, now_ms, &letter, &answer).await?;
            log::info!(SLOT = slot.as_str(), KIND = letter.kind.as_str(), CODE = letters::code(&answer); "letter handed to the smarthost");
            store.forget().await?;
        }
        Handed::Later(answer) => match post::wait_ms(letter.attempts) {
            Some(wait_ms) => {
                letters::note_delay(store, now_ms, &letter, wait_ms, &answer).await?;
                let level = if letter.attempts == WARN_AFTER { log::Level::Warn } else { log::Level::Info };
                log::log!(level, SLOT = slot.as_str(), CODE = letters::code(&answer); "a mail waits for another attempt");
            }
            None => {
                letters::note_failed(store, now_ms, &letter, &answer).await?;
                log::warn!(SLOT = slot.as_str(), CODE = letters::code(&answer); "a mail was given up after five days");
            }
        },
        Handed::Refused(answer) => {
            letters::note_failed(store, now_ms, &letter, &answer).await?;
            log::warn!(SLOT = slot.as_str(), CODE = letters::code(&answer); "a mail was refused for good");
        }
    }
    Ok(())
}
