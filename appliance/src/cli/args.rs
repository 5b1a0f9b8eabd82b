//! What somebody typed, as clap reads it: nouns and verbs, Japanese first. Nothing is decided here.
//! Pure declarations; parsing ends before meaning begins (habit 19).

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use provisioning::door::RevokeReason;
use vpn::{Series, SlotNumber};

use super::args_backup::{BackupCommand, RestoreArgs};
use super::args_config::ConfigCommand;
use super::args_engineers::RescueCommand;
use super::args_facility::FacilityCommand;
use super::args_fee::FeeCommand;
use super::args_flow::FlowCommand;
use super::args_incident::{IncidentCommand, ReportArgs};
use super::args_keys::KeysCommand;
use super::args_machine::{MachineCommand, ShellArgs};
use super::args_more::MoreCommand;
use super::args_paper::FormCommand;
use super::args_person::PersonCommand;
use super::args_post::{PostCommand, Way};
use super::args_scan::PaperCommand;
use super::args_takeover::TakeoverCommand;
use super::args_token::TokenArgs;
use super::args_update::UpdateArgs;
use super::args_vpn::VpnArgs;
use super::args_yearly::{RegisterCommand, YearlyCommand};
use super::pki_args::PkiCommand;
use crate::process::Name;

/// Where the configuration is unless somebody says otherwise.
pub const CONFIG: &str = "/etc/mimamori/mimamori.toml";

#[derive(Debug, Parser)]
#[command(
    name = "mimamori",
    version,
    about = "みまもり: 在宅医療・介護連携のための閉域SNS / a closed care SNS for authenticated devices",
    after_help = "終了コード / exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict or quota, 5 denied, \
                  6 degraded, 64 bad config, 75 try later\n\
                  言語 / language: LANG=en で英語 / LANG=en for English",
    disable_help_subcommand = true,
    disable_version_flag = true
)]
pub struct Typed {
    /// 設定ファイル（環境変数 MIMAMORI_CONFIG） / configuration [default: /etc/mimamori/mimamori.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// 出力の形 / form of the output
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// 人が読む表 / tables for people
    Text,
    /// 標準出力はJSONだけ / JSON and nothing else on stdout
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// 新しい領域を作る / create a realm: folders, secrets, ceremony, secretariat, configuration
    Init(Box<InitArgs>),
    /// 設定をすべて確かめる / check the whole configuration and the secrets' files
    Check,
    /// 動かす / run all rooms until told to stop
    Run,
    /// 一つの部屋だけを動かす（systemdのunitから） / run one room in its own process (from its systemd unit)
    Serve {
        /// 部屋 / room: firewall, vpn, pki, sns, gateway, provisioning
        #[arg(value_parser = served)]
        room: Name,
    },
    /// 各部屋の状態 / how every room is
    Status(StatusArgs),
    /// 施設 / facilities
    #[command(subcommand)]
    Facility(FacilityCommand),
    /// ほかで付けていた台帳の引継ぎ / registers that were kept elsewhere
    #[command(subcommand)]
    Takeover(TakeoverCommand),
    /// 申請 / cases
    #[command(subcommand)]
    Case(CaseCommand),
    /// VPN番号 / slots
    #[command(subcommand)]
    Slot(SlotCommand),
    /// 端末 / devices
    #[command(subcommand)]
    Device(DeviceCommand),
    /// 接続 / connections
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// 控えに入らない鍵の預け / the one key that is in no backup
    #[command(subcommand)]
    Keys(KeysCommand),
    /// 控え: 作る、練習する、開き方 / backup: make, rehearse, how to open
    #[command(subcommand)]
    Backup(BackupCommand),
    /// 控えから領域を戻す / bring a realm back from its backup
    Restore(Box<RestoreArgs>),
    /// 点検: 直すべきところと、その方法 / what is wrong and what mends it
    Doctor,
    /// トンネル: show、metrics、または --interface と --conf で単独で動かす / tunnels: show, metrics, or alone from a wg(8) file
    Vpn(VpnArgs),
    /// メール / the outbox
    #[command(subcommand)]
    Mail(MailCommand),
    /// 発送: 届け方、窓あき封筒、返戻 / the office's outgoing post
    #[command(subcommand)]
    Post(PostCommand),
    /// 利用者: 一時停止、再開、パスワード / people
    #[command(subcommand)]
    Person(PersonCommand),
    /// 事故と報告の期限 / incidents and the law's two clocks
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// 運営状況の報告（年度） / the yearly report of operation
    Report(ReportArgs),
    /// 年次更新 / the yearly update
    #[command(subcommand)]
    Yearly(YearlyCommand),
    /// 研修と誓約 / trainings and pledges
    #[command(subcommand)]
    Register(RegisterCommand),
    /// 手続きの案件（①〜⑪、電話連絡、終了） / cases of the flows
    #[command(subcommand)]
    Flow(FlowCommand),
    /// 様式2〜8を渡す、戻ったものを取り込む / forms to hand out and returned ones
    #[command(subcommand)]
    Form(FormCommand),
    /// 紙のスキャン: 取り込む、仕分ける、見る / scans of papers
    #[command(subcommand)]
    Paper(PaperCommand),
    /// 料金と請求 / fees and invoices
    #[command(subcommand)]
    Fee(FeeCommand),
    /// 事務局のAPI（OpenAPI 3.1 は -o json） / what programs may ask of the office
    Api,
    /// 監査記録 / audit trails
    #[command(subcommand)]
    Audit(AuditCommand),
    /// 認証局 / the authority: certificates, lists, the transparency log
    #[command(subcommand)]
    Pki(PkiCommand),
    /// 設定の変更と履歴 / the configuration's history
    #[command(subcommand)]
    Config(ConfigCommand),
    /// イメージの機械: 設定の反映 / a machine of our image: apply what follows from the configuration
    #[command(subcommand)]
    Machine(MachineCommand),
    /// 非常用シェル: 二人で開く / the rescue shell, which two persons open
    #[command(subcommand)]
    Rescue(RescueCommand),
    /// 新しい版をもう一つの区画に書く / write a new version into the slot that does not run
    Update(UpdateArgs),
    /// 保守の画面（SSHの先はこれだけです） / the engineer's shell, the only one there is
    Shell(ShellArgs),
    /// コードの意味と対処 / what a code means and what to do
    Explain {
        /// 例 / e.g. MM-6002
        code: String,
    },
    /// シェルの補完を書き出す / print the shell's completions
    Completions {
        /// bash, zsh, fish
        #[arg(value_enum)]
        shell: Shell,
    },
    /// マニュアルページを書き出す / write the manual pages
    Man {
        /// 置くフォルダー / folder for mimamori.1 and one page for each verb
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// 版 / version
    Version,
}

/// Whose completions are kept; Debian's three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// 領域を置くフォルダー / folder of the realm
    #[arg(long, value_name = "DIR", required_unless_present = "machine", conflicts_with = "machine")]
    pub dir: Option<PathBuf>,
    /// イメージの機械の所定の場所に作る（root） / in the places of a machine of our image, as root
    #[arg(long)]
    pub machine: bool,
    /// 協議会のドメイン名 / zone, in the association's own domain
    #[arg(long, value_name = "DOMAIN")]
    pub zone: String,
    /// VPN番号の系列（18、または 18F=19 のように番地とともに） / series, with its block if it differs
    #[arg(long, value_name = "SERIES", default_value = "18", value_delimiter = ',')]
    pub series: Vec<String>,
    /// 領域の名前 / name of the realm
    #[arg(long, value_name = "NAME")]
    pub realm_name: String,
    /// 事務局の担当者のメールアドレス / mail address of the secretariat's operator
    #[arg(long, value_name = "ADDRESS")]
    pub operator_login: String,
    /// 事務局の担当者の氏名 / name of the operator
    #[arg(long, value_name = "NAME")]
    pub operator_name: String,
    /// 事務局の名称 / name of the secretariat
    #[arg(long, value_name = "NAME", default_value = "SNS事務局")]
    pub office_name: String,
    /// ルートのパスフレーズを用紙に分ける（必要/全部） / share the root's passphrase among sheets, such as 3/5
    #[arg(long, value_name = "K/N")]
    pub root_shares: Option<pki::shares::Terms>,
    /// 問い合わせ先の電話番号 / telephone number on every paper
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub telephone: String,
    /// インターネット側の待ち受け（何度でも） / UDP address of the tunnels, may be repeated
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Vec<String>,
    /// 端末が話しかける先 / whom the devices call [default: vpn.ZONE:51820]
    #[arg(long, value_name = "HOST:PORT")]
    pub endpoint: Option<String>,
    /// 台帳をPostgreSQLに置くとき、そのURL（postgres://…）を書いたファイル（0600）。中身は領域に写されます / file (mode 0600)
    /// of the server's URL, for records on PostgreSQL; the realm keeps a copy
    #[arg(long, value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// 保守のSSHを受け付ける番地（何度でも） / address or network from which SSH is heard, may be repeated
    #[arg(long, value_name = "NETWORK")]
    pub management: Vec<String>,
    /// 保守のSSH証明書の認証局の公開鍵（.pub） / public key file of the engineers' SSH authority
    #[arg(long, value_name = "FILE")]
    pub ssh_ca: Option<PathBuf>,
    #[command(flatten)]
    pub token: TokenArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// 不足があれば 6 で終わる / exit 6 when something is degraded
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Subcommand)]
pub enum CaseCommand {
    /// 一覧 / list
    List,
    /// 一件の手順 / one case with its steps
    Show {
        /// 申請の番号（例 2026-00001） / case
        id: String,
    },
    /// 受理: 施設、VPN番号、接続設定一式を作る / accept: facility, slots, bundle
    Accept {
        /// 申請の番号（例 2026-00001） / case
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// 不足のない申請をすべて / every case that misses nothing
        #[arg(long)]
        all: bool,
        /// 届け方（選ばなければ今のまま） / the way by which it goes out
        #[arg(long, value_enum, conflicts_with = "all")]
        delivery: Option<Way>,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum SlotCommand {
    /// 一覧 / list
    List {
        /// 系列 / series
        #[arg(long)]
        series: Option<Series>,
    },
    /// 一つの番号の履歴 / one slot with its history
    Show {
        /// VPN番号（例 18-0042） / slot
        slot: SlotNumber,
    },
    /// 延長: 用紙の期限を今日から30日に / give a sheet 30 days from today
    Extend {
        /// VPN番号（例 18-0042） / slot
        slot: SlotNumber,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 再発行: 別の鍵の接続設定一式を送る（用紙はそのまま） / send another bundle with another key; the sheet stays
    Reissue {
        /// VPN番号（例 18-0042） / slot
        slot: SlotNumber,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 一時停止: その場で使えなくし、再開できる / stop it at once; it can be resumed
    Suspend(SlotTurn),
    /// 再開: 一時停止を解く / lift a suspension
    Resume(SlotTurn),
    /// 解錠: 入力ちがいの待ち時間を解く / end the pause after wrong entries
    Unlock(SlotTurn),
}

#[derive(Debug, Args)]
pub struct SlotTurn {
    /// VPN番号（例 18-0042） / slot
    pub slot: SlotNumber,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// 一覧 / list
    List {
        /// 施設 / facility id
        #[arg(long)]
        facility: Option<pki::FacilityId>,
    },
    /// 利用停止: 証明書、トンネル、接続をすべて断つ / revoke: certificate, tunnel, sessions, streams
    Revoke {
        /// VPN番号（例 18-0042） / slot
        slot: SlotNumber,
        /// 理由 / reason: lost, stolen, replaced, retired, leak
        #[arg(long, value_parser = reason)]
        reason: RevokeReason,
        /// 覚え書き（患者の名前は書かない） / note, without patients' names
        #[arg(long)]
        note: Option<String>,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 利用停止の証明 / the receipt of a revocation
    Receipt {
        /// 受付番号 / receipt
        id: String,
    },
    #[command(flatten)]
    More(MoreCommand),
}

#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// いまつながっている端末 / who is connected now
    Live,
    /// 切断: 接続とサインインを断ち、新しい許可が出るまで入れない / cut a slot's holder off until a newer grant
    Cut {
        /// VPN番号（例 18-0042） / slot
        slot: SlotNumber,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// つながらない理由（4桁の番号、またはVPN番号） / why somebody is refused, by help code or slot
    Why {
        /// ヘルプ画面の4桁の番号、またはVPN番号 / the four digits of the help page, or a slot
        #[arg(value_name = "CODE|SLOT")]
        what: String,
    },
    /// 計測値（Prometheusの形式） / everything counted, as Prometheus' text
    Metrics,
    /// 証明書・鍵・端末CAを読み直す（接続は切れない） / read certificate, key and device CA anew
    Reload {
        /// 読めるか確かめるだけ / only see whether they can be used
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum MailCommand {
    /// 一覧: 状態とサーバーの答え / every letter with its state and the server's answer
    List,
    /// 今すぐ送り直す / try again now
    Retry {
        /// 番号（mail list に出るもの） / letter, as `mail list` shows it
        #[arg(required_unless_present = "failed", conflicts_with = "failed")]
        id: Option<String>,
        /// 送れなかったものをすべて（送信サーバーの設定を直したあとに） / all that failed, once the mail server is mended
        #[arg(long)]
        failed: bool,
    },
    /// 戻ってきたメールを記録する（.eml、RFC 3464と携帯各社の形） / note mails of the bounce mailbox
    Bounce {
        /// 戻り用の受信箱のメール（何通でも） / mails as they are
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 戻りメールの受信箱を今すぐ読む / empty the bounce mailbox now
    Fetch {
        /// つながるか確かめるだけ / only sign in and count
        #[arg(long)]
        dry_run: bool,
    },
    /// 公開するDNSレコード / the DNS records to publish
    Dns,
    /// 点検: 受け手がこちらのメールを信じるか / will receivers believe our mail? From, SPF, DKIM, DMARC, PTR
    Doctor {
        /// 聞くDNSサーバー（無ければこの機械のもの） / name server to ask, e.g. 192.0.2.53:53
        #[arg(long)]
        server: Option<std::net::SocketAddr>,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// 一覧（--trace は全室をたどる） / list; a trace is followed through every room
    List {
        /// 一つの操作をたどる / one trace only
        #[arg(long)]
        trace: Option<pki::TraceId>,
        /// どの部屋の記録か（無ければ provisioning） / whose trail [default: provisioning]
        #[arg(long, value_enum)]
        room: Option<Trail>,
        /// この番号より後 / after this entry
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// 件数 / at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// すべての部屋の記録のつながりを確かめる / verify the chains of every room
    Verify,
}

/// The rooms that keep a trail of people's decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trail {
    /// 事務局と施設の手続き / the offices
    Provisioning,
    /// 患者のチーム / the teams
    Sns,
}

const ARGUMENTS: &str = "引数 / arguments";
const OPTIONS: &str = "選択肢 / options";
const VERBS: &str = "操作 / commands";
const PAGE: &str = "{about-with-newline}\n使い方 / usage: {usage}\n\n{all-args}{after-help}";

/// The declaration as people meet it: Japanese first in the headings, too.
pub fn declared() -> clap::Command {
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    dressed(Typed::command().arg(version.help("版 / version")))
}

fn dressed(command: clap::Command) -> clap::Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    command
        .disable_help_flag(true)
        .arg(help.help("この説明（-h は短く） / this text (shorter with -h)"))
        .help_template(PAGE)
        .subcommand_help_heading(VERBS)
        .mut_args(|arg| {
            let heading = if arg.is_positional() { ARGUMENTS } else { OPTIONS };
            arg.help_heading(heading)
        })
        .mut_subcommands(dressed)
}

fn served(text: &str) -> Result<Name, String> {
    Name::SERVED
        .into_iter()
        .find(|name| name.as_str() == text)
        .ok_or_else(|| Name::SERVED.map(Name::as_str).join(", "))
}

fn reason(text: &str) -> Result<RevokeReason, String> {
    RevokeReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| RevokeReason::ALL.map(RevokeReason::as_str).join(", "))
}

#[cfg(test)]
mod papers;
#[cfg(test)]
mod tests;
