//! The secretariat's desk: the realm, the forms, acceptance, and what lies in the output folder (s1–s3).
//! Owns the forms' files for one call; they end with the world's folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fault::{Fault, Told};
use crate::forms;
use crate::holds;
use crate::server::find;
use crate::shell::{self, PATIENCE};
use crate::world::{OFFICE_SLOT, World, ZONE};

pub const OPERATOR_LOGIN: &str = forms::OFFICE_ADDRESS;

/// Exit codes that scripts rely on.
const FAILED: [i32; 2] = [1, 2];

pub struct Form {
    pub folder: PathBuf,
    pub headings: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// `init` makes everything once; `check` finds nothing to complain about.
pub fn create_realm(world: &mut World) -> Told<()> {
    let database = world.database_words()?;
    let mut words = vec![
        "--zone",
        ZONE,
        "--series",
        "18",
        "--realm-name",
        "福井県医師会",
        "--operator-login",
        OPERATOR_LOGIN,
        "--operator-name",
        "事務局 太郎",
    ];
    words.extend(database.iter().map(String::as_str));
    world.server.init(&words)?;
    let secrets = world.server.setting("pki_passphrase_file").map(PathBuf::from)?;
    world.mail.configure(&world.server.config(), secrets.parent().unwrap_or(&secrets), ZONE)?;
    world.server.ok(&["check"])?;
    let config = fs::read_to_string(world.server.config())?;
    // Secrets lie in files of their own; the log may hold none of them.
    let secret = |line: &&str| line.contains("_file = ") && !line.starts_with("ca_file");
    for line in config.lines().filter(secret) {
        let (name, path) = line.split_once(" = ").unwrap_or_default();
        let secret = fs::read(path.trim().trim_matches('"'))?;
        for part in String::from_utf8_lossy(&secret).lines().filter(|part| !part.starts_with("-----")) {
            world.needles.secret(name.trim(), part.trim());
        }
    }
    let again = world.server.init(&words);
    holds!(again.is_err(), "init made a second realm over the first");
    Ok(())
}

pub fn forms(world: &World) -> Told<Form> {
    let folder = world.folder.join("forms");
    fs::create_dir_all(&folder)?;
    let template = folder.join("template.xlsx");
    world.server.ok(&["facility", "template", &template.to_string_lossy()])?;
    let headings = forms::headings(&template)?;
    let rows = forms::rows(&headings)?;
    forms::write_xlsx(&folder.join("forms.xlsx"), &headings, &rows)?;
    forms::write_csv(&folder.join("forms.csv"), &headings, &rows, false)?;
    forms::write_csv(&folder.join("forms-bom.csv"), &headings, &rows, true)?;
    Ok(Form { folder, headings, rows })
}

pub fn dry_run_changes_nothing(world: &World, form: &Form) -> Told<()> {
    for name in ["forms.xlsx", "forms.csv", "forms-bom.csv"] {
        let told = world.server.ok(&["facility", "import", &form.path(name), "--dry-run"])?;
        holds!(number(&told, "new")? == 30, "a dry run of {name} would make {} cases", number(&told, "new")?);
        holds!(cases(world)? == 0, "a dry run of {name} wrote something");
    }
    Ok(())
}

/// One wrong cell each in three rows: all three are named by row and column, with reason and remedy.
pub fn bad_rows_are_named_and_nothing_is_imported(world: &World, form: &Form) -> Told<()> {
    let column = |name: &str| {
        let place = form.headings.iter().position(|heading| heading == name);
        place.ok_or_else(|| Fault::new(format!("no column {name}")))
    };
    let wrong = [
        (4, "事業所番号", "123"),
        (11, "種別", "やくきょく？"),
        (20, "管理画面ログイン用メールアドレス", "電話で"),
    ];
    let mut rows = form.rows.clone();
    for (row, heading, text) in wrong {
        rows[row - 2][column(heading)?] = text.to_owned();
    }
    forms::write_xlsx(&form.folder.join("bad.xlsx"), &form.headings, &rows)?;
    forms::write_csv(&form.folder.join("bad.csv"), &form.headings, &rows, true)?;
    for name in ["bad.xlsx", "bad.csv"] {
        let said = world.server.ask(&["facility", "import", &form.path(name)])?;
        holds!(FAILED.contains(&said.code), "importing {name} ended with {}: {}", said.code, said.text);
        let faults = find(&said.json, "faults").and_then(Value::as_array).cloned().unwrap_or_default();
        let named: Vec<_> = faults
            .iter()
            .filter_map(|f| Some((f["row"].as_u64()?, f["column"].as_str()?.to_owned())))
            .collect();
        let wanted: Vec<_> =
            wrong.iter().map(|(row, heading, _)| (*row as u64, (*heading).to_owned())).collect();
        holds!(named == wanted, "{name}: faults at {named:?}, not {wanted:?}; {}", said.text);
        let filled = |key: &str| faults.iter().all(|f| f[key].as_str().is_some_and(|text| !text.is_empty()));
        holds!(
            ["code", "reason_ja", "reason_en", "remedy_ja", "remedy_en"].into_iter().all(filled),
            "a fault without words: {}",
            said.json
        );
        holds!(cases(world)? == 0, "{name} was imported in part");
    }
    Ok(())
}

pub fn thirty_facilities_arrive_once(world: &World, form: &Form) -> Told<()> {
    let told = world.server.ok(&["facility", "import", &form.path("forms.xlsx")])?;
    holds!(number(&told, "new")? == 30, "imported {told}");
    let before = world.server.ok(&["case", "list"])?;
    for name in ["forms.xlsx", "forms.csv", "forms-bom.csv"] {
        let again = world.server.ok(&["facility", "import", &form.path(name)])?;
        holds!(number(&again, "new")? == 0 && number(&again, "known")? == 30, "{name} again: {again}");
    }
    holds!(world.server.ok(&["case", "list"])? == before, "importing twice changed the cases");
    Ok(())
}

/// Every accepted case has its sheet, printed for the secretariat, and no bundle lies beside it. Returns how many.
pub fn acceptance_prints_sheets(world: &World) -> Told<usize> {
    world.server.ok(&["case", "accept", "--all", "--dry-run"])?;
    world.server.ok(&["case", "accept", "--all"])?;
    let output = world.output()?;
    // Letters leave the outbox after the transaction that wrote them.
    let sheets = shell::until("thirty sheets beside the secretariat's", PATIENCE, || {
        let files = names(&output.join("sheets"));
        let slots: Vec<String> =
            files.iter().filter_map(|file| file.strip_suffix(".txt")).map(str::to_owned).collect();
        let printed = slots.iter().all(|slot| files.contains(&format!("{slot}.html")));
        Ok((slots.len() == 31 && printed).then_some(slots))
    })?;
    for slot in &sheets {
        holds!(world.sheet(slot)?.password.len() >= 16, "the sheet of {slot} has a short password");
        private(&output.join("sheets").join(format!("{slot}.txt")))?;
        private(&output.join("sheets").join(format!("{slot}.html")))?;
    }
    let beside = names(&output.join("bundles"));
    holds!(beside == [OFFICE_SLOT], "bundles lie in the output folder, though they are mailed: {beside:?}");
    Ok(sheets.len())
}

pub fn clinic_owns(world: &World, slot: &str) -> Told<()> {
    let shown = world.server.ok(&["slot", "show", slot])?;
    let owner = shown["row"]["facility_name"].as_str();
    holds!(owner == Some(forms::CLINIC_A), "{slot} belongs to {owner:?}");
    Ok(())
}

impl Form {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

fn cases(world: &World) -> Told<usize> {
    let listed = world.server.ok(&["case", "list"])?;
    let list = listed.as_array().or_else(|| find(&listed, "cases").and_then(Value::as_array));
    list.map(Vec::len).ok_or_else(|| Fault::new(format!("no list of cases: {listed}")))
}

fn number(value: &Value, key: &str) -> Told<u64> {
    find(value, key)
        .and_then(Value::as_u64)
        .ok_or_else(|| Fault::new(format!("no number `{key}` in {value}")))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn private(file: &Path) -> Told<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(file)?.permissions().mode() & 0o777;
    holds!(mode == 0o600, "{} has mode {mode:o}", file.display());
    Ok(())
}
