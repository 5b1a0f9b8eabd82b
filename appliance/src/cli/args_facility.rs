//! What somebody typed after `facility`. Pure declarations.

use std::path::PathBuf;

use clap::Subcommand;

use super::args_paper::FacilityPaper;

#[derive(Debug, Subcommand)]
pub enum FacilityCommand {
    /// 様式1（xlsx, csv）を取り込む / import applications
    Import {
        /// 様式1のファイル / the applications
        file: PathBuf,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 一覧 / list
    List,
    /// 様式1の白紙を書き出す / write the blank form
    Template {
        /// 書き出す先 / where to
        out: PathBuf,
    },
    #[command(flatten)]
    Paper(FacilityPaper),
    /// 様式3: 管理者のアドレスを直し、届いていないものを送り直す / correct the admin's address, send again what waits
    AdminAddress {
        /// 施設のID（facility list -o json） / facility id
        facility: pki::FacilityId,
        /// 正しいアドレス / the right address
        address: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}
