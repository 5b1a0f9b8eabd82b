//! The story's outcome: a table on the terminal while it runs, `target/demo/report.json` at the end.
//! Owns the steps told so far; ends with `write`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::fault::{Fault, Told};

/// The shape; other programs read it.
#[derive(Serialize, Debug)]
pub struct Report {
    pub steps: Vec<Step>,
    pub form: String,
    pub engine: String,
    pub ok: bool,
    #[serde(skip)]
    plan: Vec<(&'static str, &'static str)>,
    #[serde(skip)]
    out: Out,
}

#[derive(Serialize, Debug)]
pub struct Step {
    pub id: String,
    pub name: String,
    pub ok: bool,
    pub ms: u64,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// One line per step, rewritten while it runs when a person watches.
    Terminal,
    /// Tests: only the faults are interesting.
    Quiet,
}

impl Report {
    pub fn new(plan: &[(&'static str, &'static str)], form: &str, engine: &str, out: Out) -> Self {
        let report = Self {
            steps: Vec::new(),
            form: form.to_owned(),
            engine: engine.to_owned(),
            ok: false,
            plan: plan.to_vec(),
            out,
        };
        report.say(&format!("{:<3}  {:<10} {:>9}  what held\n", "", "step", "ms"));
        report
    }

    /// Tells one step; what it returns is the table's detail. A fault ends the story.
    pub fn step(&mut self, id: &'static str, tell: impl FnOnce() -> Told<String>) -> Told<()> {
        self.step_with(id, || tell().map(|detail| ((), detail)))
    }

    /// As `step`, for one that hands something to the next.
    pub fn step_with<T>(&mut self, id: &'static str, tell: impl FnOnce() -> Told<(T, String)>) -> Told<T> {
        let name = self.plan.iter().find(|(i, _)| *i == id).map_or(id, |(_, name)| *name);
        let place = self.steps.len() + 1;
        if self.out == Out::Terminal && std::io::stdout().is_terminal() {
            self.say(&format!("{id:<3}  {name:<10} {:>9}  [{place}/{}]", "…", self.plan.len()));
        }
        let begun = Instant::now();
        let told = tell();
        let ms = begun.elapsed().as_millis() as u64;
        let (ok, detail) = match &told {
            Ok((_, detail)) => (true, detail.clone()),
            Err(fault) => (false, fault.to_string()),
        };
        let mark = if ok { "" } else { "FAILED: " };
        if self.out == Out::Terminal && std::io::stdout().is_terminal() {
            self.say("\r\x1b[K");
        }
        self.say(&format!("{id:<3}  {name:<10} {ms:>9}  {mark}{detail}\n"));
        self.steps.push(Step { id: id.to_owned(), name: name.to_owned(), ok, ms, detail });
        told.map(|(handed_on, _)| handed_on)
    }

    /// All steps told, and all of them held.
    pub fn finish(&mut self) -> bool {
        self.ok = self.steps.len() == self.plan.len() && self.steps.iter().all(|step| step.ok);
        self.ok
    }

    pub fn write(&self, file: &Path) -> Told<()> {
        let folder = file.parent().ok_or_else(|| Fault::new("the report needs a folder"))?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(file, serde_json::to_vec(self)?)?;
        Ok(())
    }

    fn say(&self, text: &str) {
        if self.out == Out::Terminal {
            let mut out = std::io::stdout();
            // A closed pipe must not end the story before it has cleaned up.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_shape_that_others_read() {
        let mut report = Report::new(&[("s1", "init"), ("s2", "import")], "together", "sqlite", Out::Quiet);
        report.step("s1", || Ok("a realm".into())).unwrap();
        assert!(!report.finish(), "a story that stopped early is not ok");
        report.step("s2", || Err(Fault::new("row 3"))).unwrap_err();
        assert!(!report.finish());
        let mut value = serde_json::to_value(&report).unwrap();
        for step in value["steps"].as_array_mut().unwrap() {
            step["ms"] = 0.into();
        }
        let expected = serde_json::json!({
            "steps": [
                {"id": "s1", "name": "init", "ok": true, "ms": 0, "detail": "a realm"},
                {"id": "s2", "name": "import", "ok": false, "ms": 0, "detail": "row 3"},
            ],
            "form": "together", "engine": "sqlite", "ok": false,
        });
        assert_eq!(value, expected);
    }
}
