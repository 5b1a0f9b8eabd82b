//! Why `gateway` does not open, start or answer.

use super::Fault;
use super::remedies::{
    AGAIN_EN, AGAIN_JA, DATABASE_EN, DATABASE_JA, DISK_EN, DISK_JA, INIT_EN, INIT_JA, RESTART_EN, RESTART_JA,
    RESTORE_EN, RESTORE_JA, SERVER_EN, SERVER_JA, TELL_EN, TELL_JA, VERSION_EN, VERSION_JA,
};

pub const FAULTS: &[Fault] = &[
    [
        "MM-3102",
        "入口の監査記録を開けません。",
        "the gateway's audit trail cannot be opened",
        DISK_JA,
        DISK_EN,
    ],
    [
        "MM-3103",
        "セッションの台帳が答えません。",
        "the session store does not answer",
        DATABASE_JA,
        DATABASE_EN,
    ],
    [
        "MM-3104",
        "セッションの台帳をこの版で開けません。",
        "the session store cannot be brought to this version",
        VERSION_JA,
        VERSION_EN,
    ],
    [
        "MM-3105",
        "セッションの台帳に読めない記録があります。",
        "the session store holds something unreadable",
        TELL_JA,
        TELL_EN,
    ],
    [
        "MM-3106",
        "入口の証明書を読めません。",
        "the gateway's certificate chain cannot be read",
        SERVER_JA,
        SERVER_EN,
    ],
    [
        "MM-3107",
        "入口の秘密鍵を読めないか、証明書と合いません。",
        "the gateway's private key cannot be read or does not fit its certificate",
        SERVER_JA,
        SERVER_EN,
    ],
    ["MM-3108", "端末認証局の証明書を使えません。", "the device CA cannot be used", RESTORE_JA, RESTORE_EN],
    ["MM-3109", "TLSの設定を使えません。", "the TLS library refuses the configuration", SERVER_JA, SERVER_EN],
    ["MM-3110", "入口の設定を使えません。", "the gateway cannot use its configuration", INIT_JA, INIT_EN],
    [
        "MM-3111",
        "入口の待ち受けを開けません。",
        "the gateway cannot listen",
        "別の gateway が動いていないか、トンネルのデバイスがあるか確かめてください。",
        "see whether another gateway runs, and whether the tunnels' device is there",
    ],
    ["MM-3112", "入口のフォルダーを作れません。", "the gateway's folder cannot be made", DISK_JA, DISK_EN],
    ["MM-3113", "入口の待ち受けを動かせません。", "the runtime refuses a listener", AGAIN_JA, AGAIN_EN],
    [
        "MM-3114",
        "セッションの台帳を開けません。",
        "the session store cannot be opened",
        DATABASE_JA,
        DATABASE_EN,
    ],
    [
        "MM-3115",
        "動いている gateway が証明書などのファイルを読み直せません。",
        "the running gateway cannot read one of its files anew",
        RESTART_JA,
        RESTART_EN,
    ],
    [
        "MM-3116",
        "動いている gateway は鍵の場所を知りません（起動のときに渡されています）。",
        "the running gateway does not know where its key is; it was handed over at the start",
        RESTART_JA,
        RESTART_EN,
    ],
];
