//! The story of `make demo` as a test: the same code, the same devices, the same binary.

use tests::report::{Out, Report};
use tests::server::Form;
use tests::world::Tools;

/// From a facility's form to a post, and to a revoked device (issue 2, s1–s8).
#[test]
fn from_a_form_to_a_post_and_to_a_revoked_device() {
    let tools = Tools::beside(env!("CARGO_BIN_EXE_demo").as_ref()).unwrap_or_else(|fault| panic!("{fault}"));
    let mut report = Report::new(&tests::story::PLAN, "together", "sqlite", Out::Terminal);
    let told = tests::story::play(&tools, &mut report);
    assert!(
        report.finish() && told.is_ok(),
        "the story broke: {}",
        told.err().map_or(String::new(), |f| f.to_string())
    );
}

/// The same story with a process per room, each of them killed on the way (issue 3).
#[test]
fn the_same_with_separate_processes_each_killed_once() {
    let tools = Tools::beside(env!("CARGO_BIN_EXE_demo").as_ref()).unwrap_or_else(|fault| panic!("{fault}"));
    let tools = tools.in_form(Form::Separated);
    let mut report =
        Report::new(&tests::story::plan(tools.form), tools.form.as_str(), "sqlite", Out::Terminal);
    let told = tests::story::play(&tools, &mut report);
    assert!(
        report.finish() && told.is_ok(),
        "the story broke: {}",
        told.err().map_or(String::new(), |f| f.to_string())
    );
}
