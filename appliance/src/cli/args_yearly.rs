//! What somebody typed after `yearly` and `register`. Pure declarations.

use clap::{Args, Subcommand};
use pki::identity::{FacilityId, PersonId};

#[derive(Debug, Subcommand)]
pub enum YearlyCommand {
    /// 年度の年次更新を始める日と締切を決める / open a round, or move its days
    Open {
        /// 年度（西暦） / fiscal year
        #[arg(long, value_name = "YYYY")]
        year: i16,
        /// 始める日 / first day
        #[arg(long, value_name = "DATE")]
        from: String,
        /// 締切 / last day
        #[arg(long, value_name = "DATE")]
        until: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 事業所ごとの進みぐあい / how far every facility is
    List {
        /// 年度（なければ最新） / fiscal year [default: the newest]
        #[arg(long, value_name = "YYYY")]
        year: Option<i16>,
        /// 電話するところだけ / only those to call
        #[arg(long)]
        silent: bool,
    },
    /// 電話したことを記録する / note a call
    Called {
        /// 事業所 / facility
        facility: FacilityId,
        /// 話した相手、約束した日 / with whom, until when
        #[arg(long, default_value = "")]
        note: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum RegisterCommand {
    /// 誓約・説明・研修の一覧 / pledges, briefings, trainings
    List {
        /// 事業所 / facility
        #[arg(long)]
        facility: Option<FacilityId>,
        /// 期限を過ぎた人だけ / only who is late
        #[arg(long)]
        late: bool,
    },
    /// 研修を受けた人を記録する / note who attended
    Training(TrainingArgs),
}

#[derive(Debug, Args)]
pub struct TrainingArgs {
    /// 種類: security, briefing, system / kind
    #[arg(long)]
    pub kind: String,
    /// 受けた日 / day
    #[arg(long, value_name = "DATE")]
    pub on: String,
    /// 受けた人（p-…） / who attended
    #[arg(required = true)]
    pub people: Vec<PersonId>,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_handbook_are_understood() {
        for line in [
            "mimamori yearly open --year 2027 --from 2027-03-01 --until R9.3.31 --dry-run",
            "mimamori yearly list --silent -o json",
            "mimamori yearly called f-aaaaaaaaaaaaaaaa --note 福井様",
            "mimamori register list --late",
            "mimamori register training --kind security --on 2027-03-02 p-aaaaaaaaaaaaaaaa p-baaaaaaaaaaaaaaa",
        ] {
            assert!(Typed::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
        }
        for line in
            ["mimamori yearly open --year 2027", "mimamori register training --kind security --on 2027-03-02"]
        {
            assert!(Typed::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
