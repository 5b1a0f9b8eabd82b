//! What somebody types about the configuration's history: `config`. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// いまの設定、または n 回前の設定 / the active text, or the nth before it
    Show {
        /// 何回前か / how many commits ago
        #[arg(default_value_t = 0)]
        back: usize,
    },
    /// 誰がいつ変えたか / who committed what, and when
    History,
    /// いまの設定との違い / what would change
    Diff {
        /// 新しい設定のファイル。- は標準入力 / the new text; - is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// 新しい設定にする / make a text the active one
    Commit {
        /// 新しい設定のファイル。- は標準入力 / the new text; - is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        confirm: ConfirmArgs,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 確定する（--confirm の時間のうちに） / keep what was committed with --confirm
    Confirm,
    /// n 回前に戻す。番号なしは、未確定の変更の取り消し / back to the nth before; without a number, drop what is not confirmed
    Rollback {
        /// 何回前か / how many commits ago
        back: Option<usize>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// 期限の切れた変更を戻す（systemdのunitから） / drop what is overdue, again and again with --watch (from its unit)
    Settle {
        /// 終わらずに見張る / do not end
        #[arg(long)]
        watch: bool,
    },
}

#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// この時間のうちに config confirm がなければ元に戻る（例 5m） / falls back unless confirmed within, e.g. 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub confirm: Option<u64>,
}

/// `90s`, `5m`, `2h` in milliseconds.
fn time(text: &str) -> Result<u64, String> {
    let wanted = || "90s, 5m, 2h".to_owned();
    let unit = text.chars().last().ok_or_else(wanted)?;
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wanted)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wanted()),
    };
    number.checked_mul(seconds * 1000).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!((time("90s"), time("5m"), time("2h")), (Ok(90_000), Ok(300_000), Ok(7_200_000)));
        for bad in ["5", "", "m", "-5m", "5分", "99999999999999999999h", "18446744073709551h"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
