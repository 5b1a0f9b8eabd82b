//! What somebody typed after `person`. Pure declarations.

use clap::{Args, Subcommand};
use pki::identity::{FacilityId, PersonId};

#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// 利用者の一覧 / people with their facilities
    List {
        /// 施設 / facility id
        #[arg(long)]
        facility: Option<FacilityId>,
        /// 氏名・ふりがな・ログインIDの一部 / part of a name, a reading or a login
        words: Option<String>,
    },
    /// 一時停止: どの施設でもその場で使えなくする（同意は要らない） / stop an account everywhere, at once
    Suspend(PersonTurn),
    /// 再開: 一時停止を解く / lift a suspension
    Resume(PersonTurn),
    /// はじめのパスワードを出し直す（一度だけ表示） / a new first password, shown once
    Password(PersonTurn),
}

#[derive(Debug, Args)]
pub struct PersonTurn {
    /// 利用者（p-…、person list に出ます） / person id
    pub person: PersonId,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}
