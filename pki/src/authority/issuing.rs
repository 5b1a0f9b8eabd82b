//! Issuing, many at a time: one record and one result on disk for a whole batch (group commit), each
//! certificate checked, linted and signed by itself. Draws serials. A batch of one is the ordinary case.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use vpn::slot::SlotNumber;

use super::{Authority, unavailable};
use crate::chain::Hash;
use crate::door::{DeviceKind, IssuedCertificate, IssuingRefusal, LivingCertificate};
use crate::draft::Draft;
use crate::entry::Abandon;
use crate::holders::Sharing;
use crate::issues::{Ended, Group, Known, Plan};
use crate::ledger::{Recorded, Writing};
use crate::lifetime::{self, Renewable};
use crate::lint;
use crate::profile::Profile;
use crate::request::{self, ProvenKey};
use crate::serial::CertificateSerial;
use crate::signer::{Order, SignError, random};

/// Certificates per record: more would make the first wait for the last.
pub const BATCH_MAX: usize = 256;
/// A token is a claim's id, not a document.
const TOKEN_MAX: usize = 200;

/// One certificate wished for; its request was proved.
#[derive(Clone)]
pub struct Wish {
    slot: SlotNumber,
    kind: DeviceKind,
    key: ProvenKey,
    token: Hash,
    sharing: Sharing,
}

impl Wish {
    pub fn new(
        slot: SlotNumber,
        kind: DeviceKind,
        request: &[u8],
        token: &str,
        sharing: Sharing,
    ) -> Result<Self, IssuingRefusal> {
        if token.is_empty() || token.len() > TOKEN_MAX {
            return Err(IssuingRefusal::BadRequest { why: "the token must have 1 to 200 bytes".into() });
        }
        let key = request::prove(request)?;
        Ok(Self { slot, kind, key, token: Hash::of(token.as_bytes()), sharing })
    }
}

/// What somebody who renews gets.
pub enum Renewal {
    /// A certificate that follows his last one.
    Wish(Wish),
    /// His last one, which is good for a while yet.
    Again(IssuedCertificate),
}

pub type Outcome = Result<IssuedCertificate, IssuingRefusal>;

/// What is recorded, and not signed yet.
struct Planned {
    /// Whose it is.
    wish: usize,
    plan: Plan,
    profile: Profile,
}

impl Authority {
    /// One device certificate. The same token, slot and key give the same certificate again.
    pub async fn issue(
        &self,
        slot: SlotNumber,
        kind: DeviceKind,
        request: &[u8],
        token: &str,
        now: i64,
    ) -> Outcome {
        let wish = Wish::new(slot, kind, request, token, Sharing::OneSlotPerKey)?;
        let mut outcomes = self.issue_many(&[wish], now).await;
        outcomes.pop().unwrap_or_else(|| Err(unavailable("nothing was answered")))
    }

    /// What follows the latest certificate of the request's key in this slot. One certificate is followed by one: its
    /// serial is the token.
    pub async fn renewal(
        &self,
        slot: SlotNumber,
        request: &[u8],
        now: i64,
    ) -> Result<Renewal, IssuingRefusal> {
        let key = request::prove(request)?;
        let latest = self.ledger.latest(slot, key.key().hash()).await.map_err(unavailable)?;
        let latest = latest.ok_or(IssuingRefusal::NotRenewable)?;
        match lifetime::renewable(latest.not_before, latest.not_after, now) {
            Renewable::Early => {
                let living = LivingCertificate { serial: latest.serial, slot, not_after: latest.not_after };
                Ok(Renewal::Again(self.issued(living, latest.der, latest.entry)))
            }
            Renewable::Now => {
                let token = Hash::of(format!("renewal of {}", latest.serial).as_bytes());
                let (kind, sharing) = (latest.kind, Sharing::OneSlotPerKey);
                Ok(Renewal::Wish(Wish { slot, kind, key, token, sharing }))
            }
            Renewable::Over => Err(IssuingRefusal::NotRenewable),
        }
    }

    /// All of them, in their order; each has its own outcome.
    pub async fn issue_many(&self, wishes: &[Wish], now: i64) -> Vec<Outcome> {
        let _acting = self.acting.lock().await;
        let mut outcomes: Vec<Option<Outcome>> = wishes.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..wishes.len()).collect();
        while !left.is_empty() {
            let (batch, later) = together(wishes, &left);
            if let Err(refusal) = self.batch(wishes, &batch, &mut outcomes, now).await {
                for wish in batch {
                    outcomes[wish].get_or_insert_with(|| Err(refusal.clone()));
                }
            }
            left = later;
        }
        let silent = || Err(unavailable("nothing was answered"));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(silent)).collect()
    }

    /// Wishes that have nothing to do with one another. An error is everyone's who has no outcome yet.
    async fn batch(
        &self,
        wishes: &[Wish],
        batch: &[usize],
        outcomes: &mut [Option<Outcome>],
        now: i64,
    ) -> Result<(), IssuingRefusal> {
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        if self.unsettled.load(Ordering::Relaxed) {
            // Whoever planned it is gone: acts do not overlap.
            writing.settle(now).await.map_err(unavailable)?;
        }
        self.recall(&mut writing, wishes, batch, outcomes).await?;
        let mut planned = Vec::new();
        let open: Vec<usize> = batch.iter().copied().filter(|wish| outcomes[*wish].is_none()).collect();
        for wish in open {
            match self.plan(&wishes[wish], now) {
                Ok((plan, profile)) => planned.push((wish, plan, profile)),
                Err(refusal) => outcomes[wish] = Some(Err(refusal)),
            }
        }
        if planned.is_empty() {
            // Whatever was abandoned is settled with it, or at the next start.
            return writing.commit().await.map(drop).map_err(unavailable);
        }
        let (plans, rest): (Vec<Plan>, Vec<(usize, Profile)>) =
            planned.into_iter().map(|(wish, plan, profile)| (plan, (wish, profile))).unzip();
        self.unsettled.store(true, Ordering::Relaxed);
        self.tokens().extend(plans.iter().map(|plan| (plan.token, plan.serial)));
        let group = writing.plan(now, &plans);
        let recorded = writing.commit().await.map_err(unavailable)?.recorded;
        let planned = plans.into_iter().zip(rest);
        let planned = planned.map(|(plan, (wish, profile))| Planned { wish, plan, profile }).collect();
        self.sign(wishes, planned, (group, &recorded), outcomes, now).await
    }

    /// Tokens that were used before: their certificate again, or a refusal.
    async fn recall(
        &self,
        writing: &mut Writing,
        wishes: &[Wish],
        batch: &[usize],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(), IssuingRefusal> {
        let given: Vec<CertificateSerial> = {
            let used = self.tokens();
            batch.iter().filter_map(|wish| used.get(&wishes[*wish].token)).copied().collect()
        };
        for known in writing.given(&given).await.map_err(unavailable)? {
            let Some(wish) = batch.iter().copied().find(|wish| wishes[*wish].token == known.token) else {
                continue;
            };
            let same = known.slot == wishes[wish].slot && known.key == wishes[wish].key.key().hash();
            outcomes[wish] = Some(match known.living {
                true if same => self.again(known),
                // Revoked since, or somebody else's.
                _ => Err(IssuingRefusal::TokenReused),
            });
        }
        Ok(())
    }

    fn plan(&self, wish: &Wish, now: i64) -> Result<(Plan, Profile), IssuingRefusal> {
        let key = wish.key.key();
        let hash = key.hash();
        self.holders().admit(wish.slot, &hash, wish.sharing, now)?;
        let serial = CertificateSerial::from_random(random().map_err(unavailable)?);
        let profile = Profile::device(&self.realm, wish.slot, wish.kind, serial, now, self.ca.not_after())
            .map_err(unavailable)?;
        let plan = Plan {
            serial,
            token: wish.token,
            slot: wish.slot,
            kind: wish.kind,
            key: hash,
            not_before: profile.not_before,
            not_after: profile.not_after,
            draft: Draft::certificate(&profile, key, Some(&self.ca)).map_err(unavailable)?,
        };
        Ok((plan, profile))
    }

    /// Lints, signs, records what was signed, and lets it live.
    async fn sign(
        &self,
        wishes: &[Wish],
        planned: Vec<Planned>,
        (group, recorded): (Group, &[Recorded]),
        outcomes: &mut [Option<Outcome>],
        now: i64,
    ) -> Result<(), IssuingRefusal> {
        let (mut signed, mut living, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (planned, recorded) in planned.iter().zip(recorded) {
            let Planned { wish, plan, profile } = planned;
            match self.certificate(plan, profile, &wishes[*wish].key, recorded, signed.is_empty()) {
                Ok(der) => {
                    ends.push(Ended::Signed(der.clone()));
                    signed.push(der);
                    living.push((planned, recorded.entry()));
                }
                Err((why, refusal)) => {
                    ends.push(Ended::Abandoned(why));
                    outcomes[*wish] = Some(Err(refusal));
                }
            }
        }
        let settled = async {
            let mut writing = self.ledger.begin().await?;
            // If this fails they stay planned, and the next act or start abandons them.
            writing.ended(now, group, ends)?;
            self.committed(writing).await
        };
        let committed = settled.await.map_err(unavailable)?;
        self.unsettled.store(false, Ordering::Relaxed);
        let certificates: Vec<LivingCertificate> = living
            .iter()
            .map(|(Planned { plan, .. }, _)| LivingCertificate {
                serial: plan.serial,
                slot: plan.slot,
                not_after: plan.not_after,
            })
            .collect();
        {
            let mut holders = self.holders();
            for (Planned { plan, .. }, _) in &living {
                holders.add(plan.serial, plan.slot, plan.key, plan.not_after);
            }
        }
        if !certificates.is_empty() {
            self.snapshot.add_all(committed.head.entries, &certificates);
        }
        for (((planned, entry), der), certificate) in living.into_iter().zip(signed).zip(certificates) {
            log::info!(
                SLOT = certificate.slot.to_string().as_str(),
                SERIAL = certificate.serial.to_string().as_str();
                "certificate issued"
            );
            outcomes[planned.wish] = Some(Ok(self.issued(certificate, der, entry)));
        }
        Ok(())
    }

    /// Lint, then signature; or why there is none.
    fn certificate(
        &self,
        plan: &Plan,
        profile: &Profile,
        key: &ProvenKey,
        recorded: &Recorded,
        look: bool,
    ) -> Result<Vec<u8>, (Abandon, IssuingRefusal)> {
        let linted = lint::certificate(&plan.draft, profile, key.key(), Some(&self.ca)).map_err(|fault| {
            log::warn!(SERIAL = plan.serial.to_string().as_str(), LINT = fault.lint; "our lint refused a certificate");
            (Abandon::Lint, fault.into())
        })?;
        let sign = || -> Result<Vec<u8>, SignError> {
            let order = Order::certificate(&plan.draft, recorded, &linted)?;
            Ok(plan.draft.finished(&self.signature(&order, look)?))
        };
        sign().map_err(|error| (Abandon::Signer, unavailable(error)))
    }

    /// The certificate that the token gave before.
    fn again(&self, known: Known) -> Outcome {
        let der = known.der.ok_or_else(|| unavailable("a living certificate has no bytes"))?;
        let living = LivingCertificate { serial: known.serial, slot: known.slot, not_after: known.not_after };
        Ok(self.issued(living, der, known.entry))
    }

    fn issued(&self, living: LivingCertificate, leaf: Vec<u8>, ledger_entry: u64) -> IssuedCertificate {
        IssuedCertificate {
            serial: living.serial,
            slot: living.slot,
            chain: vec![leaf, self.ca.der().to_vec()],
            not_after: living.not_after,
            ledger_entry,
        }
    }
}

/// Those that may share a record: no token and no slot twice, no key twice unless somebody vouches for it;
/// and those that must wait.
fn together(wishes: &[Wish], left: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let (mut tokens, mut slots, mut keys) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for index in left.iter().copied() {
        let wish = &wishes[index];
        let key = wish.key.key().point();
        let free = now.len() < BATCH_MAX
            && !tokens.contains(&wish.token)
            && !slots.contains(&wish.slot)
            && (wish.sharing == Sharing::Vouched || !keys.contains(key));
        if free {
            tokens.insert(wish.token);
            slots.insert(wish.slot);
            keys.insert(*key);
            now.push(index);
        } else {
            later.push(index);
        }
    }
    (now, later)
}
