//! Answers the doors: teams and patient keys for provisioning, status and trail for the operator.
//! The asker has decided who may; this room checks what is its own (linked, erased, well formed) and records it.

use pki::identity::{FacilityId, MembershipId, PatientId, Role};

use crate::audit::{Act, Actor, Entry};
use crate::desk::{Desk, Trouble, seal, team_card};
use crate::door::{
    EndStreams, FacilityRef, KeysAnswer, KeysQuestion, Member, PatientText, SnsAnswer, SnsQuestion,
    TeamSummary, TeamsAnswer, TeamsQuestion, TeamsRefusal,
};
use crate::keys::Kind;
use crate::keystore::KeyStoreError;
use crate::messages::Message;
use crate::roster::{FacilityRow, MemberRow, TeamRow, facility_row, member_row};
use crate::store::{Conn, append};
use crate::team::{Display, InTeam};
use crate::{roster, world};

/// A name on a form; longer is a mistake or an attack.
const NAME_MAX: usize = 200;
/// A scanned case file of a few pages; the door's frames are limited to the like.
const KEPT_MAX: usize = 16 * 1024 * 1024;
/// What another room calls what it keeps.
const CONTEXT_MAX: usize = 200;

pub async fn teams(desk: &Desk, question: TeamsQuestion) -> TeamsAnswer {
    match ask_teams(desk, question).await {
        Ok(answer) => answer,
        Err(refusal) => TeamsAnswer::Refused(refusal),
    }
}

pub async fn keys(desk: &Desk, question: KeysQuestion) -> KeysAnswer {
    let answer = match question {
        KeysQuestion::Seal { patient, context, plain } => seal_kept(desk, patient, context, plain).await,
        KeysQuestion::Open { patient, context, sealed } => open_kept(desk, patient, context, sealed).await,
        KeysQuestion::Erase { patient } => erase(desk, patient).await,
    };
    answer.unwrap_or_else(KeysAnswer::Refused)
}

pub async fn operator(desk: &Desk, question: SnsQuestion) -> SnsAnswer {
    let answer = match question {
        SnsQuestion::Status => status(desk).await,
        SnsQuestion::VerifyAudit => {
            desk.store.verify_audit().await.map(SnsAnswer::AuditVerified).map_err(Trouble::from)
        }
        SnsQuestion::Audit { after, limit, trace } => {
            desk.store.audit_lines(after, limit, trace).await.map(SnsAnswer::Audit).map_err(Trouble::from)
        }
        SnsQuestion::RotateEpoch => rotate(desk).await,
    };
    // The operator is who mends it: he is told the whole reason.
    answer
        .unwrap_or_else(|trouble| SnsAnswer::Refused(TeamsRefusal::Unavailable { why: trouble.to_string() }))
}

/// At start: what keys.db knows as erased is dropped from an sns.db that was put back from before.
pub async fn replay_erasures(desk: &Desk) -> Result<u32, Trouble> {
    let mut replayed = 0;
    for patient in desk.keys.erased().await? {
        let mut tx = desk.store.write().await?;
        if roster::forget(&mut tx, &patient, world::now_ms()).await? {
            append(&mut tx, &entry(Actor::Room, Act::EraseReplayed, Some(&patient), None)).await?;
            replayed += 1;
        }
        tx.commit().await?;
    }
    Ok(replayed)
}

async fn ask_teams(desk: &Desk, question: TeamsQuestion) -> Result<TeamsAnswer, TeamsRefusal> {
    match question {
        TeamsQuestion::Open { patient, name, kana, origin, at_ms } => {
            open(desk, patient, name, kana, origin, at_ms).await
        }
        TeamsQuestion::LinkFacility { patient, facility } => link(desk, patient, facility).await,
        TeamsQuestion::AddMember { patient, member } => add_member(desk, patient, member).await,
        TeamsQuestion::RemoveMember { patient, membership } => remove_member(desk, patient, membership).await,
        TeamsQuestion::Leave { membership } => leave(desk, membership).await,
        TeamsQuestion::UnlinkFacility { patient, facility } => unlink(desk, patient, facility).await,
        TeamsQuestion::Stop { patient } => stop(desk, patient).await,
        TeamsQuestion::Close { patient } => close(desk, patient).await,
        TeamsQuestion::List { facility } => list(desk, facility).await.map_err(refusal),
        TeamsQuestion::End(whose) => end(desk, whose).await,
    }
}

async fn open(
    desk: &Desk,
    patient: PatientId,
    name: PatientText,
    kana: PatientText,
    origin: FacilityRef,
    at_ms: i64,
) -> Result<TeamsAnswer, TeamsRefusal> {
    check("name", name.expose(), true)?;
    check("kana", kana.expose(), false)?;
    check("facility", &origin.name, true)?;
    let work = async {
        // The key first: were it the other way round, a crash would leave a team that nobody can write in.
        let key = desk.keys.ensure(&patient).await?;
        let team = TeamRow {
            patient: patient.clone(),
            name_sealed: seal(&key, Kind::TeamName, patient.as_str(), name.expose())?,
            kana_sealed: seal(&key, Kind::TeamKana, patient.as_str(), kana.expose())?,
            origin: origin.facility.clone(),
            erased: false,
            closed: false,
        };
        let name_sealed =
            seal(&key, Kind::FacilityName, &facility_row(&origin.facility, at_ms), &origin.name)?;
        let mut tx = desk.store.write().await?;
        if roster::insert_team(&mut tx, &team, at_ms).await? {
            let row = FacilityRow { facility: origin.facility.clone(), name_sealed, linked_ms: at_ms };
            roster::link(&mut tx, &patient, &row).await?;
        }
        append(&mut tx, &by_door(Act::Open, Some(&patient), Some(origin.facility.as_str()))).await?;
        tx.commit().await?;
        Ok::<_, Trouble>(())
    };
    work.await.map_err(refusal)?;
    Ok(TeamsAnswer::Opened { patient })
}

async fn link(desk: &Desk, patient: PatientId, facility: FacilityRef) -> Result<TeamsAnswer, TeamsRefusal> {
    check("facility", &facility.name, true)?;
    let work = async {
        let mut tx = desk.store.write().await?;
        must_be_open(&mut tx, &patient).await?;
        let key = desk.keys.key(&patient).await?;
        let linked_ms = roster::link_moment(&mut tx, &patient, &facility.facility, world::now_ms()).await?;
        let place = facility_row(&facility.facility, linked_ms);
        let name_sealed = seal(&key, Kind::FacilityName, &place, &facility.name)?;
        let row = FacilityRow { facility: facility.facility.clone(), name_sealed, linked_ms };
        roster::link(&mut tx, &patient, &row).await?;
        append(&mut tx, &by_door(Act::Link, Some(&patient), Some(facility.facility.as_str()))).await?;
        tx.commit().await?;
        Ok::<_, Trouble>(())
    };
    work.await.map_err(refusal)?;
    Ok(TeamsAnswer::Linked)
}

async fn add_member(desk: &Desk, patient: PatientId, member: Member) -> Result<TeamsAnswer, TeamsRefusal> {
    check("name", &member.name, true)?;
    check("profession", &member.profession, false)?;
    check("facility", &member.facility.name, true)?;
    if !matches!(member.role, Role::Staff | Role::Family) {
        return Err(invalid("role", "only staff and family are members of a team (P-02)"));
    }
    let work = async {
        let mut tx = desk.store.write().await?;
        must_be_open(&mut tx, &patient).await?;
        let linked = roster::facilities(&mut tx, &patient).await?;
        if !linked.iter().any(|row| row.facility == member.facility.facility) {
            return Err(Message::NotLinked.into());
        }
        let key = desk.keys.key(&patient).await?;
        let joined_ms = roster::join_moment(&mut tx, &patient, &member.membership, world::now_ms()).await?;
        let display =
            Display { name: member.name, profession: member.profession, facility: member.facility.name };
        let place = member_row(&member.membership, joined_ms);
        let display_sealed = seal(&key, Kind::Member, &place, &display.to_text())?;
        let who = InTeam { person: member.person, facility: member.facility.facility, role: member.role };
        let row = MemberRow { membership: &member.membership, member: &who, display_sealed, joined_ms };
        roster::add_member(&mut tx, &patient, &row).await?;
        append(&mut tx, &by_door(Act::AddMember, Some(&patient), Some(member.membership.as_str()))).await?;
        tx.commit().await?;
        Ok::<_, Trouble>(())
    };
    work.await.map_err(refusal)?;
    Ok(TeamsAnswer::Added)
}

async fn remove_member(
    desk: &Desk,
    patient: PatientId,
    membership: MembershipId,
) -> Result<TeamsAnswer, TeamsRefusal> {
    let work = async {
        let mut tx = desk.store.write().await?;
        must_be_open(&mut tx, &patient).await?;
        roster::remove_member(&mut tx, &patient, &membership, world::now_ms()).await?;
        append(&mut tx, &by_door(Act::RemoveMember, Some(&patient), Some(membership.as_str()))).await?;
        tx.commit().await?;
        Ok::<_, Trouble>(())
    };
    work.await.map_err(refusal)?;
    desk.live.end(|who| who.patient == patient && who.membership == membership).await;
    Ok(TeamsAnswer::Removed)
}

/// What the person wrote keeps its name, profession and facility (P-33); only the membership ends.
async fn leave(desk: &Desk, membership: MembershipId) -> Result<TeamsAnswer, TeamsRefusal> {
    let work = async {
        let mut left = 0;
        // A list has a limit; the next one begins where it ended.
        loop {
            let mut tx = desk.store.write().await?;
            let teams = roster::teams_of(&mut tx, &membership).await?;
            for patient in &teams {
                roster::remove_member(&mut tx, patient, &membership, world::now_ms()).await?;
                append(&mut tx, &by_door(Act::RemoveMember, Some(patient), Some(membership.as_str())))
                    .await?;
            }
            tx.commit().await?;
            if teams.is_empty() {
                return Ok::<_, Trouble>(left);
            }
            left += u32::try_from(teams.len()).unwrap_or(u32::MAX);
        }
    };
    let teams = work.await.map_err(refusal)?;
    desk.live.end(|who| who.membership == membership).await;
    Ok(TeamsAnswer::Left { teams })
}

/// One team at a time: a facility of ten thousand patients does not hold up who writes.
async fn unlink(
    desk: &Desk,
    patient: Option<PatientId>,
    facility: FacilityId,
) -> Result<TeamsAnswer, TeamsRefusal> {
    let everywhere = patient.is_none();
    let mut left = 0;
    let work = async {
        let teams = match patient {
            Some(patient) => vec![patient],
            None => roster::open_teams(&mut *desk.store.read().await?, Some(&facility)).await?,
        };
        for patient in &teams {
            let mut tx = desk.store.write().await?;
            must_be_open(&mut tx, patient).await?;
            if roster::unlink(&mut tx, patient, &facility, world::now_ms()).await? {
                append(&mut tx, &by_door(Act::Unlink, Some(patient), Some(facility.as_str()))).await?;
                left += 1;
            }
            tx.commit().await?;
            desk.live.end(|who| who.patient == *patient && who.facility == facility).await;
        }
        Ok::<_, Trouble>(teams.len())
    };
    // A list has a limit: whoever asks for every team asks again until nothing is left.
    let found = work.await.map_err(refusal)?;
    if everywhere && i64::try_from(found).is_ok_and(|found| found >= roster::LIST_MAX) {
        return Err(TeamsRefusal::Unavailable { why: "more teams are left than one answer ends".to_owned() });
    }
    Ok(TeamsAnswer::Left { teams: left })
}

async fn stop(desk: &Desk, patient: PatientId) -> Result<TeamsAnswer, TeamsRefusal> {
    let work = async {
        let mut tx = desk.store.write().await?;
        must_be_open(&mut tx, &patient).await?;
        let linked = roster::facilities(&mut tx, &patient).await?;
        for row in &linked {
            roster::unlink(&mut tx, &patient, &row.facility, world::now_ms()).await?;
            append(&mut tx, &by_door(Act::Unlink, Some(&patient), Some(row.facility.as_str()))).await?;
        }
        tx.commit().await?;
        Ok::<_, Trouble>(linked.len())
    };
    let facilities = work.await.map_err(refusal)?;
    desk.live.end(|who| who.patient == patient).await;
    Ok(TeamsAnswer::Stopped { facilities: u32::try_from(facilities).unwrap_or(u32::MAX) })
}

async fn close(desk: &Desk, patient: PatientId) -> Result<TeamsAnswer, TeamsRefusal> {
    let work = async {
        let mut tx = desk.store.write().await?;
        must_be_open(&mut tx, &patient).await?;
        roster::close(&mut tx, &patient).await?;
        append(&mut tx, &by_door(Act::Close, Some(&patient), None)).await?;
        tx.commit().await?;
        Ok::<_, Trouble>(())
    };
    work.await.map_err(refusal)?;
    Ok(TeamsAnswer::Closed)
}

async fn list(desk: &Desk, facility: Option<FacilityId>) -> Result<TeamsAnswer, Trouble> {
    let mut tx = desk.store.write().await?;
    append(&mut tx, &by_door(Act::ListForOffice, None, facility.as_ref().map(FacilityId::as_str))).await?;
    tx.commit().await?;
    let mut tx = desk.store.read().await?;
    let mut teams = Vec::new();
    for patient in roster::open_teams(&mut tx, facility.as_ref()).await? {
        let key = match desk.keys.key(&patient).await {
            Ok(key) => key,
            // Being erased just now, or lost with an old keys.db: the others are shown all the same.
            Err(KeyStoreError::Erased) => continue,
            Err(KeyStoreError::Unknown) => {
                log::warn!(PATIENT = patient.as_str(); "a team has no key: keys.db is older than sns.db");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let card = team_card(&mut tx, &key, &patient).await?;
        teams.push(TeamSummary {
            patient: card.patient,
            name: PatientText::new(card.name),
            kana: PatientText::new(card.kana),
            origin: card.origin,
            facilities: card
                .facilities
                .into_iter()
                .map(|(facility, name)| FacilityRef { facility, name })
                .collect(),
            members: card.members,
        });
    }
    Ok(TeamsAnswer::Teams(teams))
}

/// The streams go first and the trail follows: nothing may hold up a revocation (ruling 7).
async fn end(desk: &Desk, whose: EndStreams) -> Result<TeamsAnswer, TeamsRefusal> {
    let (streams, on) = match &whose {
        EndStreams::Slot(slot) => (desk.live.end(|who| who.slot == *slot).await, slot.as_str()),
        EndStreams::Person(person) => (desk.live.end(|who| who.person == *person).await, person.as_str()),
        EndStreams::Facility(facility) => {
            (desk.live.end(|who| who.facility == *facility).await, facility.as_str())
        }
    };
    // A slot is text from outside; only what looks like one goes into the trail.
    let on =
        if on.len() <= 40 && on.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') { on } else { "?" };
    let work = async {
        let mut tx = desk.store.write().await?;
        append(&mut tx, &by_door(Act::EndStreams, None, Some(on))).await?;
        tx.commit().await?;
        Ok::<_, Trouble>(())
    };
    work.await.map_err(refusal)?;
    Ok(TeamsAnswer::Ended { streams })
}

async fn seal_kept(
    desk: &Desk,
    patient: PatientId,
    context: String,
    plain: Vec<u8>,
) -> Result<KeysAnswer, TeamsRefusal> {
    let plain = zeroize::Zeroizing::new(plain);
    check_kept(&context, plain.len())?;
    let work = async {
        let key = desk.keys.key(&patient).await?;
        let sealed = key.seal(Kind::Kept, &context, &plain, world::nonce()?)?;
        record(desk, Act::SealKept, &patient, None).await?;
        Ok::<_, Trouble>(sealed)
    };
    Ok(KeysAnswer::Sealed(work.await.map_err(refusal)?))
}

async fn open_kept(
    desk: &Desk,
    patient: PatientId,
    context: String,
    sealed: Vec<u8>,
) -> Result<KeysAnswer, TeamsRefusal> {
    check_kept(&context, sealed.len())?;
    let key = desk.keys.key(&patient).await.map_err(|error| refusal(error.into()))?;
    let plain =
        key.open(Kind::Kept, &context, &sealed).map_err(|error| invalid("sealed", &error.to_string()))?;
    record(desk, Act::OpenKept, &patient, None).await.map_err(refusal)?;
    Ok(KeysAnswer::Opened(plain.to_vec()))
}

/// Recorded before the irreversible act and after it; repeating it finishes what was begun.
async fn erase(desk: &Desk, patient: PatientId) -> Result<KeysAnswer, TeamsRefusal> {
    let work = async {
        record(desk, Act::Erase, &patient, Some("begun")).await?;
        desk.keys.erase(&patient).await?;
        desk.live.end(|who| who.patient == patient).await;
        let mut tx = desk.store.write().await?;
        roster::forget(&mut tx, &patient, world::now_ms()).await?;
        append(&mut tx, &by_door(Act::Erase, Some(&patient), Some("done"))).await?;
        tx.commit().await?;
        Ok::<_, Trouble>(())
    };
    work.await.map_err(refusal)?;
    Ok(KeysAnswer::Erased)
}

async fn status(desk: &Desk) -> Result<SnsAnswer, Trouble> {
    let (teams, posts, audit_entries) = desk.store.counts().await?;
    let epoch = desk.keys.epoch().await?;
    Ok(SnsAnswer::Status { teams, posts, streams: desk.live.streams(), epoch, audit_entries })
}

async fn rotate(desk: &Desk) -> Result<SnsAnswer, Trouble> {
    let epoch = desk.keys.rotate_epoch().await?;
    let mut tx = desk.store.write().await?;
    append(&mut tx, &entry(Actor::Door("operator"), Act::RotateEpoch, None, Some(&epoch.to_string())))
        .await?;
    tx.commit().await?;
    Ok(SnsAnswer::EpochRotated { epoch })
}

async fn record(desk: &Desk, act: Act, patient: &PatientId, on: Option<&str>) -> Result<(), Trouble> {
    let mut tx = desk.store.write().await?;
    append(&mut tx, &entry(Actor::Door("keys"), act, Some(patient), on)).await?;
    tx.commit().await?;
    Ok(())
}

async fn must_be_open(conn: &mut Conn, patient: &PatientId) -> Result<(), Trouble> {
    match roster::team(conn, patient).await? {
        None => Err(Message::NoSuchTeam.into()),
        Some(team) if team.erased => Err(Message::Erased.into()),
        Some(_) => Ok(()),
    }
}

fn by_door<'a>(act: Act, patient: Option<&'a PatientId>, on: Option<&'a str>) -> Entry<'a> {
    entry(Actor::Door("teams"), act, patient, on)
}

fn entry<'a>(actor: Actor<'a>, act: Act, patient: Option<&'a PatientId>, on: Option<&'a str>) -> Entry<'a> {
    Entry { at_ms: world::now_ms(), trace: None, actor, act, patient, on, rule: "D-01-door", allowed: true }
}

fn check(field: &str, text: &str, needed: bool) -> Result<(), TeamsRefusal> {
    if needed && text.trim().is_empty() {
        return Err(invalid(field, "it is empty"));
    }
    if text.chars().count() > NAME_MAX {
        return Err(invalid(field, "it is longer than 200 characters"));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "it has a control character"));
    }
    Ok(())
}

fn check_kept(context: &str, len: usize) -> Result<(), TeamsRefusal> {
    if context.is_empty() || context.len() > CONTEXT_MAX {
        return Err(invalid("context", "it has 1 to 200 bytes"));
    }
    if len > KEPT_MAX {
        return Err(invalid("plain", "it is larger than 16 MiB"));
    }
    Ok(())
}

fn invalid(field: &str, why: &str) -> TeamsRefusal {
    TeamsRefusal::Invalid { field: field.to_owned(), why: why.to_owned() }
}

fn refusal(trouble: Trouble) -> TeamsRefusal {
    if let Trouble::Keys(KeyStoreError::Unknown) = trouble {
        return TeamsRefusal::UnknownPatient;
    }
    let why = trouble.to_string();
    match trouble.tell(None) {
        Message::NoSuchTeam => TeamsRefusal::UnknownPatient,
        Message::NotLinked => TeamsRefusal::NotLinked,
        Message::Erased => TeamsRefusal::Erased,
        _ => TeamsRefusal::Unavailable { why },
    }
}
