//! Every arrow of the process table as a line inside one process: laid before any room stands, so that
//! rooms which need one another can start in any order.
//! `lay` gives the askers' ends and the answerers' ends; a line ends with either.

use std::time::Duration;

use gateway::door::{CutAnswer, CutQuestion, GatewayAnswer, GatewayQuestion};
use pki::door::{
    IssuingAnswer, IssuingQuestion, PkiAnswer, PkiQuestion, PublishedAnswer, PublishedQuestion,
    RevocationsAnswer, RevocationsQuestion,
};
use provisioning::door::{Operator, ProvisioningAnswer, ProvisioningQuestion};
use sns::door::{KeysAnswer, KeysQuestion, SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};
use tokio::task::JoinSet;
use vpn::door::{MirrorAnswer, MirrorQuestion, SeatsAnswer, SeatsQuestion};
use vpn::firewall::{Firewall, MirrorDoor};

use crate::adapters::accounts::{AccountsAnswer, AccountsQuestion, told_change, told_check};
use crate::adapters::cuts::{WhyAnswer, WhyQuestion};
use crate::adapters::grants::{GrantsAnswer, GrantsQuestion, told};
use crate::adapters::passkeys;
use crate::wire::http::{self, CONNECTIONS_MAX, HttpEnd, HttpLine};
use crate::wire::line::{Line, LineEnd, channel};

/// Longer than the longest wait of a feed (10 s), so that silence is a fault and not a long poll.
pub const FEED_LIMIT: Duration = Duration::from_secs(20);
/// An act that ends on the disk, or at the firewall.
pub const ACT_LIMIT: Duration = Duration::from_secs(30);
/// Many sign-ins at once wait for one another: Argon2 is meant to be slow.
pub const ACCOUNT_LIMIT: Duration = Duration::from_secs(30);
/// A whole 様式1 with its certificates and bundles.
pub const OPERATOR_LIMIT: Duration = Duration::from_secs(300);
/// A place among the connections to a room behind the gateway.
pub const STREAM_LIMIT: Duration = Duration::from_secs(10);
/// Questions answered at once per line: the feeds' long polls and the workers together.
pub const AT_ONCE: usize = 64;

type Both<Q, A> = (Line<Q, A>, LineEnd<Q, A>);
pub type OfficeQuestion = (Operator, ProvisioningQuestion);

/// The askers' ends.
#[derive(Clone)]
pub struct Askers {
    pub seats: Line<SeatsQuestion, SeatsAnswer>,
    pub issuing: Line<IssuingQuestion, IssuingAnswer>,
    pub revocations: Line<RevocationsQuestion, RevocationsAnswer>,
    pub published: Line<PublishedQuestion, PublishedAnswer>,
    pub teams: Line<TeamsQuestion, TeamsAnswer>,
    pub keys: Line<KeysQuestion, KeysAnswer>,
    pub cuts: Line<CutQuestion, CutAnswer>,
    pub why: Line<WhyQuestion, WhyAnswer>,
    pub grants: Line<GrantsQuestion, GrantsAnswer>,
    pub accounts: Line<AccountsQuestion, AccountsAnswer>,
    pub sns_http: HttpLine,
    pub office_http: HttpLine,
    pub vpn: Line<SeatsQuestion, SeatsAnswer>,
    pub pki: Line<PkiQuestion, PkiAnswer>,
    pub gateway: Line<GatewayQuestion, GatewayAnswer>,
    pub sns: Line<SnsQuestion, SnsAnswer>,
    pub office: Line<OfficeQuestion, ProvisioningAnswer>,
}

/// The answerers' ends.
pub struct Ends {
    pub vpn: VpnEnds,
    pub pki: PkiEnds,
    pub sns: SnsEnds,
    pub gateway: GatewayEnds,
    pub office: OfficeEnds,
}

pub struct VpnEnds {
    pub seats: LineEnd<SeatsQuestion, SeatsAnswer>,
    pub operator: LineEnd<SeatsQuestion, SeatsAnswer>,
}

pub struct PkiEnds {
    pub issuing: LineEnd<IssuingQuestion, IssuingAnswer>,
    pub revocations: LineEnd<RevocationsQuestion, RevocationsAnswer>,
    pub published: LineEnd<PublishedQuestion, PublishedAnswer>,
    pub operator: LineEnd<PkiQuestion, PkiAnswer>,
}

pub struct SnsEnds {
    pub teams: LineEnd<TeamsQuestion, TeamsAnswer>,
    /// Nobody asks yet: what provisioning seals of a patient comes with the case scans.
    pub keys: LineEnd<KeysQuestion, KeysAnswer>,
    pub http: HttpEnd,
    pub operator: LineEnd<SnsQuestion, SnsAnswer>,
}

pub struct GatewayEnds {
    pub cuts: LineEnd<CutQuestion, CutAnswer>,
    pub why: LineEnd<WhyQuestion, WhyAnswer>,
    pub operator: LineEnd<GatewayQuestion, GatewayAnswer>,
}

pub struct OfficeEnds {
    pub grants: LineEnd<GrantsQuestion, GrantsAnswer>,
    pub accounts: LineEnd<AccountsQuestion, AccountsAnswer>,
    pub http: HttpEnd,
    pub operator: LineEnd<OfficeQuestion, ProvisioningAnswer>,
}

/// All of them inside one process.
pub fn lay() -> (Askers, Ends) {
    let (seats, seats_end): Both<_, _> = channel("vpn", ACT_LIMIT);
    let (vpn, vpn_end): Both<_, _> = channel("vpn", ACT_LIMIT);
    let (issuing, issuing_end): Both<_, _> = channel("pki", ACT_LIMIT);
    let (revocations, revocations_end): Both<_, _> = channel("pki", FEED_LIMIT);
    let (published, published_end): Both<_, _> = channel("pki", ACT_LIMIT);
    let (pki, pki_end): Both<_, _> = channel("pki", OPERATOR_LIMIT);
    let (teams, teams_end): Both<_, _> = channel("sns", ACT_LIMIT);
    let (keys, keys_end): Both<_, _> = channel("sns", ACT_LIMIT);
    let (sns, sns_end): Both<_, _> = channel("sns", OPERATOR_LIMIT);
    let (cuts, cuts_end): Both<_, _> = channel("gateway", ACT_LIMIT);
    let (why, why_end): Both<_, _> = channel("gateway", ACT_LIMIT);
    let (gateway, gateway_end): Both<_, _> = channel("gateway", ACT_LIMIT);
    let (grants, grants_end): Both<_, _> = channel("provisioning", FEED_LIMIT);
    let (accounts, accounts_end): Both<_, _> = channel("provisioning", ACCOUNT_LIMIT);
    let (office, office_end): Both<_, _> = channel("provisioning", OPERATOR_LIMIT);
    let (sns_http, sns_http_end) = http::channel("sns", CONNECTIONS_MAX, STREAM_LIMIT);
    let (office_http, office_http_end) = http::channel("provisioning", CONNECTIONS_MAX, STREAM_LIMIT);
    let askers = Askers {
        seats,
        issuing,
        revocations,
        published,
        teams,
        keys,
        cuts,
        why,
        grants,
        accounts,
        sns_http,
        office_http,
        vpn,
        pki,
        gateway,
        sns,
        office,
    };
    let ends = Ends {
        vpn: VpnEnds { seats: seats_end, operator: vpn_end },
        pki: PkiEnds {
            issuing: issuing_end,
            revocations: revocations_end,
            published: published_end,
            operator: pki_end,
        },
        sns: SnsEnds { teams: teams_end, keys: keys_end, http: sns_http_end, operator: sns_end },
        gateway: GatewayEnds { cuts: cuts_end, why: why_end, operator: gateway_end },
        office: OfficeEnds {
            grants: grants_end,
            accounts: accounts_end,
            http: office_http_end,
            operator: office_end,
        },
    };
    (askers, ends)
}

/// Answers at one end with a method of a room.
macro_rules! answer {
    ($tasks:ident, $end:expr, $room:ident, |$question:pat_param| $answer:expr) => {{
        let room = $room.clone();
        $tasks.spawn($end.serve(AT_ONCE, move |question| {
            let $room = room.clone();
            async move {
                let $question = question;
                $answer
            }
        }));
    }};
}

pub fn serve_firewall(
    end: LineEnd<MirrorQuestion, MirrorAnswer>,
    firewall: &Firewall,
    tasks: &mut JoinSet<()>,
) {
    answer!(tasks, end, firewall, |question| {
        let asked = MirrorDoor::ask(&firewall, question).await;
        asked.unwrap_or_else(|closed| MirrorAnswer::Failed { why: closed.to_string() })
    });
}

pub fn serve_vpn(ends: VpnEnds, room: &vpn::Room, tasks: &mut JoinSet<()>) {
    answer!(tasks, ends.seats, room, |question| room.answer(question).await);
    answer!(tasks, ends.operator, room, |question| room.answer(question).await);
}

pub fn serve_pki(ends: PkiEnds, room: &pki::Room, tasks: &mut JoinSet<()>) {
    answer!(tasks, ends.issuing, room, |question| room.issuing(question).await);
    answer!(tasks, ends.revocations, room, |question| room.revocations(question).await);
    answer!(tasks, ends.published, room, |question| room.published(question).await);
    answer!(tasks, ends.operator, room, |question| room.operator(question).await);
}

pub fn serve_sns(ends: SnsEnds, room: &sns::Room, tasks: &mut JoinSet<()>) {
    answer!(tasks, ends.teams, room, |question| room.teams(question).await);
    answer!(tasks, ends.keys, room, |question| room.keys(question).await);
    answer!(tasks, ends.operator, room, |question| room.operator(question).await);
    tasks.spawn(ends.http.serve(room.router()));
}

pub fn serve_gateway(ends: GatewayEnds, room: &gateway::Room, tasks: &mut JoinSet<()>) {
    answer!(tasks, ends.cuts, room, |question| room.cut(question).await);
    answer!(tasks, ends.why, room, |question| why(&room, question).await);
    answer!(tasks, ends.operator, room, |question| room.operator(question).await);
}

pub fn serve_office(ends: OfficeEnds, room: &provisioning::Room, tasks: &mut JoinSet<()>) {
    answer!(tasks, ends.grants, room, |question| grants(&room, question).await);
    answer!(tasks, ends.accounts, room, |question| account(&room, question).await);
    answer!(tasks, ends.operator, room, |(operator, question)| room.operator(question, operator).await);
    tasks.spawn(ends.http.serve(room.router()));
}

async fn why(room: &gateway::Room, question: WhyQuestion) -> WhyAnswer {
    match room.operator(GatewayQuestion::Why { slot: question.slot }).await {
        GatewayAnswer::Why(refusals) => WhyAnswer(refusals),
        _ => WhyAnswer(Vec::new()),
    }
}

async fn grants(room: &provisioning::Room, question: GrantsQuestion) -> GrantsAnswer {
    match room.grants(question.after, question.wait_ms).await {
        Ok(changes) => GrantsAnswer::Changes(told(changes)),
        Err(error) => GrantsAnswer::Failed { why: error.to_string() },
    }
}

async fn account(room: &provisioning::Room, question: AccountsQuestion) -> AccountsAnswer {
    let answer = match question {
        AccountsQuestion::Check { login, password } => room
            .check_account(&login, password.expose())
            .await
            .map(|check| AccountsAnswer::Checked(told_check(check))),
        AccountsQuestion::Change { person, old, new } => room
            .change_password(&person, old.expose(), new.expose())
            .await
            .map(|change| AccountsAnswer::Changed(told_change(change))),
        AccountsQuestion::Passkey(question) => {
            passkeys::answer(room, question).await.map(AccountsAnswer::Passkey)
        }
    };
    answer.unwrap_or_else(|error| AccountsAnswer::Failed { why: error.to_string() })
}
