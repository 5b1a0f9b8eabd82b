//! Why a room does not open or start, as its errors say it to the log in English: here in both languages, with
//! what to do, for `explain`. Constant data; a test holds it against the rooms' sources.

/// Code, Japanese, English, remedy in both.
pub type Fault = [&'static str; 5];

const DISK_JA: &str = "ディスクの空きと、フォルダーの持ち主と権限を確かめてください。";
const DISK_EN: &str = "check the free space, and owner and mode of the folder";
const INIT_JA: &str = "mimamori init を実行したか、設定の場所が正しいか確かめてください。";
const INIT_EN: &str = "check that mimamori init was run, and the places in the configuration";
const RESTORE_JA: &str = "控えから戻してください。";
const RESTORE_EN: &str = "restore it from the backup";
const DATABASE_JA: &str =
    "mimamori check で台帳の置き場所を確かめてください。ファイルならディスクの空き、サーバーなら接続です。";
const DATABASE_EN: &str = "run mimamori check: the disk of a file, the connection of a server";
const VERSION_JA: &str =
    "新しい版で使った台帳は、古い版では開けません。同じか新しい版の mimamori で起動してください。";
const VERSION_EN: &str =
    "a database of a newer version does not open in an older one: start the same version or a newer";
const COPY_JA: &str = "正しいファイルか確かめ、写しを取り直してください。";
const COPY_EN: &str = "check that it is the right file, or take the copy again";
const FORGED_JA: &str = "書き換えの疑いがあります。ファイルをそのまま残し、保守担当へお知らせください。";
const FORGED_EN: &str = "it may be forged: keep the files as they are, and tell the engineer";
const TERMS_JA: &str = "必要/全部の形で、2から16までの数を書いてください（例 3/5）。";
const TERMS_EN: &str = "write needed/all, from 2 to 16, such as 3/5";
const SHEET_JA: &str = "用紙の組の番号と照合番号を、認証局の作成記録と比べてください。";
const SHEET_EN: &str = "compare set and check of each sheet with the ceremony's transcript";
const TELL_JA: &str = "保守担当へ、このコードと時刻をお知らせください。";
const TELL_EN: &str = "tell the engineer this code and the time";
const AGAIN_JA: &str = "もう一度起動してください。続くときは保守担当へお知らせください。";
const AGAIN_EN: &str = "start again; if it stays, tell the engineer";
const RESTART_JA: &str = "ファイルの場所と権限を確かめるか、gateway を起動し直してください。";
const RESTART_EN: &str = "check the file's place and mode, or restart the gateway";
const NFT_JA: &str = "nftables を入れ、設定の vpn.nft とサービスの権限（CAP_NET_ADMIN）を確かめてください。";
const NFT_EN: &str = "install nftables; check vpn.nft and the service's capability CAP_NET_ADMIN";
const KEY_JA: &str =
    "設定の秘密の場所が、この領域のものか確かめてください。違うときは控えから戻してください。";
const KEY_EN: &str = "check that the configured secret is this realm's; otherwise restore it from the backup";
const SERVER_JA: &str = "証明書と秘密鍵が組になっているか確かめ、違うときは控えから戻してください。";
const SERVER_EN: &str =
    "check that certificate and key belong together; otherwise restore them from the backup";
const WISH_JA: &str = "値を直して、もう一度 mimamori init を実行してください。";
const WISH_EN: &str = "correct the value and run mimamori init again";

/// In the order of the codes.
pub const FAULTS: &[Fault] = &[
    // vpn
    ["MM-1101", "nft を実行できません。", "nft cannot be run", NFT_JA, NFT_EN],
    ["MM-1102", "nft が指示を断りました。", "nft refused what it was told", NFT_JA, NFT_EN],
    [
        "MM-1103",
        "firewallの表が、着席のとおりになっていません。",
        "the firewall's table is not as the seating is",
        "自動で直しています。続くときは nft を確かめてください。",
        "it is being mended; if it stays, check nft",
    ],
    [
        "MM-1104",
        "着席の控えを読めません。空から始めます。",
        "the seating snapshot cannot be read; starting without seats",
        "操作は不要です。provisioning の台帳から戻ります。",
        "nothing to do: it is filled again from the registry",
    ],
    [
        "MM-1105",
        "着席の控えが壊れています。空から始めます。",
        "the seating snapshot is damaged; starting without seats",
        "操作は不要です。続くときはディスクを確かめてください。",
        "nothing to do; if it happens again, check the disk",
    ],
    [
        "MM-1106",
        "トンネルの待ち受けの番地がありません。",
        "there is no address to listen at",
        "設定の vpn.listen に一つ以上書いてください。",
        "name at least one in vpn.listen",
    ],
    [
        "MM-1107",
        "トンネルの待ち受け（UDP）を開けません。",
        "the tunnels' UDP address cannot be listened at",
        "別のプログラムが使っていないか確かめるか、vpn.listen を変えてください。",
        "free the port, or change vpn.listen",
    ],
    [
        "MM-1108",
        "トンネルのネットワークデバイスを作れません。",
        "the tunnels' network device cannot be made",
        "/dev/net/tun と、サービスの権限（CAP_NET_ADMIN）を確かめてください。",
        "check /dev/net/tun and the capability CAP_NET_ADMIN",
    ],
    ["MM-1109", "乱数を得られません。", "the system gives no randomness", AGAIN_JA, AGAIN_EN],
    [
        "MM-1110",
        "firewallが立っていないため、トンネルを始めません。",
        "the firewall does not stand, so no tunnel is started",
        NFT_JA,
        NFT_EN,
    ],
    [
        "MM-1111",
        "トンネルを動かすスレッドを始められません。",
        "the data plane's thread does not start",
        AGAIN_JA,
        AGAIN_EN,
    ],
    [
        "MM-1112",
        "トンネルの鍵が使えません。",
        "the tunnel key is no usable key",
        "バックアップから鍵のファイルを戻してください",
        "restore the key file from the backup",
    ],
    // pki
    [
        "MM-2108",
        "証明のための端末認証局の証明書を使えません。",
        "the device CA for checking an attestation cannot be used",
        RESTORE_JA,
        RESTORE_EN,
    ],
    [
        "MM-2109",
        "この証明は、この端末認証局の署名ではありません。",
        "the attestation is not signed by this device CA",
        "証明を出した領域の証明書で確かめてください。",
        "check it against the certificate of the realm that gave it",
    ],
    [
        "MM-2201",
        "合言葉は12～1024バイトでなければなりません。",
        "the passphrase must have 12 to 1024 bytes",
        KEY_JA,
        KEY_EN,
    ],
    [
        "MM-2202",
        "合言葉では認証局の鍵を開けません。または鍵のファイルが変わっています。",
        "the passphrase does not open the sealed key, or its file was changed",
        KEY_JA,
        KEY_EN,
    ],
    [
        "MM-2203",
        "封じられた鍵のファイルの形が違います。",
        "this is not a sealed key of ours",
        RESTORE_JA,
        RESTORE_EN,
    ],
    ["MM-2204", "鍵の計算ができません。", "the key cannot be computed with", TELL_JA, TELL_EN],
    [
        "MM-2211",
        "認証局の台帳がありません。新しい台帳を作ると、すべての失効が忘れられてしまいます。",
        "there is no ledger; a new one would forget every revocation",
        RESTORE_JA,
        RESTORE_EN,
    ],
    ["MM-2212", "認証局の台帳に書けません。", "the ledger's database failed", DISK_JA, DISK_EN],
    [
        "MM-2213",
        "認証局の台帳をこの版で開けません。",
        "the ledger was made by a newer version",
        VERSION_JA,
        VERSION_EN,
    ],
    [
        "MM-2214",
        "認証局の台帳の記録に食い違いがあります。",
        "an entry of the ledger does not tell the truth",
        "発行を止め、保守担当へ知らせ、控えから戻してください。",
        "stop issuing, tell the engineer, and restore it",
    ],
    [
        "MM-2221",
        "署名するものが、記録し検査したものと違います。署名していません。",
        "what is to be signed is not what was recorded and linted; nothing was signed",
        TELL_JA,
        TELL_EN,
    ],
    ["MM-2222", "認証局の鍵で署名できません。", "the key cannot sign", TELL_JA, TELL_EN],
    ["MM-2231", "認証局のファイルを読めません。", "a file of the authority cannot be read", INIT_JA, INIT_EN],
    [
        "MM-2232",
        "認証局のファイルに書けません。",
        "a file of the authority cannot be written",
        DISK_JA,
        DISK_EN,
    ],
    [
        "MM-2233",
        "封じられた鍵が、端末認証局のものではありません。",
        "the sealed key is not the device CA's",
        "フォルダーを取り違えていないか確かめ、控えから戻してください。",
        "the folders were mixed up: restore them",
    ],
    ["MM-2301", "領域のドメイン名を使えません。", "this cannot be a zone", WISH_JA, WISH_EN],
    [
        "MM-2302",
        "領域の名前は1～64文字です。",
        "the realm's name must have 1 to 64 characters",
        WISH_JA,
        WISH_EN,
    ],
    [
        "MM-2303",
        "失効リストを公開する番地が正しくありません。",
        "this is not an address of published bytes",
        WISH_JA,
        WISH_EN,
    ],
    ["MM-2304", "儀式で鍵を作れません。", "the ceremony cannot make a key", AGAIN_JA, AGAIN_EN],
    ["MM-2305", "儀式で証明書に署名できません。", "the ceremony cannot sign a certificate", TELL_JA, TELL_EN],
    [
        "MM-2306",
        "儀式の証明書が、自身の検査に通りません。",
        "our own lint refused a certificate of the ceremony",
        TELL_JA,
        TELL_EN,
    ],
    ["MM-2307", "儀式で鍵を封じられません。", "the ceremony cannot seal a key", TELL_JA, TELL_EN],
    [
        "MM-2311",
        "このフォルダーにはすでに領域の鍵があります。上書きはしません。",
        "a realm lives in this folder; its keys are never written over",
        "本当に終える領域なら、フォルダーごと退避してから実行してください。",
        "if the realm is truly to end, move the whole folder away first",
    ],
    ["MM-2312", "儀式のファイルを書けません。", "a file of the ceremony cannot be written", DISK_JA, DISK_EN],
    [
        "MM-2313",
        "前の儀式が途中で止まっています。",
        "an earlier run of the ceremony was interrupted",
        "そのときと同じフォルダー（金庫のものも）をつないで、もう一度実行してください。",
        "connect the same folders, the safe's too, and run it again",
    ],
    ["MM-2321", "用紙の枚数が正しくありません。", "no number of shares", TERMS_JA, TERMS_EN],
    [
        "MM-2322",
        "この長さの秘密は分けられません。",
        "a secret of this length is not shared",
        TELL_JA,
        TELL_EN,
    ],
    ["MM-2323", "用紙の文字に誤りがあります。", "a letter of a share is wrong", SHEET_JA, SHEET_EN],
    ["MM-2324", "別の組の用紙があります。", "a share of another set", SHEET_JA, SHEET_EN],
    ["MM-2325", "同じ用紙が二度あります。", "a share was given twice", SHEET_JA, SHEET_EN],
    ["MM-2326", "用紙の枚数が足りません。", "too few shares were given", SHEET_JA, SHEET_EN],
    ["MM-2327", "用紙の組み合わせが違います。", "these shares do not belong together", SHEET_JA, SHEET_EN],
    [
        "MM-2234",
        "認証局のフォルダーは別のプロセスが使っています。",
        "another process of the authority runs",
        "それに尋ねるか、止めてからもう一度実行してください。",
        "ask that one, or stop it first",
    ],
    [
        "MM-2401",
        "これはログのチェックポイントでも証明でもありません。",
        "this is not a checkpoint or a proof of ours",
        COPY_JA,
        COPY_EN,
    ],
    [
        "MM-2402",
        "チェックポイントの署名がこの認証局のものではありません。",
        "the checkpoint is not signed by this device CA",
        COPY_JA,
        COPY_EN,
    ],
    [
        "MM-2403",
        "その行は、チェックポイントのログにありません。",
        "the line does not stand in the log of the checkpoint",
        FORGED_JA,
        FORGED_EN,
    ],
    ["MM-2404", "証明は別の証明書のものです。", "the proof is another certificate's", COPY_JA, COPY_EN],
    ["MM-2405", "ログは別の領域のものです。", "the log is another realm's", COPY_JA, COPY_EN],
    [
        "MM-2411",
        "写しの認証局の証明書を使えません。",
        "the CA's certificate of the copy cannot be used",
        COPY_JA,
        COPY_EN,
    ],
    [
        "MM-2412",
        "写しのチェックポイントが成り立ちません。",
        "the copy's checkpoint does not hold",
        COPY_JA,
        COPY_EN,
    ],
    [
        "MM-2413",
        "写しの行数がチェックポイントと違います。",
        "the copy has not as many lines as were signed",
        COPY_JA,
        COPY_EN,
    ],
    [
        "MM-2414",
        "写しの行が、署名されたものと違います。",
        "the lines are not those that were signed",
        FORGED_JA,
        FORGED_EN,
    ],
    [
        "MM-2415",
        "以前のチェックポイントが、このログの始まりではありません。",
        "the older checkpoint is not the beginning of this log",
        FORGED_JA,
        FORGED_EN,
    ],
    [
        "MM-2416",
        "写しの行と証明書が合いません。",
        "a line and a certificate of the copy disagree",
        FORGED_JA,
        FORGED_EN,
    ],
    [
        "MM-2421",
        "写しはこの台帳の続きではありません。",
        "the copy does not continue this ledger",
        "正しい控えと、それより新しい写しを選んでください。",
        "choose the right backup, and a copy newer than it",
    ],
    // gateway
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
    // sns
    ["MM-4030", "SNSのフォルダーを作れません。", "the folder of the SNS cannot be made", DISK_JA, DISK_EN],
    ["MM-4031", "患者ごとの鍵を包む鍵を読めません。", "the epoch's key cannot be read", KEY_JA, KEY_EN],
    ["MM-4032", "患者ごとの鍵の台帳を開けません。", "the key store does not open", KEY_JA, KEY_EN],
    ["MM-4033", "SNSの台帳を開けません。", "the records do not open", DATABASE_JA, DATABASE_EN],
    [
        "MM-4034",
        "患者の鍵を包む鍵（epoch）がまだありません。",
        "there is no epoch's key yet",
        "SNSを一度起動してから、もう一度実行してください。",
        "start the SNS once, then run it again",
    ],
    [
        "MM-4035",
        "epochの鍵、またはその写しを読めません。",
        "the epoch's key or its copy cannot be read",
        KEY_JA,
        KEY_EN,
    ],
    [
        "MM-4036",
        "epochの鍵はすでにあります。古い鍵で置き換えることはしません。",
        "the epoch's key stands already; it is never replaced by an older one",
        "本当に失われたときだけ、写しから戻してください。",
        "bring a copy back only when the key is lost",
    ],
    [
        "MM-4037",
        "写しを合言葉で開けません。",
        "the passphrase does not open the copy",
        "合言葉と写しが同じ回のものか確かめてください。",
        "check that passphrase and copy are of the same time",
    ],
    // provisioning
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
];
