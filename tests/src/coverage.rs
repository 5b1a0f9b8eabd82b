//! Which lines of the requirements the tests that ran have proved: a test names them in its own name (`f_12_…`), its
//! doc comment or its body. A test that did not run, or failed, proves nothing. Pure: texts in, sets out.

use std::collections::{BTreeMap, BTreeSet};

/// A requirement's id with what it is about.
pub type Requirements = BTreeMap<String, String>;

/// A test as both the runner and the source can name it: its file's module, and the function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestName {
    pub module: String,
    pub function: String,
}

/// `F-12<TAB>what it is about`, one a line.
pub fn requirements(text: &str) -> Requirements {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(id, about)| (id.to_owned(), about.to_owned()))
        .collect()
}

/// The tests that passed, by the log of cargo-nextest or of `cargo test`.
pub fn passed(log: &str) -> BTreeSet<TestName> {
    let plain = without_colours(log);
    let path = |line: &str| -> Option<String> {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("PASS [") {
            // PASS [   0.022s] ( 2/36) provisioning form1::tests::a_form_without_rows_says_so
            return rest.split_whitespace().next_back().map(str::to_owned);
        }
        line.strip_prefix("test ")?.strip_suffix(" ... ok").map(str::to_owned)
    };
    plain.lines().filter_map(path).map(|path| test_name(&path)).collect()
}

fn test_name(path: &str) -> TestName {
    let mut parts: Vec<&str> = path.split("::").collect();
    let function = parts.pop().unwrap_or_default().to_owned();
    let module = parts.into_iter().rev().find(|part| *part != "tests").unwrap_or_default().to_owned();
    TestName { module, function }
}

fn without_colours(log: &str) -> String {
    let mut plain = String::with_capacity(log.len());
    let mut chars = log.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

/// What each function of a file cites. `path` says which module the file is.
pub fn cited(path: &str, source: &str, known: &Requirements) -> Vec<(TestName, BTreeSet<String>)> {
    let module = module_of(path);
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(function) = function_of(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let is_head = |line: &&&str| {
            let line = line.trim_start();
            (line.starts_with("//") && !line.starts_with("//!")) || line.starts_with("#[")
        };
        let head: Vec<&str> = lines[..at].iter().rev().take_while(is_head).copied().collect();
        let ends = |line: &&&str| {
            !(line.len() - line.trim_start().len() == indent && line.trim_start().starts_with('}'))
        };
        let body: Vec<&str> = lines[at..].iter().take_while(ends).copied().collect();
        let text = format!("{}\n{}", head.join("\n"), body.join("\n"));
        let ids = known.keys().filter(|id| names(&function, id) || says(&text, id)).cloned().collect();
        found.push((TestName { module: module.clone(), function }, ids));
    }
    found
}

/// What a test's own file says that it has shown: its path in the runner's words, with points, and an id a line.
pub fn shown(path: &str, text: &str, known: &Requirements) -> (TestName, BTreeSet<String>) {
    let ids = text.lines().map(str::trim).filter(|id| known.contains_key(*id)).map(str::to_owned);
    (test_name(&path.replace('.', "::")), ids.collect())
}

/// `provisioning/src/form1/tests.rs` and `provisioning/src/form1.rs` are both `form1`; a crate's root has no name.
fn module_of(path: &str) -> String {
    let mut parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    while matches!(parts.last(), Some(&("tests" | "mod" | "main" | "lib"))) && parts.len() > 1 {
        parts.pop();
    }
    let name = parts.pop().unwrap_or_default();
    if matches!(name, "src" | "it") { String::new() } else { name.to_owned() }
}

fn function_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    let rest = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// `f_12_the_seven_rows` names F-12; `c_10_…` does not name C-1.
fn names(function: &str, id: &str) -> bool {
    let wanted = id.to_lowercase().replace(['-', '.'], "_");
    format!("_{function}_").contains(&format!("_{wanted}_"))
}

/// The id as a word of its own: `C-4.6` says neither C-4 nor C-4.60.
fn says(text: &str, id: &str) -> bool {
    text.match_indices(id).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + id.len()..].chars();
        let (next, then) = (after.next(), after.next());
        let begins = !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
        let goes_on = next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
            || (next == Some('.') && then.is_some_and(|c| c.is_ascii_digit()));
        begins && !goes_on
    })
}

/// For each requirement the tests that ran and cite it.
pub fn proved(
    passed: &BTreeSet<TestName>,
    cited: &[(TestName, BTreeSet<String>)],
) -> BTreeMap<String, BTreeSet<TestName>> {
    let mut proved: BTreeMap<String, BTreeSet<TestName>> = BTreeMap::new();
    for (test, ids) in cited.iter().filter(|(test, _)| passed.contains(test)) {
        for id in ids {
            proved.entry(id.clone()).or_default().insert(test.clone());
        }
    }
    proved
}

/// Ids of the committed list that no test proves any more.
pub fn lost<'a>(kept: &'a str, proved: &BTreeMap<String, BTreeSet<TestName>>) -> Vec<&'a str> {
    let kept = kept.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    kept.filter(|id| !proved.contains_key(*id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Requirements {
        requirements("# a comment\nC-1\tnew\nC-4\tremoval\nC-4.6\tconfirms\nF-12\tseven rows\nE-M2\tdata\n")
    }

    fn name(module: &str, function: &str) -> TestName {
        TestName { module: module.into(), function: function.into() }
    }

    #[test]
    fn both_runners_say_which_tests_passed() {
        let log = "\u{1b}[32;1m        PASS\u{1b}[0m [   0.022s] ( 2/36) provisioning form1::tests::reads\n\
                   \x20       FAIL [   0.022s] ( 3/36) provisioning form1::tests::fails\n\
                   \x20       PASS [   0.022s] (4/36) provisioning::it sqlite::fees::f_12_rows\n\
                   test fees::tests::counts ... ok\n\
                   test fees::tests::breaks ... FAILED\n\
                   test slow::waits ... ignored\n";
        let expected = [name("fees", "counts"), name("fees", "f_12_rows"), name("form1", "reads")];
        assert_eq!(passed(log), expected.into());
    }

    #[test]
    fn a_test_cites_in_its_name_its_comment_and_its_body() {
        let source = "//! C-1 in a file's head is nobody's.\n\
                      /// C-4.6 is confirmed.\n\
                      #[test]\n\
                      fn confirms() {\n    work();\n}\n\
                      #[tokio::test]\n\
                      async fn f_12_rows() {\n    assert!(true, \"E-M2: data\");\n}\n";
        let cited = cited("provisioning/src/flow/tests.rs", source, &known());
        let ids = |at: usize| cited[at].1.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!((cited[0].0.clone(), ids(0)), (name("flow", "confirms"), vec!["C-4.6"]));
        assert_eq!((cited[1].0.clone(), ids(1)), (name("flow", "f_12_rows"), vec!["E-M2", "F-12"]));
        assert!(!names("c_10_all_are_told", "C-1") && names("c_4_leaves", "C-4"));
    }

    #[test]
    fn what_did_not_run_proves_nothing_and_what_is_lost_is_told() {
        let cites = vec![
            (name("a", "ran"), BTreeSet::from(["C-1".to_owned()])),
            (name("a", "did_not"), BTreeSet::from(["C-4".to_owned()])),
        ];
        let proved = proved(&[name("a", "ran")].into(), &cites);
        assert_eq!(proved.keys().collect::<Vec<_>>(), ["C-1"]);
        assert_eq!(lost("# kept\nC-1\nC-4\n", &proved), ["C-4"]);
    }

    #[test]
    fn what_a_run_has_shown_counts_for_its_test_alone() {
        let said = shown("browser.procedure.every_flow", "C-4\nC-4.6\nC-4.66\n\n", &known());
        assert_eq!(said, (name("procedure", "every_flow"), BTreeSet::from(["C-4".into(), "C-4.6".into()])));
        assert!(proved(&[name("a", "ran")].into(), std::slice::from_ref(&said)).is_empty());
    }

    #[test]
    fn files_and_paths_meet_in_one_name() {
        for (path, module) in [
            ("provisioning/src/form1.rs", "form1"),
            ("provisioning/src/form1/tests.rs", "form1"),
            ("provisioning/tests/it/fees.rs", "fees"),
            ("tests/tests/it/house/mod.rs", "house"),
            ("vpn/src/lib.rs", ""),
        ] {
            assert_eq!(module_of(path), module, "{path}");
        }
        assert_eq!(test_name("sqlite::fees::f_12"), name("fees", "f_12"));
        assert_eq!(test_name("form1::tests::reads"), name("form1", "reads"));
    }
}
