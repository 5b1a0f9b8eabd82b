//! What somebody typed after `device` about requests for more devices (G-07). Pure declarations.

use clap::{Args, Subcommand};
use pki::identity::FacilityId;

#[derive(Debug, Subcommand)]
pub enum MoreCommand {
    /// 追加の申請の一覧（上限を超えるもの） / requests for more devices than the quota
    Requests {
        /// 施設 / facility id
        #[arg(long)]
        facility: Option<FacilityId>,
        /// 承認待ちだけ / only what waits
        #[arg(long)]
        waiting: bool,
    },
    /// 申請を承認する: 上限がその台数だけ増える / approve a request: the quota grows by so many
    Approve(MoreTurn),
    /// 申請を見送る / decline a request
    Decline(MoreTurn),
}

#[derive(Debug, Args)]
pub struct MoreTurn {
    /// 申請（m-…、device requests に出ます） / request id
    pub request: String,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}
