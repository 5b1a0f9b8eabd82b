//! What somebody typed after `post`. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vpn::SlotNumber;

#[derive(Debug, Subcommand)]
pub enum PostCommand {
    /// 届け方を選ぶ（まだ何も出ていないあいだ） / how a connection reaches a facility, while nothing has gone out
    Delivery {
        /// 申請の番号（例 2026-00001）か、施設のID / case, or facility id
        whose: String,
        /// 届け方 / the way
        #[arg(value_enum)]
        delivery: Way,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 発送を待つもの / what waits for the post
    List {
        /// 種類 / of one kind
        #[arg(value_enum)]
        lane: Option<Kind>,
    },
    /// 出せるものを一つの発送にまとめる / take what is due into a run
    Run(RunArgs),
    /// 発送の一覧 / print runs
    Runs {
        /// まだ発送と記録していないものだけ / only those that are not noted as sent
        #[arg(long)]
        open: bool,
    },
    /// 発送1件と、その封筒 / one run with its envelopes
    Show {
        /// 発送番号（例 h-2026-00001） / run
        run: String,
    },
    /// 印刷する（PDF）。番号とパスワードは一度だけ / print a run; secrets once
    Print {
        /// 発送番号 / run
        run: String,
        /// 書き出すファイル（新しいもの） / file to write
        out: PathBuf,
    },
    /// 宛名ラベル（PDF） / labels
    Labels(LabelArgs),
    /// 発送した / note that a run was sent
    Sent {
        /// 発送番号 / run
        run: String,
        /// 発送した日（なければ今日） / the day, if not today
        #[arg(long)]
        on: Option<String>,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 発送を取り消す（記録する前だけ） / undo a run that was not noted as sent
    Undo {
        /// 発送番号 / run
        run: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 発送した郵便を探す / find what has left
    Find {
        /// 発送番号、事業所の名か番号、VPN番号、案件の番号 / by number, facility, slot or case
        text: String,
    },
    /// 返戻: 戻ってきたと記録する / note that it came back
    Returned(ReturnedArgs),
    /// 戻っていて、手続きを待つもの / what came back and needs somebody
    Back,
    /// 戻った郵便の手続き / what is done about it
    Settle {
        /// 封筒の番号（例 h-2026-00001-3） / piece
        item: String,
        /// 手続き / remedy
        #[arg(value_enum)]
        remedy: Cure,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 用紙の再発行: 別の番号とパスワード（接続設定はそのまま） / another number and password; the connection stays
    NewSheet {
        /// VPN番号（例 18-0042） / slot
        slot: SlotNumber,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// 種類 / kind
    #[arg(value_enum)]
    pub lane: Kind,
    /// 郵送でなく手渡しのもの / what is handed over instead of posted
    #[arg(long)]
    pub by_hand: bool,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct LabelArgs {
    /// 発送番号 / run
    pub run: String,
    /// 書き出すファイル（新しいもの） / file to write
    pub out: PathBuf,
    /// 台紙の面数（12 か 24） / labels of a sheet
    #[arg(long, default_value = "12")]
    pub grid: String,
    /// 台紙に残っている最初のラベル（左上から右へ） / the first label that is left, along the rows
    #[arg(long, default_value_t = 1)]
    pub start: u32,
}

#[derive(Debug, Args)]
pub struct ReturnedArgs {
    /// 封筒の番号（例 h-2026-00001-3） / piece
    pub item: String,
    /// 理由 / reason
    #[arg(value_enum)]
    pub reason: Why,
    /// 戻った日（なければ今日） / the day, if not today
    #[arg(long)]
    pub on: Option<String>,
    /// 封が開いていた / the envelope was open
    #[arg(long)]
    pub opened: bool,
    /// 覚え書き（100文字まで） / a short note
    #[arg(long)]
    pub note: Option<String>,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// D-00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// 接続設定一式はメール、用紙は郵送 / the bundle by mail
    Mail,
    /// 二通の封筒で郵送 / two envelopes by post
    TwoEnvelopes,
    /// 二通の封筒を施設から手渡し / two envelopes handed over by a facility
    ByHand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// 1通目: 接続設定 / envelope 1
    Connection,
    /// 2通目: 番号とパスワード / envelope 2
    Sheet,
    /// お知らせ / notices
    Letter,
    /// 請求書 / invoices
    Invoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Why {
    /// あて所に尋ねあたりません / no such address
    Unknown,
    /// 転居 / moved
    Moved,
    /// 受取拒絶 / refused
    Refused,
    /// 保管期間経過 / not collected
    Uncollected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cure {
    /// もう一度送る / send it again
    Again,
    /// 再発行する / issue it anew
    Reissue,
    /// 電話で済んだ / settled by telephone
    Called,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_handbook_are_understood() {
        for line in [
            "mimamori case accept 2026-00001 --delivery two-envelopes",
            "mimamori post delivery 2026-00001 mail",
            "mimamori post delivery f-aaaaaaaaaaaaaaaa by-hand --dry-run",
            "mimamori post list",
            "mimamori post list sheet",
            "mimamori post run connection --dry-run",
            "mimamori post run sheet --by-hand",
            "mimamori post runs --open",
            "mimamori post show h-2026-00001",
            "mimamori post print h-2026-00001 a.pdf",
            "mimamori post labels h-2026-00001 a.pdf --grid 24 --start 7",
            "mimamori post sent h-2026-00001 --on 2026-11-20",
            "mimamori post undo h-2026-00001",
            "mimamori post find 髙﨑医院",
            "mimamori post returned h-2026-00001-3 moved --opened --note 転送先なし",
            "mimamori post back",
            "mimamori post settle h-2026-00001-3 reissue",
            "mimamori post new-sheet 18-0042 --dry-run",
        ] {
            assert!(Typed::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in ["mimamori case accept --all --delivery mail", "mimamori post delivery 2026-00001 fax"] {
            assert!(Typed::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
