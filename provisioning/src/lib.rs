//! Facilities, people, devices, cases, bundles, and the two consoles.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

pub mod need; // border
pub mod octets; // border
pub mod fees; // border
pub mod fee_bill; // border
pub mod door_trouble; // border
pub mod door_fee; // border
pub mod door_flow; // border
pub mod door_call; // border
pub mod door_bounce; // border
pub mod door_mail; // border
pub mod door_person; // border
pub mod door_receipt; // border
pub mod door_register; // border
pub mod door_incident; // border
pub mod door_report; // border
pub mod door_more; // border
pub mod door_paper; // border
pub mod door_yearly; // border
pub mod door_post; // border
pub mod door_takeover; // border
pub mod door_scan; // border
pub mod door; // border

// nouns
pub mod messages;
pub mod messages_paper;
pub mod messages_people;
pub mod messages_intake;
pub mod messages_post;
pub mod messages_scan;
pub mod jst;
pub mod facility;
pub mod login;
pub mod password;
pub mod find;
pub mod written_date;
pub mod dates;
pub mod ticket;

// an application, its case, its slots, its papers
pub mod sheet_table;
pub mod sheet_text;
pub mod sheet_csv;
pub mod sheet_xlsx;
pub mod sheet_file;
pub mod form1_column;
pub mod form1_cell;
pub mod form1; // border
pub mod template;
pub mod case;
pub mod slots;
pub mod bundle;
pub mod p12;
pub mod apple;
pub mod windows;
pub mod qr;
pub mod sheet;

// the association's flows
pub mod flow_question; // border
pub mod flow_steps; // border
pub mod team_order;
pub mod flow_forms; // border
pub mod flow; // border

// the other papers: what stands on them, as a workbook, as a page, and read back
pub mod paper_field;
pub mod paper_text;
pub mod paper_book;
pub mod paper_read;
pub mod font;
pub mod pdf;
pub mod form_code;
pub mod paper_sheet;
pub mod envelope;
pub mod label;
pub mod paper_page;
pub mod sheet_columns;

// a paper that comes back on paper: its picture, its code, where it goes
pub mod picture;
mod scan_part;
mod scan_tiff;
mod pdf_object;
mod pdf_file;
mod scan_pdf;
pub mod scan_file;
pub mod scan_code;
pub mod filing;
pub mod scan_seal;

// what it costs
pub mod fee_kind;
pub mod fee_words;
pub mod fee_paper;
pub mod post_connection;
pub mod post_sheet;
pub mod post_paper;
pub mod ledger;
pub mod zengin_text;
pub mod zengin;

// the bundle as a mail
pub mod flow_letter;
pub mod smime_key; // edge: randomness
pub mod post;
pub mod reply;
pub mod bounce;
pub mod imap_talk;
pub mod notice;
pub mod certificate_end;
pub mod alarm_letter;
pub mod letter;
pub mod dkim;
pub mod mail_doctor; // border

// what a sheet, a person and a receipt may still do
mod cbor;
pub mod passkey;
pub mod claim;
mod claim_files;
pub mod jws; // border
pub mod acme;
mod acme_words; // border
mod attestation;
pub mod decide;
pub mod api_table;
pub mod api_shape;
pub mod openapi;
pub mod standing;
pub mod more;
pub mod leaving;
pub mod training;
pub mod map;
pub mod takeover_sheet;
pub mod takeover;
pub mod takeover_known;
pub mod takeover_book;
pub mod yearly;
pub mod holidays;
pub mod channel;
pub mod incident;
pub mod receipt;

// what everything below stands on
pub mod world; // edge: clock, randomness
pub mod hashing; // edge: threads
pub mod engine; // edge: SQL, files (a file, or a PostgreSQL server)
pub mod store; // edge: SQL
pub mod look; // edge: SQL, clock (what stands at a URL)
pub mod audit; // edge: SQL
pub mod office_fault; // edge: SQL
pub mod fault; // edge: SQL
pub mod paper_font; // edge: files
pub mod scan_key; // edge: files, randomness
pub mod shared; // edge: files, tokio
mod paper_press; // edge: tokio

// the secretariat's work
pub mod slot_rows; // edge: SQL
pub mod case_rows; // edge: SQL
pub mod outbox; // edge, border: SQL, stored letters
pub mod letters; // edge: SQL
pub mod channel_work; // edge: SQL
pub mod dkim_key; // edge: files, randomness
pub mod smtp; // edge: network, clock
pub mod imap; // edge: network, clock
pub mod mailing; // edge: tokio, network, SQL
pub mod delivery; // edge: files, tokio
pub mod bounce_box; // edge: SQL, tokio, network
pub mod issue; // edge: SQL, randomness
pub mod intake; // edge: SQL, tokio
pub mod acceptance; // edge: SQL, randomness
pub mod registry; // edge: SQL
pub mod setup; // edge: SQL, randomness
pub mod fee_rows; // edge: SQL
pub mod fee_accounts; // edge: SQL
pub mod fee_office; // edge: SQL

// people and what they hold
pub mod idempotency; // edge: SQL
pub mod grants; // edge: SQL, tokio
pub mod accounts; // edge: SQL
pub mod passkeys; // edge: SQL
pub mod register; // edge: SQL
pub mod people; // edge: SQL
pub mod admin_address; // edge: SQL
pub mod patients; // edge: SQL
pub mod devices; // edge: SQL
pub mod second_device; // edge: SQL, randomness
mod more_work; // edge: SQL, randomness
pub mod end_notices; // edge: SQL, tokio
mod alarms; // edge: SQL

// claims and revocations
mod enrolments; // edge: SQL
mod claim_seat; // edge: SQL
mod claim_void; // edge: SQL, tokio
pub mod claim_work; // edge: SQL, tokio
mod acme_rows; // edge: SQL
mod acme_work; // edge: SQL, randomness
mod made; // edge: randomness, tokio
pub mod seats; // edge: SQL, tokio
pub mod renewal; // edge: SQL, randomness
mod receipt_rows; // edge: SQL
mod points; // edge: SQL, tokio
pub mod revocation; // edge: SQL, tokio
pub mod suspension; // edge: SQL, tokio
mod leavings; // edge: SQL, tokio
pub mod standing_work; // edge: SQL, tokio
mod yearly_rows; // edge: SQL
pub mod yearly_work; // edge: SQL, tokio
pub mod incident_work; // edge: SQL, tokio
pub mod report; // edge: SQL
mod takeover_rows; // edge: SQL, randomness
mod takeover_import; // edge: SQL, tokio
pub mod takeover_work; // edge: SQL, tokio

// the flows' cases
pub mod flow_rows; // edge, border: SQL, stored states
pub mod team_orders; // edge: SQL, tokio
pub mod flow_effects; // edge: SQL
pub mod flow_office; // edge: SQL, tokio
mod confirmation; // edge: SQL
mod paper_find; // edge: SQL
mod paper_intake; // edge: SQL, tokio

// the two listeners
mod problem; // edge, border: HTTP, JSON
mod desk; // edge: SQL
mod claim_http; // edge, border: HTTP, JSON
mod est_http; // edge, border: HTTP, SQL
mod apple_http; // edge, border: HTTP, JSON
mod acme_http; // edge: HTTP, randomness
mod console; // edge, border: HTTP, JSON
mod find_rows; // edge: SQL
mod telephone; // edge: SQL, tokio
pub mod views;
mod upload;
mod ledger_rows; // edge: SQL, tokio
mod map_rows; // edge: SQL
mod paper_office; // edge: SQL, tokio
mod post_rows; // edge: SQL
mod post_pieces; // edge: SQL
mod post_run; // edge: SQL, tokio
mod new_sheet; // edge: SQL, randomness
mod post_back; // edge: SQL, tokio
mod post_office; // edge: SQL, tokio
mod scan_read; // edge: tokio
mod scan_rows; // edge: SQL
mod scan_vault; // edge: tokio
mod scan_take; // edge: SQL, tokio
mod scan_work; // edge: SQL, tokio
mod scan_ends; // edge: SQL, tokio
mod page; // edge: HTTP, SQL
mod device_pages; // edge, border: HTTP, forms
mod flow_pages; // edge, border: HTTP, forms
mod office_pages; // edge, border: HTTP, forms
mod delivery_pages; // edge, border: HTTP, forms
mod letter_pages; // edge, border: HTTP, forms
mod renewal_pages; // edge: HTTP
mod patient_pages; // edge, border: HTTP, forms
mod facility_pages; // edge, border: HTTP, forms
mod family_pages; // edge, border: HTTP, forms, SQL
mod more_pages; // edge, border: HTTP, forms
mod confirm_pages; // edge: HTTP
mod person_pages; // edge, border: HTTP, forms
mod flow_new_pages; // edge, border: HTTP, forms
mod search_pages; // edge, border: HTTP, forms
mod fee_pages; // edge, border: HTTP, forms
mod fee_account_pages; // edge, border: HTTP, forms
mod register_pages; // edge, border: HTTP, forms
mod yearly_pages; // edge, border: HTTP, forms
mod incident_pages; // edge, border: HTTP, forms
mod report_pages; // edge, border: HTTP, forms
mod post_pages; // edge, border: HTTP, forms
mod paper_pages; // edge, border: HTTP, forms
mod scan_pages; // edge, border: HTTP, forms
mod ledger_pages; // edge, border: HTTP, forms
mod map_pages; // edge, border: HTTP, forms
mod takeover_pages; // edge, border: HTTP, forms

pub mod operator; // edge: SQL
pub mod api_http; // edge, border: HTTP, JSON
pub mod home; // edge: HTTP
mod room; // edge: tokio, SQL

pub use engine::{Database, DatabaseUrl, Server, UrlError};
pub use room::{OpenError, Opened, Room, StartError, open};
pub use shared::{Config, Needs};
