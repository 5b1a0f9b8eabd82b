//! What somebody wrote: every value of the file with its line, of the right kind, and nothing unknown.
//! `Typed` says nothing yet about whether the values make sense. Pure: text in, values and faults out.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::keys::{self, Kind, SECRETS};
use crate::messages::Message;

/// Longest piece of the file that a message repeats.
const SHOWN_MAX: usize = 60;

/// Where a secret is; read by the edge file `secrets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    File(PathBuf),
    /// Below `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
    Truth(bool),
    Texts(Vec<String>),
    Series(Vec<(String, i64)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub value: Value,
    pub line: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Typed {
    values: BTreeMap<String, Placed>,
    /// The text was not TOML throughout: what is missing may only be unreadable.
    pub torn: bool,
}

impl Typed {
    pub fn get(&self, path: &str) -> Option<&Placed> {
        self.values.get(path)
    }

    pub fn line(&self, path: &str) -> Option<u32> {
        self.values.get(path).map(|placed| placed.line)
    }
}

/// Reads as much as can be read and names every fault on the way.
pub fn type_text(text: &str) -> (Typed, Vec<Fault>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| {
            let line = error.span().map_or(1, |span| lines.at(span.start));
            // Only the parser's own sentence: the line it quotes may hold a secret.
            Fault::at(line, Message::NotToml { why: one_line(error.message()) })
        })
        .collect();
    let mut typed = Typed { values: BTreeMap::new(), torn: !errors.is_empty() };
    for (section, value) in table.get_ref() {
        let line = lines.at(section.span().start);
        let section = section.get_ref().as_ref();
        match value.get_ref().as_table() {
            Some(table) if keys::sections().contains(&section) => {
                take_section(section, table, &lines, &mut typed, &mut faults);
            }
            _ => faults.push(Fault::at(line, unknown(section))),
        }
    }
    (typed, faults)
}

fn take_section(
    section: &str,
    table: &DeTable<'_>,
    lines: &Lines,
    typed: &mut Typed,
    faults: &mut Vec<Fault>,
) {
    for (name, value) in table {
        let line = lines.at(name.span().start);
        let path = format!("{section}.{}", name.get_ref());
        let Some(key) = keys::find(&path) else {
            faults.push(Fault::at(line, unknown(&path)));
            continue;
        };
        match convert(key.kind, value) {
            Some(value) => {
                typed.values.insert(path, Placed { value, line });
            }
            None => faults.push(Fault::at(
                line,
                Message::WrongKind {
                    key: path,
                    wanted: key.kind.wanted().to_owned(),
                    found: value.get_ref().type_str().to_owned(),
                },
            )),
        }
    }
}

/// A key that the table does not know; a secret written out is named as that.
fn unknown(path: &str) -> Message {
    if path == "database.url" || SECRETS.iter().any(|secret| path.strip_prefix("secrets.") == Some(secret)) {
        return Message::InlineSecret { key: path.to_owned() };
    }
    Message::UnknownKey { key: shown(path), nearest: keys::nearest(path).unwrap_or_else(|| "–".to_owned()) }
}

fn convert(kind: Kind, value: &Spanned<DeValue<'_>>) -> Option<Value> {
    let value = value.get_ref();
    match kind {
        Kind::Text => value.as_str().map(|text| Value::Text(text.to_owned())),
        Kind::Number => number(value).map(Value::Number),
        Kind::Truth => value.as_bool().map(Value::Truth),
        Kind::Texts => {
            let texts: Option<Vec<String>> =
                value.as_array()?.iter().map(|text| text.get_ref().as_str().map(str::to_owned)).collect();
            texts.map(Value::Texts)
        }
        Kind::SeriesList => {
            let entries: Option<Vec<(String, i64)>> =
                value.as_array()?.iter().map(|entry| series(entry.get_ref().as_table()?)).collect();
            entries.map(Value::Series)
        }
    }
}

/// Exactly `name` and `block`.
fn series(table: &DeTable<'_>) -> Option<(String, i64)> {
    let field = |wanted: &str| {
        table.iter().find(|(name, _)| name.get_ref().as_ref() == wanted).map(|(_, v)| v.get_ref())
    };
    let entry = (field("name")?.as_str()?.to_owned(), number(field("block")?)?);
    (table.len() == 2).then_some(entry)
}

fn number(value: &DeValue<'_>) -> Option<i64> {
    let digits = value.as_integer()?;
    i64::from_str_radix(digits.as_str(), digits.radix()).ok()
}

/// A piece of the file, short and in one line.
pub fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A place without `..`, rebuilt from its parts.
pub fn absolute(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // Rebuilt from its parts, so that `/a//b/` and `/a/b` are the same place.
    (path.is_absolute() && plain && !text.contains('\0')).then(|| path.components().collect())
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}

/// Where each line of a text starts.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    fn at(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|newline| *newline < offset);
        u32::try_from(before).map_or(u32::MAX, |before| before + 1)
    }
}
