//! A claim in two halves, for a device whose key never leaves its hardware: number and password on the page give a
//! one-time identifier (in the profile); the device comes back with it over ACME and gets its certificate by the second
//! half of the very claim that the page makes. Wrong identifiers count with wrong passwords. Each step is one
//! transaction, and asked for again it goes on where it stopped. Edge: SQL, randomness.

use std::net::Ipv4Addr;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use pki::chain::Hash;
use pki::identity::TraceId;
use serde_json::json;
use vpn::key::{PresharedKey, PublicKey};
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::acme::{self, Account, Event, NONCE_LEN, SECRET_LEN, Stage, VALID_MS};
use crate::acme_rows::{self, NewRow, Row};
use crate::attestation::{self, Attestation, STATEMENT_MAX};
use crate::claim;
use crate::claim_work::{self, admit, count, proceed, refuse_taken_key};
use crate::enrolments::{self, Entry, KeyMaker, Sheet, Wish, record};
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::world;

/// Longest label of a device that is kept until its claim, which cuts it for good.
const LABEL_MAX: usize = 60;
/// Longest certificate request, as for a claim: a P-256 request has 300 bytes.
const REQUEST_MAX: usize = 4 * 1024;

/// What the page puts into the profile.
pub(crate) struct Passed {
    pub identifier: Zeroizing<String>,
    pub address: Ipv4Addr,
    pub psk: PresharedKey,
    pub valid_until: i64,
    pub login: Option<String>,
    pub claims_left: u32,
}

/// The first half: as every entry of the page, and then an identifier instead of a certificate.
pub(crate) async fn pass(
    shared: &Shared,
    slot: SlotNumber,
    trace: Option<TraceId>,
    entry: Entry,
    public_key: PublicKey,
    label: &str,
) -> Result<Passed, Fault> {
    let (sheet, admin_hash) = admit(shared, slot, trace, &entry, &public_key).await?;
    let identifier = acme::identifier(&sheet.number, &*world::random::<SECRET_LEN>()?);
    let order = format!("o-{}", BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase());
    let challenge = BASE64URL_NOPAD.encode(world::random::<NONCE_LEN>()?.as_slice());
    let psk = PresharedKey::from_bytes(*world::random::<32>()?);
    let label: String = label.trim().chars().filter(|c| !c.is_control()).take(LABEL_MAX).collect();
    let secret_hash = acme::identifier_hash(&identifier);
    let now = world::now_ms();
    let valid_until = now + VALID_MS;
    let claims_left = transaction!(shared.store, conn => {
        let enrolment = enrolments::state(conn, &sheet.number).await?;
        let claims_left = enrolment.claims_left();
        // Would there be a claim at its end? Whoever may not make one learns it now, and not on the device.
        claim::step(enrolment, &claim::Event::Claim { bootstrap_from: None }, now)?;
        refuse_taken_key(conn, slot, &public_key).await?;
        acme_rows::void_earlier(conn, &sheet.number).await?;
        let new = NewRow {
            order: &order,
            number: &sheet.number,
            slot,
            secret_hash: &secret_hash,
            public_key: &public_key,
            psk: &psk,
            admin_hash: admin_hash.as_deref(),
            label: &label,
            challenge: &challenge,
            valid_until,
            now,
        };
        acme_rows::insert(conn, &new).await?;
        let detail = json!({ "order": order, "valid_until": valid_until });
        record(conn, now, trace, "acme.pass", slot, detail).await?;
        Ok::<_, Fault>(claims_left)
    })?;
    let login = claim_work::login(shared, &sheet).await?;
    let address = claim_work::final_address(shared, slot)?;
    Ok(Passed { identifier, address, psk, valid_until, login, claims_left })
}

/// newOrder: the identifier is this slot's, of its living sheet, in time, and nobody else's already.
pub(crate) async fn order(
    shared: &Shared,
    slot: SlotNumber,
    trace: Option<TraceId>,
    account: &Account,
    identifier: &str,
) -> Result<Row, Fault> {
    let sheet = sheet(shared, slot).await?.ok_or(PeopleMessage::ClaimWrong)?;
    let now = world::now_ms();
    // Paused is paused for the right one too, and locked is locked: in the page's words, before anything is looked up.
    claim::step(sheet.enrolment.clone(), &claim::Event::Entry { right: false }, now)?;
    let secret_hash = acme::identifier_hash(identifier);
    let found = {
        let mut conn = shared.store.pool().acquire().await?;
        acme_rows::by_secret(&mut conn, slot, &secret_hash).await?
    };
    if identifier.len() > acme::IDENTIFIER_MAX || found.is_none_or(|row| row.number != sheet.number) {
        count(shared, &sheet, trace, false).await?;
        return Err(PeopleMessage::ClaimWrong.into());
    }
    // Right, but not counted as a right password: an old identifier forgives nobody's guesses.
    claim::step(sheet.enrolment, &claim::Event::Entry { right: true }, now)?;
    transaction!(shared.store, conn => {
        let row = acme_rows::by_secret(conn, slot, &secret_hash).await?;
        let mut row = row.ok_or(PeopleMessage::AcmePass)?;
        let next = acme::step(&row.pass, account, Event::Ordered, now)?;
        if next != row.pass.stage {
            row.identifier = identifier.to_owned();
            advance(conn, &row, &next).await?;
            let detail = json!({ "order": row.order, "account": account.0 });
            record(conn, now, trace, "acme.order", slot, detail).await?;
            row.pass.stage = next;
        }
        Ok::<_, Fault>(row)
    })
}

/// An account's own order, whatever it is read for.
pub(crate) async fn read(
    shared: &Shared,
    slot: SlotNumber,
    account: &Account,
    order: &str,
) -> Result<Row, Fault> {
    let row = acme_rows::by_order(&mut *shared.store.pool().acquire().await?, slot, order).await?;
    let row = row.ok_or(PeopleMessage::AcmeOrder)?;
    acme::step(&row.pass, account, Event::Read, world::now_ms())?;
    Ok(row)
}

pub(crate) async fn knows(shared: &Shared, slot: SlotNumber, account: &Account) -> Result<bool, Fault> {
    acme_rows::knows(&mut *shared.store.pool().acquire().await?, slot, account).await
}

/// The challenge: what the device says of its key is kept as it came, the first time it says it.
pub(crate) async fn answer(
    shared: &Shared,
    slot: SlotNumber,
    trace: Option<TraceId>,
    account: &Account,
    order: &str,
    statement: &str,
) -> Result<Row, Fault> {
    let octets = BASE64URL_NOPAD.decode(statement.as_bytes()).unwrap_or_default();
    if octets.len() > STATEMENT_MAX || (octets.is_empty() && !statement.is_empty()) {
        return Err(PeopleMessage::AcmeForm.about("attObj").into());
    }
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        let row = acme_rows::by_order(conn, slot, order).await?;
        let mut row = row.ok_or(PeopleMessage::AcmeOrder)?;
        let next = acme::step(&row.pass, account, Event::Answered, now)?;
        if next != row.pass.stage {
            let said = attestation::read(&octets, &row.challenge, b"");
            row.attestation = statement.to_owned();
            advance(conn, &row, &next).await?;
            let detail = json!({
                "order": row.order, "attestation": said.word(), "statement": Hash::of(&octets).to_string(),
            });
            record(conn, now, trace, "acme.attest", slot, detail).await?;
            row.pass.stage = next;
        }
        Ok::<_, Fault>(row)
    })
}

/// finalize: the second half of the claim, with the device's request.
pub(crate) async fn finalize(
    shared: &Shared,
    slot: SlotNumber,
    trace: Option<TraceId>,
    account: &Account,
    order: &str,
    request: &str,
) -> Result<Row, Fault> {
    let request = BASE64URL_NOPAD.decode(request.as_bytes()).unwrap_or_default();
    if request.is_empty() || request.len() > REQUEST_MAX {
        return Err(PeopleMessage::ClaimRequest.about("base64url DER PKCS#10").into());
    }
    let row = read(shared, slot, account, order).await?;
    let next = acme::step(&row.pass, account, Event::Finalized, world::now_ms())?;
    let request_hash = Hash::of(&request).to_string();
    // One identifier, one request: two that come at the same moment are told apart before anything is signed.
    let held = next != row.pass.stage
        && transaction!(shared.store, conn => acme_rows::hold(conn, order, &request_hash).await)?;
    if !held {
        // The certificate of the same request is told again; another request is nothing that was ordered.
        let done = read(shared, slot, account, order).await?;
        return if done.answers(&request_hash) { Ok(done) } else { Err(PeopleMessage::AcmeNotReady.into()) };
    }
    let sheet = sheet(shared, slot).await?.filter(|sheet| sheet.number == row.number);
    let sheet = sheet.ok_or(PeopleMessage::ClaimVoid)?;
    let said = attested(slot, &row, &request);
    let wish = Wish {
        keys: KeyMaker::Device,
        public_key: row.public_key,
        request,
        label: row.label.clone(),
        psk: row.psk.clone(),
    };
    let claimed = match proceed(shared, &sheet, trace, &wish, row.admin_hash.clone()).await {
        Err(Fault::Refused(refusal)) if refusal.message == PeopleMessage::ClaimRequest => {
            transaction!(shared.store, conn => acme_rows::let_go(conn, order, &request_hash).await)?;
            return Err(refusal.into());
        }
        claimed => claimed?,
    };
    let chain: String = claimed.chain.iter().map(|der| pki::pem::certificate(der)).collect();
    let now = world::now_ms();
    let detail = match &said {
        Attestation::Said(said) => json!({
            "order": order, "attestation": said.format, "certificates": said.certificates,
            "of_challenge": said.of_challenge, "of_key": said.of_key,
        }),
        Attestation::None | Attestation::Unread => json!({ "order": order, "attestation": said.word() }),
    };
    let stands = transaction!(shared.store, conn => {
        let stands = acme_rows::done(conn, order, &request_hash, &chain).await?;
        if stands {
            record(conn, now, trace, "acme.finalize", slot, detail.clone()).await?;
        }
        Ok::<_, Fault>(stands)
    })?;
    // The same request at the same time has written it, or the page made another identifier meanwhile.
    let done = read(shared, slot, account, order).await?;
    if stands || done.answers(&request_hash) { Ok(done) } else { Err(PeopleMessage::AcmePass.into()) }
}

/// Those that ran out; the seats' worker calls it.
pub(crate) async fn expire(shared: &Shared) -> Result<(), Fault> {
    let now = world::now_ms();
    transaction!(shared.store, conn => acme_rows::expire(conn, now).await)
}

/// What was said of the key, now that the request is here. A statement about another key changes nothing, for one could
/// have been left out; but somebody should look.
fn attested(slot: SlotNumber, row: &Row, request: &[u8]) -> Attestation {
    let octets = BASE64URL_NOPAD.decode(row.attestation.as_bytes()).unwrap_or_default();
    let said = attestation::read(&octets, &row.challenge, request);
    if let Attestation::Said(said) = &said
        && !(said.of_key && said.of_challenge)
    {
        log::warn!(SLOT = slot.to_string().as_str(); "an attestation is about another key or another challenge");
    }
    said
}

async fn sheet(shared: &Shared, slot: SlotNumber) -> Result<Option<Sheet>, Fault> {
    enrolments::of_slot(&mut *shared.store.pool().acquire().await?, slot).await
}

/// Inside one transaction nobody comes between: a row that is not as it was read is a failure of ours.
async fn advance(conn: &mut Conn, row: &Row, next: &Stage) -> Result<(), Fault> {
    match acme_rows::advance(conn, row, next).await? {
        true => Ok(()),
        false => Err(Fault::Row(row.order.clone())),
    }
}
