//! The sources as the rules see them: rooms, files with their marks, code without comments and tests.
//! Pure but for `House::load`, which reads the workspace.

use std::fs;
use std::path::{Path, PathBuf};

pub struct House {
    pub root: PathBuf,
    pub rooms: Vec<Room>,
}

pub struct Room {
    pub name: String,
    pub manifest: String,
    pub files: Vec<File>,
    /// Modules as the front page lists them.
    pub front: Vec<Module>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub name: String,
    pub marks: Marks,
    pub test: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub edge: bool,
    pub border: bool,
    pub unsafe_: bool,
}

pub struct File {
    /// From the workspace's root, as messages show it.
    pub path: String,
    /// `["config", "typed"]`; empty for `lib.rs`.
    pub module: Vec<String>,
    pub marks: Marks,
    /// Only compiled for tests.
    pub test: bool,
    /// `main.rs` and `bin/*.rs` are programs: edges by nature.
    pub program: bool,
    pub raw: String,
    /// Same lines, without comments, texts and `#[cfg(test)]` items.
    pub code: String,
}

impl House {
    pub fn load() -> Self {
        let root = ::tests::shell::checkout();
        let workspace = fs::read_to_string(root.join("Cargo.toml")).expect("the workspace's manifest");
        let members =
            workspace.lines().find_map(|line| line.strip_prefix("members = [")).expect("members in one line");
        let names =
            members.trim_end_matches(']').split(',').map(|name| name.trim().trim_matches('"').to_owned());
        let rooms = names.map(|name| Room::load(&root, name)).collect();
        Self { root, rooms }
    }

    pub fn room(&self, name: &str) -> &Room {
        self.rooms.iter().find(|room| room.name == name).expect("a room of the workspace")
    }

    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.rooms.iter().flat_map(|room| &room.files)
    }
}

impl Room {
    fn load(root: &Path, name: String) -> Self {
        let folder = root.join(&name);
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("the room's manifest");
        let mut texts = Vec::new();
        collect(&folder.join("src"), &mut texts);
        let texts = texts.into_iter().map(|path| {
            let shown = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            (shown, fs::read_to_string(&path).expect("a source file"))
        });
        Self::of(name, manifest, texts.collect())
    }

    /// From paths (`vpn/src/slot.rs`) and texts.
    pub fn of(name: String, manifest: String, mut texts: Vec<(String, String)>) -> Self {
        texts.sort();
        let raw_of = |module: &[String]| {
            texts
                .iter()
                .find(|(path, _)| module_of(path) == module && !is_program(path))
                .map(|(_, raw)| raw.as_str())
        };
        let front = declared(raw_of(&[]).unwrap_or_default());
        let files = texts.iter().map(|(path, raw)| {
            let module = module_of(path);
            let (marks, test) = inherited(&module, &raw_of);
            File {
                path: path.clone(),
                marks,
                test: test || module.iter().any(|m| m == "tests"),
                program: is_program(path),
                raw: raw.clone(),
                code: without_tests(&strip(raw)),
                module,
            }
        });
        let files = files.collect();
        Self { name, manifest, files, front }
    }

    pub fn position(&self, module: &str) -> Option<usize> {
        self.front.iter().position(|m| m.name == module)
    }
}

/// Marks are inherited from the parents and added to by the line that declares the module.
fn inherited<'a>(module: &[String], raw_of: &impl Fn(&[String]) -> Option<&'a str>) -> (Marks, bool) {
    let (mut marks, mut test) = (Marks::default(), false);
    for depth in 0..module.len() {
        let parent = declared(raw_of(&module[..depth]).unwrap_or_default());
        if let Some(found) = parent.iter().find(|m| m.name == module[depth]) {
            marks.edge |= found.marks.edge;
            marks.border |= found.marks.border;
            marks.unsafe_ |= found.marks.unsafe_;
            test |= found.test;
        }
    }
    (marks, test)
}

/// The `mod x;` lines of a file, with their marks.
pub fn declared(raw: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    let mut test = false;
    for line in raw.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("#[cfg(test)]") {
            test = true;
        }
        let (code, comment) = trimmed.split_once("//").unwrap_or((trimmed, ""));
        let code = code.trim().trim_start_matches("#[cfg(test)]").trim();
        let visible =
            ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|v| code.strip_prefix(v)).unwrap_or(code);
        if let Some(name) = visible.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            modules.push(Module { name: name.trim().to_owned(), marks: marks(comment), test });
            test = false;
        } else if !trimmed.is_empty() && !trimmed.starts_with('#') && !trimmed.starts_with("//") {
            test = false;
        }
    }
    modules
}

/// `edge, border: the report file` → edge and border.
fn marks(comment: &str) -> Marks {
    let words: Vec<_> = comment.split([':', ';']).next().unwrap_or("").split(',').map(str::trim).collect();
    Marks {
        edge: words.contains(&"edge"),
        border: words.contains(&"border"),
        unsafe_: words.contains(&"unsafe"),
    }
}

fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside).trim_end_matches(".rs");
    let mut module: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        module.pop();
    }
    module
}

fn is_program(path: &str) -> bool {
    path.ends_with("src/main.rs") || path.contains("src/bin/")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Blanks comments, texts and characters; lines stay where they are.
pub fn strip(raw: &str) -> String {
    let chars: Vec<char> = raw.chars().collect();
    let mut out = String::with_capacity(raw.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match chars[i] {
            '/' if chars.get(i + 1) == Some(&'/') => line_end(&chars, i),
            '/' if chars.get(i + 1) == Some(&'*') => block_end(&chars, i),
            '"' => text_end(&chars, i),
            'r' if is_raw_text(&chars, i) => raw_text_end(&chars, i + 1),
            '\'' => character_end(&chars, i),
            _ => i,
        };
        if end == i {
            out.push(chars[i]);
            i += 1;
        } else {
            out.extend(chars[i..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            i = end;
        }
    }
    out
}

fn line_end(chars: &[char], from: usize) -> usize {
    (from..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len())
}

fn block_end(chars: &[char], from: usize) -> usize {
    let (mut depth, mut i) = (0, from);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    i
}

fn text_end(chars: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn is_raw_text(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|b| chars[b]);
    let fresh = before.is_none_or(|c| !c.is_alphanumeric() && c != '_') || before == Some('b');
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    fresh && chars.get(at + 1 + hashes) == Some(&'"')
}

fn raw_text_end(chars: &[char], from: usize) -> usize {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    let closes = |i: &usize| {
        chars[*i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (from + hashes + 1..chars.len()).find(closes).map_or(chars.len(), |i| i + 1 + hashes)
}

/// A character, or just the tick of a lifetime.
fn character_end(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => (from + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(chars.len(), |i| i + 1),
        (Some(_), Some('\'')) => from + 3,
        _ => from,
    }
}

/// Blanks every item under `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let body = out[start..].find(['{', ';']).map_or(out.len(), |i| start + i);
        let end = if out[body..].starts_with('{') { closing(&out, body) } else { (body + 1).min(out.len()) };
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// One past the brace that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + i + 1;
        }
    }
    code.len()
}

/// Where `word` stands as a whole word (paths count as words by their first part).
pub fn find_word(code: &str, word: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let ends_open = word.ends_with(|c: char| !is_part(c));
    code.match_indices(word)
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| is_part(c)))
        .filter(|(at, _)| ends_open || !code[at + word.len()..].starts_with(is_part))
        .map(|(at, _)| at)
        .collect()
}

pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Every path that code names: `use` trees spelled out, and paths in the middle of code.
pub fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in find_word(code, "use ") {
        let end = code[at..].find(';').map_or(code.len(), |i| at + i);
        expand(code[at + 4..end].trim(), "", &mut |path| found.push((line_of(code, at), path)));
    }
    for (at, _) in code.match_indices("::") {
        let is_part = |c: &char| c.is_alphanumeric() || *c == '_' || *c == ':';
        let before: String =
            code[..at].chars().rev().take_while(is_part).collect::<Vec<_>>().into_iter().rev().collect();
        let after: String = code[at..].chars().take_while(is_part).collect();
        found.push((line_of(code, at), format!("{before}{after}")));
    }
    found
}

/// `a::{b, c::{d, e}}` → `a::b`, `a::c::d`, `a::c::e`.
fn expand(tree: &str, prefix: &str, told: &mut impl FnMut(String)) {
    let Some(open) = tree.find('{') else {
        told(format!("{prefix}{}", tree.split(" as ").next().unwrap_or("").trim()));
        return;
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let (mut depth, mut start) = (0, open + 1);
    for (i, c) in tree.char_indices().skip_while(|(i, _)| *i <= open) {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let part = tree[start..i].trim();
                if !part.is_empty() {
                    expand(part, &prefix, told);
                }
                start = i + 1;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_texts_and_tests_are_no_code() {
        let raw = "let a = \"std::fs\"; // std::fs\nlet b = r#\"tokio::\"#; /* sqlx:: */ let c = '\"'; let d: &'a str;\n#[cfg(test)]\nmod tests { use std::fs; }\nlet e = 1;";
        let code = without_tests(&strip(raw));
        for gone in ["std::fs", "tokio::", "sqlx::"] {
            assert!(!code.contains(gone), "{code}");
        }
        assert!(code.contains("let e = 1;") && code.contains("&'a str"));
        assert_eq!(code.lines().count(), raw.lines().count());
    }

    #[test]
    fn use_trees_are_spelled_out() {
        let found = paths("use std::{fs, io::{self, Read}};\nfn f() { crate::slot::new() }");
        let found: Vec<_> = found.into_iter().map(|(_, path)| path).collect();
        for wanted in ["std::fs", "std::io::self", "std::io::Read", "crate::slot::new"] {
            assert!(found.iter().any(|path| path == wanted), "{wanted} in {found:?}");
        }
    }

    #[test]
    fn marks_are_read_from_the_front_page() {
        let modules = declared(
            "pub mod a; // edge, border: files\nmod b;\n#[cfg(test)]\nmod c;\npub mod d; // unsafe, edge: TUN",
        );
        let edges: Vec<_> = modules
            .iter()
            .map(|m| (m.name.as_str(), m.marks.edge, m.marks.border, m.marks.unsafe_, m.test))
            .collect();
        assert_eq!(
            edges,
            [
                ("a", true, true, false, false),
                ("b", false, false, false, false),
                ("c", false, false, false, true),
                ("d", true, false, true, false)
            ]
        );
    }
}
