//! What somebody typed after `mimamori pki`: declarations only. Japanese first.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pki::CertificateSerial;
use pki::door::{DeviceKind, RevocationReason};
use vpn::{Series, SlotNumber};

#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// 証明書の一覧 / every certificate, newest first
    List {
        /// VPN番号 / of one slot
        #[arg(long)]
        slot: Option<SlotNumber>,
    },
    /// 一枚の証明書 / one certificate with its record
    Show {
        /// シリアル番号 / serial
        serial: CertificateSerial,
    },
    /// 発行要求に署名する（一つ、またはフォルダーごと） / sign a request, or a folder of requests
    Issue(IssueArgs),
    /// 失効 / revoke by serial, slot or key; sessions are cut by `mimamori device revoke`
    Revoke(RevokeArgs),
    /// 失効リスト / revocation lists: fetch one, or see all
    Crl {
        /// リストの番号（0–63） / number of the list
        #[arg(long, value_parser = clap::value_parser!(u8).range(0..64))]
        shard: u8,
        /// 書き出す先（DER） / where to write it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// OCSPの答え / the OCSP answer of a certificate
    Ocsp {
        /// シリアル番号 / serial
        serial: CertificateSerial,
        /// 書き出す先（DER） / where to write it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// 透明性ログ / the transparency log
    #[command(subcommand)]
    Log(LogCommand),
    /// 更新：失効リストとOCSPの答え、または証明書 / renew lists and OCSP answers that are due; or a certificate
    Renew(RenewArgs),
    /// すべての証明書を書き出す（PEMとCSV） / every certificate as PEM, and a CSV of all
    Export {
        /// 新しいフォルダー / a new folder
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// ファイルの中身（証明書、要求、失効リスト、.p12、構成プロファイル） / what a file is and says; offline
    Inspect {
        /// ファイル / file
        file: PathBuf,
    },
    /// 発行前検査を証明書にかける / our own lints over a device certificate; offline
    Lint {
        /// 証明書（PEMまたはDER） / the certificate, PEM or DER
        file: PathBuf,
        /// 端末認証局の証明書 / the device CA's certificate
        #[arg(long, value_name = "FILE")]
        issuer: PathBuf,
    },
    /// ルートのパスフレーズを何人かで分けて持つ / the root's passphrase in the hands of several; offline
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
    /// 認証局だけを一つの口で動かす（性能測定） / the authority alone behind one loopback port, for measuring
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub struct IssueArgs {
    /// 発行要求（PEMまたはDER） / a request
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "csr_dir",
        conflicts_with = "csr_dir",
        requires = "slot"
    )]
    pub csr: Option<PathBuf>,
    /// VPN番号 / the slot of the request
    #[arg(long)]
    pub slot: Option<SlotNumber>,
    /// 番号.pem のフォルダー / a folder of requests: `42.pem` is for number 0042
    #[arg(long, value_name = "DIR")]
    pub csr_dir: Option<PathBuf>,
    /// フォルダーの系列 / series of a folder's numbers
    #[arg(long, default_value = "18")]
    pub series: Series,
    /// 証明書を書き出す先 / file (its proof beside it), or folder for `42.crt` and `proofs.txt`
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// 種類 / profile
    #[arg(long, value_enum, default_value_t = Kind::Facility)]
    pub kind: Kind,
    /// 確かめるだけ / prove the requests, sign nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Facility,
    FacilityAdmin,
    Family,
}

impl From<Kind> for DeviceKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Facility => DeviceKind::Facility,
            Kind::FacilityAdmin => DeviceKind::FacilityAdmin,
            Kind::Family => DeviceKind::Family,
        }
    }
}

#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// シリアル番号 / serial
    #[arg(required_unless_present_any = ["slot", "key"], conflicts_with_all = ["slot", "key"])]
    pub serial: Option<CertificateSerial>,
    /// VPN番号のすべて / every certificate of a slot
    #[arg(long, conflicts_with = "key")]
    pub slot: Option<SlotNumber>,
    /// 鍵のハッシュ（SHA-256）のすべて / every certificate of a key
    #[arg(long)]
    pub key: Option<pki::Hash>,
    /// 理由 / reason: unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation
    #[arg(long, value_parser = reason)]
    pub reason: RevocationReason,
    /// 確かめるだけ / change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RenewArgs {
    /// 確かめるだけ / change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(subcommand)]
    pub what: Option<RenewCommand>,
}

#[derive(Debug, Subcommand)]
pub enum RenewCommand {
    /// ゲートウェイの証明書（鍵はそのまま） / the gateway's certificate, for the key that it has
    Gateway {
        /// 別のところに書き出す / write the chain elsewhere, and reload nothing
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// 確かめるだけ / change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 端末認証局（`pki ceremony renew` の証明書を受け取る） / take up the device CA's next certificate
    DeviceCa(TakeUpArgs),
    /// サーバ認証局（同上） / the same for the server CA
    ServerCa(TakeUpArgs),
}

#[derive(Debug, Args)]
pub struct TakeUpArgs {
    /// ルートが署名した証明書（PEMまたはDER） / the certificate that the root signed
    #[arg(long, value_name = "FILE")]
    pub certificate: PathBuf,
    /// 確かめるだけ / change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum CeremonyCommand {
    /// パスフレーズを分け、一人に一枚の用紙を作る / split it, with a printable sheet for each holder
    Split {
        /// ルートのパスフレーズ / the root's passphrase
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
        /// 必要な枚数/全部の枚数 / needed/all, such as 3/5
        #[arg(long, value_name = "K/N")]
        shares: pki::shares::Terms,
        /// 金庫のフォルダー / the folder from the safe
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// 用紙を入れる新しいフォルダー / a new folder for the sheets
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 用紙からパスフレーズに戻す / join shares into the passphrase again
    Join {
        /// 一行に一枚のファイル、または`-`（何度でも） / files of one share per line, or `-`; may be repeated
        #[arg(long, value_name = "FILE", required = true)]
        share: Vec<PathBuf>,
        /// 新しいファイル / a new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// 認証局の次の証明書にルートの鍵で署名する（鍵と名前はそのまま） / sign a CA's next certificate; offline
    Renew {
        /// 金庫のフォルダー / the folder from the safe
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// ルートのパスフレーズ / the root's passphrase
        #[arg(long, value_name = "FILE", required_unless_present = "share", conflicts_with = "share")]
        passphrase_file: Option<PathBuf>,
        /// 一行に一枚のファイル、または`-`（何度でも） / files of one share per line, or `-`; may be repeated
        #[arg(long, value_name = "FILE")]
        share: Vec<PathBuf>,
        /// 今の証明書（ca/device.crt か ca/server.crt） / the certificate that it has now
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
        /// 新しいファイル / a new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// 確かめるだけ / sign nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 保管したもので今もルートの鍵が開くことを確かめる / check that what is kept still opens the root's key
    Check {
        /// 金庫のフォルダー / the folder from the safe
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// ルートのパスフレーズ / the root's passphrase
        #[arg(long, value_name = "FILE", required_unless_present = "share", conflicts_with = "share")]
        passphrase_file: Option<PathBuf>,
        /// 一行に一枚のファイル、または`-`（何度でも） / files of one share per line, or `-`; may be repeated
        #[arg(long, value_name = "FILE")]
        share: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// 最新の署名済みチェックポイント / the latest signed checkpoint
    Checkpoint,
    /// 証明書がログにあることの証明 / proof that a certificate stands in the log
    Proof {
        /// シリアル番号 / serial
        serial: CertificateSerial,
    },
    /// 別の場所に保管する写し / a copy to keep elsewhere: lines, certificates, checkpoint, CA
    Export {
        /// 新しいフォルダー / a new folder
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// 写し、または証明を、認証局なしで確かめる / check a copy, or a certificate's proof, without the authority
    Verify(VerifyArgs),
    /// 写しにあって台帳にない行を取り戻す（認証局を止めて） / take up again what the copy has beyond the ledger
    Restore {
        /// `log export` で取った写し / a copy by `log export`
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// 確かめるだけ / change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// `log export` で取った写し / a copy by `log export`
    #[arg(required_unless_present = "proof")]
    pub dir: Option<PathBuf>,
    /// 以前のチェックポイント（何度でも） / older checkpoints that were kept elsewhere
    #[arg(long, value_name = "FILE")]
    pub older: Vec<PathBuf>,
    /// 証明 / a proof instead of a copy
    #[arg(long, value_name = "FILE", conflicts_with = "dir", requires_all = ["certificate", "issuer"])]
    pub proof: Option<PathBuf>,
    /// 証明書 / the certificate of the proof
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// 端末認証局の証明書 / the device CA's certificate
    #[arg(long, value_name = "FILE")]
    pub issuer: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// 試験用の認証局を作るフォルダー（空） / an empty folder for a throw-away authority
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// 待ち受け（ループバックのみ） / loopback only
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// 一回限りのトークンの数 / one-time tokens
    #[arg(long, default_value_t = 200_000)]
    pub tokens: u32,
}

fn reason(text: &str) -> Result<RevocationReason, String> {
    RevocationReason::parse(text)
        .ok_or_else(|| RevocationReason::ALL.map(RevocationReason::as_str).join(", "))
}
