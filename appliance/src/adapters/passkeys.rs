//! gateway → provisioning: what the accounts' door is asked about passkeys, in the office's words and back.

use gateway::need::passkey::{Asked, Kept, Offer, Passkey, PasskeyAnswer, PasskeyQuestion, Proof};
use provisioning::fault::Fault;
use provisioning::passkeys as office;

use crate::adapters::accounts::told_check;

pub async fn answer(room: &provisioning::Room, question: PasskeyQuestion) -> Result<PasskeyAnswer, Fault> {
    match question {
        PasskeyQuestion::Offer { person, password, rp } => {
            room.offer_passkey(&person, password.expose(), &rp).await.map(told_offer)
        }
        PasskeyQuestion::Keep { person, label, asked, client_data, attestation } => {
            let proof = office::NewProof { client_data, attestation };
            room.keep_passkey(&person, &label, &question_of(asked), &proof).await.map(told_kept)
        }
        PasskeyQuestion::List { person } => {
            let held = room.passkeys(&person).await?;
            Ok(PasskeyAnswer::Listed(held.into_iter().map(told_passkey).collect()))
        }
        PasskeyQuestion::Remove { person, credential } => {
            room.remove_passkey(&person, &credential).await.map(PasskeyAnswer::Removed)
        }
        PasskeyQuestion::Check { asked, proof } => {
            let check = room.check_passkey(&question_of(asked), &proof_of(proof)).await?;
            Ok(PasskeyAnswer::Checked(told_check(check)))
        }
    }
}

fn question_of(Asked { challenge, origin, rp }: Asked) -> office::Question {
    office::Question { challenge, origin, rp }
}

fn proof_of(proof: Proof) -> office::Proof {
    let Proof { credential, person, client_data, authenticator_data, signature } = proof;
    office::Proof { credential, person, client_data, authenticator_data, signature }
}

fn told_offer(offer: office::Offer) -> PasskeyAnswer {
    PasskeyAnswer::Offered(match offer {
        office::Offer::Yours { login, name, held } => Offer::Yours { login, name, held },
        office::Offer::Wrong => Offer::Wrong,
        office::Offer::Paused { seconds } => Offer::Paused { seconds },
        office::Offer::Full => Offer::Full,
    })
}

fn told_kept(kept: office::Kept) -> PasskeyAnswer {
    PasskeyAnswer::Kept(match kept {
        office::Kept::Kept => Kept::Kept,
        office::Kept::Refused => Kept::Refused,
        office::Kept::Full => Kept::Full,
    })
}

fn told_passkey(one: office::Passkey) -> Passkey {
    let office::Passkey { credential, rp, label, made_at, used_at } = one;
    Passkey { credential, rp, label, made_ms: made_at, used_ms: used_at }
}
