//! What somebody typed after `post`. Pure declarations.

use clap::{Subcommand, ValueEnum};

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
        ] {
            assert!(Typed::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in ["mimamori case accept --all --delivery mail", "mimamori post delivery 2026-00001 fax"] {
            assert!(Typed::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
