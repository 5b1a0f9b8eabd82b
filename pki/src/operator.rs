//! The operator's questions to the authority. An edge file: SQL. Looking changes nothing; each act stands
//! in the log under the operator's name before it is done.

use vpn::slot::SlotNumber;

use crate::authority::{Authority, Wish};
use crate::chain::Hash;
use crate::door::{
    CERTIFICATES_MAX, Certified, IssuingRefusal, LINES_MAX, OperatorWish, PkiAct, PkiAnswer, PkiQuestion,
    Revoke, WISHES_MAX,
};
use crate::holders::Sharing;
use crate::ledger::LedgerError;
use crate::succession::Succession;

pub async fn look(authority: &Authority, question: PkiQuestion, now: i64) -> Result<PkiAnswer, LedgerError> {
    let ledger = authority.ledger();
    Ok(match question {
        PkiQuestion::List { slot } => PkiAnswer::Certificates(ledger.rows(slot, now).await?),
        PkiQuestion::Show { serial } => match ledger.row(&serial, now).await? {
            Some(row) => {
                PkiAnswer::Certificate { row: Box::new(row), der: ledger.certificate(&serial).await? }
            }
            None => PkiAnswer::NotFound,
        },
        PkiQuestion::Checkpoint => {
            authority.checkpoint().map_or(PkiAnswer::NotFound, |note| PkiAnswer::Text(note.to_string()))
        }
        PkiQuestion::Proof { serial } => {
            let proof = authority.proof_of(&serial).await?;
            proof.map_or(PkiAnswer::NotFound, |proof| PkiAnswer::Text(proof.text()))
        }
        PkiQuestion::Proofs { serials } => {
            let serials = &serials[..serials.len().min(WISHES_MAX)];
            let proofs = authority.proofs_of(serials).await?.into_iter();
            PkiAnswer::Proofs(proofs.map(|proof| proof.map(|proof| proof.text())).collect())
        }
        PkiQuestion::Lines { from } => PkiAnswer::Lines(ledger.bodies(from, i64::from(LINES_MAX)).await?),
        PkiQuestion::Certificates { from } => {
            PkiAnswer::Bodies(ledger.certificates(from, CERTIFICATES_MAX).await?)
        }
        PkiQuestion::RevocationList { shard } => {
            authority.list(shard).map_or(PkiAnswer::NotFound, PkiAnswer::Bytes)
        }
        PkiQuestion::Ocsp { serial } => {
            authority.answers().of(&serial).map_or(PkiAnswer::NotFound, |der| PkiAnswer::Bytes(der.to_vec()))
        }
        // The room answers these itself.
        PkiQuestion::Status | PkiQuestion::VerifyLedger | PkiQuestion::Act { .. } => PkiAnswer::NotFound,
    })
}

pub async fn act(
    authority: &Authority,
    succession: &Succession,
    by: &str,
    act: PkiAct,
    now: i64,
) -> PkiAnswer {
    if let Err(refusal) = authority.note(by, &said(&act), now).await {
        return PkiAnswer::Refused(refusal);
    }
    match act {
        PkiAct::Issue { wishes } => issue(authority, &wishes, now).await,
        PkiAct::Revoke { what, reason } => match authority.revoke(what, reason, now).await {
            Ok((serials, snapshot)) => PkiAnswer::Revoked { serials, snapshot },
            Err(refusal) => PkiAnswer::Refused(refusal),
        },
        PkiAct::Renew => {
            authority.renew_lists(now).await;
            authority.renew_answers(now).await;
            PkiAnswer::Renewed
        }
        PkiAct::RenewGateway { certificate } => {
            certified(succession.gateway(authority, &certificate, now).await)
        }
        PkiAct::TakeUp { certificate } => certified(succession.take_up(authority, &certificate, now).await),
    }
}

fn certified(certified: Result<Certified, IssuingRefusal>) -> PkiAnswer {
    certified.map_or_else(PkiAnswer::Refused, PkiAnswer::Certified)
}

/// Requests that cannot be proved are refused each by itself; the others are issued together.
pub async fn issue(authority: &Authority, wishes: &[OperatorWish], now: i64) -> PkiAnswer {
    if wishes.len() > WISHES_MAX {
        let why = format!("more than {WISHES_MAX} requests at once");
        return PkiAnswer::Refused(IssuingRefusal::BadRequest { why });
    }
    let proved: Vec<Result<Wish, IssuingRefusal>> = wishes
        .iter()
        .map(|wish| {
            let sharing = if wish.shared_key { Sharing::Vouched } else { Sharing::OneSlotPerKey };
            Wish::new(wish.slot, wish.kind, &wish.request, &wish.token, sharing)
        })
        .collect();
    let good: Vec<Wish> = proved.iter().filter_map(|wish| wish.as_ref().ok().cloned()).collect();
    let mut outcomes = authority.issue_many(&good, now).await.into_iter();
    let silent = || Err(IssuingRefusal::Unavailable { why: "nothing was answered".into() });
    let answers = proved.into_iter().map(|wish| match wish {
        Ok(_) => outcomes.next().unwrap_or_else(silent),
        Err(refusal) => Err(refusal),
    });
    PkiAnswer::Issued(answers.collect())
}

/// The act as the log tells it: slots, serials and hashes, no token and no key.
fn said(act: &PkiAct) -> String {
    match act {
        PkiAct::Issue { wishes } => {
            let slots: Vec<SlotNumber> = wishes.iter().map(|wish| wish.slot).collect();
            match slots.as_slice() {
                [one] => format!("issue {one}"),
                [first, .., last] => format!("issue {} requests {first}..{last}", slots.len()),
                [] => "issue nothing".to_owned(),
            }
        }
        PkiAct::Revoke { what, reason } => {
            let what = match what {
                Revoke::Certificate(serial) => format!("serial={serial}"),
                Revoke::Slot(slot) => format!("slot={slot}"),
                Revoke::Key(key) => format!("key={}", Hash::to_string(key)),
            };
            format!("revoke {what} reason={}", reason.as_str())
        }
        PkiAct::Renew => "renew lists and answers".to_owned(),
        PkiAct::RenewGateway { certificate } => format!("renew gateway of={}", Hash::of(certificate)),
        PkiAct::TakeUp { certificate } => format!("take up ca={}", Hash::of(certificate)),
    }
}
