//! What two engineers type to open what one of them cannot. Pure declarations.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum RescueCommand {
    /// 画面の非常用シェルを求める。もう一人の同意が要る / ask for the console's rescue shell; another person must agree
    Ask {
        /// 理由（記録に残る） / why, for the records
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// シェルではなく、もう一人の技術者の登録を求める / not the shell but another engineer's registration
        #[arg(long)]
        registration: bool,
    },
    /// だれが何を求めているか / who asks for what
    Show,
    /// もう一人として同意する / agree as the second person
    Agree {
        /// 求めた人の名前 / the name of the one who asks
        name: String,
    },
}
