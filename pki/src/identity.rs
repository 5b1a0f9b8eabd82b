//! Who someone is, as the rooms behind the gateway see it: one value, one text form, one header.
//! Owns `Identity` (a person admitted through tunnel, certificate and session) and `Visitor`
//! (an enrolling device on the claim listener). Pure values. Rulings 1 and 5.
//!
//! ```text
//! Mimamori-Identity: v1;slot=18-0042;cert=<40 hex>;person=p-…;membership=m-…;facility=f-…;role=staff
//! Mimamori-Visitor:  v1;slot=18-0042;class=enrolling
//! ```
//! The ids are issued by provisioning; they are named here because an identity is made of them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use vpn::slot::{SeatClass, SlotNumber};

use crate::serial::CertificateSerial;

/// The only header that carries an identity upstream; the gateway makes it, nobody may send it.
pub const IDENTITY_HEADER: &str = "mimamori-identity";
/// The header of a visitor on the claim listener.
pub const VISITOR_HEADER: &str = "mimamori-visitor";
/// Sixteen hex digits that join a request's lines in every log and audit trail.
pub const TRACE_HEADER: &str = "mimamori-trace";

/// Longest id we ever issue.
const ID_MAX: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("`{text}` is not an id of kind `{kind}-…` (lower-case letters and digits)")]
    Id { kind: &'static str, text: String },
    #[error("`{0}` is not a role")]
    Role(String),
    #[error("`{0}` is not a trace id (16 hex digits)")]
    Trace(String),
    #[error("the identity's text form is broken at `{0}`")]
    Form(&'static str),
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// From fresh random bytes, handed in.
            pub fn from_random(random: [u8; 10]) -> Self {
                Self(format!(concat!($kind, "-{}"), data_encoding::BASE32_NOPAD.encode(&random).to_ascii_lowercase()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdentityError;
            fn from_str(text: &str) -> Result<Self, IdentityError> {
                let body = text.strip_prefix(concat!($kind, "-")).unwrap_or("");
                let fits = !body.is_empty()
                    && text.len() <= ID_MAX
                    && body.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
                if fits {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdentityError::Id { kind: $kind, text: text.chars().take(ID_MAX).collect() })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentityError;
            fn try_from(text: String) -> Result<Self, IdentityError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": concat!("^", $kind, "-[a-z0-9]{1,38}$") })
            }
        }
    };
}

id!(
    /// A facility (施設, 事業所), the secretariat's own included.
    FacilityId, "f"
);
id!(
    /// A person's account: one per person (P-25).
    PersonId, "p"
);
id!(
    /// A person in a facility in a role; a session is one membership (P-25).
    MembershipId, "m"
);
id!(
    /// A patient (サービス利用者): one patient is one team (J-01). Never a name.
    PatientId, "t"
);

/// What a membership lets its person be. Requirements A-01, B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// SNS事務局.
    Secretariat,
    /// 施設内管理者: manages IDs and devices, reads no posts (P-02).
    FacilityAdmin,
    /// 施設内利用者（職員）.
    Staff,
    /// 患者・家族.
    Family,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Secretariat, Role::FacilityAdmin, Role::Staff, Role::Family];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Secretariat => "secretariat",
            Role::FacilityAdmin => "facility-admin",
            Role::Staff => "staff",
            Role::Family => "family",
        }
    }
}

impl FromStr for Role {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| IdentityError::Role(text.chars().take(ID_MAX).collect()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Joins the lines of one request from the tunnel to the post.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(u64);

impl TraceId {
    pub fn from_random(random: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(random))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TraceId {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let broken = || IdentityError::Trace(text.chars().take(ID_MAX).collect());
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(broken());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| broken())
    }
}

impl JsonSchema for TraceId {
    fn schema_name() -> Cow<'static, str> {
        "TraceId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
    }
}

impl TryFrom<String> for TraceId {
    type Error = IdentityError;
    fn try_from(text: String) -> Result<Self, IdentityError> {
        text.parse()
    }
}

impl From<TraceId> for String {
    fn from(trace: TraceId) -> String {
        trace.to_string()
    }
}

/// A person who came through a tunnel, with that slot's certificate, in a session of one membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub slot: SlotNumber,
    pub certificate: CertificateSerial,
    pub person: PersonId,
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub role: Role,
}

/// A device on the claim listener: known by its seat alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    pub slot: SlotNumber,
    pub class: SeatClass,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "v1;slot={};cert={};person={};membership={};facility={};role={}",
            self.slot, self.certificate, self.person, self.membership, self.facility, self.role
        )
    }
}

impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1;slot={};class={}", self.slot, self.class)
    }
}

/// Fields in one fixed order; anything else is broken.
struct Fields<'a>(std::str::Split<'a, char>);

impl<'a> Fields<'a> {
    fn open(text: &'a str) -> Result<Self, IdentityError> {
        let mut parts = text.split(';');
        if parts.next() != Some("v1") {
            return Err(IdentityError::Form("v1"));
        }
        Ok(Self(parts))
    }

    fn take<T: FromStr>(&mut self, name: &'static str) -> Result<T, IdentityError> {
        self.0
            .next()
            .and_then(|part| part.strip_prefix(name))
            .and_then(|part| part.strip_prefix('='))
            .and_then(|value| value.parse().ok())
            .ok_or(IdentityError::Form(name))
    }

    fn close(mut self) -> Result<(), IdentityError> {
        if self.0.next().is_some() { Err(IdentityError::Form("end")) } else { Ok(()) }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let mut fields = Fields::open(text)?;
        let identity = Self {
            slot: fields.take("slot")?,
            certificate: fields.take("cert")?,
            person: fields.take("person")?,
            membership: fields.take("membership")?,
            facility: fields.take("facility")?,
            role: fields.take("role")?,
        };
        fields.close()?;
        Ok(identity)
    }
}

impl FromStr for Visitor {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let mut fields = Fields::open(text)?;
        let visitor = Self { slot: fields.take("slot")?, class: fields.take("class")? };
        fields.close()?;
        Ok(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            slot: "18-0042".parse().unwrap(),
            certificate: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            person: PersonId::from_random([7; 10]),
            membership: MembershipId::from_random([8; 10]),
            facility: FacilityId::from_random([9; 10]),
            role: Role::Staff,
        }
    }

    #[test]
    fn the_text_form_reads_back() {
        let text = identity().to_string();
        assert_eq!(text.parse::<Identity>().unwrap(), identity());
        let visitor = Visitor { slot: "18-0042".parse().unwrap(), class: SeatClass::Enrolling };
        assert_eq!(visitor.to_string().parse::<Visitor>().unwrap(), visitor);
    }

    #[test]
    fn no_other_text_is_an_identity() {
        let good = identity().to_string();
        let attacks = [
            String::new(),
            good.replace("v1", "v2"),
            good.replace("role=staff", "role=root"),
            format!("{good};role=secretariat"),
            format!(" {good}"),
            format!("{good} "),
            good.replace(";role=staff", ""),
            good.replace("slot=", "Slot="),
            good.replace("person=p-", "person=m-"),
        ];
        for attack in attacks {
            assert!(attack.parse::<Identity>().is_err(), "{attack}");
        }
    }
}
