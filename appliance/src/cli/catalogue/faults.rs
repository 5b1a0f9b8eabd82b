//! Why a room does not open or start, as its errors say it to the log in English: here in both languages, with
//! what to do, for `explain`. A file for each room. Constant data; a test holds it against the rooms' sources.

mod remedies;

mod vpn;
mod pki;
mod gateway;
mod sns;
mod provisioning;

/// Code, Japanese, English, remedy in both.
pub type Fault = [&'static str; 5];

/// In the order of the codes.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    [vpn::FAULTS, pki::FAULTS, gateway::FAULTS, sns::FAULTS, provisioning::FAULTS].into_iter().flatten()
}
