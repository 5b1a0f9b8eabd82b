//! What somebody typed behind `mimamori vpn`. Pure declarations.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct VpnArgs {
    #[command(subcommand)]
    pub command: Option<VpnCommand>,
    /// 作るインターフェース / interface to make; its addresses, MTU and state are yours
    #[arg(long, value_name = "IF", requires = "conf")]
    pub interface: Option<String>,
    /// wg(8)の設定（PrivateKey, ListenPort, [Peer]） / configuration as wg(8) reads it
    #[arg(long, value_name = "FILE", requires = "interface")]
    pub conf: Option<PathBuf>,
    /// 一呼び出しに一パケット / one packet a call, for kernels and cards that misbehave
    #[arg(long, requires = "interface")]
    pub no_offload: bool,
}

#[derive(Debug, Subcommand)]
pub enum VpnCommand {
    /// 誰がどこから: wg showのように / who sits where, as wg show tells it
    Show,
    /// Prometheusの形の計数 / counters, as Prometheus reads them
    Metrics,
}
