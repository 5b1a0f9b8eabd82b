//! The real appliance through the real tunnels, seen by people: a clerk, an admin, a doctor, a nurse at Debian's
//! Chromium in their devices' namespaces (issue 3). `SCREENS=1` keeps pictures in `target/demo/screens`.

mod bad_input;
mod flow;
mod passkey;
mod procedure;
mod town;
