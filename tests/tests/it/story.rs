//! The story of `make demo` as a test: the same code, the same devices, the same binary.

use tests::report::{Out, Report};
use tests::server::{Engine, Form};
use tests::world::Tools;

/// From a facility's form to a post, and to a revoked device (issue 2, s1–s8).
/// Requirements B-18, I-04, H-11, H-15.
#[test]
fn from_a_form_to_a_post_and_to_a_revoked_device() {
    played(Form::Together, Engine::Sqlite);
}

/// The same story with a process per room, each of them killed on the way (issue 3).
#[test]
fn the_same_with_separate_processes_each_killed_once() {
    played(Form::Separated, Engine::Sqlite);
}

/// The same once more with the records on a server, which hangs up on the way (ruling 9). Three users know
/// its URL, and none of the others.
#[test]
fn the_same_with_separate_processes_on_postgresql() {
    played(Form::Separated, Engine::Postgres);
}

fn played(form: Form, engine: Engine) {
    let tools = Tools::beside(env!("CARGO_BIN_EXE_demo").as_ref()).unwrap_or_else(|fault| panic!("{fault}"));
    let tools = tools.in_form(form).on_engine(engine);
    let plan = tests::story::plan(form, engine);
    let mut report = Report::new(&plan, form.as_str(), engine.as_str(), Out::Terminal);
    let told = tests::story::play(&tools, &mut report);
    assert!(
        report.finish() && told.is_ok(),
        "the story broke: {}",
        told.err().map_or(String::new(), |f| f.to_string())
    );
}
