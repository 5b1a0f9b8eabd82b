//! Migrations only add (ruling 9): the previous version must be able to read what this one writes.

use std::fs;
use std::path::Path;

use super::hold;
use super::source::House;

fn breaches(path: &str, sql: &str) -> Vec<String> {
    let plain: String =
        sql.lines().map(|line| line.split("--").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut told = Vec::new();
    for statement in
        plain.split(';').map(|s| s.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase())
    {
        let first = path.contains("0001_");
        let takes_away = ["DROP ", " RENAME ", "DELETE FROM", " ALTER COLUMN", "TRUNCATE"]
            .into_iter()
            .find(|word| format!(" {statement}").contains(word))
            // An index holds nothing that the previous version would miss: it reads without it.
            .filter(|_| !statement.starts_with("DROP INDEX "));
        if let Some(word) = takes_away.filter(|_| !first) {
            told.push(format!("{path} says `{}` in `{statement}`.\n  Mend: only add; what is no longer used is left alone for one version.", word.trim()));
        }
        let adds = statement.contains("ADD COLUMN")
            || (statement.starts_with("ALTER TABLE") && statement.contains(" ADD "));
        if adds && statement.contains("NOT NULL") && !statement.contains("DEFAULT") {
            told.push(format!("{path} adds a NOT NULL column without DEFAULT: `{statement}`.\n  Mend: the previous version does not fill it; give it a DEFAULT."));
        }
        for word in [
            "AUTOINCREMENT",
            "WITHOUT ROWID",
            "BIGSERIAL",
            "SERIAL PRIMARY",
            "BLOB",
            "BYTEA",
            "JSONB",
            "STRICT",
        ] {
            if statement.split(|c: char| !c.is_alphanumeric()).any(|w| w == word)
                || (word.contains(' ') && statement.contains(word))
            {
                told.push(format!(
                    "{path} uses `{word}`, which only one engine knows.\n  Mend: TEXT and BIGINT (ruling 9)."
                ));
            }
        }
    }
    told
}

/// `0001_name.sql`, `0002_…`: no gap, no number twice.
fn numbering(room: &str, names: &[String]) -> Vec<String> {
    let wrong =
        names.iter().enumerate().filter(|(place, name)| !name.starts_with(&format!("{:04}_", place + 1)));
    wrong
        .map(|(place, name)| {
            format!(
                "{room}/migrations/{name} should be number {:04}.\n  Mend: number migrations without gaps.",
                place + 1
            )
        })
        .collect()
}

fn check(root: &Path, room: &str, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root.join(room).join(folder))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut told = numbering(room, &names);
    for name in names {
        let sql = fs::read_to_string(root.join(room).join(folder).join(&name)).expect("a migration");
        told.extend(breaches(&format!("{room}/{folder}/{name}"), &sql));
    }
    told
}

#[test]
fn migrations_only_add_and_speak_both_engines() {
    let house = House::load();
    let mut told = Vec::new();
    for room in &house.rooms {
        told.extend(check(&house.root, &room.name, "migrations"));
        // A room with two databases has a folder for each.
        for entry in
            fs::read_dir(house.root.join(&room.name).join("migrations")).into_iter().flatten().flatten()
        {
            if entry.path().is_dir() {
                told.extend(check(
                    &house.root,
                    &room.name,
                    &format!("migrations/{}", entry.file_name().to_string_lossy()),
                ));
            }
        }
    }
    hold(told);
}

#[test]
fn what_takes_away_is_noticed() {
    for bad in [
        "DROP TABLE a;",
        "ALTER TABLE a RENAME COLUMN b TO c;",
        "ALTER TABLE a ADD COLUMN b TEXT NOT NULL;",
        "DELETE FROM a;",
        "CREATE TABLE a (b BLOB);",
    ] {
        assert_eq!(breaches("sns/migrations/0002_x.sql", bad).len(), 1, "{bad}");
    }
    for good in [
        "-- DROP nothing\nCREATE TABLE a (b TEXT NOT NULL);",
        "DROP INDEX a_by_b;",
        "ALTER TABLE a ADD COLUMN b TEXT NOT NULL DEFAULT '';",
    ] {
        assert!(breaches("sns/migrations/0002_x.sql", good).is_empty(), "{good}");
    }
    assert_eq!(numbering("sns", &["0001_a.sql".into(), "0003_b.sql".into()]).len(), 1);
}
