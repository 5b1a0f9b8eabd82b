//! What somebody types about backup and restore. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// 二つの封じたファイルを作る（動かしたまま） / make the two sealed files, while everything runs
    Make(MakeArgs),
    /// 片方を標準出力へ（よその機械から取りに来る） / one of the two to standard output, for a machine that fetches it
    Stream {
        /// records か keys / which one
        #[arg(value_enum)]
        part: Which,
        #[command(flatten)]
        sealed: Sealed,
    },
    /// 戻す練習をして、結果を status に残す / rehearse a restore; the result stands in status
    Drill,
    /// 新しい鍵を作り、公開鍵を示す / make a key, and show its public half
    Key {
        /// 秘密鍵を書くファイル（印刷して金庫へ） / where the secret half goes: print it, for the safe
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// 印刷する一枚: mimamori なしでの開き方 / the page to print: how to open it without us
    Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// 記録 / the records
    Records,
    /// 患者の鍵 / the patients' keys
    Keys,
}

#[derive(Debug, Args)]
pub struct MakeArgs {
    /// 置くフォルダー（外部媒体）、または ssh://利用者@相手[:ポート]/フォルダー / a folder, or ssh://user@host[:port]/folder
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    #[command(flatten)]
    pub sealed: Sealed,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Sealed {
    /// 誰が開けるか（age1…、何度でも。なければ設定の隣の backup-recipients） / for whom [default: the file beside the configuration]
    #[arg(long = "recipient", value_name = "AGE1…")]
    pub recipients: Vec<String>,
    /// 患者の鍵は別の人が開ける（なければ同じ人） / others, for the patients' keys
    #[arg(long = "keys-recipient", value_name = "AGE1…")]
    pub keys_recipients: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// 記録のファイル / the file of the records
    #[arg(long, value_name = "FILE")]
    pub records: PathBuf,
    /// 患者の鍵のファイル / the file of the patients' keys
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,
    /// age の秘密鍵のファイル（何度でも） / file of a secret key of age, may be repeated
    #[arg(long = "identity", value_name = "FILE", required = true)]
    pub identities: Vec<PathBuf>,
    /// keys export-epoch が書いた写し（なければ、あとで keys import-epoch） / the copy of the epoch's key
    #[arg(long, value_name = "FILE", requires = "epoch_passphrase_file")]
    pub epoch: Option<PathBuf>,
    /// その合言葉を書いたファイル（0600） / file (mode 0600) of its passphrase
    #[arg(long, value_name = "FILE", requires = "epoch")]
    pub epoch_passphrase_file: Option<PathBuf>,
    /// よそに置いた台帳の写し（pki log export）: 控えの後の発行と失効も戻す / a log kept elsewhere: what happened since
    #[arg(long, value_name = "DIR")]
    pub log: Option<PathBuf>,
    /// 戻すフォルダー（空） / the folder of the realm, empty
    #[arg(long, value_name = "DIR", required_unless_present = "machine", conflicts_with = "machine")]
    pub dir: Option<PathBuf>,
    /// イメージの機械の所定の場所に戻す（root） / in the places of a machine of our image, as root
    #[arg(long)]
    pub machine: bool,
}
