//! What the command line reads and what it refuses; ends with each test.

use clap::FromArgMatches;
use clap::error::ErrorKind;

use super::*;

fn read(line: &str) -> Result<Typed, ErrorKind> {
    let matches = declared().try_get_matches_from(line.split_whitespace());
    matches.and_then(|matches| Typed::from_arg_matches(&matches)).map_err(|error| error.kind())
}

#[test]
fn the_declaration_holds_together() {
    declared().debug_assert();
}

#[test]
fn commands_of_the_handbook_are_understood() {
    for line in [
        "mimamori init --dir /x --zone a.example.jp --realm-name N --operator-login a@b.jp --operator-name N",
        "mimamori init --dir /x --zone z --series 18,18F=19 --realm-name N --operator-login a --operator-name N --listen 0.0.0.0:51820 --listen [::]:51820",
        "mimamori --config /x/mimamori.toml -o json status --check",
        "mimamori status -o json --config /x",
        "mimamori facility import forms.xlsx --dry-run",
        "mimamori facility template out.xlsx",
        "mimamori case accept --all",
        "mimamori case accept c-1 --dry-run",
        "mimamori serve pki --config /x",
        "mimamori slot show 18-0042",
        "mimamori slot list --series 18F",
        "mimamori slot extend 18-0042 --dry-run",
        "mimamori slot reissue 18-0042",
        "mimamori facility admin-address f-aaaaaaaaaaaaaaaa kanri@sakura.example.jp --dry-run",
        "mimamori device revoke 18-0042 --reason lost --note n",
        "mimamori device receipt r-1",
        "mimamori audit list --trace 0123456789abcdef --after 7",
        "mimamori audit list --room sns --limit 10",
        "mimamori mail list",
        "mimamori vpn show -o json",
        "mimamori vpn --interface wg0 --conf wg0.conf",
        "mimamori mail retry o-bundle-18-0042-1",
        "mimamori mail retry --failed",
        "mimamori mail dns",
        "mimamori audit verify",
        "mimamori pki list --slot 18-0042",
        "mimamori pki issue --csr a.pem --slot 18-0042 --out a.crt",
        "mimamori pki issue --csr-dir in --out out --dry-run",
        "mimamori pki revoke --slot 18-0042 --reason superseded --dry-run",
        "mimamori pki crl --shard 7 --out 7.crl",
        "mimamori pki log verify copy --older checkpoint",
        "mimamori pki log verify --proof a.proof --certificate a.crt --issuer ca.crt",
        "mimamori pki log restore --from copy",
        "mimamori pki inspect a.p12 -o json",
        "mimamori pki ceremony split --passphrase-file p --shares 3/5 --root root --out sheets",
        "mimamori pki ceremony join --share a --share - --out p",
        "mimamori pki ceremony check --root root --share -",
        "mimamori backup make --to /media/usb --recipient age1x --keys-recipient age1y --dry-run",
        "mimamori backup make --to ssh://backup@host:2222/realm",
        "mimamori backup stream records",
        "mimamori backup drill -o json",
        "mimamori backup key --out key",
        "mimamori backup page",
        "mimamori restore --records a --keys b --identity i --dir /x",
        "mimamori restore --records a --keys b --identity i --epoch e --epoch-passphrase-file p --log l --machine",
        "mimamori doctor -o json",
        "mimamori explain MM-6002",
        "mimamori completions zsh",
        "mimamori man --dir /x",
        "mimamori version",
    ] {
        assert!(read(line).is_ok(), "{line}");
    }
}

#[test]
fn what_is_no_command_is_refused() {
    for line in [
        "mimamori",
        "mimamori case accept",
        "mimamori case accept c-1 --all",
        "mimamori serve cli",
        "mimamori slot show 18-42",
        "mimamori mail retry",
        "mimamori mail retry o-bundle-18-0042-1 --failed",
        "mimamori slot extend",
        "mimamori facility admin-address f-aaaaaaaaaaaaaaaa",
        "mimamori device revoke 18-0042",
        "mimamori device revoke 18-0042 --reason bored",
        "mimamori audit list --trace xyz",
        "mimamori audit list --limit 0",
        "mimamori vpn",
        "mimamori vpn --interface wg0",
        "mimamori vpn --interface wg0 --conf wg0.conf show",
        "mimamori -o yaml status",
        "mimamori pki issue --csr a.pem --out a.crt",
        "mimamori pki revoke --reason superseded",
        "mimamori pki crl --shard 64",
        "mimamori pki log verify",
        "mimamori pki log verify --proof a.proof",
        "mimamori pki ceremony split --passphrase-file p --shares 1/5 --root root --out sheets",
        "mimamori pki ceremony check --root root",
        "mimamori pki ceremony renew --root root --passphrase-file p --ca ca.der",
        "mimamori pki renew device-ca",
        "mimamori pki renew gateway extra",
        "mimamori pki ceremony join --out p",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

/// Ruling 12: every verb, every argument and every heading, at every depth.
#[test]
fn every_help_is_japanese_first() {
    let mut seen = 0;
    let mut left = vec![declared()];
    while let Some(mut command) = left.pop() {
        command.build();
        let name = command.get_display_name().unwrap_or("mimamori").to_owned();
        assert!(japanese_first(&command.get_about().unwrap().to_string()), "{name}");
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(japanese_first(&help), "{name} {}: `{help}`", arg.get_id());
        }
        let page = command.render_long_help().to_string();
        assert!(page.contains("使い方 / usage: mimamori"), "{page}");
        for english in ["Usage:", "\nOptions:", "\nArguments:", "\nCommands:", "Print help"] {
            assert!(!page.contains(english), "{name} says {english}");
        }
        left.extend(command.get_subcommands().cloned());
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

/// A Japanese word stands before the slash; what has no English needs none.
fn japanese_first(help: &str) -> bool {
    let japanese = |c: char| ('\u{3041}'..='\u{9fff}').contains(&c);
    help.split(" / ").next().is_some_and(|first| first.contains(japanese))
        || ["bash, zsh, fish"].contains(&help)
}
