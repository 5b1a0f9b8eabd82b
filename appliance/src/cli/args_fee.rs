//! What somebody typed after `fee`. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum FeeCommand {
    /// 見積: 一つの事業所、またはこれから申し込むところ / what a facility pays, or would pay
    Quote(QuoteArgs),
    /// 年次請求: まだ無い請求書をすべて発行する / the yearly run: every invoice that is missing
    Run {
        /// 年度（西暦） / fiscal year
        #[arg(long, value_name = "YYYY")]
        year: i16,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 請求書の一覧 / invoices of a year
    List {
        /// 年度（西暦） / fiscal year
        #[arg(long, value_name = "YYYY")]
        year: i16,
        /// 未入金だけ / unpaid ones only
        #[arg(long)]
        unpaid: bool,
        /// CSVを書き出す / write a CSV
        #[arg(long, value_name = "FILE")]
        csv: Option<PathBuf>,
    },
    /// 印刷用の請求書を書き出す（500件ごとに1ファイル） / invoices as pages for the printer
    Print {
        /// 年度（西暦） / fiscal year
        #[arg(long, value_name = "YYYY")]
        year: i16,
        /// 置くフォルダー / folder
        out: PathBuf,
    },
    /// 入金を記録する / note a payment
    Paid {
        /// 請求番号 / invoice
        invoice: String,
        /// 入金日 / day of the payment
        #[arg(long, value_name = "DATE")]
        on: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 口座振替の口座を登録する / the account from which a facility pays
    Account(AccountArgs),
    /// 口座振替: 銀行に依頼するファイル（全銀形式） / the file that asks the bank for what is unpaid
    Debit {
        /// 年度（西暦） / fiscal year
        #[arg(long, value_name = "YYYY")]
        year: i16,
        /// 引落日 / day of the debit
        #[arg(long, value_name = "DATE")]
        on: String,
        /// 書き出すファイル / file to write
        #[arg(required_unless_present = "dry_run")]
        out: Option<PathBuf>,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 口座振替: 銀行から戻ったファイルを取り込む / take over what the bank did
    Settle {
        /// 結果のファイル / the bank's file
        file: PathBuf,
        /// 引き落とされた日 / day of the debit
        #[arg(long, value_name = "DATE")]
        on: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 設定と料金表 / switches, issuer, prices
    Settings,
    /// 設定を変える（例 issuer-number T…、price:2027-04:institution:sns 1200） / change one
    Set {
        /// 項目 / what
        name: String,
        /// 値 / its new value
        value: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct AccountArgs {
    /// 事業所 / facility
    pub facility: pki::FacilityId,
    /// 銀行番号（4桁） / bank
    pub bank: String,
    /// 支店番号（3桁） / branch
    pub branch: String,
    /// 普通、当座 / kind
    pub kind: String,
    /// 口座番号（7桁まで） / number
    pub number: String,
    /// 口座名義（カナ） / holder in kana
    pub holder: String,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// 年度（西暦） / fiscal year
    #[arg(long, value_name = "YYYY")]
    pub year: i16,
    /// 登録された事業所 / a registered facility
    #[arg(required_unless_present = "kind", conflicts_with_all = ["kind", "medical_net", "received", "started"])]
    pub facility: Option<pki::FacilityId>,
    /// 種別（医科、保険薬局など） / kind of a facility that has not applied yet
    #[arg(long, requires = "started")]
    pub kind: Option<String>,
    /// ふくいメディカルネットに参加 / in the medical network
    #[arg(long)]
    pub medical_net: bool,
    /// SNSは使わない / without the SNS
    #[arg(long)]
    pub no_sns: bool,
    /// 申込の受付日（なければ利用開始日） / day of receipt [default: the start]
    #[arg(long, value_name = "DATE")]
    pub received: Option<String>,
    /// 利用開始日（本登録の日） / day of the start
    #[arg(long, value_name = "DATE")]
    pub started: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_handbook_are_understood() {
        for line in [
            "mimamori fee quote --year 2026 f-aaaaaaaaaaaaaaaa",
            "mimamori fee quote --year 2026 --kind 医科 --started R8.4.1 --medical-net -o json",
            "mimamori fee run --year 2026 --dry-run",
            "mimamori fee list --year 2026 --unpaid --csv unpaid.csv",
            "mimamori fee print --year 2026 papers",
            "mimamori fee paid 2026-00001 --on 2026/5/1",
            "mimamori fee account f-aaaaaaaaaaaaaaaa 0147 001 普通 1234567 イ）サクラカイ",
            "mimamori fee debit --year 2026 --on 2026-06-26 debit.txt",
            "mimamori fee debit --year 2026 --on 2026-06-26 --dry-run",
            "mimamori fee settle result.txt --on 2026-06-26 --dry-run",
            "mimamori fee settings",
            "mimamori fee set issuer-number T7000012050002 --dry-run",
        ] {
            assert!(Typed::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
        }
        for line in [
            "mimamori fee quote --year 2026",
            "mimamori fee quote --year 2026 --kind 医科",
            "mimamori fee run",
        ] {
            assert!(Typed::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
