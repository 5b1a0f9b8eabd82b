//! What somebody typed after `form`. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum FormCommand {
    /// 様式2〜8を渡す: 白紙、又は案件の内容を入れて / a form to hand out, blank or prepared for a case
    File(FormFile),
    /// 戻った様式（表計算）を取り込む / a returned form becomes a case
    Import(FormImport),
}

#[derive(Debug, Args)]
pub struct FormFile {
    /// 様式2 … 様式8 / form
    pub form: String,
    /// 書き出すファイル（新しいもの） / file to write
    pub out: PathBuf,
    /// 印刷用（pdf）か記入用（xlsx） / to print or to fill in
    #[arg(long, value_enum, default_value_t = Kind::Xlsx)]
    pub kind: Kind,
    /// 案件の番号 / case
    #[arg(long)]
    pub case: Option<String>,
}

#[derive(Debug, Args)]
pub struct FormImport {
    /// 記入されたファイル / the returned file
    pub file: PathBuf,
    /// 様式（ファイルから分からないとき） / which form, when the file does not tell
    #[arg(long)]
    pub form: Option<String>,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Papers that `facility` hands out.
#[derive(Debug, Subcommand)]
pub enum FacilityPaper {
    /// 管理台帳を書き出す / write a facility's ledger
    Ledger(FacilityLedger),
    /// 市民向けの地図を書き出す / write the resource map for citizens
    Map(FacilityMap),
}

#[derive(Debug, Args)]
pub struct FacilityLedger {
    /// 施設のID（facility list -o json） / facility id
    pub facility: pki::FacilityId,
    /// 書き出すファイル（新しいもの） / file to write
    pub out: PathBuf,
    /// 印刷用（pdf）、表計算（xlsx）、文字だけの表（csv） / to print, a spreadsheet, or text
    #[arg(long, value_enum, default_value_t = Kind::Xlsx)]
    pub kind: Kind,
    /// csvで、利用者の代わりに端末の表 / of csv, the devices instead of the people
    #[arg(long)]
    pub devices: bool,
}

#[derive(Debug, Args)]
pub struct FacilityMap {
    /// 書き出すファイル（新しいもの） / file to write
    pub out: PathBuf,
    /// ページではなく、地図のデータ（GeoJSON） / points instead of a page
    #[arg(long)]
    pub geojson: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 印刷用 / to print
    Pdf,
    /// 表計算 / a spreadsheet
    Xlsx,
    /// 文字だけの表 / text
    Csv,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_handbook_are_understood() {
        for line in [
            "mimamori form file 様式3 a.pdf --kind pdf --case 2026-00042",
            "mimamori form file 5 a.xlsx",
            "mimamori form import a.xlsx --form 様式6 --dry-run",
            "mimamori facility map map.geojson --geojson",
            "mimamori facility ledger f-aaaaaaaaaaaaaaaa a.csv --kind csv --devices",
        ] {
            assert!(Typed::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
