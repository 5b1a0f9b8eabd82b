//! 発送: what may be asked about the office's outgoing post, and how its connection comes to a facility. A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// D-00: how what starts a facility or a family reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// The bundle by mail, the sheet by post.
    Mail,
    /// Everything by post: the connection in one envelope, number and password in another on another day.
    TwoEnvelopes,
    /// The same two envelopes, handed over by a facility that knows the person.
    ByHand,
}

impl Channel {
    pub const ALL: [Channel; 3] = [Channel::Mail, Channel::TwoEnvelopes, Channel::ByHand];

    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Mail => "mail",
            Channel::TwoEnvelopes => "two-envelopes",
            Channel::ByHand => "by-hand",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Channel::ALL.into_iter().find(|channel| channel.as_str() == text)
    }

    /// Does nothing of it leave by mail?
    pub fn is_paper(self) -> bool {
        self != Channel::Mail
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PostQuestion {
    /// How the facility of a case gets its connection; before its acceptance, or while nothing has gone out.
    CaseDelivery { case: String, delivery: Channel, dry_run: bool },
    /// The same for a facility or a family that is registered.
    FacilityDelivery { facility: FacilityId, delivery: Channel, dry_run: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PostAnswer {
    Delivery(DeliveryChange),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryChange {
    pub facility_name: String,
    pub from: Channel,
    pub to: Channel,
    /// Letters that had not left and now go the other way.
    pub letters: u32,
    pub dry_run: bool,
}
