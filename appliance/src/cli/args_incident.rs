//! What somebody typed after `incident` and `report`. Pure declarations.

use clap::{Args, Subcommand};
use pki::identity::FacilityId;

#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// 対応中の事故と報告の期限 / open incidents with their clocks
    List {
        /// 終わったものも / closed ones too
        #[arg(long)]
        all: bool,
    },
    /// 一件の経過 / one incident
    Show {
        /// 番号（J-2026-00001） / number
        incident: String,
    },
    /// 事故を記録する / open an incident
    Open(IncidentArgs),
    /// したことを記録する / note a step
    Step {
        /// 番号 / number
        incident: String,
        /// 手順: stopped, scope, prompt, notified, final, prevention, closed / step
        step: String,
        /// 内容（患者の名前は書かない） / what was done, without a patient's name
        #[arg(long, default_value = "")]
        note: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct IncidentArgs {
    /// 種類: lost, leak, unauthorised, failure / kind
    #[arg(long)]
    pub kind: String,
    /// 知った日 / the day it was known
    #[arg(long, value_name = "DATE")]
    pub known: String,
    /// 起きたこと（患者の名前は書かない） / what happened, without a patient's name
    #[arg(long)]
    pub summary: String,
    /// 事業所（なければ事務局・全体） / facility [default: the association]
    #[arg(long)]
    pub facility: Option<FacilityId>,
    /// 関係する人数 / how many people
    #[arg(long)]
    pub people: Option<u32>,
    /// 不正の目的のおそれ（確報60日） / an unlawful purpose is likely: 60 days
    #[arg(long)]
    pub unlawful: bool,
    /// 個人情報保護委員会への報告は要らない / the law asks for no report
    #[arg(long)]
    pub no_report: bool,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// 年度（西暦） / fiscal year
    #[arg(long, value_name = "YYYY")]
    pub year: i16,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_handbook_are_understood() {
        for line in [
            "mimamori incident list --all",
            "mimamori report --year 2026 -o json",
            "mimamori incident show J-2026-00001 -o json",
            "mimamori incident open --kind leak --known R8.11.20 --summary 誤送信 --unlawful --dry-run",
            "mimamori incident step J-2026-00001 prompt --note 県へも電話",
        ] {
            assert!(Typed::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
        }
        assert!(Typed::try_parse_from(["mimamori", "incident", "open", "--kind", "leak"]).is_err());
    }
}
