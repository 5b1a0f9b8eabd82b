//! One person's page: 利用停止, 再開, 異動, 退職 and a new first password, each asked once more before it is done.
//! A facility's admin acts on the membership, the secretariat on the account. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use pki::identity::{MembershipId, Role};
use serde::Deserialize;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, html, html_as, see_other};
use crate::shared::Shared;
use crate::standing::{Standing, Turn};
use crate::standing_work::{self, Member};
use crate::telephone;
use crate::views::{self, Frame, Notice};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/people/{membership}", get(person))
        .route("/people/{membership}/suspend", post(suspend))
        .route("/people/{membership}/resume", post(resume))
        .route("/people/{membership}/end", post(end))
        .route("/people/{membership}/leave", post(leave))
        .route("/people/{membership}/password", post(password))
}

/// A button of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Turn(Turn),
    Password,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Asked {
    ask: String,
}

#[derive(Template)]
#[template(path = "person_show.html")]
struct PersonPage {
    frame: Frame,
    member: Member,
    state: &'static str,
    /// The secretariat acts on the whole account.
    whole: bool,
    elsewhere_stopped: bool,
    acts: Vec<Act>,
    asked: Option<Act>,
    back: String,
    back_to: &'static str,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "person_password.html")]
struct PasswordPage {
    frame: Frame,
    name: String,
    login: String,
    password: String,
    membership: MembershipId,
}

impl Act {
    const ALL: [Act; 5] = [
        Act::Password,
        Act::Turn(Turn::Suspend),
        Act::Turn(Turn::Resume),
        Act::Turn(Turn::End),
        Act::Turn(Turn::Leave),
    ];

    fn word(self) -> &'static str {
        match self {
            Act::Turn(turn) => turn.as_str(),
            Act::Password => "password",
        }
    }

    fn action(self) -> Action {
        match self {
            Act::Turn(Turn::Suspend) => Action::SuspendPerson,
            Act::Turn(Turn::Resume) => Action::ResumePerson,
            Act::Turn(Turn::End | Turn::Leave) => Action::EndPerson,
            Act::Password => Action::RenewPassword,
        }
    }

    fn title_ja(self) -> &'static str {
        match self {
            Act::Turn(Turn::Suspend) => "一時停止",
            Act::Turn(Turn::Resume) => "再開",
            Act::Turn(Turn::End) => "異動（ほかの事業所へ）",
            Act::Turn(Turn::Leave) => "退職",
            Act::Password => "パスワードを忘れた",
        }
    }

    fn button_ja(self) -> &'static str {
        match self {
            Act::Turn(Turn::Suspend) => "一時停止する",
            Act::Turn(Turn::Resume) => "再開する",
            Act::Turn(Turn::End) => "異動として登録をはずす",
            Act::Turn(Turn::Leave) => "退職として登録をはずす",
            Act::Password => "はじめのパスワードを出し直す",
        }
    }

    fn warning_ja(self, whole: &bool) -> &'static str {
        match (self, whole) {
            (Act::Turn(Turn::Suspend), false) => {
                "この事業所での利用がすぐに止まり、開いている画面も閉じます。あとで再開できます。端末をなくしたときは「端末」から紛失を届けてください。"
            }
            (Act::Turn(Turn::Suspend), true) => {
                "どの事業所でもログインできなくなり、開いている画面もすぐに閉じます。本人の同意は要りません。あとで再開できます。"
            }
            (Act::Turn(Turn::Resume), _) => "もとのとおり、ログインできるようになります。",
            (Act::Turn(Turn::End), _) => {
                "この事業所では使えなくなり、患者のチームから外れます。書いた投稿は、氏名・職種とともに残ります。ログインIDは残るので、次の事業所の管理者が同じIDで登録できます。使っていた端末は「端末」から利用停止にしてください。"
            }
            (Act::Turn(Turn::Leave), _) => {
                "この事業所では使えなくなり、患者のチームから外れます。書いた投稿は、氏名・職種とともに残ります。ほかの事業所でも使っていない人のメールアドレスとパスワードは、7日後に消えます。使っていた端末は「端末」から利用停止にしてください。"
            }
            (Act::Password, _) => {
                "いまのパスワードは使えなくなり、開いている画面も閉じます。新しいはじめのパスワードは、次の画面に一度だけ出ます。"
            }
        }
    }

    fn is_bad(self) -> bool {
        matches!(self, Act::Turn(Turn::Suspend | Turn::End | Turn::Leave))
    }

    /// Would it change anything for this member?
    fn fits(self, state: Standing, role: Role, whole: bool) -> bool {
        if !whole && !matches!(role, Role::Staff | Role::Family) {
            return false;
        }
        match self {
            Act::Turn(Turn::Suspend) | Act::Password => state == Standing::Active,
            Act::Turn(Turn::Resume) => state == Standing::Suspended,
            Act::Turn(Turn::End | Turn::Leave) => !whole && state != Standing::Ended,
        }
    }
}

/// Everything of the secretariat, what is one's own of an admin; anything else is nobody's.
async fn known(shared: &Shared, caller: &Caller, id: &str, action: Action) -> Result<Member, Fault> {
    let role = caller.identity.role;
    let object = match role {
        Role::Secretariat => Object::Association,
        Role::FacilityAdmin | Role::Staff | Role::Family => {
            Object::Facility(caller.identity.facility.clone())
        }
    };
    permit(caller, action, &object)?;
    let membership: MembershipId = id.parse().map_err(|_| PeopleMessage::MemberUnknown)?;
    let member = standing_work::find(&mut *shared.store.pool().acquire().await?, &membership).await?;
    if role != Role::Secretariat && member.facility != caller.identity.facility {
        return Err(PeopleMessage::MemberUnknown.into());
    }
    Ok(member)
}

async fn person(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let page = async {
        let member = known(&shared, &caller, &id, Action::SeePerson).await?;
        page_of(&shared, &caller, member, &asked.ask, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn page_of(
    shared: &Shared,
    caller: &Caller,
    member: Member,
    ask: &str,
    notice: Option<Notice>,
) -> Result<PersonPage, Fault> {
    let whole = caller.identity.role == Role::Secretariat;
    let standing = if whole { member.account } else { member.state };
    let acts: Vec<Act> = Act::ALL
        .into_iter()
        .filter(|act| act.fits(standing, member.role, whole))
        // Nobody signs in with a new password while the account is stopped.
        .filter(|act| *act != Act::Password || member.account == Standing::Active)
        .collect();
    let (here, back, back_to) = if whole {
        ("/search", format!("/facilities/{}/telephone", member.facility), "電話の画面")
    } else {
        ("/people", "/people".to_owned(), "利用者")
    };
    Ok(PersonPage {
        frame: frame(shared, caller, here).await?,
        asked: acts.iter().copied().find(|act| act.word() == ask),
        elsewhere_stopped: !whole && member.account == Standing::Suspended,
        state: if whole { member.account.as_str() } else { member.shown() },
        acts,
        whole,
        back,
        back_to,
        notice,
        member,
    })
}

async fn suspend(room: Room, caller: Caller, path: Path<String>) -> Response {
    turn(room, caller, path, Turn::Suspend).await
}

async fn resume(room: Room, caller: Caller, path: Path<String>) -> Response {
    turn(room, caller, path, Turn::Resume).await
}

async fn end(room: Room, caller: Caller, path: Path<String>) -> Response {
    turn(room, caller, path, Turn::End).await
}

async fn leave(room: Room, caller: Caller, path: Path<String>) -> Response {
    turn(room, caller, path, Turn::Leave).await
}

async fn turn(State(shared): Room, caller: Caller, Path(id): Path<String>, turn: Turn) -> Response {
    let member = match known(&shared, &caller, &id, Act::Turn(turn).action()).await {
        Ok(member) => member,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match turned(&shared, &caller, &member, turn).await {
        Ok(()) => see_other(&format!("/people/{}", member.membership)),
        Err(fault) => again(&shared, &caller, member, fault).await,
    }
}

async fn turned(shared: &Shared, caller: &Caller, member: &Member, turn: Turn) -> Result<(), Fault> {
    let operator = operator(caller)?;
    if caller.identity.role != Role::Secretariat {
        return standing_work::turn_membership(shared, &operator, &member.membership, turn).await;
    }
    // Stopping waits for nobody (H-12); opening again waits for the call back like everything at the desk (P-16).
    if turn == Turn::Resume {
        telephone::needs_call(shared, &member.facility).await?;
    }
    standing_work::turn_person(shared, &operator, &member.person, turn, false).await.map(|_| ())
}

async fn password(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let member = match known(&shared, &caller, &id, Action::RenewPassword).await {
        Ok(member) => member,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match renewed(&shared, &caller, &member).await {
        Ok(page) => html(page.render(), caller.trace),
        Err(fault) => again(&shared, &caller, member, fault).await,
    }
}

async fn renewed(shared: &Shared, caller: &Caller, member: &Member) -> Result<PasswordPage, Fault> {
    let operator = operator(caller)?;
    let made = if caller.identity.role == Role::Secretariat {
        telephone::needs_call(shared, &member.facility).await?;
        standing_work::new_password(shared, &operator, &member.person, false).await?
    } else {
        standing_work::password_of_member(shared, &operator, member).await?
    };
    Ok(PasswordPage {
        frame: frame(shared, caller, "/people").await?,
        name: made.name,
        login: made.login,
        password: made.password.unwrap_or_default(),
        membership: member.membership.clone(),
    })
}

/// The person's page, with what went wrong above it.
async fn again(shared: &Shared, caller: &Caller, member: Member, fault: Fault) -> Response {
    if !caller.page {
        return refuse(shared, caller, fault).await;
    }
    let (status, notice) = notice(fault);
    match page_of(shared, caller, member, "", Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}
