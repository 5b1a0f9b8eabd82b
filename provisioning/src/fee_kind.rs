//! Which row of the price table a kind of facility is in (F-02, P-30: the kind that the secretariat accepted
//! decides). Pure.

use crate::facility::FacilityKind;
use crate::fees::FeeGroup;

pub fn group(kind: FacilityKind) -> FeeGroup {
    match kind {
        FacilityKind::Medical | FacilityKind::Dental | FacilityKind::Pharmacy => FeeGroup::Institution,
        FacilityKind::VisitingNurse
        | FacilityKind::CareManagement
        | FacilityKind::OtherCare
        | FacilityKind::SupportCentre => FeeGroup::Service,
        FacilityKind::Helper
        | FacilityKind::WelfareCommissioner
        | FacilityKind::Family
        | FacilityKind::Office => FeeGroup::Free,
    }
}
