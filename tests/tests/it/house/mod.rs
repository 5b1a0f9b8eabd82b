//! The house rules R1–R8 and what else every file obeys. Each rule is a function from the sources to
//! breaches; a breach says where, what, and how to mend it. Each rule is shown a bad sample, too.

mod catalogue;
mod edges;
mod imports;
mod migrations;
mod order;
mod papers;
mod sample;
mod secrets;
mod size;
mod source;

/// Fails with every breach of a rule, one per paragraph.
#[track_caller]
fn hold(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "\n\n{}\n", breaches.join("\n\n"));
}
