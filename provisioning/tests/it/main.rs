//! The room as its neighbours and operators see it: one binary, a module per concern,
//! and all of them once per engine (ruling 9).
// Helpers of tests are tests: they may end by panicking.
#![allow(clippy::unwrap_used)]
#![allow(clippy::duplicate_mod)] // the same tests on both engines

#[path = "../../../tests/support/postgres.rs"]
mod postgres_server;
mod imap_server; // a mailbox of an attacker's, or gone in the middle
mod scripts; // the claim page's scripts, which know no engine

#[path = "."]
mod sqlite {
    mod world; // a whole room in a temporary folder, its neighbours away
    mod constraints; // what the database itself refuses (G-01, G-03)
    mod intake; // 様式1 becomes cases, all or nothing
    mod acceptance; // cases become facilities, slots and letters
    mod letters; // what leaves, and what must not stay behind
    mod mail; // bundles through a mail server
    mod smime; // and their own signature (issue 7)
    mod neighbours; // the neighbours in memory: they work, fail, hang, die
    mod neighbour_sns; // one of them
    mod town; // a room among them, which can be killed and started again
    mod claim; // ruling 5 with its crashes
    mod est; // enrolment and renewal by machines (issue 5)
    mod acme; // Apple's payload over ACME (issue 5)
    mod acme_client; // the other half of ACME, and what a forger makes of it
    mod made; // keys that the server makes (issue 5)
    mod end_notices; // certificates that end (issue 5)
    mod alarms; // who is told of a stop (M-16)
    mod numbers; // the office at its size (issue 7)
    mod revocation; // ruling 7 with its crashes
    mod accounts; // signing in
    mod authenticator; // a phone's or a key's half of a passkey, and a forger's
    mod passkeys; // the second way to sign in (issue 6)
    mod console; // the office over HTTP
    mod pages; // the consoles as pages and forms
    mod second_device; // two QR codes (ruling 5)
    mod renewal; // 延長 and 再発行 (ruling 5)
    mod mended; // an address that was mistyped (D-01, E-03)
    mod fees; // what facilities pay (F)
    mod flows; // the cases of the flows (C)
    mod flow_orders; // what they do at the SNS (C, P-22, P-27)
    mod flow_pages; // the same as pages
    mod fee_pages; // fees as pages, and 口座振替
    mod bounces; // what comes back to the bounce mailbox (D-01)
    mod bounce_box; // the mailbox itself, which knows no engine (D-01)
    mod notices; // mails confirmed inside the tunnel (D-01)
    mod families; // 患者・家族事業所 (B-08, P-12)
    mod people_standing; // who is stopped, who has left, who forgot the password (B-14, B-24)
    mod leavings; // who has left is in no team, and whose data go (H-14, P-33)
    mod yearly; // 年次更新, pledges and trainings (G-08, H-17 … H-19)
    mod incidents; // 事故 with the law's two clocks (H-12, H-13)
    mod papers; // 様式2 … 様式8, printed and returned (E)
    mod scans; // and the same on paper (E-12a, E-13)
    mod scan_pages; // as a clerk sorts them
    mod ledgers; // 管理台帳, there and back (E-09)
    mod matrix; // section B over HTTP: every role, route and relation
    mod api; // the same verbs for programs, and their description
    mod telephone; // the desk while somebody is on the line (P-16)
    mod channels; // mail, two envelopes, by hand (D-00)
    mod outgoing_post; // print runs, and what comes back (D-00, P-05)
    mod takeover; // registers that were kept elsewhere (issue 7)
    mod takeover_foes; // hostile ones, and interruptions
    mod takeover_pages; // the same as pages

    const ON_SERVER: bool = false;
}

#[path = "."]
mod postgres {
    mod world; // a whole room in a temporary folder, its neighbours away
    mod constraints; // what the database itself refuses (G-01, G-03)
    mod intake; // 様式1 becomes cases, all or nothing
    mod acceptance; // cases become facilities, slots and letters
    mod letters; // what leaves, and what must not stay behind
    mod mail; // bundles through a mail server
    mod smime; // and their own signature (issue 7)
    mod neighbours; // the neighbours in memory: they work, fail, hang, die
    mod neighbour_sns; // one of them
    mod town; // a room among them, which can be killed and started again
    mod claim; // ruling 5 with its crashes
    mod est; // enrolment and renewal by machines (issue 5)
    mod acme; // Apple's payload over ACME (issue 5)
    mod acme_client; // the other half of ACME, and what a forger makes of it
    mod made; // keys that the server makes (issue 5)
    mod end_notices; // certificates that end (issue 5)
    mod alarms; // who is told of a stop (M-16)
    mod numbers; // the office at its size (issue 7)
    mod revocation; // ruling 7 with its crashes
    mod accounts; // signing in
    mod authenticator; // a phone's or a key's half of a passkey, and a forger's
    mod passkeys; // the second way to sign in (issue 6)
    mod console; // the office over HTTP
    mod pages; // the consoles as pages and forms
    mod second_device; // two QR codes (ruling 5)
    mod renewal; // 延長 and 再発行 (ruling 5)
    mod mended; // an address that was mistyped (D-01, E-03)
    mod fees; // what facilities pay (F)
    mod flows; // the cases of the flows (C)
    mod flow_orders; // what they do at the SNS (C, P-22, P-27)
    mod flow_pages; // the same as pages
    mod fee_pages; // fees as pages, and 口座振替
    mod bounces; // what comes back to the bounce mailbox (D-01)
    mod notices; // mails confirmed inside the tunnel (D-01)
    mod families; // 患者・家族事業所 (B-08, P-12)
    mod people_standing; // who is stopped, who has left, who forgot the password (B-14, B-24)
    mod leavings; // who has left is in no team, and whose data go (H-14, P-33)
    mod yearly; // 年次更新, pledges and trainings (G-08, H-17 … H-19)
    mod incidents; // 事故 with the law's two clocks (H-12, H-13)
    mod papers; // 様式2 … 様式8, printed and returned (E)
    mod scans; // and the same on paper (E-12a, E-13)
    mod scan_pages; // as a clerk sorts them
    mod ledgers; // 管理台帳, there and back (E-09)
    mod matrix; // section B over HTTP: every role, route and relation
    mod api; // the same verbs for programs, and their description
    mod telephone; // the desk while somebody is on the line (P-16)
    mod channels; // mail, two envelopes, by hand (D-00)
    mod outgoing_post; // print runs, and what comes back (D-00, P-05)
    mod takeover; // registers that were kept elsewhere (issue 7)
    mod takeover_foes; // hostile ones, and interruptions
    mod takeover_pages; // the same as pages

    const ON_SERVER: bool = true;
}
