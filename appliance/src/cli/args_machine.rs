//! What somebody types about a machine of our image: `machine`, `shell`. Pure declarations.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum MachineCommand {
    /// 設定から防火壁とSSHの認証局を反映する（root） / firewall and SSH authority, from the configuration, as root
    Apply {
        /// 反映せずに示す / show it instead
        #[arg(long)]
        dry_run: bool,
    },
    /// 領域のない機械が媒体を待ち、領域を作る（systemdのunitから） / a blank machine becomes a realm from a stick (its unit)
    #[command(hide = true)]
    First,
    /// 技術者の update を受ける（systemdのunitから） / hear one `update` of the engineer (from its unit)
    #[command(hide = true)]
    Update,
    /// 試されている版を確かめて残す（systemdのunitから） / the health gate of a version on trial (from its unit)
    #[command(hide = true)]
    Bless,
    /// 技術者の config を受ける（systemdのunitから） / hear one `config` of the engineer (from its unit)
    #[command(hide = true)]
    Answer,
}

#[derive(Debug, Args)]
pub struct ShellArgs {
    /// 一行だけ実行する / run one line
    #[arg(short = 'c', long = "command", value_name = "LINE")]
    pub line: Option<String>,
}
