//! What somebody typed after `paper`. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use provisioning::door_scan::{CameBy, Why};

#[derive(Debug, Subcommand)]
pub enum PaperCommand {
    /// スキャン（PNG・JPEG・TIFF・PDF）を取り込む / scans go by their codes to their cases
    Scan(ScanTake),
    /// 案件のスキャン / scans of a case
    Scans {
        /// 案件の番号 / case
        case: String,
    },
    /// 仕分け待ち / what waits to be sorted
    Tray,
    /// 仕分け待ちのページを案件へ / a page of the tray to its case
    File(ScanFile),
    /// 画像を書き出す（見た記録が残る） / write the picture; it is noted who saw it
    Show {
        /// スキャンの番号 / scan
        scan: String,
        /// 書き出すファイル（新しいもの） / file to write
        out: PathBuf,
    },
    /// 仕分け待ちのページを破棄 / throw a page of the tray away
    Discard(ScanDiscard),
}

#[derive(Debug, Args)]
pub struct ScanTake {
    /// スキャンのファイル / files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// 届き方: post（郵送）、fax、hand（持参） / how it came
    #[arg(long, default_value = "post", value_parser = came)]
    pub came: CameBy,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ScanFile {
    /// スキャンの番号（paper tray） / scan
    pub scan: String,
    /// 案件の番号 / case
    #[arg(long)]
    pub case: String,
    /// 様式（見て分かったとき） / which form, when somebody has seen it
    #[arg(long)]
    pub form: Option<String>,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ScanDiscard {
    /// スキャンの番号（paper tray） / scan
    pub scan: String,
    /// 理由: twice、unreadable、not-ours、returned / why
    #[arg(long, value_parser = why)]
    pub why: Why,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn came(text: &str) -> Result<CameBy, String> {
    CameBy::parse(text).ok_or_else(|| CameBy::ALL.map(CameBy::as_str).join(", "))
}

fn why(text: &str) -> Result<Why, String> {
    Why::parse(text).ok_or_else(|| Why::ALL.map(Why::as_str).join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_pages_are_understood() {
        for line in [
            "mimamori paper scan a.pdf b.tif --came fax --dry-run -o json",
            "mimamori paper scans 2026-00042",
            "mimamori paper tray",
            "mimamori paper file s-aaaaaaaaaaaaaaaa --case 2026-00042 --form 様式6",
            "mimamori paper show s-aaaaaaaaaaaaaaaa a.png",
            "mimamori paper discard s-aaaaaaaaaaaaaaaa --why not-ours",
        ] {
            assert!(Typed::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        assert!(Typed::try_parse_from("mimamori paper discard s-a --why boredom".split(' ')).is_err());
    }
}
