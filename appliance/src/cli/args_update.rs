//! What somebody types about a new version of the machine. Pure declarations.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// 更新ファイル。`-` は標準入力 / the update; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "stick", conflicts_with = "stick")]
    pub file: Option<PathBuf>,
    /// MIMAMORI という名の媒体の mimamori.update を使う / from the stick called MIMAMORI
    #[arg(long)]
    pub stick: bool,
    /// 書き終えたら起動し直す / start the new version at once
    #[arg(long)]
    pub restart: bool,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}
