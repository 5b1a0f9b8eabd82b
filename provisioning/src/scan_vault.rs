//! A page's key is wrapped and opened where its kind says: at the SNS's door for keys, or by the room's own two. Edge: tokio.

use std::time::Duration;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::messages::Message;
use crate::messages_scan::ScanMessage;
use crate::need::{NeedUnmet, TeamOutcome};
use crate::scan_rows::{self, Scan, Wrapped};
use crate::scan_seal::{self, KEY_LEN, NONCE, Octets, SealedBy, content_of, key_of};
use crate::shared::Shared;
use crate::world;

/// As for orders to the SNS.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// The SNS says so of an erased key.
const ERASED: &str = "MM-4003";

/// A page under a new key of its own, and that key under whose it belongs.
pub async fn sealed(
    shared: &Shared,
    scan: &str,
    by: &SealedBy,
    plain: &[u8],
) -> Result<(Wrapped, String), Fault> {
    let key: Octets = world::random::<KEY_LEN>()?;
    let content = scan_seal::seal(&key, *world::random::<NONCE>()?, &content_of(scan), plain);
    let content = content.ok_or_else(|| internal("seal"))?;
    Ok((wrapped(shared, scan, by, &key).await?, content))
}

pub async fn wrapped(shared: &Shared, scan: &str, by: &SealedBy, key: &Octets) -> Result<Wrapped, Fault> {
    let own = |wrapper: &Octets| -> Result<String, Fault> {
        let sealed = scan_seal::seal(wrapper, *world::random::<NONCE>()?, &key_of(scan), key.as_slice());
        sealed.ok_or_else(|| internal("seal"))
    };
    match by {
        SealedBy::Patient(patient) => {
            let asked = shared.needs.keys.seal(patient.clone(), key_of(scan), key.to_vec());
            let sealed = answered(tokio::time::timeout(ANSWER_WAIT, asked).await)?;
            Ok(Wrapped { kind: "patient", name: patient.to_string(), wrapped: BASE64.encode(&sealed) })
        }
        SealedBy::Office => {
            Ok(Wrapped { kind: "office", name: String::new(), wrapped: own(&shared.scans.keys.office)? })
        }
        SealedBy::Tray => {
            let tray = shared.scans.keys.tray().ok_or_else(|| internal("tray"))?;
            Ok(Wrapped { kind: "tray", name: tray.number.to_string(), wrapped: own(&tray.key)? })
        }
    }
}

fn answered<T>(
    asked: Result<Result<TeamOutcome<T>, NeedUnmet>, tokio::time::error::Elapsed>,
) -> Result<T, Fault> {
    let silent = |why: String| Fault::from(ScanMessage::ScanKey { why });
    match asked {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(refused))) if refused.code == ERASED => Err(ScanMessage::ScanErased.into()),
        Ok(Ok(Err(refused))) => Err(silent(refused.code)),
        Ok(Err(unmet)) => Err(silent(unmet.room)),
        Err(_) => Err(silent("時間切れ".to_owned())),
    }
}

/// The page's own key.
pub async fn key(shared: &Shared, scan: &Scan) -> Result<Octets, Fault> {
    let own = |wrapper: &Octets| scan_seal::open(wrapper, &key_of(&scan.scan), &scan.wrapped);
    let lost = || Fault::from(ScanMessage::ScanLost);
    let octets = match scan.key_kind.as_str() {
        "patient" => {
            let sealed = BASE64.decode(scan.wrapped.as_bytes()).map_err(|_| Fault::Row(scan.scan.clone()))?;
            let asked = shared.needs.keys.open(scan_rows::patient(scan)?, key_of(&scan.scan), sealed);
            Zeroizing::new(answered(tokio::time::timeout(ANSWER_WAIT, asked).await)?)
        }
        "office" => own(&shared.scans.keys.office).ok_or_else(lost)?,
        "tray" => {
            let number = scan.key_name.parse().unwrap_or(0);
            let key = shared.scans.keys.tray_of(number).ok_or_else(lost)?;
            own(&key.key).ok_or_else(lost)?
        }
        _ => return Err(ScanMessage::ScanGone.into()),
    };
    let key: [u8; KEY_LEN] = octets.as_slice().try_into().map_err(|_| lost())?;
    Ok(Octets::new(key))
}

/// What stands on the page.
pub async fn opened(shared: &Shared, scan: &Scan) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let key = key(shared, scan).await?;
    let mut conn = shared.store.pool().acquire().await?;
    let sealed = scan_rows::sealed(&mut conn, &scan.scan).await?.ok_or(ScanMessage::ScanGone)?;
    scan_seal::open(&key, &content_of(&scan.scan), &sealed).ok_or_else(|| ScanMessage::ScanLost.into())
}

fn internal(what: &str) -> Fault {
    Message::Internal { what: what.to_owned() }.into()
}
