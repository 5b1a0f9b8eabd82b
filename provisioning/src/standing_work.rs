//! 利用停止, 再開, 異動, 退職 and a new first password of a person: by the facility's admin for one membership
//! (B-14, B-16), by the secretariat for the whole account (B-24, H-12). The registry commits first; then the gateway
//! is told, and whoever was signed in is out. Edge: SQL, tokio.

use std::collections::BTreeSet;
use std::time::Duration;

use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use serde_json::json;
use zeroize::Zeroizing;

use crate::alarm_letter::Alarm;
use crate::audit;
use crate::door::Operator;
use crate::door_person::{FirstPassword, PersonChange, PersonLine, PersonQuestion};
use crate::fault::{Fault, parse};
use crate::find::Query;
use crate::leaving::Leaving;
use crate::leavings;
use crate::messages_people::PeopleMessage;
use crate::need::Cut;
use crate::shared::{Config, Shared};
use crate::standing::{NotNow, Standing, Turn, turned};
use crate::store::{Conn, bump_grants, transaction};
use crate::{accounts, alarms, world};

/// A neighbour that hangs does not hold up the answer: the grants feed tells it too.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Lines of one answer; more is a search that needs another word.
const LIST_MAX: usize = 500;

/// A membership with its person and its place.
#[derive(Clone, Debug)]
pub struct Member {
    pub person: PersonId,
    pub membership: MembershipId,
    pub name: String,
    pub login: String,
    pub profession: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub role: Role,
    pub pledged_on: Option<String>,
    /// Of the account, everywhere.
    pub account: Standing,
    /// Of this membership.
    pub state: Standing,
    /// The first password has not been changed yet.
    pub waiting: bool,
}

impl Member {
    /// What holds: an account that is stopped everywhere is stopped here.
    pub fn shown(&self) -> &'static str {
        if self.state == Standing::Active { self.account.as_str() } else { self.state.as_str() }
    }
}

/// Everything of the operator's door that is about people.
pub enum Told {
    Lines(Vec<PersonLine>),
    Change(PersonChange),
    Password(FirstPassword),
}

pub async fn answer(shared: &Shared, operator: &Operator, question: PersonQuestion) -> Result<Told, Fault> {
    match question {
        PersonQuestion::List { facility, words } => {
            lines(shared, facility.as_ref(), words.as_deref()).await.map(Told::Lines)
        }
        PersonQuestion::Suspend { person, dry_run } => {
            turn_person(shared, operator, &person, Turn::Suspend, dry_run).await.map(Told::Change)
        }
        PersonQuestion::Resume { person, dry_run } => {
            turn_person(shared, operator, &person, Turn::Resume, dry_run).await.map(Told::Change)
        }
        PersonQuestion::Password { person, dry_run } => {
            new_password(shared, operator, &person, dry_run).await.map(Told::Password)
        }
    }
}

/// One reading of members for every question; each names its own lines.
macro_rules! members {
    ($which:literal) => {
        concat!(
            "SELECT p.person, m.membership, p.name, p.kana, p.login, p.profession, f.facility,
                    f.name AS facility_name, m.role, COALESCE(g.on_day, p.pledged_on) AS pledged_on, p.state AS account, m.state, p.must_change
             FROM membership m JOIN person p ON p.person = m.person JOIN facility f ON f.facility = m.facility
             LEFT JOIN pledge g ON g.person = m.person AND g.facility = m.facility ",
            $which
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    person: String,
    membership: String,
    name: String,
    kana: String,
    login: String,
    profession: String,
    facility: String,
    facility_name: String,
    role: String,
    pledged_on: Option<String>,
    account: String,
    state: String,
    must_change: i64,
}

fn member(row: Row) -> Result<Member, Fault> {
    let standing = |text: &str| Standing::parse(text).ok_or_else(|| Fault::Row(text.to_owned()));
    Ok(Member {
        person: parse(&row.person)?,
        membership: parse(&row.membership)?,
        facility: parse(&row.facility)?,
        role: parse(&row.role)?,
        account: standing(&row.account)?,
        state: standing(&row.state)?,
        waiting: row.must_change != 0,
        name: row.name,
        login: row.login,
        profession: row.profession,
        facility_name: row.facility_name,
        pledged_on: row.pledged_on,
    })
}

/// A member by its id; whose it is, the caller must ask.
pub async fn find(conn: &mut Conn, membership: &MembershipId) -> Result<Member, Fault> {
    let row: Option<Row> = sqlx::query_as(members!("WHERE m.membership = $1"))
        .bind(membership.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(member).transpose()?.ok_or_else(|| PeopleMessage::MemberUnknown.into())
}

/// A facility's people who have not left, admins included: every list of the consoles reads this one.
pub async fn present(shared: &Shared, facility: &FacilityId) -> Result<Vec<Member>, Fault> {
    let mut people = of_facility(&mut *shared.store.pool().acquire().await?, facility).await?;
    people.retain(|member| member.state != Standing::Ended);
    Ok(people)
}

/// A facility's people, whoever has left last.
pub async fn of_facility(conn: &mut Conn, facility: &FacilityId) -> Result<Vec<Member>, Fault> {
    let rows: Vec<Row> = sqlx::query_as(members!(
        "WHERE m.facility = $1
         ORDER BY CASE WHEN m.state = 'ended' THEN 1 ELSE 0 END, m.role, p.name, m.membership"
    ))
    .bind(facility.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(member).collect()
}

/// All of one person's memberships that are not over.
async fn of_person(conn: &mut Conn, person: &PersonId) -> Result<Vec<Member>, Fault> {
    let rows: Vec<Row> = sqlx::query_as(members!(
        "WHERE m.person = $1 ORDER BY CASE WHEN m.state = 'ended' THEN 1 ELSE 0 END, f.name, m.membership"
    ))
    .bind(person.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(member).collect()
}

async fn lines(
    shared: &Shared,
    facility: Option<&FacilityId>,
    words: Option<&str>,
) -> Result<Vec<PersonLine>, Fault> {
    let query = Query::new(words.unwrap_or_default());
    let rows: Vec<Row> = sqlx::query_as(members!(
        "WHERE ($1 = '' OR m.facility = $1) ORDER BY f.name, m.role, p.name, m.membership"
    ))
    .bind(facility.map_or("", FacilityId::as_str))
    .fetch_all(shared.store.pool())
    .await?;
    rows.into_iter()
        .filter(|row| query.fits(&[&row.name, &row.kana, &row.login, &row.person]).is_some())
        .take(LIST_MAX)
        .map(|row| member(row).map(line))
        .collect()
}

fn line(member: Member) -> PersonLine {
    PersonLine {
        person: member.person,
        membership: member.membership,
        name: member.name,
        login: member.login,
        profession: member.profession,
        facility: member.facility,
        facility_name: member.facility_name,
        role: member.role.as_str().to_owned(),
        account: member.account.as_str().to_owned(),
        state: member.state.as_str().to_owned(),
    }
}

/// A facility's admin about one of its users: this facility only (B-14, B-24).
pub async fn turn_membership(
    shared: &Shared,
    operator: &Operator,
    membership: &MembershipId,
    turn: Turn,
) -> Result<(), Fault> {
    let now = world::now_ms();
    let grants = transaction!(shared.store, conn => {
        let grants = turn_membership_in(conn, now, operator, membership, turn).await?;
        if grants.is_some() && turn == Turn::Suspend {
            let member = find(conn, membership).await?;
            alarm(conn, &shared.config, now, operator, (member.name, &[member.facility], false)).await?;
        }
        Ok::<_, Fault>(grants)
    })?;
    if let Some(grants) = grants {
        shared.grants_changed(grants);
        shared.bells.outbox.notify_one();
        shared.bells.leavings.notify_one();
        if turn != Turn::Resume {
            out(shared, Cut::Membership(membership.clone())).await;
        }
    }
    Ok(())
}

/// In the caller's transaction; who is out is told after it (`out`).
pub(crate) async fn turn_membership_in(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    membership: &MembershipId,
    turn: Turn,
) -> Result<Option<i64>, Fault> {
    let member = find(conn, membership).await?;
    // An admin is changed by 様式3 and the secretariat, never by an admin (B-02).
    if !matches!(member.role, Role::Staff | Role::Family) {
        return Err(PeopleMessage::PersonAdmin.into());
    }
    let Some(next) = turned(member.state, turn).map_err(not_now)? else { return Ok(None) };
    let grants = bump_grants(conn).await?;
    sqlx::query("UPDATE membership SET state = $2, grants_version = $3 WHERE membership = $1")
        .bind(membership.as_str())
        .bind(next.as_str())
        .bind(grants)
        .execute(&mut *conn)
        .await?;
    if let Some(why) = Leaving::of(turn) {
        leavings::note(conn, now, (membership, &member.person, &member.facility), why).await?;
    }
    let (action, detail) = (
        format!("membership.{}", turn.as_str()),
        json!({ "person": member.person, "facility": member.facility, "rule": turn.rule_id() }),
    );
    audit::by(conn, now, operator, &action, membership.as_str(), detail).await?;
    Ok(Some(grants))
}

/// The secretariat about an account: wherever it is used (B-24, H-12). Never `End`: what ends is a membership.
pub async fn turn_person(
    shared: &Shared,
    operator: &Operator,
    person: &PersonId,
    turn: Turn,
    dry_run: bool,
) -> Result<PersonChange, Fault> {
    let now = world::now_ms();
    let (change, grants) = if dry_run {
        turn_person_in(&mut *shared.store.begin().await?, now, operator, person, turn).await?
    } else {
        transaction!(shared.store, conn => {
            let (change, grants) = turn_person_in(conn, now, operator, person, turn).await?;
            if grants.is_some() && turn == Turn::Suspend {
                let mut places = of_person(conn, person).await?;
                places.retain(|member| member.state != Standing::Ended);
                let places: BTreeSet<FacilityId> = places.into_iter().map(|member| member.facility).collect();
                let places: Vec<FacilityId> = places.into_iter().collect();
                alarm(conn, &shared.config, now, operator, (change.name.clone(), &places, true)).await?;
            }
            Ok::<_, Fault>((change, grants))
        })?
    };
    if let Some(grants) = grants.filter(|_| !dry_run) {
        shared.grants_changed(grants);
        shared.bells.outbox.notify_one();
        if turn == Turn::Suspend {
            out(shared, Cut::Person(person.clone())).await;
        }
    }
    Ok(PersonChange { dry_run, ..change })
}

/// Whoever is suspended, the facility's admins and the secretariat hear of it (M-16).
async fn alarm(
    conn: &mut Conn,
    config: &Config,
    now: i64,
    operator: &Operator,
    (name, facilities, everywhere): (String, &[FacilityId], bool),
) -> Result<(), Fault> {
    let alarm = Alarm::Person { name, everywhere };
    alarms::tell(conn, config, now, alarms::Told { alarm: &alarm, facilities, by: &operator.name }).await
}

async fn turn_person_in(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    person: &PersonId,
    turn: Turn,
) -> Result<(PersonChange, Option<i64>), Fault> {
    let members = of_person(conn, person).await?;
    let first = members.first().ok_or_else(|| PeopleMessage::PersonUnknown.about(person.as_str()))?;
    if turn == Turn::Suspend && members.iter().any(|member| member.role == Role::Secretariat) {
        others_at_the_desk(conn, person).await?;
    }
    let next = turned(first.account, turn).map_err(not_now)?;
    let state = next.unwrap_or(first.account).as_str().to_owned();
    let (name, login) = (first.name.clone(), first.login.clone());
    let changed = next.is_some();
    let change = PersonChange { person: person.clone(), name, login, state, changed, dry_run: false };
    let Some(next) = next else { return Ok((change, None)) };
    let grants = bump_grants(conn).await?;
    sqlx::query("UPDATE person SET state = $2 WHERE person = $1")
        .bind(person.as_str())
        .bind(next.as_str())
        .execute(&mut *conn)
        .await?;
    // The feed tells of memberships: each of them reads differently now.
    sqlx::query("UPDATE membership SET grants_version = $2 WHERE person = $1")
        .bind(person.as_str())
        .bind(grants)
        .execute(&mut *conn)
        .await?;
    let action = format!("person.{}", turn.as_str());
    audit::by(conn, now, operator, &action, person.as_str(), json!({ "rule": turn.rule_id() })).await?;
    Ok((change, Some(grants)))
}

/// The last one who could lift a suspension is not suspended.
async fn others_at_the_desk(conn: &mut Conn, person: &PersonId) -> Result<(), Fault> {
    let others: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM membership m JOIN person p ON p.person = m.person
         WHERE m.role = $1 AND m.state = 'active' AND p.state = 'active' AND m.person <> $2",
    )
    .bind(Role::Secretariat.as_str())
    .bind(person.as_str())
    .fetch_one(conn)
    .await?;
    if others == 0 { Err(PeopleMessage::LastOperator.into()) } else { Ok(()) }
}

/// A facility's admin for one of its users: only when nobody else's doors open with the same password.
pub async fn password_of_member(
    shared: &Shared,
    operator: &Operator,
    member: &Member,
) -> Result<FirstPassword, Fault> {
    if !matches!(member.role, Role::Staff | Role::Family) {
        return Err(PeopleMessage::PersonAdmin.into());
    }
    let mut conn = shared.store.pool().acquire().await?;
    let elsewhere = of_person(&mut conn, &member.person)
        .await?
        .iter()
        .any(|other| other.facility != member.facility && other.state != Standing::Ended);
    drop(conn);
    if elsewhere {
        return Err(PeopleMessage::PersonElsewhere.into());
    }
    if member.state != Standing::Active {
        return Err(not_now(NotNow(member.state)));
    }
    new_password(shared, operator, &member.person, false).await
}

/// A new first password (B-13, B-16): shown once, changed at the first sign-in, and everybody who was in is out.
pub async fn new_password(
    shared: &Shared,
    operator: &Operator,
    person: &PersonId,
    dry_run: bool,
) -> Result<FirstPassword, Fault> {
    let now = world::now_ms();
    let members = of_person(&mut *shared.store.pool().acquire().await?, person).await?;
    let first = members.first().ok_or_else(|| PeopleMessage::PersonUnknown.about(person.as_str()))?;
    if first.account != Standing::Active {
        return Err(not_now(NotNow(first.account)));
    }
    let (name, login) = (first.name.clone(), first.login.clone());
    if dry_run {
        return Ok(FirstPassword { person: person.clone(), name, login, password: None });
    }
    let password: Zeroizing<String> = accounts::first_password(&login)?;
    let hash = shared.hasher.hash(password.clone()).await?;
    transaction!(shared.store, conn => {
        accounts::set_password(conn, person.as_str(), &hash, true).await?;
        audit::by(conn, now, operator, "person.password", person.as_str(), json!({ "rule": "B-13" })).await?;
        Ok::<_, Fault>(())
    })?;
    out(shared, Cut::Person(person.clone())).await;
    Ok(FirstPassword { person: person.clone(), name, login, password: Some(password.to_string()) })
}

/// Whoever is in is out; a neighbour that hangs is told by the feed.
pub(crate) async fn out(shared: &Shared, cut: Cut) {
    match tokio::time::timeout(ANSWER_WAIT, shared.end_live(cut)).await {
        Ok(unmet) => {
            for unmet in unmet {
                log::warn!("live connections of a person end by the feed: {unmet}");
            }
        }
        Err(_) => log::warn!("the gateway did not answer a cut of a person in time; the feed tells it"),
    }
}

fn not_now(NotNow(standing): NotNow) -> Fault {
    PeopleMessage::PersonNotNow.about(standing.words_ja()).into()
}
