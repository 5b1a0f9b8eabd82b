//! What somebody types about the key that is in no backup: `keys`. Pure declarations.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// 患者の鍵を包む鍵（epoch）の写しを、印刷する合言葉で封じて書き出す / seal a copy of the epoch's key
    ExportEpoch {
        /// 写しを書くファイル（外部媒体の上） / where the copy goes, on a medium of its own
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// 書かずに確かめる / only see whether it could be copied
        #[arg(long)]
        dry_run: bool,
    },
    /// 失われた鍵を写しから戻す（止めてから実行） / bring a lost key back; mimamori must not run
    ImportEpoch {
        /// 写しのファイル / the copy
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// 合言葉を書いたファイル（0600） / file (mode 0600) of the passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
}
