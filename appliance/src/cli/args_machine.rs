//! What somebody types about a machine of our image: `machine`, `shell`. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum MachineCommand {
    /// 設定から防火壁とSSHの認証局を反映する（root） / firewall and SSH authority, from the configuration, as root
    Apply {
        /// 反映せずに示す / show it instead
        #[arg(long)]
        dry_run: bool,
    },
    /// この機械を技術者の認証局にする（root） / make this machine its engineers' authority, as root
    Authority {
        /// 金庫に入れる証明書を二つ、ここに作る / two certificates for the safe are made here
        #[arg(long, value_name = "DIR")]
        safe: Option<PathBuf>,
    },
    /// 技術者の鍵の登録を10分だけ開く（root） / open ten minutes for the registration of an engineer's key, as root
    Register,
    /// sshd が鍵について尋ねる / sshd asks about a key
    #[command(hide = true)]
    Offered {
        /// 鍵の種類 / the key's kind
        kind: String,
        /// 鍵 / the key
        body: String,
    },
    /// 鍵だけで入った人（mm-enrol のシェルから） / who came with a key alone (the shell of mm-enrol)
    #[command(hide = true)]
    Enrol,
    /// 技術者の求めを受ける（systemdのunitから） / hear one engineer (from its unit)
    #[command(hide = true)]
    Engineers,
    /// データの区画を作り、または開く（systemdのunitから） / make or open the data partition (its unit)
    #[command(hide = true)]
    Data,
    /// 技術者の backup を受ける（systemdのunitから） / hear one `backup` of the engineer (from its unit)
    #[command(hide = true)]
    Backup,
    /// 画面の非常用シェル（systemdのunitから） / the console's rescue shell (from its unit)
    #[command(hide = true)]
    Rescue,
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
