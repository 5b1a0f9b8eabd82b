//! Why `provisioning` does not open, start or answer.

use super::Fault;
use super::remedies::{
    AGAIN_EN, AGAIN_JA, DATABASE_EN, DATABASE_JA, DISK_EN, DISK_JA, VERSION_EN, VERSION_JA,
};

pub const FAULTS: &[Fault] = &[
    ["MM-5001", "乱数を得られません。", "the system gives no randomness", AGAIN_JA, AGAIN_EN],
    ["MM-5002", "事務局の台帳を開けません。", "the registry cannot be opened", DATABASE_JA, DATABASE_EN],
    [
        "MM-5003",
        "事務局の台帳をこの版で開けません。",
        "the registry cannot be brought to this version",
        VERSION_JA,
        VERSION_EN,
    ],
    [
        "MM-5004",
        "監査記録が書き換えられています。",
        "the audit trail was changed",
        "台帳を保全し、保守担当へ知らせてください。書き足してはいけません。",
        "keep the registry as it is and tell the engineer",
    ],
    ["MM-5005", "監査記録を読めません。", "the audit trail cannot be read", DATABASE_JA, DATABASE_EN],
    [
        "MM-5006",
        "パスワードの計算が混み合っています。",
        "the password cannot be hashed now",
        "しばらくしてからお試しください。",
        "try again in a while",
    ],
    [
        "MM-5007",
        "事務局のフォルダーを作れません。",
        "a folder of provisioning cannot be made",
        DISK_JA,
        DISK_EN,
    ],
    ["MM-5008", "事務局の台帳を読めません。", "the registry cannot be read", DATABASE_JA, DATABASE_EN],
    [
        "MM-5009",
        "事務局の接続設定一式と用紙を書き出せません。",
        "bundle and sheet of the secretariat could not be written",
        DISK_JA,
        DISK_EN,
    ],
    [
        "MM-5010",
        "メールの署名の鍵を読み書きできません。",
        "the mail key cannot be read or written",
        DISK_JA,
        DISK_EN,
    ],
    [
        "MM-5011",
        "メールの署名の鍵の形が違います。",
        "the mail key is no RSA key",
        "控えから戻すか、消して起動し、mimamori mail dns の新しい値をDNSに載せてください。",
        "restore it, or remove it, start, and publish what mimamori mail dns then says",
    ],
    ["MM-5012", "メールの署名の鍵を作れません。", "the crypto library makes no mail key", AGAIN_JA, AGAIN_EN],
    [
        "MM-5014",
        "スキャンの鍵を読み書きできません。",
        "the scans' key cannot be read or written",
        DISK_JA,
        DISK_EN,
    ],
    [
        "MM-5015",
        "スキャンの鍵の形が違います。",
        "the scans' key is none",
        "控えから戻してください。作り直すと、同意撤回書などのスキャンが開けなくなります。",
        "restore it from the backup: a new one would not open what is kept",
    ],
];
