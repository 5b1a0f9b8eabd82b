//! One line of the engineer's shell: words out of it, what may be asked there, and what could stand next.
//! Pure: nothing here is a shell; no word is ever expanded, and none names a program.

use super::args::declared;

/// The verbs that ask rooms at their doors or read what is public. Whatever touches the machine's own files,
/// starts a process or prints a secret is for the console.
const VERBS: [&str; 19] = [
    "config", "rescue", "backup", "update", "status", "doctor", "facility", "case", "slot", "device",
    "gateway", "vpn", "mail", "flow", "fee", "audit", "pki", "explain", "version",
];
/// Read files, run a tunnel alone: not below these either.
const NOT_BELOW: [(&str, &str); 7] = [
    ("backup", "make"),
    ("backup", "key"),
    ("facility", "import"),
    ("facility", "template"),
    ("pki", "bench"),
    ("pki", "issue"),
    ("vpn", "--"),
];
/// Would read another configuration, whose doors could be anybody's.
const NOT_SAID: [&str; 1] = ["--config"];
/// Longer lines are no command.
pub const LINE_MAX: usize = 4096;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    Help,
    History,
    Leave,
    /// The words of a `mimamori` command, without the program's name.
    Run(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Why the line cannot be read.
    Unreadable(&'static str),
    /// This verb is not for here.
    Verb(String),
}

pub fn read(line: &str) -> Result<Wish, Refusal> {
    if line.len() > LINE_MAX {
        return Err(Refusal::Unreadable("長すぎます / too long"));
    }
    let mut words = split(line).map_err(Refusal::Unreadable)?;
    // `show slot list` is what people of other machines type.
    if words.first().is_some_and(|word| word == "show") && words.len() > 1 {
        words.remove(0);
    }
    let Some(first) = words.first() else { return Ok(Wish::Nothing) };
    match first.as_str() {
        "help" | "?" | "show" => return Ok(Wish::Help),
        "history" => return Ok(Wish::History),
        "exit" | "quit" | "logout" => return Ok(Wish::Leave),
        _ => {}
    }
    let verb = first.clone();
    let forbidden =
        |word: &String| NOT_SAID.iter().any(|not| word == not || word.starts_with(&format!("{not}=")));
    let below = words.get(1).is_some_and(|second| {
        NOT_BELOW
            .iter()
            .any(|(verb, not)| *verb == first && (second == not || (*not == "--" && second.starts_with('-'))))
    });
    if !VERBS.contains(&first.as_str()) || below || words.iter().any(forbidden) {
        return Err(Refusal::Verb(verb));
    }
    Ok(Wish::Run(words))
}

/// What may stand where the line ends, for the key TAB.
pub fn next(line: &str) -> Vec<String> {
    let Ok(mut words) = split(line) else { return Vec::new() };
    let begun =
        if line.ends_with(' ') || line.is_empty() { String::new() } else { words.pop().unwrap_or_default() };
    if words.first().is_some_and(|word| word == "show") {
        words.remove(0);
    }
    let mut found: Vec<String> = if words.is_empty() {
        VERBS.iter().copied().chain(["help", "history", "show", "exit"]).map(str::to_owned).collect()
    } else {
        let mut command = declared();
        for word in &words {
            match command.find_subcommand(word) {
                Some(inner) => command = inner.clone(),
                None => break,
            }
        }
        let verbs = command.get_subcommands().map(|inner| inner.get_name().to_owned());
        let options =
            command.get_arguments().filter_map(|arg| arg.get_long().map(|long| format!("--{long}")));
        verbs.chain(options.filter(|option| !NOT_SAID.contains(&option.as_str()))).collect()
    };
    found.retain(|word| word.starts_with(&begun) && word != &begun);
    found.sort_unstable();
    found
}

/// Words between blanks; quotation marks keep blanks together. A backslash is a letter like others.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) if c.is_control() => return Err("制御文字があります / a control character"),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("引用符が閉じていません / a quotation mark is open");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Option<Vec<String>> {
        match read(line) {
            Ok(Wish::Run(words)) => Some(words),
            _ => None,
        }
    }

    #[test]
    fn words_are_words_and_nothing_is_expanded() {
        assert_eq!(run("  slot   show 18-0042 ").unwrap(), ["slot", "show", "18-0042"]);
        assert_eq!(run("show status").unwrap(), ["status"]);
        assert_eq!(
            run("device revoke 18-0042 --note 'lost in $HOME; rm -rf *'").unwrap()[4],
            "lost in $HOME; rm -rf *"
        );
        assert_eq!(run("slot show \"\"").unwrap()[2], "");
        assert!(matches!(read("slot 'show"), Err(Refusal::Unreadable(_))));
        assert!(matches!(read(&"a".repeat(LINE_MAX + 1)), Err(Refusal::Unreadable(_))));
    }

    /// The attacker's lines: no program, no file of the machine, no other configuration, no secret.
    #[test]
    fn no_line_leads_to_a_program_a_file_or_a_secret() {
        for line in [
            "bash",
            "/bin/sh",
            "sh -c id",
            "init --machine",
            "run",
            "serve vpn",
            "keys export-epoch --to /tmp/x",
            "backup make --to /tmp",
            "backup key --out /tmp/x",
            "restore --records a --keys b --identity c --dir d",
            "machine apply",
            "machine rescue",
            "machine register",
            "shell",
            "man --dir /tmp",
            "completions bash",
            "status --config /tmp/x",
            "status --config=/tmp/x",
            "vpn --interface a --conf b",
            "facility import /etc/shadow",
            "check",
            "sftp-server",
        ] {
            assert!(matches!(read(line), Err(Refusal::Verb(_))), "{line}");
        }
    }

    #[test]
    fn tab_offers_what_the_declaration_has_and_no_more() {
        assert_eq!(next("sta"), ["status"]);
        assert!(next("slot ").contains(&"show".to_owned()));
        assert!(next("show slot l").contains(&"list".to_owned()));
        assert!(!next("").contains(&"init".to_owned()));
        assert!(!next("status --").contains(&"--config".to_owned()));
        for verb in VERBS {
            assert!(declared().find_subcommand(verb).is_some(), "{verb} is no verb");
        }
    }
}
