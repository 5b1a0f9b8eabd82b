//! What somebody typed after `takeover`. Pure declarations.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum TakeoverCommand {
    /// 表計算（様式1・職員・VPN番号・納付のシート）から引き継ぐ / take registers over from a workbook
    Import {
        /// ファイル / workbook
        file: PathBuf,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 台帳を書き込む表計算を書き出す / the workbook to write registers into
    Template {
        /// 書き出す先 / where to
        out: PathBuf,
    },
    /// 引き継いだ施設 / what was taken over
    List,
    /// 使い始める: 最初のVPN番号の接続設定一式と用紙を出す / begin: bundle and sheet for the first number
    Start {
        /// 引継ぎの番号（takeover list） / batch
        batch: String,
        /// 施設のID（無ければ待っているものすべて） / facility id, or all that wait
        facility: Option<pki::FacilityId>,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 一つの施設を元に戻す（使い始める前だけ） / take one facility back, before anything has begun
    Undo {
        /// 引継ぎの番号（takeover list） / batch
        batch: String,
        /// 施設のID / facility id
        facility: pki::FacilityId,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_handbook_are_understood() {
        for line in [
            "mimamori takeover import a.xlsx --dry-run",
            "mimamori takeover list",
            "mimamori takeover template a.xlsx",
            "mimamori takeover start t-2026-00001",
            "mimamori takeover start t-2026-00001 f-aaaaaaaaaaaaaaaa --dry-run",
            "mimamori takeover undo t-2026-00001 f-aaaaaaaaaaaaaaaa",
        ] {
            assert!(Typed::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
