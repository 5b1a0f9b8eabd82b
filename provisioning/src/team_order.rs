//! What a step of a case does to the team around a patient, at the SNS: one order each (C-1, C-4, C-7, C-9, C-10,
//! P-22, P-27). Pure; `team_orders` keeps them and sees them done.

use pki::identity::{FacilityId, PatientId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TeamOrder {
    /// 紐づけ.
    Link { patient: PatientId, facility: FacilityId },
    /// 解除 from this team, or from every one (P-24); what was written stays (P-06).
    Unlink { patient: Option<PatientId>, facility: FacilityId },
    /// 同意撤回: everybody is out.
    Stop { patient: PatientId },
    /// 支援終了: read, not written.
    Close { patient: PatientId },
    /// The patient's key is destroyed, and with it every copy of what was written.
    Erase { patient: PatientId },
}

impl TeamOrder {
    pub fn act(&self) -> &'static str {
        match self {
            TeamOrder::Link { .. } => "link",
            TeamOrder::Unlink { .. } => "unlink",
            TeamOrder::Stop { .. } => "stop",
            TeamOrder::Close { .. } => "close",
            TeamOrder::Erase { .. } => "erase",
        }
    }

    pub fn patient(&self) -> Option<&PatientId> {
        match self {
            TeamOrder::Unlink { patient, .. } => patient.as_ref(),
            TeamOrder::Link { patient, .. }
            | TeamOrder::Stop { patient }
            | TeamOrder::Close { patient }
            | TeamOrder::Erase { patient } => Some(patient),
        }
    }

    pub fn facility(&self) -> Option<&FacilityId> {
        match self {
            TeamOrder::Link { facility, .. } | TeamOrder::Unlink { facility, .. } => Some(facility),
            TeamOrder::Stop { .. } | TeamOrder::Close { .. } | TeamOrder::Erase { .. } => None,
        }
    }

    /// `None` for what no order of ours says.
    pub fn read(act: &str, patient: Option<PatientId>, facility: Option<FacilityId>) -> Option<Self> {
        Some(match (act, patient, facility) {
            ("link", Some(patient), Some(facility)) => TeamOrder::Link { patient, facility },
            ("unlink", patient, Some(facility)) => TeamOrder::Unlink { patient, facility },
            ("stop", Some(patient), None) => TeamOrder::Stop { patient },
            ("close", Some(patient), None) => TeamOrder::Close { patient },
            ("erase", Some(patient), None) => TeamOrder::Erase { patient },
            _ => return None,
        })
    }

    /// As a clerk reads it beside its state.
    pub fn ja(&self) -> &'static str {
        match self {
            TeamOrder::Link { .. } => "患者のチームに事業所を紐づける",
            TeamOrder::Unlink { patient: Some(_), .. } => "患者のチームから事業所を外す",
            TeamOrder::Unlink { patient: None, .. } => "すべてのチームから事業所を外す",
            TeamOrder::Stop { .. } => "患者のチームから全員を外す",
            TeamOrder::Close { .. } => "チームを閲覧のみにする",
            TeamOrder::Erase { .. } => "患者の記事を消去する",
        }
    }
}

/// What the SNS's refusal means for an order: that there is nothing left to do, or that it is asked again.
pub fn is_final(code: &str) -> bool {
    // No such patient; erased.
    matches!(code, "MM-4001" | "MM-4003")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_kept_and_nothing_else_is() {
        let (patient, facility) = (PatientId::from_random([1; 10]), FacilityId::from_random([2; 10]));
        let orders = [
            TeamOrder::Link { patient: patient.clone(), facility: facility.clone() },
            TeamOrder::Unlink { patient: Some(patient.clone()), facility: facility.clone() },
            TeamOrder::Unlink { patient: None, facility: facility.clone() },
            TeamOrder::Stop { patient: patient.clone() },
            TeamOrder::Close { patient: patient.clone() },
            TeamOrder::Erase { patient: patient.clone() },
        ];
        for order in orders {
            let kept = (order.act(), order.patient().cloned(), order.facility().cloned());
            assert_eq!(TeamOrder::read(kept.0, kept.1, kept.2), Some(order));
        }
        for (act, patient, facility) in [
            ("erase", None, None),
            ("erase", Some(patient.clone()), Some(facility)),
            ("stop", None, None),
            ("link", Some(patient), None),
            ("dance", None, None),
        ] {
            assert_eq!(TeamOrder::read(act, patient, facility), None, "{act}");
        }
    }
}
